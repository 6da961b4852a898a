"""After sign-off: drop what a way back would need."""

from __future__ import annotations

from typing import Any

from airflow.sdk import get_current_context

from partition_playbook.errors import InvalidSpec
from partition_playbook.migration import rollback as engine
from partition_playbook.migration.run import Run
from partition_playbook.notifications import Announce, failed, finished
from partition_playbook.operators import playbook_task, standing_run, tell_trigger


def confirmed_run(context: Any) -> Run:
    """Return the standing run of the table whose name was typed twice."""
    table, confirm = context["params"]["table"], context["params"]["confirm"]
    if confirm != table:
        raise InvalidSpec(
            f"confirm is {confirm!r}, not {table!r}",
            where="params",
            remedy="Type the table's name to drop the retired table",
        )
    return standing_run(context)


@playbook_task(
    run=confirmed_run,
    on_success_callback=Announce(finished, run=standing_run),
    on_failure_callback=Announce(failed, run=standing_run),
)
def finalize(run: Run) -> None:
    """Drop the retired table, the capture and the change log."""
    tell_trigger(run, get_current_context())
    engine.finalize(run)
