"""Maintenance whose process dies at a request: the next run ends as an undisturbed one, with every row.

A month of a table with a default partition, with all that can be due in it. Writers meanwhile, many months, and a
table without a default partition are in ``tests/integration/test_two_years.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from partition_playbook.errors import PlaybookError
from partition_playbook.maintenance import exclusion
from partition_playbook.maintenance.maintain import Maintained, maintain
from partition_playbook.maintenance.params import MaintenanceParams
from tests.fixtures import footprint
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.stages import Stages
from tests.fixtures.tables import let_copies_be_at_home, open_run
from tests.integration.test_maintenance import contents, exists, insert, make_table, mixed_run, mixed_spec, months
from tests.integration.test_maintenance_split import make_waiting

PARAMS = MaintenanceParams(max_moved_rows=10)
RETENTION = {"keep": "4 months", "grace": "0 days", "action": "archive", "archive_to": "memory://archive"}
(OLD, OLDEST_MOMENT, KEPT_FROM), *_ = months(5, 0)
ROWS = 3


def keep_in_order(conninfo: str, folder: Path) -> Maintained:
    run = mixed_run(partial(psycopg.connect, conninfo), retention=RETENTION)
    return maintain(run, PARAMS, lambda url: folder)  # type: ignore[arg-type,return-value]


class Death(BaseException):
    """The process is gone: nothing in the engine may catch this."""


class Mortal(type(Path())):  # type: ignore[misc]
    """A path in the store of a process that dies at one of its operations there, in the middle of a write."""

    at = operations = 0

    @classmethod
    def tick(cls) -> None:
        Mortal.operations += 1
        if Mortal.operations == Mortal.at:
            raise Death

    def exists(self, **kwargs: Any) -> bool:
        self.tick()
        return bool(super().exists(**kwargs))

    def mkdir(self, *args: Any, **kwargs: Any) -> None:
        self.tick()
        super().mkdir(*args, **kwargs)

    def unlink(self, *args: Any, **kwargs: Any) -> None:
        self.tick()
        super().unlink(*args, **kwargs)

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        self.tick()
        stream = super().open(mode, *args, **kwargs)
        return Torn(stream) if "w" in mode else stream


class Torn:
    """A stream of which half a write arrives when the process dies."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __enter__(self) -> Torn:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def write(self, content: bytes) -> None:
        self._stream.write(content[: len(content) // 2])
        Mortal.tick()
        self._stream.write(content[len(content) // 2 :])


@pytest.fixture
def table(server_dsn: str, dsn: str) -> Stages:
    """Return what copies the table of a test."""
    return Stages(server_dsn, {"maintain": str(conninfo_to_dict(dsn)["dbname"])}, {}, {})


def whole_archives(folder: Path) -> Iterator[str]:
    """Yield the objects for which a manifest vouches; each must hold all rows."""
    for each in folder.rglob("*.json"):
        with suppress(ValueError):  # a manifest whose writing was broken off vouches for nothing
            manifest, name = json.loads(each.read_text()), each.name.replace(".json", ".csv.gz")
            content = each.with_name(name).read_bytes()
            assert manifest["sha256"] == hashlib.sha256(content).hexdigest()
            assert len(gzip.decompress(content).splitlines()) == 1 + manifest["rows"] == 1 + ROWS
            yield name


def assert_kept(copy: str, folder: Path, rows: list[Any]) -> None:
    """Find the rows of the month that is to go in its table or in a whole archive, and all others."""
    whole = list(whole_archives(folder))
    with psycopg.connect(copy, autocommit=True) as connection:
        assert exists(connection, OLD) or len(whole) == 1
        assert [each for each in contents(connection) if each in rows] == rows


def assert_ends_well(copy: str, folder: Path, rows: list[Any]) -> None:
    """Run again, and find what an undisturbed run leaves."""
    assert_kept(copy, folder, rows)
    assert keep_in_order(copy, folder).summary["failed"] == []
    with psycopg.connect(copy, autocommit=True) as connection:
        assert contents(connection) == rows
        assert not exists(connection, OLD)
    assert len(list(whole_archives(folder))) == 1
    assert len([each for each in folder.rglob("*") if each.is_file()]) == 2


def kept_rows(connection: psycopg.Connection[Any]) -> list[Any]:
    return [each for each in contents(connection) if each[2] >= KEPT_FROM]


def test_a_month_of_everything_that_dies_at_any_request(
    connection: psycopg.Connection[Any],
    table: Stages,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Create, split, detach, archive and drop: 47 boundaries between requests that make something last.

    A request that was done and not told leaves the same as one that was never reached, so each boundary is struck once.
    The small default partition is excluded from the attach as a large one is.
    """
    monkeypatch.setattr(exclusion, "LEAST_BLOCKS", 1)
    make_waiting(connection, rows=50)
    insert(connection, OLDEST_MOMENT, rows=ROWS)
    rows = kept_rows(connection)
    connection.close()
    with table.copy("maintain") as copy, Proxy(copy) as proxy:
        done = keep_in_order(proxy.conninfo, tmp_path)
        assert done.summary["failed"] == []
        assert all(done.summary[each] for each in ("created", "split", "detached", "archived", "dropped"))
        with psycopg.connect(copy, autocommit=True) as undisturbed:
            objects = footprint.objects(undisturbed)
    record_property("requests", proxy.requests)
    assert proxy.requests > 40
    for at in range(1, proxy.requests + 1):
        folder = tmp_path / str(at)
        folder.mkdir()
        with table.copy("maintain") as copy:
            with Proxy(copy) as dying:
                dying.arm(at, Strike.UNHEARD if at < proxy.requests else Strike.UNTOLD)
                with suppress(psycopg.Error, PlaybookError):
                    keep_in_order(dying.conninfo, folder)
                assert dying.has_struck
            assert_ends_well(copy, folder, rows)
            with psycopg.connect(copy, autocommit=True) as again:
                assert footprint.objects(again) == objects


def merge_months(conninfo: str) -> Maintained:
    connect = partial(psycopg.connect, conninfo)
    run = open_run(connect, mixed_spec(interval="3 months", retention=None), "merging", "maintenance")  # type: ignore[arg-type]
    return maintain(run, MaintenanceParams(table="mixed", merge="0 days"))


def test_a_merge_that_dies_at_any_request(
    connection: psycopg.Connection[Any],
    connect: Callable[[], psycopg.Connection[Any]],
    table: Stages,
    record_property: Callable[[str, object], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three months become one partition of the same name as the first, whatever died before."""
    monkeypatch.setattr(exclusion, "LEAST_BLOCKS", 1)
    make_table(connection)
    insert(connection, KEPT_FROM.subtract(years=9))  # the default partition has a row
    mixed_run(connect)  # the ledger knows the months
    let_copies_be_at_home(connection.info.dsn)
    for _, lower, _ in months(5, 0):
        insert(connection, lower, rows=ROWS)
    rows = contents(connection)
    connection.close()
    with table.copy("maintain") as copy, Proxy(copy) as proxy:
        done = merge_months(proxy.conninfo)
        assert (done.summary["failed"], len(done.summary["merged"])) == ([], 1)
        with psycopg.connect(copy, autocommit=True) as undisturbed:
            assert contents(undisturbed) == rows
            objects = footprint.objects(undisturbed)
    record_property("requests", proxy.requests)
    assert proxy.requests > 20
    for at in range(1, proxy.requests + 1):
        with table.copy("maintain") as copy:
            with Proxy(copy) as dying:
                dying.arm(at, Strike.UNHEARD if at < proxy.requests else Strike.UNTOLD)
                with suppress(psycopg.Error, PlaybookError):
                    merge_months(dying.conninfo)
                assert dying.has_struck
            with psycopg.connect(copy, autocommit=True) as struck:
                assert contents(struck) == rows
                insert(struck, months(5, 0)[2][1], rows=1, value=9)
                more = contents(struck)
            assert merge_months(copy).summary["failed"] == []
            with psycopg.connect(copy, autocommit=True) as again:
                assert contents(again) == more
                assert footprint.objects(again) == objects


def test_an_archive_that_dies_at_any_operation_on_the_store(
    connection: psycopg.Connection[Any], table: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_table(connection)
    for _, lower, _ in months(5, 0):
        insert(connection, lower, rows=ROWS)
    rows = kept_rows(connection)
    connection.close()
    for at in count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        monkeypatch.setattr(Mortal, "at", at)
        monkeypatch.setattr(Mortal, "operations", 0)
        with table.copy("maintain") as copy:
            with suppress(Death):
                keep_in_order(copy, Mortal(folder))
            assert_ends_well(copy, folder, rows)
        if Mortal.operations < at:
            break
    assert at > 10
