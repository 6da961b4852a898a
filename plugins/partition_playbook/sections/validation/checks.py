"""Check the live partitioned table against the original: rows, bounds, indexes, keys, capture, sequences, parity."""

from __future__ import annotations

from psycopg import sql

from partition_playbook import figures, parity
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row, Session
from partition_playbook.engine import capture, cutover, dependents, layout, verify
from partition_playbook.engine.sides import Sides, sides
from partition_playbook.ledger import Statistics
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.sections.snapshot.partition_statistics import statistics
from partition_playbook.sections.validation import foreign_keys
from partition_playbook.sections.validation.foreign_keys import NUMBERED
from partition_playbook.sections.validation.indexes import duplicates_check, index_check
from partition_playbook.sections.validation.partitions import default_check, partition_check


def validation_checks(run: Run, workers: int = verify.WORKERS) -> list[Check]:
    """Make every check of the section; only partitioned_table_live if the original table is still live.

    All rows are compared by so many ``workers``.
    """
    with run.database.session() as session:
        now = sides(session, run)
    live = partitioned_check(now)
    if live.blocks:
        return [live]

    content = verify.content_check(*verify.compare(run, workers))
    counts = snapshot_check(run)
    keys = [foreign_keys.presence_check(run, now), foreign_keys.enforcement_check(run, now)]

    with run.database.session() as session:
        return [
            live,
            content,
            counts,
            partition_check(run, session),
            default_check(run, session),
            index_check(session, now),
            duplicates_check(session, now),
            *keys,
            capture_check(run, session),
            *identity_checks(session, now),
            parity_check(run),
        ]


def partitioned_check(now: Sides) -> Check:
    """Return a check; it fails while the original table is live."""
    return check(
        "partitioned_table_live",
        now.live.is_partitioned,
        expected=f"{now.live.table_name} is partitioned",
        actual=f"{now.live.table_name} is {'partitioned' if now.live.is_partitioned else 'the original table'}",
        remedy="Clear migration.cut_over to run the cutover first",
    )


def snapshot_check(run: Run) -> Check:
    """Compare rows and checksums with the snapshot, partition by partition, and record the current ones.

    Writes continue, so a difference alone is no loss; row_content is the proof. A difference without any captured write
    is a warning, missing statistics of the snapshot are an error.
    """
    before = run.ledger.statistics("snapshot")
    bounds = [layout.bounds_of(load, run.spec) for load in run.ledger.loads()]

    with run.database.snapshot() as session:
        now = {each.partition: each for each in statistics(session, run, bounds=bounds)}
        log = run.table.change_log.identifier.as_string(session.connection)
        captured = session.value("validation/count_captured", {"log": log})
    with run.database.transaction() as session:
        run.ledger.set_statistics(session, "validation", now.values())

    compared = {name: _difference(before.get(name), now.get(name)) for name in before.keys() | now.keys()}
    changed = {name: difference for name, difference in sorted(compared.items()) if difference}
    net = sum(each.rows for each in now.values()) - sum(each.rows for each in before.values())
    sign = "+" if net >= 0 else ""
    summary = (
        f"{figures.count(len(now) - len(changed), 'partition')} unchanged; {figures.number(len(changed))} changed, by "
        f"{sign}{figures.count(net, 'row')} net"
    )

    return check(
        "snapshot_rows",
        bool(before) and not (changed and captured == 0),
        expected="the rows and checksums of the snapshot in each partition, but for captured writes",
        actual=f"{summary}; {figures.count(captured, 'change')} captured since"
        if before
        else "no statistics of the snapshot are recorded",
        severity=Severity.WARNING if before else Severity.ERROR,
        remedy="Find the writes: they came between the snapshot and the start of capture, or bypassed the capture "
        "triggers, for example with session_replication_role = replica"
        if before
        else "Trigger partition_rollback and start a new run: without the snapshot no rows can be compared",
        evidence=changed,
    )


def _difference(before: Statistics | None, now: Statistics | None) -> str:
    """Describe the difference of a partition; empty if rows and checksum are equal."""
    rows, checksum = (before.rows, before.checksum) if before else (0, 0)
    rows_now, checksum_now = (now.rows, now.checksum) if now else (0, 0)
    if (rows, checksum) == (rows_now, checksum_now):
        return ""
    then, current = figures.count(rows, "row"), figures.count(rows_now, "row")
    return f"{then}, checksum {checksum}; now {current}, checksum {checksum_now}"


def capture_check(run: Run, session: Session) -> Check:
    """Return a check; it fails if a write to the live table would be lost by a rollback."""
    lost = capture.loss(session, run)
    on = capture.is_on(run, session, run.table) and not lost
    return check(
        "capture_on",
        on,
        expected="every write to the live table is captured, so a rollback keeps it",
        actual="captured" if on else lost or "a capture trigger is missing or disabled",
        remedy="Do not roll back: the retired table lacks the writes since capture stopped. Keep the partitioned "
        "table, or copy these writes to the retired table first",
    )


def identity_checks(session: Session, now: Sides) -> list[Check]:
    """Return a check of each owned sequence; it fails if the next value is not beyond the values in use."""
    owned = session.rows("catalog/list_sequences", {"schema": now.live.schema, "name": now.live.name})
    if not owned:
        return [skipped("identity_continues", "no column of the live table owns a sequence")]

    before = session.rows("catalog/list_sequences", {"schema": now.monolith.schema, "name": now.monolith.name})
    originals = {row["column_name"]: row for row in before}
    return [_identity_check(session, now, row, originals.get(row["column_name"])) for row in owned]


def _identity_check(session: Session, now: Sides, row: Row, original: Row | None) -> Check:
    """Compare the next value with the rows; a warning if the original was behind too: its ids have another source."""
    name = f"identity_continues_{row['column_name']}"
    kind = now.live.column(row["column_name"]).type
    if kind.partition("(")[0] not in NUMBERED:
        return skipped(name, f"its values are {kind}: they are not compared with the next number")
    if row["seqcycle"]:
        return skipped(name, "its sequence starts again at its end (CYCLE), and values come again")

    step = {"increment": row["seqincrement"]}
    column = sql.Identifier(row["column_name"])
    greatest = session.value("validation/find_greatest", step, table=now.live.table_name.identifier, column=column)
    upcoming = session.value("validation/find_next_value", step, sequence=_sequence(row))
    was = session.value("validation/find_next_value", step, sequence=_sequence(original)) if original else upcoming
    elsewhere = _ahead(row, was, greatest) <= 0 <= _ahead(row, upcoming, was)

    return check(
        name,
        _ahead(row, upcoming, greatest) > 0,
        expected=f"the next value is beyond {greatest}, the last one in use",
        actual=f"the next value of {row['schema']}.{row['name']} is {upcoming}",
        severity=Severity.WARNING if elsewhere else Severity.ERROR,
        remedy="Run SELECT setval(sequence, value) with the last value in use",
    )


def _sequence(row: Row) -> sql.Identifier:
    return TableName(row["schema"], row["name"]).identifier


def _ahead(row: Row, value: int, used: int | None) -> int:
    """Return the distance of ``value`` ahead of ``used``, in the direction of the sequence."""
    distance = 1 if used is None else value - used
    return distance if row["seqincrement"] > 0 or used is None else -distance


def parity_check(run: Run, *, name: str = "parity") -> Check:
    """Return a check; it fails if an application can notice a difference between the tables or from the original."""
    with run.database.session() as session:
        now = sides(session, run)
        live = dependents.parity_facts(session, run.table, now.partition_by)
        found = cutover.differences(run, session, now)

    recorded = run.ledger.measurements("migration")["surface"]["detail"]
    found += parity.compare(recorded["facts"], live, live=True)
    same = len(recorded["facts"]) - len(found)

    return check(
        name,
        not found,
        expected="every parity fact of the original on the live table, and on both tables if both can have it",
        actual="; ".join(map(str, found))
        or f"{figures.count(same, 'parity fact')} equal, {figures.number(len(recorded['translated']))} translated",
        remedy="Apply the change to both tables or undo it, then clear this task",
        evidence={"same": same, "translated": recorded["translated"], "missing": [str(each) for each in found]},
    )
