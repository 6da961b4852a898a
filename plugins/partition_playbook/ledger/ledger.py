"""The ledger of one run: its params, events, measurements and checks."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from partition_playbook import __version__, metrics
from partition_playbook.checks import Check, Verdict
from partition_playbook.database import STATEMENT_CHARACTERS, Database, Executed, Row, Session
from partition_playbook.errors import LedgerMissing, PreconditionFailed, RunStands
from partition_playbook.intervals import Bounds, IdMoment
from partition_playbook.ledger.home import find_database, require_home
from partition_playbook.ledger.phases import WAYS_ON, Phase
from partition_playbook.ledger.records import Statistics, read_checks, read_file_names, read_measurements, read_run
from partition_playbook.names import TableName
from partition_playbook.people import ANSWERED, Answer

MAINTENANCE = "maintenance"
SUPERSEDED = "superseded"


@dataclass(frozen=True)
class Ledger:
    """Write and read the records of one run; ``section`` is the writer, ``origin`` identifies its task log."""

    database: Database
    run_id: str
    section: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)

    def open(
        self,
        table: TableName,
        mode: str,
        spec: Mapping[str, Any],
        params: Mapping[str, Any],
        *,
        ended: Collection[str] = (),
    ) -> None:
        """Create the ledger if there is none, and record the run, one session at a time.

        Raises WrongDatabase in a copy of the ledger's database. For a migration, RunStands if another one of the table
        stands or is under way; one that was only opened is superseded if ``ended`` has its run id.
        """
        with self.database.transaction() as session:
            session.rows("ledger/lock_ledger")
            session.run("ledger/create_ledger")
            metrics.create_views(session)
            self._settle(session)
            if mode != MAINTENANCE:
                self._supersede(session, table, ended)
                self.require_alone(session, table)
            values = {"run_id": self.run_id, "table_schema": table.schema, "table_name": table.name, "mode": mode}
            session.run("ledger/open_run", values | {"spec": Jsonb(dict(spec)), "params": Jsonb(dict(params))})
            self.add_note(f"Partition Playbook {__version__} opened the run", session=session)

    def _settle(self, session: Session) -> None:
        """Record the database as the home of the ledger, or compare it with the recorded one."""
        here = find_database(session)
        values = {"database_name": here.database_name, "database_oid": here.database_oid}
        session.write_ledger("ledger/record_home", values | {"system_identifier": here.system_identifier})
        require_home(session, here)

    def _supersede(self, session: Session, table: TableName, ended: Collection[str]) -> None:
        for row in self._other_runs(session, table):
            if row["phase"] == Phase.OPENED and row["run_id"] in ended:
                session.write_ledger("ledger/close_run", {"run_id": row["run_id"], "verdict": SUPERSEDED})
                note = f"superseded by run {self.run_id}: its tasks had ended and nothing was built"
                replace(self, run_id=row["run_id"]).add_note(note, session=session)

    def require_alone(self, session: Session, table: TableName) -> None:
        """Raise RunStands if another migration of the table stands or is under way."""
        for row in self._other_runs(session, table):
            since = f"{row['started_at']:%Y-%m-%d %H:%M %Z}".strip()
            raise RunStands(str(table), row["run_id"], row["phase"], since, WAYS_ON[Phase(row["phase"])])

    def _other_runs(self, session: Session, table: TableName) -> list[Row]:
        values = {"run_id": self.run_id, "table_schema": table.schema, "table_name": table.name}
        return session.rows("ledger/list_other_runs", values)

    def opened_runs(self, table: TableName) -> list[str]:
        """Return the ids of the other migrations of the table that were opened, built nothing and did not end."""
        with self.database.session() as session:
            try:
                return [row["run_id"] for row in self._other_runs(session, table) if row["phase"] == Phase.OPENED]
            except LedgerMissing:
                return []

    def require_home(self) -> None:
        """Raise WrongDatabase if the ledger belongs to another database; one of an earlier version is not known to."""
        with self.database.session() as session:
            try:
                require_home(session, find_database(session))
            except LedgerMissing:  # a ledger of an earlier version has no home until its next run
                return

    def run(self) -> Row:
        """Return the record of the run; PreconditionFailed if it was never opened."""
        with self.database.session() as session:
            found = read_run(session, self.run_id)
        if found is None:
            raise PreconditionFailed(
                "the ledger has no such run",
                where=self.run_id,
                remedy="Clear the task preflight.open_run of this DAG run, then clear this task",
            )
        return found

    def sink(self, session: Session, executed: Sequence[Executed]) -> None:
        """Write a journal as events, in the transaction of its statements."""
        values = {
            "section": self.section,
            "messages": [each.purpose for each in executed],
            "statements": [each.text[:STATEMENT_CHARACTERS] for each in executed],
            "rows": [each.rows for each in executed],
            "durations": [each.duration_ms for each in executed],
            "detail": self._stamped({}),
        }
        self._write(session, "ledger/add_statements", values)

    def add_note(self, message: str, *, session: Session | None = None, **detail: Any) -> None:
        """Record a note for the audit, in the open transaction of ``session`` or in one of its own."""
        with self._writing(session) as writer:
            self._event(writer, "note", message, None, None, None, detail)

    def record_answer(self, answer: Answer) -> None:
        """Record the answer to a question."""
        self.add_note(ANSWERED, **answer.note)

    def announce_once(self, subject: str, text: str, kind: str = "") -> bool:
        """Record a message to people; return False if this run has sent one of the same subject and kind before.

        A message without a kind is the same only with the same text.
        """
        same = kind or text
        detail = Jsonb({"text": text, "kind": same, "origin": dict(self.origin)})
        values = {"run_id": self.run_id, "section": self.section, "subject": subject, "kind": same, "detail": detail}
        with self.database.transaction() as session:
            session.rows("ledger/lock_ledger")
            return bool(session.rows("ledger/announce", values))

    def sample_backlog(self, session: Session, waiting: int, **detail: Any) -> None:
        """Record the number of waiting changes."""
        self._event(session, "backlog", "changes wait", None, waiting, None, detail)

    def reconcile_pace(self, session: Session, batches: int) -> Row:
        """Return the sums of the last batches of the run: changes, seconds, written changes, passed seconds."""
        return session.row("ledger/find_reconcile_pace", {"run_id": self.run_id, "batches": batches})

    def followed_rate(self, session: Session, table: TableName, least: int) -> list[Row]:
        """Return the time of a batch by its changes, of the last run of the table, else of the slowest other table."""
        values = {"table_schema": table.schema, "table_name": table.name, "least": least}
        found = session.rows("ledger/find_followed_rate", values | {"own": True})
        return found or session.rows("ledger/find_followed_rate", values | {"own": False})

    def sample(self, session: Session, kind: str, message: str, rows: int, **detail: Any) -> None:
        """Record one sample of a series, as an event of its own kind."""
        self._event(session, kind, message, None, rows, None, detail)

    def record_slice(self, proof: str, message: str, rows: int, duration_ms: float, **detail: Any) -> None:
        """Record an equal slice of a comparison; for a retry of this task it is equal while ``proof`` is the same."""
        with self._writing(None) as session:
            self._event(session, "comparison", message, None, rows, duration_ms, {"proof": proof, **detail})

    def compared_slices(self, proof: str) -> list[Row]:
        """Return the details of the equal slices that an interrupted comparison of this task has recorded."""
        origin = Jsonb({**self._task, "version": __version__})
        values = {"run_id": self.run_id, "section": self.section, "proof": proof, "origin": origin}
        with self._writing(None) as session:
            return [row["detail"] for row in session.rows("ledger/list_compared", values)]

    def end_comparison(self) -> None:
        """Record that a comparison is complete: the next one reads every slice again."""
        with self._writing(None) as session:
            self._event(session, "comparison", "comparison complete", None, None, None, {"complete": True})

    @property
    def _task(self) -> dict[str, Any]:
        """Return the ids of the task instance, the same for each of its tries."""
        return {name: value for name, value in self.origin.items() if name != "try_number"}

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
        self._write(session, "ledger/add_event", values | {"section": self.section, "detail": self._stamped(detail)})

    def _stamped(self, detail: Mapping[str, Any]) -> Jsonb:
        return Jsonb({**detail, "origin": {**self.origin, "version": __version__}})

    def _write(self, session: Session, name: str, values: Mapping[str, Any]) -> None:
        session.write_ledger(name, {"run_id": self.run_id, **values})

    @contextmanager
    def _writing(self, session: Session | None) -> Iterator[Session]:
        if session is not None:
            yield session
            return
        with self.database.session() as own:
            yield own

    def set_phase(self, session: Session, phase: Phase) -> None:
        """Record the phase of the migration, in the transaction of its last step."""
        values = {"phase": phase.value, "section": self.section, "detail": self._stamped({})}
        self._write(session, "ledger/set_phase", values)

    def set_plan_hash(self, plan_hash: str) -> None:
        """Record the hash of the plan."""
        with self.database.session() as session:
            self._write(session, "ledger/set_plan_hash", {"plan_hash": plan_hash})

    def close(self, verdict: str) -> None:
        """Record the end of the run."""
        with self.database.session() as session:
            self._write(session, "ledger/close_run", {"verdict": verdict})
            self.add_note(f"Partition Playbook {__version__} closed the run: {verdict}", session=session)

    def reopen(self) -> None:
        """Take the verdict from the run, if there is one: it begins again, and may fail before it opens."""
        with self.database.session() as session:
            self._write(session, "ledger/reopen_run", {})

    def verdict_of_run(self) -> str | None:
        """Return the verdict of the run; None without one, or without the run."""
        with self.database.session() as session:
            found = read_run(session, self.run_id)
        return found["verdict"] if found else None

    def record_checks(self, checks: Iterable[Check]) -> Verdict:
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
            return read_checks(session, self.run_id)

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

    def record_measurement(
        self, stage: str, name: str, value: float | None, unit: str, *, session: Session | None = None, **detail: Any
    ) -> None:
        """Record a measurement, in the open transaction of ``session`` or in one of its own."""
        values = {"stage": stage, "name": name, "value": value, "unit": unit, "detail": Jsonb(detail)}
        with self._writing(session) as writer:
            self._write(writer, "ledger/set_measurement", values)

    def measurements(self, stage: str) -> dict[str, Row]:
        """Return the measurements of a stage, by name: value, unit, detail, taken_at."""
        with self.database.session() as session:
            rows = read_measurements(session, self.run_id)
        return {row["name"]: row for row in rows if row["stage"] == stage}

    def keep_files(self, files: Mapping[str, bytes]) -> None:
        """Keep files of the run, all in one transaction; files of the same names are replaced.

        A ledger of an earlier version gets its table of reports first.
        """
        with self.database.transaction() as session:
            if not session.value("ledger/has_reports"):
                session.rows("ledger/lock_ledger")
                session.run("ledger/create_ledger")
            for name, content in files.items():
                values = {"name": name, "content": content, "sha256": hashlib.sha256(content).hexdigest()}
                self._write(session, "ledger/set_report", values)

    def file_names(self) -> list[str]:
        """Return the names of the files that the ledger keeps of the run."""
        with self.database.session() as session:
            return read_file_names(session, self.run_id)

    def plan_loads(self, session: Session, table: TableName, expected_rows: Mapping[Bounds, int]) -> None:
        """Record the planned loads of a table, in the transaction of its new partitions."""
        values = {
            "partitions": [table.partition(each.suffix).name for each in expected_rows],
            "lower_bounds": [_stored(each.lower) for each in expected_rows],
            "upper_bounds": [_stored(each.upper) for each in expected_rows],
            "expected_rows": list(expected_rows.values()),
        }
        self._write(session, "ledger/plan_loads", values)

    def start_loads(self, session: Session, partitions: Sequence[str]) -> None:
        """Record the start of a load of several partitions."""
        self._write(session, "ledger/start_loads", {"partitions": list(partitions)})

    def end_loads(self, session: Session, rows: Mapping[str, int], sizes: Mapping[str, int]) -> None:
        """Record the end of a load with rows and bytes of each partition, in the loading transaction."""
        values = {"partitions": list(rows), "rows": list(rows.values()), "bytes": [sizes[each] for each in rows]}
        self._write(session, "ledger/end_loads", values)

    def mark_attached(self, session: Session) -> None:
        """Record all loaded partitions as attached, in the attaching transaction."""
        self._write(session, "ledger/mark_attached", {})

    def loads(self) -> list[Row]:
        """Return the run's loads in the order of their bounds."""
        with self.database.session() as session:
            return session.rows("ledger/list_loads", {"run_id": self.run_id})

    def events(self) -> list[Row]:
        """Return the run's events in order."""
        with self.database.session() as session:
            return session.rows("ledger/list_events", {"run_id": self.run_id})

    def last_pace(self, table: TableName) -> Row | None:
        """Return rows and seconds of all loads of the last measured run of a table; None without one."""
        with self.database.session() as session:
            values = {"table_schema": table.schema, "table_name": table.name}
            found = session.rows("ledger/find_pace", values)
        return found[0] if found else None

    def last_maintenance(self, table: TableName) -> datetime | None:
        """Return the start of the table's last maintenance other than this run; dry runs do not count."""
        with self.database.session() as session:
            values = {"run_id": self.run_id, "table_schema": table.schema, "table_name": table.name}
            found: datetime | None = session.value("ledger/find_last_maintenance", values)
        return found

    def standing_run(self, table: TableName) -> Row | None:
        """Return the run with a shadow, capture or retired table still in place; None without one."""
        with self.database.session() as session:
            values = {"table_schema": table.schema, "table_name": table.name}
            found = session.rows("ledger/find_standing_run", values)
        return found[0] if found else None


def _stored(bound: datetime) -> datetime:
    return bound.plain if isinstance(bound, IdMoment) else bound
