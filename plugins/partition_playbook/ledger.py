"""The ledger: what every run was asked, did, measured and found, in the database that it migrates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from psycopg.types.json import Jsonb

from partition_playbook.checks import Check, Outcome, Severity, Verdict
from partition_playbook.database import Database, Executed, Row, Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.names import TableName


class Phase(StrEnum):
    """How far the migration of a table has come; which table is live is for the catalog to say."""

    OPENED = "opened"
    SHADOWED = "shadowed"
    ATTACHED = "attached"
    LIVE = "live"
    ROLLED_BACK = "rolled_back"
    ABANDONED = "abandoned"
    FINALIZED = "finalized"


@dataclass(frozen=True)
class Statistics:
    """What one partition, or partition-to-be, holds at a stage."""

    partition: str
    rows: int
    oldest: str | None
    newest: str | None
    distinct: Mapping[str, int]
    checksum: int


@dataclass(frozen=True)
class Ledger:
    """Write and read the records of one run; ``section`` is who writes, ``origin`` what leads to the writer's log."""

    database: Database
    run_id: str
    section: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    def open(self, table: TableName, mode: str, spec: Mapping[str, Any], params: Mapping[str, Any]) -> None:
        """Create the ledger where there is none and record the run."""
        with self.database.transaction() as session:
            session.rows("ledger/lock_ledger")
            session.run("ledger/create_ledger")
            values = {"run_id": self.run_id, "table_schema": table.schema, "table_name": table.name, "mode": mode}
            session.run("ledger/open_run", values | {"spec": Jsonb(dict(spec)), "params": Jsonb(dict(params))})

    def run(self) -> Row:
        """Return the run's own record; PreconditionFailed where it was never opened."""
        with self.database.session() as session:
            found = session.rows("ledger/find_run", {"run_id": self.run_id})
        if not found:
            raise PreconditionFailed(
                "the ledger does not know this run", where=self.run_id, remedy="Run preflight first"
            )
        return found[0]

    def sink(self, session: Session, executed: Sequence[Executed]) -> None:
        """Write a journal as events, in the transaction that did what it tells."""
        for each in executed:
            self._event(session, "statement", each.purpose, each.text[:8000], each.rows, each.duration_ms, {})

    def note(self, session: Session, message: str, **detail: Any) -> None:
        """Record something worth telling an auditor."""
        self._event(session, "note", message, None, None, None, detail)

    def tell(self, message: str, **detail: Any) -> None:
        """Record a note in a transaction of its own."""
        with self.database.session() as session:
            self.note(session, message, **detail)

    def announce(self, subject: str, text: str) -> bool:
        """Record that something is told to people; False where this run has told the very same before."""
        detail = Jsonb({"text": text, "origin": dict(self.origin)})
        values = {"run_id": self.run_id, "section": self.section, "subject": subject, "text": text, "detail": detail}
        with self.database.transaction() as session:
            session.rows("ledger/lock_ledger")
            return bool(session.rows("ledger/announce", values))

    def sample_backlog(self, session: Session, waiting: int) -> None:
        """Record how many changes wait to be reconciled."""
        self._event(session, "backlog", "changes wait", None, waiting, None, {})

    def _event(
        self,
        session: Session,
        kind: str,
        message: str,
        statement: str | None,
        rows: int | None,
        duration_ms: float | None,
        detail: Mapping[str, Any],
    ) -> None:
        values = {"kind": kind, "message": message, "statement": statement, "rows": rows, "duration_ms": duration_ms}
        told = {**detail, "origin": self.origin} if self.origin else dict(detail)
        self._write(session, "ledger/add_event", values | {"section": self.section, "detail": Jsonb(told)})

    def _write(self, session: Session, name: str, values: Mapping[str, Any]) -> None:
        session.note(name, {"run_id": self.run_id, **values})

    def set_phase(self, session: Session, phase: Phase) -> None:
        """Record how far the migration has come, in the transaction that got it there."""
        self._write(session, "ledger/set_phase", {"phase": phase.value})

    def set_plan_hash(self, plan_hash: str) -> None:
        """Record the hash of the plan."""
        with self.database.session() as session:
            self._write(session, "ledger/set_plan_hash", {"plan_hash": plan_hash})

    def close(self, verdict: str) -> None:
        """Record the end of the run."""
        with self.database.session() as session:
            self._write(session, "ledger/close_run", {"verdict": verdict})

    def record(self, checks: Iterable[Check]) -> Verdict:
        """Record checks of this section and return their verdict."""
        verdict = Verdict.of(self.section, checks)
        with self.database.transaction() as session:
            for each in verdict.checks:
                values = {"section": self.section, "name": each.name, "outcome": each.outcome.value}
                values |= {"severity": each.severity.value, "expected": each.expected, "actual": each.actual}
                values |= {"remedy": each.remedy, "evidence": Jsonb(dict(each.evidence))}  # type: ignore[dict-item]
                self._write(session, "ledger/add_check", values)
        return verdict

    def checks(self) -> dict[str, list[Check]]:
        """Return the last outcome of every check, by section."""
        with self.database.session() as session:
            rows = session.rows("ledger/list_checks", {"run_id": self.run_id})
        return by_section(rows)

    def verdict(self, section: str) -> Verdict:
        """Return the verdict of a section; one without checks is a no-go."""
        return Verdict.of(section, self.checks().get(section, ()))

    def set_statistics(self, session: Session, stage: str, statistics: Iterable[Statistics]) -> None:
        """Record the statistics of a stage."""
        for each in statistics:
            values = {"stage": stage, "partition_name": each.partition, "rows": each.rows, "oldest": each.oldest}
            values |= {"newest": each.newest, "checksum": each.checksum}
            self._write(session, "ledger/set_statistics", values | {"distinct_values": Jsonb(dict(each.distinct))})

    def statistics(self, stage: str) -> dict[str, Statistics]:
        """Return the statistics of a stage, by partition."""
        with self.database.session() as session:
            rows = session.rows("ledger/list_statistics", {"run_id": self.run_id})
        return {
            row["partition_name"]: Statistics(
                row["partition_name"],
                row["rows"],
                row["oldest"],
                row["newest"],
                row["distinct_values"],
                int(row["checksum"]),
            )
            for row in rows
            if row["stage"] == stage
        }

    def measure(self, stage: str, name: str, value: float | None, unit: str, **detail: Any) -> None:
        """Record a measurement."""
        with self.database.session() as session:
            self.measure_with(session, stage, name, value, unit, **detail)

    def measure_with(
        self, session: Session, stage: str, name: str, value: float | None, unit: str, **detail: Any
    ) -> None:
        """Record a measurement in the transaction that is measured."""
        values = {"stage": stage, "name": name, "value": value, "unit": unit, "detail": Jsonb(detail)}
        self._write(session, "ledger/set_measurement", values)

    def measurements(self, stage: str) -> dict[str, Row]:
        """Return the measurements of a stage, by name: value, unit, detail, taken_at."""
        with self.database.session() as session:
            rows = session.rows("ledger/list_measurements", {"run_id": self.run_id})
        return {row["name"]: row for row in rows if row["stage"] == stage}

    def loads(self) -> list[Row]:
        """Return the run's loads in the order of their bounds."""
        with self.database.session() as session:
            return session.rows("ledger/list_loads", {"run_id": self.run_id})

    def events(self) -> list[Row]:
        """Return the run's events in order."""
        with self.database.session() as session:
            return session.rows("ledger/list_events", {"run_id": self.run_id})

    def standing_run(self, table: TableName) -> Row | None:
        """Return the run whose shadow, capture or retired table still stands beside the table."""
        with self.database.session() as session:
            values = {"table_schema": table.schema, "table_name": table.name}
            found = session.rows("ledger/find_standing_run", values)
        return found[0] if found else None


def by_section(rows: Iterable[Row]) -> dict[str, list[Check]]:
    """Return checks as the ledger has them, by section."""
    found: dict[str, list[Check]] = {}
    for row in rows:
        each = Check(
            name=row["name"],
            outcome=Outcome(row["outcome"]),
            expected=row["expected"],
            actual=row["actual"],
            severity=Severity(row["severity"]),
            remedy=row["remedy"],
            evidence=row["evidence"],
        )
        found.setdefault(row["section"], []).append(each)
    return found
