"""# Partition maintenance

Maintains the table of every spec (`include/tables/*.yaml`), also a table that this project did not migrate. It looks
each hour, and acts on the tables that are due by `maintain` of their specs. `choose_tables` chooses them, and its log
says when each other table is due. When triggered, it acts on every table.

For each table it reads the bounds of the partitions from the catalog, never from their names, and the server's clock.
Then it

1. finalizes a detach that was interrupted;
2. **creates** the current partition, `premake` partitions ahead, and missing ones in between, each like its siblings.
   Rows for them in the default partition move in the same transaction if they are few. Otherwise the default partition
   is **split**: copies are made while the application writes, and replace it in one short transaction;
3. applies **retention**: detaches partitions wholly before the cutoff. After a grace period it drops them, or archives
   and drops them;
4. **analyzes** the partitioned table, which autovacuum never does.

Retention never retires the last partition, one on hold, or one with other bounds than the spec's. It waits while a
migration of the table is not finalized. It does nothing if a clock is implausible, or if more than the share
`max_share` of the kept time would go at once: `docs/retention.md`.

Afterwards each table is checked. An action left to do fails that table's task and no other. A table in order costs no
DDL. A table that is not partitioned yet is skipped.

Each table's **health** is in the view `partition_playbook.health` in its database: green, yellow or red. It covers
partitions ahead, the runway to the run after next, gaps, rows in the default partition, missing indexes, old
transaction ids, growth, and free disk. Red fails the task, after its work. Green and yellow emit an event of the asset
`partition_playbook/<table spec>`, with the health as its extra. Other DAGs can be scheduled on it.

A missed run needs no catchup. The clock and the catalog determine the missing partitions, not the run's date, so one
late run does the work of all missed runs.

| param | effect |
|---|---|
| `table` | one table spec, or `all` |
| `dry_run` | logs every action with its reason and its lock; changes nothing |
| `premake` | partitions ahead; empty uses the spec's |
| `retention` | `apply`, `dry_run` (only lists the partitions to retire), `off` |
| `approve_share` | lets this run detach this share of one table's time: `0.5` is half of it |
| `keep` | dry runs of retention: another period than the spec's, such as `12 months` |
| `as_of` | plans for another moment than the server's clock; for a future one nothing is retired |
| `max_moved_rows` | the most rows to move while the table is locked; more are copied in a split |

A task without its lock names the sessions that hold it, and is retried. You can clear it at any time to run it again.
The results are in the task's log, its XCom and the ledger (`partition_playbook.runs`, mode `maintenance`).
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import AnnounceFailure, failure_message
from partition_playbook.airflow.tasks import SIDE_BY_SIDE, TASK_DEFAULTS
from partition_playbook.runway import MAINTENANCE_CRON
from partition_playbook.standalone.maintenance import maintenance, trigger_form

with DAG(
    "partition_maintenance",
    schedule=CronTriggerTimetable(MAINTENANCE_CRON, timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=SIDE_BY_SIDE,
    default_args=TASK_DEFAULTS | {"on_failure_callback": [AnnounceFailure(failure_message), tell_failure]},
    params=trigger_form(),
    doc_md=__doc__,
    dag_display_name="Partition maintenance",
    tags=["partition-playbook", "postgres"],
):
    maintenance()
