"""Look once at every source of the watch, and keep what was seen in the ledger: a restart loses nothing of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from partition_playbook import figures
from partition_playbook.database import Row, Session
from partition_playbook.run import Run
from partition_playbook.sections.watch import logs, sources
from partition_playbook.sections.watch.sources import Fetch, Unanswered
from partition_playbook.spec import LogLines
from partition_playbook.workload import statement_statistics

log = logging.getLogger(__name__)

STAGE, BEGUN = "watch", "begun"
# So many statements are compared with before. One with fewer calls, or slower by less, tells nothing.
MOST_STATEMENTS, LEAST_CALLS, LEAST_MS = 50, 20, 1.0


@dataclass
class Watch:
    """The state of a watch: when and with which counters it began, the place in each log, and the findings so far.

    ``server_log`` is the place in the server's log, or the ``reason`` for which it is not read. ``statements`` maps a
    text to its calls and total time in ms at the beginning.
    """

    started_at: str
    seconds: float
    counters: dict[str, Any]
    places: dict[str, dict[str, int]] = field(default_factory=dict)
    seen_until: str = ""
    server_log: dict[str, Any] = field(default_factory=dict)
    statements: dict[str, list[float]] = field(default_factory=dict)
    findings: int = 0
    ended: bool = False

    @classmethod
    def current(cls, run: Run) -> Watch | None:
        """Return the watch that has begun and not ended; None without one."""
        row = run.ledger.measurements(STAGE).get(BEGUN)
        found = cls(**row["detail"]) if row else None
        return found if found and not found.ended else None

    def save(self, run: Run, session: Session | None = None) -> None:
        """Record the state, in the open transaction of ``session`` or in one of its own."""
        run.ledger.record_measurement(STAGE, BEGUN, self.seconds, "s", session=session, **asdict(self))

    @property
    def start(self) -> datetime:
        """Return the start, by the server's clock."""
        return datetime.fromisoformat(self.started_at)

    def is_over(self, run: Run) -> bool:
        """Return True once something was found, or its time has passed."""
        return bool(self.findings or (_counters(run)["at"] - self.start).total_seconds() >= self.seconds)


def begin(run: Run, seconds: float) -> Watch:
    """Begin a watch, or go on with the one that a dead worker left."""
    if found := Watch.current(run):
        log.info("%s: the watch since %s goes on", run.table, found.started_at)
        return found
    now = _counters(run)
    at = now.pop("at").isoformat()
    watch = Watch(at, seconds, now, seen_until=at, statements=_statements(run))
    for each in run.spec.watch.logs:
        try:
            watch.places[each.path] = asdict(logs.end_of(each.path))
        except OSError as error:
            log.warning("%s: %s", each.path, error.strerror)
    watch.server_log = _end_of_server_log(run)
    watch.save(run)
    return watch


def _end_of_server_log(run: Run) -> dict[str, Any]:
    """Return the place in the server's log, or the reason for which it is not read: few roles may."""
    if run.spec.watch.server_log is None:
        return {"reason": "the spec has `watch.server_log: null`"}
    try:
        with run.database.session() as session:
            return asdict(logs.end_of_server_log(session))
    except Unanswered as error:
        return {"reason": str(error)}


def _counters(run: Run) -> Row:
    with run.database.session() as session:
        return session.row("watch/read_counters")


def _statements(run: Run) -> dict[str, list[float]]:
    with run.database.session() as session:
        found = statement_statistics.read(session, run.table)
    return {each.text: [each.calls, each.total_ms] for each in found.statements[:MOST_STATEMENTS]}


def take(run: Run, watch: Watch, fetch: Fetch) -> list[str]:
    """Look at every source once, record the look with the new state, and return its findings as ``source: text``."""
    now = _counters(run)
    found: dict[str, list[str]] = {}
    unanswered: dict[str, str] = {}
    for name, ask in _sources(run, watch, fetch, now):
        try:
            found[name] = ask()
        except Unanswered as error:
            unanswered[name] = str(error)
            log.warning("%s could not be asked: %s", name, error)

    findings = [f"{name}: {text}" for name, texts in found.items() for text in texts]
    for each in findings:
        log.warning("%s", each)
    counted = {name: now[name] - watch.counters[name] for name in ("deadlocks", "commits", "rollbacks")}
    log.info("look after %s: %s", figures.seconds((now["at"] - watch.start).total_seconds()), counted)

    watch.seen_until = now["at"].isoformat()
    watch.findings += len(findings)
    detail = {"found": found, "unanswered": unanswered, "asked": [*found, *unanswered], "counted": counted}
    # A new place in a log without the lines before it would lose them.
    with run.database.transaction() as session:
        watch.save(run, session)
        run.ledger.sample(session, "look", "watched", len(findings), **detail)
    return findings


def _sources(run: Run, watch: Watch, fetch: Fetch, now: Row) -> Iterator[tuple[str, Callable[[], list[str]]]]:
    """Yield the configured sources, each with the function that asks it."""
    spec = run.spec.watch
    yield "database", partial(_deadlocks, run, watch, now)
    if spec.prometheus:
        yield "alerts", partial(sources.alerts, spec.prometheus, fetch)
    if spec.loki:
        since = datetime.fromisoformat(watch.seen_until)
        yield "loki", partial(sources.loki_lines, spec.loki, fetch, since, now["at"])
    if spec.logs:
        yield "logs", partial(_new_lines, run, watch)
    if spec.server_log and "file" in watch.server_log:
        yield "server_log", partial(_new_server_lines, run, watch, spec.server_log)
    if spec.health or run.spec.application.http_probes:
        yield "health", lambda: list(sources.health(spec.health, run.spec.application))


def _deadlocks(run: Run, watch: Watch, now: Row) -> list[str]:
    if now["reset"] != watch.counters["reset"]:
        raise Unanswered("somebody reset the statistics of the database")
    found = now["deadlocks"] - watch.counters["deadlocks"]
    most = run.spec.watch.max_deadlocks
    return [f"{figures.count(found, 'deadlock')}, at most {figures.number(most)} expected"] if found > most else []


def _new_lines(run: Run, watch: Watch) -> list[str]:
    found, unreadable = [], []
    for each in run.spec.watch.logs:
        place = watch.places.get(each.path)
        try:
            lines, end = logs.new_lines(each, logs.Place(**place) if place else logs.end_of(each.path))
        except OSError as error:
            unreadable.append(f"{each.path}: {error.strerror}")
            continue
        watch.places[each.path] = asdict(end)
        found += [f"{each.path}: {line}" for line in lines]
    if unreadable and not found:
        raise Unanswered("; ".join(unreadable))
    return found


def _new_server_lines(run: Run, watch: Watch, wanted: LogLines) -> list[str]:
    with run.database.session() as session:
        found, place = logs.new_server_lines(session, wanted, logs.ServerPlace(**watch.server_log))
    watch.server_log = asdict(place)
    return found


def slower(run: Run, watch: Watch) -> list[str]:
    """Return the statements that took longer than before by more than the factor of the spec, as texts."""
    factor, found = run.spec.watch.max_slowdown, []
    for text, (calls, total) in _statements(run).items():
        before = watch.statements.get(text)
        if not before or not before[0] or calls - before[0] < LEAST_CALLS:
            continue
        mean, earlier = (total - before[1]) / (calls - before[0]), before[1] / before[0]
        if mean > factor * earlier and mean - earlier > LEAST_MS:
            found.append(f"{figures.milliseconds(earlier)} before, {figures.milliseconds(mean)} now: {text[:120]}")
    return found
