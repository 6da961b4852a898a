"""The application's page in a real browser."""

from __future__ import annotations

import psycopg

from staging.backend import dashboard
from staging.backend.processes import Server


def test_the_page_draws_the_latest_temperatures(server: Server, connection: psycopg.Connection) -> None:
    query = (
        "SELECT least(count(*), 500) FROM sensor_readings WHERE unit_id = (SELECT id FROM units ORDER BY name LIMIT 1)"
    )
    seen = dashboard.visit(server.url, "now")
    assert (seen.points, seen.errors) == (connection.execute(query).fetchone()[0], ())  # type: ignore[index]
    assert seen.points > 50


def test_an_error_in_the_console_is_seen(server: Server, connection: psycopg.Connection) -> None:
    connection.execute("ALTER TABLE sensor_readings RENAME COLUMN temperature TO warmth")
    dashboard_patience = dashboard.PATIENCE_MS
    dashboard.PATIENCE_MS = 2_000
    try:
        seen = dashboard.visit(server.url, "now")
    finally:
        dashboard.PATIENCE_MS = dashboard_patience
    assert seen.points == 0
    assert any("500" in error for error in seen.errors)
