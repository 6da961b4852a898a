"""A rehearsal over several hosts that share no disk, under live writers; two workers and a scheduler are lost in loads.

One story is told once, by a fixture; each test looks at a part of it. `make test-distributed` installs what it needs.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from partition_playbook.artifacts import REPORT_PAGE, run_name
from partition_playbook.names import TableName
from partition_playbook.sections.snapshot.backup import SUMS
from staging import image
from staging.rest import AirflowClient
from tests.distributed import hosts
from tests.distributed.deployment import NUMBERS, SCHEDULERS, STORE, Deployment, deployed
from tests.fixtures import sabotage
from tests.fixtures.running_airflow import APPROVAL, MIGRATION, SECOND_APPROVAL, SIGN_OFF, Migration
from tests.fixtures.scenario_writer import Key, Statement, Writer, read_rows

MISSING = hosts.missing() or image.missing()
pytestmark = [pytest.mark.skipif(bool(MISSING), reason=MISSING), pytest.mark.timeout(2400)]

TABLE = TableName("depot", "parcelScans")
LIVE = 'depot."parcelScans" AS live'
STATEMENTS = (
    Statement(
        "insert",
        f"""INSERT INTO {LIVE} (gate_no, "scannedAt", weight_kg, extra)
        VALUES (1 + %(n)s %% 20, %(moment)s, 0.5, jsonb_build_object('n', %(n)s))""",
    ),
    Statement("scan now", f"INSERT INTO {LIVE} (gate_no, label) VALUES (3, 'label ' || %(n)s)"),
    Statement("move", f"""UPDATE {LIVE} SET "scannedAt" = %(moment)s WHERE "scanId"::text = %(scanId)s"""),
    Statement("weigh", f"""UPDATE {LIVE} SET weight_kg = 7.125 WHERE "scanId" = %(scanId)s::uuid"""),
    Statement("delete", f"""DELETE FROM {LIVE} WHERE "scanId" = %(scanId)s::uuid"""),
)
WRITTEN = 2_000  # rows that exist before the run and that the writer may change too
PACE_SECONDS = 0.05

START_SECONDS = 600  # for a busy machine
BACK_SECONDS = 45
DAGS = (MIGRATION, "partition_maintenance", "partition_rollback")
LOAD, BACK_UP, ROLL_BACK = "migration.load_partition", "snapshot.back_up", "roll_back_standing_run"
CELERY = ("celery", "--app", "airflow.providers.celery.executors.celery_executor.app")
CONF = {
    "table": "scans",
    "mode": "rehearse",
    "approvals": "required",
    "backup": "dump",
    "accept_weaker_uniqueness": True,
    "watch_minutes": 0,
    "load_workers": 1,
}
SESSIONS = """
SELECT a.pid, host(a.client_addr)
  FROM pg_stat_activity a
 WHERE a.application_name = %s AND a.state = %s
   AND EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.objsubid = 1)
"""
WAITS = f"""
SELECT FROM pg_stat_activity WHERE application_name = 'partition_playbook {ROLL_BACK}' AND wait_event_type = 'Lock'
"""
TRIES = """
SELECT task_id, map_index, try_number, state, hostname FROM task_instance_history WHERE run_id = %s
UNION ALL SELECT task_id, map_index, try_number, state, hostname FROM task_instance WHERE run_id = %s
"""
# The newest first: a load that waited was queued again when it was resumed.
QUEUED_BY = """
SELECT j.hostname, t.map_index, t.try_number
  FROM task_instance t JOIN job j ON j.id = t.queued_by_job_id
 WHERE t.run_id = %s AND t.task_id = %s AND t.state = 'running' AND t.hostname = %s
 ORDER BY t.queued_dttm DESC
"""
QUEUED_SINCE = """
SELECT DISTINCT j.hostname
  FROM task_instance t JOIN job j ON j.id = t.queued_by_job_id
 WHERE t.queued_dttm > %s
"""
# Steps that a task does once: a phase that it reaches, the swap, the copy of a load's rows.
DONE = """
SELECT detail->'origin'->>'task_id', (detail->'origin'->>'map_index')::int, kind, message,
       array_agg((detail->'origin'->>'try_number')::int)
  FROM partition_playbook.events
 WHERE run_id = %s
   AND (kind = 'phase' OR message LIKE 'Swap the names of %%' OR message LIKE 'Copy the rows of a load %%')
 GROUP BY 1, 2, 3, 4
"""
VERDICT = "SELECT phase, verdict FROM partition_playbook.runs WHERE run_id = %s"
REPORT = "SELECT content, sha256 FROM partition_playbook.reports WHERE run_id = %s AND name = %s"
RELKIND = """SELECT relkind FROM pg_class WHERE oid = 'depot."parcelScans"'::regclass"""

# Executed on a worker; Airflow writes warnings to the standard output, so the answer is the last line.
TRY_STORE = """
import json
from airflow.sdk import ObjectStoragePath
from partition_playbook.sections.snapshot.storage import artifacts_store
found = artifacts_store(ObjectStoragePath)
print(json.dumps([found.outcome.value, found.actual]))
"""
READ_BACK = """
import hashlib, json, os, pathlib, subprocess, sys, tempfile
from airflow.sdk import ObjectStoragePath
folder, local = ObjectStoragePath(sys.argv[1]), pathlib.Path(tempfile.mkdtemp())
sums = (folder / "SHA256SUMS").read_bytes()
for line in sums.decode().splitlines():
    expected, name = line.split("  ")
    content = folder.joinpath(*name.split("/")).read_bytes()
    assert hashlib.sha256(content).hexdigest() == expected, name
    (local / name).parent.mkdir(exist_ok=True)
    (local / name).write_bytes(content)
(dump,) = local.iterdir()
command = ["pg_restore", "--data-only", "--schema=depot", "--table=parcelScans", "--file=-", dump]
rows = subprocess.run(command, check=True, capture_output=True, text=True).stdout
copied = rows.partition("FROM stdin;\\n")[2].partition("\\n\\\\.\\n")[0]
print(json.dumps([hashlib.sha256(sums).hexdigest(), len(copied.splitlines())]))
"""


@dataclass
class Story:
    """The observations of a whole run, for the tests to judge."""

    deployment: Deployment
    run: Migration
    writer: Writer
    others: dict[Key, str]  # rows that the writer never touches
    seen: dict[str, Any] = field(default_factory=dict)

    @property
    def connection(self) -> psycopg.Connection[Any]:
        return self.run.connection

    def differences(self) -> dict[str, list[Key]]:
        """Compare every row of the table with the writer's record and the rows of the beginning."""
        with self.writer.paused():
            found = read_rows(self.connection, TABLE, ("scanId",))
            expected = self.others | self.writer.record
        rows = dict(found)
        return {
            "lost": [key for key in expected if key not in rows],
            "resurrected": [key for key in rows if key not in expected],
            "stale": [key for key in rows if key in expected and rows[key] != expected[key]],
            "doubled": [] if len(rows) == len(found) else [key for key, _ in found],
        }

    def holder(self, task_id: str, state: str) -> tuple[int, str]:
        """Wait until a session of a task has an advisory lock and is in a state; return its pid and its host."""
        names = {hosts.address(number): name for name, number in NUMBERS.items()}
        known: list[tuple[int, str]] = []

        def found() -> bool:
            known[:] = self.connection.execute(SESSIONS, (f"partition_playbook {task_id}", state)).fetchall()
            return bool(known)

        wait_for(f"{task_id} has an advisory lock", found, START_SECONDS)
        pid, address = known[0]
        return pid, names[address]

    def seconds_until_gone(self, pid: int) -> float:
        """Return the seconds until a session is gone, and with it its advisory locks."""
        began = time.monotonic()
        wait_for("the session is gone", lambda: not self._is_alive(pid), 2 * BACK_SECONDS)
        return time.monotonic() - began

    def _is_alive(self, pid: int) -> bool:
        return bool(self.connection.execute("SELECT FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchall())

    def last_tries(self, task_id: str) -> dict[int, int]:
        """Return the number of the last try of each part of a mapped task."""
        return {each.map_index: each.try_number for each in self.run.tasks(task_id, "success")}

    def hosts_of(self, task_id: str) -> set[str]:
        """Return the hosts of all tries of a task."""
        tries = self.run.metadata(TRIES, self.run.run_id, self.run.run_id)
        return {host for task, _, _, _, host in tries if task == task_id and host}


def wait_for(what: str, reached: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not {what} after {seconds} s"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Tell the story: migrate and return under live writers, while workers are lost."""
    with deployed(tmp_path_factory.mktemp("hosts")) as deployment:
        wait_for("Airflow is healthy", lambda: AirflowClient.healthy(deployment.url), START_SECONDS)
        AirflowClient.warm_up(deployment.url)
        connection = psycopg.connect(deployment.conninfo(), autocommit=True)
        with connection, deployment.client() as client:
            for dag in DAGS:
                client.wait_for_dag(dag)
                client.pause(dag, paused=False)
            began = read_rows(connection, TABLE, ("scanId",))
            with Writer(deployment.conninfo(), ("scanId",), STATEMENTS, pace=PACE_SECONDS) as writer:
                writer.record = dict(began[:WRITTEN])
                writer.start()
                keep_files_apart(deployment)
                run_id = client.trigger(MIGRATION, CONF).run_id
                pauses = {"pause_seconds": 1, "patience": START_SECONDS}
                run = Migration(client, deployment, connection, run_id, **pauses)  # type: ignore[arg-type]
                found = Story(deployment, run, writer, dict(began[WRITTEN:]))
                migrate(found)
                found.seen["after GO"] = found.differences()
                roll_back(found)
                yield found


def keep_files_apart(deployment: Deployment) -> None:
    """Let the worker of the queue of files take no other task."""
    queues("cancel_consumer", deployment)


def queues(action: str, deployment: Deployment) -> None:
    command = (*CELERY, "control", "--timeout", "30", "--destination", "celery@worker-files", action, "default")
    wait_for("the worker answers", lambda: "OK" in deployment.hosts["worker"].attempt(*command), START_SECONDS)


def migrate(story: Story) -> None:
    """Go to GO; lose a worker's link in a load, and kill one in another."""
    run, connection = story.run, story.connection
    run.wait_for("the ledger is there", lambda: run.tasks("preflight.check_preconditions", "success"))
    connection.execute("SELECT pg_advisory_lock(1)")
    sabotage.at(connection, "loads", sabotage.LOADED, sabotage.HOLD)
    connection.execute("GRANT USAGE ON SCHEMA sabotage TO partition_playbook")
    run.wait_for("backed up", lambda: run.tasks(BACK_UP, "success"))
    queues("add_consumer", story.deployment)

    lose_a_link(story)
    kill_a_worker(story)
    kill_a_scheduler(story)
    connection.execute("SELECT pg_advisory_unlock(1)")
    story.seen["routes"] = run.client.trigger("partition_maintenance", {"table": "routes"}).run_id
    run.answer("Approve")
    run.answer("Approve", SECOND_APPROVAL)
    run.answer("Approve", SIGN_OFF)
    story.seen["state"] = run.finish()


def lose_a_link(story: Story) -> None:
    pid, name = story.holder(LOAD, "active")
    story.run.wait_for("another load waits", lambda: story.run.tasks(LOAD, "deferred"))
    story.deployment.hosts[name].cut_off()
    story.seen["lost"] = (pid, name, story.seconds_until_gone(pid))
    story.deployment.hosts[name].reconnect()


def kill_a_worker(story: Story) -> None:
    pid, name = story.holder(LOAD, "active")
    story.deployment.hosts[name].kill()
    story.seen["killed"] = (pid, name, story.seconds_until_gone(pid))
    story.deployment.serve(name)


def kill_a_scheduler(story: Story) -> None:
    """Kill the scheduler that queued a running load; the other one has to go on with the run alone."""
    _, worker = story.holder(LOAD, "active")
    scheduler, load, number = story.run.metadata(QUEUED_BY, story.run.run_id, LOAD, worker)[0]
    story.deployment.hosts[scheduler].kill()
    story.seen["scheduler"] = (scheduler, load, number, datetime.now(UTC))


def roll_back(story: Story) -> None:
    """Roll back; lose the link of its worker while it has the advisory lock of the step, and waits for a reader."""
    client, writes = story.run.client, story.writer.writes
    with psycopg.connect(story.deployment.conninfo()) as reader:
        reader.execute('SELECT FROM depot."parcelScans" LIMIT 1')
        undo = client.trigger("partition_rollback", {"table": "scans"}).run_id
        wait_for("the swap waits for the reader", lambda: story.connection.execute(WAITS).fetchall(), START_SECONDS)
        pid, name = story.holder(ROLL_BACK, "idle")
        story.deployment.hosts[name].cut_off()
        story.seen["lost with the step"] = (pid, name, story.seconds_until_gone(pid))
    story.deployment.hosts[name].reconnect()

    wait_for("rolled back", lambda: client.run("partition_rollback", undo).finished, START_SECONDS)
    story.seen["rolled back"] = client.run("partition_rollback", undo).state
    story.writer.let_write(10, since=writes)
    story.seen["after the rollback"] = story.differences()


def answer(output: str) -> Any:
    return json.loads(output.splitlines()[-1])


def test_the_run_is_a_go_and_no_row_is_lost(story: Story) -> None:
    assert story.seen["state"] == "success", story.run.story()
    assert all(story.run.tasks(question, "success") for question in (APPROVAL, SECOND_APPROVAL, SIGN_OFF))
    assert story.seen["after GO"] == {"lost": [], "resurrected": [], "stale": [], "doubled": []}
    assert story.writer.errors == []
    assert story.writer.writes > 500


def test_the_rollback_keeps_every_write(story: Story) -> None:
    assert story.seen["rolled back"] == "success"
    assert story.seen["after the rollback"] == {"lost": [], "resurrected": [], "stale": [], "doubled": []}
    assert story.connection.execute(RELKIND).fetchone() == ("r",)
    assert story.connection.execute(VERDICT, (story.run.run_id,)).fetchone() == ("abandoned", "rolled back")


def test_the_tasks_of_a_section_ran_on_different_workers(story: Story) -> None:
    assert story.hosts_of("snapshot.benchmark_before") == {"worker"}
    assert story.hosts_of(BACK_UP) == {"worker-files"}
    assert story.hosts_of(LOAD) == {"worker", "worker-files"}


def test_the_run_goes_on_without_the_scheduler_that_queued_a_running_load(story: Story) -> None:
    killed, load, number, moment = story.seen["scheduler"]
    (other,) = set(SCHEDULERS) - {killed}
    assert story.run.metadata(QUEUED_SINCE, moment) == [(other,)]
    assert story.last_tries(LOAD)[load] == number


def test_nothing_is_done_twice(story: Story) -> None:
    done = story.connection.execute(DONE, (story.run.run_id,)).fetchall()
    assert [each for each in done if len(each[-1]) > 1] == []
    assert {each[0] for each in done} >= {"migration.cut_over", "rollback.roll_back", "rollback.migrate_again"}

    copied = {index: number for task, index, _, _, (number,) in done if task == LOAD}
    assert copied == story.last_tries(LOAD)


@pytest.mark.parametrize("fate", ["lost", "killed", "lost with the step"])
def test_a_worker_that_is_gone_gives_its_lock_back(story: Story, fate: str) -> None:
    _, _, seconds = story.seen[fate]
    assert seconds < BACK_SECONDS


def test_a_load_that_waits_names_the_session_that_is_gone(story: Story) -> None:
    pid, name, _ = story.seen["lost"]
    holder = f"pid {pid} user partition_playbook application 'partition_playbook {LOAD}' from "
    holder += hosts.address(NUMBERS[name])
    assert f"1 load slot, all taken, by {holder}" in "\n".join(told_of(story, LOAD))


def told_of(story: Story, task_id: str) -> Iterator[str]:
    """Yield the logs of the last tries of a task, from the store."""
    for task in story.run.tasks(task_id):
        yield story.run.client.log(MIGRATION, story.run.run_id, task)


def test_the_report_in_the_api_server_is_that_of_the_ledger_and_of_the_store(story: Story) -> None:
    content, sha256 = story.connection.execute(REPORT, (story.run.run_id, REPORT_PAGE)).fetchone() or (b"", "")
    served = story.run.client.get(f"/partition_playbook/report?run_id={quote(story.run.run_id)}")
    kept = stored(story) / "runs" / run_name(story.run.run_id) / REPORT_PAGE
    assert hashlib.sha256(served).hexdigest() == sha256
    assert served == kept.read_bytes() == content
    assert [*story.deployment.hosts["api-server"].disk.rglob(REPORT_PAGE)] == []


def stored(story: Story) -> Path:
    return story.deployment.hosts["s3"].disk / "data" / "archive"


def test_the_other_worker_reads_the_backup_from_the_store(story: Story) -> None:
    left = [path for host in story.deployment.hosts.values() for path in host.disk.rglob("toc.dat")]
    kept = stored(story) / "runs" / run_name(story.run.run_id) / "backup"
    assert [path.parents[1] for path in left] == [kept]

    place = f"{STORE}/runs/{run_name(story.run.run_id)}/backup"
    reader = story.deployment.hosts["worker"]
    sums, rows = answer(reader.run("python", "-c", READ_BACK, place, **story.deployment.store()))
    assert sums == hashlib.sha256((kept / SUMS).read_bytes()).hexdigest()
    assert rows > 45_000


def test_a_store_with_other_keys_is_refused(story: Story) -> None:
    worker = story.deployment.hosts["worker"]
    outcome, _ = answer(worker.run("python", "-c", TRY_STORE, **story.deployment.store()))
    assert outcome == "passed"
    outcome, actual = answer(worker.run("python", "-c", TRY_STORE, **story.deployment.store(password="another")))
    assert outcome == "failed"
    assert "the object store can't be used from the worker worker" in actual


def test_a_retired_partition_is_in_the_store(story: Story) -> None:
    client, run_id = story.run.client, story.seen["routes"]
    assert client.run("partition_maintenance", run_id).state == "success"
    (description,) = (stored(story) / "routes" / "depot.old_routes").glob("*.json")
    assert json.loads(description.read_text())["rows"] == 1000
