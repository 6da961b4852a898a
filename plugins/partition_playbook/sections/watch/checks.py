"""Judge a watch by its looks in the ledger."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row
from partition_playbook.run import Run
from partition_playbook.sections.watch.looks import Watch, slower

# Each source with the fact it stands for, and the key of the spec.
SOURCES = {
    "alerts": ("no alert of the selector fired", "watch.prometheus"),
    "loki": ("no log line of the query came", "watch.loki"),
    "logs": ("no line of the log files matched", "watch.logs"),
    "server_log": ("no line of PostgreSQL's log matched", "watch.server_log"),
    "health": ("every health address and HTTP probe answered", "watch.health"),
    "database": ("the database counted no more deadlocks than allowed", ""),
}
MOST_SHOWN = 5
# Looks further apart leave a gap in which nobody watched.
LONGEST_GAP = 5
LOGS_BY_HAND = (
    "Not watched: watch the logs of the application and of PostgreSQL for two hours after the cutover. "
    "Trigger partition_rollback after a critical error"
)


def not_watched(reason: str) -> list[Check]:
    """Return the checks of a run without a watch."""
    return [skipped("watch", f"{reason}. {LOGS_BY_HAND}")]


def watch_checks(run: Run, watch: Watch) -> list[Check]:
    """Return one check for each source, one for the time, and one for the statements."""
    with run.database.session() as session:
        looks = session.rows("watch/list_looks", {"run_id": run.ledger.run_id, "since": watch.started_at})
    return [_time_check(run, watch, looks), *_source_checks(watch, looks), _statements_check(run, watch)]


def _time_check(run: Run, watch: Watch, looks: list[Row]) -> Check:
    moments = [watch.start, *(each["happened_at"] for each in looks)]
    gap = max((later - earlier).total_seconds() for earlier, later in itertools.pairwise(moments))
    watched = (moments[-1] - moments[0]).total_seconds()
    allowed = LONGEST_GAP * run.spec.watch.every.total_seconds()
    return check(
        "watch_time",
        gap <= max(allowed, 60.0),
        expected=f"a look every {figures.seconds(run.spec.watch.every.total_seconds())}",
        actual=f"{figures.count(len(looks), 'look')} in {figures.seconds(watched)}, the longest gap "
        f"{figures.seconds(gap)}",
        severity=Severity.WARNING,
        remedy="Look at the logs of the gap yourself; no worker was free, or Airflow was down",
    )


def _source_checks(watch: Watch, looks: list[Row]) -> Iterator[Check]:
    for name, (expected, key) in SOURCES.items():
        asked = [each for each in looks if name in each["detail"]["asked"]]
        if not asked:
            reason = watch.server_log.get("reason") if name == "server_log" else None
            yield skipped(f"watch_{name}", reason or f"the spec has no `{key}`", expected=expected)
            continue
        found = [(each["happened_at"], text) for each in asked for text in each["detail"]["found"].get(name, ())]
        silent = [each["detail"]["unanswered"][name] for each in asked if name in each["detail"]["unanswered"]]
        yield _source_check(name, expected, len(asked), found, silent)


def _source_check(name: str, expected: str, asked: int, found: list[tuple[datetime, str]], silent: list[str]) -> Check:
    shown = [f"{moment:%H:%M:%S %Z} {text}" for moment, text in found[:MOST_SHOWN]]
    more = f"and {figures.number(len(found) - MOST_SHOWN)} more" if len(found) > MOST_SHOWN else ""
    unheard = f"not asked in {len(silent)} of {figures.count(asked, 'look')}: {silent[-1]}" if silent else ""
    never = len(silent) == asked
    return check(
        f"watch_{name}",
        not found and not silent,
        expected=expected,
        actual="; ".join(filter(None, [*shown, more, unheard])) or f"none in {figures.count(asked, 'look')}",
        severity=Severity.ERROR if found or never else Severity.WARNING,
        remedy="Decide whether the cutover is the cause: roll back, or waive with a reason. To watch again, clear "
        "watch.observe",
        evidence={"findings": [f"{moment.isoformat()} {text}" for moment, text in found]},
    )


def _statements_check(run: Run, watch: Watch) -> Check:
    if not watch.statements:
        return skipped("watch_statements", "pg_stat_statements has no statement on this table")
    found = slower(run, watch)
    return check(
        "watch_statements",
        not found,
        expected=f"no statement on the table takes more than {figures.decimal(run.spec.watch.max_slowdown)} times as "
        "long as before",
        actual="; ".join(found[:MOST_SHOWN]) or f"none of {figures.count(len(watch.statements), 'statement')}",
        severity=Severity.WARNING,
        remedy="Compare its plan on both tables with EXPLAIN",
    )
