"""Compare the table's write rate with the rate that one reconciler follows, before anything is built."""

from __future__ import annotations

import time

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.engine import drain, reconcile
from partition_playbook.engine.write_rate import Counters, Followed, Written, between, followed, read_counters
from partition_playbook.sections.preflight.context import PreflightContext

# A session publishes its counters about once a second, so less time tells little of a table with writers.
LEAST_SECONDS = 3.0
WARNED_SHARE = 0.5


def write_rate(context: PreflightContext) -> Check:
    """Tell the write rate and the rate that a cutover can follow; the checks between two reads of counters are free."""
    last = read_counters(context.session, context.table.table_name)
    first = context.counters or last
    seconds = (last.at - first.at).total_seconds()
    if last.changes != first.changes and seconds < LEAST_SECONDS:
        time.sleep(LEAST_SECONDS - seconds)
        last = read_counters(context.session, context.table.table_name)
    return judged(first, last, followed(context.run))


def judged(first: Counters, last: Counters, known: Followed) -> Check:
    """Compare both rates: over half is a warning; an error is a rate, also on average, that this table has measured."""
    written = between(first, last)
    whole, limit = known.rate(reconcile.BATCH), known.rate(drain.STEADY_BACKLOG)
    expected = f"at most {figures.rate(limit * WARNED_SHARE, 1, 'changes')}, half of what a cutover can follow"
    follows = (
        f"one reconciler follows {figures.rate(whole, 1, 'changes')}, and above {figures.rate(limit, 1, 'changes')} "
        f"a cutover gives up before its lock ({known.source})"
    )
    if written is None:
        why = "the counters were reset meanwhile" if last.counted else "the setting track_counts is off"
        return skipped("write_rate", f"the write rate is unknown: {why}; {follows}", expected=expected)

    is_certain = known.own and _exceeds(written, limit)
    return check(
        "write_rate",
        written.highest <= limit * WARNED_SHARE,
        expected=expected,
        actual=f"the application writes {written}; {follows}",
        remedy=_remedy(known),
        severity=Severity.ERROR if is_certain else Severity.WARNING,
        evidence={
            "written_per_second": round(written.present, 1),
            "written_per_second_on_average": None if written.average is None else round(written.average, 1),
            "sampled_seconds": round(written.seconds, 1),
            "followed_per_second": round(whole),
            "cutover_limit_per_second": round(limit),
            "measured": known.measured,
        },
    )


def _exceeds(written: Written, limit: float) -> bool:
    return written.average is not None and min(written.present, written.average) > limit


def _remedy(known: Followed) -> str:
    calmer = "Let the application write less until the cutover, or migrate at a quieter time, then clear this task"
    if known.own:
        return f"The cutover would end in CatchUpTooSlow. {calmer}"
    return f"Rehearse this table under its writers: the run measures the rate. If the cutover can't follow: {calmer}"
