"""# Partition standby

Keeps the way back open between the cutover and `partition_finalize`. Every five minutes it reconciles the retired table
of each migration that has one, so a rollback takes seconds at any time, and the change log stays small. It does nothing
where no retired table stands.

Each pass says in its log what a rollback would take now, and until when it takes seconds. The console and the report
say the same. A pass starts no batch while the run is paused, or while the server is over a limit of the spec.

The task of a table fails, and a message is sent once, if a person is needed:

- **behind**: changes have waited for more than 15 minutes;
- **nearly full**: the change log has used more than half of its limit;
- **lost**: the capture stopped, or the tables differ. Then only the backup leads back.

A failed task affects no other table. Nothing needs to be cleared: the next pass begins anew.
"""

from __future__ import annotations

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from partition_playbook.airflow.last_line import tell_failure
from partition_playbook.airflow.notifications import AnnounceFailure, failure_message
from partition_playbook.airflow.tasks import TASK_DEFAULTS
from partition_playbook.standalone.standby import standby

with DAG(
    "partition_standby",
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,  # a pass is bounded, and two of one table would wait for each other
    default_args=TASK_DEFAULTS | {"on_failure_callback": [AnnounceFailure(failure_message), tell_failure]},
    doc_md=__doc__,
    dag_display_name="Partition standby",
    tags=["partition-playbook", "postgres"],
):
    standby()
