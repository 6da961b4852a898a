"""# Partition finalize

After sign-off: compares both tables once more, then drops the retired table, the capture and the change log. From
then on only the backup brings the original table back.

Type the name of the table spec into `confirm`. If the migration asked people, this DAG asks them too, under **Required
Actions**: the question shows the objects to drop and the verdict of the run. No answer in a day means no.

To finalize a run without a verdict of go or without its sign-off, an approver answers with a reason. A rehearsal with
approvals `auto` asks nobody: give the reason in `override_reason`. The ledger keeps it.

It is refused, and nothing changes, in these cases:

- the ledger has neither a sign-off nor a reason; tasks marked as success by hand change nothing;
- the original table is live;
- an object still depends on the retired table;
- the two tables are not equal.
"""

from __future__ import annotations

from airflow.sdk import DAG

from partition_playbook.airflow.tasks import SIDE_BY_SIDE, TASK_DEFAULTS
from partition_playbook.standalone.finalize import finalize, trigger_form

with DAG(
    "partition_finalize",
    schedule=None,
    catchup=False,
    max_active_runs=SIDE_BY_SIDE,
    default_args=TASK_DEFAULTS,
    params=trigger_form(),
    doc_md=__doc__,
    dag_display_name="Partition finalize",
    tags=["partition-playbook", "postgres"],
):
    finalize()
