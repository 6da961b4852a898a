"""Every error says where it is and what to do: no call leaves one of them out."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from partition_playbook import errors
from partition_playbook.errors import PlaybookError

PACKAGE = Path(errors.__file__).parent
# The classes whose callers give the place and the remedy themselves.
KINDS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, PlaybookError) and kind.__init__ is PlaybookError.__init__  # type: ignore[misc]
}
NEEDED = {"where", "remedy"}


def lacking(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and class of each error that is made without its place or its remedy."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
            given = {each.arg for each in node.keywords if not _is_empty(each.value)}
            if not given >= NEEDED:
                yield node.lineno, node.func.id


def _is_empty(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_error_says_where_and_what_to_do(path: Path) -> None:
    assert list(lacking(path.read_text())) == []


@pytest.mark.parametrize(
    "text", ['PreconditionFailed("a")', 'Diverged("a", where="b")', 'InvalidSpec("a", where="b", remedy="")']
)
def test_an_error_that_leaves_one_out_is_found(text: str) -> None:
    assert len(list(lacking(text))) == 1


def test_the_classes_are_known() -> None:
    assert {"PlaybookError", "InvalidSpec", "PreconditionFailed", "ToolMissing"} < KINDS
    assert "LockNotGranted" not in KINDS
