"""Send the progress of a migration to Airflow's own metrics: StatsD or OpenTelemetry, as Airflow is configured."""

from __future__ import annotations

from airflow.sdk.observability import stats

from partition_playbook.engine.load import is_loaded
from partition_playbook.run import Run


def tell(run: Run) -> None:
    """Send the loads, the loads that ended and their rows, as gauges named ``partition_playbook.<table>.<gauge>``.

    The table is in the name, because StatsD knows no tags; it is a tag too. Without metrics in Airflow nothing is sent.
    """
    loads = run.ledger.loads()
    done = [each for each in loads if is_loaded(each)]
    values = {"loads": len(loads), "loads_done": len(done), "rows_loaded": sum(each["rows"] or 0 for each in done)}

    table = stats.normalize_name_for_stats(run.spec.table, log_warning=False)
    for name, value in values.items():
        stats.gauge(f"partition_playbook.{table}.{name}", value, tags={"table": run.spec.table})
