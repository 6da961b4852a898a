"""Gates are facts of the ledger: a step is refused while a verdict or an answer is missing, and nothing changes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from partition_playbook import gates
from partition_playbook.checks import Check, check
from partition_playbook.database import Database, Session
from partition_playbook.engine import attach, cutover, finalize, load, rollback, shadow, vacuum
from partition_playbook.engine.sides import Direction
from partition_playbook.errors import GateClosed, PreconditionFailed
from partition_playbook.ledger import Ledger, Phase
from partition_playbook.people import STAY, Answer, Question
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec, load_spec
from tests.fixtures import footprint
from tests.fixtures.earlier import RUN_ID, restore_first_build
from tests.fixtures.tables import fill_readings, let_copies_be_at_home

RUN = "gated"
STANDS = """
SELECT to_regclass('sensor_readings_new')::text, to_regclass('sensor_readings_old')::text, relkind::text
  FROM pg_class WHERE oid = 'sensor_readings'::regclass
"""
SOURCE, SHADOW, RETIRED = "r", ("sensor_readings_new", None, "r"), (None, "sensor_readings_old", "p")
SPEC = load_spec("sensor_readings").model_copy(update={"approvers": ("ada", "7")})
PASSED = check("looked", True, expected="x", actual="x")
FAILED = check("looked", False, expected="x", actual="y", remedy="mend it")
Answering = Callable[..., None]


@pytest.fixture(scope="session")
def template(server_dsn: str) -> str:
    """Return a template database with a shadow that is loaded and attached by the run ``gated``."""
    name = f"playbook_gated_{os.getpid()}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill_readings(connection, 1_000, days=60)
    run = attached_to(partial(psycopg.connect, dsn))
    run.ledger.open(SPEC.name, "migrate", SPEC.model_dump(mode="json"), {})
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    vacuum.vacuum_partitions(run, workers=1)
    let_copies_be_at_home(dsn)
    return name


def attached_to(connect: Callable[[], psycopg.Connection[Any]], spec: TableSpec = SPEC, run_id: str = RUN) -> Run:
    ledger = Ledger(Database(connect), run_id, "migration")
    return Run(spec, Database(connect, timezone=spec.timezone, sink=ledger.sink), ledger)


@pytest.fixture
def run(connect: Callable[[], psycopg.Connection[Any]]) -> Run:
    """Return the run in mode migrate, with approvers, before any verdict."""
    return attached_to(connect)


def record(run: Run, *sections: str, made: Check = PASSED) -> None:
    for section in sections:
        replace(run.ledger, section=section).record_checks([made])


def answer(run: Run, question: Question, *, user: str | None = "ada", section: str = "x", **more: Any) -> None:
    given = {"chosen": "Approve", "agreed": True, "by": user, "at": "noon", "user": user} | more
    run.ledger.record_answer(Answer(question, section, **given))


def in_mode(connection: psycopg.Connection, mode: str, params: str = "{}") -> None:
    connection.execute("UPDATE partition_playbook.runs SET mode = %s, params = %s", (mode, params))


def stands(connection: psycopg.Connection) -> tuple[str | None, str | None, str]:
    (found,) = connection.execute(STANDS).fetchall()
    return found  # type: ignore[return-value]


def cut_over(run: Run) -> None:
    cutover.swap(run, Direction.FORWARD, gate=gates.before_cutover)


def cut_over_again(run: Run) -> None:
    cutover.swap(run, Direction.FORWARD, occasion="second_cutover", gate=gates.before_second_cutover)


def refused(step: Callable[[Run], object], run: Run, *missing: str, remedy: str) -> None:
    """Assert that a step is refused with these facts missing, that the remedy is named, and that nothing changed."""
    with run.database.session() as session:
        before = footprint_of(session)
    with pytest.raises(GateClosed) as error:
        step(run)
    assert error.value.missing == missing
    assert remedy in error.value.remedy
    with run.database.session() as session:
        assert footprint_of(session) == before


def footprint_of(session: Session) -> set[tuple[Any, ...]]:
    return {tuple(row.values()) for row in session.connection.execute(footprint.OBJECTS)}


# ---- The cutover


def ready(run: Run) -> None:
    record(run, *gates.BEFORE_CUTOVER)
    answer(run, Question.CUTOVER)


def unready(section: str) -> Callable[[Run], None]:
    def make(run: Run) -> None:
        record(run, *(each for each in gates.BEFORE_CUTOVER if each != section))
        answer(run, Question.CUTOVER)

    return make


def with_no_go(run: Run) -> None:
    record(run, "snapshot", made=FAILED)
    record(run, "preflight", "migration")
    answer(run, Question.CUTOVER)


def with_waiver_by(user: str) -> Callable[[Run], None]:
    def make(run: Run) -> None:
        answer(run, Question.WAIVER, user=user, section="preflight", reason="known")
        record(run, "preflight", made=FAILED.waived(user, "noon", "known"))
        record(run, "snapshot", "migration")
        answer(run, Question.CUTOVER)

    return make


def with_waiver_nobody_gave(run: Run) -> None:
    record(run, "preflight", made=FAILED.waived("ada", "noon", "known"))
    record(run, "snapshot", "migration")
    answer(run, Question.CUTOVER)


def answered(question: Question = Question.CUTOVER, **given: Any) -> Callable[[Run], None]:
    def make(run: Run) -> None:
        record(run, *gates.BEFORE_CUTOVER)
        answer(run, question, **given)

    return make


def answered_and_rejected(run: Run) -> None:
    ready(run)
    answer(run, Question.CUTOVER, chosen="Reject", agreed=False)


def answered_before_it_was_checked_again(run: Run) -> None:
    ready(run)
    record(run, "migration")


def of_another_run(run: Run) -> None:
    run.ledger.open(run.table, "migrate", SPEC.model_dump(mode="json"), {})
    other = replace(run, ledger=replace(run.ledger, run_id="another"))
    other.ledger.open(run.table.sibling("_elsewhere"), "migrate", SPEC.model_dump(mode="json"), {})
    ready(other)


NOBODY = "question cutover was not asked"
ASK = "Clear the task migration.approve_cutover"
LOOK = "Clear the task preflight.check_preconditions with the tasks after it"


@pytest.mark.parametrize(
    ("make", "missing", "remedy"),
    [
        (unready("preflight"), ("section preflight has no verdict",), LOOK),
        (unready("snapshot"), ("section snapshot has no verdict",), "Clear the task snapshot.back_up"),
        (unready("migration"), ("section migration has no verdict",), "Clear the task migration.verify_online"),
        (with_no_go, ("section snapshot is a no-go (looked)",), "Follow the remedies of these checks"),
        (with_waiver_by("kim"), ("section preflight has a waiver by no permitted person",), LOOK),
        (with_waiver_nobody_gave, ("section preflight has a waiver by no permitted person",), LOOK),
        (lambda run: record(run, *gates.BEFORE_CUTOVER), (NOBODY,), ASK),
        (answered(Question.SECOND_CUTOVER), (NOBODY,), ASK),
        (answered(Question.SIGN_OFF), (NOBODY,), ASK),
        (
            answered(user=None, chosen="Reject", agreed=False),
            ("question cutover was answered Reject: nobody answered in time",),
            ASK,
        ),
        (answered_and_rejected, ("question cutover was answered Reject by ada",), ASK),
        (
            answered(user="kim"),
            ("question cutover was answered by kim, not by one of the approvers ada, 7",),
            ASK,
        ),
        (
            answered_before_it_was_checked_again,
            ("question cutover was answered by ada before its checks were made again",),
            ASK,
        ),
        (
            of_another_run,
            (
                "section preflight has no verdict",
                "section snapshot has no verdict",
                "section migration has no verdict",
                NOBODY,
            ),
            LOOK,
        ),
    ],
)
def test_cutover_is_refused_without_a_fact(
    run: Run, connection: psycopg.Connection, make: Callable[[Run], None], missing: tuple[str, ...], remedy: str
) -> None:
    make(run)
    refused(cut_over, run, *missing, remedy=remedy)
    assert stands(connection) == SHADOW
    assert run.ledger.run()["phase"] == Phase.ATTACHED


@pytest.mark.parametrize(
    "make", [ready, with_waiver_by("ada"), with_waiver_by("7"), answered(user=None, by="Jo Doe (7)")]
)
def test_cutover_passes_with_every_fact(run: Run, connection: psycopg.Connection, make: Callable[[Run], None]) -> None:
    make(run)
    cut_over(run)
    assert stands(connection) == RETIRED
    cut_over(run)  # a retry after the commit finds the partitioned table live


def test_cutover_asks_nobody_with_approvals_auto(run: Run, connection: psycopg.Connection) -> None:
    in_mode(connection, "rehearse")
    refused(
        cut_over,
        run,
        *(f"section {each} has no verdict" for each in ("preflight", "snapshot", "migration")),
        remedy=LOOK,
    )
    record(run, *gates.BEFORE_CUTOVER)
    cut_over(run)
    assert stands(connection) == RETIRED


def test_synthetic_rows_must_be_checked_before_the_cutover(run: Run, connection: psycopg.Connection) -> None:
    in_mode(connection, "rehearse", '{"synthetic_rows": 10}')
    record(run, *(each for each in gates.BEFORE_CUTOVER if each != "data_preparation"))
    refused(
        cut_over,
        run,
        "section data_preparation has no verdict",
        remedy="Clear the task data_preparation.check_distribution",
    )


def test_a_plan_changes_nothing_even_with_every_verdict(run: Run, connection: psycopg.Connection) -> None:
    ready(run)
    in_mode(connection, "plan")
    refused(cut_over, run, "mode plan changes nothing", remedy="Trigger a run with mode rehearse or migrate")


def test_gate_is_read_again_in_the_transaction_of_the_swap(run: Run, connection: psycopg.Connection) -> None:
    """A check fails after the gate was read under the lock of the step, and before the swap locks anything."""
    ready(run)
    looks: list[int] = []

    def gate(session: Session, gated: Run) -> None:
        gates.before_cutover(session, gated)
        looks.append(session.connection.info.transaction_status)
        record(run, "migration", made=FAILED)

    with pytest.raises(GateClosed, match=r"section migration is a no-go \(looked\)"):
        cutover.swap(run, Direction.FORWARD, gate=gate)
    assert len(looks) == 1
    assert stands(connection) == SHADOW


# ---- The shadow


def test_shadow_is_built_only_after_preflight_and_snapshot(run: Run, connection: psycopg.Connection) -> None:
    rollback.abandon(run)
    build = partial(shadow.build, gate=gates.before_shadow)
    record(run, "preflight")
    record(run, "snapshot", made=FAILED)
    refused(build, run, "section snapshot is a no-go (looked)", remedy="Clear the task snapshot.back_up")
    assert stands(connection) == (None, None, SOURCE)
    record(run, "snapshot")
    build(run)
    assert stands(connection) == SHADOW


def test_shadow_is_abandoned_inside_the_run_only_after_a_no_go(run: Run, connection: psycopg.Connection) -> None:
    """A branch marked as success by hand lets the cutover and abandon_shadow run side by side."""
    abandon = partial(rollback.abandon, gate=gates.before_abandoning)
    refused(abandon, run, "section migration has no verdict", remedy="Clear the task migration.verify_online")
    record(run, "migration")
    refused(
        abandon,
        run,
        "section migration is a go, so the shadow stays",
        remedy="Clear the task migration.go_no_go_cutover",
    )
    record(run, "migration", made=FAILED)
    abandon(run)
    assert stands(connection) == (None, None, SOURCE)
    abandon(run)  # a retry


# ---- The way back


@pytest.fixture
def live(run: Run, connection: psycopg.Connection) -> Run:
    """Return the run after its cutover."""
    ready(run)
    cut_over(run)
    return run


def back(run: Run) -> None:
    rollback.roll_back(run, gates.before_rollback)


STAYS = "no section is a no-go, and a migration in production stays"
AFTER = ("validation", "pruning", "application", "lifecycle", "watch")


def test_production_is_rolled_back_inside_the_run_only_after_a_no_go(live: Run, connection: psycopg.Connection) -> None:
    record(live, "validation", "pruning", "application", "watch")
    refused(back, live, "section lifecycle has no verdict", STAYS, remedy="Clear the task lifecycle.check_maintenance")
    record(live, "lifecycle")
    refused(back, live, STAYS, remedy="Clear the task go_no_go_watch with the tasks after it")
    record(live, "pruning", made=FAILED)
    back(live)
    assert stands(connection) == SHADOW


def test_silence_never_rolls_production_back(live: Run, connection: psycopg.Connection) -> None:
    """A no-go that may be waived asks a person, and only an approver's answer to roll back does."""
    slow = replace(FAILED, name="speedup_last_7_days")
    record(live, *AFTER)
    record(live, "pruning", made=slow)
    silent = "nobody chose to roll back after the no-go of pruning"
    refused(back, live, silent, remedy="Clear the task go_no_go_pruning with the tasks after it, and answer there")
    for chosen, user in ((STAY, None), (STAY, "ada"), ("Roll back", "eve"), ("Roll back", None)):
        answer(live, Question.WAIVER, section="pruning", chosen=chosen, agreed=False, user=user)
        refused(back, live, silent, remedy="trigger partition_rollback")
    answer(live, Question.WAIVER, section="pruning", chosen="Roll back", agreed=False)
    back(live)
    assert stands(connection) == SHADOW


def test_no_finding_of_the_watch_rolls_back_by_itself(live: Run, connection: psycopg.Connection) -> None:
    """Hours after the cutover clients may depend on it: also other rows of a probe are a question to a person."""
    record(live, *AFTER)
    nobody = "nobody chose to roll back after the no-go of watch"
    for name in ("watch_logs", "probe_recent_after_watch", "procedure_recent_after_watch"):
        record(live, "watch", made=replace(FAILED, name=name))
        refused(back, live, nobody, remedy="Clear the task go_no_go_watch")
    answer(live, Question.WAIVER, section="watch", chosen="Roll back", agreed=False)
    back(live)
    assert stands(connection) == SHADOW


def test_a_no_go_that_loses_rows_asks_nobody(live: Run, connection: psycopg.Connection) -> None:
    record(live, *AFTER)
    record(live, "pruning", made=replace(FAILED, name="speedup_last_7_days"))
    record(live, "application", made=FAILED)
    back(live)
    assert stands(connection) == SHADOW


def test_rehearsal_is_rolled_back_once_every_section_has_its_verdict(live: Run, connection: psycopg.Connection) -> None:
    in_mode(connection, "rehearse")
    record(live, *AFTER[1:])
    refused(back, live, "section validation has no verdict", remedy="Clear the task validation.validate")
    record(live, "validation")
    back(live)
    assert stands(connection) == SHADOW
    back(live)  # a retry


def test_rollback_without_a_cutover_is_refused(run: Run) -> None:
    record(run, "validation", made=FAILED)
    refused(back, run, "the run is in phase attached, not live or rolled_back", remedy="trigger partition_rollback")


@pytest.fixture
def returned(live: Run, connection: psycopg.Connection) -> Run:
    """Return the run of a rehearsal with people, after its rollback and before the checks of it."""
    in_mode(connection, "rehearse", '{"approvals": "required"}')
    record(live, *AFTER)
    back(live)
    return live


def restore(run: Run) -> None:
    rollback.abandon(run, gates.before_restoring)


AGAIN = "Clear the task rollback.approve_second_cutover"


def test_second_cutover_needs_an_answer_of_its_own(returned: Run, connection: psycopg.Connection) -> None:
    nobody = "question second cutover was not asked"
    missing = "section rollback has no verdict"
    refused(cut_over_again, returned, missing, nobody, remedy="Clear the task rollback.roll_back")
    record(returned, "rollback")
    answer(returned, Question.CUTOVER)
    refused(cut_over_again, returned, nobody, remedy=AGAIN)
    answer(returned, Question.SECOND_CUTOVER)
    cut_over_again(returned)
    assert stands(connection) == RETIRED


def test_first_cutover_cannot_be_repeated_after_a_rollback(returned: Run) -> None:
    phase = "the run is in phase rolled_back, not attached"
    refused(cut_over, returned, phase, remedy="trigger partition_rollback")


def test_original_is_restored_only_if_the_run_does_not_return(returned: Run, connection: psycopg.Connection) -> None:
    """A branch marked as success by hand lets the second cutover and restore_original run side by side."""
    refused(restore, returned, "section rollback has no verdict", remedy="Clear the task rollback.roll_back")
    record(returned, "rollback")
    again = "every section is a go, so the run cuts over again"
    refused(restore, returned, again, remedy="Clear the task rollback.stay_or_return")
    record(returned, "rollback", made=FAILED)
    lacks = ("section rollback is a no-go (looked)", "question second cutover was not asked")
    refused(cut_over_again, returned, *lacks, remedy="Follow the remedies of these checks")
    restore(returned)
    assert stands(connection) == (None, None, SOURCE)


def test_second_cutover_is_refused_if_the_params_leave_the_original(
    returned: Run, connection: psycopg.Connection
) -> None:
    in_mode(connection, "rehearse", '{"leave": "original"}')
    record(returned, "rollback")
    leave = "the params of the run leave the original table"
    refused(cut_over_again, returned, leave, remedy="Clear the task rollback.stay_or_return")
    restore(returned)
    assert stands(connection) == (None, None, SOURCE)


def test_the_shadow_of_a_live_table_is_never_abandoned(live: Run, connection: psycopg.Connection) -> None:
    with pytest.raises(PreconditionFailed, match="the partitioned table is live"):
        rollback.abandon(live)
    assert stands(connection) == RETIRED


# ---- Finalize


def signed_off(run: Run) -> None:
    record(run, *AFTER)
    answer(run, Question.SIGN_OFF, section="decision")
    record(run, "decision")
    run.ledger.close("go")


ASK_FINALIZE = "Clear the task finalize.approve_finalize"
FINALIZE_UNASKED = "question finalize was not asked"


def test_finalize_drops_nothing_after_a_no_go_before_its_rollback(live: Run, connection: psycopg.Connection) -> None:
    """This is cases/engine/19: between a no-go of validation and its rollback."""
    record(live, "validation", made=FAILED)
    live.ledger.close("no-go")
    lacks = (
        "section validation is a no-go (looked)",
        *(f"section {each} has no verdict" for each in AFTER[1:]),
        "the verdict of the run is no-go",
        "question sign-off was not asked",
    )
    refused(finalize.finalize, live, FINALIZE_UNASKED, *lacks, remedy=ASK_FINALIZE)
    answer(live, Question.FINALIZE)
    refused(finalize.finalize, live, *lacks, remedy=f"{ASK_FINALIZE}, and approve with a reason")
    answer(live, Question.FINALIZE, user="kim", reason="we want the disk")
    kim = "question finalize was answered by kim, not by one of the approvers ada, 7"
    refused(finalize.finalize, live, kim, remedy=ASK_FINALIZE)
    assert stands(connection) == RETIRED

    answer(live, Question.FINALIZE, reason="the application is fixed")
    finalize.finalize(live)
    assert stands(connection) == (None, None, "p")
    notes = [each["message"] for each in live.ledger.events() if "without a sign-off" in each["message"]]
    assert len(notes) == 1
    assert "section validation is a no-go (looked)" in notes[0]
    assert notes[0].endswith("by ada: the application is fixed")


def test_finalize_needs_sign_off_and_an_answer(live: Run, connection: psycopg.Connection) -> None:
    signed_off(live)
    refused(finalize.finalize, live, FINALIZE_UNASKED, remedy=ASK_FINALIZE)
    answer(live, Question.FINALIZE)
    finalize.finalize(live)
    assert stands(connection) == (None, None, "p")
    assert [each for each in live.ledger.events() if "without a sign-off" in each["message"]] == []


def test_answer_of_another_dag_run_does_not_finalize(live: Run) -> None:
    signed_off(live)
    first, second = (replace(live, ledger=replace(live.ledger, origin={"run_id": name})) for name in ("one", "two"))
    answer(first, Question.FINALIZE)
    refused(finalize.finalize, second, FINALIZE_UNASKED, remedy=ASK_FINALIZE)


def test_sign_off_does_not_outlast_a_check_made_again(live: Run) -> None:
    signed_off(live)
    record(live, "lifecycle")
    answer(live, Question.FINALIZE)
    stale = "question sign-off was answered by ada before its checks were made again"
    refused(finalize.finalize, live, "checks were made again after the decision", stale, remedy=ASK_FINALIZE)


@pytest.mark.parametrize(
    ("verdict", "told"), [("no-go", "the verdict of the run is no-go"), (None, "the run has no verdict")]
)
def test_finalize_without_people_needs_a_go_or_a_reason_given_by_hand(
    live: Run, connection: psycopg.Connection, verdict: str | None, told: str
) -> None:
    in_mode(connection, "rehearse", '{"leave": "partitioned"}')
    record(live, *AFTER, "rollback", "decision")
    if verdict:
        live.ledger.close(verdict)
    refused(finalize.finalize, live, told, remedy="with the reason in its param override_reason")
    answer(live, Question.FINALIZE, user=None, by="jo", chosen="override_reason", reason="a test table")
    finalize.finalize(live)
    assert stands(connection) == (None, None, "p")


def test_finalize_without_people_after_a_go_needs_nothing_more(live: Run, connection: psycopg.Connection) -> None:
    in_mode(connection, "rehearse")
    record(live, *AFTER, "rollback", "decision")
    live.ledger.close("go")
    finalize.finalize(live)
    assert stands(connection) == (None, None, "p")


def test_disposables_are_named_with_their_sizes(live: Run, connection: psycopg.Connection) -> None:
    connection.execute("UPDATE sensor_readings SET battery = 1 WHERE id = 1")
    found = {each.kind: each for each in finalize.disposables(live)}
    assert found["retired table"].name == "public.sensor_readings_old"
    assert (found["retired table"].bytes or 0) > 0
    assert (found["change log"].bytes or 0) > 0
    assert found["capture"].name.startswith("triggers on ")


def test_run_of_an_earlier_version_is_finalized_with_a_reason(
    connection: psycopg.Connection, connect: Callable[[], psycopg.Connection[Any]]
) -> None:
    """Its ledger has no decision, and its answers no ids."""
    connection.execute("DROP SCHEMA partition_playbook CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    restore_first_build(connection)
    run = attached_to(connect, load_spec("sensor_readings"), RUN_ID)
    with pytest.raises(GateClosed, match="the run has no verdict"):
        finalize.finalize(run)
    answer(run, Question.FINALIZE, reason="it is in order")
    finalize.finalize(run)
    assert stands(connection) == (None, None, "p")
