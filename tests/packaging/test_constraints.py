"""Each extra of pyproject.toml resolves against constraints.txt. These tests ask the package index."""

from __future__ import annotations

import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

PROJECT = Path(__file__).resolve().parents[2]
CONSTRAINTS = PROJECT / "constraints.txt"
TABLE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = TABLE["optional-dependencies"]
# Releases of years ago accept any version of what they need: a resolver that can't have the new ones takes those.
NEWER_THAN_THE_FALLBACK = {"s3fs": "2026.9", "apache-airflow-providers-google": "22"}


def requirements(lines: Iterable[str]) -> list[Requirement]:
    return [Requirement(line) for line in lines if line.strip() and not line.startswith(("#", "-"))]


def pins(lines: Iterable[str]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for each in requirements(lines):
        found[canonicalize_name(each.name)].add(str(each.specifier).removeprefix("=="))
    return found


def constraints() -> dict[str, set[str]]:
    return pins(CONSTRAINTS.read_text().splitlines())


def resolve(*what: str) -> dict[str, set[str]]:
    command = [find_uv_bin(), "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
    command += ["--no-header", "--no-annotate", "--constraint", str(CONSTRAINTS), *what]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, check=False, text=True)
    assert done.returncode == 0, f"{' '.join(what)} does not resolve against constraints.txt\n{done.stderr[:2000]}"
    return pins(done.stdout.splitlines())


def not_pinned(resolved: dict[str, set[str]]) -> dict[str, set[str]]:
    locked = constraints()
    return {name: versions for name, versions in resolved.items() if not versions <= locked.get(name, set())}


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_an_extra_resolves_to_pinned_versions_only(extra: str) -> None:
    assert not_pinned(resolve("--extra", extra, "pyproject.toml")) == {}


def test_what_the_tests_need_resolves_to_pinned_versions_only() -> None:
    assert not_pinned(resolve("requirements-dev.txt")) == {}


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


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-dev.txt"])
def test_constraints_hold_the_pins_of(file: str) -> None:
    assert not_pinned(pins((PROJECT / file).read_text().splitlines())) == {}
