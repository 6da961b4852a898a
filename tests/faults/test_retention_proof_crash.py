"""A retention proof whose process dies at a request: the cleared task ends it, or a rollback undoes the migration.

No row of the table is lost, and no row of the proof remains.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from partition_playbook.checks import Outcome
from partition_playbook.errors import PlaybookError
from partition_playbook.run import Run
from partition_playbook.sections.lifecycle.retention_proof import retention_checks
from partition_playbook.spec import Mode, TableSpec, load_spec
from tests.fixtures.migration import migrate
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.stages import RUN_ID, Stages, go_back, take_over
from tests.fixtures.tables import fill_readings, let_copies_be_at_home, open_run
from tests.integration.test_retention_proof import CONTENTS, DUE, PROOF, one

RETENTION = DUE | {"action": "archive", "archive_to": "memory://archive"}
SPEC = TableSpec.model_validate(load_spec("sensor_readings").model_dump(mode="json") | {"retention": RETENTION})


def run_of(dsn: str) -> Run:
    """Return the opened run as a new process has it."""
    return replace(take_over(dsn), spec=SPEC)


def prove(dsn: str, folder: Path) -> list[Outcome]:
    folder.mkdir(exist_ok=True)
    return [each.outcome for each in retention_checks(run_of(dsn), Mode.REHEARSE, lambda _: folder)]  # type: ignore[arg-type,return-value]


def test_a_proof_that_dies_at_any_request_is_ended_or_undone(
    server_dsn: str, dsn: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each boundary between lasting requests is struck once; by turns the task is cleared and the run rolled back."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        fill_readings(connection, 200, days=45)
    migrate(open_run(partial(psycopg.connect, dsn), SPEC, RUN_ID))
    let_copies_be_at_home(dsn)
    table = Stages(server_dsn, {"prove": str(conninfo_to_dict(dsn)["dbname"])}, {}, {})
    passed = [Outcome.PASSED, Outcome.PASSED]
    with table.copy("prove") as copy, Proxy(copy) as proxy:
        assert prove(proxy.conninfo, tmp_path / "undisturbed") == passed
    record_property("requests", proxy.requests)
    assert proxy.requests > 5

    for at in range(1, proxy.requests + 1):
        with table.copy("prove") as copy:
            with psycopg.connect(copy, autocommit=True) as connection:
                rows = one(connection, CONTENTS.format("sensor_readings"))
            with Proxy(copy) as dying:
                dying.arm(at, Strike.UNHEARD if at < proxy.requests else Strike.UNTOLD)
                with suppress(psycopg.Error, PlaybookError):
                    prove(dying.conninfo, tmp_path / str(at))
                assert dying.has_struck
            if at % 2:
                assert prove(copy, tmp_path / str(at)) == passed
            else:
                go_back(run_of(copy))
            with psycopg.connect(copy, autocommit=True) as connection:
                assert one(connection, CONTENTS.format("sensor_readings")) == rows
                assert one(connection, f"SELECT to_regclass('{PROOF}')") == (None,)
