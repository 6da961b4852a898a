from __future__ import annotations

import re

import pytest
import yaml
from pydantic import BaseModel

from partition_playbook.choices import Choice
from partition_playbook.maintenance.params import MaintenanceParams
from partition_playbook.spec import DEFAULT_QUERIES, QUERIES_OF_HOURS, RunParams, TableSpec, load_spec, validated
from staging import reference

MODELS = [*reference.models_of(TableSpec), RunParams, MaintenanceParams]
CHOICES = list(dict.fromkeys(choice for model in MODELS for choice in reference.choices_of(model)))
PAGE = reference.REFERENCE.read_text()
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page_is_what_the_models_say_now() -> None:
    assert reference.reference() == PAGE, "make reference"


def test_every_model_of_the_spec_is_found() -> None:
    assert {model.__name__ for model in MODELS} >= {"TableSpec", "Retention", "Hold", "Query", "Probe", "HttpProbe"}
    assert {choice.__name__ for choice in CHOICES} >= {"Unit", "Retire", "Mode", "RetentionMode"}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_described_in_sentences(model: type[BaseModel]) -> None:
    assert {
        name: each.description for name, each in model.model_fields.items() if not _sentences(each.description)
    } == {}
    assert model.__doc__


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.__name__)
def test_every_choice_has_its_meaning(choice: type[Choice]) -> None:
    assert [each for each in choice if not _sentences(each.meaning)] == []
    assert choice.__doc__


def _sentences(text: str | None) -> bool:
    """Return True for a text of one to four sentences, each of at most 25 words."""
    parts = re.findall(r".+?[.](?=\s|$)", text or "")
    return 1 <= len(parts) <= 4 and "".join(parts) == text and all(len(each.split()) <= 25 for each in parts)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_every_example_is_valid(text: str) -> None:
    content = {"table": "t", "partition_by": "at"} | yaml.safe_load(text)
    validated(TableSpec, content, where="docs/table-spec.md")


def test_the_examples_are_a_small_one_the_worked_one_and_the_default_queries() -> None:
    small, worked, *queries, _ = EXAMPLES
    assert len(yaml.safe_load(small)) == 2
    assert TableSpec.model_validate(yaml.safe_load(worked)) == load_spec("sensor_readings")
    given = {"table": "t", "partition_by": "at"}
    found = [validated(TableSpec, given | yaml.safe_load(each), where="").queries for each in queries]
    assert found == [DEFAULT_QUERIES, QUERIES_OF_HOURS]
    kept = [validated(TableSpec, given | {"interval": each}, where="").queries for each in ("6 hours", "5 hours")]
    assert kept == found


def test_every_link_leads_to_a_heading() -> None:
    headings = {
        re.sub(r"[^a-z0-9_ -]", "", each.lower()).replace(" ", "-") for each in re.findall(r"^#+ (.+)$", PAGE, re.M)
    }
    assert {each for each in re.findall(r"\]\(#([^)]+)\)", PAGE)} <= headings


def test_a_new_field_makes_the_page_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    class Extended(TableSpec):
        extra: int = 1

    monkeypatch.setattr(reference, "TableSpec", Extended)
    assert "| `extra` |" in reference.reference()
