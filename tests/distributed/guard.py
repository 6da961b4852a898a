"""Stop a temporary server once the process that started it is gone: `python -m tests.distributed.guard DATA`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from staging import cluster


@contextmanager
def guarded(data: Path) -> Iterator[None]:
    """Run a guard of a temporary server beside this process."""
    guard = subprocess.Popen(
        [sys.executable, "-m", "tests.distributed.guard", data], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def main(data: Path) -> None:
    """Wait until nothing can write to the standard input, then stop the server and delete its folder."""
    sys.stdin.read()
    cluster.stop(data)
    shutil.rmtree(data.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
