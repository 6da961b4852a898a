"""Parse an untrusted statement: find its references to a table, and rewrite it for another table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import STATEMENT_MARK
from partition_playbook.names import LEDGER_SCHEMA, TableName
from partition_playbook.workload.sql_lexer import Kind, Token, joined, tokens

LONGEST = 100_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXPLAINABLE = _words("select insert update delete merge with values table")
# Commands that define, lock or maintain objects: no plan reads rows for them, so there is nothing to prune.
UTILITY = _words(
    "alter analyse analyze cluster comment create drop grant import lock notify reassign refresh reindex revoke "
    "security truncate vacuum"
)
_VERBS = _words("select insert delete merge")
_CLAUSES = _words("where group having order limit offset fetch for window union intersect except returning set values")
_RESERVED = _CLAUSES | _words("select from join into using table with only lateral on as")
_JOINS = _words("join left right full inner cross natural on using tablesample")
# The keywords after a table without an alias.
_FOLLOWERS = _CLAUSES | _JOINS | _words("when default overriding select with table")
_TYPES = _words("interval date time timetz timestamp timestamptz uuid inet cidr json jsonb numeric point")
_GONE = Token(Kind.SIGN, "", "")


@dataclass(frozen=True)
class Reference:
    """One reference to a table: its tokens from ``start`` up to ``end``, excluded.

    ``verb`` is the keyword of its clause, ``target`` marks the target of INSERT or COPY, ``only`` an ONLY.
    """

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
    """The state of the scanner within one pair of parentheses."""

    in_from: bool = False
    expecting: bool = False
    verb: str = ""
    used: bool = False


@dataclass
class _Scanner:
    """Find the positions in the tokens with a table, by the grammar."""

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
        """Record the table at ``start``; a name before a parenthesis is a function, unless it is a target."""
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
class ParsedStatement:
    """The text of a statement with its tokens and references."""

    text: str

    @cached_property
    def _all(self) -> list[Token]:
        return tokens(self.text[:LONGEST])

    @cached_property
    def tokens(self) -> list[Token]:
        """Return the tokens; for a command around a query only those of the query."""
        words = [each.word or each.text for each in self._all[:12]]
        if words[:2] == ["copy", "("]:
            return [*_to_parenthesis(self._all[2:]), self._all[-1]]
        if words[0] == "declare" and "for" in words:
            return self._all[words.index("for") + 1 :]
        creates_table = words[0] == "create" and {"table", "materialized"} & set(words[1:5])
        return _query(self._all) if words[0] == "prepare" or creates_table else self._all

    @cached_property
    def references(self) -> list[Reference]:
        """Return every reference to a table."""
        return _Scanner(self.tokens).scan()

    @property
    def first(self) -> str:
        """Return the first word after any parentheses."""
        return next((each.word for each in self.tokens if each.text != "("), "")

    @property
    def problem(self) -> str:
        """Return the reason why EXPLAIN does not accept the text; empty if it is one plain statement."""
        if len(self.text) > LONGEST:
            return f"longer than {figures.count(LONGEST, 'character')}"
        if self.first not in EXPLAINABLE:
            return f"EXPLAIN does not accept {self.first.upper() or 'it'}"

        broken = [each.text for each in self.tokens if each.kind is Kind.SIGN and each.text in ('"', "'", ";")]
        return f"not a single plain statement: it contains {broken[0]}" if broken else ""

    @property
    def is_utility(self) -> bool:
        """Return True for a command that reads no rows by a plan, such as DDL or LOCK TABLE."""
        return self.first in UTILITY

    def is_ours(self, table: TableName) -> bool:
        """Return True for a statement of the playbook or its pg_dump, or of the server to check a foreign key.

        A statement of the playbook ends with its mark. One within a script of several names the ledger, the shadow or
        the retired table; a column of the application may have such a name too.
        """
        siblings = (table.shadow.name, table.retired.name)
        named = self._all if self.is_utility else self.references
        marked = any(STATEMENT_MARK in each.gap for each in self._all)
        in_ledger = any((each.name or "").startswith(LEDGER_SCHEMA) for each in self._all)
        on_sibling = any(each.name in siblings for each in named)
        checks_key = any(each.only for each in self.references) and any(each.word == "operator" for each in self.tokens)
        return marked or in_ledger or on_sibling or checks_key or self.first == "explain" or self._is_dump

    @property
    def _is_dump(self) -> bool:
        return [each.text.lower() for each in self.tokens[:3:2]] == ["copy", "."] and self.text.endswith("TO stdout")

    def references_to(self, table: TableName) -> list[Reference]:
        """Return the references to the table by its name, with its schema or without a schema."""
        return [each for each in self.references if each.name == table.name and each.schema in (None, table.schema)]

    def copies(self, table: TableName) -> str:
        """Return the direction of a COPY of the table itself, ``to`` or ``from``; empty for other statements."""
        copied = any(each.verb == "copy" for each in self.references_to(table))
        return next((each.word for each in self.tokens if copied and each.word in ("to", "from")), "")

    def may_be_first_copy(self, table: TableName) -> bool:
        """Return True for a possible initial table synchronization, which copies a partitioned table by a query."""
        qualified = any(each.schema for each in self.references_to(table))
        return qualified and self.copies(table) == "to" and any(each.word == "stdout" for each in self.tokens)

    def refusal(self, table: TableName) -> str:
        """Return the problem on a partitioned table that the planner does not report; empty if there is none."""
        names, places = {each.name for each in self.tokens}, self.references_to(table)
        if self.copies(table) == "to":
            return "COPY … TO does not accept a partitioned table"
        if self.copies(table) == "from":
            return "COPY … FREEZE does not accept a partitioned table" if "freeze" in names else ""
        if any(each.only for each in places):
            return "ONLY finds no row in a partitioned table"

        changes = any(each.verb in ("update", "delete", "merge") for each in places)
        if changes and "ctid" in names and "tableoid" not in names:
            return "rows of two partitions can have the same ctid: without tableoid it changes other rows too"
        return ""

    def hides(self, table: TableName) -> bool:
        """Return True if a common table expression has the name of the table."""
        words = [each.word or each.text for each in [*self.tokens, _GONE, _GONE, _GONE]]
        return any(
            each.name == table.name
            and words[at + 1] == "as"
            and (words[at + 2] in ("materialized", "not") or (words[at + 2] == "(" and words[at + 3] in EXPLAINABLE))
            for at, each in enumerate(self.tokens)
        )

    def restore_literals(self) -> ParsedStatement:
        """Return the statement with literals or casts in place of parameters that the grammar does not allow.

        pg_stat_statements replaces literals by parameters: also after a type name, in EXTRACT, and in one of two calls
        that must be equal for GROUP BY.
        """
        out = [*self.tokens, _GONE, _GONE]
        _restore_literals(out)
        for at, each in enumerate(self.tokens[:-1]):
            if each.word in _TYPES and out[at + 1].kind is Kind.PARAM:
                out[at], out[at + 1] = _GONE, _sql(f"({out[at + 1].text})::{each.word}")
            elif each.word == "extract" and out[at + 2].kind is Kind.PARAM and out[at + 3].word == "from":
                out[at], out[at + 3] = _sql('pg_catalog."extract"'), _sql(",")
        return ParsedStatement(joined(out))

    def redirected(self, table: TableName, to: TableName, constraints: Mapping[str, str]) -> ParsedStatement:
        """Return the statement on the table ``to``; ``constraints`` maps the names in ON CONFLICT ON CONSTRAINT."""
        out, target = list(self.tokens), to.identifier.as_string(None)
        _drop_schema(out, table)

        for at, each in enumerate(self.tokens):
            if each.text == "::":
                _replace(out, at + 1, self._type_end(at + 1, table), target)
            if each.word == "constraint" and (name := constraints.get(self.tokens[at + 1].name or "")):
                out[at + 1] = _sql(sql.Identifier(name).as_string(None))

        for place in self.references_to(table):
            keep = place.aliased or place.verb == "table"
            alias = "" if keep else f" AS {sql.Identifier(table.name).as_string(None)}"
            _replace(out, place.start, place.end, target + alias)
        return ParsedStatement(joined(out))

    def _type_end(self, at: int, table: TableName) -> int:
        """Return the end of the name of the table's row type; ``at`` if another type starts there."""
        first, dot, second = [*self.tokens[at : at + 3], _GONE, _GONE][:3]
        if (first.name, dot.text, second.name) == (table.schema, ".", table.name):
            return at + 3
        return at + 1 if first.name == table.name and dot.text != "." else at


def _sql(text: str) -> Token:
    return Token(Kind.SIGN, text)


def _replace(out: list[Token], start: int, end: int, text: str) -> None:
    if start < end:
        out[start:end] = [Token(Kind.SIGN, text, out[start].gap), *[_GONE] * (end - start - 1)]


def _drop_schema(out: list[Token], table: TableName) -> None:
    """Drop the schema of columns qualified by schema and table."""
    for at in range(len(out) - 3):
        names = (out[at].name, out[at + 2].name)
        if names == (table.schema, table.name) and out[at + 1].text == out[at + 3].text == ".":
            out[at], out[at + 1] = Token(Kind.SIGN, "", out[at].gap), _GONE


def _to_parenthesis(parts: Sequence[Token]) -> list[Token]:
    """Return the tokens up to the closing parenthesis of their level."""
    depth = 0
    for count, each in enumerate(parts):
        depth += (each.text == "(") - (each.text == ")")
        if depth < 0:
            return list(parts[:count])
    return list(parts)


def _query(found: list[Token]) -> list[Token]:
    """Return the tokens of the query after AS, without a WITH [NO] DATA; all tokens if there is no query."""
    words = [each.word or each.text for each in found]
    start = next((at for at in range(1, len(found)) if words[at - 1] == "as" and words[at] in (*EXPLAINABLE, "(")), 0)
    end = len(found) - 1
    for tail in (["with", "no", "data"], ["with", "data"]):
        end -= len(tail) if words[start:end][-len(tail) :] == tail else 0
    return [*found[start:end], found[-1]]


def _restore_literals(out: list[Token]) -> None:
    """Replace the parameter by the literal of an equal call elsewhere in the statement."""
    firsts = [at for at in range(2, len(out)) if out[at - 1].text == "(" and out[at - 2].kind is Kind.WORD]
    literals = [at for at in firsts if out[at].constant or out[at - 2].word == "extract"]
    written = {_call(out, at): out[at] for at in literals if out[at].kind is not Kind.PARAM}
    for at in firsts:
        if out[at].kind is Kind.PARAM:
            out[at] = written.get(_call(out, at), out[at])


def _call(out: Sequence[Token], at: int) -> tuple[str, ...]:
    """Return a call as a key: without its first argument, and with ? for other constants."""
    rest = _to_parenthesis(out[at + 1 :])
    return (out[at - 2].word, *("?" if each.constant else each.name or each.text for each in rest))
