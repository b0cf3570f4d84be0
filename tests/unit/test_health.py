"""Alive and ready: what a restart fixes is distinguished from what a person must fix."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from listener.clock import ManualClock
from listener.runtime.health import Health


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2031, 2, 3, 4, 5, tzinfo=UTC))


@pytest.fixture
def health(clock: ManualClock) -> Health:
    return Health(clock)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def test_a_loop_that_turns_is_alive_and_ready(health: Health, clock: ManualClock) -> None:
    rules = health.part("rules", turns_within=5)
    for _ in range(10):
        clock.advance(seconds(5))
        rules.beat()
    assert health.alive() == (True, {"rules": None})
    assert health.ready() == (True, {"rules": None})


def test_a_loop_that_stands_still_is_neither_and_says_for_how_long(health: Health, clock: ManualClock) -> None:
    health.part("rules", turns_within=5).beat()
    clock.advance(seconds(5))
    assert health.alive() == (True, {"rules": None})
    clock.advance(seconds(1))
    assert health.alive() == (False, {"rules": "its loop has not turned for 6 s"})
    assert health.ready() == (False, {"rules": "its loop has not turned for 6 s"})


def test_a_loop_that_turns_again_is_alive_again(health: Health, clock: ManualClock) -> None:
    rules = health.part("rules", turns_within=5)
    clock.advance(seconds(60))
    assert not health.alive()[0]
    rules.beat()
    assert health.alive()[0]


def test_a_problem_makes_a_part_unready_and_leaves_it_alive(health: Health) -> None:
    bus, rules = health.part("bus"), health.part("rules")
    bus.beat()
    rules.beat()
    bus.problem("the disk is full")
    assert health.ready() == (False, {"bus": "the disk is full", "rules": None})
    assert health.alive() == (True, {"bus": None, "rules": None})
    bus.problem(None)
    assert health.ready()[0]


def test_a_part_is_starting_until_its_loop_turned_once(health: Health) -> None:
    rules = health.part("rules")
    assert health.ready() == (False, {"rules": "starting"})
    assert health.alive()[0]
    rules.beat()
    assert health.ready()[0]


def test_a_part_that_never_turns_is_found(health: Health, clock: ManualClock) -> None:
    health.part("rules", turns_within=5)
    clock.advance(seconds(6))
    assert health.alive() == (False, {"rules": "its loop has not turned for 6 s"})


def test_a_part_without_a_loop_is_never_stuck(health: Health, clock: ManualClock) -> None:
    key = health.part("key", turns_within=None)
    clock.advance(timedelta(days=90))
    assert health.alive()[0]
    assert health.ready()[0]
    key.problem("the key file cannot be read")
    assert health.ready() == (False, {"key": "the key file cannot be read"})


def test_a_part_that_left_is_not_asked(health: Health, clock: ManualClock) -> None:
    recording, rules = health.part("recording", turns_within=5), health.part("rules", turns_within=None)
    recording.leave()
    recording.leave()
    clock.advance(seconds(60))
    assert health.alive() == (True, {"rules": None})
    rules.problem(None)
    assert health.ready() == (True, {"rules": None})


def test_a_part_that_starts_again_takes_the_old_ones_place(health: Health) -> None:
    old = health.part("x")
    new = health.part("x")
    old.beat()
    old.problem("a word from the past")
    old.leave()
    assert health.ready() == (False, {"x": "starting"})
    new.beat()
    assert health.ready()[0]


def test_a_process_without_parts_is_alive_and_not_ready(health: Health) -> None:
    assert health.alive() == (True, {})
    assert health.ready() == (False, {"process": "starting"})


def test_a_clock_set_back_makes_no_loop_stuck_and_hides_none() -> None:
    class SetBack(ManualClock):
        def now(self) -> datetime:
            return super().now() - timedelta(hours=self.monotonic())

    clock = SetBack(datetime(2031, 2, 3, 4, 5, tzinfo=UTC))
    health = Health(clock)
    health.part("rules", turns_within=5).beat()
    clock.advance(seconds(4))
    assert health.alive()[0]
    clock.advance(seconds(2))
    assert not health.alive()[0]


def test_parts_may_come_beat_and_go_while_others_look(health: Health) -> None:
    failures: list[BaseException] = []
    go = threading.Barrier(9)

    def work(number: int) -> None:
        try:
            go.wait()
            for _ in range(200):
                part = health.part(f"part {number}")
                part.beat()
                health.alive()
                health.ready()
                part.leave()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    go.wait()
    for thread in threads:
        thread.join()
    assert failures == []
    assert health.alive() == (True, {})


def test_work_in_one_piece_may_take_longer_and_no_longer_than_it_was_given(health: Health, clock: ManualClock) -> None:
    purge = health.part("purge", turns_within=5)
    with purge.takes(600):
        with purge.takes(60):
            pass
        clock.advance(seconds(600))
        assert health.alive()[0]
        clock.advance(seconds(1))
        assert not health.alive()[0]
    assert health.alive()[0]
    clock.advance(seconds(6))
    assert not health.alive()[0]
