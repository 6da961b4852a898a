"""Stop a temporary server once the process that started it is gone: `python -m staging.guard DATA PROGRAMS`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]


@contextmanager
def guarded(data: Path, programs: Path) -> Iterator[None]:
    """Run a guard of a temporary server beside this process, which may be killed."""
    command = (sys.executable, "-m", "staging.guard", str(data), str(programs))
    guard = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def main(data: Path, programs: Path) -> None:
    """Wait until nothing can write to the standard input, then stop the server and delete its folder."""
    sys.stdin.read()

    from staging import cluster  # only now: a guard of a run that ends by itself costs as little as it can

    cluster.stop(data, programs)
    shutil.rmtree(data.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
