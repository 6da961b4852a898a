"""Prove that the table that is live now holds every row and keeps every promise of the original."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from psycopg import sql

from partition_playbook import catalog, parity
from partition_playbook.catalog import Index, Partition
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.evidence import contents, foreign_keys
from partition_playbook.intervals import Bounds, in_zone
from partition_playbook.ledger import Statistics
from partition_playbook.migration import capture, cutover, dependents, shadow, verify
from partition_playbook.migration.run import Run, Sides, sides
from partition_playbook.names import TableName
from partition_playbook.spec import DefaultPartition
from partition_playbook.sql import columns


def checks(run: Run) -> list[Check]:
    """Make every check of the section; the table must be live as the partitioned one."""
    with run.database.session() as session:
        now = sides(session, run)
    live = partitioned_check(now)
    if live.blocks:
        return [live]
    content = verify.content_check(*verify.compare(run))
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
    """Return the check that the partitioned table has taken over."""
    return check(
        "partitioned_table_live",
        now.live.is_partitioned,
        expected=f"{now.live.table_name} is partitioned",
        actual=f"{now.live.table_name} is {'partitioned' if now.live.is_partitioned else 'the original table'}",
        remedy="Run the migration's cutover first",
    )


def snapshot_check(run: Run) -> Check:
    """Show what became of the snapshot's rows and checksums, partition by partition; record what there is now.

    Writes go on, so a difference alone proves nothing: that no row was lost is for row_content to prove. Suspicious is
    a difference where no write was ever captured.
    """
    before = run.ledger.statistics("snapshot")
    bounds = [shadow.bounds_of(load, run.spec) for load in run.ledger.loads()]
    with run.database.snapshot() as session:
        now = {each.partition: each for each in contents.statistics(session, run, bounds=bounds)}
        log = run.table.change_log.identifier.as_string(session.connection)
        captured = session.value("validation/count_captured", {"log": log})
    with run.database.transaction() as session:
        run.ledger.set_statistics(session, "validation", now.values())
    changed = {name: _difference(before.get(name), now.get(name)) for name in before.keys() | now.keys()}
    changed = {name: told for name, told in sorted(changed.items()) if told}
    net = sum(each.rows for each in now.values()) - sum(each.rows for each in before.values())
    told = f"{len(now) - len(changed)} partitions hold the same rows; {len(changed)} changed, by {net:+d} rows net"
    return check(
        "snapshot_rows",
        bool(before) and not (changed and captured == 0),
        expected="the snapshot's rows and checksums in each partition, but for what was written since",
        actual=f"{told}; {captured} changes were captured since"
        if before
        else "no statistics were taken at the snapshot",
        severity=Severity.WARNING if before else Severity.ERROR,
        remedy="The rows changed between the snapshot and the capture, or behind the capture's back"
        if before
        else "Run the snapshot section first",
        evidence=changed,
    )


def _difference(before: Statistics | None, now: Statistics | None) -> str:
    """Tell what became of a partition; nothing where it holds the same rows."""
    rows, checksum = (before.rows, before.checksum) if before else (0, 0)
    rows_now, checksum_now = (now.rows, now.checksum) if now else (0, 0)
    if (rows, checksum) == (rows_now, checksum_now):
        return ""
    return f"{rows} rows, checksum {checksum}; now {rows_now} rows, checksum {checksum_now}"


def expected_bounds(run: Run, session: Session) -> list[Bounds]:
    """Compute the partitions that the rows need now, and those that the clock asked for when the run began."""
    planned = shadow.planned_bounds(session, run.spec)
    interval = run.spec.interval
    began = interval.floor(in_zone(run.ledger.run()["started_at"], run.spec.timezone))
    newest = shadow.find_range(session, run.spec)["newest"]
    needed = max(interval.shift(began, run.spec.premake), in_zone(newest, run.spec.timezone) if newest else began)
    return [each for each in planned if each.lower <= needed]


def partition_check(run: Run, session: Session) -> Check:
    """Return the check that the catalog's real bounds cover rows and clock without a gap."""
    actual = catalog.partitions(session, run.table)
    try:
        expected = expected_bounds(run, session)
    except PreconditionFailed as error:
        return check(
            "partition_count",
            False,
            expected="partitions for every row",
            actual=error.problem,
            remedy=error.remedy,
        )
    known = {bounds.lower for bounds in expected} | {_lower(run, load) for load in run.ledger.loads()}
    problems = list(_bound_problems(run, actual, expected, known))
    default = "and a default" if run.spec.default_partition is DefaultPartition.KEEP else "and no default"
    ranged = [each for each in actual if not each.is_default]
    return check(
        "partition_count",
        not problems,
        expected=f"{len(expected)} partitions, {expected[0].lower} to {expected[-1].upper}, {default}, without a gap",
        actual="; ".join(problems) or f"{len(ranged)} partitions {default}, without a gap",
        remedy="Run partition_maintenance for missing partitions; look at the bounds in the evidence for the rest",
        evidence={each.table.name: each.bound for each in actual},
    )


def _lower(run: Run, load: Row) -> object:
    return in_zone(load["lower_bound"], run.spec.timezone)


def _bound_problems(
    run: Run, actual: Sequence[Partition], expected: Sequence[Bounds], known: set[object]
) -> Iterator[str]:
    yield from (f"{each.table.name} waits to be detached" for each in actual if each.detach_pending)
    keeps = run.spec.default_partition is DefaultPartition.KEEP
    if keeps != any(each.is_default for each in actual):
        yield f"there is {'no' if keeps else 'a'} default partition"
    ends = {each.table.name: each.ends(run.spec.timezone) for each in actual if not each.is_default}
    ranged = sorted((found[0], found[1], name) for name, found in ends.items() if found and found[0] and found[1])
    yield from (f"the bound of {name} is not one closed range" for name in ends.keys() - {each[2] for each in ranged})
    for (_, upper, before), (lower, _, after) in pairwise(ranged):
        if upper != lower:
            yield f"a gap between {before} and {after}"
    found_bounds = {(lower, upper) for lower, upper, _ in ranged}
    yield from (f"no partition for {each}" for each in expected if (each.lower, each.upper) not in found_bounds)
    yield from (f"{name} was not planned" for lower, _, name in ranged if lower not in known)


def default_check(run: Run, session: Session) -> Check:
    """Return the check that no row lies outside every bound."""
    defaults = [each for each in catalog.partitions(session, run.table) if each.is_default]
    if not defaults:
        return skipped("default_empty", "there is no default partition", expected="0 rows")
    rows = session.value("validation/count_rows", table=defaults[0].table.identifier)
    return check(
        "default_empty",
        rows == 0,
        expected="0 rows in the default partition",
        actual=f"{rows} rows in {defaults[0].table}",
        remedy="Look at their partition values: correct them, or create the partitions that they need",
    )


def duplicates_check(session: Session, now: Sides) -> Check:
    """Look for values that occur twice in a key that is only enforced together with the partition column now."""
    weaker = [each for each in now.monolith.indexes if each.unique and now.partition_by not in each.columns]
    plain = [each for each in weaker if each.plain]
    if not plain:
        return skipped("duplicates", "no key became weaker, but for partial ones and those on expressions")
    live = now.live.table_name.identifier
    counts = {}
    for each in plain:
        parts = {"table": live, "columns": columns(each.columns)}
        counts[f"({', '.join(each.columns)})"] = session.value("validation/count_duplicates", **parts)
    return check(
        "duplicates",
        not any(counts.values()),
        expected=f"no value twice in {', '.join(counts)}, although only the wider key is enforced",
        actual=", ".join(f"{count} in {name}" for name, count in counts.items()),
        severity=Severity.WARNING,
        remedy="Find out who chose these values: PostgreSQL refuses them at the same moment only",
        evidence=counts,
    )


def index_check(session: Session, now: Sides) -> Check:
    """Return the check that every partition has a valid, attached index for each one of original and parent."""
    live = now.live
    found = session.rows("validation/list_partition_indexes", {"schema": live.schema, "name": live.name})
    present = {index.tail for index in live.indexes}
    problems = [f"{index.name} of the original is missing" for index in _lacking(now, present)]
    problems += sorted({f"{row['parent_index']} is not valid" for row in found if not row["parent_valid"]})
    problems += [
        f"{row['partition']} has no {'valid ' if row['child_index'] else ''}index for {row['parent_index']}"
        for row in found
        if not row["child_valid"]
    ]
    partitions = {row["partition"] for row in found}
    return check(
        "partition_indexes",
        not problems,
        expected=f"a valid, attached index in each partition for each of {len(now.monolith.indexes)} indexes",
        actual="; ".join(problems) or f"{len(found)} indexes, all valid, in {len(partitions)} partitions",
        remedy="CREATE INDEX on the live table, or ALTER INDEX … ATTACH PARTITION for the partitions named",
        evidence=_indexes_by_partition(found),
    )


def _lacking(now: Sides, present: set[str]) -> list[Index]:
    """Return the indexes of the original that the live table lacks; its primary key has the partition column now."""
    primary = now.live.primary_key is not None and now.live.primary_key.columns == now.logged
    return [each for each in now.monolith.indexes if not (primary if each.primary else each.tail in present)]


def _indexes_by_partition(found: Sequence[Row]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for row in found:
        names.setdefault(row["partition"], []).append(row["child_index"] or f"none for {row['parent_index']}")
    return names


def capture_check(run: Run, session: Session) -> Check:
    """Return the check that writes to the live table are captured for the way back."""
    lost = capture.loss(session, run)
    on = capture.is_on(session, run.table) and not lost
    return check(
        "capture_on",
        on,
        expected="every write to the live table is captured, so that a rollback keeps it",
        actual="captured" if on else lost or "a trigger of the capture is missing or disabled",
        remedy="Do not roll back by swapping: writes since the capture went off would be lost",
    )


def identity_checks(session: Session, now: Sides) -> list[Check]:
    """Return the check that numbered columns go on beyond the rows that are there."""
    owned = session.rows("catalog/list_sequences", {"schema": now.live.schema, "name": now.live.name})
    if not owned:
        return [skipped("identity_continues", "no column of the live table owns a sequence")]
    before = session.rows("catalog/list_sequences", {"schema": now.monolith.schema, "name": now.monolith.name})
    originals = {row["column_name"]: row for row in before}
    return [_identity_check(session, now, row, originals.get(row["column_name"])) for row in owned]


def _identity_check(session: Session, now: Sides, row: Row, original: Row | None) -> Check:
    """Compare the next value with the rows; where the original was behind as well, ids come from elsewhere."""
    step = {"increment": row["seqincrement"]}
    column = sql.Identifier(row["column_name"])
    greatest = session.value("validation/find_greatest", step, table=now.live.table_name.identifier, column=column)
    upcoming = session.value("validation/find_next_value", step, sequence=_sequence(row))
    was = session.value("validation/find_next_value", step, sequence=_sequence(original)) if original else upcoming
    elsewhere = _ahead(row, was, greatest) <= 0 <= _ahead(row, upcoming, was)
    return check(
        f"identity_continues_{row['column_name']}",
        _ahead(row, upcoming, greatest) > 0,
        expected=f"the next value lies beyond {greatest}, the last one in use",
        actual=f"the next value of {row['schema']}.{row['name']} is {upcoming}",
        severity=Severity.WARNING if elsewhere else Severity.ERROR,
        remedy="Set the sequence beyond the last value in use with setval()",
    )


def _sequence(row: Row) -> sql.Identifier:
    return TableName(row["schema"], row["name"]).identifier


def _ahead(row: Row, value: int, used: int | None) -> int:
    """Return how far ``value`` lies ahead of ``used`` in the direction in which the sequence counts."""
    distance = 1 if used is None else value - used
    return distance if row["seqincrement"] > 0 or used is None else -distance


def parity_check(run: Run, *, name: str = "parity") -> Check:
    """Return the check that an application can't tell the live table from the original, nor the other one from it."""
    with run.database.session() as session:
        now = sides(session, run)
        live = dependents.surface_of(session, run.table, now.partition_by)
        found = cutover.differences(run, session, now)
    recorded = run.ledger.measurements("migration")["surface"]["detail"]
    found += parity.compare(recorded["facts"], live, live=True)
    same = len(recorded["facts"]) - len(found)
    return check(
        name,
        not found,
        expected="all that hung on the original hangs on the live table, and whatever can be on both tables is on both",
        actual="; ".join(map(str, found)) or f"{same} things are the same, {len(recorded['translated'])} translated",
        remedy="Make the change on both tables, or undo it",
        evidence={"same": same, "translated": recorded["translated"], "missing": [str(each) for each in found]},
    )
