"""The server and the session: poolers, encoding, read-only defaults, lock table, what fills the disk, standbys."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from partition_playbook import figures
from partition_playbook.checks import Check, Severity, check, skipped
from partition_playbook.database import Row, Session, read_only_remedy
from partition_playbook.disk import Filesystems, find_filesystems
from partition_playbook.engine import capture, load_groups
from partition_playbook.engine.layout import MAX_PARTITIONS
from partition_playbook.errors import PreconditionFailed, SharedSession
from partition_playbook.sections.preflight.context import PreflightContext
from partition_playbook.sections.preflight.empty_partitions import FIRST_PLANNING_MS, PLANNING_MS, wider_choices
from partition_playbook.spec import DefaultPartition, Mode

UNKNOWN_BYTES = "SQL_ASCII"
# The part of the lock table that one statement may take without a warning.
LOCK_SHARE = 1 / 3
# From here on planning for all partitions takes longer than a short statement runs.
PLANNED_WELL = 1_000
# The part of its limit at which a table is too old: an anti-wraparound autovacuum would begin during the migration.
FREEZE_SHARE = 0.9
# New WAL files of this size together delay few commits.
FEW_WAL_BYTES = 512 << 20
# The part of max_wal_size after which the server begins a checkpoint, and then has old files to use again.
CHECKPOINT_SHARE = 1 / 2
# A sorted key with its overhead in a temporary file.
SORTED_KEY_BYTES = 40
# Disk for one synthetic row with its indexes; measured on the example table of the docs, rounded up.
SYNTHETIC_ROW_BYTES = 250


def session_pooling(context: PreflightContext) -> Check:
    """Refuse a pooler that serves one session from several server processes."""
    try:
        context.run.database.require_own_processes()
    except SharedSession as error:
        return pooled(error)
    return check(
        "session_pooling",
        True,
        expected="one server process for each session",
        actual="two sessions kept their own processes",
    )


def pooled(error: SharedSession) -> Check:
    """Return the failed check for a pooler in transaction mode."""
    return check(
        "session_pooling",
        False,
        expected="one server process for each session",
        actual=error.problem,
        remedy=error.remedy,
    )


def writable(context: PreflightContext) -> Check:
    """Refuse a role or a database whose new transactions are read-only."""
    found = context.session.row("session/find_read_only")
    remedy = read_only_remedy(found)
    return check(
        "writable",
        not remedy,
        expected="new transactions can write",
        actual=f"default_transaction_read_only = on, from: {found['source']}" if remedy else "they can",
        remedy=remedy,
    )


def encoding(context: PreflightContext) -> Check:
    """Refuse a database whose texts are bytes without an encoding."""
    found = context.session.server_encoding()
    name = context.session.connection.info.dbname
    return check(
        "encoding",
        found != UNKNOWN_BYTES,
        expected="a database with an encoding",
        actual=found,
        remedy=f"Copy it into a database in the encoding of its texts, for example: createdb -T template0 -E UTF8 "
        f'"{name}_utf8"; pg_dump --encoding=UTF8 "{name}" | psql -v ON_ERROR_STOP=1 "{name}_utf8"',
    )


def lock_table(context: PreflightContext) -> Check:
    """Compare the locks of a statement on all partitions with the server's lock table."""
    try:
        planned = len(context.bounds)
    except PreconditionFailed:
        return skipped("lock_table", "no partitions are planned: see partitions_planned")

    found = context.session.row("preflight/find_lock_capacity", context.name)
    partitions = planned + (context.run.spec.default_partition is DefaultPartition.KEEP)
    each = 2 + len(context.table.indexes) + found["toasted"]
    needed, capacity = partitions * each, found["per_slot"] * found["slots"]
    setting = ceil(needed / LOCK_SHARE / found["slots"])
    return check(
        "lock_table",
        needed <= LOCK_SHARE * capacity,
        expected=f"at most a third of the {figures.count(capacity, 'lock')} that the server has room for",
        actual=f"a statement on all {figures.count(partitions, 'partition')} takes {figures.count(needed, 'lock')}",
        severity=Severity.ERROR if needed > capacity else Severity.WARNING,
        remedy=f"ALTER SYSTEM SET max_locks_per_transaction = {setting}; then restart the server"
        f"{_or_wider(context)}. Each statement that does not name the partition column takes these locks",
        evidence={"locks": needed, "capacity": capacity, "partitions": partitions, "setting": setting},
    )


def planner(context: PreflightContext) -> Check:
    """Warn of so many partitions that planning for all of them takes longer than most statements."""
    try:
        partitions = len(context.bounds)
    except PreconditionFailed:
        return skipped("planner", "no partitions are planned: see partitions_planned")

    warm, cold = (figures.milliseconds(each * partitions) for each in (PLANNING_MS, FIRST_PLANNING_MS))
    return check(
        "planner",
        partitions <= PLANNED_WELL,
        expected=f"at most {figures.count(PLANNED_WELL, 'partition')}; the planner bears "
        f"{figures.number(MAX_PARTITIONS)}",
        actual=f"planning a statement on all {figures.count(partitions, 'partition')} takes about {warm}, and {cold} "
        "for the first one of a session",
        severity=Severity.WARNING,
        remedy="Let each frequent statement name the partition column: the check `workload_prunes` lists those that do "
        f"not{_or_wider(context)}",
        evidence={"partitions": partitions},
    )


def _or_wider(context: PreflightContext) -> str:
    """Return the wider intervals as the rest of a remedy."""
    wider = wider_choices(context)
    return f". Or set {wider} in the spec" if wider else ""


def replication_slots(context: PreflightContext) -> Check:
    """Warn about replication slots that keep the WAL of the whole migration, or that it would invalidate."""
    size = context.session.value("engine/find_size", context.name)
    found = context.session.rows("preflight/list_slots")
    problems = {row["name"]: text for row in found if (text := _slot_problem(context.session, row, size))}
    names = "; ".join(f"SELECT pg_drop_replication_slot('{name}')" for name in problems)
    return check(
        "replication_slots",
        not problems,
        expected="every replication slot is in use and has room for the WAL of the migration",
        actual="; ".join(problems.values()) or figures.count(len(found), "slot"),
        severity=Severity.WARNING,
        remedy=f"Start their consumers, or raise max_slot_wal_keep_size, or drop the slots that nobody uses: {names}",
    )


def _slot_problem(session: Session, slot: Row, size: int) -> str:
    retained = _retained(session, slot["restart_lsn"])
    kept = f"{slot['name']} ({slot['wal_status']}, keeps {retained})"
    if slot["wal_status"] in ("unreserved", "lost"):
        return f"{kept} loses its WAL"
    if slot["safe_wal_size"] is not None and slot["safe_wal_size"] < size:
        return (
            f"{kept} is lost after {figures.size(slot['safe_wal_size'])} more WAL; the table has {figures.size(size)}"
        )
    if not slot["active"]:
        return f"{kept} is inactive: the disk fills with WAL"
    return ""


def _retained(session: Session, restart_lsn: str) -> str:
    found = session.value_unless_refused("preflight/find_retained_wal", {"restart_lsn": restart_lsn})
    return "an unknown size" if found is None else figures.size(found)


def archiver(context: PreflightContext) -> Check:
    """Refuse a server that fails to archive its WAL: it keeps every file until its disk is full."""
    found = context.session.row("preflight/find_archiver")
    if found["mode"] == "off":
        return skipped("archiver", "archive_mode is off", expected="no failure")
    return check(
        "archiver",
        not found["failing"],
        expected="the last WAL file was archived",
        actual=f"{found['wal']} failed at {found['failed_at']}" if found["failing"] else "it was",
        remedy="Correct archive_command and its target; the server's log has its error. A migration writes the table "
        "to WAL again, and the server keeps each WAL file until it is archived",
        evidence={"failures": found["failures"]},
    )


def wal_files(context: PreflightContext) -> Check:
    """Warn if the server must make new WAL files during the loads: commits wait for each of them."""
    settings = context.session.row("preflight/find_wal_settings")
    written = _wal_bytes(context)
    needed = int(min(written, CHECKPOINT_SHARE * settings["largest"]))
    expected = f"{figures.size(needed)} of old WAL files to use again"
    if not settings["recycled"]:
        return skipped("wal_files", "wal_recycle or wal_init_zero is off", expected=expected)
    ready = context.session.value_unless_refused("preflight/find_ready_wal")
    if ready is None:
        return skipped("wal_files", "this role may not list them: GRANT pg_monitor to it", expected=expected)

    megabytes = ceil(needed / 2**20)
    setting = max(megabytes, settings["kept"] >> 20)
    return check(
        "wal_files",
        needed - ready <= FEW_WAL_BYTES,
        expected=expected,
        actual=f"{figures.size(ready)}; the loads write about {figures.size(written)}",
        severity=Severity.WARNING,
        remedy=f"ALTER SYSTEM SET min_wal_size = '{setting}MB'; SELECT pg_reload_conf(); "
        "The server then keeps old files at its checkpoints. To have them now, in a quiet hour: SELECT "
        f"count(pg_logical_emit_message(false, 'wal', repeat('x', 1048576))) FROM generate_series(1, {megabytes}); "
        "CHECKPOINT; Standbys and the archive receive that WAL too. Else commits wait longer during the loads",
        evidence={"needed_bytes": needed, "ready_bytes": ready},
    )


def _wal_bytes(context: PreflightContext) -> int:
    """Estimate the WAL of the loads, synthetic rows included."""
    generated = context.params.synthetic_rows * SYNTHETIC_ROW_BYTES
    return int(1.1 * (context.session.value("engine/find_size", context.name) + generated)) + generated


def filesystems(context: PreflightContext) -> Check:
    """Compare the estimate with each file system that a migration writes to."""
    try:
        needs = _needs(context)
    except PreconditionFailed:
        return skipped("filesystems", "no partitions are planned: see partitions_planned")

    expected = ", ".join(f"{figures.size(needed)} free for {name}" for name, needed in needs.items())
    found = find_filesystems(context.session, context.table.tablespace)
    if found.unknown:
        return _unseen(context, found.unknown, expected)
    short = list(_short(found, needs))
    free = ", ".join(f"{name} {figures.size(each.free_bytes)}" for name, each in found.found.items())
    return check(
        "filesystems",
        not short,
        expected=expected,
        actual="; ".join(short) or f"free: {free}",
        remedy="Free space there, lower `change_log_limit` in the spec, or move the table with ALTER TABLE … SET "
        "TABLESPACE and temporary files with temp_tablespaces. Both tables exist until partition_finalize",
        evidence={name.replace(" ", "_") + "_bytes": needed for name, needed in needs.items()},
    )


def _unseen(context: PreflightContext, reason: str, expected: str) -> Check:
    if context.params.mode is not Mode.MIGRATE:
        return skipped("filesystems", reason, expected=expected)
    return check(
        "filesystems",
        False,
        expected=expected,
        actual=f"not measured: {reason}",
        severity=Severity.WARNING,
        remedy="Measure the free space on the server with df before you approve the cutover",
    )


def _needs(context: PreflightContext) -> dict[str, int]:
    """Estimate the bytes by purpose, synthetic rows included; WAL counts where slots or an archiver hold it back."""
    generated = context.params.synthetic_rows * SYNTHETIC_ROW_BYTES
    size = context.session.value("engine/find_size", context.name) + generated
    rows = context.session.value("preflight/estimate_rows", context.name) + context.params.synthetic_rows
    held = context.session.rows("preflight/list_slots") or context.session.row("preflight/find_archiver")["failing"]
    weakened = context.partition_by not in context.table.key
    groups = min(len(context.bounds), load_groups.SCANS)
    largest = size // max(groups, 1) * 2 * context.params.load_workers
    sorts = max(largest, int(rows * SORTED_KEY_BYTES) if weakened else 0)
    return {
        "table": int(1.1 * size) + generated,
        "change log": int(capture.INDEXED * capture.limit(context.run.spec, size)),
        "temporary files": sorts,
        "pg_wal": _wal_bytes(context) if held else 0,
    }


def _short(found: Filesystems, needs: dict[str, int]) -> Iterator[str]:
    """Yield each file system without enough room for all that it holds."""
    for device in {each.device for each in found.found.values()}:
        names = [name for name, each in found.found.items() if each.device == device]
        free, needed = found.found[names[0]].free_bytes, sum(needs[name] for name in names)
        if free < needed:
            purposes = " and ".join(names)
            yield f"the file system of {purposes} has {figures.size(free)} free, needs {figures.size(needed)}"


def anti_wraparound(context: PreflightContext) -> Check:
    """Warn about a table so old that an autovacuum against wraparound, which yields to no lock, is near."""
    found = context.session.row("preflight/find_freeze_age", context.name)
    name = context.run.table.quoted
    return check(
        "anti_wraparound",
        found["share"] < FREEZE_SHARE,
        expected=f"an age below {figures.percent(FREEZE_SHARE)} of autovacuum_freeze_max_age",
        actual=f"{figures.count(found['xids'], 'transaction')} of {figures.number(found['xid_limit'])}, "
        f"{figures.count(found['multixacts'], 'multixact')} of {figures.number(found['multixact_limit'])}",
        severity=Severity.WARNING,
        remedy=f"VACUUM (FREEZE) {name} in a quiet hour: an autovacuum to prevent wraparound does not give way, and "
        "capture and cutover would wait for its end",
    )


def standbys(context: PreflightContext) -> Check:
    """Warn where commits wait for standbys, or where reads of a standby meet the locks of the swap."""
    found = context.session.row("preflight/find_standbys")
    problems = list(_standby_problems(found))
    return check(
        "standbys",
        not problems,
        expected="no commit waits for a standby, and no standby serves reads",
        actual="; ".join(problems) or "none",
        severity=Severity.WARNING,
        remedy="Swap while no long query runs on a standby: it is cancelled after max_standby_streaming_delay, or "
        "delays the replay. With remote_apply, commits wait for that replay; ALTER ROLE … SET synchronous_commit = "
        "on for the playbook's role ends it",
    )


def _standby_problems(found: Row) -> Iterator[str]:
    if found["synchronous"]:
        yield f"synchronous_standby_names = {found['synchronous']!r} with synchronous_commit = {found['commit']}"
    if found["standbys"]:
        yield (
            f"{figures.count(found['standbys'], 'standby', 'standbys')}: a query there that uses the table conflicts "
            "with the swap, and each captured write is a subtransaction"
        )


CHECKS = (
    session_pooling,
    writable,
    encoding,
    replication_slots,
    archiver,
    wal_files,
    anti_wraparound,
    standbys,
)
BY_PARTITION_COLUMN = (lock_table, planner, filesystems)
