"""The pool of the loads, if they have one of their own: Airflow never runs a task of a pool that does not exist.

A task cannot read Airflow's pools. So a task that does nothing asks the pool for a slot, and another one looks at it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.sdk import BaseOperator, task
from airflow.sdk.exceptions import DownstreamTasksSkipped, TaskDeferred
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent

from partition_playbook import figures
from partition_playbook.airflow.runs import current_run, in_dag_test
from partition_playbook.airflow.tasks import SHORT
from partition_playbook.checks import Check, Severity, check, skipped

LOADS_POOL_VARIABLE = "PARTITION_PLAYBOOK_LOADS_POOL"
DEFAULT_POOL = "default_pool"
# A slot was given to a task in one of these states.
GIVEN = frozenset({"queued", "running", "success", "failed", "up_for_retry"})
WAIT_SECONDS = 120.0
LOOK_SECONDS = 2.0


def loads_pool() -> str:
    """Return the name of the pool for the loads of all runs."""
    return os.environ.get(LOADS_POOL_VARIABLE) or DEFAULT_POOL


@task(pool=loads_pool(), execution_timeout=SHORT)
def use_loads_pool() -> None:
    """Take a slot of the pool and give it back."""


class CheckLoadsPool(BaseOperator):
    """Check that the pool of the loads gives a slot; the check is recorded in the section of the task."""

    def __init__(self, *, user: str, loads: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.user, self.loads = user, loads

    def execute(self, context: Any) -> None:
        """Wait in the triggerer until the task ``user`` has a slot."""
        if in_dag_test():
            reason = "`airflow dags test` has no pools"
            current_run(context).ledger.record_checks([skipped("loads_pool", reason)])
            return
        ti = context["ti"]
        trigger = SlotTrigger(dag_id=ti.dag_id, run_id=ti.run_id, task_id=self.user, seconds=WAIT_SECONDS)
        raise TaskDeferred(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: bool) -> None:
        """Record the check; without a slot, skip the task that waits for it."""
        others = context["ti"].get_ti_count(
            dag_id=context["ti"].dag_id, task_ids=[self.loads], states=["queued", "running"]
        )
        current_run(context).ledger.record_checks([loads_pool_check(given=event, others=others)])
        if not event:
            raise DownstreamTasksSkipped(tasks=[self.user])  # type: ignore[no-untyped-call]


def loads_pool_check(*, given: bool, others: int) -> Check:
    """Return the check of the pool; only a warning while ``others`` load, because they may have all of its slots."""
    pool, waited = loads_pool(), figures.seconds(WAIT_SECONDS)
    busy = f" or {figures.count(others, 'load')} of other tables hold all of its slots" if others else ""
    return check(
        "loads_pool",
        given,
        expected=f"the pool {pool} of the variable {LOADS_POOL_VARIABLE} gives a slot",
        actual="it did" if given else f"no slot within {waited}: there is no pool {pool}{busy}",
        remedy=f"Create it: airflow pools set {pool} 2 loads. If it exists, raise its slots. Or unset "
        f"{LOADS_POOL_VARIABLE} where Airflow parses the DAGs: loads need no pool of their own",
        severity=Severity.WARNING if others else Severity.ERROR,
    )


class SlotTrigger(BaseTrigger):
    """Wait until the scheduler has given a pool slot to a task; end with False after ``seconds``."""

    def __init__(self, dag_id: str, run_id: str, task_id: str, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dag_id, self.run_id, self.awaited, self.seconds = dag_id, run_id, task_id, seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments, for the triggerer."""
        arguments = {"dag_id": self.dag_id, "run_id": self.run_id, "task_id": self.awaited, "seconds": self.seconds}
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the state of the task until it has a slot."""
        deadline = time.monotonic() + self.seconds
        while not (given := await asyncio.to_thread(self._has_slot)) and time.monotonic() < deadline:
            await asyncio.sleep(LOOK_SECONDS)
        yield TriggerEvent(given)  # type: ignore[no-untyped-call]

    def _has_slot(self) -> bool:
        states = RuntimeTaskInstance.get_task_states(self.dag_id, task_ids=[self.awaited], run_ids=[self.run_id])
        return states.get(self.run_id, {}).get(self.awaited) in GIVEN
