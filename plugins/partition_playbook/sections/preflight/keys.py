"""Check the keys of the table, and the foreign keys to it."""

from __future__ import annotations

from collections.abc import Sequence

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row
from partition_playbook.errors import PreconditionFailed
from partition_playbook.sections.preflight import key_steps
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.key_steps import InboundKey, NewKey
from partition_playbook.sections.preflight.unsupported import UNCHECKED_KEYS_FROM
from partition_playbook.spec import Mode

# The time to make one foreign key to one partition again; 0.9 ms measured on an idle server.
INBOUND_KEY_MS = 1.0


def key(context: PreflightContext) -> Check:
    """Check that a primary key or a unique index over NOT NULL columns identifies each row."""
    return check(
        "key",
        bool(context.table.key),
        expected="a primary key, or a unique index on NOT NULL columns",
        actual=", ".join(context.table.key) or "none",
        remedy="Add a primary key: without one, a changed row cannot be found in the standby table",
    )


def uniqueness(context: PreflightContext) -> Check:
    """Require accept_weaker_uniqueness if a key gains the partition column."""
    by = context.partition_by
    keys = {index.name: ", ".join(index.columns) for index in context.table.indexes if index.unique}
    weaker = [
        f"{index.name}: ({keys[index.name]}) becomes ({keys[index.name]}, {by})"
        for index in context.table.indexes
        if index.unique and by not in index.columns
    ]

    accepted = context.params.accept_weaker_uniqueness or context.params.mode is Mode.PLAN
    return check(
        "uniqueness",
        not weaker,
        expected=f"{by} is a column of every unique key",
        actual="; ".join(weaker) or f"{figures.count(len(keys), 'key')} unchanged",
        severity=Severity.WARNING if accepted else Severity.ERROR,
        remedy="PostgreSQL enforces a unique key within each partition only. The same value may occur with two values "
        f"of {by}, and no foreign key can reference it alone. ON CONFLICT must name the whole new key. Values from a "
        "sequence or a random UUID stay unique in practice. Set the param accept_weaker_uniqueness to accept this",
        evidence=key_steps.evidence(key_steps.duplicates(context.table, by)) if weaker else {},
    )


def inbound_keys(context: PreflightContext) -> Check:
    """Refuse foreign keys to the table without the partition column, and those from the table to itself.

    Before PostgreSQL 15, keys with CASCADE, SET NULL or SET DEFAULT are refused too: the server takes an UPDATE across
    partitions for a DELETE. Before 18, keys of partitioned tables are refused: the swap adds each key as NOT VALID.
    """
    rows = context.session.rows("preflight/list_inbound_keys", context.name)
    server = context.session.server_version()
    keys = [InboundKey(context.table, context.partition_by, row, server) for row in rows]
    refused = [each for each in keys if each.row["own"] or each.by_id_alone]
    moved = "would cascade if an UPDATE moves a row to another partition, before PostgreSQL 15"
    found = [each.name for each in refused] + [f"{row['name']} {moved}" for row in rows if row["acts_on_moves"]]
    parted = [row for row in rows if row["kind"] == "p" and server < UNCHECKED_KEYS_FROM]
    found += [f"{row['name']}, a partitioned table, before PostgreSQL 18" for row in parted]
    steps = [step for each in refused for step in each.steps()]

    return check(
        "inbound_keys",
        not found,
        expected=f"every foreign key to the table references {context.partition_by} too",
        actual=", ".join(found) or f"{figures.count(len(rows), 'foreign key')} with it" if rows else "none",
        remedy=_inbound_remedy(refused, parted, acting=any(row["acts_on_moves"] for row in rows)),
        evidence={"keys": {row["name"]: row["columns"] for row in rows}, **key_steps.evidence(steps)},
    )


def _inbound_remedy(refused: list[InboundKey], parted: Sequence[Row], acting: bool) -> str:
    """Return the way on in short; the steps in the evidence have it whole."""
    able = [each for each in refused if not each.obstacle]
    told = []
    if able:
        table, by = able[0].table, able[0].partition_by
        new = NewKey(table, tuple(able[0].row["referenced"]), by)
        columns = ", ".join(f"{each.column} to {each.referring}" for each in able)
        told += [
            f"Make a unique index on ({new.listed}), add and fill the columns {columns}, let the keys name them, and "
            "drop the old keys",
            "The plan and the report print each step as SQL; docs/your-keys.md explains it",
        ]
    told += [f"Drop {each.name}: {each.obstacle}" for each in refused if each.obstacle]
    if acting:
        told.append("Make keys with CASCADE, SET NULL or SET DEFAULT again without them, or upgrade to PostgreSQL 15")
    if parted:
        names = ", ".join(row["name"] for row in parted)
        told.append(f"Drop {names}, and add it again after partition_finalize, or upgrade to PostgreSQL 18")
    return ". ".join(told)


def inbound_keys_hold(context: PreflightContext) -> Check:
    """Warn if the swap has too many foreign keys to make again under its locks, each to every partition."""
    keys = len(context.session.rows("preflight/list_inbound_keys", context.name))
    try:
        partitions = len(context.bounds)
    except PreconditionFailed:
        return skipped("inbound_keys_hold", "no partitions are planned: see partitions_planned")

    estimated = keys * partitions * INBOUND_KEY_MS
    limit = 1000 * context.run.spec.max_lock.total_seconds()
    return check(
        "inbound_keys_hold",
        estimated <= limit,
        expected=f"the swap makes the foreign keys to the table again within {figures.milliseconds(limit)}",
        actual=f"about {figures.milliseconds(estimated)}: {figures.count(keys, 'key')} to "
        f"{figures.count(partitions, 'partition')}",
        severity=Severity.WARNING,
        remedy="Reads and writes of the application wait meanwhile. Set a wider `interval`, drop the keys before the "
        "cutover and add them afterwards as NOT VALID, or raise `max_lock` in the spec",
    )


CHECKS = (key, uniqueness, inbound_keys)
