"""Show the progress of a run: live in a terminal, else as plain lines, one an event."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from staging.demo.progress import ALL_SECTIONS, Load, Loads, Progress, Section, State

MARKS = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▶", "bold cyan"),
    State.DONE: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "dim"),
}
SLOW_MS = 100


class Display(Protocol):
    """Something that shows progress while it is open."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Show no more."""

    def show(self, progress: Progress) -> None:
        """Show what is known now."""


def display(console: Console) -> Display:
    """Return what suits where the output goes."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class LiveDisplay:
    """A picture that is drawn again and again in its place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw it anew."""
        self._live.update(picture(progress), refresh=True)


def picture(progress: Progress) -> RenderableType:
    """Return the sections beside the partitions, the current task above, the writers below."""
    sides = Table.grid(padding=(0, 4))
    sides.add_row(_checklist(progress), _bars(progress.loads))
    task = ", ".join(progress.tasks) or "between tasks"
    return Group("", Text(f"{progress.seconds:5.0f} s  {task}", style="bold"), "", sides, "", _writers(progress), "")


def _checklist(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 1))
    for number, section in enumerate(progress.sections, 1):
        mark, style = MARKS[section.state]
        taken = f"{section.seconds:.0f} s" if section.seconds else ""
        table.add_row(
            Text(mark, style), f"{number:2} {section.name}", Text(taken, "dim", justify="right"), _found(section)
        )
    return table


def _found(section: Section) -> Text:
    if section.failures:
        return Text(f"{len(section.failures)} of {section.checks} checks failed", "red")
    return Text(_count(section.checks) if section.checks else "", "dim")


def _bars(loads: Loads) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for load in loads.each:
        if load.done and not load.rows:
            continue
        part = 1.0 if load.done else load.rows / max(load.expected, 1)
        rows = f"{load.rows:,}" if load.state != "pending" else ""
        name = Text(load.partition.removeprefix("sensor_readings_"), "" if load.state != "pending" else "dim")
        table.add_row(name, ProgressBar(1.0, part, width=20), Text(rows, justify="right"), Text(load.state, "dim"))
    return Group(table, Text(_pace(loads), "bold"))


def _pace(loads: Loads) -> str:
    if not loads.rows_per_second:
        return ""
    text = f"{loads.rows:,} rows, {loads.rows_per_second:,.0f} rows/s"
    return text if loads.done else f"{text}, about {loads.seconds_left or 0:.0f} s left"


def _writers(progress: Progress) -> Text:
    waiting = "" if progress.backlog is None else f"   {progress.backlog:,} changes wait to be reconciled"
    text = Text(f"{progress.writes:,} live writes, the slowest of the last seconds took ")
    text.append(f"{progress.slowest_ms:.1f} ms", "bold red" if progress.slowest_ms > SLOW_MS else "green")
    return text.append(waiting)


class PlainDisplay:
    """Lines for a log: a section begins, a load ends, a section ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sections = {name: State.WAITING for name in ALL_SECTIONS}
        self._loaded: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """There is nothing to close."""

    def show(self, progress: Progress) -> None:
        """Print what is new since the last time."""
        for line in self.news(progress):
            self._console.print(f"{progress.seconds:5.0f} s  {escape(line)}", soft_wrap=True, highlight=False)

    def news(self, progress: Progress) -> list[str]:
        """Return a line for each event since the last time."""
        lines = [line for load in progress.loads.each if (line := self._load_news(load, progress.loads))]
        for section in progress.sections:
            before, self._sections[section.name] = self._sections[section.name], section.state
            if section.state is not before and section.state is not State.WAITING:
                lines.append(_event(section, progress))
        return lines

    def _load_news(self, load: Load, loads: Loads) -> str:
        if not load.done or load.partition in self._loaded:
            return ""
        self._loaded.add(load.partition)
        if not load.rows:
            return ""
        return f"{load.partition}: {load.rows:,} rows; {_pace(loads)}"


def _event(section: Section, progress: Progress) -> str:
    if section.state in (State.RUNNING, State.SKIPPED):
        return f"{section.name} {'begins' if section.state is State.RUNNING else 'is passed over'}"
    failed = f", {len(section.failures)} failed: {', '.join(section.failures)}" if section.failures else ""
    state = "ended" if section.state is State.DONE else "FAILED"
    writes = f"{progress.writes:,} live writes so far, the slowest of the last seconds {progress.slowest_ms:.1f} ms"
    return f"{section.name} {state} after {section.seconds:.1f} s: {_count(section.checks)}{failed}; {writes}"


def _count(checks: int) -> str:
    return f"{checks} check{'' if checks == 1 else 's'}"
