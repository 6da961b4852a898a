from __future__ import annotations

from pathlib import Path

import pendulum
import pytest

from partition_playbook.errors import InvalidSpec
from partition_playbook.spec import TABLES_VARIABLE, Retention, RunParams, TableSpec, load_spec, spec_names, validated


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
    assert (spec.name.schema, spec.interval, spec.timezone, spec.premake) == ("app", "month", "UTC", 3)
    assert spec_names() == ["events"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("table: t\npartition_by: at\npartitions: 3\n", "'partitions' is unknown"),
        ("table: t\n", "'partition_by' is missing"),
        ("table: t\npartition_by: at\npremake: many\n", "'premake'"),
        ("table: t\npartition_by: at\ninterval: fortnight\n", "'interval'"),
        ("table: t\npartition_by: at\ntimezone: Mars/Olympus\n", "'timezone'"),
        ("table: t\npartition_by: at\nretention: 90\n", "retention"),
        ("table: t\npartition_by: at\nretention: '90'\n", "retention"),
        (f"table: {'x' * 64}\npartition_by: at\n", "63 bytes"),
        ("table: t\npartition_by: at\nqueries: [{name: a, sql: x}, {name: a, sql: y}]\n", "same name"),
        ("table: [\n", "not YAML"),
        ("- a list\n", "TableSpec"),
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
        ({"mode": "rehearse", "backup": "external"}, "external_backup_at"),
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
    ("keep", "cutoff"),
    [("24 months", "2024-11-23"), ("1 day", "2026-11-22"), ("2 quarters", "2026-05-23"), ("1 year", "2025-11-23")],
)
def test_retention_counts_back_from_now(keep: str, cutoff: str) -> None:
    assert Retention(keep=keep).cutoff(pendulum.datetime(2026, 11, 23)) == pendulum.parse(cutoff)


def test_a_spec_survives_the_ledger() -> None:
    spec = load_spec("sensor_readings")
    assert validated(TableSpec, spec.model_dump(mode="json"), where="ledger") == spec
