"""The console answers from a real ledger, only to whoever may read the DAGs, and stays bounded on a big one."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import Jsonb

from partition_playbook.checks import check
from partition_playbook.console import answers, write_pace
from partition_playbook.engine import reconcile, throttle, way_back
from partition_playbook.gates import EVIDENCE
from partition_playbook.ledger import Ledger
from partition_playbook.maintenance.maintain import maintain
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.people import TRIGGERED
from partition_playbook.run import Run
from partition_playbook.spec import TABLES_VARIABLE, load_spec, spec_path
from tests.fixtures.dag_runs import CONNECTION
from tests.fixtures.earlier import MAINTENANCE_RUN_ID, RENAMED, restore_first_build
from tests.fixtures.migration import migrate
from tests.fixtures.moments import this_month
from tests.fixtures.tables import open_run

Connection = psycopg.Connection[Any]
PREFIX = "/partition_playbook"
RUN = {"run_id": "test-run"}
TABLE = f"{PREFIX}/api/tables/sensor_readings"
ANSWERS = [
    "partitions",
    "runs",
    "progress",
    "server",
    "headlines",
    "backlog",
    "measurements",
    "gates",
    "plans",
    "events",
]
REPORT, PLAN = f"{PREFIX}/report", f"{PREFIX}/plan"
AUDIT = f"{TABLE}/events.csv"
PATHS = [f"{PREFIX}/", f"{PREFIX}/static/console.js", REPORT, PLAN, f"{PREFIX}/api/tables", f"{PREFIX}/api/find", AUDIT]
PATHS += [f"{TABLE}/{each}" for each in ANSWERS]
COUNTED = "FROM pg_stat_statements WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"


@pytest.fixture(scope="session")
def template(migrated_template: str) -> str:
    """Start every test where the worked table was migrated."""
    return migrated_template


@pytest.fixture(scope="session")
def api(airflow_metadata: None) -> Any:
    """Return Airflow's app with its plugins and its auth manager, as the API server makes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow and its dependencies deprecate among themselves
        from airflow.api_fastapi.app import init_auth_manager, init_plugins
        from fastapi import FastAPI, testclient  # noqa: F401

        app = FastAPI()
        init_plugins(app)
        init_auth_manager(app)
    return app


@pytest.fixture
def client(api: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a client without a session; the spec's Airflow connection leads to this test's database."""
    from fastapi.testclient import TestClient

    from partition_playbook.console import read

    monkeypatch.setenv(CONNECTION, _uri(dsn))
    read.database.cache_clear()
    with TestClient(api, follow_redirects=False) as opened:
        yield opened
    read.database.cache_clear()


def _uri(dsn: str) -> str:
    if urlsplit(dsn).scheme:
        return dsn
    parts = {"password": "", **conninfo_to_dict(dsn)}
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def sign_in(client: Any, role: str | None) -> Any:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="somebody", role=role))
    client.cookies.set("_token", token)
    return client


@pytest.fixture
def viewer(client: Any) -> Any:
    """Return a client that is signed in as somebody who may only look."""
    return sign_in(client, "VIEWER")


@pytest.fixture
def earlier(connection: Connection) -> None:
    """Put the database of the first build in the place of this one."""
    connection.execute("DROP SCHEMA public, partition_playbook CASCADE; CREATE SCHEMA public")
    restore_first_build(connection)


@pytest.fixture
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the API server a folder of artifacts that no worker writes to."""
    from partition_playbook.artifacts import ARTIFACTS_VARIABLE

    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path / "nothing"))
    return tmp_path / "nothing"


@pytest.fixture
def report(no_files: Path, run: Run) -> bytes:
    """Return the report of the run, as its ledger keeps it."""
    content = "<!doctype html>\r\n<title>GÖ</title>\n".encode()
    run.ledger.keep_files({"report.html": content})
    return content


def ask(client: Any, path: str, **values: Any) -> Any:
    answer: httpx.Response = client.get(f"{TABLE}/{path}", params=RUN | values)
    assert answer.status_code == 200, answer.text
    return answer.json()


# ---- The report of a run


def test_report_is_served_byte_by_byte_from_the_ledger_and_nothing_in_it_runs(
    viewer: Any, report: bytes, no_files: Path
) -> None:
    answer = viewer.get(REPORT, params=RUN)
    assert answer.content == report
    assert not no_files.exists()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["etag"] == f'"{hashlib.sha256(report).hexdigest()}"'
    assert answer.headers["cache-control"] == "no-cache, private"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "script-src 'self'" in viewer.get(f"{PREFIX}/").headers["content-security-policy"]


@pytest.mark.parametrize("run_id", ["another-run", "test-ru", "../test-run", "/etc/passwd", "test-run/../test-run", ""])
@pytest.mark.usefixtures("report")
def test_report_of_a_run_that_no_ledger_knows_is_not_there(viewer: Any, run_id: str) -> None:
    from partition_playbook.artifacts import artifacts_folder

    (artifacts_folder(run_id) / "report.html").write_text("a secret")
    answer = viewer.get(REPORT, params={"run_id": run_id})
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_run_without_a_report_has_no_folder_made_for_it(viewer: Any, no_files: Path) -> None:
    assert viewer.get(REPORT, params=RUN).status_code == 404
    assert not no_files.exists()


def test_report_that_was_changed_in_the_ledger_is_not_served(
    viewer: Any, report: bytes, connection: Connection
) -> None:
    connection.execute("UPDATE partition_playbook.reports SET content = content || 'more'")
    answer = viewer.get(REPORT, params=RUN)
    assert answer.status_code == 404
    assert hashlib.sha256(report).hexdigest() in answer.json()["problem"]


@pytest.mark.usefixtures("earlier")
def test_report_of_an_earlier_version_is_served_from_its_file(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partition_playbook.artifacts import ARTIFACTS_VARIABLE, export

    assert viewer.get(REPORT, params=RUN).status_code == 404
    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path))
    export("test-run", {"report.html": b"as it was"}, Path)
    answer = viewer.get(REPORT, params=RUN)
    assert (answer.text, answer.headers["content-type"]) == ("as it was", "text/html; charset=utf-8")
    assert "sandbox" in answer.headers["content-security-policy"]
    assert ask(viewer, "progress")["has_report"]


def test_last_task_links_to_the_report_that_the_console_serves(viewer: Any, report: bytes) -> None:
    from partition_playbook.airflow.links import ReportLink

    link = urlsplit(ReportLink().get_link(None, ti_key=SimpleNamespace(run_id="test-run")))
    assert viewer.get(f"{link.path}?{link.query}").content == report


# ---- The plan of a run


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the plan.sql of a run that no ledger knows, with its plan.json beside it."""
    from partition_playbook.artifacts import ARTIFACTS_VARIABLE, artifacts_folder

    monkeypatch.setenv(ARTIFACTS_VARIABLE, str(tmp_path))
    path = artifacts_folder("manual__plan") / "plan.sql"
    path.write_text("-- <script>alert(1)</script>\nSELECT 'ä';\n")
    path.with_name("plan.json").write_text('{"plan_hash": "0123456789abcdef"}')
    return path


def test_plan_of_a_run_in_mode_plan_is_served_as_text_to_copy(viewer: Any, planned: Path) -> None:
    from partition_playbook.airflow.links import PlanLink

    link = urlsplit(PlanLink().get_link(None, ti_key=SimpleNamespace(run_id="manual__plan")))
    answer = viewer.get(f"{link.path}?{link.query}")
    assert answer.text == planned.read_text()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    values = viewer.get(PLAN, params={"run_id": "manual__plan", "kind": "json"})
    assert values.json() == {"plan_hash": "0123456789abcdef"}


@pytest.mark.parametrize(
    "run_id", ["another-run", "../manual__plan", "/etc/passwd", "manual__plan/../manual__plan", ""]
)
def test_plan_of_another_run_is_not_there(viewer: Any, planned: Path, run_id: str) -> None:
    answer = viewer.get(PLAN, params={"run_id": run_id})
    assert answer.status_code == 404
    assert answer.json()["problem"] == f"{run_id}: there is no plan of this run".removeprefix(": ")


def test_a_load_links_to_its_bar(viewer: Any) -> None:
    from partition_playbook.airflow.links import PartitionLink

    load = SimpleNamespace(partition="sensor_readings_y2026m11")
    key = SimpleNamespace(dag_id="partition_migration", run_id="manual__2026-11-24T00:00:00+00:00")
    link = urlsplit(PartitionLink().get_link(load, ti_key=key))
    assert viewer.get(f"{link.path}?{link.query}").text == viewer.get(f"{PREFIX}/").text
    assert dict(parse_qsl(link.query)) == vars(key) | vars(load)


# ---- Who may look


def test_every_route_is_in_the_list(api: Any) -> None:
    (mounted,) = (route.app for route in api.routes if getattr(route, "path", "") == PREFIX)
    paths = {route.path for route in mounted.routes} - {"/metrics"}  # it has a token of its own: see below
    listed = {path.removeprefix(PREFIX).replace("sensor_readings", "{table}") for path in PATHS}
    assert paths == {path.replace("console.js", "{name}") for path in listed}


def statuses(client: Any) -> dict[str, int]:
    return {path: client.get(path, params=RUN).status_code for path in PATHS}


def test_nobody_sees_anything_without_a_session(client: Any) -> None:
    page, *others = PATHS
    assert statuses(client) == {page: 303} | dict.fromkeys(others, 401)
    assert client.get(page).headers["location"].startswith("/api/v2/auth/login?next=")


def test_a_user_without_rights_sees_nothing(client: Any) -> None:
    assert statuses(sign_in(client, None)) == dict.fromkeys(PATHS, 403)


def test_a_user_who_may_look_sees_all(viewer: Any, run: Run, report: bytes) -> None:
    run.ledger.keep_files({"plan.sql": b"SELECT 1;\n"})
    assert statuses(viewer) == dict.fromkeys(PATHS, 200)


@pytest.mark.parametrize("hidden", ["partition_migration", "partition_maintenance"])
def test_one_dag_that_may_not_be_read_is_enough(viewer: Any, hidden: str) -> None:
    from airflow.api_fastapi.app import get_auth_manager

    def readable(*, details: Any, **_: Any) -> bool:
        return bool(details.id != hidden)

    with patch.object(get_auth_manager(), "is_authorized_dag", readable):
        assert statuses(viewer) == dict.fromkeys(PATHS, 403)


def test_a_forged_session_is_refused(client: Any) -> None:
    client.cookies.set("_token", "e30.e30.e30")
    assert client.get(f"{PREFIX}/api/tables").status_code == 403


def test_nothing_can_be_changed(viewer: Any) -> None:
    methods = ("POST", "PUT", "PATCH", "DELETE")
    assert {viewer.request(method, path).status_code for method in methods for path in PATHS} == {405}


# ---- The page


def test_the_page_lets_nothing_in_from_elsewhere(viewer: Any) -> None:
    page = viewer.get(f"{PREFIX}/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "http" not in page.text
    assert "style=" not in page.text


def test_the_files_of_the_page_and_no_others_are_served(viewer: Any) -> None:
    assert viewer.get(f"{PREFIX}/static/console.css").headers["content-type"].startswith("text/css")
    for name in ("..%2fapp.py", "%2e%2e", "app.py", "nothing.js"):
        assert viewer.get(f"{PREFIX}/static/{name}").status_code == 404


# ---- What is answered


def test_a_migrated_table(viewer: Any, connection: Connection) -> None:
    shown = ask(viewer, "partitions")
    names = {
        name for (name,) in connection.execute("SELECT relname FROM pg_class WHERE relispartition AND relkind='r'")
    }
    assert {each["name"] for each in shown["partitions"]} == names
    assert {each["role"] for each in shown["siblings"]} == {"table", "retired"}
    (size,) = connection.execute("SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('sensor_readings')")
    assert sum(each["bytes"] for each in shown["partitions"]) == size[0]
    ranged = [each for each in shown["partitions"] if not each["is_default"]]
    assert [each["upper"] for each in ranged[:-1]] == [each["lower"] for each in ranged[1:]]
    assert shown["partitions"][-1]["is_default"]
    ahead = load_spec("sensor_readings").premake + 1
    assert shown["horizon"] == this_month().add(months=ahead).to_iso8601_string()
    assert shown["interval_change"] == ""


def test_a_change_of_the_interval_is_told_before_anything_happens(
    viewer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_path("sensor_readings").read_text()
    (tmp_path / "sensor_readings.yaml").write_text(spec + "\ninterval: week\n")
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    shown = ask(viewer, "partitions")
    assert shown["interval"] == "week"
    assert "partitions of one week begin at " in shown["interval_change"]
    assert "partitions of one month stay up to " in shown["interval_change"]


def test_ranges_of_ids_are_shown_by_their_ids(
    viewer: Any, connection: Connection, connect: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "events.yaml").write_text("table: events\npartition_by: id\ninterval: 1000\npremake: 1\n")
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    connection.execute(
        "CREATE TABLE events (id bigint PRIMARY KEY); INSERT INTO events SELECT generate_series(1, 1500);ANALYZE events"
    )
    migrate(open_run(connect, load_spec("events"), "moved"))
    maintain(open_run(connect, load_spec("events"), "upkeep", "maintenance"), MaintenanceParams())

    tables = f"{PREFIX}/api/tables/events"
    shown = viewer.get(f"{tables}/partitions").json()
    bounds = [(each["lower"], each["upper"]) for each in shown["partitions"]]
    assert bounds == [(0, 1000), (1000, 2000), (2000, 3000), (None, None)]
    assert (shown["now"], shown["horizon"], shown["interval"]) == (1500, 3000, "1000 ids")
    assert (shown["ids_left"], shown["ids_last"][:24]) == (1499, "1,499 ids left before 3000"[:24])
    assert "unknown until a look that is an hour later" in shown["ids_last"]
    # 500 ids in half a day, so the others last for a day and a half.
    connection.execute(
        "UPDATE partition_playbook.measurements SET taken_at = now() - interval '12 hours',"
        " detail = jsonb_set(detail, '{greatest_id}', '1000') WHERE run_id = 'upkeep' AND name = 'bytes'"
    )
    maintain(open_run(connect, load_spec("events"), "later", "maintenance"), MaintenanceParams())
    assert "before 3000; they last for about 3" in viewer.get(f"{tables}/partitions").json()["ids_last"]
    loads = viewer.get(f"{tables}/progress", params={"run_id": "moved"}).json()["loads"]
    assert [(each["lower"], each["upper"]) for each in loads] == bounds[:3]


def test_a_run_with_its_loads(viewer: Any, connection: Connection) -> None:
    shown = ask(viewer, "progress")
    assert shown["run"]["phase"] == "live"
    assert {each["state"] for each in shown["loads"]} == {"attached"}
    assert sum(each["rows"] for each in shown["loads"]) == 20_000
    assert shown["waiting_changes"] == 0
    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 3")
    assert ask(viewer, "progress")["waiting_changes"] == 3
    assert {"cutover_held_ms", "cutover_waited_ms"} <= {each["name"] for each in ask(viewer, "measurements")}


def test_a_run_with_a_retired_table_says_what_a_rollback_would_take(viewer: Any, run: Run) -> None:
    assert ask(viewer, "progress")["way_back"] is None
    way_back.keep_open(run)
    shown = ask(viewer, "progress")["way_back"]
    assert (shown["state"], shown["seconds"]) == ("in step", pytest.approx(5, abs=1))
    assert shown["sentences"][0].startswith("A rollback now takes about ")


@pytest.fixture
def airflow_knows(api: Any) -> Iterator[Callable[..., None]]:
    """Return a function that makes Airflow know a run of the migration, with one task of some state."""
    from airflow.models import DagRun, TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import delete, insert, text

    dag_id, now = "partition_migration", datetime.now(UTC)
    key = {"dag_id": dag_id, "run_id": "test-run"}

    def know(state: str, task_id: str, task_state: str, question: str = "") -> None:
        run = key | {"run_type": "manual", "state": state, "run_after": now, "start_date": now, "end_date": now}
        task = key | {"task_id": task_id, "state": task_state, "start_date": now, "end_date": now, "map_index": -1}
        task |= {"pool": "default_pool", "pool_slots": 1, "id": uuid4(), "try_number": 1, "max_tries": 3}
        with create_session() as session:
            session.execute(text("PRAGMA foreign_keys = OFF"))  # the DAG itself was not parsed here
            session.execute(insert(DagRun).values(run))
            session.execute(insert(TaskInstance).values(task))
            if question:
                session.execute(insert(HITLDetail).values(ti_id=task["id"], options=["Approve"], subject=question))

    yield know
    with create_session() as session:
        session.execute(delete(HITLDetail))
        session.execute(delete(TaskInstance).where(TaskInstance.run_id == "test-run"))
        session.execute(delete(DagRun).where(DagRun.run_id == "test-run"))


def test_a_failed_run_says_where_since_when_why_and_what_to_do(
    viewer: Any, run: Run, airflow_knows: Callable[..., None]
) -> None:
    lost = ask(viewer, "progress")["run"]
    assert (lost["state"], lost["next_step"][:36]) == ("lost", "Airflow no longer knows this run. Tr")

    airflow_knows("failed", "validation.validate", "failed")
    ledger = Ledger(run.database, "test-run", "validation")
    ledger.add_note("validation.validate failed: the disk is full", failed="validation.validate")
    shown = ask(viewer, "progress")
    assert (shown["run"]["state"], shown["run"]["state_in"]) == ("failed", "validation.validate")
    assert shown["run"]["state_since"]
    assert shown["failure"] == "validation.validate failed: the disk is full"
    assert "clear the task: the run resumes there. Or trigger partition_rollback" in shown["run"]["next_step"]
    listed = next(each for each in viewer.get(f"{PREFIX}/api/tables").json() if each["spec"] == "sensor_readings")
    assert listed["last_run"]["state"] == ask(viewer, "runs")[0]["state"] == "failed"

    ledger.close("rolled back")
    ended = ask(viewer, "progress")
    assert (ended["run"]["state"], ended["run"]["next_step"], ended["failure"]) == ("rolled back", "", None)


def test_a_run_that_asks_says_what_and_where_to_answer(viewer: Any, airflow_knows: Callable[..., None]) -> None:
    assert ask(viewer, "progress")["questions"] == []
    airflow_knows("running", "migration.approve_cutover", "awaiting_input", "sensor_readings: cut over?")
    shown = ask(viewer, "progress")
    (question,) = shown["questions"]
    assert (question["subject"], question["task_id"]) == ("sensor_readings: cut over?", "migration.approve_cutover")
    assert question["path"] == f"{shown['dag_run']}/tasks/migration.approve_cutover/required_actions"
    assert shown["dag_run"] == "dags/partition_migration/runs/test-run"
    assert {each["section"]: each["state"] for each in shown["steps"]}["migration"] == "asks a person"


def test_a_run_names_its_tasks_at_work_and_its_sections(
    viewer: Any, run: Run, airflow_knows: Callable[..., None]
) -> None:
    replace(run.ledger, section="preflight").record_checks([check("disk", True, expected="room", actual="some")])
    airflow_knows("running", "migration.verify_online", "running")
    shown = ask(viewer, "progress")
    assert [(each["task_id"], each["count"]) for each in shown["working"]] == [("migration.verify_online", 1)]
    states = {each["section"]: each["state"] for each in shown["steps"]}
    assert list(states) == [*EVIDENCE, "decision"]
    assert (states["preflight"], states["migration"], states["decision"]) == ("passed", "running", "pending")


@pytest.mark.usefixtures("report")
def test_a_run_names_its_person_and_its_files(viewer: Any, connection: Connection, run: Run) -> None:
    shown = ask(viewer, "progress")
    assert (shown["run"]["triggered_by"], shown["has_report"], shown["has_plan"]) == (None, True, False)
    assert ask(viewer, "runs")[0]["triggered_by"] is None

    run.ledger.keep_files({"plan.sql": b"SELECT 1;\n"})
    connection.execute(
        "UPDATE partition_playbook.events SET message = %s, detail = %s WHERE event_id = 2",
        (TRIGGERED, Jsonb({"by": "kim"})),
    )
    shown = ask(viewer, "progress")
    assert (shown["run"]["triggered_by"], shown["has_plan"]) == ("kim", True)
    assert viewer.get(PLAN, params=RUN).content == b"SELECT 1;\n"
    assert ask(viewer, "runs")[0]["triggered_by"] == "kim"


def test_a_load_that_is_under_way(viewer: Any, connection: Connection, dsn: str) -> None:
    connection.execute("UPDATE partition_playbook.loads SET state = 'loading', rows = NULL WHERE rows > 1000")
    loading = [each for each in ask(viewer, "progress")["loads"] if each["state"] == "loading"]
    assert len(loading) > 5
    assert all(0.5 < each["rows_so_far"] / each["expected_rows"] < 2 for each in loading)


@pytest.mark.parametrize("filled", [False, True])
def test_a_load_that_has_its_partition_for_itself(viewer: Any, connection: Connection, dsn: str, filled: bool) -> None:
    """It empties it, or all its rows are in and its key is being built: nobody waits, and no bar falls back."""
    connection.execute("UPDATE partition_playbook.loads SET state = 'loading', rows = NULL WHERE rows > 1000")
    name = next(each["name"] for each in ask(viewer, "progress")["loads"] if each["state"] == "loading")
    with psycopg.connect(dsn) as load:
        if filled:
            load.execute(f"INSERT INTO {name} SELECT * FROM {name} LIMIT 0")
        load.execute(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE")
        (seen,) = (each for each in ask(viewer, "progress")["loads"] if each["name"] == name)
        (listed,) = (each for each in ask(viewer, "partitions")["partitions"] if each["name"] == name)
    assert seen["rows_so_far"] == (seen["expected_rows"] if filled else None)
    assert listed["bytes"] is None


def test_what_is_not_begun_says_why(viewer: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that waits for room says so; with whatever it tells next it waits no more."""
    seen: list[Any] = []

    def paused() -> bool:
        run.ledger.add_note("another task goes on")
        seen.append(ask(viewer, "progress")["waits"])
        return len(seen) < 3

    monkeypatch.setattr(throttle, "POLL_SECONDS", 0.01)
    origin = {"task_id": "migration.load_partition", "map_index": 3}
    load = replace(run, ledger=Ledger(run.database, "test-run", "migration", origin), paused=paused)
    throttle.wait_until_calm(load, "sensor_readings_y2026m11")
    before, *during = seen
    why = "paused by the Airflow Variable partition_playbook_pause"
    asked = ("migration.load_partition", "sensor_readings_y2026m11", why)
    assert before == ask(viewer, "progress")["waits"] == []
    assert [[(each["task"], each["partition"], each["why"]) for each in waits] for waits in during] == [[asked]] * 2


def test_who_waits_for_a_lock_is_named(viewer: Any, dsn: str, waits: Callable[[int], None]) -> None:
    with psycopg.connect(dsn) as holder, psycopg.connect(dsn, autocommit=True) as waiter:
        holder.execute("LOCK TABLE sensor_readings IN SHARE MODE")
        waiter.execute("SET application_name = 'the application'")
        secret = "UPDATE sensor_readings SET battery = 4711 WHERE id = 1 AND source = 'a secret'"
        blocked = threading.Thread(target=waiter.execute, args=(secret,))
        blocked.start()
        waits(waiter.info.backend_pid)
        found = ask(viewer, "progress")["lock_waits"]
        (client,) = holder.execute("SELECT coalesce(host(inet_client_addr()), 'a local socket')").fetchone() or ("",)
        asked = [("the application", client, "sensor_readings", [holder.info.backend_pid])]
        holder.rollback()
        blocked.join()
    assert [(each["application"], each["client"], each["table"], each["blocked_by"]) for each in found] == asked
    shown = "UPDATE sensor_readings SET battery = ? WHERE id = ? AND source = ..."
    assert [each["query"] for each in found] == [shown]


def test_who_is_in_the_way_is_named_with_the_statement_that_ends_it(
    viewer: Any, dsn: str, waits: Callable[[int], None]
) -> None:
    """A session that is idle in its transaction has no statement to cancel: only its end helps."""
    with psycopg.connect(dsn) as idle, psycopg.connect(dsn, autocommit=True) as waiter:
        first, second = idle.info.backend_pid, waiter.info.backend_pid
        (client,) = waiter.execute("SELECT coalesce(host(inet_client_addr()), 'a local socket')").fetchone() or ("",)
        idle.execute("LOCK TABLE sensor_readings IN SHARE MODE")
        waiter.execute("SET application_name = 'the application'")
        alter = "ALTER TABLE sensor_readings ADD CHECK (battery <> 4711)"
        active = threading.Thread(target=waiter.execute, args=(alter,))
        active.start()
        waits(waiter.info.backend_pid)
        with psycopg.connect(dsn, autocommit=True) as last:
            queued = threading.Thread(target=last.execute, args=("SELECT count(*) FROM sensor_readings",))
            queued.start()
            waits(last.info.backend_pid)
            found = {each["pid"]: each for each in ask(viewer, "server")["blockers"]}
            idle.rollback()
            active.join()
            queued.join()
    assert found[first]["statement"] == f"SELECT pg_terminate_backend({first});"
    assert (found[first]["state"], found[first]["blocks"]) == ("idle in transaction", 1)
    assert found[second]["statement"] == f"SELECT pg_cancel_backend({second});"
    assert (found[second]["application"], found[second]["blocks"]) == ("the application", 1)
    assert found[second]["query"] == "ALTER TABLE sensor_readings ADD CHECK (battery <> ?)"
    assert all(each["since"] and not each["is_ours"] and each["client"] == client for each in found.values())


def test_an_old_lock_is_in_the_way_of_a_swap_before_anybody_waits(
    viewer: Any, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partition_playbook.console import server_state

    with psycopg.connect(dsn) as reader:
        reader.execute("SELECT FROM sensor_readings LIMIT 1")
        assert ask(viewer, "server")["blockers"] == []
        monkeypatch.setattr(server_state, "LONG_SECONDS", 0)
        (found,) = ask(viewer, "server")["blockers"]
        assert (found["pid"], found["blocks"]) == (reader.info.backend_pid, 0)
        reader.execute("SET application_name = 'partition_playbook load'")
        assert ask(viewer, "server")["blockers"] == []


def test_the_state_of_the_server_stands_beside_the_limits_of_the_run(viewer: Any, connection: Connection) -> None:
    throttle = {"max_running": 0, "max_replica_lag": 60, "max_active_connections": 0.5}
    connection.execute(
        "UPDATE partition_playbook.runs SET spec = spec || jsonb_build_object('throttle', %s)", (Jsonb(throttle),)
    )
    shown = ask(viewer, "server")
    (most,) = connection.execute("SELECT current_setting('max_connections')::int").fetchall()[0]
    limits = {each["name"]: (each["limit"], each["unknown"]) for each in shown["limits"]}
    assert limits == {"replica lag": (60.0, ""), "connections": (most / 2, ""), "running sessions": (0, "")}
    before = shown["wal_bytes"]
    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 100")
    assert ask(viewer, "server")["wal_bytes"] > before
    assert (shown["free_bytes"] is None) == bool(shown["free_unknown"])


def test_a_figure_that_the_role_may_not_see_is_named(
    viewer: Any, connection: Connection, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from partition_playbook.console import read

    role = f"viewer_{uuid4().hex[:8]}"
    connection.execute(
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA partition_playbook TO {role};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA partition_playbook TO {role};"
        f"REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC"
    )
    try:
        parts = urlsplit(_uri(dsn))
        host = parts.netloc.rpartition("@")[2]
        monkeypatch.setenv(CONNECTION, parts._replace(netloc=f"{role}:x@{host}").geturl())
        read.database.cache_clear()
        shown = ask(viewer, "server")
        assert shown["wal_bytes"] is None
        unknown = {each["name"]: each["unknown"] for each in shown["limits"]}
        grant = "the role does not see it: GRANT pg_monitor TO this role"
        assert unknown == {"replica lag": grant, "connections": "", "running sessions": grant}
    finally:
        read.database.cache_clear()
        connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_the_headline_figures_are_those_of_the_run(viewer: Any) -> None:
    names = ["lock waited", "lock held", "slowest write", "rows per second", "rollback"]
    shown = ask(viewer, "progress")["headlines"]
    assert [each["name"] for each in shown] == names
    values = {each["name"]: each["value"] for each in shown}
    assert values["slowest write"] == values["lock waited"] + values["lock held"]
    assert values["rollback"] is None
    compared = {each["name"]: each["value"] for each in ask(viewer, "headlines")}
    assert compared.items() >= values.items()
    assert (compared["rows loaded"], compared["duration"]) == (20_000, None)


@pytest.fixture
def waits(connection: Connection) -> Callable[[int], None]:
    """Return a function that comes back when a session waits for a lock."""

    def until(pid: int) -> None:
        asked = "SELECT pg_sleep(0.01) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while not connection.execute(asked, (pid,)).fetchall():
            pass

    return until


def test_the_gates_show_the_last_outcome_of_every_check(viewer: Any, run: Run) -> None:
    ledger = Ledger(run.database, "test-run", "preflight")
    ledger.record_checks(
        [check("disk", False, expected="room", actual="none", remedy="Make room", evidence={"free": 1})]
    )
    (gate,) = (each for each in ask(viewer, "gates") if each["section"] == "preflight")
    assert not gate["go"]
    assert gate["checks"][0] | {"remedy": "Make room", "evidence": {"free": 1}} == gate["checks"][0]
    ledger.record_checks([check("disk", True, expected="room", actual="some")])
    (gate,) = (each for each in ask(viewer, "gates") if each["section"] == "preflight")
    assert gate["go"]


def test_a_waived_check_stands_beside_every_verdict_of_its_run(viewer: Any, run: Run) -> None:
    waived = check("regressions", False, expected="x", actual="y").waived("jo", "noon", "known")
    replace(run.ledger, section="pruning").record_checks([waived])
    run.ledger.close("go")
    assert ask(viewer, "progress")["waived"] == ["regressions waived by jo: known"]
    (gate,) = [each for each in ask(viewer, "gates") if each["section"] == "pruning"]
    assert gate["go"]
    assert [(each["outcome"], each["actual"]) for each in gate["checks"]] == [("waived", "y; waived by jo: known")]


def test_plans_stand_side_by_side(viewer: Any, run: Run) -> None:
    detail = {"planning_ms": 0.1, "execution_ms": 1.0, "buffers": 3, "plan": {"Node Type": "Seq Scan"}, "runs": [1.1]}
    run.ledger.record_measurement("before", "count", 1.1, "ms", **detail)
    run.ledger.record_measurement("after", "count", 0.5, "ms", **detail)
    assert [(each["query"], each["before"]["ms"], each["after"]["ms"]) for each in ask(viewer, "plans")] == [
        ("count", 1.1, 0.5)
    ]
    assert "count" not in {each["name"] for each in ask(viewer, "measurements")}


def test_events_are_paged_and_filtered(viewer: Any, connection: Connection) -> None:
    recorded = connection.execute("SELECT event_id FROM partition_playbook.events ORDER BY event_id DESC").fetchall()
    seen: list[int] = []
    while page := ask(viewer, "events", **({"before": seen[-1]} if seen else {})):
        seen += [each["event_id"] for each in page]
    assert seen == [event_id for (event_id,) in recorded]
    assert {each["kind"] for each in ask(viewer, "events", kind="note")} == {"note"}
    found = ask(viewer, "events", text="SWAPPED FORWARD")
    assert [each["message"].split(":")[0] for each in found] == ["swapped forward"]
    assert ask(viewer, "events", section="nowhere") == []
    assert ask(viewer, "events", text="%") != seen  # a percent sign is looked for, not a pattern


def test_the_audit_is_a_file_with_all_events_that_match(viewer: Any, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition_playbook.events (run_id, section, kind, message) "
        "SELECT 'test-run', 'migration', 'note', 'note ' || n FROM generate_series(1, 7000) AS n"
    )
    found = audit(viewer)
    recorded = connection.execute("SELECT event_id FROM partition_playbook.events ORDER BY event_id DESC").fetchall()
    assert [int(each["event_id"]) for each in found] == [event_id for (event_id,) in recorded]
    notes = audit(viewer, kind="note", text="note 69")
    assert len(notes) == 111  # note 69, ten with one more digit, and a hundred with two
    answer = viewer.get(AUDIT, params=RUN)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="audit_sensor_readings_test-run.csv"'


def audit(client: Any, **filters: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(client.get(AUDIT, params=RUN | filters).text)))


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1"])
def test_no_spreadsheet_takes_a_text_of_the_audit_for_a_formula(viewer: Any, run: Run, evil: str) -> None:
    replace(run.ledger, section=evil).add_note(evil)
    (found,) = audit(viewer, section=evil)
    assert (found["message"], found["section"]) == (f"'{evil}", f"'{evil}")


def test_two_runs_are_told_in_the_same_figures(viewer: Any, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition_playbook.runs (run_id, table_schema, table_name, mode, spec, params, ended_at, verdict) "
        "SELECT 'other-run', table_schema, table_name, mode, spec, params, now(), 'go' FROM partition_playbook.runs"
    )
    other = ask(viewer, "headlines", run_id="other-run")
    assert [each["name"] for each in other] == [each["name"] for each in ask(viewer, "headlines")]
    assert {each["name"] for each in other if each["value"]} == {"duration"}


def test_a_shadow_counts_the_bytes_of_its_partitions(viewer: Any, connection: Connection) -> None:
    connection.execute("ALTER TABLE sensor_readings RENAME TO sensor_readings_new")
    connection.execute("ALTER TABLE sensor_readings_old RENAME TO sensor_readings")
    shown = ask(viewer, "partitions")
    sizes = {each["role"]: each["bytes"] for each in shown["siblings"]}
    (size,) = connection.execute(
        "SELECT sum(pg_total_relation_size(relid)) FROM pg_partition_tree('sensor_readings_new')"
    )
    assert sizes["shadow"] == size[0] > 0
    assert shown["partitions"] == []
    assert sizes["table"] > 0


def test_the_backlog_is_what_the_reconciler_saw(viewer: Any, run: Run, connection: Connection) -> None:
    with run.database.session() as session:
        run.ledger.sample_backlog(session, 700, estimated=True)
        run.ledger.sample_backlog(session, 30)
    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 3")
    reconcile.catch_up(run)
    reconcile.catch_up(run)  # there is nothing to do, and so nothing to tell
    seen = ask(viewer, "backlog")
    assert [(each["before"], each["waiting"]) for each in seen] == [(700, 700), (30, 30), (3, 0)]
    assert [each["estimated"] for each in seen] == [True, False, False]
    assert ask(viewer, "backlog", after=seen[1]["event_id"]) == seen[2:]
    assert ask(viewer, "backlog", after=seen[2]["event_id"]) == []


SAMPLE = """
INSERT INTO partition_playbook.events (run_id, section, kind, message, rows, happened_at, detail)
VALUES ('test-run', 'migration', 'backlog', 'changes wait', 0, now() - make_interval(secs => %s), %s)
"""


def test_the_rate_of_the_application_stands_beside_the_one_that_reconcile_follows(
    viewer: Any, run: Run, connection: Connection
) -> None:
    told = check("write_rate", True, expected="", actual="", evidence={"followed_per_second": 9_000, "measured": ""})
    replace(run.ledger, section="preflight").record_checks([told])
    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 100")
    before = ask(viewer, "progress")["pace"]
    assert (before["written"], before["followed"], before["verdict"]) == (None, 9_000, "unknown")
    assert before["source"] == "a cautious assumption"

    (last,) = connection.execute(
        "SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, '_partition_playbook_change'))",
        (run.table.change_log.quoted,),
    ).fetchall()[0]
    # The newest sample tells a moment; a batch of 500 changes in ten seconds is no measurement yet.
    connection.execute(SAMPLE, (100, Jsonb({"position": last - 100})))
    connection.execute(SAMPLE, (2, Jsonb({"position": last, "taken": 500, "seconds": 10})))
    shown = ask(viewer, "progress")["pace"]
    assert shown["written"] == pytest.approx(1, rel=0.2)
    assert shown["over"] == pytest.approx(100, rel=0.2)
    assert (shown["followed"], shown["verdict"]) == (9_000, "keeps up")

    connection.execute(SAMPLE, (1, Jsonb({"position": last, "taken": 500, "seconds": 2_000})))
    shown = ask(viewer, "progress")
    assert shown["pace"]["followed"] == pytest.approx(1_000 / 2_010)
    assert shown["pace"]["verdict"] == "falls behind"
    line = write_pace.describe(answers.Progress(**shown))
    assert line.startswith("falls behind: the application writes ")
    assert line.endswith("changes/s (measured by the last batches of this run); 100 changes in the change log")

    connection.execute("UPDATE partition_playbook.runs SET ended_at = now()")
    assert ask(viewer, "progress")["pace"] is None


def test_of_many_samples_the_peak_and_the_last_one_stay(viewer: Any, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO partition_playbook.events (run_id, section, kind, message, rows) "
        "SELECT 'test-run', 'migration', 'backlog', 'changes wait', CASE n WHEN 4711 THEN 24000 ELSE n %% 7 END "
        "FROM generate_series(1, 10000) AS n",
        (),
    )
    seen = ask(viewer, "backlog")
    assert len(seen) <= 251
    assert max(each["waiting"] for each in seen) == 24_000
    assert seen[-1]["waiting"] == 10_000 % 7
    assert [each["event_id"] for each in seen] == sorted(each["event_id"] for each in seen)


def test_what_is_not_reconciled_yet_is_sampled_at_the_end_of_each_load(
    viewer: Any, run: Run, connection: Connection
) -> None:
    from partition_playbook.airflow import progress

    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id <= 5")
    progress.tell(run)
    assert [each["waiting"] for each in ask(viewer, "backlog")] == [5]
    connection.execute(f"DROP TABLE {run.table.change_log} CASCADE")  # type: ignore[call-overload]
    progress.tell(run)  # a rollback dropped the change log: no load fails for it
    assert len(ask(viewer, "backlog")) == 1


def test_a_run_has_its_throughput_from_its_loads(viewer: Any) -> None:
    shown = ask(viewer, "progress")
    assert shown["eta"] is None
    assert 1 <= len(shown["throughput"]) <= 122
    assert sum(each["rows_per_second"] for each in shown["throughput"]) > 0


def test_a_dag_run_leads_to_its_table(viewer: Any) -> None:
    assert viewer.get(f"{PREFIX}/api/find", params=RUN).json() == [
        {"spec": "sensor_readings", "run_id": "test-run", "section": None}
    ]
    assert viewer.get(f"{PREFIX}/api/find", params={"run_id": "test"}).json() == []


@pytest.mark.parametrize(
    ("dag_id", "section"), [("partition_rollback", "roll_back_standing_run"), ("partition_finalize", "finalize")]
)
def test_a_dag_run_leads_to_the_run_that_it_ended(viewer: Any, run: Run, dag_id: str, section: str) -> None:
    def found(**asked: str) -> Any:
        return viewer.get(f"{PREFIX}/api/find", params=origin | asked).json()

    origin = {"dag_id": dag_id, "run_id": "manual__1"}
    assert found() == []
    Ledger(run.database, "test-run", section, origin).add_note("the run was triggered")
    assert found() == [{"spec": "sensor_readings", "run_id": "test-run", "section": section}]
    assert found(run_id="manual__2") == found(dag_id="partition_migration") == []


def test_a_run_of_another_table_is_none_of_this_one(viewer: Any, connection: Connection) -> None:
    connection.execute("UPDATE partition_playbook.runs SET table_name = 'other'")
    for path in ANSWERS[2:]:
        answer = viewer.get(f"{TABLE}/{path}", params=RUN)
        assert answer.status_code == 404
        assert "no such run of this table" in answer.json()["problem"]


# ---- What is not there


def test_a_database_that_does_not_answer(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from partition_playbook.console import read

    monkeypatch.setenv(CONNECTION, "postgresql://somebody:secret@127.0.0.1:1/nowhere")
    read.database.cache_clear()
    (listed,) = viewer.get(f"{PREFIX}/api/tables").json()
    assert listed["problem"]["problem"].startswith(
        "the Airflow connection partition_playbook_db, the server at 127.0.0.1"
    )
    answer = viewer.get(f"{TABLE}/partitions")
    assert answer.status_code == 503
    assert "secret" not in answer.text + str(listed)


def test_a_connection_that_was_changed_needs_no_restart(viewer: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = urlsplit(_uri(dsn))
    monkeypatch.setenv(CONNECTION, parts._replace(netloc=f"postgres@127.0.0.1:{1}").geturl())
    assert viewer.get(f"{TABLE}/partitions").status_code != 200
    monkeypatch.setenv(CONNECTION, _uri(dsn))
    assert ask(viewer, "partitions")["partitions"]


def test_a_connection_that_airflow_does_not_have(viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CONNECTION)
    answer = viewer.get(f"{TABLE}/partitions")
    assert answer.status_code == 503
    assert answer.json()["problem"].endswith(": Airflow has no connection of this id")
    assert answer.json()["remedy"].startswith("Export AIRFLOW_CONN_PARTITION_PLAYBOOK_DB=postgresql://")


def test_a_database_without_a_ledger(viewer: Any, connection: Connection) -> None:
    connection.execute("DROP SCHEMA partition_playbook CASCADE")
    (listed,) = viewer.get(f"{PREFIX}/api/tables").json()
    assert (listed["health"], listed["last_run"], listed["problem"]) == (None, None, None)
    assert len(ask(viewer, "partitions")["partitions"]) > 10
    answer = viewer.get(f"{TABLE}/gates", params=RUN)
    assert answer.status_code == 404
    assert "the ledger is missing" in answer.json()["problem"]


def test_a_table_that_no_spec_names(viewer: Any) -> None:
    answer = viewer.get(f"{PREFIX}/api/tables/pg_authid/partitions")
    assert answer.status_code == 404
    assert "there is no table spec" in answer.json()["problem"]


# ---- A big one


@pytest.fixture
def big(connection: Connection) -> Connection:
    """Return a database whose table has 1,000 partitions and whose run has 100,000 events."""
    if "pg_stat_statements" not in connection.execute("SHOW shared_preload_libraries").fetchall()[0][0]:
        pytest.skip("the server counts no statements: pg_stat_statements is not preloaded")
    connection.execute("CREATE EXTENSION pg_stat_statements")
    connection.execute(
        """
        DROP TABLE sensor_readings CASCADE;
        CREATE TABLE sensor_readings (recorded_at timestamptz) PARTITION BY RANGE (recorded_at);
        DO $$ BEGIN
            FOR n IN 0 .. 999 LOOP
                EXECUTE format('CREATE TABLE sensor_readings_%s PARTITION OF sensor_readings
                                FOR VALUES FROM (%L) TO (%L)', n, date '2024-01-01' + n, date '2024-01-02' + n);
            END LOOP;
        END $$;
        INSERT INTO partition_playbook.events (run_id, section, kind, message, statement, rows, duration_ms)
        SELECT 'test-run', 'migration', 'statement', 'Write rows', repeat('x', 300), n, 1
          FROM generate_series(1, 100000) AS n
        """
    )
    connection.execute("VACUUM (FREEZE, ANALYZE) partition_playbook.events")
    return connection


def test_a_big_table_takes_few_statements_and_pages(viewer: Any, big: Connection) -> None:
    cost: dict[str, tuple[int, int]] = {}
    for path in ANSWERS:
        ask(viewer, path)  # the connection's own caches are filled
        big.execute("SELECT pg_stat_statements_reset()")
        ask(viewer, path)
        cost[path] = big.execute(f"SELECT sum(calls), sum(shared_blks_hit + shared_blks_read) {COUNTED}").fetchall()[0]
    (whole,) = big.execute("SELECT pg_relation_size('partition_playbook.events') / 8192").fetchall()[0]
    # The progress of a run takes the most; two of its statements find the files of the run in the ledger.
    assert max(calls for calls, _ in cost.values()) <= 19
    # What filters looks at every event once, what draws partitions at each of them; the rest at neither.
    assert cost.pop("backlog")[1] < 1.2 * whole
    assert cost.pop("partitions")[1] < whole + 10 * 1_000
    assert max(pages for _, pages in cost.values()) < 100


@pytest.mark.usefixtures("earlier")
def test_a_ledger_of_an_earlier_version_is_shown_under_its_own_names(viewer: Any) -> None:
    shown = set[str]()
    for run_id in ("test-run", MAINTENANCE_RUN_ID):
        for gate in viewer.get(f"{TABLE}/gates", params={"run_id": run_id}).json():
            shown |= {each["name"] for each in gate["checks"]}
    assert shown >= set(RENAMED.values())
    for each in ANSWERS:
        assert viewer.get(f"{TABLE}/{each}", params={"run_id": MAINTENANCE_RUN_ID}).status_code == 200, each


# ---- Metrics


TOKEN = {"Authorization": "Bearer a secret of Prometheus"}


@pytest.fixture
def scraped(client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Return a function that scrapes with the right token, and the answer as samples by name."""
    from prometheus_client.parser import text_string_to_metric_families

    from partition_playbook.console import scrape

    scrape._database.cache_clear()
    monkeypatch.setenv("PARTITION_PLAYBOOK_METRICS_TOKEN", "a secret of Prometheus")

    def ask() -> dict[str, list[Any]]:
        answer = client.get(f"{PREFIX}/metrics", headers=TOKEN)
        assert (answer.status_code, answer.headers["content-type"][:10]) == (200, "text/plain")
        found: dict[str, list[Any]] = {}
        for family in text_string_to_metric_families(answer.text):
            assert family.documentation
            for sample in family.samples:
                found.setdefault(sample.name, []).append(sample)
        return found

    yield ask
    scrape._database.cache_clear()


def test_metrics_are_off_without_a_token(client: Any, viewer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARTITION_PLAYBOOK_METRICS_TOKEN", raising=False)
    for headers in ({}, TOKEN, {"Authorization": "Bearer "}):
        assert client.get(f"{PREFIX}/metrics", headers=headers).status_code == 404


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer a secret", "Basic a secret of Prometheus", "\xe4"]
)
def test_metrics_need_their_own_token_and_a_session_of_airflow_does_not_help(
    viewer: Any, scraped: Callable[..., Any], given: str | None
) -> None:
    answer = viewer.get(
        f"{PREFIX}/metrics", headers={"Authorization": given.encode("latin1")} if given is not None else {}
    )
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "sensor" not in answer.text


def test_the_token_may_be_an_airflow_variable(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.models.variable import Variable  # the row, not the reader of the SDK
    from airflow.utils.session import create_session

    monkeypatch.delenv("PARTITION_PLAYBOOK_METRICS_TOKEN", raising=False)
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")  # as in the API server
    with create_session() as session:
        session.add(Variable(key="partition_playbook_metrics_token", val="a secret of Prometheus"))
    try:
        assert client.get(f"{PREFIX}/metrics", headers=TOKEN).status_code == 200
        assert client.get(f"{PREFIX}/metrics").status_code == 401
    finally:
        with create_session() as session:
            session.query(Variable).delete()


def test_metrics_tell_of_a_migrated_table(scraped: Callable[..., Any], run: Run) -> None:
    from partition_playbook import metrics

    run.ledger.record_checks([check("disk", True, expected="room", actual="room")])
    found = scraped()
    assert found.keys() == {"partition_playbook_up", "partition_playbook_invalid_specs"} | {
        each.name for group in metrics.GROUPS for each in group.metrics
    }
    table = {"connection": "partition_playbook_db", "table": "public.sensor_readings"}
    assert all(
        sample.labels.items() >= table.items() for each in found for sample in found[each] if "table" in sample.labels
    )
    (phase,) = found["partition_playbook_run_phase"]
    assert phase.labels == table | {"run": "test-run", "phase": "live"}
    (rows,) = found["partition_playbook_rows_loaded_total"]
    assert rows.value == 20_000
    (up,) = found["partition_playbook_up"]
    assert (up.labels, up.value) == ({"connection": "partition_playbook_db"}, 1)


def test_a_table_without_a_ledger_has_zeros(scraped: Callable[..., Any], connection: Connection) -> None:
    connection.execute("DROP SCHEMA partition_playbook CASCADE")
    found = scraped()
    (info,) = found["partition_playbook_info"]
    assert (info.labels["table"], info.labels["spec"], info.value) == ("public.sensor_readings", "sensor_readings", 1)
    (ahead,) = found["partition_playbook_partitions_ahead"]
    (phase,) = found["partition_playbook_run_phase"]
    assert (ahead.value, phase.labels["phase"]) == (0, "none")


@pytest.mark.usefixtures("earlier")
def test_metrics_of_the_first_build(scraped: Callable[..., Any]) -> None:
    (phase,) = scraped()["partition_playbook_run_phase"]
    assert phase.labels["phase"] == "live"


@pytest.fixture
def other_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a second table spec, in a database of its own."""
    from partition_playbook.spec import DEFAULT_TABLES, TABLES_VARIABLE

    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    worked = (DEFAULT_TABLES / "sensor_readings.yaml").read_text()
    (tmp_path / "sensor_readings.yaml").write_text(worked)
    (tmp_path / "events.yaml").write_text("table: events\npartition_by: at\nconnection: elsewhere\n")
    (tmp_path / "wrong.yaml").write_text("table: 3\n")


@pytest.mark.usefixtures("other_database")
def test_an_unreachable_database_costs_only_its_own_tables(
    scraped: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", "postgresql://nobody@127.0.0.1:1/nothing")
    found = scraped()
    up = {sample.labels["connection"]: sample.value for sample in found["partition_playbook_up"]}
    assert up == {"partition_playbook_db": 1, "elsewhere": 0}
    assert [sample.labels["table"] for sample in found["partition_playbook_info"]] == ["public.sensor_readings"]
    assert found["partition_playbook_invalid_specs"][0].value == 1


@pytest.mark.usefixtures("other_database")
def test_a_database_that_hangs_costs_one_thread_and_no_scrape_its_answer(
    scraped: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    from partition_playbook.console import scrape

    monkeypatch.setattr(scrape, "PATIENCE_SECONDS", 2)
    monkeypatch.setattr(scrape.read_all, "__defaults__", (2,))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AIRFLOW_CONN_ELSEWHERE", f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/nothing")
        for _ in range(2):
            up = {sample.labels["connection"]: sample.value for sample in scraped()["partition_playbook_up"]}
            assert up == {"partition_playbook_db": 1, "elsewhere": 0}
        hung = [each for each in threading.enumerate() if each.name == "metrics of elsewhere"]
        assert len(hung) == 1
        silent.accept()[0].close()
    hung[0].join(10)
    assert not hung[0].is_alive()
