"""The database to which a ledger belongs."""

from __future__ import annotations

from dataclasses import dataclass

from partition_playbook.database import Session
from partition_playbook.errors import WrongDatabase
from partition_playbook.names import LEDGER_SCHEMA


@dataclass(frozen=True)
class Home:
    """The database to which a ledger belongs; ``system_identifier`` is None where the role may not read it.

    A renamed database and a copy differ from it, except a copy of the whole server by a base backup under the same
    name: that has the same name, oid and system identifier.
    """

    database_name: str
    database_oid: int
    system_identifier: int | None

    def __str__(self) -> str:
        system = f", system {self.system_identifier}" if self.system_identifier else ""
        return f"{self.database_name} (oid {self.database_oid}{system})"

    def is_the(self, other: Home) -> bool:
        """Return True unless name, oid or system identifier differ."""
        unread = None in (self.system_identifier, other.system_identifier)
        return (self.database_name, self.database_oid) == (other.database_name, other.database_oid) and (
            unread or self.system_identifier == other.system_identifier
        )


def find_database(session: Session) -> Home:
    """Return the database of a session."""
    row = session.row("catalog/find_database")
    system = session.value_unless_refused("catalog/find_system_identifier")
    return Home(row["database_name"], row["database_oid"], system)


def require_home(session: Session, here: Home) -> None:
    """Raise WrongDatabase if the ledger belongs to another database than ``here``."""
    for row in session.rows("ledger/find_home"):
        home = Home(**row)
        if not home.is_the(here):
            raise WrongDatabase(
                f"this ledger belongs to the database {home}, and is read in the database {here}",
                where=f"schema {LEDGER_SCHEMA}",
                remedy=f"To work in {home.database_name}, correct the Airflow connection. If this database was renamed "
                f"or copied, and works on its own from now on, execute in it: DELETE FROM {LEDGER_SCHEMA}.home. The "
                "next run records it anew",
            )
