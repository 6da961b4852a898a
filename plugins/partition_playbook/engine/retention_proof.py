"""The table of a retention proof: a rehearsal makes it, and every way out of the rehearsal drops it.

Its rows are copies, so no drop of it loses a row. Only the oid in the ledger proves that a table of this name is it.
"""

from __future__ import annotations

from partition_playbook import catalog
from partition_playbook.database import Session
from partition_playbook.names import TableName
from partition_playbook.run import Run

MADE = "retention proof made"


def record(run: Run, session: Session, rows: int) -> None:
    """Note the oid of the table in the ledger, in the transaction that makes it."""
    name = run.table.retention_proof
    oid = catalog.require(session, name).oid
    run.ledger.add_note(MADE, session=session, parent=str(run.table), partition=str(name), oid=oid, rows=rows)


def find(run: Run, session: Session) -> list[TableName]:
    """Return the table if an interrupted proof left it, as a list of at most one."""
    name = run.table.retention_proof
    left = session.value("engine/find_retention_proof", {"schema": name.schema, "name": name.name, "message": MADE})
    return [name] if left else []
