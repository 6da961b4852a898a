"""No process of the application outlives its demo, nor `make down` after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from staging import instance
from staging.backend.processes import BackendError, serving

CRASH = """
import os, signal, sys
from pathlib import Path
from staging.backend.processes import serving
with serving(sys.argv[1], Path(sys.argv[2])) as server:
    print(server.url, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
ROOT = Path(__file__).resolve().parents[2]


def test_the_server_ends_with_its_context(dsn: str, tmp_path: Path) -> None:
    with serving(dsn, tmp_path) as server:
        assert httpx.get(f"{server.url}/health").status_code == 200
        assert len(instance.processes(tmp_path)) == 1
    assert instance.processes(tmp_path) == []


def test_what_a_crash_leaves_is_found_by_its_mark(dsn: str, tmp_path: Path) -> None:
    crashed = subprocess.run(
        [sys.executable, "-c", CRASH, dsn, str(tmp_path)],
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": psutil.Process().environ()["PATH"]},
        capture_output=True,
        check=False,
        text=True,
    )
    assert crashed.returncode == -signal.SIGKILL
    url = crashed.stdout.strip()
    assert httpx.get(f"{url}/health").status_code == 200

    instance.stop(tmp_path)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/health")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(BackendError, match=r"dist/src/server\.js does not start[\s\S]*POOL_SIZE"),
        serving("postgresql://jo@127.0.0.1:1/none", tmp_path, pool_size=0),
    ):
        raise AssertionError("it started")
