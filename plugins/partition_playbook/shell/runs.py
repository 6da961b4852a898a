"""A run for a look at one table: nothing is opened in its ledger, and nothing is written."""

from __future__ import annotations

from partition_playbook.airflow.runs import open_database
from partition_playbook.ledger import Ledger
from partition_playbook.run import Run
from partition_playbook.spec import TableSpec

APPLICATION = "partition_playbook shell"


def look_at(spec: TableSpec) -> Run:
    """Return a run without an id: its ledger can be read only."""
    ledger = Ledger(open_database(spec.connection, timezone=spec.timezone, application=APPLICATION).or_utc(), "")
    return Run(spec, open_database(spec.connection, timezone=spec.timezone, application=APPLICATION), ledger)
