"""The playbook's checklist and its go and no-go criteria, each with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from partition_playbook.checks import Check, Outcome, check, skipped
from partition_playbook.evidence import estimate
from partition_playbook.evidence.record import SECTIONS, Evidence, Question
from partition_playbook.migration.run import Run
from partition_playbook.spec import Mode, RunParams

LOGS = (
    "not automated: watch the application's and PostgreSQL's logs for two hours after the cutover, for example "
    "log_min_messages >= ERROR and pg_stat_database.deadlocks, and roll back with partition_rollback if one appears"
)
CONFIDENCE = "team_confident"
NOBODY_ASKED = "nobody was asked to sign off what the other criteria refuse"
REHEARSED = "a production run that goes well is not rolled back; the rehearsal has tested it, see its report"


@dataclass(frozen=True)
class Item:
    """One line of the playbook, and the checks of the ledger that answer it, as ``section:pattern``.

    Each of ``needs`` must have been made. One that is ``optional`` may have been skipped for a reason; one that only a
    rehearsal can answer is not held against production.
    """

    name: str
    asks: str
    needs: tuple[str, ...]
    optional: bool = False
    rehearsed: bool = False


CHECKLIST = (
    Item("row_count", "Row count matches pre-migration count", ("validation:row_content", "validation:snapshot_rows")),
    Item("pruning", "Partition pruning verified", ("pruning:pruned_*",)),
    Item("indexes", "All indexes recreated on partitions", ("validation:partition_indexes",)),
    Item("foreign_keys", "Foreign key constraints functional", ("validation:foreign_keys*",)),
    Item("procedures", "tRPC procedures tested successfully", ("application:probe*",), optional=True),
    Item("dashboard", "Dashboard loads correctly", ("application:http*",), optional=True),
    Item("automation", "Partition automation jobs tested", ("lifecycle:*",)),
    Item("rollback", "Rollback procedure tested successfully", ("rollback:*",), rehearsed=True),
    Item("performance", "Performance improvement measured", ("pruning:speedup_*",)),
)
PROCEED = (
    Item("pruning_confirmed", "Partition pruning confirmed working", ("pruning:pruned_*",)),
    Item("speedup_reached", "Performance improvement is as asked for", ("pruning:speedup_*",)),
    Item("rollback_in_time", "Rollback tested within its limit", ("rollback:rollback_time",), rehearsed=True),
    Item("no_data_loss", "No data loss detected", ("migration:row_content*", "validation:row_content")),
)
STOP = (
    Item("no_row_mismatch", "No row count mismatch", ("validation:row_content", "validation:snapshot_rows")),
    Item("no_pruning_failure", "Partition pruning works", ("pruning:pruned_*",)),
    Item("no_application_error", "No application errors", ("application:*",), optional=True),
    Item("no_rollback_failure", "Rollback did not fail", ("rollback:row_content*", "rollback:*"), rehearsed=True),
    Item("no_degradation", "Performance did not degrade", ("pruning:regressions",)),
)


def reasons(checks: Mapping[str, Sequence[Check]]) -> str:
    """Say why it is a no-go: what stopped at a gate, then the criteria that are not met for want of it."""
    stopped = [f"{section}: {each}" for section in SECTIONS for each in checks.get(section, ()) if each.blocks]
    unmet = [each for each in checks.get("decision", ()) if each.blocks]
    if not stopped:
        return "; ".join(map(str, unmet))
    return f"{'; '.join(stopped)}. Not met: {', '.join(each.name for each in unmet)}"


def criteria(run: Run, params: RunParams) -> list[Check]:
    """Read the run's ledger and judge it."""
    return decide(Evidence.read(run), params)


def decide(evidence: Evidence, params: RunParams) -> list[Check]:
    """Return the checklist's items, then the criteria, in the playbook's order."""
    listed = checklist(evidence, params)
    return [
        *listed,
        _all_passed(listed),
        *(judge(item, evidence) for item in PROCEED),
        _team_confident(evidence, params),
        *(judge(item, evidence) for item in STOP),
        _migration_without_errors(evidence),
    ]


def to_sign_off(run: Run, params: RunParams) -> list[Check]:
    """Return what a person signs off, or does not: every criterion but the team's confidence."""
    return [each for each in criteria(run, params) if each.name != CONFIDENCE]


def checklist(evidence: Evidence, params: RunParams) -> list[Check]:
    """Return the post-migration checklist, item by item."""
    return [
        *(judge(item, evidence, "checklist_") for item in CHECKLIST),
        _duration_documented(evidence, params),
        skipped("checklist_logs", LOGS, expected="No critical errors in logs for 2 hours post-migration"),
    ]


def judge(item: Item, evidence: Evidence, prefix: str = "") -> Check:
    """Answer one line of the playbook from the checks that it needs; what was never looked at has failed."""
    found = [each for need in item.needs for each in evidence.find(need)]
    missing = [need for need in item.needs if not any(evidence.find(need))]
    made = [each for each in found if each.outcome is not Outcome.SKIPPED]
    name = f"{prefix}{item.name}"
    if item.rehearsed and evidence.mode is Mode.MIGRATE and not made:
        return skipped(name, REHEARSED, expected=item.asks)
    if item.optional and not made and not missing:
        return skipped(name, _reasons(found), expected=item.asks)
    problems = [f"no evidence: section {need.replace(':', ' has no check ')}" for need in missing]
    if not made and not missing:
        problems = [f"only skipped: {_reasons(found)}"]
    problems += [f"{each.name}: {each.actual}" for each in _distinct(found) if each.blocks]
    return check(
        name,
        not problems,
        expected=item.asks,
        actual="; ".join(problems) or _passed(_distinct(made)),
        remedy="See the checks named, and run the sections that are missing",
        evidence={each.name: each.outcome.value for each in found},
    )


def _passed(made: Sequence[Check]) -> str:
    waived = [each for each in made if each.outcome is Outcome.WAIVED]
    told = [
        f"{len(made) - len(waived)} of {len(made)} checks passed",
        *(f"{each.name}: {each.actual}" for each in waived),
    ]
    return "; ".join(told)


def _distinct(found: Sequence[Check]) -> list[Check]:
    return list({each.name: each for each in found}.values())


def _reasons(found: Sequence[Check]) -> str:
    return "; ".join(f"{each.name}: {each.actual}" for each in found)


def _all_passed(listed: Sequence[Check]) -> Check:
    failed = [each for each in listed if each.outcome is Outcome.FAILED]
    open_items = [each.name for each in listed if each.outcome is Outcome.SKIPPED]
    passed = len(listed) - len(failed) - len(open_items)
    return check(
        "all_items_passed",
        not failed,
        expected="All checklist items passed",
        actual="; ".join(f"{each.name}: {each.actual}" for each in failed)
        or f"{passed} passed, {len(open_items)} left to a person: {', '.join(open_items)}",
        remedy="See the items named",
    )


def _duration_documented(evidence: Evidence, params: RunParams) -> Check:
    pace = estimate.pace(evidence, params)
    return check(
        "checklist_duration",
        pace is not None,
        expected="Migration duration documented",
        actual=f"{pace.rows:,} rows loaded in {pace.seconds:.1f} s" if pace else "no evidence: no load has ended",
        remedy="Run the migration section to its end",
    )


def _migration_without_errors(evidence: Evidence) -> Check:
    """Return the check that the engine did all of its work: every load attached, every check passed, tables swapped."""
    problems = [f"{each.name}: {each.actual}" for each in evidence.checks.get("migration", ()) if each.blocks]
    problems += [
        f"{load['partition_name']} is {load['state']}" for load in evidence.loads if load["state"] != "attached"
    ]
    if not evidence.loads:
        problems.append("no evidence: nothing was loaded")
    if evidence.measured("migration", "cutover_held_ms") is None:
        problems.append("no evidence: no cutover was recorded")
    return check(
        "no_migration_error",
        not problems,
        expected="No migration script errors",
        actual="; ".join(problems) or f"{len(evidence.loads)} partitions loaded and attached, tables swapped",
        remedy="See the migration section's task logs; clear what failed to go on",
    )


def _team_confident(evidence: Evidence, params: RunParams) -> Check:
    expected = "Team confidence high"
    if not params.asks_people:
        return skipped(CONFIDENCE, "a person reads this report and then decides", expected=expected)
    answer = evidence.answer(Question.SIGN_OFF)
    told = f"{answer}, by {answer.by} at {answer.at}" if answer and answer.by else str(answer or NOBODY_ASKED)
    return check(
        CONFIDENCE,
        answer is not None and answer.agreed,
        expected=expected,
        actual=told,
        remedy="Clear decision.sign_off to be asked again, or trigger partition_rollback",
    )
