"""Tell the events of a run in the shell, from the ledger."""

from __future__ import annotations

from partition_playbook import figures
from partition_playbook.console import answers, read
from partition_playbook.errors import PreconditionFailed
from partition_playbook.shell.answer import Answer
from partition_playbook.spec import load_spec


def events(name: str, run_id: str, most: int, section: str, kind: str, text: str) -> Answer:
    """Return the newest events of a run, oldest first; without a run id those of the newest run of the table."""
    spec = load_spec(name, standing=True)
    run = run_id or _newest(name, [each.run_id for each in read.runs(spec, None)])
    filters = {"section": section or None, "kind": kind or None, "text": text or None}
    found = list(reversed(read.events(spec, run, before=None, **filters)[:most]))

    lines = [f"{name}: run {run}, {figures.count(len(found), 'event')}", *map(_line, found)]
    return Answer(tuple(lines), {"run_id": run, "events": [each.model_dump(mode="json") for each in found]})


def _newest(name: str, run_ids: list[str]) -> str:
    if run_ids:
        return run_ids[0]
    raise PreconditionFailed(
        "the ledger has no run of this table", where=name, remedy="Trigger partition_migration in mode rehearse first"
    )


def _line(event: answers.Event) -> str:
    rows = "" if event.rows is None else f" ({figures.count(event.rows, 'row')})"
    took = "" if event.duration_ms is None else f" in {figures.milliseconds(event.duration_ms)}"
    message = " ".join(event.message.split())
    return f"{event.happened_at:%Y-%m-%d %H:%M:%S %Z}  {event.section}  {event.kind}  {message}{rows}{took}"
