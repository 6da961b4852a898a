"""Statements that the server accepts on a partitioned table, and that mean something else there."""

from __future__ import annotations

import pytest

from partition_playbook.names import TableName
from partition_playbook.workload.statement_risks import (
    WeakerKeys,
    function_reliances,
    maintenance,
    moves_rows,
    reliances,
    with_new_key,
)
from partition_playbook.workload.statements import ParsedStatement

TABLE = TableName("public", "events")
KEYS = WeakerKeys("at", (("id",), ("tenant", "code")), frozenset({"events_pkey"}))

RELIES = {
    "INSERT INTO events (id) VALUES ($1) ON CONFLICT DO NOTHING": "ON CONFLICT DO NOTHING without a target",
    "insert into public.events as e values ($1) on conflict on constraint events_pkey do update set a = 1": (
        "ON CONFLICT ON CONSTRAINT events_pkey"
    ),
    "INSERT INTO events VALUES ($1) ON CONFLICT (code, tenant) DO NOTHING": "ON CONFLICT (tenant, code)",
    "WITH x AS (INSERT INTO events VALUES ($1) ON CONFLICT DO NOTHING RETURNING 1) SELECT * FROM x": (
        "ON CONFLICT DO NOTHING without a target"
    ),
    "MERGE INTO events e USING (SELECT $1 AS id) s ON s.id = e.id WHEN NOT MATCHED THEN INSERT VALUES (s.id)": (
        "MERGE … ON (id)"
    ),
    "INSERT INTO events (id) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = $2)": "NOT EXISTS (id)",
    "INSERT INTO events SELECT s.* FROM staging s WHERE s.id NOT IN (SELECT id FROM events)": "NOT IN (id)",
    "INSERT INTO events SELECT s.* FROM staging s LEFT JOIN events e ON e.id = s.id WHERE e.id IS NULL": (
        "LEFT JOIN … IS NULL (id)"
    ),
    "INSERT INTO events (id) SELECT id FROM staging EXCEPT SELECT id FROM events": "EXCEPT (id)",
}
DOES_NOT = (
    "INSERT INTO events (id) VALUES ($1)",
    "INSERT INTO events VALUES ($1) ON CONFLICT (id, at) DO NOTHING",
    "INSERT INTO events VALUES ($1) ON CONFLICT ON CONSTRAINT events_at_key DO NOTHING",
    "INSERT INTO units VALUES ($1) ON CONFLICT DO NOTHING",
    "WITH x AS (INSERT INTO units VALUES ($1) ON CONFLICT DO NOTHING RETURNING id) INSERT INTO events SELECT id FROM x",
    "INSERT INTO other.events VALUES ($1) ON CONFLICT DO NOTHING",
    "INSERT INTO events (id) SELECT $1 WHERE NOT EXISTS (SELECT 1 FROM events WHERE id = $2 AND at = $3)",
    "INSERT INTO events (id) SELECT $1 WHERE EXISTS (SELECT 1 FROM events WHERE id = $2)",
    "INSERT INTO events SELECT id FROM units WHERE NOT EXISTS (SELECT 1 FROM holidays)",
    "MERGE INTO events e USING s ON s.id = e.id AND s.at = e.at WHEN NOT MATCHED THEN INSERT VALUES (s.id)",
    "MERGE INTO events e USING s ON s.id = e.id WHEN MATCHED THEN DELETE",
    "SELECT 'ON CONFLICT DO NOTHING' FROM events",
)


@pytest.mark.parametrize("text", RELIES)
def test_a_repeated_write_that_relies_on_the_old_key(text: str) -> None:
    assert [each.place for each in reliances(ParsedStatement(text), TABLE, KEYS)] == [RELIES[text]]


@pytest.mark.parametrize("text", DOES_NOT)
def test_one_that_does_not(text: str) -> None:
    assert reliances(ParsedStatement(text), TABLE, KEYS) == []


def test_only_the_old_key_as_a_target_fails() -> None:
    fails = [text for text in RELIES for each in reliances(ParsedStatement(text), TABLE, KEYS) if each.fails]
    assert fails == ["INSERT INTO events VALUES ($1) ON CONFLICT (code, tenant) DO NOTHING"]


def test_a_function_is_read_statement_by_statement() -> None:
    source = """
    DECLARE n int; -- for events
    BEGIN
        FOR n IN SELECT 1 FROM events LOOP
            INSERT INTO units VALUES (n) ON CONFLICT DO NOTHING;
            INSERT INTO events (id) VALUES (n) ON CONFLICT DO NOTHING;
        END LOOP;
    END"""
    assert len(function_reliances(source, TABLE, KEYS)) == 1
    assert function_reliances("BEGIN INSERT INTO units SELECT id FROM events; END", TABLE, KEYS) == []


@pytest.mark.parametrize(
    ("text", "moves"),
    [
        ("UPDATE events SET at = $1 WHERE id = $2", True),
        ("UPDATE ONLY events e SET total = (SELECT max(at) FROM units), at = now()", True),
        ("UPDATE events SET (total, at) = ($1, $2)", True),
        ("INSERT INTO events VALUES ($1) ON CONFLICT (id, at) DO UPDATE SET at = excluded.at", True),
        ("MERGE INTO events e USING s ON s.id = e.id WHEN MATCHED THEN UPDATE SET at = s.at", True),
        ("UPDATE events SET total = at WHERE at = $1", False),
        ("UPDATE units SET at = $1 FROM events", False),
        ("WITH x AS (UPDATE units SET at = $1 RETURNING id) UPDATE events SET total = 1 FROM x", False),
        ("SELECT at FROM events", False),
    ],
)
def test_statements_that_set_the_partition_column(text: str, moves: bool) -> None:
    assert moves_rows(ParsedStatement(text), TABLE, "at") is moves


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("TRUNCATE events", "TRUNCATE"),
        ("truncate table only public.events, units cascade", "TRUNCATE"),
        ("TRUNCATE units, events", "TRUNCATE"),
        ("ALTER TABLE events DISABLE TRIGGER ALL", "ALTER TABLE … DISABLE TRIGGER"),
        ("ALTER TABLE ONLY public.events ENABLE TRIGGER USER", "ALTER TABLE … ENABLE TRIGGER"),
        ("CLUSTER events USING events_pkey", "CLUSTER"),
        ("VACUUM (FULL, ANALYZE) events", "VACUUM FULL"),
        ("CREATE INDEX CONCURRENTLY i ON events (a)", "CREATE INDEX CONCURRENTLY"),
        ("VACUUM events", ""),
        ("TRUNCATE other.events", ""),
        ("TRUNCATE events_staging", ""),
        ("ALTER TABLE events ADD note text", ""),
        ("SELECT 'TRUNCATE events' FROM events", ""),
    ],
)
def test_maintenance_that_a_migration_cannot_carry(text: str, command: str) -> None:
    assert maintenance(ParsedStatement(text), TABLE) == command


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("INSERT INTO events VALUES ($1) ON CONFLICT (id) DO NOTHING", '(id, "at")'),
        ("INSERT INTO events VALUES ($1) ON CONFLICT (code, tenant ) DO UPDATE SET a = 1", '(code, tenant, "at" )'),
    ],
)
def test_the_new_text_names_the_new_key(text: str, changed: str) -> None:
    found = with_new_key(ParsedStatement(text), TABLE, KEYS)
    assert f"ON CONFLICT {changed} DO" in found
    assert found.startswith("INSERT INTO events VALUES ($1)")
    assert reliances(ParsedStatement(found), TABLE, KEYS) == []


@pytest.mark.parametrize("text", DOES_NOT)
def test_the_text_of_other_statements_stays(text: str) -> None:
    assert with_new_key(ParsedStatement(text), TABLE, KEYS) == text
