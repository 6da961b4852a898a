"""# Partition rollback

Undoes a migration on its own, today or next week, in whatever state the ledger finds it, whether its run is alive or
dead.

- **Before cutover:** shadow, capture and change log are dropped; the original table was never touched.
- **After cutover:** the original table is made equal to the live one, every row is compared, the names are swapped
  back in milliseconds, and every write made since cutover is kept. Then shadow, capture and change log are dropped.

It refuses, and changes nothing, where the two tables are not equal. After `partition_finalize` only the backup leads
back.

Where it is not done within the playbook's hour, a deadline alert says so; the rollback goes on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference

from partition_playbook.notifications import late
from partition_playbook.operators import TASK_DEFAULTS, table_param
from partition_playbook.sections.rollback import roll_back_standing_run


class TestableDAG(DAG):
    """A DAG whose deadline `airflow dags test` survives: Airflow 3.3.2 looks there for a key that it never stored."""

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Run it without the deadline, which nobody watches there."""
        self.deadline = None
        return super().test(*args, **kwargs)


with TestableDAG(
    "partition_rollback",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    deadline=DeadlineAlert(
        name="The rollback hour",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        callback=AsyncCallback(late),  # of the triggerer: an executor's callback is refused every connection
    ),
    params={"table": table_param()},
    doc_md=__doc__,
    dag_display_name="Partition rollback",
    tags=["partition-playbook", "postgres"],
):
    roll_back_standing_run()
