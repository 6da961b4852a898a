"""Install the application's npm packages and compile it, unless that is done: `python -m staging.backend.install`."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from staging.instance import PROJECT
from staging.node import Node, NodeError, find

SOURCE = PROJECT / "staging" / "application"
BUILT = SOURCE / "dist"
STAMP = BUILT / "built-from"
# No package needs a script of its own at the installation.
PACKAGES = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--engine-strict")
BUILD = ("run", "build")


class InstallError(RuntimeError):
    """The packages could not be installed, or the sources not compiled."""


def install(node: Node) -> None:
    """Run ``npm ci`` if the lock file has changed, and compile if a source has; InstallError with npm's output."""
    packages, sources = _digest(_package_files()), _digest([*_package_files(), *_source_files()])
    done = STAMP.read_text().split() if STAMP.exists() else ["", ""]
    if done == [packages, sources]:
        return

    STAMP.unlink(missing_ok=True)
    if done[0] != packages or not (SOURCE / "node_modules").exists():
        _npm(node, *PACKAGES)
    _npm(node, *BUILD)
    STAMP.write_text(f"{packages} {sources}\n")


def _npm(node: Node, *arguments: str) -> None:
    done = subprocess.run(
        [*node.npm, *arguments], cwd=SOURCE, env=node.environment, capture_output=True, check=False, text=True
    )
    if done.returncode:
        told = f"{done.stdout}\n{done.stderr}".strip()[-3000:]
        raise InstallError(f"`npm {' '.join(arguments)}` failed in {SOURCE}. It said:\n{told}")


def _package_files() -> Iterator[Path]:
    yield from (SOURCE / "package.json", SOURCE / "package-lock.json")


def _source_files() -> Iterator[Path]:
    yield from sorted(SOURCE.glob("tsconfig*.json"))
    for folder in ("src", "test"):
        yield from sorted((SOURCE / folder).rglob("*.ts"))


def _digest(files: Iterator[Path] | list[Path]) -> str:
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(SOURCE)}\n".encode() + path.read_bytes())
    return found.hexdigest()


if __name__ == "__main__":
    try:
        install(find())
    except (InstallError, NodeError) as error:
        raise SystemExit(f"The application cannot be installed. {error}") from None
