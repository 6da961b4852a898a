"""Provoke one alert in a rehearsal: it must fire in Prometheus, and be resolved once its cause is gone."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from partition_playbook import figures
from partition_playbook.checks import Check, check, skipped
from partition_playbook.run import Run
from partition_playbook.sections.watch.sources import Fetch, Unanswered, firing
from partition_playbook.spec import Mode, RunParams

ALERT = "RehearsalDrill"
STAGE, NAME, CHECK = "preflight", "drill", "monitoring_drill"
EXPECTED = "an alert that this rehearsal provokes fires in Prometheus, and is resolved again"
# A look at Prometheus costs one request; a rule is evaluated each minute by default.
EVERY = timedelta(seconds=5)


class State(StrEnum):
    """The states of a drill, in order; it may end in each of them."""

    PROVOKED = "provoked"
    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Drill:
    """One drill: its state, the end of its time, the seconds to each later state, and the last refusal of Prometheus.

    The metric of the alert is 1 while the state is ``provoked`` and the time has not passed.
    """

    began_at: str
    until: str
    state: State = State.PROVOKED
    fired_after: float | None = None
    resolved_after: float | None = None
    unanswered: str = ""

    @classmethod
    def last(cls, run: Run) -> Drill | None:
        """Return the last drill of the run; None without one."""
        row = run.ledger.measurements(STAGE).get(NAME)
        return cls(**row["detail"] | {"state": State(row["detail"]["state"])}) if row else None

    def save(self, run: Run) -> None:
        """Record the drill; its value is that of the metric."""
        run.ledger.record_measurement(STAGE, NAME, float(self.state is State.PROVOKED), "", **asdict(self))

    def is_over(self, now: datetime) -> bool:
        """Return True once the alert was resolved, or the time has passed."""
        return self.state is State.RESOLVED or now >= datetime.fromisoformat(self.until)


def is_wanted(run: Run, params: RunParams) -> bool:
    """Return True in a rehearsal with a Prometheus: nobody is told of a drill in production."""
    return params.mode is Mode.REHEARSE and bool(run.spec.monitoring.prometheus)


def provoke(run: Run) -> Drill:
    """Begin a drill: the metric of its alert becomes 1."""
    now = _now(run)
    drill = Drill(now.isoformat(), (now + run.spec.monitoring.drill_within).isoformat())
    drill.save(run)
    return drill


def look(run: Run, drill: Drill, fetch: Fetch) -> tuple[Drill, bool]:
    """Ask Prometheus once; return the drill with what was seen, and True if it is over."""
    now, seen = _now(run), drill
    try:
        seconds = (now - datetime.fromisoformat(drill.began_at)).total_seconds()
        seen = _moved_on(replace(drill, unanswered=""), _fires(run, fetch), seconds)
    except Unanswered as error:
        seen = replace(drill, unanswered=str(error))

    if seen != drill:
        seen.save(run)
    return seen, seen.is_over(now)


def _moved_on(drill: Drill, fires: bool, seconds: float) -> Drill:
    if drill.state is State.PROVOKED and fires:
        return replace(drill, state=State.FIRING, fired_after=seconds)
    if drill.state is State.FIRING and not fires:
        return replace(drill, state=State.RESOLVED, resolved_after=seconds)
    return drill


def _fires(run: Run, fetch: Fetch) -> bool:
    connection = run.spec.monitoring.prometheus or ""
    found = firing(connection, f'alertname="{ALERT}"', fetch)
    # The label is compared here: a name may have quotes and braces.
    return any(each.get("table") == f"{run.table.schema}.{run.table.name}" for each in found)


def _now(run: Run) -> datetime:
    """Return the time by the server's clock, which the metric of the alert is compared with."""
    with run.database.session() as session:
        moment: datetime = session.row("watch/read_counters")["at"]
    return moment


def drill_check(run: Run, params: RunParams) -> Check:
    """Judge the last drill; skipped where none is wanted."""
    if not run.spec.monitoring.prometheus:
        return skipped(CHECK, "the spec has no `monitoring.prometheus`", expected=EXPECTED)
    if not is_wanted(run, params):
        return skipped(CHECK, f"mode {params.mode}: only a rehearsal provokes an alert", expected=EXPECTED)
    drill = Drill.last(run)
    if drill is None:
        return check(CHECK, False, expected=EXPECTED, actual="no alert was provoked", remedy=AGAIN)
    return check(
        CHECK,
        drill.state is State.RESOLVED,
        expected=EXPECTED,
        actual=_told(drill, run.spec.monitoring.drill_within.total_seconds()),
        remedy=REMEDIES[drill.state],
        evidence=asdict(drill),
    )


AGAIN = "Clear preflight.provoke_alert with the tasks after it"
REMEDIES = {
    State.PROVOKED: "See in Prometheus that its target partition_playbook is up, that it has the metric "
    f"partition_playbook_drill, and that monitoring/alerts.yaml is among its rules. {AGAIN}",
    State.FIRING: "See in Prometheus that its target partition_playbook is still up, or give the spec's "
    f"`monitoring.drill_within` more time. {AGAIN}",
    State.RESOLVED: "",
}


def _told(drill: Drill, limit: float) -> str:
    silent = f"; Prometheus could not be asked: {drill.unanswered}" if drill.unanswered else ""
    if drill.fired_after is None:
        return f"{ALERT} did not fire within {figures.seconds(limit)}{silent}"
    fired = f"{ALERT} fired after {figures.seconds(drill.fired_after)}"
    if drill.resolved_after is None:
        return f"{fired}, and was not resolved within {figures.seconds(limit)}{silent}"
    return f"{fired}, and was resolved after {figures.seconds(drill.resolved_after)}"
