"""The plan: what a migration runs, as SQL to copy, with a hash that changes when the plan does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from partition_playbook import artifacts
from partition_playbook.checks import Check, Outcome
from partition_playbook.database import SEPARATOR, Database
from partition_playbook.engine import capture, load_groups, plan, plan_text, shadow
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.planned import Part, Plan
from partition_playbook.errors import PreconditionFailed
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.sections.preflight import planning
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from tests.fixtures.migration import migrate
from tests.fixtures.tables import open_run

Readings = Callable[..., None]
PARAMS = RunParams()
# The server parses each statement of a block when it compiles it, and the block ends before the first one.
PARSED = "DO $partition_playbook_check$ BEGIN RETURN;\n{}\nEND $partition_playbook_check$"
ONE_MORE = """
INSERT INTO sensor_readings (unit_id, device_id, temperature, recorded_at)
SELECT unit_id, device_id, 21.5, {} FROM sensor_readings LIMIT 1000
"""


def plain(statement: str) -> str:
    return " ".join(statement.rstrip(" ;\n").split())


def single(request: str) -> set[str]:
    """Return the statements of a request, and those of a VACUUM of several tables."""
    if vacuum := re.match(r"VACUUM \([A-Z, ]+\) ", request):
        return {vacuum[0] + table for table in request.removeprefix(vacuum[0]).split(", ")}
    return {plain(each) for each in request.split(SEPARATOR.as_string())}


def parse(connection: psycopg.Connection, text: str) -> None:
    connection.execute(PARSED.format(text).encode())


def hash_of(run: Run, params: RunParams = PARAMS) -> str:
    return plan.make(run, params).hash


def with_spec(run: Run, **changes: object) -> Run:
    return Run(TableSpec.model_validate(run.spec.model_dump() | changes), run.database, run.ledger)


def reviewed(run: Run, given: str) -> Check:
    params = RunParams(mode="rehearse", accept_weaker_uniqueness=True, plan_hash=given)
    return {each.name: each for each in preflight_checks(run, params)}["reviewed_plan"]


def test_the_plan_names_every_statement_that_a_migration_runs_and_no_other(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The plan has each partition by itself; so many groups have one each.
    monkeypatch.setattr(load_groups, "SCANS_OF_FEW_ROWS", load_groups.SCANS)
    readings(300)
    planned = {each for step in plan.make(run, PARAMS).steps for each in single(step.text)}
    shadow.build(run)
    connection.execute("UPDATE sensor_readings SET recorded_at = now() WHERE id < 10")
    migrate(run)
    requests = [event["statement"] for event in run.ledger.events() if event["kind"] == "statement"]
    done = {each for request in requests for each in single(request)}
    # No plan knows the partitions that a batch reaches.
    assert {re.sub(r' AND \("s"\."recorded_at" [<>].*', "", each, flags=re.DOTALL) for each in done} == planned


def test_no_partition_of_a_plan_costs_a_question(run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of 365 partitions asks the server as often as one of 12."""
    readings(300)
    asked: list[object] = []
    execute = psycopg.Connection.execute

    def count(self: psycopg.Connection, *args: Any, **options: Any) -> Any:
        asked.append(args[0])
        return execute(self, *args, **options)

    plan.make(run, PARAMS)  # prepares the session
    monkeypatch.setattr(psycopg.Connection, "execute", count)
    few = plan.make(run, PARAMS)
    of_few = len(asked)
    asked.clear()
    many = plan.make(with_spec(run, interval="day"), PARAMS)
    assert len(many.partitions) > 10 * len(few.partitions)
    assert len(asked) == of_few


def test_the_sql_of_a_plan_is_parsed_by_the_server_and_executes_nothing_as_it_stands(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(300)
    made = plan.make(run, PARAMS)
    text = plan_text.as_sql(made)
    parse(connection, text)
    assert "%(" not in text
    for each in made.steps:
        parse(connection, f"{each.sql};")
    with pytest.raises(psycopg.errors.SyntaxError):
        parse(connection, text + "ALTER TABLE sensor_readings ADDD COLUMN x int;")


def test_the_statements_of_all_other_partitions_are_folded(run: Run, readings: Readings) -> None:
    readings(300)
    made = plan.make(run, PARAMS)
    names = {name.name for name, _ in made.partitions}
    assert len(names) > 12
    text = plan_text.as_sql(made)
    assert text.count("CREATE TABLE") < 6
    assert sum("CREATE TABLE" in each.sql for each in made.steps) > len(names)
    for each in made.folded:
        if each.same and each.steps[0].part in (Part.LOAD, Part.ATTACH):
            assert len(names - set(each.same)) == 1
    assert {each.steps[0].part for each in made.folded if each.same} >= {
        Part.SHADOW,
        Part.LOAD,
        Part.ATTACH,
        Part.SETTLE,
    }


def test_the_locks_on_the_live_table_are_counted(run: Run, readings: Readings) -> None:
    readings(300)
    made = plan.make(run, PARAMS)
    found = {each.part: (each.mode, each.times, each.blocks) for each in made.locks}
    assert found[Part.CAPTURE] == ("SHARE ROW EXCLUSIVE", 1, "writes")
    assert found[Part.SWAP] == ("ACCESS EXCLUSIVE", 1, "reads and writes")
    assert found[Part.LOAD] == ("ACCESS SHARE", len(made.partitions), "DDL only")
    assert {part for part, (_, _, blocks) in found.items() if blocks != "DDL only"} == {Part.CAPTURE, Part.SWAP}


def test_the_hash_stays_while_rows_come_and_go(
    run: Run, readings: Readings, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(2_000)
    monkeypatch.setattr(capture, "SMALLEST_LIMIT", 1)  # so the limit in the capture's function follows the size
    before = plan.make(run, PARAMS)
    connection.execute(ONE_MORE.format("now()"))
    connection.execute("UPDATE sensor_readings SET temperature = 20; ANALYZE sensor_readings")
    after = plan.make(run, RunParams(mode="rehearse", load_workers=5))
    assert after.needs.table_bytes > before.needs.table_bytes
    assert [each.sql for each in after.steps] != [each.sql for each in before.steps]
    assert after.hash == before.hash
    with run.database.snapshot() as session:
        assert plan.reviewable_hash(run, session) == before.hash


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE sensor_readings ADD COLUMN note text",
        "CREATE INDEX ON sensor_readings (source)",
        "CREATE VIEW hot AS SELECT id FROM sensor_readings WHERE temperature > 30",
        "GRANT SELECT ON sensor_readings TO PUBLIC",
        ONE_MORE.format("now() - interval '3 years'"),
    ],
    ids=["a column", "an index", "a view", "a grant", "an older partition"],
)
def test_the_hash_changes_with_what_the_plan_does(
    change: str, run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(2_000)
    before = hash_of(run)
    connection.execute(change.encode())
    assert hash_of(run) != before


@pytest.mark.parametrize("change", [{"interval": "week"}, {"premake": 11}, {"max_lock": 2}], ids=str)
def test_the_hash_changes_with_every_key_of_the_spec(change: dict[str, object], run: Run, readings: Readings) -> None:
    readings(300)
    assert hash_of(with_spec(run, **change)) != hash_of(run)


def test_the_hash_changes_with_the_version(run: Run, readings: Readings, monkeypatch: pytest.MonkeyPatch) -> None:
    readings(300)
    before = hash_of(run)
    monkeypatch.setattr(plan, "__version__", "9.9.9")
    assert hash_of(run) != before


def test_a_run_is_refused_that_would_do_something_else_than_the_reviewed_plan(
    run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(2_000)
    given = hash_of(run)
    assert reviewed(run, given).outcome is Outcome.PASSED
    connection.execute("CREATE INDEX ON sensor_readings (source)")
    refused = reviewed(run, given)
    assert refused.blocks
    assert given in refused.expected
    assert refused.actual == f"plan_hash {hash_of(run)}"
    assert f"plan_hash {hash_of(run)}" in refused.remedy
    assert reviewed(run, hash_of(run)).outcome is Outcome.PASSED


def test_no_plan_is_compared_unless_one_was_reviewed(run: Run, readings: Readings) -> None:
    readings(300)
    assert "reviewed_plan" not in {each.name for each in preflight_checks(run, PARAMS)}


def test_a_table_that_cannot_be_planned_is_refused_by_its_own_check_alone(run: Run, readings: Readings) -> None:
    readings(300)
    other = with_spec(run, partition_by="battery", application={})
    assert reviewed(other, "0" * 16).outcome is Outcome.SKIPPED


def test_the_files_of_a_plan_have_all_of_it(
    run: Run, readings: Readings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(300)
    monkeypatch.setenv(artifacts.ARTIFACTS_VARIABLE, str(tmp_path))
    checks = preflight_checks(run, PARAMS)
    made = planning.planned(run, PARAMS, checks)
    assert isinstance(made, Plan)
    as_sql, as_json = map(Path, planning.export(made, checks, "manual__1", Path))
    assert as_sql.parent == as_json.parent == artifacts.artifacts_path("manual__1")
    assert f"-- plan_hash {made.hash}" in as_sql.read_text().splitlines()
    values = json.loads(as_json.read_text())
    assert values["plan_hash"] == made.hash
    assert [each["sql"] for each in values["statements"]] == [each.sql for each in made.steps]
    assert values["refused"] == []
    assert "uniqueness" in {each["check"] for each in values["noted"]}


def test_a_folder_that_cannot_be_written_stops_no_run(
    run: Run, readings: Readings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(300)
    (tmp_path / "a file").touch()
    monkeypatch.setenv(artifacts.ARTIFACTS_VARIABLE, str(tmp_path / "a file"))
    assert planning.export(plan.make(run, PARAMS), [], "manual__1", Path) == []


def test_a_plan_needs_no_ledger_and_no_right_to_make_one(
    readings: Readings, connection: psycopg.Connection, dsn: str, spec: TableSpec
) -> None:
    readings(300)
    connection.execute("CREATE ROLE planner LOGIN; GRANT SELECT ON sensor_readings TO planner")
    try:
        database = Database(partial(psycopg.connect, make_conninfo(dsn, user="planner")))
        made = plan.make(Run(spec, database, Ledger(database, "manual__1")), PARAMS)
        assert made.needs.load_seconds is None
        assert "time: unknown until a run of this table was measured" in "\n".join(made.told)
        assert connection.execute("SELECT to_regnamespace('partition_playbook')").fetchone() == (None,)
    finally:
        connection.execute("DROP OWNED BY planner; DROP ROLE planner")


def test_a_plan_waits_for_no_step_of_a_run_of_its_own_table(
    run: Run, readings: Readings, database: Database, spec: TableSpec
) -> None:
    readings(300)
    before = hash_of(run)
    with exclusive_session(run, Exclusive.STEP), exclusive_session(run, Exclusive.RECONCILE):
        assert hash_of(Run(spec, database, Ledger(database, "manual__1"))) == before


def test_the_pace_of_an_earlier_run_gives_the_time_of_the_next_one(
    run: Run, readings: Readings, connect: Callable[[], psycopg.Connection], spec: TableSpec
) -> None:
    readings(300)
    assert plan.make(run, PARAMS).needs.load_seconds is None
    shadow.build(run)
    migrate(run)
    pace = open_run(connect, spec, "next", "maintenance").ledger.last_pace(spec.name)
    assert pace is not None
    assert (pace["run_id"], pace["rows"]) == ("test-run", 300)
    assert pace["seconds"] > 0


@pytest.mark.parametrize(
    "change", ["DROP TABLE sensor_readings CASCADE", "ALTER TABLE sensor_readings RENAME TO other"]
)
def test_nothing_is_planned_for_a_table_that_is_not_there(
    change: str, run: Run, readings: Readings, connection: psycopg.Connection
) -> None:
    readings(0)
    connection.execute(change.encode())
    with pytest.raises(PreconditionFailed, match="it does not exist: there is nothing to plan"):
        plan.make(run, PARAMS)
