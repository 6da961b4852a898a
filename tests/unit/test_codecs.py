"""Codecs: round trip, order, and bounds without gap or overlap, for every encoding, interval and zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import sql
from pydantic import ValidationError

from partition_playbook.catalog import Partition, bound_ends
from partition_playbook.codecs import ALPHABET, END, OLDEST, UNIX_EPOCH, Codec, Encoding
from partition_playbook.intervals import (
    BEFORE,
    DEFAULT,
    EARLIEST,
    END_OF_IDS,
    INTERVALS,
    LATEST,
    LEAST_IDS,
    MOST_IDS,
    Bounds,
    IdMoment,
    Interval,
    Unit,
    between,
    bounds_at,
    in_zone,
)
from partition_playbook.names import MAX_BYTES, TableName
from partition_playbook.spec import TableSpec

TWITTER = datetime.fromtimestamp(1288834974.657, UTC).replace(microsecond=657_000)
ZONES = ("UTC", "Europe/Berlin", "America/Santiago", "Pacific/Apia", "Asia/Kathmandu")

encodings = st.sampled_from(list(Encoding))
zones = st.sampled_from(ZONES)
multiples = [Interval.parse(each) for each in ("6 hours", "5 hours", "10 days", "2 weeks", "3 months", "5 months")]
intervals = st.sampled_from([*INTERVALS, *multiples])
moments = st.datetimes(OLDEST.replace(tzinfo=None), END.replace(tzinfo=None), timezones=st.just(UTC))


def codec(encoding: Encoding, zone: str = "UTC", shift: int = 22) -> Codec:
    return Codec(zone, encoding, TWITTER, shift) if encoding is Encoding.SNOWFLAKE else Codec(zone, encoding)


def column_type(encoding: Encoding) -> str:
    return encoding.types[-1]


def comparable(key: Any) -> Any:
    """Return a key as PostgreSQL compares it: a uuid by its bytes, a text with collation "C" too."""
    return key.bytes if isinstance(key, UUID) else key.encode() if isinstance(key, str) else key


@given(encodings, zones, moments)
def test_the_first_key_of_a_moment_has_the_first_tick_from_there_on(
    encoding: Encoding, zone: str, moment: datetime
) -> None:
    found = codec(encoding, zone)
    read = found.moment(found.first_key(moment))
    assert moment <= read < moment + encoding.tick
    assert found.first_key(read) == found.first_key(moment)


@given(encodings, moments, moments)
def test_keys_have_the_order_of_their_moments(encoding: Encoding, first: datetime, second: datetime) -> None:
    keys = [comparable(codec(encoding).first_key(each)) for each in sorted([first, second])]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    ("kind", "fitting", "too_large"),
    [
        ("integer", 2**31 - 1, 2**31),
        ("bigint", 2 * 10**17, None),
        ("numeric", 2 * 10**17, None),
        ("numeric(5,0)", 99_999, 100_000),
        ("numeric(10,2)", 99_999_999, 100_000_000),
        ("numeric(3,5)", 0, 1),
        ("numeric(5,-3)", 99_999_000, 100_000_000),
        ("numeric(5,-3)", 1_000, 1_500),
    ],
)
def test_a_type_holds_ids_up_to_its_last(kind: str, fitting: int, too_large: int | None) -> None:
    ids = Codec.of_ids()
    assert ids.fits(IdMoment.of(fitting), kind)
    assert too_large is None or not ids.fits(IdMoment.of(too_large), kind)


@given(encodings, moments, st.integers(0, 2**74 - 1), moments)
def test_a_key_is_not_below_the_first_key_of_a_moment_exactly_if_its_own_is_not_before(
    encoding: Encoding, moment: datetime, low: int, edge: datetime
) -> None:
    found = codec(encoding)
    key = _with_digits(found, found.first_key(moment), low)
    assert (comparable(key) >= comparable(found.first_key(edge))) == (found.moment(key) >= edge)


def _with_digits(found: Codec, first: Any, low: int) -> Any:
    """Return a key of the same tick as ``first``, with other digits below the time."""
    match found.encoding:
        case Encoding.UUIDV7:
            return UUID(int=first.int | 7 << 76 | 2 << 62 | low & (2**62 - 1))
        case Encoding.ULID:
            return first[:10] + "".join(ALPHABET[low >> 4 * place & 31] for place in range(16))
        case Encoding.SNOWFLAKE:
            return first + low % (1 << found.shift)
    return Decimal(first) + Decimal(low % 1000) / 1000


@given(encodings, zones, intervals, moments.filter(lambda each: each < END.replace(year=9990)))
def test_bounds_leave_no_gap_and_do_not_overlap(
    encoding: Encoding, zone: str, interval: Interval, moment: datetime
) -> None:
    # A spec of hours has the zone UTC.
    zone = "UTC" if interval.unit is Unit.HOUR else zone
    found = codec(encoding, zone)
    start = pendulum.instance(max(moment, found.epoch + timedelta(days=800))).in_timezone(pendulum.timezone(zone))
    planned = list(between(interval, start, interval.shift(interval.floor(start), 3)))
    ends = [found.literals(each, column_type(encoding)) for each in planned]

    assert all(comparable(lower) < comparable(upper) for lower, upper in ends)
    assert all(before[1] == after[0] for before, after in pairwise(ends))
    for bounds, (lower, upper) in zip(planned, ends, strict=True):
        assert bound_ends(f"FOR VALUES FROM ('{lower}') TO ('{upper}')", found) == (bounds.lower, bounds.upper)


@given(st.integers(0, END_OF_IDS - 1), st.integers(LEAST_IDS, MOST_IDS), st.integers(1, 400))
def test_ranges_of_ids_leave_no_gap_sort_by_name_and_tell_no_moment(number: int, width: int, ahead: int) -> None:
    interval, found = Interval.parse(str(width)), Codec.of_ids()
    moment = found.moment(Decimal(number) + Decimal("0.5"))
    assert [found.first_key(moment), int(str(moment)), Interval.parse(str(interval))] == [number, number, interval]
    # The widest spec of the greatest id is still within the years of the ledger.
    assert found.moment(found.first_key(interval.shift(interval.floor(moment), ahead + 1))) > moment

    planned = list(between(interval, moment, interval.shift(interval.floor(moment), 3)))
    ends = [found.literals(each, "bigint") for each in planned]
    assert ends == [(width * at, width * (at + 1)) for at in range(number // width, number // width + 4)]
    names = [TableName("public", "events" * 7).partition(each.suffix).name for each in planned]
    assert names == sorted(set(names))
    assert all(
        len(each) <= MAX_BYTES and each.endswith(f"{lower:019d}") for each, (lower, _) in zip(names, ends, strict=True)
    )

    for bounds, (lower, upper) in zip(planned, ends, strict=True):
        stored = Bounds(*(bound.plain for bound in (bounds.lower, bounds.upper)), "")  # type: ignore[attr-defined]
        assert bounds_at(interval, in_zone(stored.lower, "UTC")) == bounds
        assert bound_ends(f"FOR VALUES FROM ('{lower}') TO ('{upper}')", found) == (bounds.lower, bounds.upper)
        told = (
            f"{bounds} {bounds.lower} {bounds.lower!r} {bounds.lower:%Y} {bounds.lower.isoformat(timespec='seconds')}"
        )
        assert told == f"[{lower}, {upper}) {lower} {lower} {lower} {lower}"


KNOWN: dict[Encoding, tuple[object, str]] = {
    Encoding.EPOCH_SECONDS: (1767225600, "2026-01-01T00:00:00+00:00"),
    Encoding.EPOCH_MILLISECONDS: (Decimal("1767225600123.9"), "2026-01-01T00:00:00.123000+00:00"),
    Encoding.EPOCH_MICROSECONDS: (1767225600123456, "2026-01-01T00:00:00.123456+00:00"),
    # The examples of RFC 9562, of the ULID specification and of Twitter's announcement.
    Encoding.UUIDV7: (UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f"), "2022-02-22T19:22:22+00:00"),
    Encoding.ULID: ("01ARYZ6S41TSV4RRFFQ69G5FAV", "2016-07-30T22:36:16.385000+00:00"),
    Encoding.SNOWFLAKE: (1541815603606036480, "2022-06-28T16:07:40.105000+00:00"),
}


@pytest.mark.parametrize("encoding", Encoding)
def test_a_known_key_has_its_moment(encoding: Encoding) -> None:
    key, moment = KNOWN[encoding]
    assert codec(encoding).moment(key) == pendulum.parse(moment)


@pytest.mark.parametrize("encoding", Encoding)
def test_a_value_of_another_kind_is_refused(encoding: Encoding) -> None:
    with pytest.raises(ValueError, match=r"no key"):
        codec(encoding).moment(b"?")


@pytest.mark.parametrize("encoding", Encoding)
def test_bounds_that_no_calendar_has_are_unreadable(encoding: Encoding) -> None:
    bound = "FOR VALUES FROM ('?') TO ('infinity')"
    assert bound_ends(bound, codec(encoding)) is None
    assert bound_ends("FOR VALUES FROM (MINVALUE) TO (MAXVALUE)", codec(encoding)) == (None, None)


def test_a_key_before_1970_has_no_48_bits() -> None:
    for encoding in (Encoding.UUIDV7, Encoding.ULID):
        with pytest.raises(ValueError, match="48 bits"):
            codec(encoding).first_key(UNIX_EPOCH - timedelta(days=1))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"encoding": "snowflake"}, "needs epoch"),
        ({"encoding": "uuidv7", "epoch": "2015-01-01T00:00:00Z"}, "snowflake only"),
        ({"shift": 22}, "snowflake only"),
        ({"encoding": "snowflake", "epoch": "1969-01-01T00:00:00Z"}, "between 1970 and 9999"),
    ],
)
def test_a_spec_tells_which_keys_belong_together(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TableSpec.model_validate({"table": "events", "partition_by": "id", **keys})


def test_the_epoch_of_a_snowflake_is_a_moment_or_milliseconds() -> None:
    specs = [
        TableSpec.model_validate({"table": "t", "partition_by": "id", "encoding": "snowflake", "epoch": epoch})
        for epoch in (1288834974657, "2010-11-04T01:42:54.657Z")
    ]
    assert {each.codec for each in specs} == {Codec("UTC", Encoding.SNOWFLAKE, TWITTER, 22)}


@pytest.mark.parametrize("value", [pendulum.datetime(2026, 1, 1), pendulum.date(2026, 1, 1)])
def test_without_an_encoding_a_value_is_its_moment(value: Any) -> None:
    plain = TableSpec.model_validate({"table": "t", "partition_by": "at"}).codec
    assert plain.moment(value) == pendulum.datetime(2026, 1, 1)


@pytest.mark.parametrize("encoding", [None, *Encoding])
def test_the_ends_of_partitions_for_outliers_are_open(encoding: Encoding | None) -> None:
    found = codec(encoding) if encoding else Codec("UTC")
    kind = column_type(encoding) if encoding else "date"
    start, end = pendulum.datetime(2026, 1, 1), pendulum.datetime(2026, 2, 1)
    interval, *outliers = Bounds(start, end, "y2026m01"), Bounds(EARLIEST, start, BEFORE), Bounds(end, LATEST, DEFAULT)
    first, default = ([each.as_string() for each in found.ends(bounds, kind)] for bounds in outliers)
    lower, upper = (each.as_string() for each in found.ends(interval, kind))
    assert (first, default) == (["MINVALUE", lower], [upper, "MAXVALUE"])

    column = sql.Identifier("key")
    conditions = [found.within(column, each, each, kind).as_string() for each in (outliers[0], interval, outliers[1])]
    assert conditions[0] == f'"key" IS NOT NULL AND "key" < {lower}'
    assert conditions[1] == f'"key" IS NOT NULL AND "key" >= {lower} AND "key" < {upper}'
    assert conditions[2] == f'"key" IS NOT NULL AND "key" >= {upper}'


def test_a_bound_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch of reconcile and each try of a swap reads the bounds of all partitions."""
    partition = Partition(TableName("public", "p"), "r", "FOR VALUES FROM ('1987-01-01') TO ('1987-02-01')", False, 0)
    berlin = Codec("Europe/Berlin")
    ends = partition.ends(berlin)
    assert partition.ends(Codec("UTC")) != ends

    monkeypatch.delattr(Codec, "bound")
    assert partition.ends(berlin) == ends
