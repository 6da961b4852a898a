"""# Partition migration

Converts a large, live PostgreSQL table into a range-partitioned one: the staging playbook, section by section, with a
gate after each.

1. **Start in mode `plan`.** It prints every statement with its lock and changes nothing.
2. **`rehearse`** in staging: synthetic rows if you like, the migration, its timed rollback, and a second cutover.
3. **`migrate`** in production: a person approves the cutover and signs off the end.

| param | effect |
|---|---|
| `table` | the table spec (`include/tables/*.yaml`) |
| `mode` | `plan`, `rehearse`, `migrate` |
| `approvals` | `required` or `auto`; empty: required in `migrate`, otherwise auto |
| `synthetic_rows`, `seed`, `arrival` | rehearsals: rows to generate, and their order in the table |
| `backup` | `dump` with a restore check, `external`, or `skip` in a rehearsal |
| `plan_hash` | the hash of a reviewed plan; a run with another plan stops in preflight |
| `load_workers` | partitions loaded, or compared, at the same time |
| `min_speedup`, `max_rollback_minutes` | the criteria |
| `watch_minutes` | how long to watch for errors after the cutover; empty: 120 in `migrate` |
| `production_rows` | rows for the estimate in the report |
| `leave` | the live table after a successful rehearsal |

Questions appear under **Required Actions** with their evidence. A no-go may be waived there, with a reason, if none of
its failed checks loses a row. No answer in time means no, and never swaps the tables: after the cutover the partitioned
table stays live.

A no-go is a verdict: the run follows the gate to its end and is marked failed. A failed task is an error: a check could
not be evaluated, or a step failed. Clear it, and the run resumes from the state in the ledger. Or trigger
`partition_rollback`. A dead worker alone undoes nothing.
"""

from __future__ import annotations

from airflow.sdk import DAG, task

from partition_playbook.airflow.approvals import go_no_go
from partition_playbook.airflow.forms import form
from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import AnnounceFailure, failure_message
from partition_playbook.airflow.tasks import SHORT, SIDE_BY_SIDE, TASK_DEFAULTS
from partition_playbook.sections.application.tasks import application
from partition_playbook.sections.data_preparation.tasks import data_preparation
from partition_playbook.sections.decision.tasks import decision
from partition_playbook.sections.lifecycle.tasks import lifecycle
from partition_playbook.sections.migration.tasks import migration, plan
from partition_playbook.sections.preflight.tasks import preflight
from partition_playbook.sections.pruning.tasks import pruning
from partition_playbook.sections.rollback.tasks import rollback
from partition_playbook.sections.snapshot.tasks import snapshot
from partition_playbook.sections.validation.tasks import validation
from partition_playbook.sections.watch.tasks import watch
from partition_playbook.spec import Mode, RunParams


@task.branch(execution_timeout=SHORT)
def choose_mode(params: dict[str, str] | None = None) -> str:
    """Return the first task: the plan, or the playbook."""
    return "plan" if (params or {})["mode"] == Mode.PLAN else "preflight"


def first_section(params: RunParams) -> str:
    """Return the section after preflight: generated rows first, if a rehearsal has any."""
    return "data_preparation" if params.synthetic_rows else "snapshot"


def last_section(params: RunParams) -> str:
    """Return the section after watch: the rollback in a rehearsal, else the decision."""
    return "rollback" if params.mode is Mode.REHEARSE else "decision"


with DAG(
    "partition_migration",
    schedule=None,
    catchup=False,
    max_active_runs=SIDE_BY_SIDE,
    default_args=TASK_DEFAULTS | {"on_failure_callback": [AnnounceFailure(failure_message), tell_failure]},
    params=form(),
    doc_md=__doc__,
    dag_display_name="Partition migration: the playbook",
    tags=["partition-playbook", "postgres"],
):
    checked = preflight()
    prepared = data_preparation()
    recorded = snapshot()
    migrated = migration()
    validated = validation()
    pruned = pruning()
    applied = application()
    managed = lifecycle()
    watched = watch()
    returned = rollback()
    decided = decision()

    choose_mode() >> [plan(), checked]
    # Not the whole group: its task in the loads' own pool gets no slot if that pool does not exist.
    known = checked.children["preflight.check_preconditions"]
    known >> go_no_go("preflight", first_section, "decision") >> [prepared, recorded, decided]
    prepared >> recorded
    recorded >> go_no_go("snapshot", "migration", "decision") >> [migrated, decided]
    migrated.children["migration.cut_over"] >> validated
    migrated.children["migration.abandon_shadow"] >> decided
    validated >> go_no_go("validation", "pruning", "rollback") >> [pruned, returned]
    pruned >> go_no_go("pruning", "application", "rollback") >> [applied, returned]
    applied >> go_no_go("application", "lifecycle", "rollback") >> [managed, returned]
    managed >> go_no_go("lifecycle", "watch", "rollback") >> [watched, returned]
    watched >> go_no_go("watch", last_section, "rollback") >> [returned, decided]
    returned >> decided
