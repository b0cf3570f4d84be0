"""Instants and durations as people write them, and back again."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.units import format_duration, format_instant, from_ms, parse_duration, parse_instant, to_ms


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("5m", 300),
        ("6h", 21_600),
        ("30d", 2_592_000),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("1.5h", 5_400),
        ("1h30m", 5_400),
        (" 1h 30m ", 5_400),
        ("0s", 0),
    ],
)
def test_a_duration_is_read_with_its_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "6",
        "6x",
        "h",
        "-6h",
        "6h!",
        "6 timer",
        "PT6H",
        "1h30",
        "1,5h",
        "inf",
        "1e3s",
        "9" * 20 + "w",
        "36501d",
        "9" * 500 + "w",
    ],
)
def test_what_is_no_duration_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 10s, 5m, 1h30m or 30d"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (5_400, "1h30m"), (86_400, "1d"), (0.25, "250ms"), (90_061.5, "1d1h1m1s500ms")],
)
def test_a_duration_is_written_shortly(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(min_value=0, max_value=10**12))
def test_a_duration_written_and_read_again_is_the_same(milliseconds: int) -> None:
    value = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        "2031-02-03T04:05:06Z",
        "2031-02-03T05:05:06+01:00",
        " 2031-02-03T04:05:06.000+00:00 ",
        "2031-02-02T23:05:06-05:00",
        "2031-02-03t04:05:06z",
    ],
)
def test_an_instant_is_the_same_in_any_offset(text: str) -> None:
    instant = parse_instant(text)
    assert instant == datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert instant.tzinfo is UTC


@pytest.mark.parametrize("text", ["2031-02-03T04:05:06", "2031-02-03"])
def test_an_instant_without_a_zone_is_refused_with_the_fix(text: str) -> None:
    with pytest.raises(ValueError, match="has no time zone; end it with Z"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2016-12-31T23:59:60Z", 0),
        ("2016-12-31t15:59:60.5-08:00", 0.5),
        ("2017-01-01 00:59:60+01:00", 0),
    ],
)
def test_a_leap_second_is_the_second_after_it(text: str, seconds: float) -> None:
    assert parse_instant(text) == datetime(2017, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "in the morning",
        "2031-02-30T04:05:06Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:60Z",
        "2016-12-31T23:59:61Z",
        "2016-12-31T23:60:60Z",
        "2031-02-03T04:05:06Z" + "0" * 100,
    ],
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse_instant(text)


@given(
    st.text(max_size=30)
    | st.from_regex(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:60(\.\d+)?([Zz]|[+-]\d\d:\d\d)", fullmatch=True)
)
def test_no_text_is_more_than_refused(text: str) -> None:
    for read in (parse_instant, parse_duration):
        with suppress(ValueError):
            read(text)


def test_an_instant_is_written_in_utc_with_fractions_only_where_there_are_any() -> None:
    oslo = timezone(timedelta(hours=1))
    assert format_instant(datetime(2031, 2, 3, 5, 5, 6, tzinfo=oslo)) == "2031-02-03T04:05:06Z"
    assert format_instant(datetime(2031, 2, 3, 5, 5, 6, 250_000, tzinfo=oslo)) == "2031-02-03T04:05:06.250000Z"


AWARE = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(AWARE)
def test_an_instant_written_and_read_again_is_the_same(value: datetime) -> None:
    assert parse_instant(format_instant(value)) == value


@given(st.integers(min_value=0, max_value=7 * 10**12))
def test_milliseconds_lose_nothing(value: int) -> None:
    assert to_ms(from_ms(value)) == value
