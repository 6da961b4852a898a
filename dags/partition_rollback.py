"""# Partition rollback

Undoes a migration, at any time until `partition_finalize`, from any phase in the ledger. The run of the migration need
not be alive.

- **Before the cutover:** shadow, capture and change log are dropped. The original table was never changed.
- **After the cutover:** the original table is reconciled with the live one, and every row is compared. The names are
  swapped back in milliseconds, and every write since the cutover is kept. Then shadow, capture and change log are
  dropped.

It is refused, and nothing changes, if the two tables are not equal. After `partition_finalize` only the backup brings
the original table back.

If it takes longer than the playbook's hour, a deadline alert is sent; the rollback continues.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, AsyncCallback, DeadlineAlert, DeadlineReference

from partition_playbook.airflow.forms import table_param
from partition_playbook.airflow.notifications import late_rollback_alert
from partition_playbook.airflow.tasks import SIDE_BY_SIDE, TASK_DEFAULTS
from partition_playbook.standalone.rollback import roll_back_standing_run


class TestableDAG(DAG):
    """A DAG without its deadline in `airflow dags test`, where Airflow 3.3.2 reads a key of it that it never stored."""

    def test(self, *args: Any, **kwargs: Any) -> Any:
        """Run the DAG without its deadline; no scheduler evaluates it there."""
        self.deadline = None
        return super().test(*args, **kwargs)


with TestableDAG(
    "partition_rollback",
    schedule=None,
    catchup=False,
    max_active_runs=SIDE_BY_SIDE,
    default_args=TASK_DEFAULTS,
    deadline=DeadlineAlert(
        name="The rollback hour",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(hours=1),
        # The triggerer runs it: a callback of the executor has no access to connections.
        callback=AsyncCallback(late_rollback_alert),
    ),
    params={"table": table_param()},
    doc_md=__doc__,
    dag_display_name="Partition rollback",
    tags=["partition-playbook", "postgres"],
):
    roll_back_standing_run()
