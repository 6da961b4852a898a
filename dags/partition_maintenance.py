"""# Partition maintenance

Keeps every table of a spec (`include/tables/*.yaml`) in order, also one that this project did not migrate: monthly, at
03:30 UTC on the 1st, or whenever it is triggered.

For each table it reads the partitions' real bounds from the catalog, never their names, and the server's clock. Then it

1. completes a detach that was interrupted;
2. **creates** the current partition, those `premake` intervals ahead, and those that are missing in between, each like
   its siblings. Rows that wait for one in the default partition move into it in the same transaction where they are
   few. Else the default partition is **split**: copies are made while the application goes on, and take its place in
   one short transaction;
3. applies **retention**: detaches the partitions that lie wholly before the cutoff and, after a grace period, drops
   them, or archives and drops them. Never the last, never one on hold, never one that the spec would not have made,
   never while a migration of the table can still be rolled back, and nothing at all where a clock is implausible or
   more than a share of the partitions would go: `docs/retention.md`;
4. **analyzes** the table, which autovacuum never does.

It looks again afterwards: what is still missing fails that table's task, and no other's. A table in order costs no DDL.
A table that is not partitioned yet is passed over.

Each table's **health** (partitions ahead, gaps, rows in the default partition, missing indexes, old transaction ids,
growth and when the disk is full) is in the view `partition_playbook.health` beside the table: green, yellow or red. Red
fails the task, after its work. Green and yellow are an event of the asset `partition_playbook/<table spec>` with the
health as its extra, so that other DAGs can be scheduled on it.

A missed month needs no catchup: the clock and the catalog say what is missing, not the run's date, so that one late run
does what all the missed ones would have done.

| param | what it does |
|---|---|
| `table` | one table spec, or `all` |
| `dry_run` | log every action with its reason and its lock; do nothing |
| `premake` | partitions ahead; empty for the spec's |
| `retention` | `apply`, `dry_run` (only name what would go), `off` |
| `approve_share` | let this run detach so much of one table's partitions: `0.5` is half of them |
| `keep` | dry runs of retention: another period than the spec's, such as `12 months` |
| `as_of` | plan for another moment than the server's clock; nothing is retired for one that has not come |
| `max_moved_rows` | the most rows that are moved while the table is locked; more are split off without that |

A task that could not get a lock names who held it and tries again; clear it to run it again at any time. What was
done is in the task's log, its XCom and the ledger (`partition_playbook.runs`, mode `maintenance`).
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from partition_playbook.notifications import Announce, failed
from partition_playbook.operators import TASK_DEFAULTS
from partition_playbook.sections.maintenance import maintenance, trigger_form

with DAG(
    "partition_maintenance",
    schedule=CronTriggerTimetable("30 3 1 * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS | {"on_failure_callback": Announce(failed)},
    params=trigger_form(),
    doc_md=__doc__,
    dag_display_name="Partition maintenance",
    tags=["partition-playbook", "postgres"],
):
    maintenance()
