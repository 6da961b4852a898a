"""Each call of a statement gives all values that the statement names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from partition_playbook.sql import SQL_ROOT, statement

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "partition_playbook"
CALLS = {"rows", "row", "value", "value_unless_refused", "run"}
NAMED = re.compile(r"%\((\w+)\)s")


def given(node: ast.expr) -> set[str] | None:
    """Return the keys of a dictionary that is written out; None if not all of them are."""
    if not isinstance(node, ast.Dict) or not all(isinstance(key, ast.Constant) for key in node.keys):
        return None
    return {str(key.value) for key in node.keys if isinstance(key, ast.Constant)}


def calls() -> Iterator[tuple[str, str, set[str]]]:
    """Yield each call with written-out params: its place, the statement's name, and the keys."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or len(node.args) < 2:
                continue
            name, params = node.args[0], node.args[1]
            if node.func.attr not in CALLS or not isinstance(name, ast.Constant):
                continue
            keys = given(params)
            if keys is not None and (SQL_ROOT / f"{name.value}.sql").exists():
                yield f"{path.name}:{node.lineno}", str(name.value), keys


def test_each_call_gives_the_params_of_its_statement() -> None:
    found = list(calls())
    assert len(found) > 100
    wrong = [
        f"{place}: {name} wants {sorted(wanted)}, not {sorted(keys)}"
        for place, name, keys in found
        if (wanted := set(NAMED.findall(statement(name).text))) - keys
    ]
    assert not wrong
