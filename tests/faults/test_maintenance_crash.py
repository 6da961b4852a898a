"""Maintenance whose process dies at a request: the next run ends as an undisturbed one, with every row.

The split and the detach at once of a table with a default partition. Writers meanwhile, many months, and a table
without a default partition are in ``tests/sql/test_two_years.py``.
"""

from __future__ import annotations

import random
from contextlib import suppress
from functools import partial

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from partition_playbook.errors import PlaybookError
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.upkeep import Maintained, maintain
from tests.fixtures import footprint
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.stages import Stages
from tests.sql.test_maintenance import contents, mixed_run
from tests.sql.test_maintenance_split import make_waiting

PARAMS = MaintenanceParams(max_moved_rows=10)
RETENTION = {"keep": "2 months", "grace": "0 days", "max_share": 1}
MOMENTS = 4
SEED = 5


def keep_in_order(conninfo: str) -> Maintained:
    return maintain(mixed_run(partial(psycopg.connect, conninfo), retention=RETENTION), PARAMS)


@pytest.mark.parametrize("strike", Strike)
def test_the_next_run_ends_as_an_undisturbed_one(server_dsn: str, dsn: str, strike: Strike) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        make_waiting(connection, rows=50)
    stages = Stages(server_dsn, {"maintain": str(conninfo_to_dict(dsn)["dbname"])}, {}, {})
    with stages.copy("maintain") as copy, Proxy(copy) as proxy:
        done = keep_in_order(proxy.conninfo)
        assert done.summary["failed"] == []
        assert done.summary["split"]
        assert done.summary["dropped"]
        with psycopg.connect(copy, autocommit=True) as connection:
            objects, rows = footprint.objects(connection), contents(connection)
    for at in random.Random(SEED).sample(range(1, proxy.requests + 1), MOMENTS):
        with stages.copy("maintain") as copy:
            with Proxy(copy) as dying:
                dying.arm(at, strike)
                with suppress(psycopg.Error, PlaybookError):
                    keep_in_order(dying.conninfo)
                assert dying.has_struck
            assert keep_in_order(copy).summary["failed"] == []
            with psycopg.connect(copy, autocommit=True) as connection:
                assert footprint.objects(connection) == objects
                assert contents(connection) == rows
