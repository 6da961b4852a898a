"""The content and the shape of a JSON answer, as values to compare and to store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# The types at each path, such as {".result.data[].id": ["number"]}.
Shape = Mapping[str, Sequence[str]]

ABSENT, NULL, OBJECT = "absent", "null", "object"
DEEPEST, MOST_PATHS, LONGEST_NAME = 12, 500, 64
MOST_SHOWN = 5


def digest(content: object) -> str:
    """Return the SHA-256 of canonical JSON: the order of keys and the spaces do not count."""
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def shape_of(content: object) -> dict[str, list[str]]:
    """Return the types at each path, of the first MOST_PATHS paths.

    The elements of a list share one path. So do the values of an object with keys like ids or dates.
    """
    found: dict[str, set[str]] = {}
    _visit([content], "", found, DEEPEST)
    return {path: sorted(types) for path, types in found.items()}


def _visit(values: Sequence[Any], path: str, found: dict[str, set[str]], depth: int) -> None:
    """Add the types of all values of one path, then those below it."""
    found[path] = {_type(each) for each in values}
    if not depth:
        return

    if elements := [each for value in values if isinstance(value, list) for each in value]:
        _visit(elements, f"{path}[]", found, depth - 1)
    objects = [each for each in values if isinstance(each, dict)]
    if not all(_is_name(key) for each in objects for key in each):
        _visit([each for value in objects for each in value.values()], f"{path}.*", found, depth - 1)
        return
    for key in dict.fromkeys(key for each in objects for key in each):
        if len(found) >= MOST_PATHS:
            return
        _visit([each.get(key, ...) for each in objects], f"{path}.{key}", found, depth - 1)


def _is_name(key: str) -> bool:
    """Return True for the name of a property; other keys are data, such as ids, dates and addresses."""
    return key.isidentifier() and len(key) <= LONGEST_NAME


def _type(value: object) -> str:
    match value:
        case None:
            return NULL
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case dict():
            return OBJECT
    return ABSENT


def merge(shapes: Iterable[Shape]) -> dict[str, list[str]]:
    """Return the shape of several answers: a key that one of them lacks is optional."""
    listed = list(shapes)
    paths = list(dict.fromkeys(path for each in listed for path in each))
    return {path: _merged(path, listed) for path in paths[:MOST_PATHS]}


def _merged(path: str, shapes: Sequence[Shape]) -> list[str]:
    types = {each for shape in shapes for each in shape.get(path, ())}
    if any(_lacks(path, shape) for shape in shapes):
        types.add(ABSENT)
    return sorted(types)


def _lacks(path: str, shape: Shape) -> bool:
    """Return True if the shape has the object of a key, and not the key."""
    parent, _, key = path.rpartition(".")
    is_key = bool(key) and key != "*" and not key.endswith("[]")
    return is_key and path not in shape and OBJECT in shape.get(parent, ()) and f"{parent}.*" not in shape


def differences(before: Shape, after: Shape) -> list[str]:
    """Return the keys that are missing and the types that are other ones, at most MOST_SHOWN.

    A null, an empty list and a new key are no difference.
    """
    found = [text for path in before if (text := _difference(path, before[path], after))]
    return found[:MOST_SHOWN]


def _difference(path: str, types: Sequence[str], after: Shape) -> str:
    shown = path or "the answer"
    now = after.get(path, ())
    if ABSENT not in types and (ABSENT in now or (len(after) < MOST_PATHS and _lacks(path, after))):
        return f"{shown} is missing"
    known, given = ({*each} - {ABSENT, NULL} for each in (types, now))
    if known and given - known:
        return f"{shown} was {' or '.join(sorted(known))}, and is {' or '.join(sorted(given))}"
    return ""
