"""The runs of a table as text, for the shell."""

from __future__ import annotations

from partition_playbook.airflow.run_states import State
from partition_playbook.console import answers, read
from partition_playbook.ledger import MAINTENANCE
from partition_playbook.spec import TableSpec


def describe(spec: TableSpec, most: int) -> tuple[list[str], bool]:
    """Return the runs of a table as lines, newest first; and True if the newest migration failed or is lost."""
    found = read.runs(spec, None)[:most]
    lines = [line for each in found for line in _lines(spec, each)] or [f"{spec.table}: no run yet"]
    migrations = [each for each in found if each.mode != MAINTENANCE]
    return lines, bool(migrations) and migrations[0].state in read.STOPPED


def _lines(spec: TableSpec, run: answers.Run) -> list[str]:
    where = f" in {run.state_in}" if run.state_in else ""
    since = f" since {run.state_since:%Y-%m-%d %H:%M %Z}".rstrip() if run.state_since else ""
    lines = [f"{run.started_at:%Y-%m-%d %H:%M %Z}  {run.mode}  {run.phase}  {run.state}{where}{since}  {run.run_id}"]
    failure = read.progress(spec, run.run_id).failure if run.state == State.FAILED else None
    return lines + [f"    {each}" for each in (failure, run.next_step) if each]
