"""Values in the characters that the encoding of a database has."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb


def storable(values: Mapping[str, Any], encoding: str) -> dict[str, Any]:
    """Return values whose characters a database in ``encoding``, by PostgreSQL's name, can store."""
    codec = _codec(encoding)
    return {key: _with_codec(value, codec) for key, value in values.items()}


def _codec(encoding: str) -> str:
    """Return Python's name of an encoding of PostgreSQL; ascii if Python does not know it."""
    try:
        return codecs.lookup(re.sub(r"^WIN", "cp", encoding)).name
    except LookupError:
        return "ascii"


def _with_codec(value: Any, codec: str) -> Any:
    """Replace the characters without a code by similar ones, or by a question mark."""
    match value:
        case str():
            return "".join(_similar(each, codec) for each in value)
        case Jsonb():
            return Jsonb(_with_codec(value.obj, codec))
        case Mapping():
            return {_with_codec(key, codec): _with_codec(each, codec) for key, each in value.items()}
        case list() | tuple():
            return [_with_codec(each, codec) for each in value]
    return value


def _similar(character: str, codec: str) -> str:
    if character.isascii():
        return character
    try:
        character.encode(codec)
        return character
    except UnicodeEncodeError:
        return unicodedata.normalize("NFKD", character).encode(codec, "replace").decode(codec)
