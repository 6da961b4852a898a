"""The changes that an application writes during a run, beside those that reconcile follows."""

from __future__ import annotations

from collections.abc import Iterable

from partition_playbook import figures
from partition_playbook.checks import Check
from partition_playbook.console import answers
from partition_playbook.database import Session
from partition_playbook.engine.pace import BATCHES, LEAST_MEASURED

KEEPS_UP, FALLS_BEHIND, UNKNOWN = "keeps up", "falls behind", "unknown"
LEAST_SECONDS = 10.0


def read(
    session: Session, run_id: str, last_change: int, preflight: Iterable[Check], *, most_events: int
) -> answers.Pace:
    """Return the rate since a sample of the change log, and the rate that reconcile follows.

    The last batches of the run tell the latter. While they are too few, it is the one that preflight has told.
    """
    values = {"run_id": run_id, "limit": most_events, "last_change": last_change}
    limits = {"batches": BATCHES, "least_seconds": LEAST_SECONDS}
    found = session.row("console/find_pace", values | limits)

    written = None if found["ago"] is None else found["written"] / found["ago"]
    followed, source = _told(preflight)
    if found["taken"] >= LEAST_MEASURED and found["seconds"]:
        followed, source = found["taken"] / found["seconds"], "measured by the last batches of this run"
    return answers.Pace(
        written=written, over=found["ago"], followed=followed, source=source, verdict=_verdict(written, followed)
    )


def _told(preflight: Iterable[Check]) -> tuple[float | None, str]:
    """Return the rate that one reconciler follows as the check ``write_rate`` knows it, and its origin."""
    for each in preflight:
        if each.name == "write_rate" and "followed_per_second" in each.evidence:
            measured = each.evidence.get("measured")
            return each.evidence[
                "followed_per_second"
            ], f"measured by {measured}" if measured else "a cautious assumption"
    return None, "not measured yet"


def _verdict(written: float | None, followed: float | None) -> str:
    if written is None or followed is None:
        return UNKNOWN
    return KEEPS_UP if written <= followed else FALLS_BEHIND


def describe(now: answers.Progress) -> str:
    """Return pace and waiting changes of a run as one line; a run without a change log has none."""
    if now.pace is None or now.waiting_changes is None:
        return ""
    pace = now.pace
    writes, follows = "the application's rate is not known yet", f"the rate of reconcile is {pace.source}"
    if pace.written is not None and pace.over is not None:
        rate = figures.rate(pace.written, 1, "changes")
        writes = f"the application writes {rate} over the last {figures.seconds(pace.over)}"
    if pace.followed is not None:
        follows = f"reconcile follows {figures.rate(pace.followed, 1, 'changes')} ({pace.source})"

    over = "over " if now.waiting_changes >= now.most_counted else ""
    return (
        f"{pace.verdict}: {writes}; {follows}; {over}{figures.count(now.waiting_changes, 'change')} in the change log"
    )
