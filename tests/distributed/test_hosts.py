"""Networks of hosts that exist at once, and what a killed run leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from staging.image import PROJECT
from tests.distributed import hosts
from tests.fixtures.scenario_writer import wait_until

MISSING = hosts.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(300)]

# It tells where its server and its host are, and asks the host for its address when it is told to go on.
OWNER = """
import json, os, sys
from pathlib import Path
from staging.cluster import THROW_AWAY, temporary
from tests.distributed.hosts import Host, Network

folder = Path(sys.argv[1])
(folder / "secrets").mkdir()
(folder / "hosts").touch()
server = THROW_AWAY | {"listen_addresses": "*", "port": "5432"}
with Network(folder) as network, temporary(server) as cluster:
    host = Host("worker", 10, network, dict(os.environ), lambda disk: None)
    host.boot()
    sleeping = host.start("sleep", "infinity")
    server = int((cluster.data / "postmaster.pid").read_text().split()[0])
    print(json.dumps({"data": str(cluster.data), "pids": [host.init, sleeping.pid, server]}), flush=True)
    sys.stdin.readline()
    print(json.dumps({"address": host.run("hostname", "--all-ip-addresses").strip()}), flush=True)
    host.kill()
"""


@contextmanager
def owner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the owner of a network, a server and a host."""
    folder.mkdir()
    path = {"PYTHONPATH": os.pathsep.join((str(PROJECT / "plugins"), str(PROJECT)))}
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, folder],
        cwd=PROJECT,
        env=os.environ | path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        yield started


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout
    found: dict[str, Any] = json.loads(process.stdout.readline())
    return found


def left(found: dict[str, Any]) -> list[str]:
    """Return what is still there of an owner's server and host."""
    alive = [pid for pid in found["pids"] if psutil.pid_exists(pid)]
    processes = [each for each in map(psutil.Process, alive) if each.status() != psutil.STATUS_ZOMBIE]
    return [*map(str, processes), *(str(each) for each in (Path(found["data"]).parent,) if each.exists())]


def test_a_killed_run_leaves_nothing_and_another_one_with_the_same_addresses_goes_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        one, other = (stack.enter_context(owner(tmp_path / name)) for name in ("one", "other"))
        killed, kept = told(one), told(other)
        assert len(left(killed)) == len(left(kept)) == 4

        one.kill()
        wait_until(lambda: not left(killed), "gone with its run")

        answer, _ = other.communicate("go on\n")
        assert json.loads(answer) == {"address": hosts.address(10)}
        assert (other.returncode, left(kept)) == (0, [])
