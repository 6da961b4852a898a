"""A person pauses one table, or all, by an Airflow Variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from partition_playbook.spec import TableSpec

SPEC = TableSpec(table="telemetry.events", partition_by="at")


@pytest.mark.parametrize(
    ("written", "paused"),
    [
        ("", False),
        ("all", True),
        ("telemetry.events", True),
        ("other,  telemetry.events", True),
        ("events", False),
        ("telemetry.events_2", False),
    ],
)
def test_the_variable_names_what_is_paused(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch, written: str, paused: bool
) -> None:
    from partition_playbook.airflow.runs import is_paused

    monkeypatch.setenv("AIRFLOW_VAR_PARTITION_PLAYBOOK_PAUSE", written)
    assert is_paused(SPEC) is paused
