"""Prepare one statement of the application, and explain it with several values; it is never executed.

A text is prepared by the extended query protocol, which refuses a second statement in it. EXPLAIN EXECUTE under a
generic plan prunes by the values at the start of the executor, on every version of PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import psycopg
from psycopg import pq, sql

from partition_playbook.benchmark import plans
from partition_playbook.benchmark.plans import Plan
from partition_playbook.database import Session
from partition_playbook.sql import statement as named_statement
from partition_playbook.workload.sql_lexer import Kind
from partition_playbook.workload.statements import ParsedStatement

NAME = "partition_playbook_workload"
PREPARED = sql.Identifier(NAME)
# Type oids of a parameter in the protocol: 0 lets the server infer it.
INFERRED, TEXT, INTERVAL = 0, 25, 1186
NULL = sql.SQL("NULL")


@dataclass(frozen=True)
class Prepared:
    """A prepared statement; ``types`` are the oids of its parameters' types."""

    session: Session
    types: tuple[int, ...]

    def explain(self, values: Sequence[sql.Composable] = (), *, custom: bool = False) -> Plan:
        """Return the plan for these values, by default NULL for each parameter; never analyzed."""
        mode = "force_custom_plan" if custom else "force_generic_plan"
        self.session.rows("workload/set_plan_mode", {"mode": mode})
        listed = sql.SQL(", ").join(values or [NULL] * len(self.types))
        arguments = sql.SQL("({})").format(listed) if self.types else sql.SQL("")
        found = self.session.value("workload/explain_prepared", prepared=PREPARED, arguments=arguments)
        return plans.parse(found)


@contextmanager
def prepared(session: Session, parsed: ParsedStatement, search_path: str) -> Iterator[Prepared]:
    """Prepare a statement in a transaction that is rolled back, and deallocate it in any case."""
    connection = session.connection
    is_prepared = False
    try:
        with connection.transaction(force_rollback=True):
            session.rows("workload/guard_explain", {"search_path": search_path})
            _prepare(connection, parsed)
            is_prepared = True
            yield Prepared(session, _describe(connection))
    finally:
        if is_prepared and not connection.closed:
            connection.execute(named_statement("workload/forget_prepared").compose(prepared=PREPARED))


def _prepare(connection: psycopg.Connection[dict[str, object]], parsed: ParsedStatement) -> None:
    """Prepare a statement; a driver may have given a type that the server cannot infer, as in ``now() - $1``."""
    try:
        with connection.transaction():
            _send(connection, parsed, _types(parsed))
    except psycopg.errors.UndefinedFunction:
        offsets = _offsets(parsed)
        if not offsets:
            raise
        given = (INTERVAL if number in offsets else oid for number, oid in enumerate(_types(parsed), start=1))
        _send(connection, parsed, list(given))


def _send(connection: psycopg.Connection[dict[str, object]], parsed: ParsedStatement, types: list[int]) -> None:
    encoding = connection.info.encoding
    _require(connection.pgconn.prepare(NAME.encode(), parsed.text.encode(encoding), types), encoding)


def _offsets(parsed: ParsedStatement) -> set[int]:
    """Return the numbers of the parameters that are added or subtracted."""
    pairs = pairwise(parsed.tokens)
    return {int(each.text[1:]) for sign, each in pairs if each.kind is Kind.PARAM and sign.text in ("-", "+")}


def _describe(connection: psycopg.Connection[dict[str, object]]) -> tuple[int, ...]:
    found = _require(connection.pgconn.describe_prepared(NAME.encode()), connection.info.encoding)
    return tuple(found.param_type(number) for number in range(found.nparams))


def _types(parsed: ParsedStatement) -> list[int]:
    """Return the type oids of the parameters: the server cannot infer the type of one no longer used."""
    used = {int(each.text[1:]) for each in parsed.tokens if each.kind is Kind.PARAM}
    return [INFERRED if number in used else TEXT for number in range(1, max(used, default=0) + 1)]


def _require(result: pq.abc.PGresult, encoding: str) -> pq.abc.PGresult:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result, encoding)
    return result
