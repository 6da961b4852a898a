"""Test the newest release of Airflow and the newest pre-release: `python -m tests.airflows`, or with versions.

Each has a virtual environment of its own in `.staging`, with the pins of constraints.txt for all other packages.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from uv import find_uv_bin

from staging.environment import STATE
from tests.fixtures.pins import CONSTRAINTS, PROJECT, not_pinned, pins

# The packages that are released together.
RELEASED = {"apache-airflow", "apache-airflow-core", "apache-airflow-task-sdk"}
# Every module is imported, the DAGs load and keep their orders, a rehearsal goes to GO, and people answer questions.
TESTS = (
    "tests/packaging/test_wheel.py",
    "tests/dags",
    "tests/acceptance/test_readme.py",
    "tests/acceptance/running/test_approvals.py",
)
# One process, and an hour for each test: on a busy machine a test takes long, and is not wrong.
OPTIONS = ("-n", "0", "--timeout", "3600", "-p", "no:cacheprovider")


def main(versions: Iterable[str]) -> int:
    """Test with each version and return the number of those that failed."""
    ended = {}
    for version in versions:
        print(f"Airflow {version}", flush=True)
        python = install(version)
        ended[version] = subprocess.run([python, "-m", "pytest", *OPTIONS, *TESTS], cwd=PROJECT, check=False).returncode

    for version, status in ended.items():
        print(f"Airflow {version}: {'failed' if status else 'passed'}")
    return sum(map(bool, ended.values()))


def newest() -> list[str]:
    """List the newest release of the package index, and the newest pre-release if that is newer."""
    return sorted({_newest("disallow"), _newest("allow")}, key=Version)


def _newest(prerelease: str) -> str:
    asked = ("pip", "compile", "--no-deps", "--no-header", "--no-annotate", "--prerelease", prerelease, "-")
    return _uv(*asked, text="apache-airflow").strip().partition("==")[2]


def install(version: str) -> Path:
    """Install a version of Airflow beside what the tests need; return the Python that has it.

    Prints each package that is not as in constraints.txt. CalledProcessError if nothing resolves.
    """
    folder = STATE / f"airflow-{version}"
    if not (folder / "bin" / "python").exists():
        _uv("venv", "--python", sys.executable, folder)

    with tempfile.TemporaryDirectory() as given:
        wanted, constraints = Path(given) / "wanted.txt", Path(given) / "constraints.txt"
        files = (PROJECT / "requirements.txt", PROJECT / "requirements-dev.txt")
        wanted.write_text("\n".join([f"apache-airflow=={version}", *_others(files)]))
        constraints.write_text("\n".join(_others([CONSTRAINTS])))
        command = ("pip", "install", "--compile-bytecode", "--python", folder, "--requirements", wanted)
        try:
            _uv(*command, "--constraints", constraints)
        except subprocess.CalledProcessError:
            print(f"Airflow {version} does not resolve with the pins of constraints.txt. It is installed without them.")
            _uv(*command)

    installed = pins(_uv("pip", "freeze", "--python", folder).splitlines())
    for name, found in not_pinned(installed).items():
        print(f"{name} {', '.join(found)}")
    return folder / "bin" / "python"


def _others(files: Iterable[Path]) -> Iterator[str]:
    """Yield the requirements of some files, without those on Airflow itself."""
    for line in (line for file in files for line in file.read_text().splitlines()):
        if not line.startswith(("#", "-")) and canonicalize_name(Requirement(line).name) not in RELEASED:
            yield line


def _uv(*arguments: str | Path, text: str | None = None) -> str:
    command = [find_uv_bin(), "--quiet", *arguments]
    return subprocess.run(command, cwd=PROJECT, check=True, input=text, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:] or newest()))
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"Airflow can't be installed. {error}") from None
