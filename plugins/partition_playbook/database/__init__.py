"""One door to PostgreSQL: sessions with limits, and a journal of every changing statement."""

from partition_playbook.database.connection import Params, Row
from partition_playbook.database.database import Database, Limits
from partition_playbook.database.read_only import read_only_remedy
from partition_playbook.database.requests import SEPARATOR, STATEMENT_CHARACTERS, STATEMENT_MARK
from partition_playbook.database.session import UNREAD_TABLE_LOCK, DrySession, Executed, Session

__all__ = [
    "SEPARATOR",
    "STATEMENT_CHARACTERS",
    "STATEMENT_MARK",
    "UNREAD_TABLE_LOCK",
    "Database",
    "DrySession",
    "Executed",
    "Limits",
    "Params",
    "Row",
    "Session",
    "read_only_remedy",
]
