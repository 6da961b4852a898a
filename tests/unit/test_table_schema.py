"""The JSON schema beside the specs: it is current, takes every shipped spec, and refuses what the model refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, FormatChecker

from partition_playbook.errors import InvalidSpec
from partition_playbook.intervals import Unit
from partition_playbook.spec import DEFAULT_TABLES, TABLES_VARIABLE, TableSpec, load_spec
from staging import reference, table_schema

SCHEMA: dict[str, Any] = json.loads(table_schema.SCHEMA.read_text())
UNITS = "\n".join(f"- `{each.value}`: {each.meaning}" for each in Unit)
SHIPPED = sorted(DEFAULT_TABLES.glob("*.yaml"))
SCENARIOS = sorted((Path(__file__).resolve().parents[1] / "scenarios").glob("*/spec.yaml"))
HEAD = "table: t\npartition_by: at\n"
GOOD = (
    "",
    "retention: 24 months",
    "retention: {keep: 1 day, action: archive, archive_to: s3://aws_default@bucket/path}",
    "retention: {keep: 1 day, hold: [{since: 2024-01-01, until: 2024-03-31, reason: case 1}]}",
    "change_log_limit: 20 GiB",
    "change_log_limit: 2000000",
    "max_lock: 00:00:02",
    "max_lock: 0.5",
    "answer_within: 08:00:00",
    "answer_within: 1 day, 02:00:00",
    "answer_within: PT90M",
    "throttle: {max_replica_lag: null, max_active_connections: 40}",
    "watch: {every: 2, logs: [{path: /var/log/app.log}]}",
    "application: {base_url: https://example.org, procedures: [{name: a, path: /p, input: {json: [1, null]}}]}",
    "queries: []",
    "since: 2020-01-01",
    "until: 2030-12-31",
    "interval: 12 hours",
    "interval: 2 weeks",
)
WRONG = (
    "interval: 15 minutes",
    "interval: 0 days",
    "interval: months",
    "partitions: 3",
    "interval: fortnight",
    "premake: many",
    "premake: 0",
    "premake: 401",
    "timezone: 5",
    "retention: 90",
    "retention: soon",
    "retention: {keep: 1 day, action: shred}",
    "retention: {keep: 1 day, grace: soon}",
    "retention: {keep: 1 day, actoin: drop}",
    "retention: {keep: 1 day, action: archive}",
    "retention: {keep: 1 day, archive_to: s3://b/p}",
    "retention: {keep: 1 day, max_share: 25}",
    "retention: {keep: 1 day, hold: [{since: 2024-01-01}]}",
    "retention: {keep: 1 day, hold: [{since: yesterday, reason: x}]}",
    "default_partition: drop",
    "since: yesterday",
    "change_log_limit: 10",
    "change_log_limit: much",
    "max_lock: 0",
    "max_lock: soon",
    "answer_within: later",
    "connection: postgresql://app@example.org/app",
    "approvers: jo",
    "approvers: ['']",
    "accept: [everything]",
    "distinct: [1]",
    "throttle: {max_running: -1}",
    "throttle: {max_replica_lag: 0}",
    "watch: {every: 7200}",
    "watch: {logs: [{path: app.log}]}",
    "watch: {loki: {connection: loki}}",
    "monitoring: {grafana: {connection: g, dashboard: a b}}",
    "application: {probes: [{name: a, sql: SELECT 1}]}",
    "application: {probes: [{name: a, sql: 'SELECT * FROM {table}', max_seconds: 0}]}",
    "application: {procedures: [{name: a, path: /p}]}",
    "application: {commands: [{name: a, command: []}]}",
    "synthetic: {parents: 0}",
    "queries: [{name: a}]",
)
# A schema cannot compute these; `partition-playbook validate` and the DAGs refuse them.
ONLY_THE_MODEL = {
    "timezone: Mars/Olympus": "a list of time zones",
    "queries: [{name: a, sql: 'SELECT * FROM {table}'}, {name: a, sql: 'TABLE {table}'}]": "names that differ",
    "queries: [{name: a, sql: SELECT 1}]": "a text with the name of the table",
    "retention: 99999 years": "a date in the calendar",
    "retention: {keep: 1 day, hold: [{since: 2024-01-02, until: 2024-01-01, reason: x}]}": "an order of two dates",
    "premake: 1\nmaintain: monthly": "a least by `interval` and `maintain`",
    "maintain: at dawn": "a cron expression",
    "max_lock: 00:10:00": "a length of a duration in words",
    "change_log_limit: 10 B": "a size in words",
    "application: {base_url: 'https://app:geheim@example.org'}": "a password in a URL",
    "watch: {logs: [{path: /l, pattern: '('}]}": "a regular expression",
}


def plain(text: str) -> Any:
    """Return YAML as an editor sees it: a date is text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def problems(text: str) -> list[str]:
    validator = Draft7Validator(SCHEMA, format_checker=FormatChecker())
    return [f"{each.json_path}: {each.message}" for each in validator.iter_errors(plain(text))]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv(TABLES_VARIABLE, str(tmp_path))

    def write_and_load(text: str) -> TableSpec:
        (tmp_path / "given.yaml").write_text(text)
        return load_spec("given")

    return write_and_load


def test_the_schema_is_what_the_models_say_now() -> None:
    assert table_schema.text() == table_schema.SCHEMA.read_text(), "make reference"
    Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_spec_names_the_schema_and_fits_it(path: Path) -> None:
    text = path.read_text()
    named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert named is not None
    assert (path.parent / named[1]).resolve() == table_schema.SCHEMA
    assert problems(text) == []


def test_every_spec_of_a_scenario_fits_the_schema() -> None:
    assert len(SCENARIOS) > 50
    assert {path.parent.name: found for path in SCENARIOS if (found := problems(path.read_text()))} == {}


@pytest.mark.parametrize("keys", GOOD)
def test_what_is_valid_fits_both(load: Any, keys: str) -> None:
    assert problems(HEAD + keys) == []
    assert load(HEAD + keys).table == "t"


@pytest.mark.parametrize("keys", WRONG)
def test_what_is_wrong_is_refused_by_both(load: Any, keys: str) -> None:
    assert problems(HEAD + keys) != []
    with pytest.raises(InvalidSpec):
        load(HEAD + keys)


@pytest.mark.parametrize("keys", ONLY_THE_MODEL)
def test_what_a_schema_cannot_say_is_refused_by_the_model(load: Any, keys: str) -> None:
    assert problems(HEAD + keys) == []
    with pytest.raises(InvalidSpec):
        load(HEAD + keys)


@pytest.mark.parametrize("text", ["table: t", "partition_by: at", "- a", "5"])
def test_the_two_keys_are_required_by_both(load: Any, text: str) -> None:
    assert problems(text) != []
    with pytest.raises(InvalidSpec):
        load(text)


def test_every_key_has_the_description_of_its_model() -> None:
    for model in reference.models_of(TableSpec):
        keys = (SCHEMA if model is TableSpec else SCHEMA["$defs"][model.__name__])["properties"]
        assert {name: each["description"] for name, each in keys.items()} == {
            name: each.description if name != "interval" else f"{each.description}\n\n{Unit.__doc__}\n\n{UNITS}"
            for name, each in model.model_fields.items()
        }
    assert "\n- `archive`: It is written to object storage" in SCHEMA["$defs"]["Retire"]["description"]
