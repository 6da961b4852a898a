"""The run: the context of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from partition_playbook.database import Database, Row
from partition_playbook.errors import WrongDatabase
from partition_playbook.ledger import Ledger
from partition_playbook.names import TableName
from partition_playbook.spec import TableSpec, validated


@dataclass(frozen=True)
class Run:
    """One migration: its spec, database and ledger; ``paused`` tells if a person has paused it.

    ``part_of`` is a partitioned table whose rows of one range are the live side, while that range gets a new partition.
    """

    spec: TableSpec
    database: Database
    ledger: Ledger
    paused: Callable[[], bool] = lambda: False
    part_of: TableName | None = None

    @property
    def table(self) -> TableName:
        """Return the application's name of the table."""
        return self.spec.name

    def stored_spec(self, row: Row) -> TableSpec:
        """Return the spec of a run's record, found through this run's connection.

        WrongDatabase if that run was opened through another Airflow connection: it may lead to another database.
        """
        spec = validated(TableSpec, row["spec"], where="ledger")
        if spec.connection == self.spec.connection:
            return spec
        raise WrongDatabase(
            f"run {row['run_id']} was opened through the Airflow connection {spec.connection}, and was found through "
            f"{self.spec.connection}, which the table spec names now",
            where=spec.table,
            remedy=f"Set `connection: {spec.connection}` in the table spec until this run has ended. If both lead to "
            "the same database, nothing else is needed",
        )
