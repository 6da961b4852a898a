"""Load the fixtures, keep compiled modules, and choose the number of processes; nothing else."""

import os
import sys

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.tables",
    "tests.fixtures.managed",
    "tests.fixtures.migration",
    "tests.fixtures.object_server",
    "tests.fixtures.profiles",
    "tests.fixtures.scenario",
    "tests.fixtures.stages",
]

# Many containers set it. Each task of an Airflow is a new process, and would compile the whole package.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than cores: the tests of a running Airflow mostly wait for it."""
    return (os.cpu_count() or 1) + 1
