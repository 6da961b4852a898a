"""Cut SQL text into the tokens of PostgreSQL, so a name in a literal or a comment is not taken for a table."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from enum import StrEnum

# As in PostgreSQL's scan.l with standard_conforming_strings: a backslash is a character like others, unless after E.
_TOKEN = re.compile(
    r"""
      (?P<gap>[ \t\n\r\f\v]+ | --[^\n\r]*)
    | (?P<dollar>\$(?P<tag>(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?)\$.*?\$(?P=tag)\$)
    | (?P<param>\$[0-9]+)
    | (?P<string>[eE]'(?:[^'\\]|''|\\.)*' | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*')
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*")
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<sign>:: | .)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Kind(StrEnum):
    """The kind of a token; the end of the text is a token too."""

    DOLLAR = "dollar"
    PARAM = "param"
    STRING = "string"
    QUOTED = "quoted"
    WORD = "word"
    NUMBER = "number"
    SIGN = "sign"
    END = "end"


@dataclass(frozen=True)
class Token:
    """One token as written, with the whitespace and comments before it in ``gap``."""

    kind: Kind
    text: str
    gap: str = " "

    @property
    def word(self) -> str:
        """Return a keyword or an unquoted name in lower case; empty for any other token."""
        return self.text.lower() if self.kind is Kind.WORD else ""

    @property
    def name(self) -> str | None:
        """Return the name of an identifier as in the catalog; None for other tokens and names with Unicode escapes."""
        if self.kind is Kind.WORD:
            return self.text.translate(_LOWER)
        if self.kind is Kind.QUOTED and self.text.startswith('"'):
            return self.text[1:-1].replace('""', '"')
        return None

    @property
    def constant(self) -> bool:
        """Return True for a literal or a parameter."""
        return self.kind in (Kind.PARAM, Kind.STRING, Kind.NUMBER, Kind.DOLLAR)


def tokens(text: str) -> list[Token]:
    """Return every token of a text, with its end as the last; ``joined`` restores the text."""
    found: list[Token] = []
    gap_from = at = 0
    while at < len(text):
        if text.startswith("/*", at):
            at = _comment_end(text, at)
            continue

        match = _TOKEN.match(text, at)
        assert match  # `sign` matches any character
        if match["gap"] is None:
            kind = next(each for each in Kind if each is not Kind.END and match[each.value] is not None)
            found.append(Token(kind, match[0], text[gap_from:at]))
            gap_from = match.end()
        at = match.end()
    return [*found, Token(Kind.END, "", text[gap_from:])]


def joined(parts: list[Token]) -> str:
    """Return the text of some tokens."""
    return "".join(each.gap + each.text for each in parts)


def _comment_end(text: str, at: int) -> int:
    """Return the offset of the end of a comment; comments nest in PostgreSQL."""
    depth = 0
    for match in _COMMENT.finditer(text, at):
        depth += 1 if match[0] == "/*" else -1
        if depth == 0:
            return match.end()
    return len(text)
