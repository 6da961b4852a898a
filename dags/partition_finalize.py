"""# Partition finalize

After sign-off: compares both tables once more, then drops the retired table, the capture and the change log. From
here on only the backup leads back.

It refuses, and changes nothing, where the original table is live, where anything still uses the retired table, or
where the two are not equal.
Type the table's name into `confirm`.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from partition_playbook.operators import TASK_DEFAULTS, table_param
from partition_playbook.sections.finalize import finalize

with DAG(
    "partition_finalize",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    params={
        "table": table_param(),
        "confirm": Param(
            "",
            type="string",
            title="Confirm",
            description_md="The name of the table spec once more: this cannot be undone.",
        ),
    },
    doc_md=__doc__,
    dag_display_name="Partition finalize",
    tags=["partition-playbook", "postgres"],
):
    finalize()
