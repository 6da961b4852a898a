"""Evaluate the playbook's checklist and its go and no-go criteria from the recorded checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from partition_playbook import figures
from partition_playbook.checks import Check, Outcome, check, skipped
from partition_playbook.gates import SECTIONS
from partition_playbook.people import Question, last_answer, objection
from partition_playbook.run import Run
from partition_playbook.sections.decision import estimate
from partition_playbook.sections.decision.record import RunRecord
from partition_playbook.spec import Mode, RunParams

ALL_PASSED = "All checklist items passed"
CONFIDENCE = "team_confident"
REACHED = "sections_reached"
NOBODY_ASKED = "nobody was asked: decision.sign_off was passed by hand"
NOT_ASKED = "nobody was asked, because other criteria are not met"
REHEARSED = "a successful production run is not rolled back; see the report of the rehearsal"


@dataclass(frozen=True)
class Item:
    """One line of the playbook and its checks, as ``section:pattern``.

    Every pattern in ``needs`` must match a check. With ``optional`` they may all be skipped. With ``rehearsed`` only a
    rehearsal makes them, and a production run without them skips the item. ``configured`` has for each of ``needs`` a
    key below `application` in the spec: one without its key is left out, and so is an item without any.
    """

    name: str
    asks: str
    needs: tuple[str, ...]
    optional: bool = False
    rehearsed: bool = False
    configured: tuple[str, ...] = ()

    @property
    def sections(self) -> tuple[str, ...]:
        """Return the sections of the checks."""
        return tuple(dict.fromkeys(each.partition(":")[0] for each in self.needs))


CHECKLIST = (
    Item("row_count", "Row count matches pre-migration count", ("validation:row_content", "validation:snapshot_rows")),
    Item("pruning", "Partition pruning verified", ("pruning:pruned_*",)),
    Item("indexes", "All indexes recreated on partitions", ("validation:partition_indexes",)),
    Item("foreign_keys", "Foreign key constraints functional", ("validation:foreign_keys*",)),
    Item(
        "procedures",
        "tRPC procedures tested successfully",
        ("application:procedure_*", "application:command_*", "application:probe*"),
        optional=True,
        configured=("procedures", "commands", "probes"),
    ),
    Item("dashboard", "Dashboard loads correctly", ("application:http*",), optional=True, configured=("http_probes",)),
    Item("automation", "Partition automation jobs tested", ("lifecycle:*",)),
    Item("logs", "No critical errors in logs for 2 hours post-migration", ("watch:*",), optional=True),
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


# The section migration has criteria of its own.
NEEDED = ("migration", *(section for item in (*CHECKLIST, *PROCEED, *STOP) for section in item.sections))


def reasons(checks: Mapping[str, Sequence[Check]]) -> str:
    """Return the reasons of a no-go: the failed checks of the sections, then the criteria not met because of them."""
    stopped = [f"{section}: {each}" for section in SECTIONS for each in checks.get(section, ()) if each.blocks]
    unmet = [each for each in checks.get("decision", ()) if each.blocks]
    if not stopped:
        return "; ".join(map(str, unmet))
    return f"{'; '.join(stopped)}. Not met: {', '.join(each.name for each in unmet)}"


def waivers(checks: Mapping[str, Sequence[Check]]) -> list[str]:
    """Return the waived checks of the sections, each with its waiver: ``speedup_q waived by jo: known``."""
    return [f"{each.name} {each.waiver}" for section in SECTIONS for each in checks.get(section, ()) if each.waiver]


def criteria(run: Run, params: RunParams) -> list[Check]:
    """Read the run from its ledger and return the checks of all criteria."""
    return decide(RunRecord.read(run), params)


def decide(record: RunRecord, params: RunParams) -> list[Check]:
    """Return the items of the checklist, then the criteria, in the order of the playbook."""
    listed = checklist(record, params)
    proceed = [judge(item, record) for item in PROCEED]
    stop = [*(judge(item, record) for item in STOP), _migration_without_errors(record)]

    others = [*listed, _all_passed(listed, record), _sections_reached(record), *proceed]
    is_no_go = any(each.blocks for each in (*others, *stop))
    return [*others, _team_confident(record, params, is_no_go), *stop]


def to_sign_off(run: Run, params: RunParams) -> list[Check]:
    """Return every criterion but the team's confidence, as the evidence for the sign-off."""
    return [each for each in criteria(run, params) if each.name != CONFIDENCE]


def checklist(record: RunRecord, params: RunParams) -> list[Check]:
    """Return the post-migration checklist, item by item."""
    return [
        *(judge(item, record, "checklist_") for each in CHECKLIST for item in _configured(each, record)),
        _duration_documented(record, params),
    ]


def _configured(item: Item, record: RunRecord) -> Iterator[Item]:
    """Yield the item with the evidence for which the spec has a key, unless there is none."""
    application = record.run["spec"].get("application") or {}
    if not item.configured:
        yield item
    elif needs := tuple(need for key, need in zip(item.configured, item.needs, strict=True) if application.get(key)):
        yield replace(item, needs=needs)


def _unreached(record: RunRecord) -> list[str]:
    """Return the sections without a record, in their order; production needs no rollback."""
    is_loaded = bool(record.loads)
    return [
        each
        for each in SECTIONS
        if each in NEEDED
        and not record.checks.get(each)
        and not (each == "migration" and is_loaded)
        and not (each == "rollback" and record.mode is Mode.MIGRATE)
    ]


def _not_reached(item: str, asks: str, sections: Sequence[str]) -> Check:
    return skipped(item, f"not reached: {', '.join(sections)}", expected=asks)


def _sections_reached(record: RunRecord) -> Check:
    """Tell the sections without a record once; the items that need them are skipped."""
    missing = _unreached(record)
    stopped = next((each for each in SECTIONS if any(one.blocks for one in record.checks.get(each, ()))), "")
    after = f"not reached after the no-go of {stopped}" if stopped else "not reached"
    return check(
        REACHED,
        not missing,
        expected="Every section was reached",
        actual=f"{after}: {', '.join(missing)}" if missing else "all of them",
        remedy="Follow the remedies of the failed checks. Then trigger a new run, or clear the tasks of these sections",
    )


def judge(item: Item, record: RunRecord, prefix: str = "") -> Check:
    """Return the check of one line of the playbook; it fails without evidence of a section that was reached."""
    found = [each for need in item.needs for each in record.find(need)]
    missing = [need for need in item.needs if not any(record.find(need))]
    made = [each for each in found if each.outcome is not Outcome.SKIPPED]
    name = f"{prefix}{item.name}"
    unreached = [each for each in _unreached(record) if each in item.sections]

    if item.rehearsed and record.mode is Mode.MIGRATE and not made:
        return skipped(name, REHEARSED, expected=item.asks)
    if unreached and not any(each.blocks for each in found):
        return _not_reached(name, item.asks, unreached)
    if item.optional and not made and not missing:
        return skipped(name, _reasons(found), expected=item.asks)

    lacking = [need for need in missing if need.partition(":")[0] not in unreached]
    problems = [f"no evidence: section {need.replace(':', ' has no check ')}" for need in lacking]
    if not made and not missing:
        problems = [f"only skipped: {_reasons(found)}"]
    problems += [f"{each.name}: {each.actual}" for each in _distinct(found) if each.blocks]

    judged = check(
        name,
        not problems,
        expected=item.asks,
        actual="; ".join(problems) or _passed(_distinct(made)),
        remedy="Follow the remedies of these checks, and clear the tasks of the sections without evidence",
        evidence={each.name: each.outcome.value for each in found},
    )
    return _waived_like(judged, made)


def _waived_like(judged: Check, behind: Sequence[Check]) -> Check:
    """Return a passed criterion as waived if a check behind it is: it never passed."""
    is_waived = judged.outcome is Outcome.PASSED and any(each.outcome is Outcome.WAIVED for each in behind)
    return replace(judged, outcome=Outcome.WAIVED) if is_waived else judged


def _passed(made: Sequence[Check]) -> str:
    short = [each for each in made if each.fell_short]
    passed = f"{len(made) - len(short)} of {figures.count(len(made), 'check')} passed"
    return "; ".join([passed, *(f"{each.name}: {each.actual}" for each in short)])


def _distinct(found: Sequence[Check]) -> list[Check]:
    return list({each.name: each for each in found}.values())


def _reasons(found: Sequence[Check]) -> str:
    return "; ".join(f"{each.name}: {each.actual}" for each in found)


def _all_passed(listed: Sequence[Check], record: RunRecord) -> Check:
    failed = [each for each in listed if each.outcome is Outcome.FAILED]
    if not failed and (unreached := _unreached(record)):
        return _not_reached("all_items_passed", ALL_PASSED, unreached)
    open_items = [each.name for each in listed if each.outcome is Outcome.SKIPPED]
    waived = [f"{each.name}: {each.actual}" for each in listed if each.outcome is Outcome.WAIVED]
    passed = figures.number(sum(each.outcome is Outcome.PASSED for each in listed))

    judged = check(
        "all_items_passed",
        not failed,
        expected=ALL_PASSED,
        actual="; ".join(f"{each.name}: {each.actual}" for each in failed)
        or "; ".join([f"{passed} passed, {len(open_items)} left to a person: {', '.join(open_items)}", *waived]),
        remedy="Follow the remedies of these items",
    )
    return _waived_like(judged, listed)


def _duration_documented(record: RunRecord, params: RunParams) -> Check:
    name, asks = "checklist_duration", "Migration duration documented"
    if "migration" in _unreached(record):
        return _not_reached(name, asks, ["migration"])
    pace = estimate.pace(record, params)
    return check(
        name,
        pace is not None,
        expected=asks,
        actual=f"{figures.count(pace.rows, 'row')} loaded in {figures.seconds(pace.seconds)}"
        if pace
        else "no evidence: no load has ended",
        remedy="Clear the failed tasks of the section migration",
    )


def _migration_without_errors(record: RunRecord) -> Check:
    """Return a check; it fails unless every check passed, every load is attached, and a cutover is recorded."""
    name, asks = "no_migration_error", "No migration script errors"
    if "migration" in _unreached(record):
        return _not_reached(name, asks, ["migration"])
    problems = [f"{each.name}: {each.actual}" for each in record.checks.get("migration", ()) if each.blocks]
    problems += [f"{load['partition_name']} is {load['state']}" for load in record.loads if load["state"] != "attached"]
    if not record.loads:
        problems.append("no evidence: nothing was loaded")
    if record.measured("migration", "cutover_held_ms") is None:
        problems.append("no evidence: no cutover was recorded")

    return check(
        name,
        not problems,
        expected=asks,
        actual="; ".join(problems)
        or f"{figures.count(len(record.loads), 'partition')} loaded and attached, tables swapped",
        remedy="Fix the cause named in the task logs of the section migration, then clear the failed tasks to resume",
    )


def _team_confident(record: RunRecord, params: RunParams, is_no_go: bool) -> Check:
    expected = "Team confidence high"
    if not params.asks_people:
        return skipped(CONFIDENCE, "left to the person who reads this report", expected=expected)

    answer = last_answer(record.answers, Question.SIGN_OFF)
    if answer is None and is_no_go:
        return skipped(CONFIDENCE, NOT_ASKED, expected=expected)
    times = [record.checked_at[section] for section in SECTIONS if section in record.checked_at]
    problem = objection(answer, record.run["spec"].get("approvers") or (), max(times, default=None))
    given = f"{answer}, by {answer.by} at {answer.at}" if answer and answer.by else str(answer or NOBODY_ASKED)
    return check(
        CONFIDENCE,
        not problem,
        expected=expected,
        actual=f"{given}; it {problem}" if answer and answer.agreed and problem else given,
        remedy="Clear decision.sign_off to be asked again, or trigger partition_rollback",
    )
