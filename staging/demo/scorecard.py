"""Print the outcome of a demo: checks, measurements, the record of the writers, addresses, the verdict."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from partition_playbook import figures
from partition_playbook.checks import Check, Severity
from partition_playbook.checks import Outcome as Found
from partition_playbook.gates import SECTIONS
from staging.demo.outcome import KINDS, Outcome, Verdict, measured, swaps
from staging.record import Latency

STYLES = {Verdict.GO: "bold green", Verdict.NO_GO: "bold red", Verdict.UNKNOWN: "bold yellow"}


def print_scorecard(console: Console, outcome: Outcome) -> None:
    """Print the outcome, the verdict last."""
    if outcome.evidence:
        _print_checks(console, outcome)
        _print_measurements(console, outcome)
    _print_writers(console, outcome)
    _print_users(console, outcome)
    _print_verdict(console, outcome)


def _print_checks(console: Console, outcome: Outcome) -> None:
    assert outcome.evidence is not None
    for section in (*SECTIONS, "decision"):
        if checks := outcome.evidence.checks.get(section):
            table = _table(section, "", "check", "expected", "actual")
            for check in checks:
                table.add_row(mark(check), *map(escape, (check.name, check.expected, check.actual)))
            console.print(table)


def mark(check: Check) -> Text:
    """Return the outcome of a check in one word."""
    if check.outcome is Found.WAIVED:
        return Text("waived", "yellow")
    if check.outcome is not Found.FAILED:
        return Text("ok", "green") if check.outcome is Found.PASSED else Text("skip", "dim")
    words = {
        Severity.ERROR: ("FAIL", "bold red"),
        Severity.WARNING: ("warn", "yellow"),
        Severity.INFO: ("note", "cyan"),
    }
    return Text(*words[check.severity])


def _print_measurements(console: Console, outcome: Outcome) -> None:
    _print_queries(console, outcome)
    _print_gains(console, outcome)
    _print_swaps(console, outcome)


def _print_queries(console: Console, outcome: Outcome) -> None:
    numbers = ("before", "after", "pages before", "pages after")
    table = _table("queries", "", *numbers, "change", numbers=numbers)
    for name, timed in outcome.speedups.items():
        then, now = timed["before"], timed["after"]
        times = (figures.milliseconds(each["total_ms"]) for each in (then, now))
        pages = (figures.number(each["buffers"]) for each in (then, now))
        gain = _gain(timed) + ("" if timed["criterion"] else " (not a criterion)")
        table.add_row(escape(name), *times, *pages, gain)
    if table.row_count:
        console.print(table)


def _gain(timed: Mapping[str, Any]) -> str:
    """Return the gain that was judged: of a query of a few milliseconds that is its pages, not its time."""
    if timed["speedup"] == timed["time"]:
        return figures.gain(timed["time"])
    return figures.gain(timed["pages"], "fewer pages", "more pages", "as many pages as before")


def _print_gains(console: Console, outcome: Outcome) -> None:
    table = _table("other benefits", "", "measured", "", numbers=("measured",))
    for row in outcome.evidence.measurements.get("gains", {}).values() if outcome.evidence else ():
        value = figures.measured(row["value"], row["unit"])
        table.add_row(row["name"].replace("_", " "), value, row["detail"].get("note", ""))
    if table.row_count:
        console.print(table)


def _print_swaps(console: Console, outcome: Outcome) -> None:
    numbers = ("lock waited", "lock held", "tries")
    table = _table("swaps", "", *numbers, "slowest write at that time", numbers=numbers)
    for swap in swaps(outcome.evidence):
        times = (figures.milliseconds(each) for each in (swap.waited_ms, swap.held_ms))
        latency = outcome.written.around.get(swap.name)
        table.add_row(swap.name.replace("_", " "), *times, figures.number(swap.tries), _slowest(latency))
    if table.row_count:
        console.print(table)
    seconds = measured(outcome.evidence, "rollback", "rollback_seconds")
    if seconds is not None:
        taken = figures.seconds(seconds)
        console.print(f"Rollback  {taken} until the original table was live and its probes had answered")


def _slowest(latency: Latency | None) -> str:
    if not latency or not latency.count:
        return "-"
    return f"{figures.milliseconds(latency.max)} of {figures.count(latency.count, 'transaction')}"


def _print_writers(console: Console, outcome: Outcome) -> None:
    for line in _written(outcome):
        console.print(escape(line), soft_wrap=True, highlight=False)


def _written(outcome: Outcome) -> Iterator[str]:
    written, latency = outcome.written, outcome.written.latency
    changes = f"{figures.count(written.writes, 'row change')} by {figures.count(written.writers, 'writer')}"
    if written.comparison is None:
        yield f"Writers   {changes}, not compared with the table"
        return

    median, p99, slowest = (figures.milliseconds(each) for each in (latency.p50, latency.p99, latency.max))
    transactions = figures.count(latency.count, "transaction")
    yield f"Writers   {changes} during the run; {transactions}, median {median}, p99 {p99}, slowest {slowest}"

    counts = ", ".join(f"{figures.number(len(getattr(written.comparison, kind)))} {kind}" for kind in KINDS)
    compared = figures.count(written.comparison.rows_checked, "row")
    yield f"Record    {compared} compared with the record of the writers: {counts}"

    errors = ", ".join(f"{figures.number(count)} x {state}" for state, count in written.errors.items())
    yield f"Errors    {errors or 'none'} in the application"


def _print_users(console: Console, outcome: Outcome) -> None:
    for title, text in outcome.noticed.lines() if outcome.noticed else ():
        console.print(f"{title:9} {escape(text)}", soft_wrap=True, highlight=False)


def _print_verdict(console: Console, outcome: Outcome) -> None:
    places = outcome.places
    for name, place in (("Airflow", _page(outcome)), ("Ledger", places.ledger), ("Report", places.report)):
        if place:
            console.print(f"{name:9} {escape(place)}", soft_wrap=True, highlight=False)
    if places.ui:
        console.print("          Airflow keeps running; `make down` stops it.")
    console.print()
    for reason in (*outcome.unknown, *outcome.against):
        console.print(f"  {escape(reason)}", style="red", soft_wrap=True, highlight=False)
    words = {Verdict.GO: "GO", Verdict.NO_GO: "NO-GO", Verdict.UNKNOWN: "UNKNOWN"}
    text = f"{words[outcome.verdict]} in {figures.seconds(outcome.seconds)}"
    console.print(text, style=STYLES[outcome.verdict], highlight=False)


def _page(outcome: Outcome) -> str | None:
    return f"{outcome.places.ui} ({outcome.places.login})" if outcome.places.ui else None


def _table(title: str, *headers: str, numbers: Collection[str] = ()) -> Table:
    table = Table(
        title=title.replace("_", " "), title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD
    )
    for header in headers:
        table.add_column(header, overflow="fold", justify="right" if header in numbers else "left")
    return table
