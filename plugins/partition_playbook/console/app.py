"""The FastAPI app of the console: a page, its files, and read-only answers for users with read access to the DAGs."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route

from partition_playbook import __version__, artifacts
from partition_playbook.airflow.runs import MAINTENANCE_DAG, MIGRATION_DAG
from partition_playbook.console import answers, audit, read, scrape
from partition_playbook.console.problems import FORESEEN, explain, status
from partition_playbook.errors import PreconditionFailed
from partition_playbook.spec import TableSpec, load_spec

log = logging.getLogger(__name__)

PREFIX = "/partition_playbook"
# The ledger holds the runs of both DAGs, so a user needs read access to both.
DAGS = (MIGRATION_DAG, MAINTENANCE_DAG)
STATIC = Path(__file__).parent / "static"
FILES = frozenset(path.name for path in STATIC.iterdir())
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache, private",
}
# The style of the report is inline. No script runs in it.
REPORT_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-top-navigation-by-user-activation"
}

HTML = "text/html; charset=utf-8"
PLANS = {
    "sql": (artifacts.PLAN_SQL, "text/plain; charset=utf-8"),
    "json": (artifacts.PLAN_JSON, "application/json"),
}

app = FastAPI(
    title="Partition Playbook",
    dependencies=[Depends(requires_access_dag("GET", param_dag_id=dag)) for dag in DAGS],
    # These pages load files from the network, and the dependencies above do not protect them.
    openapi_url=None,
    docs_url=None,
    redoc_url=None,
)


@app.middleware("http")
async def _add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@app.exception_handler(HTTPException)
async def _log_in_first(request: Request, error: HTTPException) -> Response:
    """Redirect a request for the page without a session to the login, and back."""
    if error.status_code == 401 and request.scope["path"].removeprefix(request.scope["root_path"]) == "/":
        root = request.scope["root_path"].removesuffix(PREFIX)
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': str(request.url)})}", 303)
    return await http_exception_handler(request, error)


async def _say_problem(request: Request, error: Exception) -> Response:
    log.info("%s: %s", request.url.path, error)
    return JSONResponse(explain(error).model_dump(), status(error))


for kind in FORESEEN:
    app.add_exception_handler(kind, _say_problem)


def _spec(table: str) -> TableSpec:
    return load_spec(table, standing=True)


Spec = Annotated[TableSpec, Depends(_spec)]
RunId = Annotated[str, Query(max_length=500)]
Filter = Annotated[str | None, Query(max_length=200)]


@app.get("/")
def console_page() -> HTMLResponse:
    """Return the page of the console, with the version that serves it."""
    return HTMLResponse((STATIC / "console.html").read_text().replace("{version}", __version__))


@app.get("/static/{name}")
def file(name: str) -> FileResponse:
    """Return a static file of the page."""
    if name not in FILES:
        raise HTTPException(404)
    return FileResponse(STATIC / name)


@app.get("/api/tables")
def tables() -> list[answers.Table]:
    """List all table specs with health and last run; an unreachable database affects only its own tables."""
    listed, connections = read.specs_by_connection()
    for connection_id, asked in connections.items():
        try:
            listed += read.tables(asked, connection_id)
        except FORESEEN as error:
            problem = explain(error)
            listed += [
                answers.Table(spec=name, table=str(spec.name), connection=connection_id, problem=problem)
                for name, spec in asked.items()
            ]
    return sorted(listed, key=lambda each: each.spec)


@app.get("/api/find")
def find(run_id: RunId, dag_id: Filter = None) -> list[answers.Found]:
    """Find the runs of a DAG run in all ledgers; unreachable databases are skipped."""
    found: list[answers.Found] = []
    for connection_id, asked in read.specs_by_connection()[1].items():
        try:
            found += read.find({spec.name: name for name, spec in asked.items()}, connection_id, run_id, dag_id or "")
        except FORESEEN as error:
            log.info("%s: %s", connection_id, error)
    return found


@app.get("/report")
def report(run_id: RunId) -> Response:
    """Return the report of a run from its ledger; PreconditionFailed if no ledger has the run or the report.

    Earlier versions kept it as a file only: that is served if this machine has it.
    """
    known = _known(run_id)
    found = _file(known, run_id, artifacts.REPORT_PAGE, HTML, REPORT_HEADERS) if known else None
    if not found:
        raise PreconditionFailed(
            "there is no report of this run",
            where=run_id,
            remedy="Wait for the task decision.decide. If it has ended, clear it to write the report again",
        )
    return found


def _known(run_id: str) -> answers.Found | None:
    return next((each for each in find(run_id) if each.run_id == run_id), None)


def _file(
    known: answers.Found | None, run_id: str, name: str, media_type: str, headers: Mapping[str, str]
) -> Response | None:
    """Return a file of a run, byte by byte as its ledger has it; else the export, if this machine has it."""
    kept = read.file(_spec(known.spec), known.run_id, name) if known else None
    if kept:
        return Response(kept.content, headers={**headers, "ETag": f'"{kept.sha256}"'}, media_type=media_type)
    path = artifacts.exported(run_id, name)
    return FileResponse(path, headers=headers, media_type=media_type) if path else None


@app.get("/plan")
def plan(run_id: RunId, kind: Literal["sql", "json"] = "sql") -> Response:
    """Return the plan of a run from its ledger; PreconditionFailed if there is none.

    No ledger knows a run in mode plan, which has only files. The name of its folder has a hash of the run id, so it
    leads nowhere else.
    """
    name, media_type = PLANS[kind]
    found = _file(_known(run_id), run_id, name, media_type, {})
    if not found:
        raise PreconditionFailed(
            "there is no plan of this run",
            where=run_id,
            remedy="Wait for the task plan or preflight.check_preconditions. If it has ended, read in its log why no "
            "plan was kept. A run in mode plan writes files only: mount the workers' folder of artifacts "
            f"(${artifacts.ARTIFACTS_VARIABLE}) on the API server",
        )
    return found


@app.get("/api/tables/{table}/partitions")
def partitions(spec: Spec) -> answers.PartitionMap:
    """Return the partition map of a table."""
    return read.partitions(spec)


@app.get("/api/tables/{table}/runs")
def runs(spec: Spec, before: datetime | None = None) -> list[answers.Loaded]:
    """List a page of the runs of a table, newest first."""
    return read.runs(spec, before)


@app.get("/api/tables/{table}/progress")
def progress(spec: Spec, run_id: RunId) -> answers.Progress:
    """Return the state of a run: loads, waiting changes, lock waits."""
    return read.progress(spec, run_id)


@app.get("/api/tables/{table}/backlog")
def backlog(spec: Spec, run_id: RunId, after: int = 0) -> list[answers.Waiting]:
    """Return the number of waiting changes over time, after an event."""
    return read.backlog(spec, run_id, after)


@app.get("/api/tables/{table}/measurements")
def measurements(spec: Spec, run_id: RunId) -> list[answers.Measurement]:
    """Return the measurements of a run."""
    return read.measurements(spec, run_id)


@app.get("/api/tables/{table}/server")
def server(spec: Spec, run_id: RunId) -> answers.Server:
    """Return the state of the server during a run: replica lag, throttle, WAL, disk, and the sessions in the way."""
    return read.server(spec, run_id)


@app.get("/api/tables/{table}/headlines")
def headlines(spec: Spec, run_id: RunId) -> list[answers.Headline]:
    """Return the headline figures of a run."""
    return read.headlines(spec, run_id)


@app.get("/api/tables/{table}/gates")
def gates(spec: Spec, run_id: RunId) -> list[answers.Gate]:
    """Return the checks and the verdict of each section."""
    return read.gates(spec, run_id)


@app.get("/api/tables/{table}/plans")
def plans(spec: Spec, run_id: RunId) -> list[answers.Compared]:
    """Return the query plans before and after."""
    return read.plans(spec, run_id)


@app.get("/api/tables/{table}/events")
def events(
    spec: Spec,
    run_id: RunId,
    before: int | None = None,
    section: Filter = None,
    kind: Filter = None,
    text: Filter = None,
) -> list[answers.Event]:
    """List a page of the events of a run, filtered by section, kind and text."""
    return read.events(spec, run_id, before=before, **_filters(section, kind, text))


@app.get("/api/tables/{table}/events.csv")
def events_as_csv(
    spec: Spec, run_id: RunId, section: Filter = None, kind: Filter = None, text: Filter = None
) -> StreamingResponse:
    """Return all events of a run that match, as a CSV file."""
    pieces = audit.write(spec, run_id, _filters(section, kind, text))
    headers = {"Content-Disposition": f'attachment; filename="{audit.file_name(spec, run_id)}"'}
    return StreamingResponse(pieces, media_type="text/csv", headers=headers)


def _filters(section: str | None, kind: str | None, text: str | None) -> dict[str, str | None]:
    return {"section": section or None, "kind": kind or None, "text": text or None}


# Prometheus has no session of Airflow, so this route has a token of its own instead of the app's dependencies.
app.router.routes.append(Route("/metrics", scrape.answer))
