"""Print what a demo found: every check, what was measured, what the writers saw, the verdict, where to look further."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from partition_playbook.checks import Check, Severity
from partition_playbook.checks import Outcome as Found
from partition_playbook.evidence.record import SECTIONS
from staging.demo.outcome import KINDS, Outcome, Verdict, measured, swaps

STYLES = {Verdict.GO: "bold green", Verdict.NO_GO: "bold red", Verdict.UNKNOWN: "bold yellow"}


def print_scorecard(console: Console, outcome: Outcome) -> None:
    """Print all of it, the verdict last."""
    if outcome.evidence:
        _print_checks(console, outcome)
        _print_measurements(console, outcome)
    _print_writers(console, outcome)
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
    """Return a check's outcome in one word."""
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
    table = _table("queries", "", "before", "after", "pages before", "pages after", "gain")
    for name, figures in outcome.speedups.items():
        then, now = figures["before"], figures["after"]
        times = (f"{each['total_ms']:.2f} ms" for each in (then, now))
        pages = (f"{each['buffers']:,}" for each in (then, now))
        gain = f"{figures['speedup']:.0%}" if figures["criterion"] else f"{figures['speedup']:.0%} (no criterion)"
        table.add_row(escape(name), *times, *pages, gain)
    if table.row_count:
        console.print(table)


def _print_gains(console: Console, outcome: Outcome) -> None:
    table = _table("what the table gains besides", "", "", "")
    for row in outcome.evidence.measurements.get("gains", {}).values() if outcome.evidence else ():
        table.add_row(
            row["name"].replace("_", " "), f"{row['value']:,.1f} {row['unit']}", row["detail"].get("note", "")
        )
    if table.row_count:
        console.print(table)


def _print_swaps(console: Console, outcome: Outcome) -> None:
    table = _table("swaps", "", "lock waited", "lock held", "tries", "slowest write around it")
    for swap in swaps(outcome.evidence):
        latency = outcome.written.around.get(swap.name)
        slowest = f"{latency.max:.1f} ms of {latency.count} transactions" if latency and latency.count else "-"
        held = (f"{milliseconds:.1f} ms" for milliseconds in (swap.waited_ms, swap.held_ms))
        table.add_row(swap.name.replace("_", " "), *held, str(swap.tries), slowest)
    if table.row_count:
        console.print(table)
    seconds = measured(outcome.evidence, "rollback", "rollback_seconds")
    if seconds is not None:
        console.print(f"Rollback  {seconds:.1f} s until the original table was in service and its probes had answered")


def _print_writers(console: Console, outcome: Outcome) -> None:
    for line in _written(outcome):
        console.print(escape(line), soft_wrap=True, highlight=False)


def _written(outcome: Outcome) -> Iterator[str]:
    written = outcome.written
    latency = written.latency
    if written.comparison is None:
        yield f"Writers   {written.writes:,} row changes by {written.writers} writers, which were not compared"
        return
    yield (
        f"Writers   {written.writes:,} row changes by {written.writers} writers during the run; "
        f"{latency.count:,} transactions, "
        f"median {latency.p50:.1f} ms, p99 {latency.p99:.1f} ms, slowest {latency.max:.1f} ms"
    )
    found = ", ".join(f"{len(getattr(written.comparison, kind))} {kind}" for kind in KINDS)
    yield f"Record    {written.comparison.rows_checked:,} rows compared with what the writers committed: {found}"
    errors = ", ".join(f"{count} x {state}" for state, count in written.errors.items())
    yield f"Errors    {errors or 'none'} seen by the application"


def _print_verdict(console: Console, outcome: Outcome) -> None:
    places = outcome.places
    for name, place in (("Airflow", _page(outcome)), ("Ledger", places.ledger), ("Report", places.report)):
        if place:
            console.print(f"{name:9} {escape(place)}", soft_wrap=True, highlight=False)
    if places.ui:
        console.print("          It stays up to click around in; `make down` stops it.")
    console.print()
    for reason in (*outcome.unknown, *outcome.against):
        console.print(f"  {escape(reason)}", style="red", soft_wrap=True, highlight=False)
    words = {Verdict.GO: "GO", Verdict.NO_GO: "NO-GO", Verdict.UNKNOWN: "COULD NOT FIND OUT"}
    text = f"{words[outcome.verdict]} in {outcome.seconds:.0f} s"
    console.print(text, style=STYLES[outcome.verdict], highlight=False)


def _page(outcome: Outcome) -> str | None:
    return f"{outcome.places.ui} ({outcome.places.login})" if outcome.places.ui else None


def _table(title: str, *headers: str) -> Table:
    table = Table(
        title=title.replace("_", " "), title_justify="left", title_style="bold", header_style="dim", box=SIMPLE_HEAD
    )
    for header in headers:
        table.add_column(header, overflow="fold")
    return table
