"""The application's page in a real browser."""

from __future__ import annotations

import psycopg
import pytest

from staging.backend import dashboard
from staging.backend.processes import Server


def test_the_page_draws_the_latest_temperatures(server: Server, connection: psycopg.Connection) -> None:
    query = (
        "SELECT least(count(*), 500) FROM sensor_readings WHERE unit_id = (SELECT id FROM units ORDER BY name LIMIT 1)"
    )
    seen = dashboard.visit(server.url, "now")
    assert (seen.points, seen.errors) == (connection.execute(query).fetchone()[0], ())  # type: ignore[index]
    assert seen.points > 50


def test_an_error_in_the_console_is_seen(
    server: Server, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "PATIENCE_MS", 2_000)
    connection.execute("ALTER TABLE sensor_readings RENAME COLUMN temperature TO warmth")
    seen = dashboard.visit(server.url, "now")
    assert seen.points == 0
    assert any("500" in error for error in seen.errors)
