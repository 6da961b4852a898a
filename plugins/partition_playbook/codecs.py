"""Codecs between moments and the keys of a partition column that carries time without being a timestamp.

A key has a tick, such as its second. Its moment is the start of that tick in UTC, so partitions of keys hold exactly
the rows that partitions of their moments would hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pendulum
from pendulum import DateTime
from psycopg import sql

from partition_playbook.choices import Choice
from partition_playbook.intervals import END_OF_IDS, ORIGIN, Bounds, IdMoment, elapsed, in_zone

Key = datetime | date | int | UUID | str

# Crockford's alphabet: its order is that of the bytes.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_CHARACTERS, TIME_CHARACTERS = 26, 10
UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Seconds in a column of milliseconds are moments of January 1970, so no key of these encodings is that old.
OLDEST = datetime(1971, 1, 1, tzinfo=UTC)
END = datetime(9999, 1, 1, tzinfo=UTC)
DEFAULT_SHIFT = 22
LARGEST = {"integer": 2**31 - 1, "bigint": 2**63 - 1}
_MICROSECOND = timedelta(microseconds=1)


class Encoding(Choice):
    """The time in a partition column that is no timestamp."""

    EPOCH_SECONDS = "epoch_seconds", "Seconds since 1970 in an `integer`, `bigint` or `numeric`."
    EPOCH_MILLISECONDS = "epoch_milliseconds", "Milliseconds since 1970 in a `bigint` or `numeric`."
    EPOCH_MICROSECONDS = "epoch_microseconds", "Microseconds since 1970 in a `bigint` or `numeric`."
    UUIDV7 = "uuidv7", "The 48 bits of milliseconds at the start of a `uuid` of version 7."
    ULID = "ulid", "The first 10 characters of a ULID, upper case, in a `text`, `varchar` or `char`."
    SNOWFLAKE = "snowflake", "Milliseconds since `epoch`, shifted left by `shift` bits, in a `bigint` or `numeric`."

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the partition column that can hold such keys, without their lengths."""
        match self:
            case Encoding.EPOCH_SECONDS:
                return "integer", "bigint", "numeric"
            case Encoding.UUIDV7:
                return ("uuid",)
            case Encoding.ULID:
                return "text", "character varying", "character"
        return "bigint", "numeric"

    @property
    def tick(self) -> timedelta:
        """Return the span of time that keys with the same time share."""
        match self:
            case Encoding.EPOCH_SECONDS:
                return timedelta(seconds=1)
            case Encoding.EPOCH_MICROSECONDS:
                return _MICROSECOND
        return timedelta(milliseconds=1)


class Numbers(Choice):
    """The values of a partition column whose interval is a number of ids."""

    IDS = "ids", "Whole numbers that only grow, from 0 on."

    @property
    def types(self) -> tuple[str, ...]:
        """Return the types of the partition column that can hold ids."""
        return "integer", "bigint", "numeric"

    @property
    def tick(self) -> timedelta:
        """Return the span of time between two ids."""
        return _MICROSECOND


@dataclass(frozen=True)
class Codec:
    """The way from moments in ``timezone`` to values of the partition column and back.

    Without ``encoding`` the column is a timestamp or a date. ``epoch`` and ``shift`` are those of a snowflake. Ids
    carry no time: their moments are IdMoment, from the epoch ORIGIN on.
    """

    timezone: str
    encoding: Encoding | Numbers | None = None
    epoch: datetime = UNIX_EPOCH
    shift: int = 0

    @classmethod
    def of_ids(cls) -> Codec:
        """Return the codec of ranges of ids."""
        return cls("UTC", Numbers.IDS, ORIGIN)

    @property
    def is_ids(self) -> bool:
        """Return True for ids, which carry no time."""
        return self.encoding is Numbers.IDS

    @property
    def now(self) -> DateTime:
        """Return the present in the zone; with ids the end of all ids, because none of them is of the future."""
        return IdMoment.of(END_OF_IDS) if self.is_ids else pendulum.now(self.timezone)

    def literals(self, bounds: Bounds, column_type: str) -> tuple[Key, Key]:
        """Return both ends of a partition in the type of the partition column."""
        if self.encoding is None:
            return bounds.literals(column_type)
        return self.first_key(bounds.lower), self.first_key(bounds.upper)

    def ends(self, bounds: Bounds, column_type: str) -> tuple[sql.Composable, sql.Composable]:
        """Return both ends as FOR VALUES has them; an open end is MINVALUE or MAXVALUE."""
        lower = sql.SQL("MINVALUE") if bounds.is_first else sql.Literal(self._first(bounds.lower, column_type))
        upper = sql.SQL("MAXVALUE") if bounds.is_default else sql.Literal(self._first(bounds.upper, column_type))
        return lower, upper

    def within(self, column: sql.Composable, first: Bounds, last: Bounds, column_type: str) -> sql.Composable:
        """Return the condition for the rows from the first of adjoining partitions to the last one."""
        found = [sql.SQL("{} IS NOT NULL").format(column)]
        if not first.is_first:
            found.append(sql.SQL("{} >= {}").format(column, sql.Literal(self._first(first.lower, column_type))))
        if not last.is_default:
            found.append(sql.SQL("{} < {}").format(column, sql.Literal(self._first(last.upper, column_type))))
        return sql.SQL(" AND ").join(found)

    def _first(self, moment: DateTime, column_type: str) -> Key:
        """Return the first value of the partition column at a bound."""
        return self.literals(Bounds(moment, moment, ""), column_type)[0]

    def first_key(self, moment: datetime) -> Key:
        """Return the smallest key whose moment is not before ``moment``; ValueError for one that no key can have."""
        if self.encoding is None:
            raise ValueError("a column without encoding has no keys")
        # Rounded up: a key in the middle of a tick belongs to the start of it.
        ticks = -((elapsed(self.epoch) - elapsed(moment)) // self.encoding.tick)
        match self.encoding:
            case Encoding.SNOWFLAKE:
                return ticks << self.shift
            case Encoding.UUIDV7:
                return UUID(int=_unsigned(ticks) << 80)
            case Encoding.ULID:
                return _base32(_unsigned(ticks)).ljust(ULID_CHARACTERS, ALPHABET[0])
        return ticks

    def fits(self, moment: DateTime, column_type: str) -> bool:
        """Return True if a column of this type holds the bound at a moment, neither refused nor rounded."""
        if self.encoding is None:
            return True
        key, (plain, digits) = self.first_key(moment), _parts(column_type)
        if isinstance(key, str):
            return not digits or digits[0] >= len(key)
        if not isinstance(key, int):
            return True
        last = last_number(column_type)
        is_rounded = plain == "numeric" and len(digits) > 1 and digits[1] < 0 and key % 10 ** -digits[1] != 0
        return (last is None or key <= last) and not is_rounded

    def moment(self, value: object) -> DateTime:
        """Return the moment of a value of the partition column, in the zone; ValueError if it cannot be read.

        A value without a time zone is read as its wall clock.
        """
        if self.encoding is None:
            if not isinstance(value, date):
                raise ValueError(f"{value!r} is no moment")
            return in_zone(value, self.timezone)
        if self.is_ids:
            return IdMoment.of(self._ticks(value))
        return in_zone(self.epoch + self._ticks(value) * self.encoding.tick, self.timezone)

    def _ticks(self, value: object) -> int:
        match self.encoding, value:
            case Encoding.UUIDV7, UUID() | str():
                return UUID(str(value)).int >> 80
            case Encoding.ULID, str():
                return _number(value)
            case Encoding.SNOWFLAKE, int() | Decimal() | str():
                return int(Decimal(value) // 1) >> self.shift
            case _, int() | Decimal() | str():
                return int(Decimal(value).to_integral_value("ROUND_FLOOR"))
        raise ValueError(f"{value!r} is no key of {self.encoding}")

    def bound(self, text: str) -> DateTime | None:
        """Return the moment of a bound as the catalog has it; None for MINVALUE and MAXVALUE.

        ValueError or OverflowError for a value outside the years 1 to 9999.
        """
        if text in ("MINVALUE", "MAXVALUE"):
            return None
        content = text.strip("'")
        if self.encoding is None:
            parsed = date.fromisoformat(content) if len(content) == 10 else datetime.fromisoformat(content)
            return in_zone(parsed, self.timezone)
        try:
            return self.moment(content)
        except ArithmeticError as error:  # a Decimal that is no number
            raise ValueError(f"{content} is no key of {self.encoding}") from error

    @property
    def range(self) -> tuple[Key, Key]:
        """Return the smallest readable key, and the first one that is too large."""
        if self.is_ids:
            return 0, END_OF_IDS
        oldest = max(self.epoch, OLDEST)
        if self.encoding in (Encoding.EPOCH_SECONDS, Encoding.SNOWFLAKE):
            oldest = self.epoch
        return self.first_key(oldest), self.first_key(END)

    # ---- The same in SQL.

    def finite(self, column: sql.Composable) -> sql.Composable:
        """Return the condition for values with a moment."""
        if self.encoding is None:
            return sql.SQL("({0} > '-infinity' AND {0} < 'infinity')").format(column)
        lower, upper = self.range
        return sql.SQL("({0} >= {1} AND {0} < {2})").format(column, sql.Literal(lower), sql.Literal(upper))

    def inside(self, column: sql.Composable, start: DateTime | None, end: DateTime | None) -> sql.Composable:
        """Return the condition for values with a moment in ``[start, end)``; None is an open end."""
        found = [self.finite(column)]
        for sign, moment in ((">=", start), ("<", end)):
            if moment is not None:
                key = moment if self.encoding is None else self.first_key(moment)
                found.append(sql.SQL("{} {} {}").format(column, sql.SQL(sign), sql.Literal(key)))
        return sql.SQL(" AND ").join(found)

    def up_to(self, column: sql.Composable, moment: datetime) -> sql.Composed:
        """Return the condition for values with a moment not after ``moment``."""
        if self.encoding is None:
            return sql.SQL("{} <= {}").format(column, sql.Literal(moment))
        return sql.SQL("{} < {}").format(column, sql.Literal(self.first_key(moment + _MICROSECOND)))

    def ordered(self, column: sql.Composable) -> sql.Composable:
        """Return the expression for min() and max() of the column: PostgreSQL has neither of a uuid."""
        if self.encoding is Encoding.UUIDV7:
            return sql.SQL('({}::text COLLATE "C")').format(column)
        return column

    def as_moment(self, column: sql.Composable) -> sql.Composable:
        """Return the expression for the moment of the column; a column without encoding is one, and ids stay ids."""
        epoch = sql.Literal(self.epoch.timestamp())
        match self.encoding:
            case None | Numbers.IDS:
                return column
            case Encoding.EPOCH_SECONDS:
                return sql.SQL("to_timestamp({}::float8)").format(column)
            case Encoding.EPOCH_MILLISECONDS:
                return sql.SQL("to_timestamp({}::float8 / 1e3)").format(column)
            case Encoding.EPOCH_MICROSECONDS:
                return sql.SQL("to_timestamp({}::float8 / 1e6)").format(column)
            case Encoding.UUIDV7:
                return sql.SQL(
                    "to_timestamp(('x' || replace(left({}::text, 13), '-', ''))::bit(48)::bigint / 1e3)"
                ).format(column)
            case Encoding.ULID:
                return sql.SQL(
                    "to_timestamp((SELECT sum((strpos({}, substr({}, place, 1)) - 1)::numeric * 32::numeric "
                    "^ (10 - place)) FROM generate_series(1, 10) AS place)::float8 / 1e3)"
                ).format(sql.Literal(ALPHABET), column)
        return sql.SQL("to_timestamp({} + ({}::bigint >> {}) / 1e3)").format(epoch, column, sql.Literal(self.shift))

    def from_moment(self, moment: sql.Composable) -> sql.Composable:
        """Return the expression for a new key of a moment, with random digits where keys have any.

        ValueError for ids, which have no moment.
        """
        milliseconds = sql.SQL("floor(extract(epoch FROM {}) * 1000)::bigint").format(moment)
        match self.encoding:
            case None:
                return moment
            case Numbers.IDS:
                raise ValueError("an id has no moment")
            case Encoding.EPOCH_SECONDS:
                return sql.SQL("floor(extract(epoch FROM {}))").format(moment)
            case Encoding.EPOCH_MILLISECONDS:
                return milliseconds
            case Encoding.EPOCH_MICROSECONDS:
                return sql.SQL("floor(extract(epoch FROM {}) * 1000000)").format(moment)
            case Encoding.UUIDV7:
                # overlay() sets version and variant of a random uuid.
                return sql.SQL(
                    "overlay(overlay(gen_random_uuid()::text placing '7' from 15) "
                    "placing overlay(lpad(to_hex({}), 12, '0') placing '-' from 9 for 0) from 1)::uuid"
                ).format(milliseconds)
            case Encoding.ULID:
                return sql.SQL(
                    "(SELECT string_agg(substr({}, (({} >> (5 * (10 - place))) & 31)::int + 1, 1), '' ORDER BY place) "
                    "FROM generate_series(1, 10) AS place) "
                    "|| upper(left(replace(gen_random_uuid()::text, '-', ''), 16))"
                ).format(sql.Literal(ALPHABET), milliseconds)
        return sql.SQL("((({} - {}) << {}) + floor(random() * {})::bigint)").format(
            milliseconds,
            sql.Literal((self.epoch - UNIX_EPOCH) // timedelta(milliseconds=1)),
            sql.Literal(self.shift),
            sql.Literal(1 << self.shift),
        )

    def unreadable(self, column: sql.Composable) -> sql.Composable:
        """Return the condition for keys that are none of this encoding."""
        outside = sql.SQL("NOT {}").format(self.finite(column))
        match self.encoding:
            case Encoding.UUIDV7:
                form = sql.SQL("{}::text !~ '^.{{14}}7.{{4}}[89ab]'").format(column)
            case Encoding.ULID:
                form = sql.SQL('{}::text COLLATE "C" !~ {}').format(column, sql.Literal(f"^[0-7][{ALPHABET}]{{25}}$"))
            case _:
                return outside
        return sql.SQL("({} OR {})").format(form, outside)

    def nth_key(self, lower: sql.Composable, number: sql.Composable) -> sql.Composable:
        """Return the expression for the key so many places after ``lower``, the first key of a moment."""
        match self.encoding:
            case Encoding.UUIDV7:
                return sql.SQL("(left({}::text, 24) || lpad(to_hex({}), 12, '0'))::uuid").format(lower, number)
            case Encoding.ULID:
                return sql.SQL("left({}, 10) || lpad(({})::text, 16, '0')").format(lower, number)
        return sql.SQL("{} + {}").format(lower, number)


def last_number(column_type: str) -> int | None:
    """Return the greatest whole number that a column of this type holds; None without a limit, or for no number."""
    plain, digits = _parts(column_type)
    if plain != "numeric" or not digits:
        return LARGEST.get(plain)
    precision, scale = digits
    least_digit: int = 10 ** max(-scale, 0)
    whole: int = 10 ** max(precision - max(scale, 0), 0)
    return (whole - 1) * least_digit


def _parts(column_type: str) -> tuple[str, tuple[int, ...]]:
    """Return a type without its modifiers, and these: ``numeric(10,2)`` has 10 and 2."""
    plain, _, modifiers = column_type.partition("(")
    return plain, tuple(int(each) for each in re.findall("-?[0-9]+", modifiers))


def _unsigned(ticks: int) -> int:
    if not 0 <= ticks < 1 << 48:
        raise ValueError("the time of a key has 48 bits, from 1970 on")
    return ticks


def _base32(number: int) -> str:
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(TIME_CHARACTERS)))


def _number(text: str) -> int:
    number = 0
    for character in text[:TIME_CHARACTERS]:
        number = number << 5 | ALPHABET.index(character)
    return number
