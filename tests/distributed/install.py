"""Install what tests/distributed needs, where this machine can run it: `python -m tests.distributed.install`."""

from __future__ import annotations

import shutil
import subprocess
import sys

from staging import debian, image
from tests.distributed import hosts


def main() -> None:
    """Install programs and the image; where hosts in namespaces can't be had, say why, as the tests do too."""
    if sys.platform == "linux":
        _install_programs()
    if reason := hosts.missing():
        print(f"tests/distributed is passed over: {reason}.")
        return
    image.install()


def _install_programs() -> None:
    for package in sorted({package for program, package in hosts.PROGRAMS.items() if not shutil.which(program)}):
        try:
            debian.install(package)
        except subprocess.CalledProcessError as error:
            print(f"The package {package} can't be installed: {error}")


if __name__ == "__main__":
    main()
