"""The console script ``partition-playbook``: table specs, plans, health and the ledger, from a shell.

``validate`` needs neither Airflow nor a database. The other commands read Airflow's connections; docs/shell.md lists
the exit codes.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from partition_playbook import __version__
from partition_playbook.shell import specs as table_specs
from partition_playbook.shell.answer import Answer, Exit, Failure

CODES = "Exit codes: 0 in order, 1 error, 2 findings or no-go, 3 table spec, 4 connection, 5 lock."


class _Commands(TyperGroup):
    """The commands; wrong usage ends with code 1, because 2 is a finding."""

    def make_context(self, *given: Any, **options: Any) -> Any:
        """Parse the arguments of the script."""
        with _usage_as_error():
            return super().make_context(*given, **options)

    def invoke(self, ctx: Any) -> Any:
        """Parse the arguments of a command, and run it."""
        with _usage_as_error():
            return super().invoke(ctx)


@contextmanager
def _usage_as_error() -> Iterator[None]:
    try:
        yield
    except typer.Exit:
        raise
    except Exception as error:
        # Typer has a copy of click inside, so the class of a wrong usage has no public name.
        if hasattr(error, "exit_code"):
            vars(error)["exit_code"] = Exit.ERROR
        raise


app = typer.Typer(
    help=f"Validate table specs, plan a migration, and look at tables and runs from the shell. {CODES}",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
)

Table = Annotated[str, typer.Argument(help="The name of a table spec.")]
AnyTable = Annotated[str | None, typer.Argument(help="The name of a table spec. Without one: every spec.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, also of failures.")]
Specs = Annotated[list[str] | None, typer.Argument(help="Names of specs, or paths of files. Without one: every spec.")]


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def validate(specs: Specs = None, as_json: AsJson = False) -> None:
    """Validate table specs, without Airflow and without a database."""
    _end(table_specs.validate(specs or ()), as_json)


@app.command("specs", hidden=True)
def list_specs() -> None:
    """Validate every table spec: the earlier name of `validate`."""
    _end(table_specs.validate(()), as_json=False)


@app.command()
def plan(
    table: Table,
    param: Annotated[
        list[str] | None, typer.Option(help="A param of partition_migration, as name=value; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the preflight checks and print every statement of a migration; change nothing. A no-go is code 2."""

    def ask() -> Answer:
        from partition_playbook.shell import plans

        return plans.plan(table, param or ())

    _answer(ask, as_json)


@app.command()
def status(table: AnyTable = None, as_json: AsJson = False) -> None:
    """Print the newest run and the last recorded health; code 2 if a run waits for a person, or health is not green."""

    def ask() -> Answer:
        from partition_playbook.shell import tables

        return tables.status(table)

    _answer(ask, as_json)


@app.command()
def health(table: AnyTable = None, as_json: AsJson = False) -> None:
    """Judge the health of partitioned tables now; change and record nothing. Yellow and red are code 2."""

    def ask() -> Answer:
        from partition_playbook.shell import tables

        return tables.health(table)

    _answer(ask, as_json)


@app.command()
def events(
    table: Table,
    run: Annotated[str, typer.Option(help="The id of a run. The default is the newest.")] = "",
    most: Annotated[int, typer.Option(min=1, max=100, help="The number of events, the newest ones.")] = 100,
    section: Annotated[str, typer.Option(help="Only events of this section.")] = "",
    kind: Annotated[str, typer.Option(help="Only events of this kind.")] = "",
    text: Annotated[str, typer.Option(help="Only events with this text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the events of a run from the ledger, oldest first."""

    def ask() -> Answer:
        from partition_playbook.shell import audit

        return audit.events(table, run, most, section, kind, text)

    _answer(ask, as_json)


@app.command()
def runs(
    table: Table,
    most: Annotated[int, typer.Option(help="The number of runs to list, newest first.")] = 10,
) -> None:
    """List the runs of a table with their states; exit with status 1 if the newest migration failed or is lost."""

    def ask() -> Answer:
        from partition_playbook.console import runs_text
        from partition_playbook.spec import load_spec

        lines, stopped = runs_text.describe(load_spec(table, standing=True), most)
        return Answer(tuple(lines), None, Exit.ERROR if stopped else Exit.IN_ORDER)

    _answer(ask, as_json=False)


def _answer(ask: Callable[[], Answer], as_json: bool) -> NoReturn:
    """Ask with Airflow's connections; a foreseen error is one line and a code of its own."""
    # As Airflow's own commands do, to read the connections in its database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from partition_playbook.shell.failures import FORESEEN, failure_of

    try:
        answer = ask()
    except FORESEEN as error:
        failure = failure_of(error)
        answer = Answer((), {"failure": failure.as_json()}, failure.exit, (failure,))
    _end(answer, as_json)


def _end(answer: Answer, as_json: bool) -> NoReturn:
    """Print an answer and exit with its code; failures go to the standard error."""
    for failure in answer.failures:
        _warn(failure)
    if as_json:
        typer.echo(json.dumps(answer.content, indent=2, default=str))
    else:
        for line in answer.lines:
            typer.echo(line)
    raise typer.Exit(answer.exit)


def _warn(failure: Failure) -> None:
    typer.echo(str(failure), err=True)
