"""The ledger: params, events, measurements and checks of every run, in the migrated database."""

from partition_playbook.ledger.ledger import MAINTENANCE, SUPERSEDED, Ledger
from partition_playbook.ledger.phases import Phase
from partition_playbook.ledger.records import (
    KeptFile,
    Statistics,
    read_answers,
    read_check_times,
    read_checks,
    read_file,
    read_file_names,
    read_measurements,
    read_run,
    read_versions,
)

__all__ = [
    "MAINTENANCE",
    "SUPERSEDED",
    "KeptFile",
    "Ledger",
    "Phase",
    "Statistics",
    "read_answers",
    "read_check_times",
    "read_checks",
    "read_file",
    "read_file_names",
    "read_measurements",
    "read_run",
    "read_versions",
]
