"""An Airflow that runs with other settings than wanted is stopped before another one starts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from staging import instance
from staging.cluster import Cluster
from staging.instance import Instance


class Stopped(Exception):
    """The instance was stopped; the test ends there."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home of an instance that runs, with one setting."""
    running = Instance("http://127.0.0.1:1", str(tmp_path))
    (tmp_path / "instance.json").write_text(json.dumps({**asdict(running), "settings": {"TABLES": "one"}}))
    monkeypatch.setattr(instance, "processes", lambda home: ["a process"])
    monkeypatch.setattr(instance.AirflowClient, "healthy", lambda url: True)

    def stop(home: Path) -> None:
        raise Stopped

    monkeypatch.setattr(instance, "stop", stop)
    return tmp_path


def start(home: Path, **settings: str) -> Instance:
    return instance.start(home, Cluster(home, 5432), settings=settings)


def test_the_same_settings_find_the_running_instance(home: Path) -> None:
    assert start(home, TABLES="one").url == "http://127.0.0.1:1"


@pytest.mark.parametrize("settings", [{}, {"TABLES": "two"}, {"TABLES": "one", "MORE": "1"}])
def test_other_settings_stop_it(home: Path, settings: dict[str, str]) -> None:
    with pytest.raises(Stopped):
        start(home, **settings)
