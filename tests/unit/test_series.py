"""Counts of one track: parts are added up, minutes are judged in order, and a crisis is not learned."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from burst_series import town

from alerts.rules.conditions.burst_detector import Tuning
from alerts.rules.conditions.series import Judged, Series

NOON = datetime(2031, 1, 13, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SOON = timedelta(seconds=30)
LATER = timedelta(minutes=5)
TUNING = Tuning()


def series() -> Series:
    return Series([TUNING], UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def counts(judged: Iterable[Judged]) -> list[tuple[float, float]]:
    """(minutes since noon, count of the last window of one minute), by the readings' own words."""
    return [((each.minute - NOON) / MINUTE, each.readings[TUNING].count) for each in judged]


def minutes(judged: Iterable[Judged]) -> list[float]:
    return [(each.minute - NOON) / MINUTE for each in judged]


def calm(its: Series, days: float, mean: float = 2.0) -> datetime:
    """So many days of minutes that were counted whole; the minute after them."""
    end = NOON
    for minute, count in town(mean, days, interval=MINUTE, start=NOON - timedelta(days=days)):
        list(its.count(minute, count, minute + LATER, crisis=False))
        end = minute + MINUTE
    return end


def test_a_count_that_comes_late_is_whole_and_judged_at_once() -> None:
    its = series()
    assert minutes(its.count(at(0), 3, at(2), crisis=False)) == [0]
    assert minutes(its.count(at(1), 3, at(2.9), crisis=False)) == []
    assert minutes(its.count(at(2), 3, at(7), crisis=False)) == [1, 2]


def test_parts_are_added_up_in_any_order_until_the_minute_is_heard_whole() -> None:
    its = series()
    for minute, count in ((0, 1), (1, 2), (0, 4), (1, 3)):
        assert minutes(its.count(at(minute), count, at(1) + SOON, crisis=True)) == []
    assert counts(its.heard(at(0), at(2), crisis=True))[0] == (0, 5)
    assert list(its.count(at(1), 9, at(2.5), crisis=True)) == []
    assert minutes(its.heard(at(2), at(5), crisis=True)) == [2, 3, 4]


def test_a_minute_that_nobody_says_was_whole_is_judged_as_far_as_it_was_heard() -> None:
    its = series()
    list(its.count(at(0), 7, at(0) + SOON, crisis=True))
    assert minutes(its.count(at(2), 1, at(2) + SOON, crisis=True)) == [0]
    assert minutes(its.heard(at(3), at(4), crisis=True)) == [2, 3]


def test_what_was_heard_twice_is_judged_once() -> None:
    its = series()
    assert minutes(its.heard(at(0), at(3), crisis=True)) == [0, 1, 2]
    assert minutes(its.heard(at(1), at(4), crisis=True)) == [3]


def test_a_stretch_of_weeks_is_bounded() -> None:
    assert len(list(series().heard(NOON - timedelta(days=60), NOON, crisis=True))) == 1440


def test_a_crisis_teaches_a_track_nothing_that_was_known_before() -> None:
    its = series()
    start = calm(its, 3)
    expected = []
    for n in range(600):
        (judged,) = (*its.count(start + n * MINUTE, 200, start + n * MINUTE, crisis=True),
                     *its.heard(start + n * MINUTE, start + (n + 1) * MINUTE, crisis=True))  # fmt: skip
        reading = judged.readings[TUNING]
        expected.append(reading.expected / (reading.window / MINUTE))
    assert max(expected) < 20
    assert not its.young


def test_a_new_track_learns_from_its_first_hour_and_forgets_the_crisis_when_it_is_over() -> None:
    its = series()
    alarms = []
    for n in range(180):
        list(its.count(at(n), 60 if n < 150 else 900, at(n), crisis=True))
        alarms += [n for judged in its.heard(at(n), at(n + 1), crisis=True) if judged.readings[TUNING].alarm]
    assert len(alarms) == 1
    assert 150 <= alarms[0] <= 152
    assert its.young
    (judged,) = its.count(at(200), 3, at(205), crisis=False)
    assert not its.young
    assert judged.readings[TUNING].expected < 10


def test_a_track_that_was_not_counted_for_half_a_year_may_learn_in_crisis() -> None:
    its = series()
    end = calm(its, 1) + timedelta(days=200)
    list(its.heard(end, end + 2 * MINUTE, crisis=True))
    assert its.young


def test_one_burst_that_goes_on_into_the_crisis_is_one_alarm() -> None:
    its = series()
    start = calm(its, 3)
    told = [
        judged
        for n in range(3)
        for judged in its.count(start + n * MINUTE, 90, start + n * MINUTE + LATER, crisis=False)
    ]
    for n in range(3, 120):
        list(its.count(start + n * MINUTE, 90, start + n * MINUTE, crisis=True))
        told += its.heard(start + n * MINUTE, start + (n + 1) * MINUTE, crisis=True)
    assert sum(judged.readings[TUNING].alarm for judged in told) == 1


def test_a_post_before_two_silent_days_is_judged_and_what_comes_after_them_too() -> None:
    its = series()
    list(its.count(NOON, 5, NOON, crisis=True))
    after = NOON + timedelta(days=2)
    first = list(its.heard(NOON, after, crisis=True))
    assert counts(first)[0] == (0.0, 5.0)
    assert minutes(first)[1:] == [float(n) for n in range(1440, 2880)]
    list(its.count(after, 3, after, crisis=True))
    assert counts(its.heard(after, after + MINUTE, crisis=True)) == [(2880.0, 3.0)]
