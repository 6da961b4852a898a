"""Install what the image of the Dockerfile has into a virtual environment; `python -m staging.image`.

There is no checkout in it: the project is its wheel there, with the extras that several workers need.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from uv import find_uv_bin

PROJECT = Path(__file__).resolve().parents[1]
IMAGE = PROJECT / ".staging" / "image"
EXTRAS = "amazon,celery"


def missing(folder: Path = IMAGE) -> str:
    """Return how to install the image; empty if it is there."""
    return "" if (folder / "bin" / "airflow").exists() else "there is no image; `make test-distributed` installs it"


def install(folder: Path = IMAGE) -> None:
    """Build the wheel of the working tree and install it with its extras; CalledProcessError with uv's words."""
    if not (folder / "bin" / "python").exists():
        _uv("venv", "--python", sys.executable, folder)

    with tempfile.TemporaryDirectory() as built:
        _uv("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", built, PROJECT)
        (wheel,) = Path(built).glob("*.whl")
        chosen = ("--constraints", PROJECT / "constraints.txt", "--reinstall-package", "partition-playbook")
        _uv("pip", "install", "--compile-bytecode", "--python", folder, *chosen, f"{wheel}[{EXTRAS}]")


def _uv(*arguments: str | Path) -> None:
    subprocess.run([find_uv_bin(), "--quiet", *arguments], check=True)


if __name__ == "__main__":
    try:
        install()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"The image can't be installed. {error}") from None
