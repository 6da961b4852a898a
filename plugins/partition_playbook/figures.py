"""Numbers as people read them: bytes, rows, durations, percentages and rates; every text a user sees formats here.

No library fits: humanize writes "512 Bytes" and spells out "8 milliseconds"; pydantic's ByteSize writes "1024.0 KiB".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, TypeAlias

Number: TypeAlias = int | float | Decimal  # numeric columns arrive as Decimal

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_HOUR, _DAY = 3600, 86_400
# A duration below the limit is written in whole units and the rest in parts, all in seconds.
_DURATIONS = ((_HOUR, 60, "min", 1, "s"), (2 * _DAY, _HOUR, "h", 60, "min"), (10 * _DAY, _DAY, "days", _HOUR, "h"))


def number(value: Number) -> str:
    """Return a whole number with thousands separators: ``1,000,000``. ValueError for NaN and infinity."""
    return f"{round(_finite(value)):,}"


def decimal(value: Number) -> str:
    """Return a number without a unit, with two significant digits below one: ``0.34``, ``-0.04``, ``12.5``, ``117``."""
    return _short(float(_finite(value)))


def count(value: Number, noun: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 partition``, ``1,000,000 rows``; an irregular plural is given."""
    amount = round(_finite(value))
    return f"{amount:,} {noun if abs(amount) == 1 else plural or noun + 's'}"


def size(value: Number) -> str:
    """Return bytes in binary units: ``1 byte``, ``512 bytes``, ``7.8 MiB``, ``20 GiB``."""
    if abs(round(_finite(value))) < 1024:
        return count(value, "byte")
    scaled = float(value)
    for unit in _UNITS:
        scaled /= 1024
        if abs(round(scaled)) < 1024:
            return f"{_short(scaled)} {unit}"
    return f"{_short(scaled)} {_UNITS[-1]}"


def milliseconds(value: Number) -> str:
    """Return a duration given in milliseconds: ``0.4 ms``, ``8 ms``, ``12.3 s``, ``3 min 20 s``."""
    if _finite(value) < 0:
        return f"-{milliseconds(-value)}"
    if 0 < value < 0.0005:  # the server measures microseconds
        return "under 0.001 ms"
    return f"{_short(float(value))} ms" if round(value) < 1000 else _long(float(value) / 1000)


def seconds(value: Number) -> str:
    """Return a duration given in seconds, in the same words as ``milliseconds``: 0.4 is ``400 ms``."""
    return milliseconds(float(value) * 1000)


def percent(share: Number) -> str:
    """Return a share of one as a percentage: 0.36 is ``36 %``, 1.17 is ``117 %``.

    Only all of it is ``100 %``, and only nothing ``0 %``.
    """
    value = 100 * float(_finite(share))
    if 0 < abs(value) < 0.05:
        return "under 0.1 %" if value > 0 else "over -0.1 %"
    if 99 < abs(value) < 100:
        return f"{_short(math.trunc(10 * value) / 10)} %"
    return f"{value:,.0f} %" if abs(value) >= 9.95 else f"{_short(value)} %"


def gain(share: Number, less: str = "faster", more: str = "slower", same: str = "as fast as before") -> str:
    """Return a saved share of a cost in words: 0.5 is ``50 % faster``, -0.36 is ``36 % slower``.

    Under half a percent either way is ``same``. Other costs give their own words:
    ``gain(-1.17, "fewer pages", "more pages", "as many pages as before")``.
    """
    saved = float(_finite(share))
    if abs(saved) < 0.005:
        return same
    return f"{percent(abs(saved))} {less if saved > 0 else more}"


def rate(quantity: Number, elapsed: Number, noun: str) -> str:
    """Return a quantity for each second of ``elapsed``: ``12,000 rows/s``. ValueError unless time has passed."""
    if _finite(elapsed) <= 0:
        raise ValueError(f"a rate needs a positive duration, not {elapsed} s")
    each = float(quantity) / float(elapsed)
    return f"{decimal(each)} {noun}/s"


def measured(value: Number, unit: str) -> str:
    """Return a measurement of the ledger in its unit: bytes, ms and s in their words, any other after the number."""
    units: dict[str, Callable[[Number], str]] = {"bytes": size, "ms": milliseconds, "s": seconds}
    if unit in units:
        return units[unit](value)
    return f"{number(value) if abs(float(value)) >= 100 else decimal(value)} {unit}"


def _optional(write: Callable[..., str]) -> Callable[..., str]:
    def filtered(value: Any, *words: Any) -> str:
        return "-" if value is None else write(value, *words)

    return filtered


# For a Jinja environment: environment.filters.update(figures.FILTERS). NULL becomes a hyphen.
_WRITERS = (number, decimal, count, size, milliseconds, seconds, percent, gain, rate, measured)
FILTERS: Mapping[str, Callable[..., str]] = {each.__name__: _optional(each) for each in _WRITERS}


def _finite(value: Number) -> Number:
    if not math.isfinite(value):
        raise ValueError(f"not a finite number: {value}")
    return value


def _short(value: float) -> str:
    """Return a number with about two significant digits and no trailing zero; from 100 on it is whole."""
    amount = abs(value)
    if amount >= 99.95:
        return f"{value:,.0f}"
    decimals = 1 if amount >= 1 else min(3, 1 - math.floor(math.log10(amount))) if amount else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _long(value: float) -> str:
    """Return a duration of at least a second in the largest two units that it fills."""
    if round(value, 1) < 60:
        return f"{_short(value)} s"
    for limit, whole, name, part, rest_name in _DURATIONS:
        parts = round(value / part)
        if parts * part < limit:
            wholes, rest = divmod(parts, whole // part)
            return f"{wholes} {name} {rest} {rest_name}" if rest else f"{wholes} {name}"
    return count(value / _DAY, "day")
