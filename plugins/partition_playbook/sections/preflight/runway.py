"""The partitions ahead must last until the run of maintenance after next, and only maintenance may manage them."""

from __future__ import annotations

from partition_playbook import figures
from partition_playbook.checks import Check, check
from partition_playbook.maintenance.managers import other_managers_check
from partition_playbook.runway import least_premake, premake_remedy
from partition_playbook.sections.preflight.context import PreflightContext


def runway(context: PreflightContext) -> Check:
    """Check that the spec keeps enough partitions ahead for the schedule of partition_maintenance."""
    spec = context.run.spec
    least = least_premake(spec.interval)
    return check(
        "runway",
        spec.premake >= least,
        expected=f"at least {figures.count(least, 'partition')} ahead, for the run of partition_maintenance after next",
        actual=f"`premake` is {spec.premake}",
        remedy=premake_remedy(spec.interval),
    )


def other_managers(context: PreflightContext) -> Check:
    """Check that no other program manages the partitions of the table."""
    return other_managers_check(context.session, context.table.table_name)


RUNWAY = (runway, other_managers)
