"""Plan statements that others wrote on the shadow, and never execute one.

A text is only ever prepared, by the protocol's message for one statement: the server refuses a second one in it. Then
its generic plan is explained in a read-only transaction that is rolled back. EXPLAIN (GENERIC_PLAN) of PostgreSQL 16
prunes nothing and so could not tell who scans every partition; EXECUTE with NULLs prunes by them on every version.
Planning may still call functions: immutable ones, and stable ones that partitions are pruned by.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import psycopg
from psycopg import pq, sql

from partition_playbook import catalog
from partition_playbook.database import Limits, Session
from partition_playbook.evidence import plans
from partition_playbook.evidence.plans import Plan
from partition_playbook.evidence.statement_statistics import Sent
from partition_playbook.evidence.statements import Script
from partition_playbook.evidence.tokens import Kind, tokens
from partition_playbook.migration.run import Sides
from partition_playbook.names import clip
from partition_playbook.sql import statement

LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
PATIENCE_SECONDS = 300.0
PREPARED = "partition_playbook_workload"
LACKED = {"xmin", "xmax", "cmin", "cmax"}
INFERRED, TEXT = 0, 25  # a parameter's type, as PostgreSQL's protocol has it


class Ending(StrEnum):
    """What became of a statement on the shadow."""

    PRUNES = "prunes"
    SCANS_ALL = "scans all"
    FAILS = "fails"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Tried:
    """One statement of the application, and what became of it."""

    sent: Sent
    ending: Ending
    reason: str = ""


class Trial:
    """One session that plans statements on the shadow, and on the live table those that fail there."""

    def __init__(self, session: Session, now: Sides) -> None:
        self._session = session
        self._live, self._shadow = now.live, now.other
        self._until = time.monotonic() + PATIENCE_SECONDS
        self._partitions = {
            (each.table.schema, each.table.name) for each in catalog.partitions(session, now.other.table_name)
        }
        self._found: dict[str, bool] = {}

    def all(self, sent: Iterable[Sent]) -> Iterator[Tried]:
        """Try each statement that touches the table."""
        yield from (self._try(each) for each in sent if each.script.naming(self._live.table_name))

    def _try(self, sent: Sent) -> Tried:
        if problem := self._unfit(sent):
            return Tried(sent, Ending.UNKNOWN, problem)
        if reason := sent.script.refusal(self._live.table_name):
            return Tried(sent, Ending.FAILS, reason)
        if sent.script.copies(self._live.table_name):
            return Tried(sent, Ending.PRUNES)
        live = sent.script.mended()
        try:
            plan = self._plan(live.redirected(self._live.table_name, self._shadow.table_name, self._constraints), sent)
        except psycopg.Error as error:
            return Tried(sent, *self._judge(live, sent, error))
        return Tried(sent, *self._read(plan))

    def _unfit(self, sent: Sent) -> str:
        """Say why a statement is not tried; nothing where it is."""
        script, table = sent.script, self._live.table_name
        if script.problem and not script.copies(table):
            return script.problem
        if self._live.publications and script.may_be_first_copy(table):
            return "a replica's first copy, which asks a partitioned table otherwise, or an export that it refuses"
        if script.hides(table):
            return f"WITH gives another thing the name {table.name}"
        bare = any(each.schema is None for each in script.naming(table))
        if bare and not self._leads_here(sent.search_path):
            return f"with the search path {sent.search_path} {table.name} is another table"
        return "" if time.monotonic() < self._until else f"no time was left after {PATIENCE_SECONDS:.0f} s"

    def _leads_here(self, search_path: str) -> bool:
        if search_path not in self._found:
            with self._session.connection.transaction(force_rollback=True):
                self._session.rows("migration/guard_explain", {"search_path": search_path})
                found = self._session.value("migration/find_named_table", {"name": self._live.name})
            self._found[search_path] = found == self._live.oid
        return self._found[search_path]

    @cached_property
    def _constraints(self) -> Mapping[str, str]:
        """Return what the live table's constraints are called on the shadow until the cutover."""
        theirs = {each.name for each in self._shadow.constraints}
        pairs = {each.name: clip(each.name, "_new") for each in self._live.constraints}
        return {name: new for name, new in pairs.items() if new in theirs}

    def _judge(self, live: Script, sent: Sent, error: psycopg.Error) -> tuple[Ending, str]:
        """Tell what only the shadow refuses from what the live table refuses too, or what only took too long."""
        if isinstance(error, psycopg.OperationalError | psycopg.errors.InsufficientPrivilege):
            return Ending.UNKNOWN, _told(error)
        try:
            self._plan(live, sent)
        except psycopg.Error as other:
            return Ending.UNKNOWN, _told(other)
        return Ending.FAILS, _told(error)

    def _read(self, plan: Plan) -> tuple[Ending, str]:
        scans = {(each.schema, each.relation) for each in plan.nodes() if each.relation}
        if (self._live.schema, self._live.name) in scans:
            return Ending.UNKNOWN, "it names the table where it was not expected"
        if lacked := ", ".join(sorted(self._lacked(plan))):
            return Ending.FAILS, f"RETURNING has no {lacked} of a row that is inserted into a partitioned table"
        every = len(self._partitions) > 1 and scans >= self._partitions
        return (Ending.SCANS_ALL if every else Ending.PRUNES), ""

    def _lacked(self, plan: Plan) -> set[str]:
        """Return the system columns that are asked of rows which a partition takes: the planner does not mind."""
        inserts = [each for each in plan.nodes() if each.operation in ("Insert", "Merge")]
        returned = [text for each in inserts if each.relation == self._shadow.name for text in each.output]
        return LACKED & {token.name for text in returned for token in tokens(text) if token.name}

    def _plan(self, script: Script, sent: Sent) -> Plan:
        """Prepare a statement and read its generic plan; whatever came of it is forgotten."""
        connection = self._session.connection
        try:
            with connection.transaction(force_rollback=True):
                self._session.rows("migration/guard_explain", {"search_path": sent.search_path})
                arguments = _arguments(self._prepare(script))
                parts = {"prepared": sql.Identifier(PREPARED), "arguments": arguments}
                return plans.parse(self._session.value("migration/explain_prepared", **parts))
        finally:
            if not connection.closed:
                connection.execute(statement("migration/forget_prepared").compose())

    def _prepare(self, script: Script) -> int:
        """Prepare one statement by the protocol, which refuses a second one; return how many parameters it has."""
        connection = self._session.connection.pgconn
        encoding = self._session.connection.info.encoding
        command = script.text.encode(encoding)
        _require(connection.prepare(PREPARED.encode(), command, _types(script)), encoding)
        return _require(connection.describe_prepared(PREPARED.encode()), encoding).nparams


def _types(script: Script) -> list[int]:
    """Return the types of the parameters: the server infers them, but for those that are not used any more."""
    used = {int(each.text[1:]) for each in script.tokens if each.kind is Kind.PARAM}
    return [INFERRED if number in used else TEXT for number in range(1, max(used, default=0) + 1)]


def _require(result: pq.abc.PGresult, encoding: str) -> pq.abc.PGresult:
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(result, encoding)
    return result


def _arguments(count: int) -> sql.Composable:
    nulls = sql.SQL(", ").join([sql.SQL("NULL")] * count)
    return sql.SQL("({})").format(nulls) if count else sql.SQL("")


def _told(error: psycopg.Error) -> str:
    return f"{error.sqlstate} {error.diag.message_primary or str(error).strip()}"
