"""What hangs on the table and the engine does not carry over: it is refused by name, and never lost without a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from partition_playbook.catalog import Table
from partition_playbook.checks import Check, Severity, check
from partition_playbook.evidence.precondition import Look

# The first version that knows a foreign key NOT VALID on a partitioned table.
UNCHECKED_KEYS_FROM = 18


@dataclass(frozen=True)
class Hanging:
    """The table as described, and what list_uncarried.sql found beside that, by kind."""

    table: Table
    partition_by: str
    server_version: int
    others: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Refusal:
    """One kind of thing that is not carried over, how to find it, and what to do about it."""

    name: str
    find: Callable[[Hanging], Iterable[str]]
    remedy: str
    severity: Severity = Severity.ERROR

    def check(self, hanging: Hanging) -> Check:
        """Return the check that nothing of this kind hangs on the table."""
        found = list(self.find(hanging))
        return check(
            self.name,
            not found,
            expected="none",
            actual="; ".join(found) or "none",
            remedy=self.remedy,
            severity=self.severity,
        )


def checks(look: Look) -> Iterator[Check]:
    """Make one check for every kind of thing that is not carried over."""
    others: dict[str, list[str]] = defaultdict(list)
    with look.run.database.block(look.session):
        for row in look.session.rows("preflight/list_uncarried", look.name | {"partition_by": look.partition_by}):
            others[row["kind"]].append(row["name"])
    hanging = Hanging(look.table, look.partition_by, look.session.server_version(), others)
    for refusal in REFUSALS:
        yield refusal.check(hanging)


def _listed(kind: str) -> Callable[[Hanging], Iterable[str]]:
    return lambda hanging: hanging.others.get(kind, ())


def _triggers(hanging: Hanging) -> Iterator[str]:
    yield from hanging.others.get("triggers", ())
    for each in hanging.table.user_triggers:
        if each.each_row and each.transitions:
            yield f"{each.name} has transition tables"


def _constraints(kinds: str) -> Callable[[Hanging], Iterable[str]]:
    return lambda hanging: (each.name for each in hanging.table.constraints if each.kind in kinds)


def _no_inherit(hanging: Hanging) -> Iterator[str]:
    return (each.name for each in hanging.table.constraints if each.kind == "c" and "NO INHERIT" in each.definition)


def _unchecked_keys(hanging: Hanging) -> Iterator[str]:
    if hanging.server_version < UNCHECKED_KEYS_FROM:
        yield from (each.name for each in hanging.table.foreign_keys if not each.validated)


def _without_overlaps(hanging: Hanging) -> Iterator[str]:
    temporal = ("WITHOUT OVERLAPS", "PERIOD")
    keys = [each for each in hanging.table.constraints if each.kind in "puf"]
    return (each.name for each in keys if any(word in each.definition for word in temporal))


def _published_columns(hanging: Hanging) -> Iterator[str]:
    for each in hanging.table.publications:
        if each.columns and hanging.partition_by not in each.columns:
            yield f"{each.name} ({', '.join(each.columns)})"


REFUSALS = (
    Refusal(
        "nested_materialized_views",
        _listed("nested_materialized_views"),
        "Drop the outer one and create it again after cutover, or let it read a view",
    ),
    Refusal(
        "views",
        _listed("views"),
        "Name every column in a GROUP BY: the key alone no longer decides the others. Read the table without ONLY",
    ),
    Refusal("rules", lambda hanging: hanging.table.rules, "Drop the rules, or replace them by what they are for"),
    Refusal("rules_elsewhere", _listed("rules_elsewhere"), "Drop them and create them again after cutover"),
    Refusal(
        "triggers",
        _triggers,
        "Give transition tables to statement triggers only, and let a default set the partition column: a row trigger "
        "of a partition can have no such tables and move no row to another partition",
    ),
    Refusal(
        "publications", _listed("publications"), "Publish it by its own name: FOR ALL TABLES publishes the shadow too"
    ),
    Refusal(
        "published_columns",
        _published_columns,
        "Add the partition column to the list of the publication: it becomes part of the replica identity",
    ),
    Refusal(
        "publications_of_partitions",
        _listed("publications_of_partitions"),
        "Set publish_via_partition_root on them yourself first: it changes what subscribers get of those tables too",
    ),
    Refusal("subscriptions", _listed("subscriptions"), "End it first: a subscription loses a table that is renamed"),
    Refusal("exclusion_constraints", _constraints("x"), "Drop them: they cannot span partitions"),
    Refusal("keys_not_valid", _unchecked_keys, "VALIDATE CONSTRAINT them first, or drop them, or upgrade to 18"),
    Refusal("not_null_not_valid", _listed("not_null_not_valid"), "VALIDATE CONSTRAINT it first, or DROP NOT NULL"),
    Refusal("constraints_not_inherited", _no_inherit, "Add them without NO INHERIT: the parent has no rows"),
    Refusal("temporal_constraints", _without_overlaps, "Replace them by plain keys"),
    Refusal(
        "functions",
        _listed("functions"),
        "They bind the table's row type or its old key: drop them, and create them again after cutover",
    ),
    Refusal("row_type", _listed("row_type"), "They bind the type of the table's rows: give them a type of their own"),
    Refusal("typed_table", _listed("typed_table"), "ALTER TABLE … NOT OF first"),
    Refusal("extension", _listed("extension"), "ALTER EXTENSION … DROP TABLE first"),
    Refusal(
        "security_labels", lambda hanging: hanging.table.security_labels, "Drop them, and set them again after cutover"
    ),
    Refusal(
        "grants_by_others",
        _listed("grants_by_others"),
        "Let the owner grant them instead, or make the role that migrates a member of those who granted them",
    ),
    Refusal(
        "dependents_of_others",
        _listed("dependents_of_others"),
        "GRANT these owners to the role that migrates: what reads the table can only be bound again by its owner",
    ),
    Refusal("other_dependants", _listed("other_dependants"), "Drop them and create them again after cutover"),
    Refusal(
        "triggers_on_moves",
        _listed("triggers_on_moves"),
        "An UPDATE that moves a row to another partition fires them for DELETE and INSERT instead: let them listen to "
        "those too, if the application ever changes the partition column",
        Severity.WARNING,
    ),
    Refusal(
        "clustered_index",
        lambda hanging: (each.name for each in hanging.table.indexes if each.clustered),
        "The mark is not copied: partitions are loaded in the order of the partition column",
        Severity.WARNING,
    ),
)
