"""Run the probes of the spec once before anything changes: a probe that fails now would fail after the cutover."""

from __future__ import annotations

from collections.abc import Sequence

from partition_playbook import figures
from partition_playbook.checks import Check, Outcome, Severity, check, skipped
from partition_playbook.errors import InvalidSpec
from partition_playbook.sections.application import commands
from partition_playbook.sections.application import http_probes as http
from partition_playbook.sections.application.calls import call_until_good
from partition_playbook.sections.application.probes import MAX_ROWS, Answer, ask, is_determined
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import Application, Mode, Probe


def probes(context: PreflightContext) -> Check:
    """Run each SQL probe on the source, under several plans; an answer in time is no condition yet."""
    asked = context.run.spec.application.probes
    if not asked:
        return skipped("probes", "the spec has no probes under `application`")

    found = {probe.name: _ask(context, probe) for probe in asked}
    broken = [f"{name}: {problem}" for name, (problem, _) in found.items() if problem]
    late = [f"{name} {slow}" for name, (_, slow) in found.items() if slow]
    return _answers_check(
        "probes",
        broken,
        late,
        expected="each probe has one answer, within its limit",
        answered=figures.count(len(asked), "probe"),
        remedy="Correct these probes in the spec, which a run keeps: they would fail after the cutover. With a LIMIT, "
        "add a unique column to the ORDER BY. Raise max_seconds where the application can wait",
    )


def _answers_check(
    name: str, broken: Sequence[str], late: Sequence[str], *, expected: str, answered: str, remedy: str
) -> Check:
    """Return a check: an error if some are broken, a warning if some are only late."""
    return check(
        name,
        not broken and not late,
        expected=expected,
        actual="; ".join([*broken, *late]) or f"{answered} answered",
        severity=Severity.ERROR if broken else Severity.WARNING,
        remedy=remedy,
    )


def _ask(context: PreflightContext, probe: Probe) -> tuple[str, str]:
    """Return the problem of a probe, and its time if it is late; both are empty if it is good."""
    try:
        with context.run.database.snapshot() as session:
            answer = ask(session, context.table, probe)
            stable = answer.problem or is_determined(session, context.table, probe, answer)
    except InvalidSpec as error:
        return error.problem, ""
    limit = figures.seconds(probe.max_seconds)
    if answer.stopped:
        return "", f"was stopped after {limit}"
    if problem := answer.problem or _unfit(answer):
        return problem, ""
    if not stable:
        return "its answer depends on the plan: other rows without index scans, or without hash tables", ""
    return "", f"took {figures.seconds(answer.seconds)}" if answer.seconds > probe.max_seconds else ""


def _unfit(answer: Answer) -> str:
    return f"more than {figures.count(MAX_ROWS, 'row')}: add a LIMIT" if len(answer.rows) > MAX_ROWS else ""


def http_probes(context: PreflightContext) -> Check:
    """Send each HTTP probe to the application."""
    application = context.run.spec.application
    found = http.http_probe_checks(application, "")
    if all(each.outcome is Outcome.SKIPPED for each in found):
        return skipped("http_probes", "; ".join(each.actual for each in found))

    failed = [each for each in found if each.outcome is Outcome.FAILED]
    broken = any(not each.name.startswith("response_time_") for each in failed)
    return check(
        "http_probes",
        not failed,
        expected="the application answers each probe, within its limit",
        actual="; ".join(f"{each.name}: {each.actual}" for each in failed)
        or f"{figures.count(len(application.http_probes), 'probe')} answered",
        severity=Severity.ERROR if broken else Severity.WARNING,
        remedy="Correct the application, or `application` in the spec, which a run keeps: they would fail after the "
        "cutover",
    )


def procedures(context: PreflightContext) -> Check:
    """Call each procedure of the application; the section snapshot measures and records its answers."""
    application = context.run.spec.application
    if not application.procedures:
        return skipped("procedures", "the spec has no procedures under `application`")

    with http.client_of(application) as client:
        called = {each.name: call_until_good(client, each, http.TRIES) for each in application.procedures}
    broken = [f"{name}: {each.problem}" for name, each in called.items() if each.problem]
    late = [f"{name} was stopped after {figures.seconds(each.seconds)}" for name, each in called.items() if each.late]
    return _answers_check(
        "procedures",
        broken,
        late,
        expected="the application answers each procedure, within its limit",
        answered=figures.count(len(called), "procedure"),
        remedy="Correct the application, or the path and the input in the spec, which a run keeps: they would fail "
        "after the cutover",
    )


def command_checks(application: Application, mode: Mode, others: Sequence[Check]) -> list[Check]:
    """Run each command of the application, unless the mode is `plan` or one of the other checks is a no-go."""
    if mode is Mode.PLAN:
        return commands.skipped_commands(application, "mode plan runs no command, because it may change something")
    if refused := [each.name for each in others if each.blocks]:
        reason = f"not run, because other checks are a no-go: {', '.join(refused)}"
        return commands.skipped_commands(application, reason)
    return commands.command_checks(application, before=True)


CHECKS = (probes, http_probes, procedures)
