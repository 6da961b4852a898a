"""Plan the application's statements on the shadow, and never execute one.

The generic plan of each is explained in a read-only transaction that is rolled back: with NULL parameters for errors
and locks, then with typical values for the partitions that it reads. EXPLAIN (GENERIC_PLAN) of PostgreSQL 16 prunes
nothing, so it cannot detect a scan of every partition. Planning may still call functions: immutable ones, and stable
ones used for pruning.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property

import psycopg

from partition_playbook import catalog, figures
from partition_playbook.benchmark.plans import Plan
from partition_playbook.codecs import Codec
from partition_playbook.database import Limits, Session
from partition_playbook.engine.sides import Sides
from partition_playbook.names import SHADOW_SUFFIX, clip
from partition_playbook.workload.prepared import prepared
from partition_playbook.workload.pruning_trial import PruningTrial, Reads
from partition_playbook.workload.sql_lexer import tokens
from partition_playbook.workload.statement_statistics import ObservedStatement
from partition_playbook.workload.statements import ParsedStatement
from partition_playbook.workload.typical_values import read_row_range

LIMITS = Limits(lock_timeout=1_000, statement_timeout=5_000)
BUDGET_SECONDS = 300.0
UNAVAILABLE_SYSTEM_COLUMNS = {"xmin", "xmax", "cmin", "cmax"}


class PlanResult(StrEnum):
    """The result of planning a statement on the shadow."""

    PRUNES = "prunes"
    READS_MOST = "reads most"
    FAILS = "fails"
    NOT_TRIED = "not tried"


@dataclass(frozen=True)
class PlannedStatement:
    """One statement of the application with its result; ``reason`` explains a failure, or why it was not tried.

    ``locks`` counts the partitions and indexes that each execution of its generic plan locks. ``reads`` are the
    partitions that it reads with typical values.
    """

    statement: ObservedStatement
    result: PlanResult
    reason: str = ""
    locks: int = 0
    reads: Reads | None = None

    @property
    def most_read(self) -> int:
        """Return the most partitions that it reads with a typical value; 0 if it reads none."""
        return self.reads.most if self.reads else 0


class StatementPlanner:
    """Plans statements on the shadow in one session; one that fails there is planned on the live table too."""

    def __init__(self, session: Session, now: Sides, codec: Codec) -> None:
        self._session = session
        self._live, self._shadow = now.live, now.require_standby()
        self._partition_by = now.partition_by
        self._until = time.monotonic() + BUDGET_SECONDS
        shadow = self._shadow.table_name
        self._trial = PruningTrial(
            frozenset((each.table.schema, each.table.name) for each in catalog.partitions(session, shadow)),
            read_row_range(session, shadow, now.partition_by, codec),
        )
        self._resolved: dict[str, bool] = {}

    def plan_all(self, statements: Iterable[ObservedStatement]) -> Iterator[PlannedStatement]:
        """Plan each statement with a reference to the table, without utility statements."""
        for each in statements:
            if each.parsed.references_to(self._live.table_name) and not each.parsed.is_utility:
                yield self._planned(each)

    def _planned(self, statement: ObservedStatement) -> PlannedStatement:
        if problem := self._not_plannable(statement):
            return PlannedStatement(statement, PlanResult.NOT_TRIED, problem)
        if reason := statement.parsed.refusal(self._live.table_name):
            return PlannedStatement(statement, PlanResult.FAILS, reason)
        if statement.parsed.copies(self._live.table_name):
            return PlannedStatement(statement, PlanResult.PRUNES)

        live = statement.parsed.restore_literals()
        on_shadow = live.redirected(self._live.table_name, self._shadow.table_name, self._constraints)
        try:
            plan, locks = self._plan(on_shadow, statement)
        except psycopg.Error as error:
            return PlannedStatement(statement, *self._classify(live, statement, error))
        if refused := self._refusal(plan):
            return PlannedStatement(statement, *refused)
        return replace(self._tried(on_shadow, statement, plan), locks=locks)

    def _tried(self, on_shadow: ParsedStatement, statement: ObservedStatement, plan: Plan) -> PlannedStatement:
        """Try a statement with typical values; a plain INSERT reads no partition, so it has nothing to prune."""
        if all(each.target for each in on_shadow.references_to(self._shadow.table_name)):
            return PlannedStatement(statement, PlanResult.PRUNES)
        try:
            with prepared(self._session, on_shadow, statement.search_path) as ready:
                reads = self._trial.read(ready, plan, deletes=on_shadow.first == "delete")
        except psycopg.Error as error:
            reason = f"with typical values: {_message(error)}"
            return PlannedStatement(statement, PlanResult.NOT_TRIED, reason)
        if reads.untyped:
            reason = f"{self._partition_by} is compared with a parameter without a typical value"
            return PlannedStatement(statement, PlanResult.NOT_TRIED, reason)
        return PlannedStatement(statement, PlanResult.READS_MOST if reads.wide else PlanResult.PRUNES, reads=reads)

    def _not_plannable(self, statement: ObservedStatement) -> str:
        """Return the reason not to plan a statement; empty if there is none."""
        parsed, table = statement.parsed, self._live.table_name
        if parsed.problem and not parsed.copies(table):
            return parsed.problem
        if self._live.publications and parsed.may_be_first_copy(table):
            return (
                "perhaps the initial table synchronization of a subscription, which copies a partitioned table by a "
                "query; an export by COPY … TO would be refused"
            )
        if parsed.hides(table):
            return f"a WITH query has the name {table.name}"

        unqualified = any(each.schema is None for each in parsed.references_to(table))
        if unqualified and not self._resolves_to_table(statement.search_path):
            return f"with search_path {statement.search_path}, {table.name} is another table"
        return "" if time.monotonic() < self._until else f"no time left after {figures.seconds(BUDGET_SECONDS)}"

    def _resolves_to_table(self, search_path: str) -> bool:
        if search_path not in self._resolved:
            with self._session.connection.transaction(force_rollback=True):
                self._session.rows("workload/guard_explain", {"search_path": search_path})
                found = self._session.value("engine/find_named_table", {"name": self._live.name})
            self._resolved[search_path] = found == self._live.oid
        return self._resolved[search_path]

    @cached_property
    def _constraints(self) -> Mapping[str, str]:
        """Return the names of the shadow's constraints by those of the live table, until the cutover."""
        existing = {each.name for each in self._shadow.constraints}
        pairs = {each.name: clip(each.name, SHADOW_SUFFIX) for each in self._live.constraints}
        return {name: new for name, new in pairs.items() if new in existing}

    def _classify(
        self, live: ParsedStatement, statement: ObservedStatement, error: psycopg.Error
    ) -> tuple[PlanResult, str]:
        """Return FAILS only if the live table accepts the statement; NOT_TRIED if it fails there too or timed out."""
        if isinstance(error, psycopg.OperationalError | psycopg.errors.InsufficientPrivilege):
            return PlanResult.NOT_TRIED, _message(error)
        try:
            self._plan(live, statement)
        except psycopg.Error as other:
            return PlanResult.NOT_TRIED, _message(other)
        return PlanResult.FAILS, _message(error)

    def _refusal(self, plan: Plan) -> tuple[PlanResult, str] | None:
        """Return the result of a plan that is not the statement's own, or that the executor refuses."""
        scans = {(each.schema, each.relation) for each in plan.nodes() if each.relation}
        if (self._live.schema, self._live.name) in scans:
            return PlanResult.NOT_TRIED, "its plan still reads the live table: a reference was not recognized"
        if missing := ", ".join(sorted(self._missing_columns(plan))):
            return PlanResult.FAILS, f"RETURNING has no {missing} for a row inserted into a partitioned table"
        return None

    def _missing_columns(self, plan: Plan) -> set[str]:
        """Return the unavailable system columns in RETURNING of an inserted row: only the executor refuses them."""
        inserts = [each for each in plan.nodes() if each.operation in ("Insert", "Merge")]
        returned = [text for each in inserts if each.relation == self._shadow.name for text in each.output]
        return UNAVAILABLE_SYSTEM_COLUMNS & {token.name for text in returned for token in tokens(text) if token.name}

    def _plan(self, parsed: ParsedStatement, statement: ObservedStatement) -> tuple[Plan, int]:
        """Return the generic plan of a statement with NULLs, and the number of its locks."""
        with prepared(self._session, parsed, statement.search_path) as ready:
            plan = ready.explain()
            named = {"schema": self._shadow.schema, "name": self._shadow.name}
            return plan, self._session.value("workload/count_locks", named)


def _message(error: psycopg.Error) -> str:
    return f"{error.sqlstate} {error.diag.message_primary or str(error).strip()}"
