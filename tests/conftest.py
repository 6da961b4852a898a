"""Load the fixtures, and choose the number of processes; nothing else."""

import os

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


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than cores: the tests of a running Airflow mostly wait for it."""
    return (os.cpu_count() or 1) + 1
