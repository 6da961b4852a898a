"""Check the time zone of the spec: known to the server, and with the same rules there as on the worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

from partition_playbook import figures
from partition_playbook.checks import Check, check, skipped
from partition_playbook.database import Session
from partition_playbook.errors import PreconditionFailed
from partition_playbook.intervals import Bounds
from partition_playbook.sections.preflight.context import PreflightContext

NAMED = 3
SAMPLES = [datetime(year, month, 1, tzinfo=UTC) for year in range(1970, 2038) for month in range(1, 13)]


def unknown_zone(session: Session, name: str) -> Iterator[Check]:
    """Yield a failed check if the server does not know a zone; the session may be in another one."""
    if session.value("preflight/find_time_zone", {"zone": name}):
        return
    twins = [each for each in _twins(name) if session.value("preflight/find_time_zone", {"zone": each})]
    same = f"{' or '.join(twins)}, known to both with the same rules" if twins else "a name in pg_timezone_names"
    yield check(
        "time_zone",
        False,
        expected=f"the server knows the time zone {name}",
        actual="it is not in pg_timezone_names",
        remedy=f"Set `timezone` in the spec to {same}, or update the time zones of the server",
    )


def _twins(name: str) -> list[str]:
    """Return other names of a zone on the worker, by its offsets."""
    offsets = _offsets(name)
    return [each for each in sorted(available_timezones() - {name}) if _offsets(each) == offsets]


def _offsets(name: str) -> list[object]:
    zone = ZoneInfo(name)
    return [each.astimezone(zone).utcoffset() for each in SAMPLES]


def time_zone(context: PreflightContext) -> Check:
    """Check that each planned partition begins at the same moment by the clocks of the server and the worker."""
    zone = context.run.spec.timezone
    try:
        bounds = context.bounds
    except PreconditionFailed:
        return skipped("time_zone", "no partitions are planned: see partitions_planned")
    zoned = context.table.column(context.partition_by).type.endswith("with time zone")
    different = _different(context.session, zone, bounds) if zoned else []
    compared = f"{figures.count(len(bounds), 'partition')} compared" if zoned else "bounds without a time zone"
    more = f" and {len(different) - NAMED} more" if len(different) > NAMED else ""
    return check(
        "time_zone",
        not different,
        expected=f"the server and the worker have the same rules for {zone}",
        actual="; ".join(different[:NAMED]) + more or compared,
        remedy="Update the time zones (tzdata) of the server or the worker to the same release, or set `timezone` in "
        "the spec to a zone with the same rules on both, such as UTC",
    )


def _different(session: Session, zone: str, bounds: Sequence[Bounds]) -> list[str]:
    values = {
        "zone": zone,
        "moments": [each.lower.isoformat() for each in bounds],
        "clocks": [each.lower.naive().isoformat() for each in bounds],
        "starts": [str(each.literals("timestamp without time zone")[0]) for each in bounds],
    }
    rows = session.rows("preflight/list_different_bounds", values)
    return [f"{row['moment']} on the worker is {row['clock']} on the server" for row in rows]
