"""Compare the empty shadow with the source: a difference that would stop a swap stops the build, within seconds.

Foreign keys, publications, dependents, invalid indexes, trigger modes and the replica identity of partitions come
later, so they are not compared here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from partition_playbook import catalog, parity
from partition_playbook.catalog import Table
from partition_playbook.database import Session
from partition_playbook.engine.sides import Sides
from partition_playbook.errors import PreconditionFailed
from partition_playbook.names import SHADOW_SUFFIX, TableName, clip
from partition_playbook.parity import Difference

REMEDY = (
    "Nothing was created. Remove these properties from the table, and event triggers that set them on new tables; "
    "then trigger a new run of partition_migration, and set them again after partition_finalize"
)


def require_parity(session: Session, before: Sides, partitions: Sequence[TableName]) -> None:
    """Raise PreconditionFailed if the empty shadow or a detached partition differs from the source."""
    source = before.live
    shadow = catalog.require(session, source.table_name.shadow)
    found = [
        *_table_differences(session, source, shadow, before.partition_by),
        *_sequence_differences(session, source, shadow),
        *_storage_differences(session, source, partitions),
    ]
    if found:
        raise PreconditionFailed(
            "the partitioned table would differ in " + "; ".join(map(str, found)),
            where=str(source.table_name),
            remedy=REMEDY,
        )


def _table_differences(session: Session, source: Table, shadow: Table, by: str) -> Iterator[Difference]:
    later = {"storage", *(f"index {index.name}" for index in source.indexes if not index.valid)}
    names = parity.names_once_live(source, SHADOW_SUFFIX)
    expected, actual = parity.read_facts(session, source, by), parity.read_facts(session, shadow, by, names)
    return (each for each in parity.compare(expected, actual, live=False) if each.what not in later)


def _sequence_differences(session: Session, source: Table, shadow: Table) -> list[Difference]:
    """Compare the sequences of identity columns; those of serial columns move at the swap."""
    expected = dict(parity.sequence_facts(session, source, owned=False))
    rows = session.rows("catalog/list_sequences", {"schema": source.schema, "name": source.name})
    names = {clip(row["name"], SHADOW_SUFFIX): row["name"] for row in rows}
    actual = dict(parity.sequence_facts(session, shadow, names, owned=False))
    return parity.compare(expected, actual, live=True)


def _storage_differences(session: Session, source: Table, partitions: Sequence[TableName]) -> Iterator[Difference]:
    expected = parity.loaded_storage(vars(source))
    names = [each.name for each in partitions]
    for row in session.rows("engine/list_storage", {"schema": source.schema, "names": names}):
        actual = parity.loaded_storage(row)
        if actual != expected:
            yield Difference(f"storage of {row['partition']}", expected, actual)
