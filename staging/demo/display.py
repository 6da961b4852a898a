"""Show the progress of a run: live in a terminal, else as plain lines, one per event."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from partition_playbook import figures
from staging.demo.progress import ALL_SECTIONS, Load, Loads, Progress, Section, State

MARKS = {
    State.WAITING: ("·", "dim"),
    State.RUNNING: ("▶", "bold cyan"),
    State.DONE: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("-", "dim"),
}
SLOW_MS = 100
WIDEST = len("59 min 59 s")


class Display(Protocol):
    """A context manager that shows progress."""

    def __enter__(self) -> Self:
        """Open the display."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the display."""

    def show(self, progress: Progress) -> None:
        """Show the current state."""


def display(console: Console) -> Display:
    """Return a live display for a terminal, else a plain one."""
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


class LiveDisplay:
    """A picture that is redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Redraw the picture."""
        self._live.update(picture(progress), refresh=True)


def picture(progress: Progress) -> RenderableType:
    """Return the picture: the current task, below it sections beside partitions, then the writers."""
    sides = Table.grid(padding=(0, 4))
    sides.add_row(_checklist(progress), _bars(progress.loads))
    task = ", ".join(progress.tasks) or "between tasks"
    return Group("", Text(f"{_elapsed(progress)}  {task}", style="bold"), "", sides, "", _writers(progress), "")


def _elapsed(progress: Progress) -> str:
    return figures.seconds(round(progress.seconds)).rjust(WIDEST)


def _checklist(progress: Progress) -> Table:
    table = Table.grid(padding=(0, 1))
    for number, section in enumerate(progress.sections, 1):
        mark, style = MARKS[section.state]
        taken = figures.seconds(section.seconds) if section.seconds else ""
        table.add_row(
            Text(mark, style), f"{number:2} {section.name}", Text(taken, "dim", justify="right"), _checked(section)
        )
    return table


def _checked(section: Section) -> Text:
    checks = figures.count(section.checks, "check")
    if section.failures:
        return Text(f"{figures.number(len(section.failures))} of {checks} failed", "red")
    return Text(checks if section.checks else "", "dim")


def _bars(loads: Loads) -> RenderableType:
    table = Table.grid(padding=(0, 1))
    for load in loads.each:
        if load.done and not load.rows:
            continue
        part = 1.0 if load.done else load.rows / max(load.expected, 1)
        rows = figures.number(load.rows) if load.state != "pending" else ""
        name = Text(load.partition.removeprefix("sensor_readings_"), "" if load.state != "pending" else "dim")
        table.add_row(name, ProgressBar(1.0, part, width=20), Text(rows, justify="right"), Text(load.state, "dim"))
    return Group(table, Text(_pace(loads), "bold"))


def _pace(loads: Loads) -> str:
    if not loads.rows_per_second:
        return ""
    text = f"{figures.count(loads.rows, 'row')}, {figures.measured(loads.rows_per_second, 'rows/s')}"
    return text if loads.done else f"{text}, about {figures.seconds(loads.seconds_left or 0)} left"


def _writers(progress: Progress) -> Text:
    text = Text(f"{figures.count(progress.writes, 'live write')}, slowest recent one ")
    text.append(figures.milliseconds(progress.slowest_ms), "bold red" if progress.slowest_ms > SLOW_MS else "green")
    if progress.backlog is not None:
        text.append(f"   {figures.count(progress.backlog, 'change')} in the change log")
    return text


class PlainDisplay:
    """Lines for a log: the start of a section, the end of a load, the end of a section."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._sections = {name: State.WAITING for name in ALL_SECTIONS}
        self._loaded: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Do nothing: there is nothing to close."""

    def show(self, progress: Progress) -> None:
        """Print a line for each event since the last call."""
        for line in self.news(progress):
            self._console.print(f"{_elapsed(progress)}  {escape(line)}", soft_wrap=True, highlight=False)

    def news(self, progress: Progress) -> list[str]:
        """Return a line for each event since the last call."""
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
        return f"{load.partition}: {figures.count(load.rows, 'row')}; in all {_pace(loads)}"


def _event(section: Section, progress: Progress) -> str:
    if section.state in (State.RUNNING, State.SKIPPED):
        return f"{section.name} {'begins' if section.state is State.RUNNING else 'is skipped'}"

    checks = figures.count(section.checks, "check")
    if section.failures:
        checks += f", {figures.number(len(section.failures))} failed: {', '.join(section.failures)}"
    state = "ended" if section.state is State.DONE else "FAILED"
    slowest = figures.milliseconds(progress.slowest_ms)
    writes = f"{figures.count(progress.writes, 'live write')} so far, slowest recent one {slowest}"
    return f"{section.name} {state} after {figures.seconds(section.seconds)}: {checks}; {writes}"
