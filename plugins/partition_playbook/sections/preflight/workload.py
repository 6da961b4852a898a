"""Check the clients of the table: statements and tools whose effect changes on a partitioned table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.lock_retry import session_name
from partition_playbook.names import LEDGER_SCHEMA
from partition_playbook.sections.preflight import key_steps
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.key_steps import NewKey, Place
from partition_playbook.sections.preflight.known_clients import PLUGINS, Subject
from partition_playbook.spec import Acceptance
from partition_playbook.workload.statement_risks import (
    Reliance,
    WeakerKeys,
    function_reliances,
    maintenance,
    moves_rows,
    reads_row_addresses,
    reliances,
    repeat_safely,
    with_new_key,
)
from partition_playbook.workload.statement_statistics import CUT, ObservedStatement, shorten

MOST_TOLD = 20


def upserts(context: PreflightContext) -> Check:
    """Find statements and functions that rely on a unique key which gains the partition column.

    ON CONFLICT with the old key as its target fails after the cutover. The others add a second row to a repeated
    write; ``accept`` in the spec covers only those.
    """
    keys = WeakerKeys.of(context.table, context.partition_by)
    if not keys.columns:
        return skipped("upserts", f"no unique key changes: each has {context.partition_by}")
    statistics, table = context.statistics, context.table.table_name
    old = ", ".join(keys.columns[0])
    written = [(each, one) for each in statistics.statements for one in reliances(each.parsed, table, keys)]
    # The statements that will fail stand first: of an ORM's many texts they are few.
    written.sort(key=lambda pair: not pair[1].fails)
    found = [(_told(each), one) for each, one in written] + list(_in_functions(context, keys))
    if statistics.problem and not found:
        return skipped("upserts", f"{statistics.problem}: search the application for ON CONFLICT ({old})")

    failing = any(one.fails for _, one in found)
    accepted = Acceptance.UPSERTS in context.run.spec.accept and not failing
    new = NewKey(context.table, _target_of(found, keys), context.partition_by)
    index = "; ".join(step.text for step in new.index_steps() if step.place is Place.INDEX).replace(";\n", "; ")
    fails = (
        f"ON CONFLICT ({', '.join(new.columns)}) would fail after the cutover. It can name ({new.listed}) as soon as "
        f"a unique index has these columns: {index.rstrip(';') or new.present() or 'make one'}. "
    )
    return check(
        "upserts",
        not found,
        expected=f"no statement relies on a key without {context.partition_by}, such as ON CONFLICT ({old})",
        actual="; ".join(f"{one.place} in {where}" for where, one in found) or "none",
        severity=Severity.WARNING if accepted else Severity.ERROR,
        remedy=(fails if failing else "")
        + f"After the cutover ({old}) alone is not unique: a repeated write with another {context.partition_by} adds a "
        "second row. The param accept_weaker_uniqueness does not cover that. Repeat the write with the same "
        f"{context.partition_by}, or search under a lock: {repeat_safely(context.table, keys)}. Then add "
        "`accept: [upserts]` to the spec, or change the statement. "
        + statistics.last_steps(each for each, _ in written)
        + ". The plan and the report print each step as SQL; docs/your-keys.md explains it",
        evidence=key_steps.evidence(_key_steps(context, new, keys, found, written)),
    )


def _target_of(found: Sequence[tuple[str, Reliance]], keys: WeakerKeys) -> tuple[str, ...]:
    """Return the key that the first failing statement names, else the first weaker key."""
    return next((one.key for _, one in found if one.key), keys.columns[0])


def _key_steps(
    context: PreflightContext,
    new: NewKey,
    keys: WeakerKeys,
    found: Sequence[tuple[str, Reliance]],
    written: Sequence[tuple[ObservedStatement, Reliance]],
) -> Iterator[key_steps.Step]:
    """Yield the steps for the statements that rely on an old key; nothing if there are none."""
    if not found:
        return
    table = context.table.table_name
    targets = dict.fromkeys(one.key for _, one in found if one.key) or {new.columns: None}
    told: list[tuple[str, ...]] = []
    for each, one in written:
        if one.fails:
            changed = with_new_key(each.parsed, table, keys)
            told.append((f"today: {_around(each.text)}", f"then:  {_around(changed)}"))
        else:
            told.append((f"{one.place}: {_around(each.text)}", _repeated(context, one, new)))
    told += [(f"{one.place} in {where}: name ({new.listed})",) for where, one in found[len(written) :]]

    more = [(f"and {len(told) - MOST_TOLD} more statements: see the check upserts",)] if len(told) > MOST_TOLD else []
    for columns in targets:
        yield from key_steps.statement_steps(replace(new, columns=columns), [*told[:MOST_TOLD], *more])
    yield from key_steps.forget_step(context.statistics.forget(each for each, _ in written))


def _repeated(context: PreflightContext, one: Reliance, new: NewKey) -> str:
    """Return the comment on a statement that runs after the cutover, but no longer finds an earlier row."""
    by, safe = context.partition_by, repeat_safely(context.table, WeakerKeys.of(context.table, context.partition_by))
    if one.place.startswith("ON CONFLICT"):
        way = f"it runs on, but from the cutover on compares {by} too: let it name ({new.listed})"
    else:
        way = f"it runs on, but a concurrent repetition with another {by} is a second row: {safe}"
    return way


def _around(text: str) -> str:
    """Return a statement on one line; of a long one the beginning and its ON CONFLICT."""
    flat = " ".join(text.split())
    if len(flat) <= CUT:
        return flat
    at = flat.lower().rfind("on conflict")
    return f"{flat[: CUT // 2]} … {flat[at : at + CUT]}" if at >= 0 else f"{flat[:CUT]} …"


def _in_functions(context: PreflightContext, keys: WeakerKeys) -> Iterator[tuple[str, Reliance]]:
    named = {"name": context.table.name, "ledger_schema": LEDGER_SCHEMA}
    for row in context.session.rows("preflight/list_upserting_functions", named):
        for one in function_reliances(row["source"], context.table.table_name, keys):
            yield f"function {row['name']}", one


def maintenance_statements(context: PreflightContext) -> Check:
    """Warn of recorded commands that the capture refuses, that end it, or that a partitioned table refuses."""
    table = context.table.table_name
    found = [
        f"{command} in {_told(each)}"
        for each in context.statistics.statements
        if (command := maintenance(each.parsed, table))
    ]
    return _warned(
        context,
        "maintenance_statements",
        found,
        "no TRUNCATE, DISABLE TRIGGER, CLUSTER, VACUUM FULL or CREATE INDEX CONCURRENTLY of the table",
        "Stop these jobs until partition_finalize. TRUNCATE is refused while the capture is on. DISABLE TRIGGER ends "
        "the capture. CLUSTER and VACUUM FULL lock out every writer. CREATE INDEX CONCURRENTLY works on a partition "
        "only",
    )


def row_movement(context: PreflightContext) -> Check:
    """Warn of statements that set the partition column: a row that moves makes a concurrent write of it fail."""
    table, by = context.table.table_name, context.partition_by
    found = [_told(each) for each in context.statistics.statements if moves_rows(each.parsed, table, by)]
    return _warned(
        context,
        "row_movement",
        found,
        f"no statement sets {by}",
        f"Leave {by} out of SET if its value stays, and repeat each transaction that fails with SQLSTATE 40001: a "
        "concurrent write to a row that moves to another partition fails so, in READ COMMITTED too",
    )


def row_addresses(context: PreflightContext) -> Check:
    """Warn of clients that tell rows apart by ctid: rows of two partitions can have the same one."""
    table = context.table.table_name
    found = [
        f"ctid in {_told(each)}" for each in context.statistics.statements if reads_row_addresses(each.parsed, table)
    ]
    found += [session_name(row) for row in context.session.rows("preflight/list_foreign_clients")]
    return check(
        "row_addresses",
        not found,
        expected="no client tells rows apart by ctid alone, as postgres_fdw may",
        actual="; ".join(found) or "none",
        severity=Severity.WARNING,
        remedy="Compare tableoid too, or the key. postgres_fdw changes rows by ctid unless it sends the whole "
        "statement: check that EXPLAIN VERBOSE shows its writes as Foreign Update or Foreign Delete, without a Foreign "
        "Scan",
    )


def selective_dumps(context: PreflightContext) -> Check:
    """Warn of a pg_dump of this table alone: by its name it dumps an empty table after the cutover."""
    dumps, name = context.statistics.dumped_alone, context.table.table_name
    found = [f"pg_dump read {name} and no other table"] if dumps else []
    return _warned(
        context,
        "selective_dumps",
        found,
        "no pg_dump of this table alone",
        f"Use pg_dump --table-and-children='{name.quoted}' of version 16 or newer, or --table='{name.quoted}*'. By its "
        "name alone the dump has no row of a partition, and pg_dump reports no error",
    )


def output_plugins(context: PreflightContext) -> Check:
    """Warn of logical slots with another plugin than pgoutput: they get the names of partitions."""
    rows = context.session.rows("preflight/list_output_plugins")
    named = [
        f"slot {row['slot']} with {row['plugin']}" + (f", read by {row['consumer']}" if row["consumer"] else "")
        for row in rows
    ]
    subject = Subject.of(context.table, context.partition_by)
    hints = [subject.fill(PLUGINS[each]) for each in sorted({row["plugin"] for row in rows} & PLUGINS.keys())]
    return check(
        "output_plugins",
        not rows,
        expected="no logical slot with another plugin than pgoutput",
        actual="; ".join(named) or "none",
        severity=Severity.WARNING,
        remedy=f"Their consumers get rows of {context.table.name} under the names of its partitions, and each row "
        f"again while it is loaded. Let their filters match the names that begin with {context.table.name}_, or "
        "replace these slots by pgoutput and a publication with publish_via_partition_root"
        + "".join(f". {each}" for each in hints),
        evidence={"slots": [row["slot"] for row in rows]},
    )


def _warned(context: PreflightContext, name: str, found: list[str], expected: str, remedy: str) -> Check:
    """Return a check by the recorded statements; skipped if they cannot be read."""
    if context.statistics.problem:
        return skipped(name, context.statistics.problem, expected=expected)
    actual = "; ".join(found) or "none"
    return check(name, not found, expected=expected, actual=actual, severity=Severity.WARNING, remedy=remedy)


def _told(statement: ObservedStatement) -> str:
    return f"{figures.count(statement.calls, 'call')} of {shorten(statement.text)}"


CHECKS: tuple[Callable[[PreflightContext], Check], ...] = (
    upserts,
    maintenance_statements,
    row_movement,
    row_addresses,
    selective_dumps,
    output_plugins,
)
