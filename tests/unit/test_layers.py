"""Imports point one way, and every statement keeps the promises of its header."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import partition_playbook
from partition_playbook.sql import HEADER_KEYS, SQL_ROOT, statement

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "partition_playbook"
LAYERS = [
    {"__version__"},
    {"choices", "errors", "figures", "names", "intervals", "runway", "checks", "people", "markdown"},
    {"object_store", "artifacts"},
    {"codecs"},
    {"resources", "provider"},
    {"spec"},
    {"sql", "encoding", "login", "database", "lock_retry", "disk"},
    {"catalog", "parity", "metrics", "ledger"},
    {"run"},
    {"gates"},
    {"engine"},
    {"benchmark", "workload", "maintenance"},
    {"sections"},
    {"airflow"},
    {"sections/tasks", "standalone", "console"},
    {"shell"},
    {"cli"},
]
AIRFLOW = {name for layer in LAYERS[13:] for name in layer}
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
    return room_of([part.removesuffix(".py") for part in path.relative_to(PACKAGE).parts])


def room_of(parts: Sequence[str]) -> str:
    """Return the room of a module; the tasks of a section stand above its checks."""
    return "sections/tasks" if parts[0] == "sections" and parts[2:3] == ["tasks"] else parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    own = RANK[layer_of(path)]
    for name in imports(path):
        if name.startswith("partition_playbook."):
            assert RANK[room_of(name.split(".")[1:])] <= own, f"{path.name} imports {name}"
        if name.split(".")[0] == "airflow":
            assert layer_of(path) in AIRFLOW, f"{path.name} imports Airflow"


def test_sections_use_each_others_checks_and_never_in_a_circle() -> None:
    uses: dict[str, set[str]] = defaultdict(set)
    for path in (PACKAGE / "sections").rglob("*.py"):
        own = path.parent.name
        for name in imports(path):
            parts = name.split(".")
            if parts[:2] == ["partition_playbook", "sections"] and len(parts) > 3 and parts[2] != own:
                assert parts[3] != "tasks", f"{path.relative_to(PACKAGE)} imports the tasks of {parts[2]}"
                uses[own].add(parts[2])
    TopologicalSorter(uses).prepare()  # raises CycleError


def test_a_name_is_imported_from_the_module_that_defines_it() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("partition_playbook."):
                target = (PACKAGE.parent / node.module.replace(".", "/")).with_suffix(".py")
                if target.exists():
                    missing = {each.name for each in node.names} - set(defined(target))
                    assert not missing, f"{path.relative_to(PACKAGE)} takes {missing} from {node.module}"


def test_no_module_imports_a_slow_library_that_few_tasks_use() -> None:
    """Every task parses its DAG, and would import it."""
    slow = re.compile(r"(import|from) (asyncpg|aiohttp|apprise|pygal|requests|airflow\.providers\.http)\b")
    found = [f"{path}: {line}" for path in MODULES for line in path.read_text().split("\n") if slow.match(line)]
    assert found == []


def defined(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            yield from (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def test_the_docstring_of_the_package_is_its_map() -> None:
    named = re.findall(r"``([\w/]+)``", partition_playbook.__doc__ or "")
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert sorted(named) == sorted(rooms)


def test_the_ledger_has_one_door() -> None:
    for path in MODULES:
        if layer_of(path) != "ledger":
            assert '"ledger/' not in path.read_text(), path.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_database_opens_connections(path: Path) -> None:
    if layer_of(path) not in ("database", "airflow"):
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


# Statements of other sessions: up to their first literal, numbers as `?` (docs/trust.md).
MASKED = (
    r"left(btrim(regexp_replace(regexp_replace(regexp_replace(a.query, '[''$].*', '...'), "
    r"'\m[0-9][\w.]*', '?', 'g'), '\s+', ' ', 'g')), 120) AS query"
)


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_of_another_session_is_shown_without_its_values(name: str) -> None:
    text = statement(name).text
    if "pg_stat_activity" in text:
        shown = re.sub(r"GROUP BY .*|'' AS query", "", text.replace(MASKED, ""))
        assert not re.search(r"\bquery\b", shown)


def test_plain_pytest_collects_every_folder_but_three() -> None:
    root = PACKAGE.parents[1]
    collected = set(tomllib.loads((root / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"])
    folders = {f"tests/{path.relative_to(root / 'tests').parts[0]}" for path in (root / "tests").rglob("test_*.py")}
    assert folders - collected == {"tests/application", "tests/distributed", "tests/extras"}
    assert collected <= folders
