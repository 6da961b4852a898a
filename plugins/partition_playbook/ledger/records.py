"""The records of a run, as everyone may read them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from partition_playbook.checks import Check, Outcome, Severity
from partition_playbook.database import Row, Session
from partition_playbook.people import ANSWERED, Answer


@dataclass(frozen=True)
class Statistics:
    """The contents of one partition, or planned partition, at a stage."""

    partition: str
    rows: int
    oldest: str | None
    newest: str | None
    distinct: Mapping[str, int]
    checksum: int


@dataclass(frozen=True)
class KeptFile:
    """A file of a run as the ledger keeps it; ``sha256`` is the hash that its writer recorded."""

    name: str
    content: bytes
    sha256: str

    @property
    def is_intact(self) -> bool:
        """Return True if the content has the recorded hash."""
        return hashlib.sha256(self.content).hexdigest() == self.sha256


def read_run(session: Session, run_id: str) -> Row | None:
    """Return a run's record; None if the ledger has none."""
    found = session.rows("ledger/find_run", {"run_id": run_id})
    return found[0] if found else None


def read_file_names(session: Session, run_id: str) -> list[str]:
    """Return the names of the files of a run; none in a ledger of an earlier version."""
    if not session.value("ledger/has_reports"):
        return []
    return [row["name"] for row in session.rows("ledger/list_reports", {"run_id": run_id})]


def read_file(session: Session, run_id: str, name: str) -> KeptFile | None:
    """Return a file of a run; None if the ledger has none of this name."""
    if not session.value("ledger/has_reports"):
        return None
    rows = session.rows("ledger/find_report", {"run_id": run_id, "name": name})
    return KeptFile(**rows[0]) if rows else None


def read_versions(session: Session, run_id: str) -> list[str]:
    """Return the versions of the first and the last event of a run; none for a run before 0.2.0."""
    return [row["version"] for row in session.rows("ledger/list_versions", {"run_id": run_id})]


def read_measurements(session: Session, run_id: str) -> list[Row]:
    """Return the measurements of a run: stage, name, value, unit, detail, taken_at."""
    return session.rows("ledger/list_measurements", {"run_id": run_id})


def read_checks(session: Session, run_id: str) -> dict[str, list[Check]]:
    """Return the last outcome of every check of a run, by section; names of earlier versions stay as stored."""
    found: dict[str, list[Check]] = {}
    for row in session.rows("ledger/list_checks", {"run_id": run_id}):
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


def read_check_times(session: Session, run_id: str) -> dict[str, datetime]:
    """Return the time of the last check of each section."""
    return {row["section"]: row["checked_at"] for row in session.rows("ledger/list_check_times", {"run_id": run_id})}


def read_answers(session: Session, run_id: str) -> list[Answer]:
    """Return the answers of people in a run, in order."""
    rows = session.rows("ledger/list_answers", {"run_id": run_id, "message": ANSWERED})
    return [Answer.from_note(row) for row in rows]
