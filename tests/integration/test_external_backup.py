"""An external backup is proved by pgBackRest, where the spec names its stanza; its id is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from partition_playbook.checks import Check
from partition_playbook.run import Run
from partition_playbook.sections.preflight.checklist import preflight_checks
from partition_playbook.sections.snapshot.checks import storage_checks
from partition_playbook.spec import RunParams, TableSpec

HOUR = 3600
LABEL = "20261130-070001F"
# Fields that nobody reads here are left out of a list of pgBackRest 2.36 and later.
Backup = dict[str, Any]


def listed(label: str = LABEL, *, hours: float = 1, error: bool | None = False, database: int = 1) -> Backup:
    """Return a backup as `pgbackrest --output=json info` lists it."""
    ended = int(time.time() - hours * HOUR)
    return {
        "archive": {"start": "000000010000000000000004", "stop": "000000010000000000000004"},
        "database": {"id": database, "repo-key": 1},
        "error": error,
        "label": label,
        "timestamp": {"start": ended - 60, "stop": ended},
        "type": "full",
    }


def info(system: int, *backups: Backup, code: int = 0, message: str = "ok") -> list[dict[str, Any]]:
    """Return the list of a repository with one stanza; its second database is that of another server."""
    systems = [{"id": 1, "repo-key": 1, "system-id": system}, {"id": 2, "repo-key": 1, "system-id": 42}]
    status = {"code": code, "lock": {"backup": {"held": False}}, "message": message}
    return [{"backup": list(backups), "cipher": "none", "db": systems, "name": "main", "status": status}]


@pytest.fixture
def prove(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Check]:
    """Return a function that makes the check, with a program that prints a text, or a file that contains it."""

    def check(
        printed: str, *, label: str | None = None, file: bool = False, status: int = 0, installed: bool = True
    ) -> Check:
        (tmp_path / "info.json").write_text(printed)
        program = tmp_path / "bin" / "pgbackrest"
        program.parent.mkdir(exist_ok=True)
        wanted = '[ "$*" = "--stanza=main --output=json info" ] || exit 31'
        program.write_text(f'#!/bin/sh\n{wanted}\ncat "{tmp_path}/info.json"\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin" if installed else str(tmp_path))

        key = {"stanza": "main"} | ({"info": str(tmp_path / "info.json")} if file else {})
        spec = TableSpec.model_validate(run.spec.model_dump() | {"pgbackrest": key})
        params = RunParams(
            mode="migrate", backup="external", external_backup_at="2026-12-01T00:00:00Z", external_backup_id=label
        )
        (found,) = storage_checks(replace(run, spec=spec), params, Path)
        return found

    return check


def test_pgbackrest_proves_a_complete_young_backup_of_this_server(
    prove: Callable[..., Check], connection: psycopg.Connection
) -> None:
    (system,) = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone() or (0,)
    good = info(system, listed("old", hours=30), listed(), listed("broken", hours=0.1, error=True))
    for found in (prove(json.dumps(good)), prove(json.dumps(good), file=True), prove(json.dumps(good), label=LABEL)):
        assert not found.blocks, found
        assert found.evidence["label"] == LABEL
        assert f"full backup {LABEL} of the server {system}, ended at " in found.actual

    refused = {
        "backup old ended 30 h ago": prove(json.dumps(good), label="old"),
        "no complete backup has the label broken; the last ones: old, ": prove(json.dumps(good), label="broken"),
        "backup 20261130-070001F ended 25 h ago": prove(json.dumps(info(system, listed(hours=25)))),
        f"is of this server, system {system}; the systems of the backups: 42": prove(
            json.dumps(info(system, listed(database=2)))
        ),
        "pgBackRest says of the stanza: no valid backups": prove(
            json.dumps(info(system, code=2, message="no valid backups"))
        ),
        "there is no stanza main; known: none": prove("[]"),
        "has no list of pgBackRest: JSONDecodeError": prove("not a list"),
        "has no list of pgBackRest: KeyError": prove('[{"name": "main"}]', file=True),
        "ended with status 56: not reachable": prove("not reachable", status=56),
        " has no pgbackrest": prove("[]", installed=False),
    }
    wrong = {text: found.actual for text, found in refused.items() if not found.blocks or text not in found.actual}
    assert wrong == {}
    assert "pgbackrest --stanza=main backup" in next(iter(refused.values())).remedy
    assert "let `pgbackrest.info` of the spec name a file" in refused[" has no pgbackrest"].remedy


def test_the_id_of_an_external_backup_is_kept(run: Run, readings: Callable[[int], None]) -> None:
    readings(0)
    taken = {"backup": "external", "external_backup_at": "2026-11-30T00:00:00Z"}
    params = RunParams(mode="rehearse", external_backup_id="rds:shop-2026-11-30-06-15", **taken)
    found = {each.name: each for each in preflight_checks(run, params)}["backup"]
    assert found.actual.endswith(", id rds:shop-2026-11-30-06-15")
