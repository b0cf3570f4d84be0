"""The burst detector: what it learns, what it must not learn, and when it speaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from burst_series import FIVE, MONDAY, town
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.rules.conditions.burst_detector import Burst, BurstReading, Tuning

MINUTE = timedelta(minutes=1)
Counts = list[tuple[datetime, int]]


def readings(counts: Counts, interval: timedelta = FIVE) -> list[BurstReading]:
    burst = Burst(interval)
    return [burst.step(at, count) for at, count in counts]


def alarms(counts: Counts, interval: timedelta = FIVE) -> list[datetime]:
    pairs = zip(counts, readings(counts, interval), strict=True)
    return [at for (at, _), reading in pairs if reading.alarm]


def louder(counts: Counts, start: datetime, times: float, length: timedelta = timedelta(hours=1)) -> Counts:
    return [(at, round((c + 1) * times) if start <= at < start + length else c) for at, c in counts]


@examples(30)
@given(st.lists(st.one_of(st.none(), st.integers(0, 10_000)), min_size=1, max_size=200), st.integers(1, 199))
def test_a_score_rests_on_the_past_alone(counts: list[int | None], cut: int) -> None:
    whole, part = Burst(FIVE), Burst(FIVE)
    instants = [MONDAY + n * FIVE for n in range(len(counts))]
    scores = [whole.step(at, count) for at, count in zip(instants, counts, strict=True)]
    assert [part.step(at, count) for at, count in zip(instants[:cut], counts[:cut], strict=False)] == scores[:cut]
    assert all(0 <= reading.score <= 1 for reading in scores)


@pytest.mark.parametrize("mean", [0.02, 0.3, 3, 30, 3000])
def test_an_ordinary_month_makes_less_than_an_alarm_a_week(mean: float) -> None:
    assert len(alarms(list(town(mean, 28)))) < 4


@pytest.mark.parametrize("mean", [2, 30, 3000])
@pytest.mark.parametrize("hour", [3, 15])
def test_a_burst_by_night_or_by_day_is_one_alarm_within_a_quarter_of_an_hour(mean: float, hour: int) -> None:
    start = MONDAY + timedelta(days=17, hours=hour)
    counts = louder(list(town(mean, 19)), start, 10, timedelta(hours=3))
    burst = [at for at in alarms(counts) if start <= at]
    assert len(burst) == 1
    assert burst[0] - start <= timedelta(minutes=15)


def test_what_is_ordinary_by_day_is_a_burst_by_night() -> None:
    counts = list(town(20, 21, rhythm=1.5, dispersion=0.02))
    noon = [c for at, c in counts if at.hour == 14]
    night = MONDAY + timedelta(days=18, hours=3)
    usual = round(sum(noon) / len(noon))
    raised = [(at, usual if night <= at < night + timedelta(minutes=30) else c) for at, c in counts]
    assert not [at for at in alarms(counts) if at >= night]
    assert any(night <= at < night + timedelta(minutes=30) for at in alarms(raised))


def test_a_burst_says_by_how_much_and_since_when() -> None:
    start = MONDAY + timedelta(days=10, hours=15)
    counts = louder(list(town(30, 11)), start, 10)
    burst = Burst(FIVE)
    told = [reading for at, c in counts if (reading := burst.step(at, c)).alarm and at >= start]
    assert len(told) == 1
    assert told[0].since is not None
    assert abs(told[0].since - start) <= timedelta(minutes=10)
    assert 5 < told[0].factor < 20
    assert told[0].count == pytest.approx(told[0].factor * told[0].expected)


def test_it_is_of_use_after_an_hour_and_silent_before() -> None:
    counts = [(MONDAY + n * MINUTE, 40 if n in (30, 90) else 1) for n in range(120)]
    assert alarms(counts, MINUTE) == [MONDAY + 90 * MINUTE]


def test_the_first_posts_after_a_still_week_are_no_crowd() -> None:
    still = [(MONDAY + n * MINUTE, 0) for n in range(7 * 1440)]
    at = still[-1][0]
    few = [(at + n * MINUTE, 1 if n % 3 == 0 else 0) for n in range(1, 12)]
    many = [(at + n * MINUTE, 3) for n in range(1, 12)]
    assert not alarms(still + few, MINUTE)
    assert len(alarms(still + many, MINUTE)) == 1


def test_missing_minutes_are_unknown_and_change_little() -> None:
    counts = list(town(30, 16))
    start = MONDAY + timedelta(days=14, hours=12)
    loud = louder(counts, start, 10)
    holed = [(at, c) for n, (at, c) in enumerate(loud) if n % 7 and not 2000 < n < 2050]
    assert [at for at in alarms(holed) if at >= start]
    assert len(alarms(holed)) <= len(alarms(loud)) + 1


def test_a_gap_is_not_silence_after_which_the_usual_would_be_loud() -> None:
    counts = list(town(30, 12))
    before, after = MONDAY + timedelta(days=10, hours=3), MONDAY + timedelta(days=10, hours=15)
    gap = [(at, c) for at, c in counts if not before <= at < after]
    assert not [at for at in alarms(gap) if at >= before]
    burst = Burst(FIVE)
    unknown = [burst.step(at, None if before <= at < after else c) for at, c in counts]
    assert not any(r.alarm for r, (at, _) in zip(unknown, counts, strict=True) if at >= before)


def test_weeks_of_silence_are_survived() -> None:
    first = list(town(30, 14))
    again = [(at + timedelta(days=60), 3 * c) for at, c in town(30, 7, seed=2)]
    told = alarms(first + again)
    assert len([at for at in told if at >= again[0][0]]) <= 2


def test_a_new_level_is_one_alarm_or_two_and_then_usual() -> None:
    shift = MONDAY + timedelta(days=14)
    counts = [(at, c if at < shift else 8 * c) for at, c in town(30, 35)]
    told = [at for at in alarms(counts) if at >= shift]
    assert 1 <= len(told) <= 4
    assert not [at for at in told if at >= shift + timedelta(days=7)]


def test_a_crisis_does_not_become_what_is_expected() -> None:
    opened = MONDAY + timedelta(days=14, hours=6)
    closed = opened + timedelta(days=5)
    counts = [(at, 20 * c if opened <= at < closed else c) for at, c in town(30, 28)]
    taught, kept = Burst(FIVE), Burst(FIVE)
    for at, count in counts:
        if at >= closed:
            break
        taught.step(at, count)
        kept.step(at, count, learn=not opened <= at < closed)
    after = [(at, c) for at, c in counts if closed <= at]
    usual = sum(c for _, c in after[:12])
    for at, c in after[:12]:
        learned, remembered = taught.step(at, c), kept.step(at, c)
    assert remembered.expected < 2 * usual
    assert remembered.expected < learned.expected
    assert learned.score == 0


def test_a_new_burst_after_the_crisis_is_heard() -> None:
    again = MONDAY + timedelta(days=19, hours=15)
    counts = louder(louder(list(town(30, 21)), MONDAY + timedelta(days=17, hours=15), 15), again, 15)
    assert [at for at in alarms(counts) if again <= at <= again + timedelta(minutes=15)]


def test_the_rhythm_follows_the_clock_on_the_wall_over_both_nights_of_the_change() -> None:
    oslo = ZoneInfo("Europe/Oslo")
    start = datetime(2031, 3, 10, tzinfo=UTC)
    burst = Burst(FIVE, zone=oslo)
    told = []
    for n in range(35 * 288):
        at = start + n * FIVE
        count = 40 if 7 <= at.astimezone(oslo).hour < 22 else 4
        if burst.step(at, count).alarm and n > 14 * 288:
            told.append(at)
    assert told == []
    autumn = Burst(FIVE, zone=oslo)
    begin = datetime(2031, 10, 25, 20, tzinfo=UTC)
    assert all(autumn.step(begin + n * FIVE, 3).score == 0 for n in range(100))


@pytest.mark.parametrize("at", [MONDAY, MONDAY - FIVE])
def test_an_instant_that_does_not_rise_is_refused(at: datetime) -> None:
    burst = Burst(FIVE)
    burst.step(MONDAY, 1)
    with pytest.raises(ValueError, match="must rise"):
        burst.step(at, 1)


@pytest.mark.parametrize("interval", [timedelta(seconds=10), MINUTE, timedelta(minutes=15), timedelta(days=1)])
def test_other_intervals_work(interval: timedelta) -> None:
    counts = [(MONDAY + n * interval, 20 + n % 5) for n in range(400)]
    counts[390] = (counts[390][0], 4000)
    assert alarms(counts, interval) == [counts[390][0]]


def test_memory_does_not_grow() -> None:
    burst = Burst(MINUTE)
    for at, count in town(3, 3, interval=MINUTE):
        burst.step(at, count)
    assert len(burst.last_hour()) == 60


def test_enormous_counts_and_none_at_all_are_survived() -> None:
    burst = Burst(FIVE, tuning=Tuning(least=1))
    for n in range(600):
        assert 0 <= burst.step(MONDAY + n * FIVE, 1e12 if n % 50 == 49 else 0).score <= 1
