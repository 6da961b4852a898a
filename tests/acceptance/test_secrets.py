"""A whole rehearsal of a table whose every name is a template, by a connection with a password: where both end up."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import yaml
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.fixtures.dag_runs import DagRuns
from tests.fixtures.web import Quiet, served

TEMPLATE = "{{ 7 * 191 }}{% raw %}"
RENDERED = "1337"
PASSWORD, TOKEN = "geheim-und-lang", "zeichen-der-probe"
LEDGER = ("runs", "loads", "statistics", "measurements", "checks", "events", "reports")


class _Application(Quiet):
    """Answer every request, and tell nobody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"result": {}}')

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    """Return the address of an application that answers."""
    with served(_Application) as url:
        yield url


@pytest.fixture
def spec_name(tables: Path, address: str) -> Iterator[str]:
    """Return the name of a spec that is a template, of a table that is one too."""
    spec = yaml.safe_load((tables / "calm" / "calm.yaml").read_text()) | {"table": TEMPLATE}
    spec["application"] |= {"base_url": address}
    spec["application"]["http_probes"] = [{"name": TEMPLATE, "path": f"/units?token={TOKEN}"}]
    spec["application"]["procedures"] = [{"name": TEMPLATE, "path": f"/rows?token={TOKEN}", "input": {"key": TOKEN}}]
    printing = "import os; print(dict(os.environ))"
    spec["application"]["commands"] = [{"name": TEMPLATE, "command": [sys.executable, "-c", printing]}]
    spec["watch"] = {"every": 0.3}
    path = tables / f"{TEMPLATE}.yaml"
    path.write_text(yaml.safe_dump(spec))
    yield path.stem
    path.unlink()


@contextmanager
def watched_processes(found: set[bytes]) -> Iterator[None]:
    """Collect the command lines of all processes until the block ends."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    found.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_no_template_is_evaluated_and_no_secret_is_told(
    dsn: str, connection: psycopg.Connection, dag_runs: DagRuns, tables: Path, home: Path, spec_name: str
) -> None:
    connection.execute(sql.SQL("ALTER TABLE sensor_readings RENAME TO {}").format(sql.Identifier(TEMPLATE)))
    commands: set[bytes] = set()
    with watched_processes(commands):
        conf = {"table": spec_name, "mode": "rehearse", "accept_weaker_uniqueness": True, "min_speedup": 0}
        conf |= {"watch_minutes": 0.01}
        done = dag_runs.run("partition_migration", make_conninfo(dsn, password=PASSWORD), conf)
    assert done.state == "success", done.log[-5000:]
    assert TEMPLATE in done.log
    made = connection.execute("SELECT section, name FROM partition_playbook.checks").fetchall()
    assert {("preflight", "procedures"), ("preflight", f"command_{TEMPLATE}")} <= {*made}
    assert {("application", f"procedure_{TEMPLATE}"), ("application", f"command_{TEMPLATE}")} <= {*made}
    assert ("watch", f"procedure_{TEMPLATE}_after_watch") in made
    stages = connection.execute(
        "SELECT stage FROM partition_playbook.measurements WHERE stage LIKE 'procedures%' ORDER BY taken_at"
    )
    moments = ("before", "during", "after", "after_watch")
    assert [stage for (stage,) in stages] == [f"procedures_{each}" for each in moments]
    told = {"the logs": done.log.encode(), "the process list": b"\n".join(commands)}
    for table in LEDGER:
        rows = connection.execute(f"SELECT t::text FROM partition_playbook.{table} t").fetchall()
        told[f"the ledger's {table}"] = "\n".join(text for (text,) in rows).encode()
    # XComs, rendered fields, params and the DAGs themselves
    told |= {str(path): path.read_bytes() for path in home.rglob("airflow.db*")}
    told |= {str(path): path.read_bytes() for path in home.glob("artifacts/*/report.*")}
    told |= {str(path): path.read_bytes() for path in home.glob("artifacts/*/backup/SHA256SUMS")}
    assert {"report.md", "report.json", "SHA256SUMS", "airflow.db"} <= {Path(name).name for name in told}
    assert any(b"pg_dump" in command for command in commands)
    assert [name for name, content in told.items() if PASSWORD.encode() in content] == []
    assert [name for name, content in told.items() if TOKEN.encode() in content] == ["the ledger's runs"]
    assert [name for name, content in told.items() if RENDERED.encode() + b"_" in content] == []
