"""A wheel of the working tree, and a virtual environment that has the project only as that wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from uv import find_uv_bin

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel, and an Airflow home without a line of the project."""

    folder: Path
    home: Path

    def run(self, *command: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment outside the checkout; fail with its output if it ends with another code."""
        program = self.folder / "bin" / command[0]
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.home,
            env=self._settings() | environment,
            capture_output=True,
            check=False,
            text=True,
        )
        assert done.returncode == code, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done

    def _settings(self) -> Mapping[str, str]:
        ours = ("AIRFLOW", "PARTITION_PLAYBOOK", "PYTHON", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return kept | {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        }


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source archive, and the wheel from it: so both are complete."""
    folder = tmp_path_factory.mktemp("wheel")
    uv("build", "--no-build-isolation", "--python", sys.executable, "--out-dir", folder, PROJECT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel into an empty environment; what it depends on is read from the environment of the tests."""
    folder, home = tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("home")
    uv("venv", "--allow-existing", "--python", sys.executable, folder)
    uv("pip", "install", "--no-deps", "--offline", "--python", folder / "bin" / "python", wheel)

    packages = next(folder.glob("lib/python3.*/site-packages"))
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return Installed(folder, home)


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([find_uv_bin(), *arguments], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
