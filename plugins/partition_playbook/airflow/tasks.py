"""The task decorator with the run as an argument, the retry policy, and the defaults of all tasks."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial, wraps
from typing import Any, overload

from airflow.sdk import (
    BaseOperator,
    ExceptionRetryPolicy,
    RetryAction,
    RetryRule,
    get_current_context,
    task,
)

from partition_playbook.airflow.last_line import tell_failure, tell_retry
from partition_playbook.airflow.runs import current_run, run_params
from partition_playbook.errors import PlaybookError, TryAgain
from partition_playbook.run import Run

log = logging.getLogger(__name__)

RETRY_POLICY = ExceptionRetryPolicy(
    rules=[
        RetryRule(TryAgain, RetryAction.RETRY, reason="The state is consistent; a retry can succeed"),
        RetryRule(PlaybookError, RetryAction.FAIL, reason="A retry would fail in the same way"),
        RetryRule(
            "airflow.providers.standard.exceptions.HITLRejectException", RetryAction.FAIL, reason="A person rejected it"
        ),
        RetryRule(
            "psycopg.errors.InsufficientPrivilege", RetryAction.FAIL, reason="A retry would fail in the same way"
        ),
        RetryRule(
            [
                "psycopg.errors.InvalidAuthorizationSpecification",
                "psycopg.errors.InvalidPassword",
                "psycopg.errors.InvalidCatalogName",
            ],
            RetryAction.FAIL,
            reason="The server refuses this login; a retry would fail in the same way",
        ),
        RetryRule("psycopg.OperationalError", RetryAction.RETRY, reason="The connection or the server may recover"),
        RetryRule("psycopg.Error", RetryAction.FAIL, reason="A retry would fail in the same way"),
    ]
)
TASK_DEFAULTS: dict[str, Any] = {
    "owner": "partition_playbook",
    "retries": 3,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": RETRY_POLICY,
    "on_retry_callback": tell_retry,
    "on_failure_callback": tell_failure,
}
# For tasks that are short by design. A load, a backup or a comparison takes as long as the table demands.
SHORT = timedelta(hours=1)
# Enough for every table at once: the ledger, not Airflow, keeps two runs of one table apart.
SIDE_BY_SIDE = 256
# Where worker slots are scarce, an emergency gets the next one; the weight of a migration's tasks is their number.
URGENT = 1_000_000
FILES_QUEUE_VARIABLE = "PARTITION_PLAYBOOK_FILES_QUEUE"


def files_queue() -> str:
    """Return the queue of the tasks that write the files of a run: one worker of this queue keeps them all."""
    return os.environ.get(FILES_QUEUE_VARIABLE) or BaseOperator.queue


@overload
def playbook_task(function: Callable[..., Any]) -> Any: ...


@overload
def playbook_task(
    *,
    run: Callable[[Mapping[str, Any]], Run] = ...,
    decorator: Callable[..., Any] = ...,
    **arguments: Any,
) -> Callable[[Callable[..., Any]], Any]: ...


def playbook_task(
    function: Callable[..., Any] | None = None,
    *,
    run: Callable[[Mapping[str, Any]], Run] = current_run,
    decorator: Callable[..., Any] = task,
    **arguments: Any,
) -> Any:
    """Make a task of a function; its parameters ``run`` and ``params``, if any, are filled in at run time."""
    if function is None:
        return partial(playbook_task, run=run, decorator=decorator, **arguments)
    names = list(inspect.signature(function).parameters)
    given = [name for name in ("run", "params") if name in names]

    @wraps(function)
    def execute(*args: Any, **kwargs: Any) -> Any:
        context = get_current_context()
        values: dict[str, Callable[[], Any]] = {"run": partial(run, context), "params": partial(run_params, context)}
        return function(*args, **kwargs, **{name: values[name]() for name in given})

    shown = inspect.signature(function)
    execute.__signature__ = shown.replace(  # type: ignore[attr-defined]
        parameters=[each for name, each in shown.parameters.items() if name not in given]
    )
    made: Any = decorator(**arguments)
    return made(execute)
