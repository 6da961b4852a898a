"""Install what tests/distributed needs, where this machine can run it: `python -m tests.distributed.install`."""

from __future__ import annotations

import shutil
import sys

from staging import debian, image
from tests.distributed import hosts

PACKAGES = {"ip": "iproute2", "unshare": "util-linux", "nsenter": "util-linux", "redis-server": "redis-server"}


def main() -> None:
    """Install programs and the image; do nothing where namespaces can't be had, which the tests say too."""
    if sys.platform != "linux":
        return
    for program in hosts.PROGRAMS:
        if not shutil.which(program):
            debian.install(PACKAGES[program])
    if not hosts.missing():
        image.install()


if __name__ == "__main__":
    main()
