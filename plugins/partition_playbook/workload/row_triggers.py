"""Read the row triggers of a table and the sources of their functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from partition_playbook.database import Session
from partition_playbook.names import CAPTURE_PREFIX, TableName
from partition_playbook.workload.sql_lexer import Token, tokens

TABLE_VARIABLES = frozenset({"tg_table_name", "tg_relname", "tg_relid"})
# The same facts in the other languages: TD["relid"], $_TD->{relname}, $TG_table_name.
_OTHER_LANGUAGES = re.compile(r"\b(?:TG_)?(table_name|relname|relid)\b", re.IGNORECASE)
# The root is the same table before and after the cutover.
_ROOT = ("pg_partition_root", "(", "tg_relid", ")")
# A function in C of the extension tcn: its notification has the name of the table.
_NAMING_FUNCTIONS = frozenset({"triggered_change_notification"})
# The words and signs before a statement of PL/pgSQL.
_BEFORE_A_STATEMENT = frozenset({"", ";", "begin", "then", "else", "loop", ">"})


@dataclass(frozen=True)
class RowTrigger:
    """One enabled row trigger, with the language and the source of its function."""

    name: str
    before: bool
    inserts: bool
    updates: bool
    enabled: str
    function: str
    language: str
    source: str

    @property
    def tried(self) -> bool:
        """Return True for a BEFORE trigger that fires for writes of the application and may change the row."""
        return self.before and (self.inserts or self.updates) and self.enabled in "OA"

    def table_variables(self) -> Sequence[str]:
        """Return the facts about its own table in the source, which are those of a partition after the cutover."""
        if self.language == "plpgsql":
            words = list(_words(tokens(self.source)))
            return sorted({each.upper() for each in _without_root(words) if each in TABLE_VARIABLES})
        if self.language in ("c", "internal"):
            return sorted({self.source} & _NAMING_FUNCTIONS)
        return sorted({each.lower() for each in _OTHER_LANGUAGES.findall(self.source)})

    def assigns(self, column: str) -> bool:
        """Return True if the source assigns the column of NEW; a comparison is no assignment."""
        found = tokens(self.source)
        for at, each in enumerate(found[:-4]):
            if each.word == "new" and found[at + 1].text == "." and found[at + 2].name == column:
                before = found[at - 1] if at else None
                starts = before is None or (before.word or before.text) in _BEFORE_A_STATEMENT
                if (found[at + 3].text, found[at + 4].text) == (":", "=") or (starts and found[at + 3].text == "="):
                    return True
        return False


def row_triggers(session: Session, table: TableName) -> list[RowTrigger]:
    """Read the row triggers of a table."""
    asked = {"schema": table.schema, "name": table.name, "capture_prefix": CAPTURE_PREFIX}
    return [RowTrigger(**row) for row in session.rows("workload/list_row_triggers", asked)]


def _words(found: Sequence[Token]) -> Iterator[str]:
    return (each.word or each.text for each in found)


def _without_root(words: Sequence[str]) -> Iterator[str]:
    """Yield the words without coalesce(pg_partition_root(TG_RELID), TG_RELID) and its first argument alone."""
    at = 0
    while at < len(words):
        if tuple(words[at : at + 4]) == _ROOT:
            at += 6 if tuple(words[at + 4 : at + 6]) == (",", "tg_relid") else 4
            continue
        yield words[at]
        at += 1
