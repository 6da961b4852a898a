"""Refuse by name every dependent object and property that the engine cannot carry over to the shadow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from partition_playbook import catalog
from partition_playbook.catalog import Table
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.engine import apply_workers
from partition_playbook.errors import PreconditionFailed
from partition_playbook.run import Run
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.spec import RunParams
from partition_playbook.workload.row_triggers import row_triggers

# The first version with NOT VALID foreign keys on a partitioned table.
UNCHECKED_KEYS_FROM = 18


@dataclass(frozen=True)
class TableContext:
    """The table as described, and the names found by list_unsupported.sql, by kind."""

    table: Table
    partition_by: str
    server_version: int
    others: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Unsupported:
    """One kind of object or property that is not carried over, with the function that finds it and the remedy."""

    name: str
    find: Callable[[TableContext], Iterable[str]]
    remedy: str
    severity: Severity = Severity.ERROR

    def check(self, context: TableContext) -> Check:
        """Return a check; it fails if the table has anything of this kind."""
        found = list(self.find(context))
        return check(
            self.name,
            not found,
            expected="none that cannot be carried over",
            actual="; ".join(found) or "none",
            remedy=self.remedy,
            severity=self.severity,
        )


def unsupported_checks(context: PreflightContext) -> Iterator[Check]:
    """Make one check for each kind in UNSUPPORTED."""
    others: dict[str, list[str]] = defaultdict(list)
    with context.run.database.block(context.session):
        for row in context.session.rows(
            "preflight/list_unsupported", context.name | {"partition_by": context.partition_by}
        ):
            others[row["kind"]].append(row["name"])
        for each in row_triggers(context.session, context.table.table_name):
            if each.before and each.assigns(context.partition_by):
                others["triggers"].append(f"{each.name} sets {context.partition_by}")
    others["subscriptions"] += apply_workers.of_extensions(context.session, context.run.table)

    found = TableContext(context.table, context.partition_by, context.session.server_version(), others)
    for kind in UNSUPPORTED:
        if kind.name == "other_dependants" and context.standing_run:
            reason = f"objects of run {context.standing_run} depend on the table: see no_standing_run"
            yield skipped(kind.name, reason)
        else:
            yield kind.check(found)


def require_supported(run: Run, params: RunParams) -> None:
    """Raise PreconditionFailed if the original table has an object that cannot be carried over.

    Preflight refuses the same objects, but days may have passed since. Once the partitioned table is live, it returns.
    """
    with run.database.session() as session:
        table = catalog.require(session, run.table)
        if table.is_partitioned:
            return
        found = [each for each in unsupported_checks(PreflightContext(run, params, session, table)) if each.blocks]

    if found:
        raise PreconditionFailed(
            "these cannot be carried over, and came after preflight: "
            + "; ".join(f"{each.name}: {each.actual}" for each in found),
            where=str(run.table),
            remedy=". ".join([*(each.remedy for each in found), "Then clear this task"]),
        )


def _listed(kind: str) -> Callable[[TableContext], Iterable[str]]:
    return lambda context: context.others.get(kind, ())


def _triggers(context: TableContext) -> Iterator[str]:
    yield from context.others.get("triggers", ())
    for each in context.table.user_triggers:
        if each.each_row and each.transitions:
            yield f"{each.name} has transition tables"


def _constraints(kinds: str) -> Callable[[TableContext], Iterable[str]]:
    return lambda context: (each.name for each in context.table.constraints if each.kind in kinds)


def _no_inherit(context: TableContext) -> Iterator[str]:
    yield from context.others.get("constraints_not_inherited", ())
    checks = (each for each in context.table.constraints if each.kind == "c")
    yield from (each.name for each in checks if "NO INHERIT" in each.definition)


def _labels(context: TableContext) -> Iterator[str]:
    yield from context.table.security_labels
    yield from context.others.get("security_labels", ())


def _unchecked_keys(context: TableContext) -> Iterator[str]:
    if context.server_version < UNCHECKED_KEYS_FROM:
        yield from (each.name for each in context.table.foreign_keys if not each.validated)


def _without_overlaps(context: TableContext) -> Iterator[str]:
    temporal = ("WITHOUT OVERLAPS", "PERIOD")
    keys = [each for each in context.table.constraints if each.kind in "puf"]
    return (each.name for each in keys if any(word in each.definition for word in temporal))


def _published_columns(context: TableContext) -> Iterator[str]:
    for each in context.table.publications:
        if each.columns and context.partition_by not in each.columns:
            yield f"{each.name} ({', '.join(each.columns)})"


UNSUPPORTED = (
    Unsupported(
        "nested_materialized_views",
        _listed("nested_materialized_views"),
        "DROP the outer materialized view and create it again after partition_finalize, or let it read a plain view",
    ),
    Unsupported(
        "invalid_indexes",
        _listed("invalid_indexes"),
        "REINDEX INDEX CONCURRENTLY each of them, or DROP INDEX: a copy of a materialized view has valid indexes only",
    ),
    Unsupported(
        "views",
        _listed("views"),
        "Replace the view by one whose GROUP BY names every selected column, because the primary key changes, and that "
        "reads the table without ONLY",
    ),
    Unsupported("rules", lambda context: context.table.rules, "DROP RULE, or replace the rules by triggers"),
    Unsupported(
        "rules_elsewhere", _listed("rules_elsewhere"), "DROP RULE, and create them again after partition_finalize"
    ),
    Unsupported(
        "triggers",
        _triggers,
        "Use transition tables in statement triggers only, and set the partition column by a DEFAULT. A row trigger on "
        "a partition can have no transition tables and cannot move the row to another partition",
    ),
    Unsupported(
        "publications",
        _listed("publications"),
        "Replace the publication by one that names the table: FOR ALL TABLES and FOR TABLES IN SCHEMA publish the "
        "shadow too",
    ),
    Unsupported(
        "published_columns",
        _published_columns,
        "Add the partition column with ALTER PUBLICATION … SET TABLE: it becomes part of the replica identity",
    ),
    Unsupported(
        "publications_of_partitions",
        _listed("publications_of_partitions"),
        "Run ALTER PUBLICATION … SET (publish_via_partition_root = true) first: subscribers then get the rows of these "
        "tables under the name of the partitioned table",
    ),
    Unsupported(
        "subscriptions",
        _listed("subscriptions"),
        "DROP SUBSCRIPTION first: its writes fire no capture trigger, and it stops at a renamed table",
    ),
    Unsupported("exclusion_constraints", _constraints("x"), "DROP CONSTRAINT first: they cannot span partitions"),
    Unsupported(
        "keys_not_valid",
        _unchecked_keys,
        f"VALIDATE CONSTRAINT or DROP CONSTRAINT first, or upgrade to PostgreSQL {UNCHECKED_KEYS_FROM}",
    ),
    Unsupported("not_null_not_valid", _listed("not_null_not_valid"), "VALIDATE CONSTRAINT first, or DROP NOT NULL"),
    Unsupported(
        "constraints_not_inherited",
        _no_inherit,
        "Drop them and add them without NO INHERIT: PostgreSQL refuses NO INHERIT on a partitioned table",
    ),
    Unsupported("temporal_constraints", _without_overlaps, "Replace them by keys without PERIOD and OVERLAPS"),
    Unsupported(
        "functions",
        _listed("functions"),
        "Drop these functions, and create them again after partition_finalize: they depend on the row type, a key or "
        "ONLY",
    ),
    Unsupported(
        "row_type",
        _listed("row_type"),
        "Give these objects a composite type of their own instead of the row type of the table",
    ),
    Unsupported("typed_table", _listed("typed_table"), "Run ALTER TABLE … NOT OF first"),
    Unsupported(
        "extension",
        _listed("extension"),
        "Run ALTER EXTENSION … DROP TABLE or DROP MATERIALIZED VIEW first, and ADD again after partition_finalize",
    ),
    Unsupported(
        "security_labels",
        _labels,
        "Drop them with SECURITY LABEL … IS NULL, and set them again after partition_finalize",
    ),
    Unsupported(
        "grants_by_others",
        _listed("grants_by_others"),
        "REVOKE GRANT OPTION FOR … FROM the grantor CASCADE and let the owner grant them. If the grantor is no member "
        "of the owner, GRANT the grantor TO the migrating role is enough",
    ),
    Unsupported(
        "extension_dependents",
        _listed("extension_dependents"),
        "ALTER … NO DEPENDS ON EXTENSION on each of them first, and ALTER … DEPENDS ON EXTENSION after "
        "partition_finalize",
    ),
    Unsupported(
        "dependents_of_others",
        _listed("dependents_of_others"),
        "GRANT these owners to the role of the connection: only the owner can rebind an object to the new table",
    ),
    Unsupported(
        "other_dependants",
        _listed("other_dependants"),
        "Drop them, and create them again after partition_finalize: they are bound to the table's oid, not its name. "
        "A temporary object ends with its session",
    ),
    Unsupported(
        "own_name",
        _listed("own_name"),
        "Drop these definitions, or write the name in them as text instead of regclass: the copy of a regclass still "
        "means the original table",
    ),
    Unsupported(
        "triggers_on_moves",
        _listed("triggers_on_moves"),
        "They matter if the application updates the partition column: an UPDATE across partitions fires the row "
        "triggers of DELETE and INSERT. Create a trigger on UPDATE for both too. If another one must not fire then, "
        "drop it, or let the application delete and insert such a row itself",
        Severity.WARNING,
    ),
    Unsupported(
        "clustered_index",
        lambda context: (each.name for each in context.table.indexes if each.clustered),
        "The CLUSTER mark is not copied: partitions are loaded in the order of the partition column",
        Severity.WARNING,
    ),
)
