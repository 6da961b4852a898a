"""The table spec and the params of a run: the models, their validation, and the files of ``include/tables``."""

from partition_playbook.spec.application import Application, Command, HttpProbe, Probe, Procedure
from partition_playbook.spec.files import (
    DEFAULT_TABLES,
    ENDINGS,
    SUFFIX,
    TABLES_VARIABLE,
    load_spec,
    misnamed,
    read_spec,
    require_folder,
    require_single,
    spec_names,
    spec_path,
    tables_folder,
)
from partition_playbook.spec.monitoring import Grafana, Monitoring, PgBackRest
from partition_playbook.spec.params import MOST_LOAD_WORKERS, Arrival, Backup, Leave, Mode, RunParams
from partition_playbook.spec.plausible import LEAST_CHANGE_LOG, require_runway
from partition_playbook.spec.problems import validated
from partition_playbook.spec.queries import DEFAULT_QUERIES, ID_QUERIES, QUERIES_OF_HOURS, Query
from partition_playbook.spec.retention import Period, Retention, Retire
from partition_playbook.spec.synthetic import Synthetic
from partition_playbook.spec.table import Acceptance, DefaultPartition, TableSpec
from partition_playbook.spec.throttle import Throttle
from partition_playbook.spec.watch import LogFile, LogLines, Loki, Prometheus, ServerLog, Watch

__all__ = [
    "DEFAULT_QUERIES",
    "DEFAULT_TABLES",
    "ENDINGS",
    "ID_QUERIES",
    "LEAST_CHANGE_LOG",
    "MOST_LOAD_WORKERS",
    "QUERIES_OF_HOURS",
    "SUFFIX",
    "TABLES_VARIABLE",
    "Acceptance",
    "Application",
    "Arrival",
    "Backup",
    "Command",
    "DefaultPartition",
    "Grafana",
    "HttpProbe",
    "Leave",
    "LogFile",
    "LogLines",
    "Loki",
    "Mode",
    "Monitoring",
    "Period",
    "PgBackRest",
    "Probe",
    "Procedure",
    "Prometheus",
    "Query",
    "Retention",
    "Retire",
    "RunParams",
    "ServerLog",
    "Synthetic",
    "TableSpec",
    "Throttle",
    "Watch",
    "load_spec",
    "misnamed",
    "read_spec",
    "require_folder",
    "require_runway",
    "require_single",
    "spec_names",
    "spec_path",
    "tables_folder",
    "validated",
]
