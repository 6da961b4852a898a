"""The one door to ``include/sql``: a statement by name, with its header read and its names quoted."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from psycopg import sql

SQL_ROOT = Path(__file__).resolve().parents[2] / "include" / "sql"
HEADER_KEYS = ("purpose", "params", "returns", "lock", "transaction", "rerun")
_HEADER_LINE = re.compile(r"^-- (\w+): (.+)$")


@dataclass(frozen=True)
class Statement:
    """One file of ``include/sql``: what its header promises, and its text."""

    name: str
    header: dict[str, str]
    text: str

    @property
    def purpose(self) -> str:
        """Return what the statement is for, in a line."""
        return self.header["purpose"]

    @property
    def lock(self) -> str:
        """Return the strongest lock that the statement takes."""
        return self.header["lock"]

    def compose(self, **parts: Any) -> sql.Composed:
        """Fill the placeholders in braces.

        Identifiers are given as psycopg's composables and are quoted; any other value becomes a literal, never bare
        text.
        """
        return sql.SQL(self.text).format(**parts)


@cache
def statement(name: str) -> Statement:
    """Read ``include/sql/<name>.sql``; FileNotFoundError where there is none."""
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
    """Return the quoted names, separated by commas; each qualified with ``prefix`` where one is given."""
    parts = [sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names]
    return sql.SQL(", ").join(parts)


def dollar_quote(*inside: sql.Composable) -> sql.SQL:
    """Return a dollar quote for a text that holds these parts, and so none that occurs in them."""
    text = "".join(part.as_string(None) for part in inside)
    return next(
        sql.SQL(quote) for quote in (f"$capture_{number}$" for number in itertools.count()) if quote not in text
    )
