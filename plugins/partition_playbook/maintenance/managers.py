"""Other programs that create and drop partitions of the same table: pg_partman and jobs of pg_cron."""

from __future__ import annotations

from collections.abc import Iterator

from partition_playbook.checks import Check, Severity, check
from partition_playbook.database import Session
from partition_playbook.names import TableName


def other_managers_check(session: Session, table: TableName) -> Check:
    """Check that nothing else manages the partitions; a table of settings without a right to read it is not seen."""
    found = list(_managers(session, table))
    return check(
        "other_managers",
        not found,
        expected="no other program that creates or drops partitions of this table",
        actual="; ".join(found) or "none",
        remedy="Two managers make overlapping partitions, and another one drops them without hold, grace and archive. "
        f"Stop the other one: DELETE FROM part_config WHERE parent_table = '{table}', or cron.unschedule(jobid). "
        "Or remove the table spec",
        severity=Severity.WARNING,
    )


def _managers(session: Session, table: TableName) -> Iterator[str]:
    for row in session.rows("maintenance/list_manager_tables"):
        settings = TableName(row["schema"], row["name"])
        if settings.name == "part_config":
            parts, values = {"config": settings.identifier}, {"table": str(table)}
            listed = session.rows("maintenance/list_partman_parents", values, **parts)
            yield from (f"pg_partman lists {each['entry']} in {settings}" for each in listed)
        else:
            jobs = session.rows("maintenance/list_cron_jobs", {"name": table.name}, job=settings.identifier)
            yield from (f"{settings} {each['entry']}" for each in jobs)
