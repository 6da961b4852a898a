"""Answer a scrape of Prometheus: the metrics of all tables with a spec, protected by a token of its own."""

from __future__ import annotations

import hmac
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from airflow.sdk import Variable
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from partition_playbook import __version__, metrics
from partition_playbook.airflow.runs import open_database
from partition_playbook.console import read
from partition_playbook.console.problems import FORESEEN
from partition_playbook.database import Database, Row
from partition_playbook.metrics import Group, Kind, Metric
from partition_playbook.spec import TableSpec

log = logging.getLogger(__name__)

TOKEN_VARIABLE = "PARTITION_PLAYBOOK_METRICS_TOKEN"
# Prometheus gives up after 10 seconds by default. A database that does not answer by then is down.
PATIENCE_SECONDS = 8.0
Family = GaugeMetricFamily | CounterMetricFamily
Rows = Mapping[Group, list[Row]]
Specs = Mapping[str, TableSpec]
_lock = threading.Lock()
# The connections with a thread that still reads: a database that hangs holds one thread, not one for each scrape.
_reading: set[str] = set()


def answer(request: Request) -> Response:
    """Return the metrics; 404 if no token is configured, 401 without the right one."""
    token = configured_token()
    if not token:
        return PlainTextResponse(f"The metrics are off. Set {TOKEN_VARIABLE} on the API server.\n", 404)
    if not _is_bearer(request.headers.get("authorization", ""), token):
        return PlainTextResponse("The bearer token is missing or wrong.\n", 401, {"WWW-Authenticate": "Bearer"})
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


def configured_token() -> str:
    """Return the token from the environment, else from the Airflow Variable of the same name in lower case."""
    return os.environ.get(TOKEN_VARIABLE) or Variable.get(TOKEN_VARIABLE.lower(), default="") or ""


def _is_bearer(header: str, token: str) -> bool:
    scheme, _, given = header.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


def exposition() -> bytes:
    """Return the metrics of all connections in the text format of Prometheus."""
    invalid, connections = read.specs_by_connection()
    return render(read_all(connections), len(invalid))


def render(found: Mapping[str, Rows | None], invalid: int) -> bytes:
    """Return rows as text; None stands for a connection that is down."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Found(found, invalid))
    return generate_latest(registry)


def read_all(connections: Mapping[str, Specs], patience: float = PATIENCE_SECONDS) -> dict[str, Rows | None]:
    """Return the rows of each connection, None for one that fails or does not answer in time."""
    found: dict[str, Rows | None] = dict.fromkeys(connections)
    threads = [_start(each, specs, found.__setitem__) for each, specs in connections.items()]
    deadline = time.monotonic() + patience
    for thread in filter(None, threads):
        thread.join(max(deadline - time.monotonic(), 0))
    return dict(found)


def _start(connection_id: str, specs: Specs, keep: Callable[[str, Rows], None]) -> threading.Thread | None:
    """Read a connection in a thread; None if an earlier scrape still reads it."""
    with _lock:
        if connection_id in _reading:
            return None
        _reading.add(connection_id)

    def work() -> None:
        try:
            keep(connection_id, read_rows(_database(connection_id), specs))
        except FORESEEN as error:
            log.warning("%s: no metrics: %s", connection_id, error)
        except Exception:
            log.exception("%s: no metrics", connection_id)
        finally:
            with _lock:
                _reading.discard(connection_id)

    thread = threading.Thread(target=work, name=f"metrics of {connection_id}", daemon=True)
    thread.start()
    return thread


@cache
def _database(connection_id: str) -> Database:
    return open_database(connection_id, application="partition_playbook metrics", long_lived=True)


def read_rows(database: Database, specs: Specs) -> Rows:
    """Return the rows of the tables with a spec; a table that the ledger does not know has zeros."""
    with database.snapshot(read.LIMITS) as session:
        found = metrics.read(session) if read.has_ledger(session) else {each: [] for each in metrics.GROUPS}

    names = {str(spec.name): name for name, spec in specs.items()}
    rows = {group: [row for row in listed if row["table"] in names] for group, listed in found.items()}
    for table in names.keys() - {row["table"] for row in rows[metrics.TABLES]}:
        spec = specs[names[table]]
        known: Row = {"table": table, "spec": names[table], "interval": str(spec.interval), "version": __version__}
        known |= {"info": 1, "healthy": 1, "partitions_wanted_ahead": spec.premake}
        rows[metrics.TABLES].append(metrics.TABLES.absent(known))
        rows[metrics.RUNS].append(metrics.RUNS.absent({"table": table, "phase": "none", "run_phase": 1}))
    return rows


class _Found(Collector):
    """The rows of one scrape as metrics; each has the label ``connection`` too."""

    def __init__(self, found: Mapping[str, Rows | None], invalid: int) -> None:
        self._found = found
        self._invalid = invalid

    def collect(self) -> Iterator[Family]:
        """Yield every metric."""
        up = GaugeMetricFamily(f"{metrics.PREFIX}up", "1 if the database answered, else 0.", labels=["connection"])
        for connection_id, rows in self._found.items():
            up.add_metric([connection_id], rows is not None)
        yield up
        yield GaugeMetricFamily(f"{metrics.PREFIX}invalid_specs", "Table specs that are not valid.", self._invalid)
        for group in metrics.GROUPS:
            yield from (_family(each, self._rows(group)) for each in group.metrics)

    def _rows(self, group: Group) -> list[tuple[str, Row]]:
        return [(name, row) for name, rows in self._found.items() if rows is not None for row in rows[group]]


def _family(metric: Metric, rows: Iterable[tuple[str, Row]]) -> Family:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family: Family = kind(metric.name, metric.text, labels=["connection", *metric.labels])
    for connection_id, row in rows:
        family.add_metric([connection_id, *(str(row[label]) for label in metric.labels)], float(row[metric.column]))
    return family
