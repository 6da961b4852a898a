"""Each extra of pyproject.toml resolves against constraints.txt. These tests ask the package index."""

from __future__ import annotations

import pytest

from tests.fixtures.pins import EXTRAS, not_pinned, resolve


@pytest.mark.parametrize("extra", sorted(EXTRAS))
def test_an_extra_resolves_to_pinned_versions_only(extra: str) -> None:
    assert not_pinned(resolve("--extra", extra, "pyproject.toml")) == {}


@pytest.mark.parametrize("file", ["requirements-dev.txt", "tests/extras/requirements.txt"])
def test_what_the_tests_need_resolves_to_pinned_versions_only(file: str) -> None:
    assert not_pinned(resolve(file)) == {}
