from __future__ import annotations

import pytest

from partition_playbook.names import MAX_BYTES, TableName, clip


def test_short_names_are_left_alone() -> None:
    table = TableName.parse("sensor_readings")
    assert (table.schema, table.shadow.name, table.retired.name) == (
        "public",
        "sensor_readings_new",
        "sensor_readings_old",
    )
    assert table.partition("y2026m02").name == "sensor_readings_y2026m02"


@pytest.mark.parametrize(
    "name", ["a" * 63, "ü" * 31, "Mixed Case" * 6, "table_with_a_name_that_is_sixty_bytes_long_as_some_orms_make"]
)
def test_long_names_fit_and_stay_distinct(name: str) -> None:
    table = TableName("public", name)
    siblings = [
        table,
        table.shadow,
        table.retired,
        table.default,
        table.partition("y2026m02"),
        table.partition("y2026m03"),
    ]
    assert all(len(each.name.encode()) <= MAX_BYTES for each in [*siblings, table.change_log, table.capture_function])
    assert len({each.name for each in siblings}) == len(siblings)


def test_two_long_names_with_the_same_beginning_stay_apart() -> None:
    assert clip("x" * 62 + "a", "_new") != clip("x" * 62 + "b", "_new")


def test_tables_of_two_schemas_have_change_logs_of_their_own() -> None:
    assert TableName("a", "t").change_log != TableName("b", "t").change_log


def test_a_name_is_quoted() -> None:
    assert TableName("Sche ma", 'ta"ble').identifier.as_string(None) == '"Sche ma"."ta""ble"'


@pytest.mark.parametrize(
    ("text", "schema", "name"),
    [
        ("events", "public", "events"),
        ("telemetry.events", "telemetry", "events"),
        ('"telemetry"."events"', "telemetry", "events"),
        ('telemetry."a.b"', "telemetry", "a.b"),
        ('"my.schema".events', "my.schema", "events"),
        ('"a.b"', "public", "a.b"),
        ('"ta""ble"', "public", 'ta"ble'),
        ('we"ird', "public", 'we"ird'),  # as it was read before quotes were
    ],
)
def test_a_name_is_read_with_and_without_quotes(text: str, schema: str, name: str) -> None:
    assert TableName.parse(text) == TableName(schema, name)
