"""The JSON schema of a table spec, for editors: written beside the specs by ``make reference``."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from partition_playbook.choices import Choice
from partition_playbook.intervals import Unit
from partition_playbook.spec import DEFAULT_TABLES, LEAST_CHANGE_LOG, TableSpec
from partition_playbook.spec.problems import PERIOD_PATTERN
from staging import reference

SCHEMA = DEFAULT_TABLES / "table-spec.schema.json"
DIALECT = "http://json-schema.org/draft-07/schema#"  # the newest one that the YAML language server reads whole
# Durations as pydantic reads them: 00:01:30, with days before it, or PT90S.
DURATION = r"^([+]?P.+|([0-9]+ ?d(ays?)?,? ?)?[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)$"
SIZE = r"^\s*\d*\.?\d+\s*([kKmMgGtTpPeE]?[iI]?[bB]?(it)?)\s*$"
NAMES_TABLE = r"\{table\}"


class _Generator(GenerateJsonSchema):
    """Write durations and sizes as a YAML file has them: also as numbers."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Return a number of seconds within the limits, or a duration as text."""
        limits = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}
        seconds = {name: _seconds(schema[each]) for each, name in limits.items() if each in schema}  # type: ignore[literal-required]
        return {"anyOf": [{"type": "number", **seconds}, {"type": "string", "pattern": DURATION}]}


def _seconds(limit: timedelta) -> float:
    return limit.total_seconds()


def schema() -> dict[str, Any]:
    """Return the schema; each key has its description, and each choice its meanings."""
    found = TableSpec.model_json_schema(schema_generator=_Generator)
    for model in reference.models_of(TableSpec):
        _describe(model, found if model is TableSpec else found["$defs"][model.__name__])
        for choice in reference.choices_of(model):
            found["$defs"].setdefault(choice.__name__, {}).update(_choice(choice))

    _refine(found["properties"], found["$defs"])
    return {"$schema": DIALECT, "title": "Table spec of Partition Playbook"} | found


def _describe(model: type[BaseModel], written: dict[str, Any]) -> None:
    """Give each key its description, and drop the titles that repeat the name of a key."""
    written.pop("title", None)
    for name, key in written["properties"].items():
        key.pop("title", None)
        key["description"] = model.model_fields[name].description


def _choice(choice: type[Choice]) -> dict[str, Any]:
    meanings = "\n".join(f"- `{each.value}`: {each.meaning}" for each in choice)
    return {"description": f"{choice.__doc__}\n\n{meanings}"}


def _refine(keys: dict[str, Any], models: dict[str, Any]) -> None:
    """Add the rules that the model has in code, as far as a schema can say them."""
    period = {"type": "string", "pattern": PERIOD_PATTERN}
    keys["retention"]["anyOf"].insert(0, period)

    size = [{"type": "string", "pattern": SIZE}, {"type": "integer", "minimum": LEAST_CHANGE_LOG}]
    keys["change_log_limit"]["anyOf"] = [*size, {"type": "null"}]

    # The units are described where an editor looks for them.
    keys["interval"]["description"] += "\n\n" + models.pop(Unit.__name__)["description"]

    models["Probe"]["properties"]["sql"]["pattern"] = NAMES_TABLE
    models["Retention"]["allOf"] = [
        {
            "if": {"properties": {"action": {"const": "archive"}}, "required": ["action"]},
            "then": {"required": ["archive_to"]},
            "else": {"properties": {"archive_to": {"type": "null"}}},
        }
    ]
    models["Application"]["dependencies"] = {"http_probes": ["base_url"], "procedures": ["base_url"]}


def text() -> str:
    """Return the file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def write() -> Path:
    """Write the file beside the specs, and return its path."""
    SCHEMA.write_text(text())
    return SCHEMA


if __name__ == "__main__":
    print(write())
