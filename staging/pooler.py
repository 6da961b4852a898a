"""Find PgBouncer; `python -m staging.pooler` checks or installs it."""

from __future__ import annotations

import os
import shutil
import subprocess

from staging.debian import install

REMEDY = "Install it with `apt-get install pgbouncer`."


class PoolerError(RuntimeError):
    """There is no PgBouncer."""


def program() -> str:
    """Return the path of PgBouncer; PoolerError with a remedy if there is none."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        raise PoolerError(f"There is no PgBouncer. {REMEDY}")
    return found


def main() -> None:
    """Install PgBouncer as root with apt-get if there is none; PoolerError if it is still missing."""
    try:
        program()
    except PoolerError:
        install("pgbouncer")
        program()


if __name__ == "__main__":
    try:
        main()
    except (PoolerError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The tests need a pooler. {error}") from None
