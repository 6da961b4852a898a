"""Tell before the migration whether maintenance could apply the retention of the spec to the rows of now."""

from __future__ import annotations

from math import ceil

import pendulum

from partition_playbook import figures
from partition_playbook.catalog import Partition
from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.errors import PreconditionFailed
from partition_playbook.maintenance.checks import Share, due_span, newest_check, share_check
from partition_playbook.sections.preflight.context import PreflightContext

AT_REST = (
    "After partition_finalize each run of partition_maintenance would be red. If the table has no writers any more, "
    "remove `retention` from the spec and detach its old partitions by hand"
)


def first_retention(context: PreflightContext) -> Check:
    """Warn if the first retention would stop: no row is as new as the cutoff, or too much is due at once."""
    spec, rules = context.run.spec, context.run.spec.retention
    expected = "the first run of partition_maintenance after partition_finalize can apply the retention"
    if rules is None:
        return skipped("first_retention", "the spec keeps everything", expected=expected)
    try:
        bounds, newest = context.bounds, context.rows_range["newest"]
    except PreconditionFailed:
        return skipped("first_retention", "no partitions are planned: see partitions_planned", expected=expected)
    if newest is None or context.params.synthetic_rows:
        return skipped("first_retention", "the rows are still to come", expected=expected)

    now = pendulum.now(spec.timezone)
    cutoff = rules.cutoff(now)
    attached = [
        (each.lower, each.upper, Partition(spec.name.partition(each.suffix), "r", "", False, 0)) for each in bounds
    ]
    going = [each for each in attached if each[1] <= cutoff and not rules.holds(*each[:2])]

    rest = newest_check(cutoff, spec.codec.moment(newest), len(going), Severity.WARNING)
    due = Share.of(going, attached, cutoff, now, due_span(rules, spec.schedule))
    share = share_check(rules, due, Severity.WARNING)
    stopping = [each for each in (rest, share) if each.outcome is Outcome.FAILED]
    return check(
        "first_retention",
        not stopping,
        expected=expected,
        actual="; ".join(f"{each.name} would stop it: {each.actual}" for each in stopping) or share.actual,
        severity=Severity.WARNING,
        remedy=AT_REST
        if rest in stopping
        else "After partition_finalize trigger partition_maintenance once with this `table` and with `approve_share` "
        f"{figures.decimal(ceil(100 * due.of_time) / 100)} or more. Until then its runs are red",
    )
