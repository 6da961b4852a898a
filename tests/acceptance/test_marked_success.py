"""Tasks marked as success by hand pass nothing: the steps read verdicts and answers from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import psycopg
import pytest

from partition_playbook.engine import attach, cutover, load, shadow
from partition_playbook.engine.sides import Direction
from partition_playbook.ledger import Phase
from partition_playbook.run import Run
from partition_playbook.spec import load_spec
from tests.fixtures import footprint
from tests.fixtures.dag_runs import DagRuns, Finished
from tests.fixtures.tables import open_run

# Every gate and every question, and the tasks that record the checks of every section.
GATES = r"(migration\.|)go_no_go_\w+|rollback\.stay_or_return"
QUESTIONS = r"\w+\.(approve_\w+|sign_off)"
CHECKS = r"preflight\.check_preconditions|snapshot\.back_up|migration\.verify_online|validation\.validate"
# After go_no_go_preflight data_preparation runs too, and refuses to generate rows in production: the run ends there.
LATER_GATES = rf"(?!go_no_go_preflight)({GATES})"
CLOSED = "the ledger does not permit to "


def migrate() -> dict[str, Any]:
    taken_at = datetime.now(UTC).isoformat()
    return {
        "table": "calm",
        "mode": "migrate",
        "watch_minutes": 0,
        "backup": "external",
        "external_backup_at": taken_at,
        "accept_weaker_uniqueness": True,
    }


REHEARSE = {"table": "calm", "mode": "rehearse", "backup": "skip", "accept_weaker_uniqueness": True}


@dataclass(frozen=True)
class Scene:
    """A database of a test's own, and the DAG runs on it."""

    dsn: str
    connection: psycopg.Connection
    dag_runs: DagRuns

    def run(self, conf: Mapping[str, Any], *marked: str, dag_id: str = "partition_migration") -> Finished:
        return self.dag_runs.run(dag_id, self.dsn, conf, marked="|".join(marked))

    @property
    def stands(self) -> tuple[str, str | None, str | None]:
        """Return the kind of the live table, and the names of shadow and retired table if they exist."""
        (found,) = self.connection.execute(
            "SELECT relkind::text, to_regclass('sensor_readings_new')::text, to_regclass('sensor_readings_old')::text "
            "FROM pg_class WHERE oid = 'sensor_readings'::regclass"
        ).fetchall()
        return found  # type: ignore[return-value]

    @property
    def phase(self) -> str:
        (found,) = self.connection.execute("SELECT phase FROM partition_playbook.runs WHERE mode <> 'maintenance'")
        return str(found[0])


@pytest.fixture
def scene(dsn: str, connection: psycopg.Connection, dag_runs: DagRuns) -> Scene:
    return Scene(dsn, connection, dag_runs)


MONOLITH, SHADOW, RETIRED = ("r", None, None), ("r", "sensor_readings_new", None), ("p", None, "sensor_readings_old")


def test_every_gate_and_question_of_a_migration_marked_as_success_swaps_and_drops_nothing(scene: Scene) -> None:
    """Every check is a go, and nobody was asked. The marked branches let each of their successors run."""
    rows = footprint.rows(scene.connection)
    run = scene.run(migrate(), LATER_GATES, QUESTIONS)
    assert run.state == "failed"
    marked = {task: state for task, state in run.tasks.items() if "approve_cutover" in task or "go_no_go_cut" in task}
    assert set(marked.values()) == {"success"}
    assert {run.tasks[f"migration.{name}"] for name in ("cut_over", "abandon_shadow")} == {"failed"}
    assert f"{CLOSED}cut over: question cutover was not asked. Clear the task migration.approve_cutover" in run.log
    assert f"{CLOSED}abandon the shadow: section migration is a go, so the shadow stays" in run.log
    assert scene.stands == SHADOW
    assert scene.phase == Phase.ATTACHED
    assert footprint.rows(scene.connection) == rows


def test_every_gate_from_the_first_one_marked_as_success_builds_nothing(scene: Scene) -> None:
    before = footprint.description(scene.dsn, load_spec("sensor_readings").name)
    run = scene.run(migrate(), GATES, QUESTIONS, CHECKS)
    assert run.state == "failed"
    assert f"{CLOSED}generate rows: section preflight has no verdict" in run.log
    assert scene.stands == MONOLITH
    assert footprint.description(scene.dsn, load_spec("sensor_readings").name) == before


def test_backup_marked_as_success_builds_nothing(scene: Scene) -> None:
    run = scene.run(migrate(), LATER_GATES, QUESTIONS, r"snapshot\.\w+")
    assert run.state == "failed"
    assert run.tasks["migration.build_shadow"] == "failed"
    missing = "section snapshot has no verdict. Clear the task snapshot.back_up with the tasks after it"
    assert f"{CLOSED}build the shadow: {missing}" in run.log
    assert scene.stands == MONOLITH


def test_comparison_marked_as_success_swaps_and_drops_nothing(scene: Scene) -> None:
    run = scene.run(migrate(), LATER_GATES, QUESTIONS, r"migration\.verify_online")
    assert run.state == "failed"
    missing = "section migration has no verdict; question cutover was not asked"
    remedy = "Clear the task migration.verify_online with the tasks after it"
    assert f"{CLOSED}cut over: {missing}. {remedy}" in run.log
    assert f"{CLOSED}abandon the shadow: section migration has no verdict" in run.log
    assert scene.stands == SHADOW


def test_validation_marked_as_success_rolls_nothing_back_and_drops_nothing(scene: Scene) -> None:
    run = scene.run(REHEARSE, r"validation\.validate", r"go_no_go_(validation|pruning|application|lifecycle)")
    assert run.state == "failed"
    assert run.tasks["migration.cut_over"] == "success"
    assert run.tasks["rollback.roll_back"] == "failed"
    missing = "section validation has no verdict. Clear the task validation.validate with the tasks after it"
    assert f"{CLOSED}roll back: {missing}" in run.log
    assert scene.stands == RETIRED
    assert scene.phase == Phase.LIVE


def test_last_branch_of_a_rehearsal_marked_as_success_drops_nothing(scene: Scene) -> None:
    """It lets the second cutover and restore_original run: the ledger says which one."""
    run = scene.run(REHEARSE, r"rollback\.stay_or_return|rollback\.approve_second_cutover")
    assert run.tasks["rollback.migrate_again"] == "success"
    assert run.tasks["rollback.restore_original"] == "failed"
    assert scene.stands == RETIRED


def test_choice_of_the_mode_marked_as_success_does_not_turn_a_plan_into_a_migration(scene: Scene) -> None:
    run = scene.run({"table": "calm", "mode": "plan"}, "choose_mode", GATES, QUESTIONS)
    assert run.state == "failed"
    assert "mode plan changes nothing. Clear the task choose_mode" in run.log
    assert scene.stands == MONOLITH
    (found,) = scene.connection.execute("SELECT to_regnamespace('partition_playbook')").fetchall()
    assert found == (None,)


def test_refused_cutover_goes_on_after_the_task_that_the_message_names_is_cleared(scene: Scene) -> None:
    run = scene.run(REHEARSE, r"migration\.(verify_online|go_no_go_cutover|approve_cutover)")
    assert "Clear the task migration.verify_online with the tasks after it" in run.log
    assert scene.stands == SHADOW
    resumed = scene.dag_runs.resume("partition_migration", scene.dsn, run.run_id, cleared="migration.verify_online")
    assert resumed.state == "success", resumed.tasks
    assert scene.stands == RETIRED


def live_run(scene: Scene, mode: str) -> Run:
    run = open_run(partial(psycopg.connect, scene.dsn), load_spec("sensor_readings"), "dead-run", mode)
    for each in shadow.build(run):
        load.load_partition(run, each["partition_name"], workers=1)
    attach.attach_partitions(run)
    cutover.swap(run, Direction.FORWARD)
    return run


FINALIZE = {"table": "sensor_readings", "confirm": "sensor_readings"}


@pytest.mark.parametrize("verdict", ["no-go", None])
@pytest.mark.parametrize(
    ("mode", "remedy"),
    [
        ("migrate", "Clear the task finalize.approve_finalize"),
        ("rehearse", "with the reason in its param override_reason"),
    ],
)
def test_approval_of_finalize_marked_as_success_drops_nothing(
    scene: Scene, mode: str, remedy: str, verdict: str | None
) -> None:
    run = live_run(scene, mode)
    if verdict:
        run.ledger.close(verdict)
    objects = footprint.objects(scene.connection)
    refused = scene.run(FINALIZE | {"override_reason": "mine"}, QUESTIONS, dag_id="partition_finalize")
    assert refused.state == "failed"
    assert refused.tasks == {"finalize.approve_finalize": "success", "finalize.drop_retired": "failed"}
    assert f"{CLOSED}drop the retired table: " in refused.log
    assert (f"the verdict of the run is {verdict}" if verdict else "the run has no verdict") in refused.log
    assert remedy in refused.log
    assert footprint.objects(scene.connection) == objects
    assert scene.phase == Phase.LIVE
