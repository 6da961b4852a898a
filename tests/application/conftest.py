"""The application on the worked table of a test's own database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from staging.backend import history
from staging.backend.history import History
from staging.backend.processes import Server, serving


@pytest.fixture
def server(dsn: str, readings: Callable[..., None], tmp_path: Path) -> Iterator[Server]:
    """Return the application's server on 5,000 rows of a year; it has two connections."""
    readings(5_000)
    history.prepare(dsn)
    with serving(dsn, tmp_path, pool_size=2) as server:
        yield server


@pytest.fixture
def fixed(server: Server, dsn: str) -> History:
    """Return the range of time that no user writes to."""
    return history.write(server.url, history.prepare(dsn))
