"""Imports point one way, and every statement keeps the promises of its header."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_playbook.sql import HEADER_KEYS, SQL_ROOT, statement

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "partition_playbook"
LAYERS = [
    {"errors", "intervals", "names", "checks", "spec"},
    {"sql", "database", "catalog", "disk", "parity", "ledger"},
    {"migration"},
    {"maintenance", "evidence"},
    {"operators", "notifications", "approvals"},
    {"sections", "console"},
]
AIRFLOW = {name for layer in LAYERS[4:] for name in layer}
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__")
STATEMENTS = sorted(str(path.relative_to(SQL_ROOT).with_suffix("")) for path in SQL_ROOT.rglob("*.sql"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = RANK[layer_of(path)]
    for name in imports(path):
        if name.startswith("partition_playbook."):
            assert RANK[name.split(".")[1]] <= own, f"{path.name} imports {name}"
        if name.split(".")[0] == "airflow":
            assert layer_of(path) in AIRFLOW, f"{path.name} imports Airflow"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_database_opens_connections(path: Path) -> None:
    if layer_of(path) not in ("database", "operators"):
        assert not re.search(r"psycopg\d?\.connect\(|Connection\.connect\(|\.get_conn\b", path.read_text())


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_has_its_header(name: str) -> None:
    found = statement(name)
    assert tuple(found.header) == HEADER_KEYS
    assert found.header["returns"] in ("none", "value", "row", "rows")
    assert found.header["transaction"] in ("one", "none")
    assert found.header["rerun"].startswith("safe because")
    assert found.text


@pytest.mark.parametrize("name", STATEMENTS)
def test_the_header_names_exactly_the_params(name: str) -> None:
    found = statement(name)
    declared = {each.strip() for each in found.header["params"].split(",")} - {"none"}
    assert set(re.findall(r"%\((\w+)\)s", found.text)) == declared


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_cannot_run_in_a_transaction_is_one_statement(name: str) -> None:
    found = statement(name)
    needs_none = bool(re.search(r"^\s*VACUUM|CONCURRENTLY|^\s*ANALYZE", found.text, re.MULTILINE))
    if needs_none and not found.text.startswith("CREATE"):
        assert found.header["transaction"] == "none"
        assert ";" not in found.text


def test_every_statement_is_used() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    assert [name for name in STATEMENTS if f'"{name}"' not in source] == []
