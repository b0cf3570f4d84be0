"""A day's allowance of calls: it ends at the platform's midnight, summer time or not, and no restart forgets of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from listener.sources.common.quota import DayQuota

PACIFIC = "America/Los_Angeles"
NOON = datetime(2031, 6, 2, 19, 0, tzinfo=UTC)  # noon there


def quota(now: datetime = NOON, units: int = 100) -> DayQuota:
    return DayQuota("youtube", units, PACIFIC, now)


@pytest.mark.parametrize(
    ("now", "ends", "hours"),
    [
        ("2031-01-15T20:00:00+00:00", "2031-01-16T08:00:00+00:00", 24),
        ("2031-06-15T20:00:00+00:00", "2031-06-16T07:00:00+00:00", 24),
        ("2031-03-09T08:30:00+00:00", "2031-03-10T07:00:00+00:00", 23),
        ("2031-11-02T07:30:00+00:00", "2031-11-03T08:00:00+00:00", 25),
        ("2031-11-02T06:59:59+00:00", "2031-11-02T07:00:00+00:00", 24),
    ],
    ids=["winter", "summer", "clocks go forward", "clocks go back", "a second before midnight"],
)
def test_a_day_ends_at_midnight_there(now: str, ends: str, hours: int) -> None:
    end = datetime.fromisoformat(ends)
    assert quota().ends(datetime.fromisoformat(now)) == end
    assert quota().ends(end - timedelta(hours=hours)) == end


def test_what_is_used_counts_until_the_day_is_over() -> None:
    its = quota()
    for number in range(3):
        its.spend("threads", 1, NOON + timedelta(minutes=number))
    its.spend("replies", 1, NOON)
    assert (its.use.used, its.left(NOON), its.use.calls) == (4, 96, {"threads": 3, "replies": 1})
    assert not its.roll(NOON - timedelta(days=1))
    assert its.left(its.ends(NOON)) == 100
    assert its.use.day == "2031-06-03"


def test_a_restart_goes_on_with_the_day_and_forgets_one_that_is_over() -> None:
    its = quota()
    its.spend("threads", 7, NOON)
    later = quota()
    later.recall(its.use, NOON + timedelta(hours=1))
    assert later.left(NOON) == 93
    later.recall(its.use, its.ends(NOON))
    assert later.left(its.ends(NOON)) == 100
    later.recall(None, NOON)
    assert later.left(its.ends(NOON)) == 100


def test_the_platforms_word_is_above_our_count_until_midnight_there() -> None:
    its = quota()
    its.spend("threads", 1, NOON)
    its.exhaust(NOON)
    assert its.left(NOON) == 0
    assert its.pace(1, NOON) == inf
    same = quota()
    same.recall(its.use, NOON)
    assert same.left(NOON) == 0
    assert same.left(its.ends(NOON) - timedelta(seconds=1)) == 0
    assert same.left(its.ends(NOON)) == 100


def test_who_was_allowed_more_meanwhile_goes_on() -> None:
    its = quota()
    its.spend("threads", 1, NOON)
    its.exhaust(NOON)
    more = quota(units=1000)
    more.recall(its.use, NOON)
    assert more.left(NOON) == 999


def test_it_is_used_so_fast_that_it_lasts_to_the_days_end() -> None:
    its = quota(units=10_000)
    twelve_hours = 12 * 3600
    assert its.pace(1, NOON) == pytest.approx(twelve_hours / 10_000)
    assert its.pace(3, NOON, reserve=1_000) == pytest.approx(twelve_hours * 3 / 9_000)
    its.spend("threads", 9_990, NOON)
    assert its.pace(1, NOON, reserve=1_000) == inf
    assert its.pace(1, NOON) == pytest.approx(twelve_hours / 10)
