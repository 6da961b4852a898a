"""The console script ``partition-playbook``: the version, the table specs, and the runs of a table.

Only the runs need Airflow: its connections, and its own database.
"""

from __future__ import annotations

import os
from typing import Annotated

import typer

from partition_playbook import __version__
from partition_playbook.errors import InvalidSpec
from partition_playbook.spec import load_spec, spec_names, tables_folder

app = typer.Typer(
    help="Check an installation of Partition Playbook from the shell.", no_args_is_help=True, add_completion=False
)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


@app.command()
def specs() -> None:
    """List the table specs and validate each; exit with status 1 if one is invalid or there is none."""
    names = spec_names()
    if not names:
        typer.echo(f"{tables_folder()}: no table spec. Add one as <name>.yaml.", err=True)
    if not names or not all([_report(name) for name in names]):
        raise typer.Exit(1)


@app.command()
def runs(
    table: Annotated[str, typer.Argument(help="The name of a table spec.")],
    most: Annotated[int, typer.Option(help="The number of runs to list, newest first.")] = 10,
) -> None:
    """List the runs of a table with their states; exit with status 1 if the newest migration failed or is lost."""
    # As Airflow's own commands do, to read the connections in its database.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    from partition_playbook.console import problems, runs_text

    try:
        lines, stopped = runs_text.describe(load_spec(table, standing=True), most)
    except problems.FORESEEN as error:
        told = problems.explain(error)
        typer.echo(f"{told.problem}. {told.remedy}".strip(), err=True)
        raise typer.Exit(1) from None
    for line in lines:
        typer.echo(line)
    if stopped:
        raise typer.Exit(1)


def _report(name: str) -> bool:
    try:
        spec = load_spec(name)
    except InvalidSpec as error:
        typer.echo(f"{name}: invalid. {error}", err=True)
        return False
    typer.echo(f"{name}: {spec.table}, one partition per {spec.interval} of {spec.partition_by}")
    return True
