"""Statements of ``include/sql`` by name, with their headers; only this module reads the folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg import sql

from partition_playbook import resources

SQL_ROOT = resources.folder("include") / "sql"
HEADER_KEYS = ("purpose", "params", "returns", "lock", "transaction", "rerun")
_HEADER_LINE = re.compile(r"^-- (\w+): (.+)$")


@dataclass(frozen=True)
class Statement:
    """One file of ``include/sql``: its header and its SQL."""

    name: str
    header: dict[str, str]
    text: str

    @property
    def purpose(self) -> str:
        """Return the purpose in one line."""
        return self.header["purpose"]

    @property
    def lock(self) -> str:
        """Return the strongest lock of the statement."""
        return self.header["lock"]

    def compose(self, **parts: Any) -> sql.Composed:
        """Fill the placeholders in braces.

        Pass identifiers as psycopg's composables. Any other value becomes a literal, never bare text.
        """
        return sql.SQL(self.text).format(**parts)

    def numbered(self, params: Iterable[str]) -> sql.SQL:
        """Return the statement with ``$1`` and so on for its params in this order, as PREPARE wants it."""
        numbers = {each: f"${number}" for number, each in enumerate(params, start=1)}
        return sql.SQL(self.compose().as_string(None) % numbers)


@cache
def statement(name: str) -> Statement:
    """Read ``include/sql/<name>.sql``; FileNotFoundError if it is absent."""
    lines = (SQL_ROOT / f"{name}.sql").read_text().splitlines()
    header: dict[str, str] = {}
    last = ""
    for count, line in enumerate(lines):
        if not line.startswith("--"):
            return Statement(name, header, "\n".join(lines[count:]).strip().removesuffix(";"))
        if match := _HEADER_LINE.match(line):
            last = match[1]
            header[last] = match[2]
        else:
            header[last] += " " + line.removeprefix("--").strip()
    return Statement(name, header, "")


def columns(names: tuple[str, ...] | list[str], prefix: str = "") -> sql.Composed:
    """Return the quoted names, separated by commas and qualified with ``prefix`` if given."""
    parts = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(parts)


def dollar_quote(*inside: sql.Composable) -> sql.SQL:
    """Return a dollar quote for a text with these parts; it occurs in none of them."""
    text = "".join(part.as_string(None) for part in inside)
    return next(
        sql.SQL(quote) for quote in (f"$capture_{number}$" for number in itertools.count()) if quote not in text
    )
