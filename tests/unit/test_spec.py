from __future__ import annotations

import re
from pathlib import Path

import pendulum
import pytest

from partition_playbook.errors import InvalidSpec
from partition_playbook.names import TableName
from partition_playbook.spec import (
    TABLES_VARIABLE,
    Retention,
    RunParams,
    TableSpec,
    Throttle,
    load_spec,
    spec_names,
    validated,
)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))
    return tmp_path


def test_the_worked_spec_is_valid() -> None:
    spec = load_spec("sensor_readings")
    assert str(spec.name) == "public.sensor_readings"
    assert [query.name for query in spec.queries] == ["last_7_days", "last_30_days", "one_interval_count"]


def test_two_keys_are_enough(tables: Path) -> None:
    (tables / "events.yaml").write_text("table: app.events\npartition_by: at\n")
    spec = load_spec("events")
    assert (spec.name.schema, str(spec.interval), spec.timezone, spec.premake) == ("app", "month", "UTC", 3)
    assert spec_names() == ["events"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("table: t\npartition_by: at\npartitions: 3\n", "'partitions' is unknown"),
        ("table: t\n", "'partition_by' is missing"),
        ("table: t\npartition_by: at\npremake: many\n", "'premake'"),
        ("table: t\npartition_by: at\ninterval: fortnight\n", "'interval'"),
        ("table: t\npartition_by: at\ntimezone: Mars/Olympus\n", "'timezone'"),
        ("table: t\npartition_by: at\nsynthetic: {months: 2, days: 3}\n", "two spans of the same rows"),
        ("table: t\npartition_by: at\nretention: 90\n", "retention"),
        ("table: t\npartition_by: at\nretention: '90'\n", "retention"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, action: shred}\n", "retention.action"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, grace: soon}\n", "retention.grace"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, action: archive}\n", "needs archive_to"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, archive_to: s3://b/p}\n", "is for action archive"),
        ("table: t\npartition_by: at\nsince: 2020-01-01\nuntil: 2019-01-01\n", "is before since"),
        ("table: t\npartition_by: at\nuntil: 2030-01-01\ndefault_partition: none\n", "needs default_partition keep"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, action: archive, archive_to: /tmp}\n", "archive_to"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, max_share: 25}\n", "retention.max_share"),
        ("table: t\npartition_by: at\nretention: {keep: 1 day, hold: [{since: 2024-01-01}]}\n", "reason"),
        (
            "table: t\npartition_by: at\nretention: {keep: 1 day, hold: "
            "[{since: 2024-01-02, until: 2024-01-01, reason: x}]}\n",
            "until lies before since",
        ),
        (f"table: {'x' * 64}\npartition_by: at\n", "63 bytes"),
        ("table: t\npartition_by: at\nqueries: [{name: a, sql: x}, {name: a, sql: y}]\n", "same name"),
        ("table: [\n", "not YAML"),
        ("- a list\n", "write keys and values, such as `table: …`"),
        ("!!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_a_wrong_spec_names_file_and_key(tables: Path, text: str, named: str) -> None:
    (tables / "broken.yaml").write_text(text)
    with pytest.raises(InvalidSpec) as raised:
        load_spec("broken")
    assert str(tables / "broken.yaml") in str(raised.value)
    assert named in str(raised.value)


def test_a_name_cannot_leave_the_folder(tables: Path) -> None:
    (tables.parent / "outside.yaml").write_text("table: t\npartition_by: at\n")
    with pytest.raises(InvalidSpec, match="no table spec"):
        load_spec("../outside")


def test_a_huge_spec_is_not_read(tables: Path) -> None:
    (tables / "huge.yaml").write_text("# " + "x" * 300_000)
    with pytest.raises(InvalidSpec, match="larger than"):
        load_spec("huge")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mode": "migrate", "synthetic_rows": 10}, "synthetic_rows"),
        ({"mode": "migrate", "backup": "skip"}, "backup skip"),
        ({"mode": "migrate", "approvals": "auto"}, "approvals auto is for mode rehearse only"),
        ({"mode": "rehearse", "backup": "external"}, "external_backup_at"),
        ({"mode": "rehearse", "external_backup_id": "snapshot-1"}, "external_backup_id"),
        ({"load_workers": 0}, "load_workers"),
        ({"min_speedup": 1}, "min_speedup"),
        ({"mode": "yolo"}, "mode"),
        ({"tabel": "x"}, "'tabel' is unknown"),
    ],
)
def test_params_that_do_not_go_together_are_refused(given: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidSpec, match=named):
        validated(RunParams, given, where="params")


@pytest.mark.parametrize(
    ("mode", "approvals", "asks"),
    [
        ("migrate", None, True),
        ("migrate", "required", True),
        ("rehearse", None, False),
        ("rehearse", "auto", False),
        ("rehearse", "required", True),
    ],
)
def test_production_asks_people_and_a_rehearsal_where_that_is_rehearsed(
    mode: str, approvals: str | None, asks: bool
) -> None:
    assert validated(RunParams, {"mode": mode, "approvals": approvals}, where="params").asks_people is asks


@pytest.mark.parametrize(
    ("keep", "cutoff"),
    [("24 months", "2024-11-23"), ("1 day", "2026-11-22"), ("2 quarters", "2026-05-23"), ("1 year", "2025-11-23")],
)
def test_retention_counts_back_from_now(keep: str, cutoff: str) -> None:
    assert Retention(keep=keep).cutoff(pendulum.datetime(2026, 11, 23)) == pendulum.parse(cutoff)


def test_a_spec_survives_the_ledger() -> None:
    spec = load_spec("sensor_readings")
    assert validated(TableSpec, spec.model_dump(mode="json"), where="ledger") == spec


def test_a_period_alone_is_a_whole_retention(tables: Path) -> None:
    (tables / "t.yaml").write_text("table: t\npartition_by: at\nretention: 12 months\n")
    found = load_spec("t").retention
    assert found == Retention(keep="12 months", action="drop", grace="7 days", max_share=0.25)


def test_a_retention_with_everything_survives_the_ledger(tables: Path) -> None:
    (tables / "t.yaml").write_text(
        "table: t\npartition_by: at\nretention:\n  keep: 2 years\n  action: archive\n  grace: 1 month\n"
        "  archive_to: s3://aws_default@bucket/path\n  max_share: 0.1\n"
        "  hold:\n    - {since: 2024-01-01, until: 2024-03-31, reason: case 1}\n"
        "    - {until: 2020-01-01, reason: case 2}\n"
    )
    spec = load_spec("t")
    assert validated(TableSpec, spec.model_dump(mode="json"), where="ledger") == spec


@pytest.mark.parametrize(
    ("given", "connections"),
    [({}, 90), ({"max_active_connections": 1}, 100), ({"max_active_connections": 40}, 40), (None, None)],
)
def test_a_share_of_connections_is_one_up_to_1(given: dict[str, float] | None, connections: float | None) -> None:
    found = Throttle.model_validate({"max_active_connections": None} if given is None else given)
    assert found.most_connections(100) == connections


def test_throttle_and_limit_survive_the_ledger() -> None:
    text = {"max_replica_lag": "00:00:30", "max_running": 8}
    spec = TableSpec(table="t", partition_by="at", throttle=text, change_log_limit="2 GiB")  # type: ignore[arg-type]
    assert spec.change_log_limit == 2 << 30
    assert str(spec.throttle) == (
        "replica lag up to 30 s, connections up to 90 % of max_connections, running sessions up to 8"
    )
    assert TableSpec.model_validate(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize("wrong", [{"max_replica_lag": 0}, {"max_running": -1}, {"max_active_connections": 0}])
def test_a_throttle_that_lets_nothing_begin_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidSpec, match=f"throttle.{next(iter(wrong))}"):
        validated(TableSpec, {"table": "t", "partition_by": "at", "throttle": wrong}, where="t.yaml")


@pytest.mark.parametrize(
    ("keys", "told", "remedy"),
    [
        (
            "retention:\n  keep: 1 day\n  actoin: drop\n",
            "line 5: key 'retention.actoin' is unknown (did you mean `action`?)",
            "Keys of `retention`: keep, action, grace, archive_to, max_share, hold",
        ),
        ("keep: 1 day\n", "line 3: key 'keep' is unknown (did you mean `retention.keep`?)", "Valid keys: table, "),
        ("zzz: 1\n", "line 3: key 'zzz' is unknown", "Valid keys: table, "),
        (
            "application:\n  probes:\n    - {name: a, sql: TABLE}\n    - nam: b\n      sql: TABLE {table}\n",
            "line 6: key 'application.probes.1.name' is missing; "
            "line 6: key 'application.probes.1.nam' is unknown (did you mean `name`?)",
            "Keys of `application.probes.1`: name, sql, max_seconds",
        ),
        (
            "interval: months\n",
            "line 3: key 'interval': write hour, day, week, month, quarter, year, a number of them such as `6 hours`, "
            "or a number of ids, did you mean `month`? (given: 'months')",
            "docs/table-spec.md",
        ),
        (
            "interval: 15 minutes\n",
            "line 3: key 'interval': the narrowest interval is an hour; write `hour` (given: '15 minutes')",
            "docs/table-spec.md",
        ),
        (
            "interval: 7\n",
            "line 3: key 'interval': a range has at least 100 ids; for ranges of time write `month` or `6 hours`",
            "docs/table-spec.md",
        ),
        (
            "interval: 1000000 ids\nretention: 24 months\n",
            "retention is by age, and ids carry no time; remove retention, and detach old ranges by hand",
            "docs/table-spec.md",
        ),
        (
            "interval: 1000000\nencoding: snowflake\nepoch: 2015-01-01T00:00:00Z\n",
            "interval 1000000 ids is a number of ids, and encoding snowflake reads time from them; remove encoding",
            "docs/table-spec.md",
        ),
        (
            "interval: 1000000\nsince: 2020-01-01\ntimezone: Asia/Tokyo\n",
            "since and timezone have no meaning with interval 1000000 ids: ids carry no time; remove since",
            "docs/table-spec.md",
        ),
        (
            "interval: 2 years\n",
            "line 3: key 'interval': the widest interval is a year; write `year` or less (given: '2 years')",
            "docs/table-spec.md",
        ),
        (
            "interval: 6 hours\ntimezone: Europe/Berlin\n",
            "interval 6 hours needs timezone UTC, because its partitions begin with hours of UTC; remove timezone",
            "docs/table-spec.md",
        ),
        ("premake: many\n", "line 3: key 'premake': write a whole number (given: 'many')", "docs/table-spec.md"),
        ("premake: 500\n", "line 3: key 'premake': must be at most 400 (given: 500)", "docs/table-spec.md"),
        (
            "retention:\n  keep: soon\n",
            "line 4: key 'retention.keep': write a period such as `24 months`: "
            "a number and hour, day, week, month, quarter or year (given: 'soon')",
            "docs/table-spec.md",
        ),
        ("queries: 5\n", "line 3: key 'queries': write a list: each entry on a line of its own, after `- `", "docs"),
        ("watch: {every: 7200}\n", "line 3: key 'watch.every': must be at most 1 hour (given: 2 h", "docs"),
        ("distinct: [1]\n", "line 3: key 'distinct.0': write text, in quotes if it looks like a number", "docs"),
        ("premake: 3\npremake: 4\n", "not YAML: line 4: key 'premake' is given twice", "each key once"),
    ],
)
def test_an_error_names_the_line_and_the_nearest_key(tables: Path, keys: str, told: str, remedy: str) -> None:
    (tables / "broken.yaml").write_text("table: t\npartition_by: at\n" + keys)
    with pytest.raises(InvalidSpec) as raised:
        load_spec("broken")
    assert told in raised.value.problem
    assert remedy in raised.value.remedy
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("application: {probes: [{name: a, sql: SELECT 1}]}", "probe a does not read the table; write {table}"),
        ("queries: [{name: a, sql: SELECT 1}]", "query a does not name the table; write {table}"),
        ("change_log_limit: 10", "a log of 10 bytes is full at once; write at least 1 MiB"),
        ("max_lock: 1000", "16 min 40 s is out of range; write from 10 ms to 1 min, and a plain number in seconds"),
        ("answer_within: 1", "1 s is out of range; write at least 1 min"),
        ("throttle: {max_replica_lag: 0.001}", "1 ms is out of range; write at least 100 ms"),
    ],
)
def test_absurd_values_stop_a_new_run_and_no_standing_one(tables: Path, keys: str, told: str) -> None:
    (tables / "odd.yaml").write_text(f"table: my_table\npartition_by: at\n{keys}\n")
    with pytest.raises(InvalidSpec) as raised:
        load_spec("odd")
    assert raised.value.problem.startswith("line 3: ")
    assert told in raised.value.problem
    standing = load_spec("odd", standing=True)
    assert validated(TableSpec, standing.model_dump(mode="json"), where="ledger") == standing


@pytest.mark.parametrize("sql", ["SELECT * FROM {table}", "SELECT * FROM my_table", "TABLE recent /* my_table */"])
def test_a_query_may_name_its_table_in_other_ways(tables: Path, sql: str) -> None:
    (tables / "t.yaml").write_text(f"table: my_table\npartition_by: at\nqueries: [{{name: a, sql: '{sql}'}}]\n")
    assert load_spec("t").queries[0].sql == sql


@pytest.mark.parametrize(
    ("text", "told"), [("a.b.c", "a.b.c has more than one dot"), ('"a".b"c', 'the quotes in "a".b"c do not fit')]
)
def test_an_ambiguous_name_is_refused_with_the_way_to_write_it(tables: Path, text: str, told: str) -> None:
    (tables / "t.yaml").write_text(f"table: '{text}'\npartition_by: at\n")
    with pytest.raises(InvalidSpec) as raised:
        load_spec("t")
    assert f"line 1: key 'table': {told}" in raised.value.problem
    (written,) = re.findall(r"such as ('.+')", raised.value.problem)
    (tables / "t.yaml").write_text(f"table: {written}\npartition_by: at\n")
    assert load_spec("t").name == TableName("my.schema", "my.table")


def test_two_specs_of_one_table_are_refused_for_a_new_run_and_no_standing_one(tables: Path) -> None:
    (tables / "a.yaml").write_text("table: my_table\npartition_by: at\n")
    (tables / "b.yaml").write_text('table: \'"public"."my_table"\'\npartition_by: at\n')
    for name, other in (("a", "b"), ("b", "a")):
        with pytest.raises(InvalidSpec) as raised:
            load_spec(name)
        assert raised.value.where == str(tables / f"{name}.yaml")
        assert raised.value.problem.startswith(f"{other}.yaml describes the same table, public.my_table behind")
        assert load_spec(name, standing=True).name == TableName("public", "my_table")

    (tables / "b.yaml").write_text("table: my_table\npartition_by: at\nconnection: another_db\n")
    assert load_spec("a").connection != load_spec("b").connection


def test_an_empty_file_is_told_apart(tables: Path) -> None:
    (tables / "t.yaml").touch()
    with pytest.raises(InvalidSpec, match="write keys and values"):
        load_spec("t")
