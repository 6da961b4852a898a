"""Load the fixtures; nothing else."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.tables",
    "tests.fixtures.migration",
    "tests.fixtures.profiles",
    "tests.fixtures.scenario",
    "tests.fixtures.stages",
]
