"""Names of tables and of the objects beside them; only this module counts PostgreSQL's 63 bytes."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from psycopg import sql

MAX_BYTES = 63
SHADOW_SUFFIX, RETIRED_SUFFIX = "_new", "_old"
LEDGER_SCHEMA = "partition_playbook"
CAPTURE_PREFIX = "partition_playbook_"
_PART = r'"(?:[^"]|"")+"|[^".]+'
_QUALIFIED = re.compile(rf"(?:(?P<schema>{_PART})\.)?(?P<name>{_PART})")


def clip(name: str, suffix: str = "") -> str:
    """Return ``name + suffix`` within 63 bytes; a digest replaces the end of a longer name, so names stay distinct."""
    whole = (name + suffix).encode()
    if len(whole) <= MAX_BYTES:
        return name + suffix
    digest = "_" + hashlib.sha256(whole).hexdigest()[:8]
    room = MAX_BYTES - len(digest) - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + digest + suffix


def is_quoted(text: str) -> bool:
    """Return True for a name of one or two parts with whole quotes, or without any."""
    return _QUALIFIED.fullmatch(text) is not None


def _unquoted(part: str) -> str:
    return part[1:-1].replace('""', '"') if part.startswith('"') else part


@dataclass(frozen=True, order=True)
class TableName:
    """A table and the names of its siblings."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``table`` or ``schema.table``, each part with or without quotes; the default schema is ``public``.

        A text with other quotes is read as it stands.
        """
        if found := _QUALIFIED.fullmatch(text):
            return cls(_unquoted(found["schema"] or "public"), _unquoted(found["name"]))
        schema, _, name = text.rpartition(".")
        return cls(schema or "public", name)

    def sibling(self, suffix: str) -> TableName:
        """Return the name with ``suffix`` appended, in the same schema."""
        return TableName(self.schema, clip(self.name, suffix))

    @property
    def shadow(self) -> TableName:
        """Return the partitioned table built beside the source."""
        return self.sibling(SHADOW_SUFFIX)

    @property
    def retired(self) -> TableName:
        """Return the source's name after cutover."""
        return self.sibling(RETIRED_SUFFIX)

    @property
    def default(self) -> TableName:
        """Return the default partition."""
        return self.sibling("_default")

    @property
    def doubled(self) -> TableName:
        """Return the table of the rows that the original's keys do not allow in it."""
        return self.sibling("_doubled")

    @property
    def retention_proof(self) -> TableName:
        """Return the partition that a rehearsal makes for retention to retire."""
        return self.sibling("_retention_proof")

    def partition(self, suffix: str) -> TableName:
        """Return the partition of one interval; ``suffix`` comes from ``Interval.suffix``."""
        return self.sibling(f"_{suffix}")

    @property
    def change_log(self) -> TableName:
        """Return the table of captured keys."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_changes"))

    @property
    def capture_function(self) -> TableName:
        """Return the trigger function of the capture."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_capture"))

    @property
    def guard_function(self) -> TableName:
        """Return the trigger function that refuses writes to the standby."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_guard"))

    @property
    def capture_loss(self) -> TableName:
        """Return the sequence to mark a full change log with: nextval() survives a rollback."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_loss"))

    def load_parent(self, slot: int) -> TableName:
        """Return the partitioned table through which the load with this slot fills its partitions."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", f"_load_{slot}"))

    @property
    def identifier(self) -> sql.Identifier:
        """Return the quoted, schema-qualified name for a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def search_path(self) -> str:
        """Return the search_path for SQL of the application; pg_catalog is first, so nothing shadows a built-in."""
        names = (sql.Identifier(each) for each in ("pg_catalog", self.schema, "pg_temp"))
        return sql.SQL(", ").join(names).as_string(None)

    @property
    def quoted(self) -> str:
        """Return the quoted, schema-qualified name as text, for a bind parameter."""
        return self.identifier.as_string(None)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
