"""Compare the answers and times of the application's tRPC queries with those before the cutover."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.run import Run
from partition_playbook.sections.application import answers
from partition_playbook.sections.application.calls import CALLS, WARM_UPS, Series, measure
from partition_playbook.sections.application.http_probes import client_of
from partition_playbook.spec import Procedure

log = logging.getLogger(__name__)

# The stages of the measurements. Before: in the section snapshot; during: right before the cutover.
BEFORE, DURING, AFTER = "procedures_before", "procedures_during", "procedures_after"
CALLS_DURING = 2


def record_before(run: Run) -> None:
    """Measure each procedure on the original table; nothing is recorded once the partitioned table is live."""
    _record_original(run, BEFORE, CALLS, WARM_UPS)


def record_during(run: Run) -> None:
    """Call each procedure before the cutover: a content that is another one by now changes by itself."""
    _record_original(run, DURING, CALLS_DURING, 0)


def _record_original(run: Run, stage: str, calls: int, warm_ups: int) -> None:
    application = run.spec.application
    if not application.procedures or _is_partitioned(run):
        return
    with client_of(application) as client:
        for each in application.procedures:
            _record(run, stage, each, measure(client, each, calls, warm_ups))


def _is_partitioned(run: Run) -> bool:
    with run.database.session() as session:
        return catalog.require(session, run.table).is_partitioned


def _record(run: Run, stage: str, procedure: Procedure, series: Series) -> None:
    value = None if series.p95 is None else 1000 * series.p95
    run.ledger.record_measurement(stage, procedure.name, value, "ms", **asdict(series))
    log.info("procedure %s: %s", procedure.name, _told_time(series))


def _recorded(run: Run, stage: str) -> dict[str, Series]:
    return {name: Series(**row["detail"]) for name, row in run.ledger.measurements(stage).items()}


@dataclass(frozen=True)
class Compared:
    """A procedure with its calls now and at the earlier stages."""

    procedure: Procedure
    now: Series
    before: Series
    during: Series
    after: Series

    @property
    def varies(self) -> str:
        """Return the reason for which the content is no verdict; empty if it is one."""
        if self.procedure.varies:
            return "the spec says that it varies"
        if len(self.before.digests) > 1:
            return "its answers before the migration differed from one another"
        if self.during.digests and {*self.during.digests} != {*self.before.digests}:
            return "its answer changed before the cutover"
        return ""

    @property
    def differs(self) -> bool:
        """Return True if no answer has the content of those before."""
        return not {*self.now.digests} & {*self.before.digests}

    @property
    def changed_later(self) -> str:
        """Return the reason for which another content than before is only a warning; empty if it is an error."""
        if len(self.now.digests) > 1:
            return "its answers now differ from one another, so rows may arrive"
        if {*self.after.digests} & {*self.before.digests}:
            return "it was the same after the cutover, so rows may have arrived since"
        return ""


def procedure_checks(run: Run, *, after: str = "") -> list[Check]:
    """Measure each procedure again and compare it with before; ``after`` names the occasion, as for the probes."""
    application = run.spec.application
    if not application.procedures:
        return []
    occasion, stage = (f"_after_{after}", f"procedures_after_{after}") if after else ("", AFTER)
    earlier = [_recorded(run, BEFORE), _recorded(run, DURING), _recorded(run, AFTER) if after else {}]

    found: list[Check] = []
    with client_of(application) as client:
        for each in application.procedures:
            series = measure(client, each)
            _record(run, stage, each, series)
            compared = Compared(each, series, *(known.get(each.name, Series()) for known in earlier))
            found += compared_checks(f"procedure_{each.name}{occasion}", compared)
    return found


def compared_checks(name: str, compared: Compared) -> list[Check]:
    """Return the check of the answers and the one of the time; only the time may be waived."""
    return [_answer_check(name, compared), _time_check(name, compared)]


def _shown_path(procedure: Procedure) -> str:
    """Return the path without its query string, which may hold a token."""
    return urlsplit(procedure.path).path


def _answer_check(name: str, compared: Compared) -> Check:
    now, before = compared.now, compared.before
    expected = f"GET {_shown_path(compared.procedure)} answers as before the migration, without an error"
    if not now.digests and not now.errors:
        return skipped(name, "stopped at its time limit: no answer to compare", expected=expected)

    problems, doubts = list(_problems(compared)), list(_doubts(compared))
    return check(
        name,
        not problems and not doubts,
        expected=expected,
        actual="; ".join([*problems, *doubts]) or _passed(compared),
        severity=Severity.ERROR if problems else Severity.WARNING,
        remedy="Send this request yourself and compare the answers; search the log of the application. If rows or "
        "their order may change the answer, set `varies: true` in the spec of the next run",
        evidence={
            "calls": now.calls,
            "errors": now.errors,
            "errors_before": before.errors,
            "sha256": list(now.digests),
            "sha256_before": list(before.digests),
            "compared": _compares(compared),
        },
    )


def _compares(compared: Compared) -> str:
    return "status and shape" if compared.varies or not compared.before.digests else "content"


def _problems(compared: Compared) -> Iterator[str]:
    now, before = compared.now, compared.before
    if now.errors > before.errors:
        yield f"{_told_errors(now)}; {figures.number(before.errors)} before"
    if not before.digests or not now.digests:
        return

    if not {*now.statuses} <= {*before.statuses}:
        yield f"answered {_listed(now.statuses)}, before {_listed(before.statuses)}"
    yield from answers.differences(before.shape, now.shape)
    if compared.differs and not compared.varies and not compared.changed_later:
        yield "another answer than before: the SHA-256 of its content differs"


def _doubts(compared: Compared) -> Iterator[str]:
    now, before = compared.now, compared.before
    if 0 < now.errors <= before.errors:
        yield f"{_told_errors(now)}; {figures.number(before.errors)} before"
    if not before.digests:
        yield "no answer was recorded before the migration, so nothing is compared"
    elif compared.varies or not now.digests:
        return
    elif len(now.digests) > 1 or (compared.differs and compared.changed_later):
        yield f"cannot tell if its content is as before: {compared.changed_later}"


def _passed(compared: Compared) -> str:
    calls = figures.count(compared.now.calls, "answer")
    if compared.varies:
        return f"{calls} of the same status and shape; the content was not compared: {compared.varies}"
    return f"{calls} with the same content"


def _told_errors(series: Series) -> str:
    counted = f"{figures.count(series.errors, 'error')} in {figures.count(series.calls, 'call')}"
    return f"{counted}: {_listed(series.problems)}"


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _time_check(name: str, compared: Compared) -> Check:
    limit, now, before = compared.procedure.max_seconds, compared.now, compared.before
    name, expected = f"response_time_{name}", f"95 % of the calls are answered within {figures.seconds(limit)}"
    if now.p95 is None:
        return skipped(name, "no call was answered", expected=expected)

    was_late = before.p95 is not None and before.p95 > limit
    return check(
        name,
        now.p95 <= limit,
        expected=expected,
        actual="; ".join([_told_time(now), *([f"before: {_told_time(before)}"] if before.p95 is not None else [])]),
        severity=Severity.WARNING if was_late else Severity.ERROR,
        remedy="Compare the plans of its statements on both tables with EXPLAIN, or raise max_seconds of the procedure",
    )


def _told_time(series: Series) -> str:
    if series.p95 is None:
        return f"no answer in {figures.count(series.calls, 'call')}"
    stopped = f", {figures.number(series.late)} stopped" if series.late else ""
    return f"p95 of {figures.count(series.calls, 'call')} {figures.seconds(series.p95)}{stopped}"
