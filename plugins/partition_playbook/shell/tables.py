"""Tell the runs and the health of tables in the shell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from partition_playbook import figures
from partition_playbook.airflow.run_states import State
from partition_playbook.checks import as_json
from partition_playbook.console import answers, read, write_pace
from partition_playbook.ledger import MAINTENANCE
from partition_playbook.maintenance.health import Health, Status
from partition_playbook.maintenance.interval_change import INTERVAL_CHANGE
from partition_playbook.maintenance.maintain import inspect
from partition_playbook.shell.answer import Answer, Exit, Failure, worst
from partition_playbook.shell.failures import FORESEEN, failure_of
from partition_playbook.shell.runs import look_at
from partition_playbook.spec import TableSpec, load_spec, require_folder, spec_names

# The states of a newest run that wait for a person.
FINDINGS = (State.FAILED, State.LOST, State.ASKING, "no-go")
Found = tuple[list[str], dict[str, Any], Exit]


def status(name: str | None) -> Answer:
    """Return the newest run and the last recorded health of one table or of all."""
    return _of_each(name, _status)


def health(name: str | None) -> Answer:
    """Judge the health of one table or of all now; yellow and red are findings."""
    return _of_each(name, _health)


def _of_each(name: str | None, tell: Callable[[str, TableSpec], Found]) -> Answer:
    """Ask for each table; the failure of one affects no other."""
    require_folder()
    lines: list[str] = []
    content: list[dict[str, Any]] = []
    exits: list[Exit] = []
    failures: list[Failure] = []

    for each in [name] if name else spec_names():
        connection = ""
        try:
            spec = load_spec(each, standing=True)
            connection = spec.connection
            told, values, code = tell(each, spec)
        except FORESEEN as error:
            failure = failure_of(error, connection)
            failures.append(failure)
            told, values, code = [], {"spec": each, "failure": failure.as_json()}, failure.exit
        lines += told
        content.append(values)
        exits.append(code)

    return Answer(tuple(lines), {"tables": content}, worst(exits), tuple(failures))


def _status(name: str, spec: TableSpec) -> Found:
    (table,) = read.tables({name: spec}, spec.connection)
    lines = [f"{name}: {table.table}, health {table.health.status if table.health else 'unknown'}"]
    if table.health:
        lines += [f"    problem: {each}" for each in table.health.problems]
    lines += _last_run(table.last_run)
    pace = _pace(spec, table.last_run)
    lines += [f"    {each}" for each in (pace,) if each]

    is_finding = bool(table.last_run and table.last_run.state in FINDINGS) or bool(
        table.health and table.health.status != Status.GREEN
    )
    content = table.model_dump(mode="json") | {"pace": pace}
    return lines, content, Exit.FINDINGS if is_finding else Exit.IN_ORDER


def _pace(spec: TableSpec, run: answers.Run | None) -> str | None:
    """Return the rates of application and reconcile in words; None unless a migration is open and captures."""
    if run is None or run.ended_at or run.mode == MAINTENANCE:
        return None
    now = read.progress(spec, run.run_id)
    return write_pace.describe(now) if now.pace else None


def _last_run(run: answers.Run | None) -> list[str]:
    if run is None:
        return ["    no run yet"]
    where = f" in {run.state_in}" if run.state_in else ""
    told = f"    newest run: {run.mode}, {run.phase}, {run.state}{where}, {run.run_id}"
    return [told, *([f"    next: {run.next_step}"] if run.next_step else [])]


def _health(name: str, spec: TableSpec) -> Found:
    checks, judged = inspect(look_at(spec))
    if judged is None:
        told = f"{name}: {spec.name} is not partitioned, so there is no health to judge"
        return [told], {"spec": name, "table": str(spec.name), "status": None, "checks": []}, Exit.IN_ORDER

    lines = [f"{name}: {judged.status.value}, {_figures(judged)}"]
    lines += [f"    {each}" for each in checks if each.fell_short or each.name == INTERVAL_CHANGE]
    content = {"spec": name, "table": str(spec.name), **judged.summary(), "checks": [as_json(each) for each in checks]}
    return lines, content, Exit.IN_ORDER if judged.status is Status.GREEN else Exit.FINDINGS


def _figures(judged: Health) -> str:
    facts = judged.facts
    parts = [
        f"{figures.count(facts.ahead, 'partition')} ahead",
        figures.count(facts.gaps, "gap"),
        f"about {figures.count(facts.estimated_rows, 'row')}",
        figures.size(facts.bytes),
    ]
    return ", ".join(parts)
