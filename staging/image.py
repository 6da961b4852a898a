"""Install what the image of the Dockerfile has into a virtual environment; `python -m staging.image`.

There is no checkout in it: the project is its wheel there, with the extras that several workers need.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

PROJECT = Path(__file__).resolve().parents[1]
IMAGE = PROJECT / ".staging" / "image"
CONSTRAINTS = PROJECT / "constraints.txt"
EXTRAS = "amazon,celery"


def missing(folder: Path = IMAGE) -> str:
    """Return how to install the image; empty if it is there."""
    return "" if (folder / "bin" / "airflow").exists() else "there is no image; `make test-distributed` installs it"


def install(folder: Path = IMAGE) -> None:
    """Build the wheel of the working tree and install it with its extras; CalledProcessError with uv's words.

    Nothing is done where it is installed already: another process may run it. Processes that install it take turns.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock, tempfile.TemporaryDirectory() as built:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", built, PROJECT)
        (wheel,) = Path(built).glob("*.whl")

        digest = hashlib.sha256(wheel.read_bytes() + CONSTRAINTS.read_bytes()).hexdigest()
        installed = folder / "installed.sha256"
        if installed.exists() and installed.read_text() == digest:
            return
        installed.unlink(missing_ok=True)
        if not (folder / "bin" / "python").exists():
            _uv("venv", "--python", sys.executable, folder)
        chosen = ("--constraints", CONSTRAINTS, "--reinstall-package", "partition-playbook")
        _uv("pip", "install", "--compile-bytecode", "--python", folder, *chosen, f"{wheel}[{EXTRAS}]")
        installed.write_text(digest)


def _uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True)


if __name__ == "__main__":
    try:
        install()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The image can't be installed. {error}") from None
