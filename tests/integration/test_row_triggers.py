"""Row triggers that fit no partition are named before anything is built, and on the shadow before the cutover."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import psycopg
import pytest

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.engine import attach, load, reconcile, shadow
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.spec import RunParams, TableSpec
from partition_playbook.workload.checks import workload_checks
from tests.fixtures.tables import open_run

Connect = Callable[[], psycopg.Connection]
PARAMS = RunParams(mode="rehearse", backup="skip", accept_weaker_uniqueness=True)
TABLE = """
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at {type} NOT NULL, page text, seen int);
INSERT INTO visits (at, page) SELECT now() - n * interval '5 days', 'page ' || n FROM generate_series(0, {rows}) n;
"""
STAMP = """
CREATE TABLE visit_log (id bigint);
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO visit_log VALUES (NEW.id);
    PERFORM pg_notify('visits', NEW.page);
    SELECT {value} INTO NEW.at;
    RETURN NEW;
END $$;
CREATE TRIGGER stamp BEFORE {event} ON visits FOR EACH ROW EXECUTE FUNCTION stamp();
"""


def opened(connect: Connect, statements: str, **spec: Any) -> Run:
    """Create the table, whose schema the database's own search_path names, and open a run."""
    with connect() as connection:
        connection.execute(cast(Any, statements))
    return open_run(connect, TableSpec.model_validate({"table": "visits", "partition_by": "at"} | spec), "visits-run")


def early(run: Run, name: str = "before_triggers", params: RunParams = PARAMS) -> Check:
    return {each.name: each for each in preflight_checks(run, params)}[name]


def build(run: Run) -> None:
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    reconcile.catch_up(run)


KINDS = {
    "always the present": ("INSERT", "now()", "timestamptz", {}),
    "the present where there is none": ("INSERT", "coalesce(NEW.at, now())", "timestamptz", {}),
    "in a table without a default partition": (
        "INSERT",
        "coalesce(NEW.at, now())",
        "timestamp",
        {"default_partition": "none"},
    ),
    "a daily table of dates": ("INSERT", "current_date", "date", {"interval": "day"}),
    "each update moves the row": ("UPDATE", "now()", "timestamptz", {}),
}


@pytest.mark.parametrize("rows", [20, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_trigger_that_moves_rows_is_found_by_trying(
    connect: Connect, connection: psycopg.Connection, kind: str, rows: int
) -> None:
    event, value, column, spec = KINDS[kind]
    run = opened(connect, TABLE.format(type=column, rows=rows) + STAMP.format(event=event, value=value), **spec)
    check = early(run)
    assert check.blocks
    assert check.actual.startswith("stamp: ")
    assert event in check.actual
    # Nothing is left of the writes that were tried.
    assert connection.execute("SELECT count(*) FROM visit_log").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM visits").fetchone() == (rows + 1,)
    assert connection.execute("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").fetchone() == (0,)


def test_a_trigger_that_rounds_the_time_is_carried(connect: Connect) -> None:
    run = opened(
        connect,
        TABLE.format(type="timestamptz", rows=20)
        + STAMP.format(event="INSERT OR UPDATE", value="date_trunc('second', NEW.at)"),
    )
    check = early(run)
    assert check.outcome is Outcome.PASSED, check.actual
    assert check.actual == "tried: stamp"


def test_mode_plan_changes_nothing_and_says_that_it_tried_nothing(connect: Connect) -> None:
    run = opened(connect, TABLE.format(type="timestamptz", rows=3) + STAMP.format(event="INSERT", value="now()"))
    check = early(run, params=RunParams(mode="plan"))
    assert check.outcome is Outcome.SKIPPED
    assert "stamp: tried in mode rehearse and migrate" in check.actual


def test_the_attached_shadow_is_tried_before_the_cutover(connect: Connect, connection: psycopg.Connection) -> None:
    """The function may have changed since preflight: the trigger is the same, and the shadow has it."""
    kept = STAMP.format(event="INSERT OR UPDATE", value="NEW.at")
    run = opened(connect, TABLE.format(type="timestamptz", rows=20) + kept)
    assert early(run).outcome is Outcome.PASSED
    build(run)
    states = "SELECT array_agg(tgenabled::text ORDER BY tgrelid) FROM pg_trigger WHERE tgname = 'stamp'"
    before = connection.execute(states).fetchone()

    on_shadow = {each.name: each for each in workload_checks(run)}["before_triggers"]
    assert on_shadow.outcome is Outcome.PASSED, on_shadow.actual
    connection.execute(
        "CREATE OR REPLACE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN NEW := jsonb_populate_record(NEW, jsonb_build_object('at', now())); RETURN NEW; END $$"
    )
    on_shadow = {each.name: each for each in workload_checks(run)}["before_triggers"]
    assert on_shadow.blocks
    assert "is refused on the shadow" in on_shadow.actual
    assert connection.execute("SELECT count(*) FROM visits_new").fetchone() == (21,)
    assert connection.execute(states).fetchone() == before


UNTRIED = """
CREATE FUNCTION tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.page := current_setting('app.tenant'); RETURN NEW; END $$;
CREATE TRIGGER tag BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION tag();
"""


def test_a_trigger_that_cannot_be_tried_needs_a_persons_word(connect: Connect) -> None:
    run = opened(connect, TABLE.format(type="timestamptz", rows=3) + UNTRIED)
    check = early(run)
    assert check.blocks
    assert check.actual.startswith('not tried: tag: 42704 unrecognized configuration parameter "app.tenant"')
    assert "accept: [before_triggers]" in check.remedy

    accepted = Run(run.spec.model_copy(update={"accept": ("before_triggers",)}), run.database, run.ledger)
    check = early(accepted)
    assert (check.outcome, check.severity) == (Outcome.FAILED, Severity.WARNING)


def test_acceptance_does_not_cover_what_was_seen_to_fail(connect: Connect) -> None:
    stamped = TABLE.format(type="timestamptz", rows=3) + STAMP.format(event="INSERT", value="now()")
    assert early(opened(connect, stamped, accept=["before_triggers"])).blocks


def test_the_functions_run_as_the_owner_of_the_table(connect: Connect, connection: psycopg.Connection) -> None:
    """The role of the connection may be a superuser; what its owner may not do, the trial does not do for it."""
    role = f"owner_{connection.info.dbname}"
    with connect() as one:
        one.execute(
            cast(
                Any, f"CREATE ROLE {role}; GRANT CREATE, USAGE ON SCHEMA public TO {role}; CREATE TABLE secret (a int)"
            )
        )
    try:
        statements = (
            TABLE.format(type="timestamptz", rows=3)
            + "CREATE FUNCTION peek() RETURNS trigger LANGUAGE plpgsql AS $$ "
            + "BEGIN NEW.seen := (SELECT count(*) FROM secret); RETURN NEW; END $$;"
            + "CREATE TRIGGER peek BEFORE INSERT ON visits FOR EACH ROW EXECUTE FUNCTION peek();"
            + f"ALTER TABLE visits OWNER TO {role};"
        )
        run = opened(connect, statements)
        check = early(run)
        assert check.blocks
        assert "peek: 42501 permission denied for table secret" in check.actual
        connection.execute(cast(Any, f"GRANT SELECT ON secret TO {role}"))
        assert early(run).outcome is Outcome.PASSED
    finally:
        connection.execute(cast(Any, f"DROP OWNED BY {role}; DROP ROLE {role}"))


def test_moddatetime_is_found_where_contrib_is_there(connect: Connect, connection: psycopg.Connection) -> None:
    if not connection.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'moddatetime'").fetchone():
        pytest.skip("this server has no contrib; the same by an argument is a scenario")
    run = opened(
        connect,
        TABLE.format(type="timestamptz", rows=20) + "CREATE EXTENSION moddatetime; CREATE TRIGGER stamp "
        "BEFORE UPDATE ON visits FOR EACH ROW EXECUTE FUNCTION moddatetime(at)",
    )
    check = early(run)
    assert check.blocks
    assert check.actual.startswith("stamp: UPDATE")


NAMING = """
CREATE TABLE audit (t text, id bigint);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO public.audit VALUES ({name}, NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON visits FOR EACH ROW EXECUTE FUNCTION note();
"""
ROOT = "coalesce(pg_partition_root(TG_RELID), TG_RELID)"


def test_the_name_of_its_table_in_a_row_trigger_needs_the_remedy_or_a_word(connect: Connect) -> None:
    named = "row_triggers_by_table_name"
    run = opened(
        connect, TABLE.format(type="timestamptz", rows=3) + NAMING.format(name="TG_TABLE_SCHEMA || tg_relname")
    )
    check = early(run, named)
    assert check.blocks
    assert check.actual == "note reads TG_RELNAME"
    accepted = Run(run.spec.model_copy(update={"accept": (named,)}), run.database, run.ledger)
    assert early(accepted, named).severity is Severity.WARNING

    # The remedy, as it is typed.
    assert f"(SELECT relname FROM pg_class WHERE oid = {ROOT})" in check.remedy
    remedied = NAMING.format(name=f"(SELECT relname FROM pg_class WHERE oid = {ROOT})")
    with connect() as connection:
        connection.execute(
            cast(
                Any,
                remedied.partition(";")[2]
                .replace("CREATE FUNC", "CREATE OR REPLACE FUNC")
                .rpartition("CREATE TRIGGER")[0],
            )
        )
        connection.execute("INSERT INTO visits (at) VALUES (now())")
        assert connection.execute("SELECT t FROM audit").fetchall() == [("visits",)]
    assert early(run, named).outcome is Outcome.PASSED
