"""When to connect again: X's three schedules, and its limit on connects."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from listener.sources.x.backoff import CONNECTS, WINDOW, Backoff, ConnectLimit, Schedule


def waits(schedule: Schedule, times: int, until: float | None = None) -> list[float]:
    backoff = Backoff(lambda: 0.0)
    return [backoff.ended(schedule, until=until) for _ in range(times)]


def test_network_errors_wait_a_quarter_of_a_second_more_each_time_up_to_16() -> None:
    assert waits(Schedule.NETWORK, 3) == [0.25, 0.5, 0.75]
    assert waits(Schedule.NETWORK, 100)[-1] == 16


def test_http_errors_double_from_5_to_320_seconds() -> None:
    assert waits(Schedule.HTTP, 8) == [5, 10, 20, 40, 80, 160, 320, 320]


def test_rate_limits_double_from_a_minute() -> None:
    assert waits(Schedule.LIMITED, 3) == [60, 120, 240]


def test_a_rate_limit_waits_until_x_says() -> None:
    assert waits(Schedule.LIMITED, 1, until=37.0) == [38.0]


@pytest.mark.parametrize("until", [-500.0, 1e9])
def test_a_wrong_clock_neither_hurries_nor_silences_us(until: float) -> None:
    (wait,) = waits(Schedule.LIMITED, 1, until=until)
    assert 1 <= wait <= WINDOW + 3


def test_a_connection_that_was_heard_for_long_starts_anew() -> None:
    backoff = Backoff(lambda: 0.0)
    for _ in range(10):
        backoff.ended(Schedule.NETWORK)
    assert backoff.ended(Schedule.NETWORK, lived=3600.0) == 0.25


def test_200_and_then_close_does_not_start_anew() -> None:
    backoff = Backoff(lambda: 0.0)
    backoff.ended(Schedule.NETWORK)
    assert backoff.ended(Schedule.NETWORK, lived=0.1) == 0.5


def test_no_two_listeners_come_back_at_the_same_time() -> None:
    chance = random.Random(3)
    first = {Backoff(chance.random).ended(Schedule.HTTP) for _ in range(20)}
    assert len(first) == 20
    assert all(5 <= wait <= 6 for wait in first)


def test_connects_never_exceed_the_budget_in_any_window_and_are_spread() -> None:
    budget, now, times = ConnectLimit(), 0.0, []
    while now < 4 * WINDOW:
        now += budget.wait(now)
        if budget.wait(now) <= 0:
            budget.spend(now)
            times.append(now)
            now += 0.1
    for start in times:
        assert sum(start <= t < start + WINDOW for t in times) <= CONNECTS
    assert max(b - a for a, b in pairwise(times)) < 120, "never deaf for minutes for want of connects"
