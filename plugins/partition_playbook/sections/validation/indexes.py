"""Check the indexes of every partition, and search for duplicates in keys that became weaker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from partition_playbook import figures
from partition_playbook.catalog import Index
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row, Session
from partition_playbook.engine.sides import Sides
from partition_playbook.sql import columns


def index_check(session: Session, now: Sides) -> Check:
    """Return a check; it fails if a partition lacks a valid, attached index of the original or the parent.

    Every unique index of the original without the partition column is expected with it. An index that was invalid on
    the original stays invalid, and no partition has it.
    """
    live = now.live
    found = session.rows("validation/list_partition_indexes", {"schema": live.schema, "name": live.name})
    expected = now.monolith.partitioned_by(now.partition_by).indexes
    invalid = {index.tail for index in expected if not index.valid}
    stays = {index.name for index in live.indexes if not index.valid and index.tail in invalid}
    present = [row for row in found if row["parent_index"] not in stays]
    problems = [f"{index.name} of the original is missing: {index.tail}" for index in _missing(now, expected)]
    problems += list(_invalid(present))
    partitions = {row["partition"] for row in found}
    left = f", {figures.count(len(stays), 'index', 'indexes')} invalid as on the original" if stays else ""

    return check(
        "partition_indexes",
        not problems,
        expected="a valid, attached index in each partition for each of "
        f"{figures.count(len(expected) - len(invalid), 'valid index', 'valid indexes')}",
        actual="; ".join(problems)
        or f"{figures.count(len(present), 'valid index', 'valid indexes')} in "
        f"{figures.count(len(partitions), 'partition')}{left}",
        remedy="Run CREATE INDEX on the live table, or ALTER INDEX … ATTACH PARTITION for the partitions named",
        evidence=_indexes_by_partition(found),
    )


def _missing(now: Sides, expected: Sequence[Index]) -> list[Index]:
    """Return the indexes of the original without a counterpart; two with one definition need two."""
    left = Counter(index.tail for index in now.live.indexes)
    missing = []
    for index in expected:
        left[index.tail] -= 1
        missing += [index] if left[index.tail] < 0 else []
    return missing


def _invalid(found: Sequence[Row]) -> Iterator[str]:
    yield from sorted({f"{row['parent_index']} is not valid" for row in found if not row["parent_valid"]})
    for row in found:
        if not row["child_valid"]:
            index = "valid index" if row["child_index"] else "index"
            yield f"{row['partition']} has no {index} for {row['parent_index']}"


def _indexes_by_partition(found: Sequence[Row]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for row in found:
        names.setdefault(row["partition"], []).append(row["child_index"] or f"none for {row['parent_index']}")
    return names


def duplicates_check(session: Session, now: Sides) -> Check:
    """Search for duplicates in keys now enforced only together with the partition column."""
    weaker = [each for each in now.monolith.indexes if each.unique and now.partition_by not in each.columns]
    plain = [each for each in weaker if each.plain]
    if not plain:
        return skipped("duplicates", "no key became weaker; partial keys and keys on expressions are not checked")

    live = now.live.table_name.identifier
    counts = {}
    for each in plain:
        parts = {"table": live, "columns": columns(each.columns)}
        counts[f"({', '.join(each.columns)})"] = session.value("validation/count_duplicates", **parts)

    return check(
        "duplicates",
        not any(counts.values()),
        expected=f"no duplicates in {', '.join(counts)}, although only the wider key is enforced",
        actual=", ".join(f"{figures.count(count, 'duplicate')} in {name}" for name, count in counts.items()),
        severity=Severity.WARNING,
        remedy="Find the writer of these values and correct them: PostgreSQL refuses duplicates only within the same "
        "partition value",
        evidence=counts,
    )
