"""Keep both rows of a doubled key: one stays in the table, the others go to a table beside it.

The partitioned table's keys have one more column, so it can accept rows that the original's keys forbid. The oldest row
of a key stays in the table. The others are in ``<table>_doubled``. They are open rows while the live table has them: it
always equals the retired table together with the open rows. A rollback takes them out of the live table. From then on
the table beside is their only place. Nothing ever drops it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Table
from partition_playbook.checks import Check, check
from partition_playbook.database import Session
from partition_playbook.engine import attributes, capture, slices, stale_rows
from partition_playbook.engine.batches import Batch
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.errors import Diverged, PreconditionFailed
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sql import columns, dollar_quote

OWN_COLUMNS = ("_partition_playbook_doubled", "_partition_playbook_doubled_at", "_partition_playbook_left_at")
COMMENT = "Rows with a key that the table has already; Partition Playbook never drops them"
log = logging.getLogger(__name__)


def exists(session: Session, table: TableName) -> bool:
    """Tell whether the table beside exists and was made by Partition Playbook."""
    return bool(session.value("engine/is_doubled", {"table": table.doubled.quoted}))


def count_open(session: Session, run: Run) -> int:
    """Return the number of rows that are in the live table and not in the retired one."""
    return _count(session, run.table)["open"] if exists(session, run.table) else 0


def _count(session: Session, table: TableName) -> dict[str, int]:
    return session.row("engine/count_doubled", doubled=table.doubled.identifier)


def open_rows(table: TableName) -> sql.Composed:
    """Compose the open rows as a relation for a FROM clause."""
    return sql.SQL("(SELECT * FROM {} WHERE _partition_playbook_left_at IS NULL)").format(table.doubled.identifier)


def with_open_rows(now: Sides, table: TableName) -> sql.Composed:
    """Compose the rows of the standby and the open rows as a relation for a FROM clause."""
    names = columns([each.name for each in now.live.columns])
    return sql.SQL("(SELECT {} FROM {} UNION ALL SELECT {} FROM {} WHERE _partition_playbook_left_at IS NULL)").format(
        names, now.require_standby().table_name.identifier, names, table.doubled.identifier
    )


def matches(session: Session, source: Table, table: TableName) -> bool:
    """Tell whether the table beside was made for the columns that the source has now."""
    found = catalog.describe(session, table.doubled)
    present = {each.name: each.type for each in found.columns} if found else {}
    wanted = {each.name: each.type for each in source.columns}
    return present.keys() >= set(OWN_COLUMNS) and wanted == {
        name: kind for name, kind in present.items() if name not in OWN_COLUMNS
    }


def has_deferrable_key(table: Table) -> bool:
    """Tell whether a key of a table is deferrable."""
    return any(each.kind in "pu" and each.deferrable for each in table.constraints)


def write(run: Run, session: Session, now: Sides, batch: Batch) -> tuple[Batch, int, int]:
    """Make the rows of a batch equal, doubled ones beside; return the batch, and the deleted and the written rows.

    Only for a partitioned live table, in the open transaction. Rows come back from beside once the keys allow it. Stale
    rows in the way join the batch first: a row beside has a key that the live table has twice.
    """
    _create(run, session, now)
    parts = _parts(run, now)
    present = session.value("engine/list_present_changes", batch.picked, **parts, match=now.match("s", "k"))
    deleted = session.run("engine/delete_standby_rows", batch.picked, **parts, match=now.match("s", "k"))
    batch = stale_rows.join(session, run.table.change_log, now, batch)
    deleted += batch.added

    # Without a deleted row no value of a unique key is free again.
    reopen = deleted > 0
    near = _near(run, session, now, batch, reopen=reopen)
    written = _insert_first(session, near, parts, batch, present, reopen=reopen)
    session.run(
        "engine/delete_doubled_rows", batch.values, **parts, changed=now.match("d", "k"), written=now.match("s", "d")
    )
    whole = [each.name for each in now.live.columns]
    put = session.run(
        "engine/insert_doubled_rows",
        batch.values,
        **parts | {"row": columns(whole), "live_row": columns(whole, "s")},
        match=near.match("s", "k"),
        written=now.match("t", "s"),
    )
    if put:
        _tell(run, session, put)
    return batch, deleted, written + put


def _near(run: Run, session: Session, now: Sides, batch: Batch, *, reopen: bool) -> Sides:
    """Return the sides for the partitions of the rows that may be written.

    One statement writes all of them: the order of their changes decides which row of a key stays in the table.
    """
    if now.ranges is None:
        return now
    found = slices.buckets(session, run.table.change_log, now.ranges, batch)
    if reopen:
        bucket = now.ranges.bucket(now.ranges.whole)
        rows = session.rows("engine/list_open_buckets", bucket=bucket, doubled=run.table.doubled.identifier)
        found += [row["bucket"] for row in rows]
    return replace(now, reached=slices.reached_at_once(found, now.ranges))


def _parts(run: Run, now: Sides) -> dict[str, sql.Composable]:
    standby = now.require_standby()
    return {
        "log": run.table.change_log.identifier,
        "doubled": run.table.doubled.identifier,
        "standby": standby.table_name.identifier,
        "live": now.live.table_name.identifier,
        "columns": columns(now.change_log_columns),
        "row": columns(standby.writable),
        "live_row": columns(standby.writable, "s"),
    }


def _insert_first(
    session: Session,
    now: Sides,
    parts: dict[str, sql.Composable],
    batch: Batch,
    present: Sequence[int],
    *,
    reopen: bool,
) -> int:
    standby, match = now.require_standby(), now.match("s", "k")
    if not has_deferrable_key(standby):
        values = {**batch.values, "present": present, "reopen": reopen}
        return session.run("engine/insert_first_rows", values, **parts, match=match)

    literals = {
        **{name: sql.Literal(value) for name, value in batch.values.items()},
        "present": sql.Literal(_array(present)),
        "reopen": sql.Literal(reopen),
        "each_row": columns(standby.writable, "_partition_playbook_row"),
    }
    quote = dollar_quote(*parts.values(), match)
    return session.run("engine/insert_first_rows_each", **parts, **literals, match=match, quote=quote)


def _array(numbers: Sequence[int]) -> str:
    return "{" + ",".join(map(str, numbers)) + "}"


def _create(run: Run, session: Session, now: Sides) -> None:
    """Create the table beside, with the owner, privileges, policies and capture triggers of the table."""
    table, standby = run.table.doubled, now.require_standby()
    if catalog.describe(session, table) is None:
        parts = {"standby": standby.table_name.identifier, "columns": columns(now.change_log_columns)}
        session.run("engine/create_doubled", doubled=table.identifier, **parts)
        attributes.set_comment(session, "TABLE", table.identifier, COMMENT)
        attributes.create_policies(session, now.live, table)
        attributes.set_owner(session, table, now.live.owner)
        attributes.copy_grants(session, now.live, table)
    elif not matches(session, standby, run.table):
        raise PreconditionFailed(
            f"{table} has other columns, so the rows with a doubled key have no place",
            where=str(run.table),
            remedy=f"ALTER TABLE {table.quoted} RENAME TO another name, then clear this task",
        )
    # A row deleted here by hand is logged, so it is written again while the live table has it.
    capture.extend(run, session, (table,))


def _tell(run: Run, session: Session, put: int) -> None:
    text = (
        f"{figures.count(put, 'row')} with a key that {run.table} has already: the older row stays in the table, "
        f"these are written to {run.table.doubled}"
    )
    log.warning("%s", text)
    run.ledger.add_note(text, session=session)


def leave(run: Run, session: Session, now: Sides) -> None:
    """Mark the open rows as taken out of the live table, in the transaction of a swap back.

    Their keys are logged, so that the next reconcile takes them out of the partitioned table as well. Raises Diverged
    if the table beside lacks its capture triggers.
    """
    if not now.live.is_partitioned or not count_open(session, run):
        return
    if not capture.is_on(run, session, run.table.doubled):
        raise Diverged(
            f"a capture trigger of {run.table.doubled} is missing or disabled, so it may lack rows",
            where=str(run.table),
            remedy=f"ALTER TABLE {run.table.doubled.quoted} ENABLE ALWAYS TRIGGER each of its partition_playbook "
            "triggers, then clear this task",
        )
    session.rows("engine/become_reconciler")
    parts = {"doubled": run.table.doubled.identifier, "log": run.table.change_log.identifier}
    gone = session.run("engine/leave_doubled_rows", columns=columns(now.change_log_columns), **parts)
    run.ledger.record_measurement(
        "migration", "doubled_rows", gone, "rows", session=session, table=str(run.table.doubled)
    )
    text = (
        f"the rollback takes {figures.count(gone, 'row')} with a doubled key out of {run.table}; "
        f"they are kept in {run.table.doubled}"
    )
    log.warning("%s", text)
    run.ledger.add_note(text, session=session)


def doubled_check(run: Run) -> Check:
    """Return the check that no row is beside the table; after a rollback a failure is a no-go."""
    with run.database.session() as session:
        found = _count(session, run.table) if exists(session, run.table) else {"open": 0, "gone": 0}
        live = sides(session, run).live
    number = found["open"] if live.is_partitioned else found["gone"]
    return check(
        "doubled_rows",
        not number,
        expected=f"no row outside {run.table} because of a doubled key",
        actual=f"{figures.count(number, 'row')} in {run.table.doubled}" if number else "none",
        remedy=f"Look at them: `SELECT * FROM {run.table.doubled.quoted} ORDER BY {OWN_COLUMNS[0]}`. The older row of "
        "each key is in the table. Merge or renumber the others by hand; the playbook never drops them",
        evidence={"table": str(run.table.doubled), **found},
    )
