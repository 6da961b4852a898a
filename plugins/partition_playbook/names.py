"""Names of tables and of everything that is made beside them; the 63 bytes are counted here and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from psycopg import sql

MAX_BYTES = 63
LEDGER_SCHEMA = "partition_playbook"
CAPTURE_PREFIX = "partition_playbook_"


def clip(name: str, suffix: str = "") -> str:
    """Return ``name + suffix`` within 63 bytes; what is cut is replaced by a digest, so long names stay distinct."""
    whole = (name + suffix).encode()
    if len(whole) <= MAX_BYTES:
        return name + suffix
    digest = "_" + hashlib.sha256(whole).hexdigest()[:8]
    room = MAX_BYTES - len(digest) - len(suffix.encode())
    return name.encode()[:room].decode(errors="ignore") + digest + suffix


@dataclass(frozen=True, order=True)
class TableName:
    """A table and the names of its siblings."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``table`` or ``schema.table``; the schema is ``public`` where none is given."""
        schema, _, name = text.rpartition(".")
        return cls(schema or "public", name)

    def sibling(self, suffix: str) -> TableName:
        """Return the table of the same schema whose name has ``suffix`` appended."""
        return TableName(self.schema, clip(self.name, suffix))

    @property
    def shadow(self) -> TableName:
        """Return the partitioned table that is built beside the source."""
        return self.sibling("_new")

    @property
    def retired(self) -> TableName:
        """Return the source's name after cutover."""
        return self.sibling("_old")

    @property
    def default(self) -> TableName:
        """Return the default partition."""
        return self.sibling("_default")

    def partition(self, suffix: str) -> TableName:
        """Return the partition of the interval named ``suffix``."""
        return self.sibling(f"_{suffix}")

    @property
    def change_log(self) -> TableName:
        """Return the table that the capture writes keys to."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_changes"))

    @property
    def capture_function(self) -> TableName:
        """Return the trigger function that writes to the change log."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_capture"))

    @property
    def capture_loss(self) -> TableName:
        """Return the sequence that is called when the capture gives up."""
        return TableName(LEDGER_SCHEMA, clip(f"{self.schema}_{self.name}", "_loss"))

    @property
    def identifier(self) -> sql.Identifier:
        """Return the quoted, schema-qualified name for a statement."""
        return sql.Identifier(self.schema, self.name)

    @property
    def search_path(self) -> str:
        """Return where SQL of the application finds its names: nothing in its schema comes before PostgreSQL's own."""
        names = (sql.Identifier(each) for each in ("pg_catalog", self.schema, "pg_temp"))
        return sql.SQL(", ").join(names).as_string(None)

    @property
    def quoted(self) -> str:
        """Return the identifier as the text that PostgreSQL reads a name from."""
        return self.identifier.as_string(None)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
