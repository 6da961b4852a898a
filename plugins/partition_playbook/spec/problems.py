"""The problems of a table spec or of params in plain words: the line, the key, the nearest valid one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from inspect import isclass
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from partition_playbook import figures
from partition_playbook.errors import InvalidSpec
from partition_playbook.spec.document import Location

# A user name alone is allowed: it can be an Airflow connection, as in s3://aws_default@bucket.
SECRET = re.compile(r"//[^/?#@]*:[^/?#]*@")
PERIOD_PATTERN = r"^[0-9]+ (hour|day|week|month|quarter|year)s?$"
REFERENCE = "docs/table-spec.md describes each key"
Model = TypeVar("Model", bound=BaseModel)

# By the beginning of pydantic's type of an error; the longest one counts.
WANTED = {
    "bool": "write true or false",
    "byte_size": "write a number of bytes, or a size such as `20 GiB`",
    "date": "write a date such as 2026-11-23",
    "datetime": "write a date and time such as 2026-11-23T12:00:00Z",
    "dict": "write a mapping of keys to values",
    "finite_number": "write a finite number",
    "float": "write a number",
    "int": "write a whole number",
    "model": "write a mapping of keys to values",
    "string_too_short": "must not be empty",
    "string_type": "write text, in quotes if it looks like a number or a date",
    "time_delta": "write a number of seconds, or a duration such as `00:01:30`",
    "timezone": "write a time zone such as Europe/Berlin",
    "too_short": "must have an entry",
    "tuple": "write a list: each entry on a line of its own, after `- `",
}
LIMITS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}


@dataclass(frozen=True)
class Problem:
    """A problem with the place of its value; the valid ``keys`` are given if the key itself is wrong."""

    location: Location
    text: str
    keys: str = ""

    def told(self, lines: Mapping[Location, int]) -> str:
        """Return the text, with the line in the file if it is known."""
        line = line_of(lines, self.location)
        return f"line {line}: {self.text}" if line else self.text


def validated(model: type[Model], content: object, *, where: str, lines: Mapping[Location, int] | None = None) -> Model:
    """Build a model; InvalidSpec lists every wrong key with its line, and the valid keys beside an unknown one."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        found = problems_of(model, error.errors())
        told = tell(found, lines or {})
        keys = dict.fromkeys(each.keys for each in found if each.keys)
        raise InvalidSpec(told, where=where, remedy=". ".join(keys) or f"Correct this; {REFERENCE}") from error


def tell(problems: Sequence[Problem], lines: Mapping[Location, int]) -> str:
    """Return the problems as one text, in the order of their lines."""
    ordered = sorted(problems, key=lambda each: line_of(lines, each.location) or 0)
    return "; ".join(each.told(lines) for each in ordered)


def line_of(lines: Mapping[Location, int], location: Location) -> int | None:
    """Return the line of a value, else the line of the nearest mapping or list around it."""
    around = (location[:length] for length in range(len(location), 0, -1))
    return next((lines[each] for each in around if each in lines), None)


def problems_of(model: type[BaseModel], errors: Sequence[ErrorDetails]) -> list[Problem]:
    """Return each error of a model's validation in plain words."""
    # A default by another key is not computed beside an error, and that is none of its own.
    return [_problem(model, each) for each in errors if each["type"] != "default_factory_not_called"]


def _problem(model: type[BaseModel], error: ErrorDetails) -> Problem:
    location = error["loc"]
    if error["type"] in ("extra_forbidden", "missing"):
        return _wrong_key(model, location, is_unknown=error["type"] == "extra_forbidden")

    wanted = _nearest_choice(error) or _wanted(error)
    if not location and error["type"] != "value_error":
        return Problem(location, f"write keys and values, such as `{next(iter(model.model_fields))}: …`")
    key = f"key {named(location)!r}: " if location else ""
    return Problem(location, f"{key}{wanted} (given: {shown(error['input'])})")


def named(location: Location) -> str:
    """Return the dotted name of a key."""
    return ".".join(str(part) for part in location)


def _wrong_key(model: type[BaseModel], location: Location, *, is_unknown: bool) -> Problem:
    level = _model_at(model, location[:-1])
    valid = ", ".join(level.model_fields) if level else ""
    inside = f"Keys of `{named(location[:-1])}`" if location[:-1] else "Valid keys"
    keys = f"{inside}: {valid}" if valid else ""
    if not is_unknown:
        return Problem(location, f"key {named(location)!r} is missing", keys)

    meant = _meant(model, level, str(location[-1]))
    hint = f" (did you mean `{meant}`?)" if meant else ""
    return Problem(location, f"key {named(location)!r} is unknown{hint}", keys)


def _meant(model: type[BaseModel], level: type[BaseModel] | None, key: str) -> str:
    """Return the nearest key of the level, else the same key of another level; empty if none is near."""
    near = get_close_matches(key.lower(), list(level.model_fields) if level else [], n=1)
    if near:
        return near[0]
    elsewhere = (each for each in _every_key(model) if each.rpartition(".")[2] == key and "." in each)
    return next(elsewhere, "")


def _every_key(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if inner := _model_in(field.annotation):
            yield from _every_key(inner, f"{prefix}{name}.")


def _model_at(model: type[BaseModel], location: Location) -> type[BaseModel] | None:
    """Return the model of the mapping at a place; None for a mapping without fixed keys."""
    found: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, str) and found is not None:
            field = found.model_fields.get(part)
            found = _model_in(field.annotation) if field else None
    return found


def _model_in(hint: Any) -> type[BaseModel] | None:
    if isclass(hint) and get_origin(hint) is None:
        return hint if issubclass(hint, BaseModel) else None
    return next((found for each in get_args(hint) if (found := _model_in(each))), None)


def _nearest_choice(error: ErrorDetails) -> str:
    """Return the values to choose from, the nearest one first in a question; empty for an error of another type."""
    if error["type"] not in ("enum", "literal_error"):
        return ""
    expected = str(error["ctx"]["expected"]).replace("'", "")
    choices = re.split(r", | or ", expected)
    near = get_close_matches(str(error["input"]).lower(), choices, n=1)
    return f"write {expected}" + (f", did you mean `{near[0]}`?" if near else "")


def _wanted(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    if kind == "string_pattern_mismatch":
        return _pattern(str(context["pattern"]))
    for name, words in LIMITS.items():
        if name in context:
            return f"must be {words} {_limit(context[name])}"
    known = [each for each in WANTED if kind.startswith(each)]
    return WANTED[max(known, key=len)] if known else error["msg"]


def _pattern(pattern: str) -> str:
    if pattern == PERIOD_PATTERN:
        return "write a period such as `24 months`: a number and hour, day, week, month, quarter or year"
    if pattern == "^/":
        return "write an absolute path: it begins with `/`"
    if "://" in pattern:
        return "write a URL such as `s3://aws_default@bucket/path`"
    return f"has a character that is not allowed; it must match {pattern}"


def _limit(value: object) -> str:
    if isinstance(value, timedelta):
        return figures.seconds(value.total_seconds())
    return figures.decimal(value) if isinstance(value, int | float) else str(value)


def shown(value: object) -> str:
    """Return a value in short: no password of a URL, and only the type of a collection."""
    if isinstance(value, str):
        return repr(SECRET.sub("//...@", value)[:80])
    if isinstance(value, timedelta):
        return figures.seconds(value.total_seconds())
    if isinstance(value, date):
        return value.isoformat()
    plain = value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**18)
    return repr(value) if plain else f"a {type(value).__name__}"
