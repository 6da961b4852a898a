"""Rows of the standby that are in the way of a batch: an older version still has a unique value of a written row.

Each such row has a waiting change: otherwise the live table would have the value twice. It joins the batch. The rows
are found through the unique indexes of the standby, so the cost follows the batch and not the change log.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from psycopg import sql

from partition_playbook import figures
from partition_playbook.database import Session
from partition_playbook.engine import slices
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.sides import Sides, near
from partition_playbook.names import TableName
from partition_playbook.sql import columns

# A row that joins may itself take a value from another row. After so many rounds the last ones wait for a later batch.
ROUNDS = 10
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Element:
    """One element of a unique index: its expression, its operator, and its column if it is one."""

    expression: str
    equals: str
    column: str


@dataclass(frozen=True)
class UniqueKey:
    """One unique index; rows in the way can be found through it if it is ``searchable``."""

    name: str
    elements: tuple[Element, ...]
    predicate: str
    searchable: bool

    def parts(self) -> dict[str, sql.Composable]:
        """Return the parts of the statement that deletes stale rows."""
        named = [(each, sql.Identifier(f"_partition_playbook_{at}")) for at, each in enumerate(self.elements, start=1)]
        wanted = [sql.SQL("({}) AS {}").format(sql.SQL(each.expression), name) for each, name in named]
        collides = [
            sql.SQL("({}) {} w.{}").format(sql.SQL(each.expression), sql.SQL(each.equals), name) for each, name in named
        ]
        return {
            "wanted": sql.SQL(", ").join(wanted),
            "collides": sql.SQL(" AND ").join(collides),
            "predicate": sql.SQL("({})").format(sql.SQL(self.predicate or "true")),
        }


def unique_keys(session: Session, now: Sides) -> list[UniqueKey]:
    """List the unique indexes of the standby that rows outside a batch can violate.

    A value of an index that contains all columns of the change log belongs to one key, and the batch has all of it.
    """
    standby = now.require_standby().table_name
    rows = session.rows("engine/list_unique_keys", {"schema": standby.schema, "name": standby.name})
    found = [
        UniqueKey(
            row["name"], tuple(Element(**each) for each in row["elements"]), row["predicate"], bool(row["searchable"])
        )
        for row in rows
    ]
    return [each for each in found if not _identifies(each, now)]


def _identifies(key: UniqueKey, now: Sides) -> bool:
    by_own_operator = {each.column for each in key.elements if each.column and _is_own(each, now)}
    return by_own_operator.issuperset(now.change_log_columns)


def _is_own(element: Element, now: Sides) -> bool:
    return now.live.column(element.column).equals == element.equals


def join(session: Session, log_table: TableName, now: Sides, batch: Batch) -> Batch:
    """Delete the stale rows in the way of a batch from the standby, and return the batch with their changes.

    Call it after the rows of the batch are deleted: any row in the way is then of another key. The keys of the deleted
    rows are added to the change log. So nothing is lost if a row waits for a later batch.
    """
    keys = [each for each in unique_keys(session, now) if each.searchable]
    searched = batch
    for _ in range(ROUNDS):
        reached = near(session, log_table, now, searched)
        deleted = sum(_delete(session, log_table, part, each, searched) for each in keys for part in reached)
        if not deleted:
            return batch

        values = {"newest": max(batch.newest, batch.added_last)}
        added = session.row("engine/find_added_changes", values, log=log_table.identifier)
        log.info("%s had a unique value of a changed row; reconciling them too", figures.count(deleted, "row"))
        before, batch = batch, batch.with_added(**added)
        searched = batch.only_added(**added)
    return before


def _delete(session: Session, log_table: TableName, now: Sides, key: UniqueKey, batch: Batch) -> int:
    """Delete the stale rows in the way of a batch's rows in the partitions that are reached."""
    parts = {
        "log": log_table.identifier,
        "live": now.live.table_name.identifier,
        "standby": now.require_standby().table_name.identifier,
        "columns": columns(now.change_log_columns),
        "gone_columns": columns(now.change_log_columns, "s"),
        "changed": now.match("t", "k"),
        **key.parts(),
    }
    deleted = 0
    for each in _near_stale(session, now, batch, parts):
        limits = {"same": each.match("t", "s"), "reached": each.within("s")}
        deleted += session.run("engine/delete_stale_rows", batch.values, **parts, **limits)
    return deleted


def _near_stale(session: Session, now: Sides, batch: Batch, parts: dict[str, sql.Composable]) -> list[Sides]:
    """Return the sides for the partitions that the rows in the way are in.

    A unique index of a partitioned standby has the partition column: its stale rows are where the changed ones are.
    """
    if now.ranges is None or not now.live.is_partitioned:
        return [now]
    found = session.rows("engine/list_stale_buckets", batch.values, **parts, bucket=now.ranges.bucket(now.ranges.whole))
    return [replace(now, reached=each) for each in slices.reached([row["bucket"] for row in found], now.ranges)]
