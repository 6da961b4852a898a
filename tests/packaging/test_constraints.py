"""The files of requirements agree: lower bounds in pyproject.toml, pins in the others. The index is not asked."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.fixtures.pins import EXTRAS, PROJECT, TABLE, constraints, not_pinned, pins, requirements

# Releases of years ago accept any version of what they need: a resolver that can't have the new ones takes those.
NEWER_THAN_THE_FALLBACK = {"s3fs": "2026.9", "apache-airflow-providers-google": "22"}


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_every_requirement_of_an_extra_has_a_lower_bound(extra: str) -> None:
    assert [str(each) for each in requirements(EXTRAS[extra]) if ">=" not in str(each.specifier)] == []


@pytest.mark.parametrize("name", sorted(NEWER_THAN_THE_FALLBACK))
def test_no_pin_is_a_fallback(name: str) -> None:
    at_least = Requirement(f"{name}>={NEWER_THAN_THE_FALLBACK[name]}").specifier
    assert constraints()[name]
    assert all(version in at_least for version in constraints()[name])


def test_requirements_txt_pins_the_dependencies_of_the_project() -> None:
    pinned = pins((PROJECT / "requirements.txt").read_text().splitlines())
    declared = {canonicalize_name(each.name): each.specifier for each in requirements(TABLE["dependencies"])}
    assert pinned.keys() == declared.keys()
    assert [name for name, versions in pinned.items() if not all(each in declared[name] for each in versions)] == []


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt", "tests/extras/requirements.txt"])
def test_constraints_hold_the_pins_of(file: str) -> None:
    assert not_pinned(pins((PROJECT / file).read_text().splitlines())) == {}
