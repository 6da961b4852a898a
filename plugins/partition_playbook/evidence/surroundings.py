"""What surrounds the table: names that are taken, runs that stand, disk, other transactions, the backup, monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from urllib.error import URLError
from urllib.request import urlopen

import pendulum
import psycopg

from partition_playbook import catalog
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.disk import find_disk
from partition_playbook.errors import PreconditionFailed
from partition_playbook.evidence import pg_tools, statement_statistics
from partition_playbook.evidence.precondition import Look
from partition_playbook.intervals import in_zone
from partition_playbook.migration import capture, materialized
from partition_playbook.migration.throttle import excesses
from partition_playbook.names import LEDGER_SCHEMA, clip
from partition_playbook.spec import Backup

LONG_SECONDS = 60
BACKUP_HOURS = 24
HTTP_SECONDS = 5
# What a synthetic row takes with its indexes; measured on the worked schema, rounded up.
SYNTHETIC_ROW_BYTES = 250


def names_fit(look: Look) -> Check:
    """Check that the names that will be made are all different and free."""
    planned = list(_planned_names(look))
    twice = {name for name in planned if planned.count(name) > 1}
    taken = look.session.rows("preflight/list_taken_names", {"schema": look.table.schema, "names": planned})
    clashes = sorted(twice | {row["name"] for row in taken})
    return check(
        "names_fit",
        not clashes,
        expected="every name within 63 bytes, different and free",
        actual=f"taken: {', '.join(clashes)}" if clashes else f"{len(planned)} names, all free",
        remedy="Rename what bears these names, or drop it where an earlier migration left it",
    )


def _planned_names(look: Look) -> Iterator[str]:
    table = look.run.table
    yield from (table.shadow.name, table.retired.name, table.default.name)
    with suppress(PreconditionFailed):  # partitions_planned says so
        yield from (table.partition(each.suffix).name for each in look.bounds)
    sequences = [row["name"] for row in look.session.rows("catalog/list_sequences", look.name) if row["identity"]]
    swapped = [index.name for index in look.table.indexes]
    swapped += [each.name for each in look.table.extended_statistics]
    for view in materialized.find(look.session, look.run.table):
        described = catalog.require(look.session, view)
        swapped += [view.name, *(index.name for index in described.indexes)]
    for name in [*swapped, *sequences]:
        yield from (clip(name, "_new"), clip(name, "_old"))


def no_standing_run(look: Look) -> Check:
    """Refuse to start beside a migration that was not brought to its end, or beside what is left of one."""
    table = look.run.table
    values = {"shadow": table.shadow.name, "retired": table.retired.name, "change_log": table.change_log.name}
    strays = look.session.rows("preflight/list_strays", look.name | values | {"ledger_schema": LEDGER_SCHEMA})
    standing = _standing_run(look)
    found = [f"run {standing}"] if standing else []
    found += [row["name"] for row in strays]
    remedy = "Trigger partition_rollback to undo that run, or partition_finalize to drop what it retired"
    return check(
        "no_standing_run",
        not found,
        expected="no other migration of this table stands",
        actual="; ".join(found) or "none",
        remedy=remedy if standing else "No run is known to have made these: look at them, then drop or rename them",
        evidence={"run_id": standing},
    )


def _standing_run(look: Look) -> str:
    try:
        found = look.run.ledger.standing_run(look.run.table)
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return ""
    if found is None or found["run_id"] == look.run.ledger.run_id:
        return ""
    return f"{found['run_id']} ({found['phase']} since {found['started_at']:%Y-%m-%d %H:%M})"


def disk(look: Look) -> Check:
    """Compare the estimate with the free disk, where the server's disk is this host's."""
    generated = look.params.synthetic_rows * SYNTHETIC_ROW_BYTES
    size = look.session.value("migration/find_size", look.name) + generated
    change_log = int(capture.INDEXED * capture.limit(look.run.spec, size))
    needed = int(1.1 * size) + change_log + generated
    expected = f"{needed / 1e6:.0f} MB free for the shadow and the change log"
    found = find_disk(look.session)
    if found.free_bytes is None:
        return skipped("disk", f"{found.unknown}; make sure yourself that {needed} bytes are free", expected=expected)
    return check(
        "disk",
        found.free_bytes >= needed,
        expected=expected,
        actual=f"{found.free_bytes / 1e6:.0f} MB free",
        remedy="Give the server more disk, or the spec a smaller change_log_limit; both tables exist until "
        "partition_finalize",
        evidence={
            "needed_bytes": needed,
            "free_bytes": found.free_bytes,
            "table_bytes": size,
            "change_log_bytes": change_log,
        },
    )


def throttle(look: Look) -> Check:
    """Warn where loads would wait from the start, or where this role may not see how busy the server is."""
    limits, load = look.run.spec.throttle, look.session.row("migration/measure_load")
    unseen = not load["sees_all"] and (limits.max_replica_lag or limits.max_running is not None)
    problems = [text for _, text in excesses(limits, load)]
    if unseen:
        problems.append("this role may not see replicas and other sessions' work")
    return check(
        "throttle",
        not problems,
        expected=f"{limits}",
        actual="; ".join(problems)
        or f"{load['connections']} connections, {load['running']} sessions at work, "
        f"replica lag {load['replica_lag'] or 0:.0f} s",
        severity=Severity.WARNING,
        remedy="Loads wait as long as a limit is exceeded: change `throttle` in the spec, or GRANT pg_read_all_stats",
    )


def long_transactions(look: Look) -> Check:
    """Warn of transactions that would make the cutover wait."""
    found = look.session.rows("preflight/list_long_transactions", look.name)
    unseen = sum(row["seconds"] is None for row in found)
    long = [row for row in found if (row["seconds"] or 0) > LONG_SECONDS]
    named = [
        f"pid {row['pid']} user {row['usename']} application {row['application_name']!r} {row['state']} "
        f"for {row['seconds']:.0f} s: {row['query']}"
        for row in long
    ]
    hidden = f" ({unseen} more whose age this role may not see)" if unseen else ""
    return check(
        "long_transactions",
        not long,
        expected=f"no transaction on the table older than {LONG_SECONDS} s",
        actual=("; ".join(named) or "none") + hidden,
        severity=Severity.WARNING,
        remedy="Let them end before the cutover, or end them: the cutover waits for them, and kills nobody",
    )


def prepared_transactions(look: Look) -> Check:
    """Refuse to start where a prepared transaction holds the table for nobody knows how long."""
    found = look.session.rows("preflight/list_prepared_transactions", look.name)
    long = [row for row in found if row["seconds"] > LONG_SECONDS]
    old = [f"{row['gid']!r} of {row['owner']}, {row['seconds']:.0f} s old" for row in long]
    return check(
        "prepared_transactions",
        not old,
        expected=f"no prepared transaction on the table older than {LONG_SECONDS} s",
        actual="; ".join(old) or "none",
        remedy="COMMIT PREPARED or ROLLBACK PREPARED them: the capture cannot start while they hold the table",
    )


def event_triggers(look: Look) -> Check:
    """Warn of event triggers: they fire on the migration's own statements and may refuse them."""
    found = [row["name"] for row in look.session.rows("preflight/list_event_triggers")]
    return check(
        "event_triggers",
        not found,
        expected="none",
        actual="; ".join(found) or "none",
        severity=Severity.WARNING,
        remedy="Make sure that they let CREATE, ALTER and DROP TABLE of this role pass, or disable them meanwhile",
    )


def upserts(look: Look) -> Check:
    """Find statements of the live workload whose ON CONFLICT names a key that the partitioned table does not have."""
    old, table = set(look.table.key), look.table.table_name
    named = f"ON CONFLICT ({', '.join(look.table.key)})"
    if look.partition_by in old:
        return skipped("upserts", f"the key of {named} stays as it is")
    statistics = statement_statistics.read(look.session, table)
    if statistics.problem:
        return skipped("upserts", f"{statistics.problem}: look for {named} yourself")
    written = [each for each in statistics.sent if any(place.target for place in each.script.naming(table))]
    found = [each for each in written if old in each.script.conflict_targets]
    return check(
        "upserts",
        not found,
        expected=f"no statement with {named}",
        actual="; ".join(f"{each.calls} calls of {' '.join(each.text.split())[:200]}" for each in found) or "none",
        remedy=f"They would fail after cutover: let them say ON CONFLICT ({', '.join(look.table.key)}, "
        f"{look.partition_by}), then forget these with pg_stat_statements_reset()",
    )


def backup(look: Look) -> Check:
    """Check that there is a backup, or the tools to make one."""
    match look.params.backup:
        case Backup.SKIP:
            return skipped("backup", "this rehearsal was asked to go without one")
        case Backup.EXTERNAL:
            return _external_backup(look)
        case Backup.DUMP:
            server = look.session.server_version()
            tools = [pg_tools.find(name, server) for name in ("pg_dump", "pg_restore")]
            found = ", ".join(f"{tool.name} {pg_tools.version(tool)}" for tool in tools)
            return check("backup", True, expected=f"pg_dump and pg_restore of version {server} or newer", actual=found)


def _external_backup(look: Look) -> Check:
    given = look.params.external_backup_at or ""
    taken = pendulum.parse(given, strict=False) if given else None
    age = (pendulum.now("UTC") - in_zone(taken, "UTC")).total_hours() if isinstance(taken, pendulum.DateTime) else None
    return check(
        "backup",
        age is not None and 0 <= age < BACKUP_HOURS,
        expected=f"a backup from the last {BACKUP_HOURS} hours",
        actual=f"taken at {given}, {age:.1f} hours ago" if age is not None else f"external_backup_at is {given!r}",
        remedy="Take a backup, check that it restores, and give its time in external_backup_at",
    )


def monitoring(look: Look) -> Check:
    """Ask every monitoring endpoint of the spec."""
    endpoints = look.run.spec.monitoring.endpoints
    if not endpoints:
        return skipped("monitoring", "the spec names no monitoring.endpoints")
    answers = {name: _answer(url) for name, url in endpoints.items()}
    silent = {name: answer for name, answer in answers.items() if answer != "ok"}
    return check(
        "monitoring",
        not silent,
        expected=f"an answer from {', '.join(endpoints)}",
        actual="; ".join(f"{name}: {answer}" for name, answer in silent.items()) or "all answer",
        remedy="Start what does not answer, or correct monitoring.endpoints in the spec",
        evidence=answers,
    )


def _answer(url: str) -> str:
    """Return ok, or why not; never the address, which may hold a token."""
    if not url.lower().startswith(("http://", "https://")):
        return "not an http or https address"
    try:
        with urlopen(url, timeout=HTTP_SECONDS):
            return "ok"
    except URLError as error:
        return str(error.reason) if not hasattr(error, "code") else f"status {error.code}"
    except (OSError, ValueError, HTTPException) as error:
        return type(error).__name__


CHECKS = (
    no_standing_run,
    disk,
    throttle,
    long_transactions,
    prepared_transactions,
    event_triggers,
    upserts,
    backup,
    monitoring,
)
