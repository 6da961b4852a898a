"""A test run that is killed leaves no server behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from tests.fixtures.postgres import DSN_VARIABLE
from tests.fixtures.scenario_writer import wait_until

PROJECT = Path(__file__).resolve().parents[2]
# A test that tells the process and the folder of its server, and then waits to be killed.
TEST = """
import sys
import psycopg

def test_it(programs):
    from staging import cluster

    with cluster.temporary(programs=programs) as server:
        process = (server.data / "postmaster.pid").read_text().split()[0]
        print(process, server.data.parent, file=sys.__stdout__, flush=True)
        sys.stdin.read()
"""


def test_the_server_of_a_killed_run_ends_and_its_folder_goes(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(TEST)
    options = ("-p", "tests.fixtures.postgres", "-p", "no:cacheprovider", "--rootdir", PROJECT, "--capture", "no")
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", "-q", *options, path],
        cwd=PROJECT,
        env={name: value for name, value in os.environ.items() if name != DSN_VARIABLE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with run:
        assert run.stdout
        told = next(line for line in run.stdout if line.partition(" ")[0].isdigit())
        server, folder = psutil.Process(int(told.split()[0])), Path(told.split()[1])
        assert server.is_running()
        assert folder.is_dir()

        run.kill()
        wait_until(lambda: not server.is_running() and not folder.exists(), "gone with its run")
