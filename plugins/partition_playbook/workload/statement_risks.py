"""Find statements whose effect changes on a partitioned table, although the server accepts them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from psycopg import sql

from partition_playbook.catalog import Table
from partition_playbook.names import TableName
from partition_playbook.workload.sql_lexer import Kind, Token, joined, tokens
from partition_playbook.workload.statements import ParsedStatement, Reference

_END_OF_SET = frozenset({"where", "from", "returning", "when"})


@dataclass(frozen=True)
class WeakerKeys:
    """The unique keys that gain the partition column: their columns, and the names of their constraints."""

    partition_by: str
    columns: tuple[tuple[str, ...], ...]
    constraints: frozenset[str]

    @classmethod
    def of(cls, table: Table, partition_by: str) -> WeakerKeys:
        """Collect the unique keys of a table without the partition column."""
        indexes = [each for each in table.indexes if each.unique and partition_by not in each.columns]
        names = frozenset(each.constraint for each in indexes if each.constraint)
        return cls(partition_by, tuple(each.columns for each in indexes), names)

    def named_in(self, some: Sequence[Token]) -> str:
        """Return a key whose columns all stand in the tokens, without the partition column; empty if there is none."""
        names = {each.name for each in some if each.name is not None}
        if self.partition_by in names:
            return ""
        return next((", ".join(key) for key in self.columns if key and names >= set(key)), "")


@dataclass(frozen=True)
class Reliance:
    """One place of a statement that relies on a weaker key; it ``fails`` on the partitioned table, or adds rows.

    ``key`` has the columns of the key where the statement names them as its target.
    """

    place: str
    fails: bool = False
    key: tuple[str, ...] = ()


def reliances(parsed: ParsedStatement, table: TableName, keys: WeakerKeys) -> list[Reliance]:
    """Return every place of a statement that relies on a key which gains the partition column."""
    if not keys.columns:
        return []
    return [*_conflicts(parsed, table, keys), *_merges(parsed, table, keys), *_searches(parsed, table, keys)]


def function_reliances(source: str, table: TableName, keys: WeakerKeys) -> list[Reliance]:
    """Return the same for each statement in the source of a function of SQL or PL/pgSQL."""
    parts: list[list[Token]] = [[]]
    for each in tokens(source):
        if each.text == ";":
            parts.append([])
        else:
            parts[-1].append(each)
    found = [reliances(ParsedStatement(joined(part)), table, keys) for part in parts]
    return [one for some in found for one in some]


def repeat_safely(table: Table, keys: WeakerKeys) -> str:
    """Return SQL, with the table's own names, that inserts a row once by the old key alone."""
    key, name = keys.columns[0], table.table_name.quoted
    given = [each for each in table.columns if not each.generated and (each.identity != "a" or each.name in key)]
    values = {each.name: f"${number}::{each.type}" for number, each in enumerate(given, 1)}
    quoted = {each.name: each.quoted for each in table.columns}

    text = ", ".join(f"{values[each]}::text" for each in key if each in values)
    same = " AND ".join(f"{quoted[each]} = {values[each]}" for each in key if each in values)
    return (
        f"BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(concat_ws(',', {text}), 0)); "
        f"INSERT INTO {name} ({', '.join(quoted[each] for each in values)}) SELECT {', '.join(values.values())} "
        f"WHERE NOT EXISTS (SELECT FROM {name} WHERE {same}); COMMIT"
    )


def moves_rows(parsed: ParsedStatement, table: TableName, partition_by: str) -> bool:
    """Return True for an UPDATE, an ON CONFLICT DO UPDATE or a MERGE of the table that sets the partition column."""
    for at, each in enumerate(parsed.tokens):
        if each.word == "set" and _writes(parsed, at, table) and partition_by in _assigned(parsed.tokens[at + 1 :]):
            return True
    return False


def maintenance(parsed: ParsedStatement, table: TableName) -> str:
    """Return the command of a maintenance statement on the table that the migration cannot carry; empty for others."""
    words = [each.word for each in parsed.tokens]
    first = words[0] if words else ""
    if not _names_table(parsed.tokens, table):
        return ""
    if first == "truncate":
        return "TRUNCATE"
    if first == "alter" and "trigger" in words and {"disable", "enable"} & set(words):
        return f"ALTER TABLE … {'DISABLE' if 'disable' in words else 'ENABLE'} TRIGGER"
    if first == "cluster":
        return "CLUSTER"
    if first == "vacuum" and "full" in words:
        return "VACUUM FULL"
    if first == "create" and words[1:4].count("index") and "concurrently" in words:
        return "CREATE INDEX CONCURRENTLY"
    return ""


def reads_row_addresses(parsed: ParsedStatement, table: TableName) -> bool:
    """Return True for a statement on the table with ctid and without tableoid: two partitions share a ctid."""
    names = {each.name for each in parsed.tokens}
    return bool(parsed.references_to(table)) and "ctid" in names and "tableoid" not in names


def _conflicts(parsed: ParsedStatement, table: TableName, keys: WeakerKeys) -> Iterator[Reliance]:
    found = parsed.tokens
    for at in _conflict_clauses(parsed, table):
        after = found[at + 1]
        if after.text == "(":
            if key := _target(found, at, keys):
                yield Reliance(f"ON CONFLICT ({', '.join(key)})", fails=True, key=key)
        elif after.word == "do":
            yield Reliance("ON CONFLICT DO NOTHING without a target")
        elif after.word == "on" and (name := found[at + 3].name if at + 3 < len(found) else None) in keys.constraints:
            yield Reliance(f"ON CONFLICT ON CONSTRAINT {name}")


def _conflict_clauses(parsed: ParsedStatement, table: TableName) -> Iterator[int]:
    """Yield the position of CONFLICT in each ON CONFLICT clause of a write of the table."""
    for at, each in enumerate(parsed.tokens[:-2]):
        if each.word == "conflict" and parsed.tokens[at - 1].word == "on" and _writes(parsed, at, table):
            yield at


def _target(found: Sequence[Token], at: int, keys: WeakerKeys) -> tuple[str, ...]:
    """Return the weaker key that is the whole target of an ON CONFLICT clause; empty if it has another target."""
    inside = [one for one in _inside(found, at + 1) if one.text != ","]
    for key in keys.columns:
        if len(inside) == len(key) and {one.name for one in inside} == set(key):
            return key
    return ()


def with_new_key(parsed: ParsedStatement, table: TableName, keys: WeakerKeys) -> str:
    """Return the text with the partition column in each ON CONFLICT target that is a weaker key."""
    out = list(parsed.tokens)
    for at in _conflict_clauses(parsed, table):
        if out[at + 1].text == "(" and _target(parsed.tokens, at, keys):
            end = at + 2 + len(_inside(parsed.tokens, at + 1))
            column = sql.Identifier(keys.partition_by).as_string(None)
            out[end] = Token(Kind.SIGN, f", {column}{out[end].gap})", "")
    return joined(out)


def _merges(parsed: ParsedStatement, table: TableName, keys: WeakerKeys) -> Iterator[Reliance]:
    found = parsed.tokens
    words = [each.word for each in found]
    for place in parsed.references_to(table):
        if _merged(words, place) and "when" in words:
            condition = _after(found[place.end :], "on", "when")
            inserts = ("not", "matched") in pairwise(words) and "insert" in words
            if inserts and (key := keys.named_in(condition)):
                yield Reliance(f"MERGE … ON ({key})")


def _searches(parsed: ParsedStatement, table: TableName, keys: WeakerKeys) -> Iterator[Reliance]:
    """Yield each search for an earlier row in the same INSERT: NOT EXISTS, NOT IN, EXCEPT, a LEFT JOIN … IS NULL."""
    found, places = parsed.tokens, parsed.references_to(table)
    targets = [each for each in places if each.target and each.verb == "insert"]
    if not targets:
        return
    for place in places:
        if place is targets[0] or place.start < targets[0].start:
            continue
        title, searched = _search(found, place, targets[0])
        if title and (key := keys.named_in(searched)):
            yield Reliance(f"{title} ({key})")


def _search(found: Sequence[Token], place: Reference, target: Reference) -> tuple[str, Sequence[Token]]:
    """Return the kind of the search around a reference and its tokens; empty for a plain read."""
    words = [each.word for each in found]
    opened = _opening(found, place.start)
    if opened >= 2 and words[opened - 2] == "not" and words[opened - 1] in ("exists", "in"):
        return f"NOT {words[opened - 1].upper()}", _inside(found, opened)
    if "except" in words[target.end : place.start]:
        return "EXCEPT", found[target.end + words[target.end : place.start].index("except") :]
    joined_left = [each for each in words[max(0, place.start - 3) : place.start] if each]
    rest = words[place.end :]
    if joined_left[-1:] == ["join"] and "left" in joined_left and ("is", "null") in pairwise(rest):
        end = place.end + rest.index("where") if "where" in rest else len(found)
        return "LEFT JOIN … IS NULL", found[place.end : end]
    return "", ()


def _writes(parsed: ParsedStatement, at: int, table: TableName) -> bool:
    """Return True if the clause at this token belongs to a write of the table, not of another one in a WITH."""
    words = [each.word for each in parsed.tokens]
    targets = [
        each
        for each in parsed.references
        if each.start < at and (each.target or each.verb == "update" or _merged(words, each))
    ]
    nearest = targets[-1] if targets else None
    return nearest is not None and nearest.name == table.name and nearest.schema in (None, table.schema)


def _merged(words: Sequence[str], place: Reference) -> bool:
    """Return True for the target of a MERGE."""
    before = [each for each in words[max(0, place.start - 2) : place.start] if each != "only"]
    return place.verb == "merge" and before[-1:] == ["into"]


def _assigned(found: Sequence[Token]) -> set[str]:
    """Return the columns of a SET clause: each name before an equals sign, alone or in a list."""
    names: set[str] = set()
    depth, starts = 0, True
    for at, each in enumerate(found):
        depth += (each.text == "(") - (each.text == ")")
        if depth < 0 or each.kind is Kind.END or (depth == 0 and each.word in _END_OF_SET):
            break
        if starts and each.text == "(":
            names |= {one.name for one in _inside(found, at) if one.name is not None}
        elif starts and each.name is not None:
            names.add(each.name)
        starts = depth == 0 and each.text == ","
    return names


def _names_table(found: Sequence[Token], table: TableName) -> bool:
    """Return True if the table's name stands in the tokens, alone or behind its schema."""
    for at, each in enumerate(found):
        if each.name == table.name and at:
            qualified = found[at - 1].text == "."
            follows = found[at + 1].text if at + 1 < len(found) else ""
            if follows != "." and (not qualified or found[at - 2].name == table.schema):
                return True
    return False


def _inside(found: Sequence[Token], opened: int) -> list[Token]:
    """Return the tokens between the parenthesis at ``opened`` and its end."""
    depth, inside = 0, []
    for each in found[opened + 1 :]:
        depth += (each.text == "(") - (each.text == ")")
        if depth < 0:
            break
        inside.append(each)
    return inside


def _opening(found: Sequence[Token], at: int) -> int:
    """Return the position of the parenthesis around a token; -1 outside of any."""
    depth = 0
    for position in range(at - 1, -1, -1):
        depth += (found[position].text == ")") - (found[position].text == "(")
        if depth < 0:
            return position
    return -1


def _after(found: Sequence[Token], start: str, end: str) -> list[Token]:
    """Return the tokens from one word to another one."""
    words = [each.word for each in found]
    if start not in words or end not in words:
        return []
    return list(found[words.index(start) : words.index(end)])
