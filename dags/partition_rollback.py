"""# Partition rollback

Undoes a migration on its own, today or next week, in whatever state the ledger finds it, whether its run is alive or
dead.

- **Before cutover:** shadow, capture and change log are dropped; the original table was never touched.
- **After cutover:** the original table is made equal to the live one, every row is compared, the names are swapped
  back in milliseconds, and every write made since cutover is kept. Then shadow, capture and change log are dropped.

It refuses, and changes nothing, where the two tables are not equal. After `partition_finalize` only the backup leads
back.
"""

from __future__ import annotations

from airflow.sdk import DAG

from partition_playbook.operators import TASK_DEFAULTS, table_param
from partition_playbook.sections.rollback import roll_back_standing_run

with DAG(
    "partition_rollback",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={"table": table_param()},
    doc_md=__doc__,
    dag_display_name="Partition rollback",
    tags=["partition-playbook", "postgres"],
):
    roll_back_standing_run()
