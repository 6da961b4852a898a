"""Write a plan as lines for a log, as SQL to review and to copy from, and as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from partition_playbook import figures
from partition_playbook.checks import Check
from partition_playbook.engine.planned import Folded, LiveLock, Plan
from partition_playbook.intervals import Bounds

# The check whose figures are a part of each plan, also if it passed.
WRITE_RATE = "write_rate"
TO_REVIEW = (
    "To review, and to copy from. Do not run this file as a whole: the playbook runs it step by step, with lock "
    "timeouts, retries and comparisons, and rolls back the tries of the capture."
)


def lines(plan: Plan, checks: Sequence[Check] = ()) -> list[str]:
    """Return the plan as lines: the summary, then each statement with its purpose and lock as comments."""
    return [*summary(plan, checks), *_statements(plan)]


def summary(plan: Plan, checks: Sequence[Check] = ()) -> list[str]:
    """Return the sentences on top of a plan: its hash, its locks, its needs, and the checks that refuse or warn."""
    rates = [f"write rate: {_plain(each.actual)}" for each in checks if each.name == WRITE_RATE and not each.fell_short]
    found = [f"plan_hash {plan.hash}", *plan.told, *rates, *(_lock(each) for each in plan.locks)]
    found += [f"refused by {each.name}: {_plain(each.actual)}" for each in checks if each.blocks]
    return found + [f"noted by {each.name}: {_plain(each.actual)}" for each in checks if _is_noted(each)]


def as_sql(plan: Plan, checks: Sequence[Check] = ()) -> str:
    """Return the plan as SQL: comments, and statements that end with a semicolon."""
    head = [
        f"Partition Playbook {plan.version}, PostgreSQL {plan.server}, table {plan.table}",
        TO_REVIEW,
        "",
        *summary(plan, checks),
        "",
        f"{figures.count(len(plan.partitions), 'partition')}:",
        *(f"  {name.name} {_range(bounds)}" for name, bounds in plan.partitions),
    ]
    return "\n".join([*(f"-- {_plain(each)}".rstrip() for each in head), "", *_statements(plan, headings=True), ""])


def as_values(plan: Plan, checks: Sequence[Check] = ()) -> dict[str, Any]:
    """Return the plan as plain values: the keys of plan.json, with every statement."""
    needs = plan.needs
    return {
        "plan_hash": plan.hash,
        "table": str(plan.table),
        "version": plan.version,
        "server_version": plan.server,
        "summary": summary(plan, checks),
        "locks_on_live_table": [
            {
                "part": each.part.value,
                "mode": each.mode,
                "times": each.times,
                "waits": each.waits,
                "holds": each.holds,
                "blocks": each.blocks,
            }
            for each in plan.locks
        ],
        "estimated_rows": needs.estimated_rows,
        "table_bytes": needs.table_bytes,
        "disk_bytes": needs.disk_bytes,
        "change_log_bytes": needs.change_log_bytes,
        "wal_bytes": needs.wal_bytes,
        "load_seconds": needs.load_seconds,
        WRITE_RATE: next((dict(each.evidence) for each in checks if each.name == WRITE_RATE), None),
        "refused": [_told(each) for each in checks if each.blocks],
        "noted": [_told(each) for each in checks if _is_noted(each)],
        "partitions": [
            {
                "name": name.name,
                "from": None if bounds.is_first else bounds.lower.isoformat(),
                "to": None if bounds.is_default else bounds.upper.isoformat(),
            }
            for name, bounds in plan.partitions
        ],
        "statements": [
            {"part": each.part.value, "purpose": each.purpose, "lock": each.lock, "sql": each.sql}
            for each in plan.steps
        ],
    }


def _range(bounds: Bounds) -> str:
    lower = "MINVALUE" if bounds.is_first else bounds.lower
    return f"from {lower} to {'MAXVALUE' if bounds.is_default else bounds.upper}"


def _statements(plan: Plan, *, headings: bool = False) -> Iterator[str]:
    part = None
    for folded in plan.folded:
        if headings and folded.steps[0].part is not part:
            part = folded.steps[0].part
            yield f"\n-- ---- {part}"
        for each in folded.steps:
            yield from (f"-- {_plain(each.purpose)}", f"-- lock: {_plain(each.lock)}", f"{each.sql};")
        if folded.same:
            yield _same(folded)


def _same(folded: Folded) -> str:
    """Return the line that stands for the same statements of other partitions."""
    count = len(folded.steps)
    these = "this statement" if count == 1 else f"these {figures.number(count)} statements"
    others = figures.count(len(folded.same), "more partition")
    return f"-- … the same for {others}, {these} each: {_plain(', '.join(folded.same))}"


def _lock(each: LiveLock) -> str:
    times = "once" if each.times == 1 else f"at most {figures.number(each.times)} times"
    return (
        f"lock on the live table: {each.mode} {times}, to {each.part[:1].lower()}{each.part[1:]}; waits {each.waits}; "
        f"held {each.holds}; blocks {each.blocks}"
    )


def _is_noted(each: Check) -> bool:
    return each.fell_short and not each.blocks


def _told(each: Check) -> dict[str, str]:
    return {"check": each.name, "expected": each.expected, "actual": each.actual, "remedy": each.remedy}


def _plain(text: str) -> str:
    """Return a text in one line: a name may hold a line break, which would end a comment."""
    return " ".join(text.split()) if "\n" in text or "\r" in text else text
