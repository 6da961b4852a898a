"""Each event is told once, by a real mail server and a real webhook, and nothing that fails there is in the way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import asdict, dataclass, replace
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import check
from partition_playbook.engine import way_back
from partition_playbook.errors import CaptureLost, LockNotGranted, PreconditionFailed, Unreachable
from partition_playbook.people import ANSWERED, STAY, Answer, Question
from partition_playbook.run import Run
from tests.fixtures.mailbox import CONNECTION, Mailbox, receiving, smtp
from tests.fixtures.web import Quiet, served

RUN = "http://airflow.example/dags/partition_migration/runs/r"
PARAMS = {"table": "sensor_readings", "mode": "rehearse", "approvals": "required"}
EVIL = "{{ 7 * 7 }} <script>"


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    return migrated_template


@pytest.fixture
def mailbox(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    with receiving() as box:
        monkeypatch.setenv(CONNECTION, box.connection)
        yield box


def callbacks(task: Any, how: str) -> list[Any]:
    """Return what is called where a task ends so; Airflow keeps those of a mapped one as they were given."""
    found = getattr(task, f"on_{how}_callback")
    return list(found) if isinstance(found, list | tuple) else [found]


@dataclass(frozen=True)
class Told:
    """A task of a DAG that comes to something, and a run whose ledger is real."""

    dags: Any
    run: Run

    def ends(
        self,
        task_id: str,
        how: str,
        error: Exception | None = None,
        dag_id: str = "partition_migration",
        map_index: int = -1,
        **more: Any,
    ) -> None:
        """Do what Airflow does where a task ends so."""
        task = self.dags.dags[dag_id].get_task(task_id)
        ti = SimpleNamespace(
            dag_id=dag_id,
            run_id="r",
            task_id=task_id,
            map_index=map_index,
            try_number=1,
            log_url=f"{RUN}/tasks/{task_id}?try_number=1",
        )
        context = {"task": task, "dag": task.dag, "ti": ti, "task_instance": ti, "params": PARAMS, "run_id": "r"}
        context |= {"dag_run": SimpleNamespace(triggering_user_name="ada"), "exception": error} | more
        for announce in task.notifiers if how == "asks" else callbacks(task, how):
            here = copy(announce)
            here.run = self.current
            here(context)

    def current(self, context: Any) -> Run:
        """Return the run whose ledger writes under the task's section."""
        section = context["ti"].task_id.split(".")[0].removeprefix("go_no_go_")
        return replace(self.run, ledger=replace(self.run.ledger, section=section))


@pytest.fixture
def told(dags: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> Told:
    from partition_playbook.airflow import approvals, notifications

    told = Told(dags, run)
    monkeypatch.setattr(notifications, "current_run", told.current)
    monkeypatch.setattr(approvals, "current_run", told.current)
    monkeypatch.setattr(notifications, "standing_run", lambda context: told.run)
    return told


def record(run: Run, section: str, name: str, passed: bool) -> None:
    replace(run.ledger, section=section).record_checks(
        [check(name, passed, expected="x", actual=EVIL, remedy="mend it")]
    )


def gate(told: Told, passed: bool = True) -> None:
    record(told.run, "pruning", "regressions", passed)
    told.ends("go_no_go_pruning", "success")


def stay(told: Told) -> None:
    record(told.run, "pruning", "speedup_week", False)
    answer = Answer(Question.WAIVER, "pruning", STAY, False, None, "noon")
    replace(told.run.ledger, section="pruning").add_note(ANSWERED, **asdict(answer))
    told.ends("go_no_go_pruning", "success")


def ask(told: Told) -> None:
    record(told.run, "migration", "row_content_before_cutover", True)
    told.ends("migration.approve_cutover", "asks")


def lose_way_back(told: Told) -> None:
    with told.run.database.session() as session:
        session.connection.execute("DROP TABLE IF EXISTS partition_playbook.public_sensor_readings_changes CASCADE")
    with pytest.raises(CaptureLost) as lost:
        way_back.keep_open(told.run)
    told.ends("standby.keep_open", "failure", lost.value, "partition_standby", maintained_table="sensor_readings")


EVENTS: dict[str, tuple[Callable[[Told], None], str, str]] = {
    "start": (lambda told: told.ends("preflight.open_run", "success"), "started", "triggered by ada"),
    "gate": (gate, "GO after pruning", "the run continues"),
    "no-go": (lambda told: gate(told, passed=False), "NO-GO after pruning", "FAIL regressions: expected x"),
    "stay": (
        stay,
        "NO-GO after pruning: the partitioned table stays live",
        "Nobody answered in time after the no-go of",
    ),
    "approval": (ask, "a person is asked: cut over?", "answer Approve or Reject within 7 days, else it is Reject: "),
    "failure": (
        lambda told: told.ends("migration.cut_over", "failure", LockNotGranted("t", 9.0, 3, ["pid 7"])),
        "migration.cut_over failed",
        "held by: pid 7",
    ),
    "done": (
        lambda told: told.ends("decision.say_verdict", "success"),
        "done: GO",
        "partition_rollback undoes the migration",
    ),
    "red": (
        lambda told: told.ends(
            "maintenance.maintain_one",
            "failure",
            PreconditionFailed("NO-GO after maintenance"),
            "partition_maintenance",
            maintained_table="sensor_readings",
        ),
        "maintenance is red",
        "partition_playbook.health has the figures",
    ),
    "way back lost": (lose_way_back, "the way back is lost", "only the backup leads back"),
    "rolled back": (
        lambda told: told.ends("roll_back_standing_run", "success", dag_id="partition_rollback"),
        "done",
        "partition_rollback succeeded",
    ),
}


@pytest.mark.parametrize("event", EVENTS)
def test_each_event_is_told_once_with_what_to_do_and_where(told: Told, mailbox: Mailbox, event: str) -> None:
    happens, subject, text = EVENTS[event]
    happens(told)
    happens(told)
    (mail,) = mailbox.mails
    assert str(mail["Subject"]).endswith(f"sensor_readings: {subject}")
    assert (mail["To"], mail["From"]) == ("dba@example.com", "airflow@example.com")
    assert text in mailbox.text
    assert "Next: " in mailbox.text
    assert RUN in mailbox.text


def test_no_go_of_the_whole_run_is_no_failure(told: Told, mailbox: Mailbox) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    told.ends("decision.say_verdict", "failure", AirflowFailException("NO-GO: too slow"))
    told.ends("decision.say_verdict", "failure", OSError("no connection"))
    assert mailbox.events == ["done: NO-GO", "decision.say_verdict failed"]


def test_other_reason_is_another_event(told: Told, mailbox: Mailbox) -> None:
    for pid in (7, 7, 8):
        told.ends("migration.cut_over", "failure", LockNotGranted("t", 9.0, 3, [f"pid {pid}"]))
    assert len(mailbox.mails) == 2


def test_many_mapped_loads_that_fail_for_one_cause_are_one_message(told: Told, mailbox: Mailbox) -> None:
    for number in range(20):
        error = OSError(f"no route to host, partition {number}")
        told.ends("migration.load_partition", "failure", error, map_index=number)
    assert mailbox.events == ["migration.load_partition failed"]
    told.ends("migration.load_partition", "failure", PreconditionFailed("another cause"), map_index=3)
    assert len(mailbox.mails) == 2


def test_what_comes_from_data_is_neither_rendered_nor_markup(told: Told, mailbox: Mailbox) -> None:
    gate(told, passed=False)
    assert "{{ 7 * 7 }} &lt;script&gt;" in mailbox.text


def test_without_a_connection_nobody_is_told(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    gate(told)
    assert [each for each in told.run.ledger.events() if each["kind"] == "announcement"] == []
    assert caplog.records == []


def test_dead_mail_server_is_logged_and_the_webhook_still_told(
    told: Told, webhook: list[Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(CONNECTION, smtp(1))
    gate(told)
    assert "partition_playbook_smtp: could not send" in caplog.text
    (sent,) = webhook
    assert sent["title"].endswith("GO after pruning")
    assert "the run continues" in sent["message"]


def test_dead_ledger_does_not_keep_a_failure_quiet(
    told: Told, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dead(*_: object) -> bool:
        raise OSError("no connection")

    monkeypatch.setattr("partition_playbook.ledger.Ledger.announce_once", dead)
    told.ends("migration.cut_over", "failure", OSError("no connection"))
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize("down", [psycopg.OperationalError("no connection"), Unreachable("no server listens there")])
def test_database_that_is_down_is_not_told_every_five_minutes(told: Told, mailbox: Mailbox, down: Exception) -> None:
    told.ends("standby.keep_open", "failure", down, "partition_standby", maintained_table="sensor_readings")
    assert mailbox.mails == []


async def _ending(trigger: Any) -> None:
    assert [event.payload["state"] async for event in trigger.run()] == ["running", "success"]


def test_rollback_that_is_late_is_told_by_the_deadline_of_its_dag(dags: Any, mailbox: Mailbox) -> None:
    """Airflow's triggerer calls it, with a run and without a task."""
    from airflow.triggers.callback import CallbackTrigger

    (deadline,) = dags.dags["partition_rollback"].deadline
    dag_run = {"dag_id": "partition_rollback", "dag_run_id": "manual__2026 late", "conf": {"table": "sensor_readings"}}
    context = {"dag_run": dag_run, "deadline": {"id": "1", "deadline_time": "2026-11-24T01:00:00+00:00"}}
    asyncio.run(_ending(CallbackTrigger(deadline.callback.path, {"context": context})))
    assert mailbox.events == ["not done by its deadline"]
    assert "2026-11-24T01:00:00" in mailbox.text
    assert "/dags/partition_rollback/runs/manual__2026%20late" in mailbox.text


def test_every_task_tells_its_failure_and_ends_its_log_with_it(dags: Any) -> None:
    from partition_playbook.airflow.last_line import tell_failure
    from partition_playbook.airflow.notifications import Announce, AnnounceFailure

    for dag in dags.dags.values():
        for task in dag.tasks:
            # A pass that fails every five minutes leaves no note each time.
            kind = Announce if task.task_id == "standby.keep_open" else AnnounceFailure
            announce, last_line = callbacks(task, "failure")
            assert type(announce) is kind, task.task_id
            assert last_line is tell_failure, task.task_id


@pytest.fixture
def webhook(airflow_home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    sent: list[Any] = []

    class Hook(Quiet):
        def do_POST(self) -> None:
            sent.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

    with served(Hook) as address:
        extra = {"config": {"path": f"{address.replace('http', 'json')}/", "tag": "dba"}}
        connection = json.dumps({"conn_type": "apprise", "extra": extra})
        monkeypatch.setenv("AIRFLOW_CONN_PARTITION_PLAYBOOK_APPRISE", connection)
        yield sent
