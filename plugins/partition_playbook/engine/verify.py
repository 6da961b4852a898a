"""Verify: compare all rows without a waiting change on both sides, each slice in a snapshot of its own."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psycopg import sql

from partition_playbook import catalog, figures
from partition_playbook.catalog import Column
from partition_playbook.checks import Check, check
from partition_playbook.database import Limits, Session
from partition_playbook.engine import capture, doubled, slices
from partition_playbook.engine.sides import Direction, Sides, sides
from partition_playbook.engine.slices import Ranges, Slice
from partition_playbook.errors import ComparisonVoid, Diverged
from partition_playbook.run import Run
from partition_playbook.sql import columns

COMPARED_BEFORE_CUTOVER, COMPARED_AFTER_CUTOVER = "compared_before_cutover", "compared_after_cutover"
COMPARED = {Direction.FORWARD: COMPARED_BEFORE_CUTOVER, Direction.BACK: COMPARED_AFTER_CUTOVER}
WORKERS = 2
# A comparison that a change of the definition made void is repeated once by itself.
ATTEMPTS = 2
CHANGED = "the capture, a column, a partition or a data file changed during the comparison"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """The number of rows and the checksum of a table between two bounds."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class Compared:
    """The same partition on both sides."""

    partition: str
    live: Content
    standby: Content

    @property
    def equal(self) -> bool:
        """Tell whether both sides have the same rows."""
        return self.live == self.standby


EMPTY = Content(0, 0)
Contents = dict[int, Content]


@dataclass(frozen=True)
class _Task:
    """One comparison: both sides, their slices, and the capture fingerprint before the first slice.

    Without a fingerprint all slices share one exported ``snapshot``: nothing else holds them together. An ``ordered``
    monolith has the rows of a slice in adjoining blocks.
    """

    now: Sides
    ranges: Ranges
    slices: tuple[Slice, ...]
    waiting: int
    capture_fingerprint: str
    ordered: bool
    snapshot: str | None = None

    @property
    def proof(self) -> str:
        """Return one value over all that must be the same for an equal slice to stay equal."""
        row = hashed_row(self.now.live.columns).as_string(None)
        parts = self.capture_fingerprint, self.now.direction, self.ranges, row
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    @property
    def is_resumable(self) -> bool:
        """Tell whether a retry can go on where this comparison was interrupted."""
        return self.snapshot is None and len(self.slices) > 1


def compare(run: Run, workers: int = WORKERS) -> tuple[list[Compared], int]:
    """Compare both sides by partition; return the partitions and the number of waiting changes at the start.

    Each slice of adjoining partitions is read on both sides in one snapshot, without the rows whose change waits in
    that snapshot. So it is exact while the application writes. While the capture fingerprint stays the same, the change
    log has each later write until both sides have it. So equal slices make equal tables. Without a fingerprint all
    slices share one snapshot.

    A retry of an interrupted task reads no slice again that was equal under the same fingerprint. Raises SourceChanged
    if the columns differ, and ComparisonVoid if the fingerprint changed meanwhile in each of ATTEMPTS comparisons.
    """
    for _ in range(ATTEMPTS):
        started = time.monotonic()
        with _prepared(run) as task:
            compared = _named(task.ranges, *_compare_slices(run, task, workers))

        if _holds(run, task):
            seconds = time.monotonic() - started
            state = task.capture_fingerprint if all(each.equal for each in compared) else ""
            _record_comparison(run, task.now.direction, state, task.waiting, seconds)
            if task.is_resumable:
                run.ledger.end_comparison()
            return compared, task.waiting
        log.warning("%s: %s; comparing again", run.table, CHANGED)
    raise ComparisonVoid(str(run.table))


@contextmanager
def _prepared(run: Run) -> Iterator[_Task]:
    """Read all that a comparison needs; its snapshot stays open only if the slices must share it."""
    with run.database.snapshot(Limits(idle_in_transaction=0)) as session:
        task = _read_task(run, session)
        if not task.capture_fingerprint:
            yield replace(task, snapshot=session.value("session/export_snapshot"))
            return
    yield task


def _read_task(run: Run, session: Session) -> _Task:
    now = sides(session, run)
    now.require_same_columns()
    partitions = catalog.partitions(session, now.partitioned.table_name)
    ranges = slices.read_ranges(run, partitions, now.live, now.require_standby())
    waiting = capture.count(session, run)
    ordered = slices.reads_ranges(session, run, now.monolith)
    # Rows of the live table outside the range of a part have no counterpart.
    part = Slice(1, len(ranges.edges) - 1)
    cut = [part] if run.part_of else slices.cut(ranges, partitions, waiting, ordered=ordered)
    return _Task(now, ranges, tuple(cut), waiting, _fingerprint(session, run, now), ordered)


def _fingerprint(session: Session, run: Run, now: Sides) -> str:
    """Return the capture fingerprint; empty if the capture has stopped, which leaves the catalog as it was."""
    return "" if capture.loss(session, run) else capture.capture_fingerprint(session, run, now)


def _holds(run: Run, task: _Task) -> bool:
    """Tell whether the slices belong together: by one snapshot, or by one fingerprint before and after all of them."""
    if task.snapshot:
        return True
    with run.database.session() as session:
        return _fingerprint(session, run, task.now) == task.capture_fingerprint


def _compare_slices(run: Run, task: _Task, workers: int) -> tuple[Contents, Contents]:
    """Return the contents of both sides by bucket, from ``workers`` slices at a time; log each slice."""
    started = time.monotonic()
    live, standby, left = _compared_before(run, task)
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(_compare_slice, run, task, each): each for each in left}
        try:
            for number, done in enumerate(as_completed(running), start=1):
                of_live, of_standby = done.result()
                live |= of_live
                standby |= of_standby
                _tell(run, task, running[done], of_live == of_standby, f"{number} of {len(left)}", started)
        except BaseException:
            # The slices that have begun end by themselves, the others never begin.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return live, standby


def _tell(run: Run, task: _Task, part: Slice, equal: bool, progress: str, started: float) -> None:
    log.info(
        "%s: %s on both sides in %s; slice %s, after %s",
        run.table,
        "equal" if equal else "DIFFERENT",
        task.ranges.title(part),
        progress,
        figures.seconds(time.monotonic() - started),
    )


def _compared_before(run: Run, task: _Task) -> tuple[Contents, Contents, list[Slice]]:
    """Return the contents that an interrupted try of this task found equal, and the slices that are left."""
    known: Contents = {}
    done: set[int] = set()
    for each in run.ledger.compared_slices(task.proof) if task.is_resumable else ():
        done |= set(range(each["first"], each["last"] + 1))
        known |= {int(bucket): Content(rows, int(checksum)) for bucket, (rows, checksum) in each["contents"].items()}

    left = [each for each in task.slices if not done.issuperset(range(each.first, each.last + 1))]
    if done:
        skipped = len(task.slices) - len(left)
        log.info("%s: %s compared by an earlier try", run.table, figures.count(skipped, "slice"))
    return dict(known), dict(known), left


def _compare_slice(run: Run, task: _Task, part: Slice) -> tuple[Contents, Contents]:
    """Read a slice of both sides in one snapshot, and record it if both are equal."""
    live, standby = task.now.live.table_name.identifier, task.now.require_standby().table_name.identifier
    started = time.monotonic()
    with run.database.snapshot(Limits(idle_in_transaction=0), shared=task.snapshot) as session:
        # After the cutover the wider keys may have allowed rows that are beside the retired table.
        has_open_rows = task.now.live.is_partitioned and doubled.exists(session, run.table)
        of_live = _contents(session, run, task, part, live)
        of_standby = _contents(session, run, task, part, standby)
        if has_open_rows:
            of_standby = _together(of_standby, _contents(session, run, task, part, doubled.open_rows(run.table)))

    if task.is_resumable and of_live == of_standby:
        contents = {bucket: (each.rows, str(each.checksum)) for bucket, each in of_live.items()}
        run.ledger.record_slice(
            task.proof,
            f"compared {task.ranges.title(part)}",
            sum(each.rows for each in of_live.values()),
            1000 * (time.monotonic() - started),
            first=part.first,
            last=part.last,
            contents=contents,
        )
    return of_live, of_standby


def _contents(session: Session, run: Run, task: _Task, part: Slice, table: sql.Composable) -> Contents:
    """Count and checksum a slice of a table by bucket, without the rows in the change log."""
    now, ranges = task.now, task.ranges
    parts = {
        "table": table,
        "bucket": ranges.bucket(part),
        "within": ranges.within("t", part),
        "row": hashed_row(now.live.columns),
    }
    # Else a slice is a large share of the table: an index would fetch its rows one by one, from everywhere.
    session.rows("engine/tune_comparison", {"indexes": "on" if task.ordered else "off"})
    rows = session.rows("engine/list_checksums", **parts)
    session.rows("engine/tune_comparison", {"indexes": "on"})
    rows += session.rows(
        "engine/list_waiting_checksums",
        **parts,
        log=run.table.change_log.identifier,
        waiting=ranges.within("k", part),
        key=columns(now.change_log_columns, "k"),
        match=now.match("k", "t"),
    )
    return _together(*({row["bucket"]: Content(row["rows"], int(row["checksum"]))} for row in rows))


def _together(*contents: Contents) -> Contents:
    """Add up several contents by bucket, without the empty ones."""
    found: Contents = {}
    for each in contents:
        for bucket, more in each.items():
            content = found.get(bucket, EMPTY)
            found[bucket] = Content(content.rows + more.rows, content.checksum + more.checksum)
    return {bucket: content for bucket, content in found.items() if content != EMPTY}


def _named(ranges: Ranges, live: Contents, standby: Contents) -> list[Compared]:
    """Return both sides of each partition and gap, and of what is outside every bound, if there is anything."""
    inside = range(1, len(ranges.names) + 1)
    outside = sorted(bucket for bucket in live.keys() | standby.keys() if bucket not in inside)
    return [
        Compared(ranges.name(bucket), live.get(bucket, EMPTY), standby.get(bucket, EMPTY))
        for bucket in (*inside, *outside)
    ]


def _record_comparison(run: Run, direction: Direction, state: str, waiting: int, seconds: float) -> None:
    """Record the capture fingerprint of an equal comparison; an unequal one takes back the last."""
    if state or compared_fingerprint(run, direction):
        run.ledger.record_measurement(
            "migration", COMPARED[direction], waiting, "changes", state=state, seconds=seconds
        )


def compared_fingerprint(run: Run, direction: Direction) -> str:
    """Return the capture fingerprint of the last comparison before a swap in this direction.

    Empty without a comparison, and if the two sides differed.
    """
    recorded = run.ledger.measurements("migration").get(COMPARED[direction])
    return str(recorded["detail"]["state"]) if recorded else ""


def unbroken_capture(run: Run) -> str:
    """Return the capture fingerprint of the last equal comparison of these sides; empty if it has changed."""
    with run.database.session() as session:
        now = sides(session, run)
        found = capture.capture_fingerprint(session, run, now)
    return found if compared_fingerprint(run, now.direction) == found else ""


def hashed_row(columns: Sequence[Column]) -> sql.Composed:
    """Return the columns for a checksum; types with several forms of one value, such as numeric, are hashed as text."""
    parts = [
        sql.SQL("t.{}" if column.exact_hash else "t.{}::text").format(sql.Identifier(column.name)) for column in columns
    ]
    return sql.SQL(", ").join(parts)


def _content_text(content: Content) -> str:
    return f"{figures.count(content.rows, 'row')} with checksum {content.checksum}"


def content_check(compared: Sequence[Compared], waiting: int, *, name: str = "row_content") -> Check:
    """Return the check of equal rows on both sides, with every partition as evidence."""
    unequal = [each for each in compared if not each.equal]
    rows = sum(each.live.rows for each in compared)
    actual = (
        f"{figures.count(rows, 'row')} equal in {figures.count(len(compared), 'partition')}, "
        f"{figures.count(waiting, 'change')} waiting"
    )
    if unequal:
        actual = "; ".join(
            f"{each.partition}: live {_content_text(each.live)}, standby {_content_text(each.standby)}"
            for each in unequal
        )
    evidence = {
        each.partition: {"rows": each.live.rows, "checksum": str(each.live.checksum), "equal": each.equal}
        for each in compared
    }
    return check(
        name,
        not unequal,
        expected="equal counts and checksums of all columns in every partition, over all rows without a waiting change",
        actual=actual,
        remedy="Keep both tables and compare the partitions named. Before the cutover trigger partition_rollback, then "
        "start a new run. After it make both tables equal first",
        evidence=evidence,
    )


def require_equal(run: Run, remedy: str) -> None:
    """Compare every row of both sides; Diverged if one differs."""
    found = content_check(*compare(run))
    if found.blocks:
        raise Diverged(found.actual, where=str(run.table), remedy=remedy)
