"""# Partition migration

Turns a large, live PostgreSQL table into a range-partitioned one: the staging playbook, section by section, with a
gate after each.

**Start in `plan` mode.** It prints every statement with its lock and changes nothing. Then **`rehearse`** in staging:
synthetic rows if you like, the whole migration, its rollback, timed, and forward again. Then **`migrate`** in
production: a person approves the cutover and signs off the end.

| param | what it does |
|---|---|
| `table` | which table spec (`include/tables/*.yaml`) |
| `mode` | `plan`, `rehearse`, `migrate` |
| `approvals` | whether people are asked; empty: in `migrate` always, in a rehearsal not |
| `synthetic_rows`, `seed`, `arrival` | rehearsals: rows to generate, and in which order they arrive |
| `backup` | `dump` with a restore check, `external`, or `skip` in a rehearsal |
| `load_workers` | partitions loaded at a time |
| `min_speedup`, `max_rollback_minutes` | the criteria |
| `production_rows` | for the report's estimate |
| `leave` | how a successful rehearsal ends |

Questions wait under **Required Actions** with the evidence in them; no answer in time is a no. A no-go may be waived
there, with a reason, where none of what failed loses a row.

A no-go is a verdict: the run follows the gate to its end and is marked failed. A failed task is something else,
"could not find out" or "could not do": clear it and the run goes on from where the ledger says it stands, or trigger
`partition_rollback`. Nothing undoes itself because a worker died.
"""

from __future__ import annotations

from airflow.sdk import DAG, task

from partition_playbook.approvals import go_no_go
from partition_playbook.notifications import Announce, failed
from partition_playbook.operators import TASK_DEFAULTS, form
from partition_playbook.sections.application import application
from partition_playbook.sections.data_preparation import data_preparation
from partition_playbook.sections.decision import decision
from partition_playbook.sections.lifecycle import lifecycle
from partition_playbook.sections.migration import migration, plan
from partition_playbook.sections.preflight import preflight
from partition_playbook.sections.pruning import pruning
from partition_playbook.sections.rollback import rollback
from partition_playbook.sections.snapshot import snapshot
from partition_playbook.sections.validation import validation
from partition_playbook.spec import Mode, RunParams


@task.branch
def choose_mode(params: dict[str, str] | None = None) -> str:
    """Only print the plan, or run the playbook."""
    return "plan" if (params or {})["mode"] == Mode.PLAN else "preflight"


def first_section(params: RunParams) -> str:
    """Generate rows first where a rehearsal asks for them."""
    return "data_preparation" if params.synthetic_rows else "snapshot"


def last_section(params: RunParams) -> str:
    """Rehearse the rollback in staging; in production a migration that went well stays."""
    return "rollback" if params.mode is Mode.REHEARSE else "decision"


with DAG(
    "partition_migration",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS | {"on_failure_callback": Announce(failed)},
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
    returned = rollback()
    decided = decision()

    choose_mode() >> [plan(), checked]
    checked >> go_no_go("preflight", first_section, "decision") >> [prepared, recorded, decided]
    prepared >> recorded
    recorded >> go_no_go("snapshot", "migration", "decision") >> [migrated, decided]
    migrated.children["migration.cut_over"] >> validated
    migrated.children["migration.abandon_shadow"] >> decided
    validated >> go_no_go("validation", "pruning", "rollback") >> [pruned, returned]
    pruned >> go_no_go("pruning", "application", "rollback") >> [applied, returned]
    applied >> go_no_go("application", "lifecycle", "rollback") >> [managed, returned]
    managed >> go_no_go("lifecycle", last_section, "rollback") >> [returned, decided]
    returned >> decided
