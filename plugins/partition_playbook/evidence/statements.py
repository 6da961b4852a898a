"""Read a statement that somebody else wrote: where it names a table, and the same statement with another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from psycopg import sql

from partition_playbook.database import MARK
from partition_playbook.evidence.tokens import Kind, Token, joined, tokens
from partition_playbook.names import LEDGER_SCHEMA, TableName

LONGEST = 100_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXPLAINABLE = _words("select insert update delete merge with values table")
_VERBS = _words("select insert delete merge")
_CLAUSES = _words("where group having order limit offset fetch for window union intersect except returning set values")
_RESERVED = _CLAUSES | _words("select from join into using table with only lateral on as")
_JOINS = _words("join left right full inner cross natural on using tablesample")
# What may follow a table that has no alias.
_FOLLOWERS = _CLAUSES | _JOINS | _words("when default overriding select with table")
_TYPES = _words("interval date time timetz timestamp timestamptz uuid inet cidr json jsonb numeric point")
_GONE = Token(Kind.SIGN, "", "")


@dataclass(frozen=True)
class Reference:
    """A place where a table is read or written: its tokens, from ``start`` to before ``end``."""

    start: int
    end: int
    schema: str | None
    name: str
    verb: str
    target: bool
    only: bool
    aliased: bool


@dataclass
class _Level:
    """What is known of the text between two parentheses."""

    in_from: bool = False
    expecting: bool = False
    verb: str = ""
    used: bool = False


@dataclass
class _Scanner:
    """Find the places where the grammar wants a table."""

    tokens: Sequence[Token]
    levels: list[_Level] = field(default_factory=lambda: [_Level()])
    found: list[Reference] = field(default_factory=list)

    def scan(self) -> list[Reference]:
        position = 0
        while position < len(self.tokens):
            position = self._step(position)
        return self.found

    def _at(self, position: int) -> Token:
        return self.tokens[position] if 0 <= position < len(self.tokens) else _GONE

    def _step(self, position: int) -> int:
        token, level = self.tokens[position], self.levels[-1]
        if token.text == "(":
            self.levels.append(_Level(level.expecting, level.expecting))
            level.expecting = False
        elif token.text == ")":
            del self.levels[max(1, len(self.levels) - 1) :]
        elif token.text == ",":
            level.expecting = level.in_from
        elif level.expecting and token.name is not None and token.word not in _RESERVED:
            return self._table(position, level)
        elif token.word:
            self._word(position, token.word, level)
        return position + 1

    def _word(self, position: int, word: str, level: _Level) -> None:
        before = self._at(position - 1).word
        if word in _VERBS:
            level.verb, level.in_from, level.expecting = word, False, False
        elif word == "update" and before not in ("for", "key", "do", "then"):
            level.verb, level.in_from, level.expecting = word, False, True
        elif word == "from" and level.verb and not self._compares(position, before):
            level.in_from = level.expecting = True
        elif word == "using" and level.verb in ("delete", "merge") and not level.used:
            level.used = level.in_from = level.expecting = True
        elif word in ("join", "into"):
            level.expecting = True
        elif word == "table" or (word == "copy" and position == 0):
            level.verb, level.expecting = word, True
        elif word in _CLAUSES:
            level.in_from = level.expecting = False

    def _compares(self, position: int, before: str) -> bool:
        return before == "distinct" and self._at(position - 2).word in ("is", "not")

    def _table(self, start: int, level: _Level) -> int:
        """Note the table whose name starts here; a name before a parenthesis is a function, unless rows go into it."""
        level.expecting = False
        schema, name, end = None, self.tokens[start].name, start + 1
        while self._at(end).text == "." and self._at(end + 1).name is not None:
            schema, name, end = name, self._at(end + 1).name, end + 2
        before = self._at(start - 2 if self._at(start - 1).text == "(" else start - 1).word
        target = level.verb == "copy" or (level.verb == "insert" and before == "into")
        if name is not None and (target or self._at(end).text != "("):
            aliased = self._aliased(end, target)
            self.found.append(Reference(start, end, schema, name, level.verb, target, before == "only", aliased))
        return end

    def _aliased(self, end: int, target: bool) -> bool:
        follows = self._at(end + 1 if self._at(end).text == "*" else end)
        if target or follows.word == "as":
            return follows.word == "as"
        return follows.name is not None and follows.word not in _FOLLOWERS


@dataclass(frozen=True)
class Script:
    """The text of a statement, and what can be read from it."""

    text: str

    @cached_property
    def _all(self) -> list[Token]:
        return tokens(self.text[:LONGEST])

    @cached_property
    def tokens(self) -> list[Token]:
        """Return the tokens; of a cursor's declaration and of COPY (query) those of the query."""
        words = [each.word or each.text for each in self._all[:12]]
        if words[:2] == ["copy", "("]:
            return [*_to_parenthesis(self._all[2:]), self._all[-1]]
        return self._all[words.index("for") + 1 :] if words[0] == "declare" and "for" in words else self._all

    @cached_property
    def references(self) -> list[Reference]:
        """Return every place where a table is read or written."""
        return _Scanner(self.tokens).scan()

    @property
    def first(self) -> str:
        """Return the first word, past any parentheses."""
        return next((each.word for each in self.tokens if each.text != "("), "")

    @property
    def problem(self) -> str:
        """Say why the text is not one statement that can be explained; nothing where it is."""
        if len(self.text) > LONGEST:
            return f"longer than {LONGEST} characters"
        if self.first not in EXPLAINABLE:
            return f"EXPLAIN does not take {self.first.upper() or 'it'}"
        broken = [each.text for each in self.tokens if each.kind is Kind.SIGN and each.text in ('"', "'", ";")]
        return f"not one plain statement, for it holds {broken[0]}" if broken else ""

    def is_ours(self, shadow: TableName) -> bool:
        """Tell whether the playbook or its pg_dump sent it, or the server itself to check a foreign key."""
        marked = any(MARK in each.gap for each in self._all)
        named = any(each.name == shadow.name or (each.name or "").startswith(LEDGER_SCHEMA) for each in self._all)
        checks_key = any(each.only for each in self.references) and any(each.word == "operator" for each in self.tokens)
        return marked or named or checks_key or self.first == "explain" or self._is_dump

    @property
    def _is_dump(self) -> bool:
        return [each.text.lower() for each in self.tokens[:3:2]] == ["copy", "."] and self.text.endswith("TO stdout")

    def naming(self, table: TableName) -> list[Reference]:
        """Return the references that may mean the table: those with its schema, and those without any."""
        return [each for each in self.references if each.name == table.name and each.schema in (None, table.schema)]

    def copies(self, table: TableName) -> str:
        """Return which way a COPY of the table itself goes, ``to`` or ``from``; nothing where the text is none."""
        copied = any(each.verb == "copy" for each in self.naming(table))
        return next((each.word for each in self.tokens if copied and each.word in ("to", "from")), "")

    def may_be_first_copy(self, table: TableName) -> bool:
        """Tell whether a logical replica may have sent it, which asks a partitioned table by a query."""
        qualified = any(each.schema for each in self.naming(table))
        return qualified and self.copies(table) == "to" and any(each.word == "stdout" for each in self.tokens)

    def refusal(self, table: TableName) -> str:
        """Say what goes wrong on a partitioned table that no planner complains of; nothing where nothing does."""
        names, places = {each.name for each in self.tokens}, self.naming(table)
        if self.copies(table) == "to":
            return "COPY … TO does not take a partitioned table"
        if self.copies(table) == "from":
            return "COPY … FREEZE does not take a partitioned table" if "freeze" in names else ""
        if any(each.only for each in places):
            return "ONLY finds no row in a partitioned table"
        changes = any(each.verb in ("update", "delete", "merge") for each in places)
        if changes and "ctid" in names and "tableoid" not in names:
            return "rows of two partitions have the same ctid: without tableoid it changes others too"
        return ""

    def hides(self, table: TableName) -> bool:
        """Tell whether a common table expression bears the table's name."""
        words = [each.word or each.text for each in [*self.tokens, _GONE, _GONE, _GONE]]
        return any(
            each.name == table.name
            and words[at + 1] == "as"
            and (words[at + 2] in ("materialized", "not") or (words[at + 2] == "(" and words[at + 3] in EXPLAINABLE))
            for at, each in enumerate(self.tokens)
        )

    @property
    def conflict_targets(self) -> list[set[str]]:
        """Return the columns of each ON CONFLICT that names nothing but columns."""
        found = []
        for at, each in enumerate(self.tokens[:-1]):
            if each.word == "conflict" and self.tokens[at + 1].text == "(":
                inside = [one for one in _to_parenthesis(self.tokens[at + 2 :]) if one.text != ","]
                names = {one.name for one in inside if one.name is not None}
                found += [names] if len(names) == len(inside) else []
        return found

    def mended(self) -> Script:
        """Return the text with parameters only where the grammar has them.

        pg_stat_statements puts them for every literal: also after a type, in EXTRACT, and for one of two calls that
        GROUP BY wants to be the same.
        """
        out = [*self.tokens, _GONE, _GONE]
        _restore_literals(out)
        for at, each in enumerate(self.tokens[:-1]):
            if each.word in _TYPES and out[at + 1].kind is Kind.PARAM:
                out[at], out[at + 1] = _GONE, _sql(f"({out[at + 1].text})::{each.word}")
            elif each.word == "extract" and out[at + 2].kind is Kind.PARAM and out[at + 3].word == "from":
                out[at], out[at + 3] = _sql('pg_catalog."extract"'), _sql(",")
        return Script(joined(out))

    def redirected(self, table: TableName, to: TableName, constraints: Mapping[str, str]) -> Script:
        """Return the statement with another table in place of one; ``constraints`` maps the names of ON CONSTRAINT."""
        out, target = list(self.tokens), to.identifier.as_string(None)
        _leave_schema_away(out, table)
        for at, each in enumerate(self.tokens):
            if each.text == "::":
                _replace(out, at + 1, self._type_end(at + 1, table), target)
            if each.word == "constraint" and (name := constraints.get(self.tokens[at + 1].name or "")):
                out[at + 1] = _sql(sql.Identifier(name).as_string(None))
        for place in self.naming(table):
            keep = place.aliased or place.verb == "table"
            alias = "" if keep else f" AS {sql.Identifier(table.name).as_string(None)}"
            _replace(out, place.start, place.end, target + alias)
        return Script(joined(out))

    def _type_end(self, at: int, table: TableName) -> int:
        """Return where the name of the table's row type ends that starts here; ``at`` where it is another type."""
        first, dot, second = [*self.tokens[at : at + 3], _GONE, _GONE][:3]
        if (first.name, dot.text, second.name) == (table.schema, ".", table.name):
            return at + 3
        return at + 1 if first.name == table.name and dot.text != "." else at


def _sql(text: str) -> Token:
    return Token(Kind.SIGN, text)


def _replace(out: list[Token], start: int, end: int, text: str) -> None:
    if start < end:
        out[start:end] = [Token(Kind.SIGN, text, out[start].gap), *[_GONE] * (end - start - 1)]


def _leave_schema_away(out: list[Token], table: TableName) -> None:
    """Qualify columns with the table only where they are with schema and table."""
    for at in range(len(out) - 3):
        names = (out[at].name, out[at + 2].name)
        if names == (table.schema, table.name) and out[at + 1].text == out[at + 3].text == ".":
            out[at], out[at + 1] = Token(Kind.SIGN, "", out[at].gap), _GONE


def _to_parenthesis(parts: Sequence[Token]) -> list[Token]:
    """Return the tokens before the parenthesis that closes the one they are in."""
    depth = 0
    for count, each in enumerate(parts):
        depth += (each.text == "(") - (each.text == ")")
        if depth < 0:
            return list(parts[:count])
    return list(parts)


def _restore_literals(out: list[Token]) -> None:
    """Put a literal back for a parameter where the same call stands elsewhere with that literal."""
    firsts = [at for at in range(2, len(out)) if out[at - 1].text == "(" and out[at - 2].kind is Kind.WORD]
    literals = [at for at in firsts if out[at].constant or out[at - 2].word == "extract"]
    written = {_call(out, at): out[at] for at in literals if out[at].kind is not Kind.PARAM}
    for at in firsts:
        if out[at].kind is Kind.PARAM:
            out[at] = written.get(_call(out, at), out[at])


def _call(out: Sequence[Token], at: int) -> tuple[str, ...]:
    """Return a call without its first argument and without the values of others."""
    rest = _to_parenthesis(out[at + 1 :])
    return (out[at - 2].word, *("?" if each.constant else each.name or each.text for each in rest))
