"""Maintenance whose process dies at a request: the next run ends as an undisturbed one, with every row.

The split and the detach at once of a table with a default partition, and the archive, which also dies between two
operations on the object store. Writers meanwhile, many months, and a table without a default partition are in
``tests/sql/test_two_years.py``.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from partition_playbook.errors import PlaybookError
from partition_playbook.maintenance.archive import Store
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.maintenance.upkeep import Maintained, maintain
from tests.fixtures import footprint
from tests.fixtures.proxy import Proxy, Strike
from tests.fixtures.stages import Stages
from tests.sql.test_maintenance import contents, exists, insert, make_table, mixed_run, months
from tests.sql.test_maintenance_split import make_waiting

PARAMS = MaintenanceParams(max_moved_rows=10)
RETENTION = {"keep": "2 months", "grace": "0 days", "max_share": 1}
ARCHIVE = {"action": "archive", "archive_to": "memory://archive"}
MOMENTS = 4
SEED = 5
OLD, *_ = (name for name, _, _ in months(3, 0))
ROWS = 3


def keep_in_order(conninfo: str, store: Store | None = None) -> Maintained:
    retention = RETENTION | (ARCHIVE if store else {})
    return maintain(mixed_run(partial(psycopg.connect, conninfo), retention=retention), PARAMS, store)


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
def archiving(server_dsn: str, dsn: str) -> Stages:
    """Return a table with one month that is to be archived."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        make_table(connection, back=3)
        for _, lower, _ in months(3, 0):
            insert(connection, lower, rows=ROWS)
    return Stages(server_dsn, {"archive": str(conninfo_to_dict(dsn)["dbname"])}, {}, {})


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
    assert keep_in_order(copy, lambda url: folder).summary["failed"] == []  # type: ignore[arg-type,return-value]
    with psycopg.connect(copy, autocommit=True) as connection:
        assert contents(connection) == rows
        assert not exists(connection, OLD)
    assert len(list(whole_archives(folder))) == 1
    assert len([each for each in folder.rglob("*") if each.is_file()]) == 2


def kept_rows(dsn: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return contents(connection)[ROWS:]


@pytest.mark.parametrize("strike", Strike)
def test_an_archive_that_dies_at_any_request(archiving: Stages, dsn: str, tmp_path: Path, strike: Strike) -> None:
    rows = kept_rows(dsn)
    for at in count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        with archiving.copy("archive") as copy:
            with Proxy(copy) as dying:
                dying.arm(at, strike)
                with suppress(psycopg.Error, PlaybookError):
                    keep_in_order(dying.conninfo, lambda url, here=folder: here)
            assert_ends_well(copy, folder, rows)
        if not dying.has_struck:
            break
    assert at > 15


def test_an_archive_that_dies_at_any_operation_on_the_store(
    archiving: Stages, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = kept_rows(dsn)
    for at in count(1):
        folder = tmp_path / str(at)
        folder.mkdir()
        monkeypatch.setattr(Mortal, "at", at)
        monkeypatch.setattr(Mortal, "operations", 0)
        with archiving.copy("archive") as copy:
            with suppress(Death):
                keep_in_order(copy, lambda url, here=folder: Mortal(here))
            assert_ends_well(copy, folder, rows)
        if Mortal.operations < at:
            break
    assert at > 10
