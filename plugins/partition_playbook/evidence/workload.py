"""Prove before the cutover that the application's own statements will run on the partitioned table, and how."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.evidence import benchmark, statement_statistics
from partition_playbook.evidence.statement_statistics import Sent, Statistics
from partition_playbook.evidence.trial import LIMITS, Ending, Trial, Tried
from partition_playbook.migration.run import Run, Sides, sides

SHOWN, CUT, KEPT = 5, 200, 100
NAMES = ("workload_runs", "workload_prunes", "workload_explained")


@dataclass(frozen=True)
class Workload:
    """Every statement that touches the table, tried; shares are of these statements."""

    tried: Sequence[Tried]

    @cached_property
    def calls(self) -> int:
        """Return how often the statements were sent."""
        return sum(each.sent.calls for each in self.tried)

    @cached_property
    def total_ms(self) -> float:
        """Return how long they took."""
        return sum(each.sent.total_ms for each in self.tried)

    def ended(self, ending: Ending) -> list[Tried]:
        """Return the statements that ended so, those that take most time first."""
        found = [each for each in self.tried if each.ending is ending]
        return sorted(found, key=lambda each: (-each.sent.total_ms, each.sent.text))

    def shares(self, some: Iterable[Tried]) -> tuple[float, float]:
        """Return the share of all calls and of all time that some statements have."""
        listed = [each.sent for each in some]
        calls, total = sum(each.calls for each in listed), sum(each.total_ms for each in listed)
        return calls / max(self.calls, 1), total / self.total_ms if self.total_ms else 0.0


def checks(run: Run) -> list[Check]:
    """Try the statements of the live workload on the shadow; those of the spec where the server remembers none."""
    with run.database.session(LIMITS) as session:
        session.connection.read_only = True
        now = sides(session, run)
        if now.live.is_partitioned:
            reason = "the partitioned table is live already"
            return [skipped(name, reason) for name in ("workload_seen", *NAMES)]
        statistics = statement_statistics.read(session, run.table)
        trial = Trial(session, now)
        workload = Workload(list(trial.all(statistics.sent)))
        seen = _seen_check(statistics, workload)
        if not workload.tried:
            workload = Workload(list(trial.all(_of_spec(run))))
    return [seen, _runs_check(workload, now), _prunes_check(workload, now), _explained_check(workload)]


def _of_spec(run: Run) -> list[Sent]:
    """Return the spec's own statements."""
    named = [(f"query {each.name}", each.sql) for each in run.spec.queries]
    named += [(f"probe {each.name}", each.sql) for each in run.spec.application.probes]
    return [
        Sent(benchmark.compose(run, text).as_string(None).strip().removesuffix(";"), run.table.search_path, label=label)
        for label, text in named
    ]


def _seen_check(statistics: Statistics, workload: Workload) -> Check:
    name, expected = "workload_seen", "the application's statements, from pg_stat_statements"
    spec = "only the spec's own queries and probes are tried"
    if not statistics.installed:
        return skipped(name, f"{statistics.problem}: {spec}", expected=expected)
    gaps = list(_gaps(statistics))
    many = f"{len(workload.tried)} statements touch the table, {workload.calls} calls since {statistics.since}"
    return check(
        name,
        bool(workload.tried) and not gaps,
        expected=expected,
        actual="; ".join([*gaps, many if workload.tried else f"none touches the table: {spec}"]),
        severity=Severity.WARNING,
        remedy="GRANT pg_read_all_stats to the playbook's role, raise pg_stat_statements.max, and let the application "
        "work for as long as its rarest statement needs",
        evidence={"statements": len(workload.tried), "calls": workload.calls, "total_ms": round(workload.total_ms, 1)},
    )


def _gaps(statistics: Statistics) -> Iterator[str]:
    if statistics.problem:
        yield statistics.problem
    if statistics.hidden:
        yield f"{statistics.hidden} calls of other roles are hidden from this one (<insufficient privilege>)"
    if not statistics.complete:
        yield f"only the {statement_statistics.MOST} statements that took most time are looked at"
    if statistics.forgotten:
        yield f"the server forgot its rarest statements {statistics.forgotten} times"


def _runs_check(workload: Workload, now: Sides) -> Check:
    failing = workload.ended(Ending.FAILS)
    good = len(workload.ended(Ending.PRUNES)) + len(workload.ended(Ending.SCANS_ALL))
    key = ", ".join(now.logged)
    return check(
        "workload_runs",
        not failing,
        expected="every statement that runs on the live table runs on the partitioned one",
        actual=_listed(workload, failing) or f"{good} do",
        remedy=f"Change them in the application first: the key is ({key}), so ON CONFLICT names these columns and "
        "GROUP BY cannot do with fewer; COPY (SELECT …) TO does what COPY … TO cannot. Then forget them with "
        "pg_stat_statements_reset() and start a new run",
        evidence=_evidence(workload, failing),
    )


def _prunes_check(workload: Workload, now: Sides) -> Check:
    wide = workload.ended(Ending.SCANS_ALL)
    return check(
        "workload_prunes",
        not wide,
        expected="no statement scans every partition",
        actual=_listed(workload, wide) or "none",
        severity=Severity.WARNING,
        remedy=f"Let them compare {now.partition_by} too, where their share is large: without it they look into every "
        "partition. One that asks for a moment that it reads from another table may still prune while it runs",
        evidence=_evidence(workload, wide),
    )


def _explained_check(workload: Workload) -> Check:
    unknown = workload.ended(Ending.UNKNOWN)
    return check(
        "workload_explained",
        not unknown,
        expected="every statement can be explained",
        actual=_listed(workload, unknown) or "all can",
        severity=Severity.WARNING,
        remedy="Try these on the shadow by hand",
        evidence=_evidence(workload, unknown),
    )


def _listed(workload: Workload, some: Sequence[Tried]) -> str:
    if not some:
        return ""
    calls, total = workload.shares(some)
    share = f", {calls:.1%} of the calls and {total:.1%} of the time" if workload.calls else ""
    more = f"; and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
    return f"{len(some)} of {len(workload.tried)}{share}: " + "; ".join(map(_line, some[:SHOWN])) + more


def _line(tried: Tried) -> str:
    sent = tried.sent
    origin = sent.label or f"{sent.calls} calls, {sent.total_ms:.0f} ms"
    reason = f": {tried.reason}" if tried.reason else ""
    return f"[{origin}] {_cut(sent)}{reason}"


def _cut(sent: Sent) -> str:
    text = " ".join(sent.text[: 10 * CUT].split())
    return text if len(text) <= CUT else text[:CUT] + " …"


def _evidence(workload: Workload, some: Sequence[Tried]) -> dict[str, Any]:
    return {"statements": [_figures(workload, each) for each in some[:KEPT]], "count": len(some)}


def _figures(workload: Workload, tried: Tried) -> dict[str, Any]:
    calls, total = workload.shares([tried])
    figures = {"query": _cut(tried.sent), "calls": tried.sent.calls, "total_ms": round(tried.sent.total_ms, 3)}
    return figures | {
        "label": tried.sent.label,
        "share_of_calls": round(calls, 6),
        "share_of_time": round(total, 6),
        "reason": tried.reason,
    }
