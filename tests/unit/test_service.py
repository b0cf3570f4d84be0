"""A worker that hangs ends the process, which is then started again; one that was only held up does not."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from listener.clock import ManualClock, SystemClock
from listener.errors import LyttepostError
from listener.runtime import service as services
from listener.runtime.health import Health
from listener.runtime.service import Service


class Hanging:
    """Waits for something that does not come, until it is let go."""

    name = "judge"

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def step(self, timeout: float) -> bool:
        return self.let_go.wait(60)

    def close(self) -> None:
        pass


def test_a_worker_that_hangs_ends_the_process_and_the_log_says_where(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(services, "HANGS_SECONDS", 0.1)
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(services, "STOP_SECONDS", 0.1)
    clock, worker = SystemClock(), Hanging()
    service = Service([(worker, Health(clock).part("judge", turns_within=0.1))], clock)
    with pytest.raises(LyttepostError, match="judge hangs: its loop has not turned for "):
        service.run()
    worker.let_go.set()
    assert service.left_behind == ["judge"]
    (place,) = (said for said in caplog.messages if said.startswith("judge is at "))
    assert "test_service.py:" in place


class Turning:
    """A worker whose loop turns; the process sleeps an hour now and then."""

    name = "judge"

    def __init__(self, clock: ManualClock, health: Health) -> None:
        self.clock = clock
        self.part = health.part(self.name, turns_within=5)
        self.done = threading.Event()
        self.turns = 0

    def step(self, timeout: float) -> bool:
        self.turns += 1
        if self.turns % 10 == 0:
            self.clock.advance(timedelta(hours=1))
        # The service looks meanwhile, and finds a loop that has not turned for an hour.
        self.done.wait(0.01)
        self.part.beat()
        return True

    def close(self) -> None:
        pass


def test_a_process_that_was_frozen_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "HANGS_SECONDS", 0.1)
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.004)
    clock = ManualClock(datetime(2031, 2, 3, tzinfo=UTC))
    worker = Turning(clock, Health(clock))
    service = Service([(worker, worker.part)], clock)
    ending = threading.Timer(1.0, service.stop)
    ending.start()
    service.run()
    assert worker.turns > 20
    assert service.left_behind == []


class InOnePiece(Hanging):
    """Writes a large file anew."""

    def __init__(self, health: Health) -> None:
        super().__init__()
        self.part = health.part(self.name, turns_within=0.05)

    def step(self, timeout: float) -> bool:
        with self.part.takes(60):
            return super().step(timeout)


def test_a_worker_that_said_how_long_it_takes_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "HANGS_SECONDS", 0.1)
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.02)
    clock = SystemClock()
    worker = InOnePiece(Health(clock))
    service = Service([(worker, worker.part)], clock)
    ending = [threading.Timer(1.0, worker.let_go.set), threading.Timer(1.0, service.stop)]
    for each in ending:
        each.start()
    service.run()
    assert service.left_behind == []


class Slow:
    """Its turn is over at once when it is looked at for a while; then another one is slow."""

    def __init__(self, name: str, health: Health, mine: threading.Event, next_: threading.Event) -> None:
        self.name = name
        self.part = health.part(name, turns_within=0.05)
        self.mine, self.next = mine, next_

    def step(self, timeout: float) -> bool:
        self.part.beat()
        if self.mine.is_set():
            self.mine.clear()
            threading.Event().wait(0.25)
            self.next.set()
        return False

    def close(self) -> None:
        pass


def test_workers_that_are_slow_one_after_the_other_do_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "HANGS_SECONDS", 0.6)
    monkeypatch.setattr(services, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(services, "REST_SECONDS", 0.001)
    clock = SystemClock()
    health, turns = Health(clock), [threading.Event() for _ in range(3)]
    turns[0].set()
    workers = [Slow(f"w{n}", health, turns[n], turns[(n + 1) % 3]) for n in range(3)]
    service = Service([(each, each.part) for each in workers], clock)
    ending = threading.Timer(1.5, service.stop)
    ending.start()
    service.run()
