"""Check the row triggers of the table: they run on partitions after the cutover."""

from __future__ import annotations

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import Acceptance, Mode
from partition_playbook.workload import trigger_trial
from partition_playbook.workload.row_triggers import row_triggers


def before_triggers(context: PreflightContext) -> Check:
    """Try the BEFORE row triggers on temporary copies of the table; skipped in mode plan, which changes nothing."""
    tried = [each.name for each in row_triggers(context.session, context.table.table_name) if each.tried]
    if tried and context.params.mode is Mode.PLAN:
        reason = f"{', '.join(tried)}: tried in mode rehearse and migrate before anything is built"
        return skipped(trigger_trial.NAME, reason)
    return trigger_trial.before_trigger_check(context.run)


def row_triggers_by_table_name(context: PreflightContext) -> Check:
    """Refuse row triggers that read the name or the oid of their table: they would see those of a partition."""
    triggers = row_triggers(context.session, context.table.table_name)
    found = {each.name: each.table_variables() for each in triggers}
    named = [f"{name} reads {', '.join(variables)}" for name, variables in found.items() if variables]
    accepted = Acceptance.TABLE_NAMES in context.run.spec.accept
    return check(
        "row_triggers_by_table_name",
        not named,
        expected="no row trigger reads the name or the oid of its table",
        actual="; ".join(named) or "none",
        severity=Severity.WARNING if accepted else Severity.ERROR,
        remedy="After the cutover they see those of a partition. Replace TG_RELID by "
        "coalesce(pg_partition_root(TG_RELID), TG_RELID), which is right before and after it. Replace TG_TABLE_NAME by "
        "(SELECT relname FROM pg_class WHERE oid = coalesce(pg_partition_root(TG_RELID), TG_RELID)). If the name of a "
        "partition does no harm, add `accept: [row_triggers_by_table_name]` to the spec",
    )


CHECKS = (row_triggers_by_table_name, before_triggers)
