"""A feed that is asked again and again: when, how often, and what becomes of a question that hangs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from listener.clock import ManualClock
from listener.sources.feeds.poll import ABANDONED, Asked, GivenUp, NoAnswer, Poll

START = datetime(2031, 3, 2, 21, tzinfo=UTC)
WITHIN = 20.0
"""Real seconds that a thread may take to get its turn."""


class Place:
    """What is asked; `hold` makes the next question hang until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False
        self.free = threading.Event()
        self.free.set()
        self.gone: list[bool] = []

    def ask(self, given_up: GivenUp) -> int:
        self.asked += 1
        number = self.asked
        self.free.wait(WITHIN)
        self.gone.append(given_up())
        if self.fails:
            raise OSError("no answer")
        return number


class Bench:
    def __init__(self, patience: float = 60.0) -> None:
        self.place, self.clock, self.bell = Place(), ManualClock(START), threading.Event()
        self.poll = Poll("town", self.place.ask, self.clock, self.bell, patience=patience, chance=lambda: 0.5)

    def answer(self, every: float = 120.0) -> Asked[int]:
        """The next answer, which must come without the clock being moved."""
        assert self.poll.turn(every) is None
        assert self.bell.wait(WITHIN), "nothing was asked"
        self.bell.clear()
        got = self.poll.turn(every)
        assert got is not None
        return got

    def passes(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def is_still(self, every: float = 120.0) -> bool:
        before = self.place.asked
        return self.poll.turn(every) is None and not self.bell.wait(0.02) and self.place.asked == before


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.poll.stop()
    bench.place.free.set()


def test_it_is_asked_at_once_and_then_each_so_often(bench: Bench) -> None:
    assert bench.answer() == Asked(START, 1, until=START)
    bench.passes(119)
    assert bench.is_still()
    bench.passes(1)
    later = START + timedelta(seconds=120)
    assert bench.answer() == Asked(later, 2, until=later)


def test_an_answer_says_when_it_was_asked_for_and_when_it_was_there(bench: Bench) -> None:
    bench.place.free.clear()
    assert bench.poll.turn(120) is None
    bench.passes(20)
    bench.place.free.set()
    assert bench.bell.wait(WITHIN)
    bench.passes(5)
    assert bench.poll.turn(120) == Asked(START, 1, until=START + timedelta(seconds=20))


def test_whoever_is_in_a_hurry_waits_for_no_interval(bench: Bench) -> None:
    bench.answer()
    bench.poll.hurry()
    assert bench.answer().gave == 2
    assert bench.is_still()


def test_a_shorter_interval_counts_from_the_last_question(bench: Bench) -> None:
    bench.answer(900)
    bench.passes(130)
    assert bench.is_still(900)
    assert bench.answer(120).gave == 2


def test_failures_are_asked_again_after_ever_longer_times(bench: Bench) -> None:
    bench.place.fails = True
    for wait in (10, 20, 40, 80, 120, 120):
        assert isinstance(bench.answer().error, OSError)
        bench.passes(wait * 1.1 - 1)
        assert bench.is_still()
        bench.passes(2)
    bench.place.fails = False
    assert bench.answer().error is None
    bench.passes(120)
    assert bench.answer().error is None


def test_not_one_question_is_asked_before_the_platform_says(bench: Bench) -> None:
    bench.answer()
    bench.poll.rest(3600)
    bench.poll.hurry()
    bench.passes(3599)
    assert bench.is_still()
    assert bench.poll.rests == 1
    bench.passes(1)
    assert bench.answer().gave == 2


def test_a_question_that_hangs_has_failed_and_no_other_is_begun_beside_it(bench: Bench) -> None:
    bench.place.free.clear()
    assert bench.poll.turn(120) is None
    bench.passes(59)
    assert bench.poll.turn(120) is None
    bench.passes(1)
    got = bench.poll.turn(120)
    assert got is not None
    assert isinstance(got.error, NoAnswer)
    bench.passes(1000)
    assert bench.is_still()
    bench.place.free.set()
    assert bench.bell.wait(WITHIN)
    bench.bell.clear()
    assert bench.place.gone == [True]
    assert bench.answer().gave == 2


def test_one_that_hangs_for_hours_is_left_behind(bench: Bench) -> None:
    bench.place.free.clear()
    bench.poll.turn(120)
    bench.passes(60)
    assert bench.poll.turn(120) is not None
    bench.passes(ABANDONED)
    bench.place.free = threading.Event()
    bench.place.free.set()
    assert bench.answer().gave == 2


def test_after_stop_nothing_is_asked(bench: Bench) -> None:
    bench.poll.stop()
    assert bench.is_still()
