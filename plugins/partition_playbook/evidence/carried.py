"""What hangs on the table and the engine does not carry over: it is refused by name, and never lost without a word."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from partition_playbook.catalog import Index, Table
from partition_playbook.checks import Check, Severity, check
from partition_playbook.evidence.precondition import Look
from partition_playbook.migration.capture import PREFIX


@dataclass(frozen=True)
class Hanging:
    """The table as described, and what list_uncarried.sql found beside that, by kind."""

    table: Table
    partition_by: str
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
        for row in look.session.rows("preflight/list_uncarried", look.name):
            others[row["kind"]].append(row["name"])
    hanging = Hanging(look.table, look.partition_by, others)
    for refusal in REFUSALS:
        yield refusal.check(hanging)


def _listed(kind: str) -> Callable[[Hanging], Iterable[str]]:
    return lambda hanging: hanging.others.get(kind, ())


def _user_triggers(hanging: Hanging) -> Iterator[str]:
    return (each.name for each in hanging.table.triggers if not each.name.startswith(PREFIX))


def _row_security(hanging: Hanging) -> list[str]:
    enabled = ["row security is enabled"] if hanging.table.row_security else []
    return [*enabled, *(f"policy {name}" for name in hanging.table.policies)]


def _constraints(kinds: str) -> Callable[[Hanging], Iterable[str]]:
    return lambda hanging: (each.name for each in hanging.table.constraints if each.kind in kinds)


def _unique_indexes(hanging: Hanging) -> Iterator[str]:
    for index in hanging.table.indexes:
        if index.unique and not index.primary and not index.constraint and hanging.partition_by not in index.columns:
            yield f"{index.name} {index.tail}"


def _not_valid(hanging: Hanging) -> Iterator[str]:
    return (each.name for each in hanging.table.constraints if not each.validated)


def _no_inherit(hanging: Hanging) -> Iterator[str]:
    return (each.name for each in hanging.table.constraints if each.kind == "c" and "NO INHERIT" in each.definition)


def _deferrable(hanging: Hanging) -> Iterator[str]:
    return (each.name for each in hanging.table.constraints if each.kind in "pu" and each.deferrable)


def _without_overlaps(hanging: Hanging) -> Iterator[str]:
    temporal = ("WITHOUT OVERLAPS", "PERIOD")
    keys = [each for each in hanging.table.constraints if each.kind in "puf"]
    return (each.name for each in keys if any(word in each.definition for word in temporal))


def _indexes(test: Callable[[Index], bool]) -> Callable[[Hanging], Iterable[str]]:
    return lambda hanging: (each.name for each in hanging.table.indexes if test(each))


def _tablespaces(hanging: Hanging) -> Iterator[str]:
    if hanging.table.tablespace:
        yield f"the table in {hanging.table.tablespace}"
    yield from (f"{each.name} in {each.tablespace}" for each in hanging.table.indexes if each.tablespace)


def _replica_identity(hanging: Hanging) -> list[str]:
    kind = {"i": "USING INDEX", "f": "FULL", "n": "NOTHING"}.get(hanging.table.replica_identity)
    return [kind] if kind else []


def _other_grantors(hanging: Hanging) -> Iterator[str]:
    for each in hanging.table.grants:
        if each.grantor != hanging.table.owner:
            yield f"{each.privilege} to {each.grantee or 'PUBLIC'} by {each.grantor}"


def _key_comments(hanging: Hanging) -> Iterator[str]:
    keys = [each for each in hanging.table.constraints if each.kind in "pf"]
    yield from (f"on constraint {each.name}" for each in keys if each.comment)
    yield from (f"on index {each.name}" for each in hanging.table.indexes if each.primary and each.comment)


REFUSALS = (
    Refusal("views", lambda hanging: hanging.table.views, "Drop them and create them again after partition_finalize"),
    Refusal("rules", lambda hanging: hanging.table.rules, "Drop the rules, or replace them by what they are for"),
    Refusal("triggers", _user_triggers, "Drop them and create them again on the partitioned table after cutover"),
    Refusal("row_security", _row_security, "Drop the policies and DISABLE and NO FORCE ROW LEVEL SECURITY first"),
    Refusal("publications", _listed("publications"), "Take the table out of them; FOR ALL TABLES cannot leave one out"),
    Refusal("subscriptions", _listed("subscriptions"), "End it first: a subscription loses a table that is renamed"),
    Refusal("exclusion_constraints", _constraints("x"), "Drop them: they cannot span partitions"),
    Refusal(
        "unique_constraints",
        _constraints("u"),
        "Drop them. One that has the partition column in it may be a unique index instead: that is carried over",
    ),
    Refusal(
        "unique_indexes",
        _unique_indexes,
        "Add the partition column to them, or drop them: uniqueness across partitions cannot be enforced without it",
    ),
    Refusal("constraints_not_valid", _not_valid, "VALIDATE CONSTRAINT them first, or drop them"),
    Refusal("constraints_not_inherited", _no_inherit, "Add them without NO INHERIT: the parent has no rows"),
    Refusal("invalid_indexes", _indexes(lambda index: not index.valid), "REINDEX INDEX CONCURRENTLY, or drop them"),
    Refusal("deferrable_keys", _deferrable, "Make them NOT DEFERRABLE first"),
    Refusal("temporal_constraints", _without_overlaps, "Replace them by plain keys"),
    Refusal("key_options", _listed("key_options"), "Make the primary key one without INCLUDE and storage parameters"),
    Refusal(
        "functions",
        lambda hanging: hanging.table.functions,
        "They bind the table itself: drop them, create them again after cutover",
    ),
    Refusal("row_type", _listed("row_type"), "They bind the type of the table's rows: give them a type of their own"),
    Refusal("typed_table", _listed("typed_table"), "ALTER TABLE … NOT OF first"),
    Refusal("extension", _listed("extension"), "ALTER EXTENSION … DROP TABLE first"),
    Refusal(
        "security_labels", lambda hanging: hanging.table.security_labels, "Drop them, and set them again after cutover"
    ),
    Refusal("statistics_targets", _listed("statistics_targets"), "Set them to the default, and again after cutover"),
    Refusal("column_options", _listed("column_options"), "ALTER COLUMN … RESET them, and set them again after cutover"),
    Refusal(
        "toast_options", _listed("toast_options"), "RESET them, and set them again on each partition after cutover"
    ),
    Refusal("replica_identity", _replica_identity, "Set it to DEFAULT first: partitions inherit no other one"),
    Refusal("access_method", _listed("access_method"), "Set default_table_access_method for the role that migrates"),
    Refusal("tablespaces", _tablespaces, "Move them to the default tablespace first"),
    Refusal(
        "default_privileges",
        _listed("default_privileges"),
        "ALTER DEFAULT PRIVILEGES … REVOKE them for the role that migrates, or GRANT them on the table as well",
    ),
    Refusal("grants_by_others", _other_grantors, "Let the owner grant them instead, so that they can be granted again"),
    Refusal("other_dependants", _listed("other_dependants"), "Drop them and create them again after cutover"),
    Refusal("comments_on_keys", _key_comments, "They are not copied: set them again after cutover", Severity.WARNING),
    Refusal(
        "clustered_index",
        _indexes(lambda index: index.clustered),
        "The mark is not copied: partitions are loaded in the order of the partition column",
        Severity.WARNING,
    ),
)
