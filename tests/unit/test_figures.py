from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from partition_playbook import figures

NOT_FINITE = [float("nan"), float("inf"), float("-inf"), Decimal("NaN")]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 rows"),
        (1, "1 row"),
        (-1, "-1 row"),
        (2, "2 rows"),
        (999, "999 rows"),
        (1000, "1,000 rows"),
        (1_000_000, "1,000,000 rows"),
        (10**18 + 1, "1,000,000,000,000,000,001 rows"),
        (1.4, "1 row"),
        (Decimal(8), "8 rows"),
    ],
)
def test_a_count_has_its_noun(value: float, text: str) -> None:
    assert figures.count(value, "row") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.34, "0.34"),
        (-0.04, "-0.04"),
        (0.996, "1"),
        (1.0, "1"),
        (12.54, "12.5"),
        (99.96, "100"),
        (2e6, "2,000,000"),
    ],
)
def test_a_number_without_a_unit_has_few_digits(value: float, text: str) -> None:
    assert figures.decimal(value) == text


def test_an_irregular_plural_is_given() -> None:
    assert figures.count(1, "query", "queries") == "1 query"
    assert figures.count(0, "query", "queries") == "0 queries"
    assert figures.count(3, "foreign key") == "3 foreign keys"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (512, "512 bytes"),
        (1023, "1,023 bytes"),
        (1023.5, "1 KiB"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (102_348, "99.9 KiB"),
        (102_399, "100 KiB"),
        (1024**2 - 1, "1 MiB"),
        (1024**2, "1 MiB"),
        (8_200_192, "7.8 MiB"),
        (8_200_192.0, "7.8 MiB"),
        (-8_200_192, "-7.8 MiB"),
        (20 * 1024**3, "20 GiB"),
        (1024**4 - 1, "1 TiB"),
        (32 * 1024**4, "32 TiB"),
        (2**63, "8 EiB"),
        (2**80, "1,048,576 EiB"),
        (Decimal(1024), "1 KiB"),
    ],
)
def test_bytes_have_binary_units(value: float, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.0001, "under 0.001 ms"),
        (0.001, "0.001 ms"),
        (0.04, "0.04 ms"),
        (0.123, "0.12 ms"),
        (0.4, "0.4 ms"),
        (0.999, "1 ms"),
        (8, "8 ms"),
        (8.04, "8 ms"),
        (8.25, "8.2 ms"),
        (99.96, "100 ms"),
        (999.4, "999 ms"),
        (999.6, "1 s"),
        (1000, "1 s"),
        (12_345, "12.3 s"),
        (59_940, "59.9 s"),
        (59_960, "1 min"),
        (60_000, "1 min"),
        (200_000, "3 min 20 s"),
        (3_599_400, "59 min 59 s"),
        (3_599_600, "1 h"),
        (3_660_000, "1 h 1 min"),
        (47 * 3_600_000, "47 h"),
        (48 * 3_600_000, "2 days"),
        (76 * 3_600_000, "3 days 4 h"),
        (10 * 86_400_000, "10 days"),
        (1000 * 86_400_000, "1,000 days"),
        (-8, "-8 ms"),
        (-200_000, "-3 min 20 s"),
        (Decimal("0.4"), "0.4 ms"),
    ],
)
def test_a_duration_has_the_units_that_it_fills(value: float, text: str) -> None:
    assert figures.milliseconds(value) == text
    assert figures.seconds(float(value) / 1000) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0 %"),
        (0.0001, "under 0.1 %"),
        (-0.0001, "over -0.1 %"),
        (0.004, "0.4 %"),
        (0.0995, "10 %"),
        (0.36, "36 %"),
        (-0.36, "-36 %"),
        (0.994, "99.4 %"),
        (0.99999, "99.9 %"),
        (1, "100 %"),
        (1.17, "117 %"),
        (12, "1,200 %"),
    ],
)
def test_a_percentage_is_all_or_nothing_only_where_it_is(share: float, text: str) -> None:
    assert figures.percent(share) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.5, "50 % faster"),
        (-0.36, "36 % slower"),
        (0, "as fast as before"),
        (0.0049, "as fast as before"),
        (-0.0049, "as fast as before"),
        (0.005, "0.5 % faster"),
        (0.99996, "99.9 % faster"),
        (-12, "1,200 % slower"),
    ],
)
def test_a_loss_is_no_negative_gain(share: float, text: str) -> None:
    assert figures.gain(share) == text


def test_pages_have_words_of_their_own() -> None:
    words = ("fewer pages", "more pages", "as many pages as before")
    assert figures.gain(-1.17, *words) == "117 % more pages"
    assert figures.gain(0, *words) == "as many pages as before"


@pytest.mark.parametrize(
    ("quantity", "elapsed", "text"),
    [
        (0, 1, "0 rows/s"),
        (1, 3, "0.33 rows/s"),
        (24_000, 2, "12,000 rows/s"),
        (99.96, 1, "100 rows/s"),
        (10**9, 0.001, "1,000,000,000,000 rows/s"),
    ],
)
def test_a_rate_is_for_a_second(quantity: float, elapsed: float, text: str) -> None:
    assert figures.rate(quantity, elapsed, "rows") == text


@pytest.mark.parametrize("elapsed", [0, -1, *NOT_FINITE])
def test_a_rate_over_no_time_is_refused(elapsed: float) -> None:
    with pytest.raises(ValueError, match=r"positive duration|finite"):
        figures.rate(1, elapsed, "rows")


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8_200_192.0, "bytes", "7.8 MiB"),
        (0.4, "ms", "0.4 ms"),
        (200.0, "s", "3 min 20 s"),
        (1_000_000.0, "rows", "1,000,000 rows"),
        (0.5, "rows", "0.5 rows"),
    ],
)
def test_a_measurement_of_the_ledger_is_written_by_its_unit(value: float, unit: str, text: str) -> None:
    assert figures.measured(value, unit) == text


@pytest.mark.parametrize("value", NOT_FINITE)
@pytest.mark.parametrize("write", ["number", "decimal", "size", "milliseconds", "seconds", "percent", "gain"])
def test_what_is_no_number_is_refused(write: str, value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        getattr(figures, write)(value)


def test_templates_have_every_writer_and_a_hyphen_for_null() -> None:
    environment = Environment(autoescape=True)
    environment.filters.update(figures.FILTERS)
    template = environment.from_string("{{ bytes | size }}, {{ rows | count('row') }}, {{ none | milliseconds }}")
    assert template.render(bytes=8_200_192, rows=1, none=None) == "7.8 MiB, 1 row, -"


@given(st.integers(min_value=0, max_value=2**63))
def test_no_size_reaches_the_next_unit_or_is_far_off(value: int) -> None:
    amount, unit = figures.size(value).split()
    factor = {"byte": 1, "bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "PiB": 2**50}.get(
        unit, 2**60
    )
    assert 1 <= float(amount.replace(",", "")) < 1024 or value == 0
    assert float(amount.replace(",", "")) * factor == pytest.approx(value, rel=0.05)


@given(st.floats(min_value=0, max_value=1e15))
def test_no_duration_has_sixty_of_a_unit(value: float) -> None:
    assert not re.search(r"\b60 (s|min)\b|\b1,000 ms|\b24 h$", figures.milliseconds(value).replace("24 h 0", ""))
