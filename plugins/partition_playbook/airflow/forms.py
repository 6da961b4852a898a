"""Build the trigger form of a DAG from the model of its params."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import Param
from pydantic import BaseModel

from partition_playbook.spec import RunParams, spec_names


def table_param() -> Param:
    """Return the param for the name of a table spec."""
    names = spec_names()
    chosen = "sensor_readings" if "sensor_readings" in names else (names[0] if names else "")
    description = RunParams.model_fields["table"].description
    choices: dict[str, Any] = (
        {"enum": names} if names else {}
    )  # Airflow refuses to load a DAG with an empty list, or none
    return Param(chosen, type="string", title="Table", description_md=description, **choices)


def form(model: type[BaseModel] = RunParams, table: Param | None = None) -> dict[str, Param]:
    """Return the trigger form of a DAG from the model of its params."""
    schema = model.model_json_schema()
    params = {"table": table or table_param()}
    for name, shown in schema["properties"].items():
        if name != "table":
            known = _flat(shown, schema["$defs"])
            description = known.pop("description", None)
            params[name] = Param(known.pop("default"), description_md=description, **known)
    return params


def _flat(shown: dict[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a field with its references and anyOf inlined: Airflow's form does not follow them."""
    reference = shown.pop("$ref", "").rpartition("/")[2]
    known = {**definitions.get(reference, {}), **shown}
    if choices := [_flat(choice, definitions) for choice in known.pop("anyOf", ())]:
        known = {key: value for choice in choices for key, value in choice.items()} | known
        known["type"] = [choice["type"] for choice in choices]
        if "enum" in known and "null" in known["type"]:
            known["enum"] = [*known["enum"], None]
    return known
