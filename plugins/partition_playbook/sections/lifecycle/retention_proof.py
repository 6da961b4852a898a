"""Prove retention in a rehearsal: it retires one partition with rows of its own, and nothing else.

The partition is older than all others. One transaction creates it, copies rows into it, attaches it, and lets the
maintenance plan its retention and detach it. No other session ever sees these rows in the table. Capture has no entry
of them, and the retired table none of the rows. Then the maintenance archives and drops the detached table.

The same transaction notes the table's oid in the ledger. If the task dies later, only a detached table is left. The
cleared task, a rollback and finalize each drop it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import psycopg
from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Limits, Row, Session
from partition_playbook.engine import retention_proof, rollback, shadow, verify
from partition_playbook.engine.advisory_locks import Exclusive, exclusive_session
from partition_playbook.engine.sides import Direction, sides
from partition_playbook.engine.verify import Content
from partition_playbook.errors import PreconditionFailed, TryAgain
from partition_playbook.intervals import Bounds, bounds_at
from partition_playbook.lock_retry import with_lock_retry
from partition_playbook.maintenance import exclusion, locks
from partition_playbook.maintenance.actions import Action, Archive, Detach
from partition_playbook.maintenance.apply import FAILS_ALONE, Done, Ending, attempt
from partition_playbook.maintenance.archive import content, detached, folder_of
from partition_playbook.maintenance.create import LONGEST_STATEMENT_MS, sibling
from partition_playbook.maintenance.ranges import ranges
from partition_playbook.maintenance.read_state import read_state
from partition_playbook.maintenance.retention import Retirement, retire_only
from partition_playbook.maintenance.retire import detach_locked
from partition_playbook.maintenance.state import TableState
from partition_playbook.names import TableName
from partition_playbook.object_store import OpenStore
from partition_playbook.run import Run
from partition_playbook.spec import Mode, Retention, Retire

NAME = "retention_proved"
CONTENT = "row_content_after_retention"
MOST_ROWS = 100
REMOVED = "retention proof removed"
EXPECTED = {
    Retire.DROP: "retention detaches and drops exactly the partition made for this proof",
    Retire.DETACH: "retention detaches and keeps exactly the partition made for this proof",
    Retire.ARCHIVE: "retention detaches, archives and drops exactly the partition made for this proof",
}
# Errors of a table that cannot have such rows.
REFUSED = (
    psycopg.IntegrityError,
    psycopg.DataError,
    psycopg.NotSupportedError,
    psycopg.errors.RaiseException,
)


class NotMade(Exception):
    """The table cannot have a partition for the proof; the text is the reason."""


@dataclass(frozen=True)
class Proof:
    """The partition that was detached, its number of rows, and the actions left to retention.

    A scheduled run would have detached it ``concurrently``.
    """

    table: TableName
    bounds: Bounds
    rows: int
    concurrently: bool
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        return f"{self.table.name} {self.bounds} with {figures.count(self.rows, 'row')}"


@dataclass(frozen=True)
class Retired:
    """The results of these actions, the table's content before them, and the ledger's note of its archive."""

    done: tuple[Done, ...]
    content: Content
    archive: Row | None


def retention_checks(run: Run, mode: Mode, store: OpenStore | None) -> list[Check]:
    """Let retention retire a partition made for this purpose, and check that exactly this one went.

    Safe to call again after a crash. LockNotGranted if the locks are not granted, PreconditionFailed unless the
    partitioned table is live.
    """
    rules = run.spec.retention
    if rules is None:
        return [skipped(NAME, "nothing to prove: the spec keeps everything")]
    if mode is not Mode.REHEARSE:
        return [skipped(NAME, "retention is a dry run in production; a rehearsal proves it", expected=_expected(rules))]

    with exclusive_session(run, Exclusive.STEP):
        _require_live(run)
        remove(run)
        return _prove(run, rules, store)


def remove(run: Run) -> None:
    """Drop the detached table of an interrupted or failed proof; LockNotGranted after a bounded wait."""
    with run.database.session() as session:
        for table in retention_proof.find(run, session):
            rollback.drop(run, session, table)
            run.ledger.add_note(REMOVED, session=session, parent=str(run.table), partition=str(table))


def _cleaned(run: Run) -> list[str]:
    """Drop the table if it is left; return the problem if this fails."""
    try:
        remove(run)
    except TryAgain:
        raise
    except FAILS_ALONE as error:
        return [f"{run.table.retention_proof} is left: {error}"]
    return []


def _require_live(run: Run) -> None:
    with run.database.session() as session:
        now = sides(session, run)
    if now.direction is not Direction.BACK or now.standby is None:
        raise PreconditionFailed(
            "retention is proved only between the cutover and the rollback",
            where=str(run.table),
            remedy="The run was rolled back or finalized meanwhile. Trigger a new rehearsal",
        )


def _expected(rules: Retention) -> str:
    return EXPECTED[rules.action]


def _prove(run: Run, rules: Retention, store: OpenStore | None) -> list[Check]:
    before = _bounds_by_partition(run)
    run.database.locks.reset()
    try:
        proof = _detach_own(run, rules)
    except NotMade as reason:
        return [_not_proved(rules, str(reason))]
    except TryAgain:
        raise
    except FAILS_ALONE as error:
        return [_judged(rules, [f"it was not detached: {error}"])]

    held_ms = run.database.locks.held_ms
    retired = _end(run, proof, store)
    problems = [*_shortfalls(run, rules, proof, retired, store), *_changed(before, _bounds_by_partition(run), proof)]
    problems += _cleaned(run)

    facts = {"bounds": str(proof.bounds), "rows": proof.rows, "longest_lock_held_ms": round(held_ms, 1)}
    if retired.archive:
        facts["archive"] = retired.archive["object"]
    told = f"{proof}: {_told(rules, retired)}; {figures.count(len(before), 'other partition')} as before"
    if proof.concurrently:
        told += ". A scheduled run detaches CONCURRENTLY here, which no transaction can: that form is not proved"
    return [_judged(rules, problems, told, facts), verify.content_check(*verify.compare(run), name=CONTENT)]


def _not_proved(rules: Retention, reason: str) -> Check:
    return check(
        NAME,
        False,
        expected=_expected(rules),
        actual=f"not proved, because the table cannot have a partition for it: {reason}",
        remedy="Remove the cause and rehearse again. Or trigger partition_maintenance with dry_run, and check its list",
        severity=Severity.WARNING,
    )


def _judged(
    rules: Retention, problems: Sequence[str], told: str = "", evidence: Mapping[str, object] | None = None
) -> Check:
    return check(
        NAME,
        not problems,
        expected=_expected(rules),
        actual="; ".join(problems) or told,
        remedy="The partition held copies, so no row is lost with it. Remove the cause, then clear "
        "lifecycle.prove_retention with the tasks after it",
        evidence=evidence,
    )


def _told(rules: Retention, retired: Retired) -> str:
    if rules.action is Retire.DETACH:
        return "detached and kept; the proof itself dropped it"
    return f"detached, archived as {retired.archive['object']}, dropped" if retired.archive else "detached, dropped"


# ---- Make the partition, and let retention detach it, in one transaction.


def _detach_own(run: Run, rules: Retention) -> Proof:
    """Make, attach and detach the partition; NotMade with the reason if the table cannot have it."""
    with run.database.session() as session:
        found = read_state(run, session)
        bounds = _older_than_all(run, session, found, rules)
    with exclusion.prepared(run, [bounds]):
        return with_lock_retry(run.database, run.table, partial(_detach_once, run, rules, found, bounds))


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn the refusal of a row or of the partition into NotMade; one of the detach itself is none."""
    try:
        yield
    except REFUSED as error:
        raise NotMade(f"{type(error).__name__}: {error}".strip()) from error


def _older_than_all(run: Run, session: Session, found: TableState, rules: Retention) -> Bounds:
    """Return the range of one interval before the cutoff, all partitions and the rows of the default partition."""
    ranged = ranges(run.spec, found.partitions)
    if endless := [each.table.name for each in ranged if each.lower is None]:
        raise NotMade(f"no range is older than {', '.join(endless)}")

    by = sql.Identifier(run.spec.partition_by)
    parts = {"partition_by": by, "finite": run.spec.codec.finite(by)}
    defaults = [each.table.identifier for each in found.partitions if each.is_default]
    with _refusals():
        oldest = [session.value("lifecycle/find_oldest", partition=each, **parts) for each in defaults]

    begins = [each.lower for each in ranged if each.lower]
    begins += [run.spec.codec.moment(each) for each in oldest if each is not None]
    try:
        first = run.spec.interval.floor(min([rules.cutoff(found.clock), *begins]))
        bounds = bounds_at(run.spec.interval, run.spec.interval.shift(first, -1))
        run.spec.codec.literals(bounds, "date")
    except (ValueError, OverflowError) as error:
        bottom = "year 1" if run.spec.encoding is None else "the first key"
        raise NotMade(f"no range is older than {bottom}") from error
    if held := rules.holds(bounds.lower, bounds.upper):
        raise NotMade(f"a hold covers {bounds}: {'; '.join(each.reason for each in held)}")
    return bounds


def _detach_once(run: Run, rules: Retention, found: TableState, bounds: Bounds, lock_timeout: int) -> Proof:
    name = run.table.retention_proof
    limits = Limits(lock_timeout=lock_timeout, statement_timeout=LONGEST_STATEMENT_MS)
    with run.database.transaction(limits) as session:
        default = next((each.table for each in catalog.partitions(session, run.table) if each.is_default), None)
        locks.block_maintenance(session, run.table, default)
        if catalog.describe(session, name):
            raise NotMade(f"the name {name} is taken")
        with _refusals():
            rows = _make(run, session, name, bounds)
            # From here on the application waits. No reader sees the rows: they come and go in this transaction.
            locks.block_application(session, [run.table, *([default] if default else [])], lock_timeout)
            _attach(run, session, name, bounds, default)

        detach, rest = _plan(run, session, rules, found, name)
        if not detach_locked(run, session, detach):
            raise PreconditionFailed(
                "retention did not find it",
                where=str(name),
                remedy="Nothing was changed. Look for another program that detaches partitions of this table, then "
                "clear this task",
            )
        retention_proof.record(run, session, rows)
    return Proof(name, bounds, rows, detach.concurrently, rest)


def _make(run: Run, session: Session, name: TableName, bounds: Bounds) -> int:
    """Create the partition with copies of rows; return their number.

    Each copy has another moment, so no unique key is violated: the keys of a partitioned table have this column.
    """
    parent = catalog.require(session, run.table)
    column = parent.column(run.spec.partition_by)
    shadow.create_partition(run, session, name, sibling(run, session, parent), bounds)
    session.run("lifecycle/set_unlogged", partition=name.identifier)

    others = [sql.SQL(", {}").format(sql.Identifier(each)) for each in parent.writable if each != column.name]
    # A date has one moment a day; a day on which the clock changes may be short.
    days = max(1, (bounds.upper - bounds.lower).days)
    rows = session.run(
        "lifecycle/copy_rows",
        {"rows": min(MOST_ROWS, days) if column.type == "date" else MOST_ROWS},
        table=run.table.identifier,
        partition=name.identifier,
        partition_by=sql.Identifier(column.name),
        others=sql.Composed(others),
        value=_nth_value(run, bounds, column.type),
        kind=sql.SQL(column.type),
    )
    if not rows:
        raise NotMade("it has no row to copy")
    return rows


def _nth_value(run: Run, bounds: Bounds, kind: str) -> sql.Composable:
    """Return the expression for the partition value of each row: the first of the range, the next one, and so on."""
    codec, number = run.spec.codec, sql.SQL("(row_number() OVER () - 1)")
    lower = sql.Literal(codec.literals(bounds, kind)[0])
    if codec.encoding is not None:
        return codec.nth_key(lower, number)
    step = timedelta(days=1) if kind == "date" else timedelta(seconds=1)
    return sql.SQL("{} + {}::float8 * {}").format(lower, number, sql.Literal(step))


def _attach(run: Run, session: Session, name: TableName, bounds: Bounds, default: TableName | None) -> None:
    kind = catalog.require(session, run.table).column(run.spec.partition_by).type
    lower, upper = run.spec.codec.literals(bounds, kind)
    if default:
        exclusion.prefer_index(session, default)
        values = {"lower": lower, "upper": upper, "limit": 1}
        by = sql.Identifier(run.spec.partition_by)
        if session.value("maintenance/count_waiting_rows", values, default=default.identifier, partition_by=by):
            raise NotMade(f"{default.name} has rows of {bounds} since a moment ago")
    with exclusion.closed(session, default):
        session.run(
            "maintenance/attach_partition",
            parent=run.table.identifier,
            partition=name.identifier,
            lower=sql.Literal(lower),
            upper=sql.Literal(upper),
        )


def _plan(
    run: Run, session: Session, rules: Retention, found: TableState, name: TableName
) -> tuple[Detach, tuple[Action, ...]]:
    """Return the actions of retention for this partition alone; NotMade if a check stops retention."""
    now = replace(found, partitions=tuple(catalog.partitions(session, run.table)))
    planned = retire_only(name, now, ranges(run.spec, now.partitions, now.earlier), rules, found.clock)
    match planned.actions:
        case (Detach() as detach, *rest):
            return detach, tuple(rest)
    raise NotMade(_reason(planned))


def _reason(planned: Retirement) -> str:
    stopped = [f"{each.name}: {each.actual}" for each in planned.findings if each.name in planned.stops]
    return f"retention is stopped by {'; '.join(stopped)}" if stopped else "it would be the last partition"


# ---- Let retention end it, and look.


def _end(run: Run, proof: Proof, store: OpenStore | None) -> Retired:
    """Apply the other actions of retention until one fails."""
    with run.database.session() as session:
        table = catalog.require(session, proof.table)
    held, archive, done = content(run, table), None, []

    for action in proof.actions:
        done.append(attempt(run, action, store))
        if done[-1].ending is not Ending.DONE:
            break
        if isinstance(action, Archive):
            with run.database.session() as session:
                archive = (detached(run, session, proof.table) or {}).get("archive")
    return Retired(tuple(done), held, archive)


def _shortfalls(run: Run, rules: Retention, proof: Proof, retired: Retired, store: OpenStore | None) -> Iterator[str]:
    """Yield the differences between the partition's fate and the spec."""
    for each in retired.done:
        if each.ending is not Ending.DONE:
            yield f"{type(each.action).__name__.lower()} of {proof}: {each.detail or each.ending}"
    if retired.content.rows != proof.rows:
        yield f"{figures.count(retired.content.rows, 'row')} after the detach of {proof}"

    with run.database.session() as session:
        is_left = bool(catalog.describe(session, proof.table))
    if is_left is not (rules.action is Retire.DETACH):
        yield f"{proof.table} {'was not' if is_left else 'was'} dropped"
    if rules.action is Retire.ARCHIVE and not _is_archived(run, proof, retired, store):
        yield f"the object store has no whole archive of {proof}"


def _is_archived(run: Run, proof: Proof, retired: Retired, store: OpenStore | None) -> bool:
    """Return True if the store still holds exactly these rows, as manifest and ledger say."""
    note = retired.archive
    if not note or (note["rows"], int(note["checksum"])) != (proof.rows, retired.content.checksum):
        return False
    return folder_of(run, store, proof.table).noted(note).is_as_noted(note)


def _bounds_by_partition(run: Run) -> dict[TableName, str]:
    with run.database.session() as session:
        return {each.table: each.bound for each in catalog.partitions(session, run.table)}


def _changed(before: Mapping[TableName, str], after: Mapping[TableName, str], proof: Proof) -> Iterator[str]:
    """Yield the other partitions that went too; others may have been created meanwhile."""
    gone = [name.name for name, bound in before.items() if after.get(name) != bound]
    if gone:
        yield f"also gone: {', '.join(sorted(gone))}"
    if proof.table in after:
        yield f"{proof.table} is still attached"
