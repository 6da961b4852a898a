"""Tell the progress of a migration to Airflow's own metrics, as Airflow is configured, and sample it in the ledger."""

from __future__ import annotations

import logging

import psycopg
from airflow.sdk.observability import stats

from partition_playbook.database import Limits
from partition_playbook.engine import batches
from partition_playbook.engine.load import is_loaded
from partition_playbook.errors import PlaybookError
from partition_playbook.run import Run

log = logging.getLogger(__name__)

# A sample is worth no wait: a rollback may be dropping the change log.
LIMITS = Limits(lock_timeout=100, statement_timeout=5_000)


def tell(run: Run) -> None:
    """Send the loads, the loads that ended and their rows, as gauges named ``partition_playbook.<table>.<gauge>``.

    The table is in the name, because StatsD knows no tags; it is a tag too. Without metrics in Airflow nothing is sent.
    The backlog becomes a sample in the ledger: nobody reconciles while partitions load.
    """
    loads = run.ledger.loads()
    done = [each for each in loads if is_loaded(each)]
    values = {"loads": len(loads), "loads_done": len(done), "rows_loaded": sum(each["rows"] or 0 for each in done)}

    table = stats.normalize_name_for_stats(run.spec.table, log_warning=False)
    for name, value in values.items():
        stats.gauge(f"partition_playbook.{table}.{name}", value, tags={"table": run.spec.table})
    _sample_backlog(run)


def _sample_backlog(run: Run) -> None:
    """Record the estimated number of waiting changes; a failure stops no load."""
    try:
        with run.database.session(LIMITS) as session:
            waiting = batches.look(session, run.table.change_log, bound=0)  # counts nothing: it spans the ids
            run.ledger.sample_backlog(session, waiting.number, estimated=True, position=waiting.last_change)
    except (psycopg.Error, PlaybookError) as error:
        log.info("%s: no sample of the backlog: %s", run.table, error)
