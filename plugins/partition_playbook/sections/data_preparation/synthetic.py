"""Compose the INSERT of synthetic rows: a partition value, random parents, and the expressions of the spec."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pendulum
from psycopg import sql

from partition_playbook import catalog
from partition_playbook.catalog import Constraint, Table
from partition_playbook.database import Session
from partition_playbook.errors import InvalidSpec, PreconditionFailed
from partition_playbook.run import Run
from partition_playbook.spec import Arrival, RunParams
from partition_playbook.sql import columns

Slice = dict[str, Any]


@dataclass(frozen=True)
class Filled:
    """One column of the generated rows and its expression."""

    column: str
    expression: sql.Composable


def insert(run: Run, params: RunParams, session: Session, piece: Slice, first: int, last: int) -> None:
    """Insert the rows ``first`` to ``last`` of a slice in one statement.

    PreconditionFailed if a referenced table is empty, InvalidSpec for an expression with unknown braces.
    """
    source = catalog.require(session, run.table)
    picks: list[sql.Composable] = []
    filled = list(_filled(run, session, source, picks))
    kind = source.column(run.spec.partition_by).type
    session.run(
        "data_preparation/insert_slice",
        {"first": first, "last": last},
        table=run.table.identifier,
        moment=_moment(params, piece),
        type=sql.SQL("timestamptz" if run.spec.codec.encoding else kind),
        picks=sql.SQL("").join(picks),
        columns=columns([each.column for each in filled]),
        values=sql.SQL(", ").join(each.expression for each in filled),
    )


def _moment(params: RunParams, piece: Slice) -> sql.Composed:
    """Return the expression of the partition value of row n.

    It is random in the slice, or with arrival by time random in the n-th of equal parts of the slice.
    """
    start, end = (pendulum.parse(piece[end]).timestamp() for end in ("lower", "upper"))  # type: ignore[union-attr]
    template = "to_timestamp({} + {} * random())"
    if params.arrival is Arrival.TIME:
        template = "to_timestamp({} + {} * ((n - 1 + random()) / {}))"
    parts = [sql.Literal(start), sql.Literal(end - start), sql.Literal(float(piece["rows"]))]
    return sql.SQL(template).format(*parts[: template.count("{}")])


def _filled(run: Run, session: Session, source: Table, picks: list[sql.Composable]) -> Iterator[Filled]:
    """Yield the columns to write; adds the choice of a parent row for each foreign key to ``picks``.

    An id comes from the default of its column, or from the spec.
    """
    values = run.spec.synthetic.values
    if not run.spec.interval.is_ids:
        yield _partition_value(run, source)
    for name, expression in values.items():
        yield Filled(name, _expression(run, name, expression))
    written = {*values, *([] if run.spec.interval.is_ids else [run.spec.partition_by])}
    for key in source.foreign_keys:
        free = [column for column in key.columns if column not in written]
        if free:
            pick = sql.Identifier(f"pick_{len(picks)}")
            yield from _picked(run, session, source, key, free, pick, picks)
            written.update(free)


def _partition_value(run: Run, source: Table) -> Filled:
    # One moment a row: the key may need it more than once.
    value = run.spec.codec.from_moment(sql.SQL("m.moment"))
    kind = sql.SQL(source.column(run.spec.partition_by).type)
    return Filled(run.spec.partition_by, sql.SQL("CAST({} AS {})").format(value, kind) if run.spec.encoding else value)


def _expression(run: Run, name: str, expression: str) -> sql.Composed:
    try:
        return sql.SQL(expression).format(moment=sql.SQL("m.moment"))
    except (KeyError, ValueError, IndexError) as error:
        key = f"synthetic.values.{name}"
        raise InvalidSpec(
            f"{key}: {error}",
            where=run.spec.table,
            remedy="Use only {moment} in braces; write other braces twice, as {{ and }}",
        ) from error


def _picked(
    run: Run,
    session: Session,
    source: Table,
    key: Constraint,
    free: list[str],
    pick: sql.Identifier,
    picks: list[sql.Composable],
) -> Iterator[Filled]:
    parents = _parents(run, session, key)
    picks.append(sql.SQL(", 1 + floor(random() * {})::int AS {}").format(sql.Literal(len(parents)), pick))
    for position, column in enumerate(key.columns):
        if column in free:
            texts = sql.Literal([row[position] for row in parents])
            kind = sql.SQL(source.column(column).type)
            yield Filled(column, sql.SQL("({}::text[]::{}[])[m.{}]").format(texts, kind, pick))


def _parents(run: Run, session: Session, key: Constraint) -> list[tuple[str, ...]]:
    texts = [
        sql.SQL("{}::text AS {}").format(sql.Identifier(name), sql.Identifier(f"key_{position}"))
        for position, name in enumerate(key.referenced_columns)
    ]
    found = session.rows(
        "data_preparation/list_parents",
        {"parents": run.spec.synthetic.parents},
        table=key.referenced.identifier,
        texts=sql.SQL(", ").join(texts),
        key=columns(key.referenced_columns),
    )
    if not found:
        raise PreconditionFailed(
            f"no rows in {key.referenced.name}",
            where=str(key.referenced),
            remedy="INSERT test data into this table, then clear this task",
        )
    return [tuple(row.values()) for row in found]
