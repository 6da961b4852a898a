"""Try the BEFORE row triggers of a table: write as the application does, compare, and roll everything back.

PostgreSQL refuses an INSERT whose BEFORE trigger moves the row to another partition, and one whose partition column is
still NULL where no default partition exists. No reading of a function can rule that out. So the same writes run on two
temporary tables with the same triggers, a plain one and a partitioned one. Before the cutover they run on the shadow
too. Functions of the application are called, as the owner of the table. Their writes and notifications are undone;
values taken from a sequence and messages sent by dblink are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Column, Table
from partition_playbook.checks import Check, Severity, check
from partition_playbook.codecs import Key
from partition_playbook.database import Limits, Row, Session
from partition_playbook.engine import attributes, layout
from partition_playbook.intervals import Interval, bounds_at
from partition_playbook.names import TableName
from partition_playbook.run import Run
from partition_playbook.spec import Acceptance, DefaultPartition
from partition_playbook.sql import columns
from partition_playbook.workload.row_triggers import RowTrigger, row_triggers

NAME = "before_triggers"
LIMITS = Limits(lock_timeout=2_000, statement_timeout=10_000)
SAMPLE = TableName("pg_temp", "partition_playbook_sample")
Moments = tuple[Key, Key]  # the bounds of a partition as literals
# The functions of the server that refuse a row for its partition; a message depends on the language, these do not.
ROUTING_FUNCTIONS = frozenset({"ExecBRInsertTriggers", "ExecFindPartition"})


@dataclass(frozen=True)
class Write:
    """One kind of write: an INSERT or UPDATE with its values by column.

    ``stays`` marks one whose row must stay in its partition; on the shadow only if ``everywhere``.
    """

    title: str
    inserts: bool
    values: Mapping[str, sql.Composable]
    stays: bool = True
    everywhere: bool = True


@dataclass(frozen=True)
class Result:
    """The result of one write: its error, or whether an UPDATE moved the row to another partition."""

    error: psycopg.Error | None = None
    moved: bool = False

    @property
    def message(self) -> str:
        """Return the first line of the error."""
        if self.error is None:
            return ""
        return f"{self.error.sqlstate} {self.error.diag.message_primary or str(self.error).strip()}"

    @property
    def misrouted(self) -> bool:
        """Return True if the server refused the row for its partition."""
        return self.error is not None and self.error.diag.source_function in ROUTING_FUNCTIONS


@dataclass
class Trial:
    """The problems found, by trigger, and the reasons why a trigger could not be tried."""

    triggers: Sequence[RowTrigger]
    problems: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)


def before_trigger_check(run: Run, shadow: Table | None = None) -> Check:
    """Try the BEFORE row triggers on temporary copies of the table, and on the attached shadow if there is one."""
    with run.database.session(LIMITS) as session:
        table = catalog.require(session, run.table)
        trial = Trial([each for each in row_triggers(session, run.table) if each.tried])
        if trial.triggers:
            _try_all(run, session, table, shadow, trial)
    return _judge(run, trial)


def _judge(run: Run, trial: Trial) -> Check:
    by, names = run.spec.partition_by, ", ".join(each.name for each in trial.triggers)
    accepted = Acceptance.BEFORE_TRIGGERS in run.spec.accept
    untried = [f"not tried: {each}" for each in dict.fromkeys(trial.untried)]
    found = list(dict.fromkeys(trial.problems))

    if found:
        remedy = (
            f"Set {by} by a DEFAULT or in the application, and DROP TRIGGER or let the function leave {by} as it is: "
            "PostgreSQL refuses an INSERT whose BEFORE trigger moves the row to another partition"
        )
    else:
        remedy = (
            "Let the owner of the table run these functions: GRANT the privilege that the message names, or set in the "
            "function the default of the setting that it names. Or try the trigger on a partitioned copy of the table "
            "yourself, then add `accept: [before_triggers]` to the spec"
        )
    return check(
        NAME,
        not found and not untried,
        expected=f"no BEFORE row trigger changes the partition of a row; each was tried with {by} given, omitted and "
        "NULL",
        actual="; ".join([*found, *untried]) or (f"tried: {names}" if names else "none"),
        severity=Severity.WARNING if accepted and not found else Severity.ERROR,
        remedy=remedy,
    )


def _try_all(run: Run, session: Session, table: Table, shadow: Table | None, trial: Trial) -> None:
    moments = _moments(run, session, table)
    try:
        with session.connection.transaction(force_rollback=True):
            session.give_way()
            session.rows("workload/act_as_owner", {"owner": table.owner, "schema": table.schema})
            for number in range(_sample(session, table)):
                writes = list(_writes(run, table, moments))
                plain = _on_clone(run, session, table, moments, number, writes, partitioned=False)
                parted = _on_clone(run, session, table, moments, number, writes, partitioned=True)
                _compare(trial, writes, plain, parted)
                if shadow is not None:
                    _compare_shadow(trial, writes, plain, _on_shadow(session, table, shadow, number, writes))
    except psycopg.errors.LockNotAvailable:
        raise  # a retry can help
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        trial.untried.append(f"{_names(trial.triggers)}: {Result(error).message}")
    finally:
        session.journal.clear()


def _moments(run: Run, session: Session, table: Table) -> list[Moments]:
    """Return the bounds of three partitions, as literals: the previous, the current and the next one."""
    interval, now = run.spec.interval, layout.find_present(session, run.spec)
    current = bounds_at(interval, now)
    before = interval.shift(current.lower, -1)
    around = (bounds_at(interval, before), current, bounds_at(interval, current.upper))
    return [run.spec.codec.literals(each, table.column(run.spec.partition_by).type) for each in around]


def _sample(session: Session, table: Table) -> int:
    """Copy some rows to a temporary table, or one row of NULLs if there is none; return their number."""
    names = table.writable
    session.run("workload/sample_rows", columns=columns(names), source=table.table_name.identifier)
    session.run("workload/sample_nulls", column=sql.Identifier(names[0]))
    return int(session.value("workload/count_sample"))


def _writes(run: Run, table: Table, moments: Sequence[Moments]) -> Iterator[Write]:
    """Yield the writes of the application: the partition column given, omitted and NULL, and changed rows."""
    by = run.spec.partition_by
    row = {name: sql.Identifier("r", name) for name in table.writable if name != by}
    kind = attributes.catalog_text(table.column(by).type)
    values = [sql.SQL("{}::{}").format(sql.Literal(lower), kind) for lower, _ in moments]

    for (lower, _), value in zip(moments, values, strict=True):
        yield Write(f"INSERT with {by} = '{lower}'", True, row | {by: value})
    yield Write(f"INSERT without {by}", True, row)
    yield Write(f"INSERT with {by} = NULL", True, row | {by: sql.SQL("NULL::{}").format(kind)})

    yield from _updates(run, table, values[-1])


def _updates(run: Run, table: Table, elsewhere: sql.Composable) -> Iterator[Write]:
    """Yield the updates; a trigger may fire only if a value changes."""
    by = run.spec.partition_by
    same = {each.name: sql.Identifier("live", each.name) for each in table.columns if _settable(each)}
    yield Write("UPDATE of every column to its own value", False, same)

    rest = [name for name in same if name != by and name not in table.key]
    if rest:
        others = {name: sql.Identifier("r", name) for name in rest}
        yield Write("UPDATE of the other columns", False, others)
    if empty := {name: sql.SQL("NULL") for name in rest if not table.column(name).not_null}:
        yield Write("UPDATE of the other columns to NULL", False, empty)

    dates = table.column(by).type == "date"
    if not (dates and run.spec.interval == Interval.DAY):  # a partition of one date has no later one
        yield Write(
            f"UPDATE with a later {by}",
            False,
            {by: _later(run, sql.Identifier("live", by), dates=dates)},
            everywhere=False,
        )
    yield Write(f"UPDATE with {by} of another partition", False, {by: elsewhere}, stays=False)


def _later(run: Run, value: sql.Composable, *, dates: bool) -> sql.Composable:
    if run.spec.codec.encoding is not None:
        return run.spec.codec.nth_key(value, sql.SQL("1"))
    return sql.SQL("{} + {}").format(value, sql.SQL("1" if dates else "interval '1 microsecond'"))


def _settable(column: Column) -> bool:
    """Return True for a column of an UPDATE: neither generated nor GENERATED ALWAYS AS IDENTITY."""
    return not column.generated and column.identity != "a"


def _on_clone(
    run: Run,
    session: Session,
    table: Table,
    moments: Sequence[Moments],
    number: int,
    writes: Sequence[Write],
    *,
    partitioned: bool,
) -> list[Result]:
    """Make every write on a temporary table with the columns, defaults and BEFORE row triggers of the table."""
    clone = TableName("pg_temp", table.name)
    with session.connection.transaction(force_rollback=True):
        _create_clone(run, session, table, clone, moments, partitioned)
        _insert_base(run, session, table, clone, moments[0][0], number)
        _create_triggers(session, table, clone)
        return [_attempt(session, clone, number, each) for each in writes]


def _create_clone(
    run: Run, session: Session, table: Table, clone: TableName, moments: Sequence[Moments], partitioned: bool
) -> None:
    by = run.spec.partition_by
    partitioning = sql.SQL("PARTITION BY RANGE ({})").format(sql.Identifier(by)) if partitioned else sql.SQL("")
    name = sql.Identifier(clone.name)
    session.run("workload/create_clone", clone=name, source=table.table_name.identifier, partitioning=partitioning)
    for each in table.columns:
        # The sample may be a row of NULLs.
        if each.not_null and each.name != by:
            session.run("workload/drop_not_null", clone=clone.identifier, column=sql.Identifier(each.name))
    if not partitioned:
        return

    ranges = [sql.SQL("FOR VALUES FROM ({}) TO ({})").format(*map(sql.Literal, pair)) for pair in moments]
    default = [sql.SQL("DEFAULT")] if run.spec.default_partition is DefaultPartition.KEEP else []
    for count, bounds in enumerate([*ranges, *default]):
        partition = sql.Identifier(f"partition_playbook_{count}")
        session.run("workload/create_clone_partition", partition=partition, clone=clone.identifier, bounds=bounds)


def _insert_base(run: Run, session: Session, table: Table, clone: TableName, moment: Key, number: int) -> None:
    """Insert the row to update before the triggers exist, in the oldest partition: they often set the present."""
    by = run.spec.partition_by
    row: dict[str, sql.Composable] = {name: sql.Identifier("r", name) for name in table.writable}
    row[by] = sql.SQL("{}::{}").format(sql.Literal(moment), attributes.catalog_text(table.column(by).type))
    _insert(session, clone, number, row)


def _create_triggers(session: Session, table: Table, clone: TableName) -> None:
    tried = {each.name for each in row_triggers(session, table.table_name) if each.tried}
    for each in table.user_triggers:
        if each.name in tried:
            head, tail = attributes.catalog_text(each.head), attributes.catalog_text(each.tail)
            statement = sql.SQL("{} ON {}{}").format(head, clone.identifier, tail)
            session.execute(statement, purpose=f"Create trigger {each.name} on a temporary table", lock="none")


def _on_shadow(session: Session, table: Table, shadow: Table, number: int, writes: Sequence[Write]) -> list[Result]:
    """Enable the BEFORE row triggers of the shadow, make every write on it, and roll back."""
    tried = {each.name: each.enabled for each in row_triggers(session, table.table_name) if each.tried}
    with session.connection.transaction(force_rollback=True):
        for name, enabled in tried.items():
            statement = attributes.set_trigger_mode(shadow.table_name, name, enabled)
            session.execute(statement, purpose=f"Enable trigger {name} of the shadow until the rollback")
        return [_attempt(session, shadow.table_name, number, each) for each in writes]


def _attempt(session: Session, table: TableName, number: int, write: Write) -> Result:
    try:
        with session.connection.transaction(force_rollback=True):
            if write.inserts:
                _insert(session, table, number, write.values)
                return Result()
            rows = _update(session, table, number, write.values)
            return Result(moved=any(each["partition"] != each["before"] for each in rows))
    except psycopg.errors.LockNotAvailable:
        raise
    except psycopg.Error as error:
        if session.connection.closed:
            raise
        return Result(error)


def _insert(session: Session, table: TableName, number: int, values: Mapping[str, sql.Composable]) -> None:
    session.rows(
        "workload/try_insert",
        table=table.identifier,
        columns=columns(list(values)),
        values=sql.SQL(", ").join(values.values()),
        number=sql.Literal(number),
    )


def _update(session: Session, table: TableName, number: int, values: Mapping[str, sql.Composable]) -> list[Row]:
    changes = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in values.items()]
    return session.rows(
        "workload/try_update",
        table=table.identifier,
        changes=sql.SQL(", ").join(changes),
        number=sql.Literal(number),
    )


def _compare(trial: Trial, writes: Sequence[Write], plain: Sequence[Result], parted: Sequence[Result]) -> None:
    """Record each write that the plain table accepts and the partitioned one refuses or moves."""
    for write, one, other in zip(writes, plain, parted, strict=True):
        # A row that moves fires INSERT triggers too, whose other errors `triggers_on_moves` tells.
        if one.error is None and (other.error if write.stays else other.misrouted):
            trial.problems.append(f"{_culprits(trial, write, other)}: {write.title} is refused, {other.message}")
        elif other.moved and write.stays:
            moved = "moves the row to another partition, and a concurrent write to the row fails with 40001"
            trial.problems.append(f"{_culprits(trial, write, other)}: {write.title} {moved}")

    for inserts in (True, False):
        # The application may never omit the column: only a write with every value must get through.
        given = [result for write, result in zip(writes, plain, strict=True) if write.inserts is inserts]
        given = given[:3] if inserts else given
        fired = [each for each in trial.triggers if (each.inserts if inserts else each.updates)]
        if fired and all(each.error for each in given):
            trial.untried.append(f"{_names(fired)}: {given[0].message}")


def _compare_shadow(trial: Trial, writes: Sequence[Write], plain: Sequence[Result], found: Sequence[Result]) -> None:
    """Record each write refused on the shadow for its partition; its keys and checks may refuse a copied row."""
    for write, one, other in zip(writes, plain, found, strict=True):
        if one.error is None and other.misrouted:
            told = f"{write.title} is refused on the shadow, {other.message}"
            trial.problems.append(f"{_culprits(trial, write, other)}: {told}")
        elif other.moved and write.stays and write.everywhere:
            trial.problems.append(f"{_culprits(trial, write, other)}: {write.title} moves the row on the shadow")


def _culprits(trial: Trial, write: Write, result: Result) -> str:
    """Return the trigger in the DETAIL of the error, else every trigger that fires for this write."""
    detail = (result.error.diag.message_detail or "") if result.error else ""
    fired = [each for each in trial.triggers if (each.inserts if write.inserts else each.updates)]
    named = [each for each in fired if f'"{each.name}"' in detail]
    return _names(named or fired or trial.triggers)


def _names(triggers: Sequence[RowTrigger]) -> str:
    return ", ".join(each.name for each in triggers)
