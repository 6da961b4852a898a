"""The check of the cutover's own locks."""

from __future__ import annotations

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.run import Run
from partition_playbook.spec import Mode


def lock_hold_check(run: Run, mode: Mode) -> Check:
    """Return the check of the cutover's locks against ``max_lock``; an error in a rehearsal, else a warning.

    A long hold is over when it is known. So it stops no migration, but it tells a rehearsal what production will see.
    """
    limit = 1000 * run.spec.max_lock.total_seconds()
    expected = f"the cutover held its locks for at most {figures.milliseconds(limit)}"
    measured = run.ledger.measurements("migration")
    if "cutover_held_ms" not in measured:
        return skipped("cutover_lock", "no cutover was measured", expected=expected)

    held, waited = (measured[name]["value"] for name in ("cutover_held_ms", "cutover_waited_ms"))
    return check(
        "cutover_lock",
        held <= limit,
        expected=expected,
        actual=f"held for {figures.milliseconds(held)}, of which and before which {figures.milliseconds(waited)} were "
        "spent waiting for locks",
        remedy="Find the slow statement of the swap by `duration_ms` in partition_playbook.events. Fewer partitions, "
        "views and referring keys shorten it. Or raise `max_lock` in the spec",
        severity=Severity.ERROR if mode is Mode.REHEARSE else Severity.WARNING,
        evidence=measured["cutover_held_ms"]["detail"],
    )
