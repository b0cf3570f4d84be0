"""The clock is an argument. Logic takes a `Clock`; only the wiring makes a `SystemClock`."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never run backwards, comparable between the processes of one machine."""

    def thread_time(self) -> float:
        """CPU seconds of the calling thread: what work took, however busy the machine was with other things."""

    def wait(self, seconds: float, until: threading.Event) -> bool:
        """Wait at most `seconds`, or until the event is set; True when it was set."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def thread_time(self) -> float:
        return time.thread_time()

    def wait(self, seconds: float, until: threading.Event) -> bool:
        return until.wait(seconds)


class SteadyClock:
    """The clock's time, or, where that was set back, the last time known plus what has passed since.

    For what must never run back on a machine whose clock is set back in the night: steps and pauses of alerts.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._base = clock.now()
        self._since = clock.monotonic()

    def now(self) -> datetime:
        passed = timedelta(seconds=self._clock.monotonic() - self._since)
        self._move(max(self._clock.now(), self._base + passed))
        return self._base

    def at_least(self, instant: datetime) -> None:
        """It is no earlier than this: the bus has stamped a record with it."""
        if instant > self.now():
            self._move(instant)

    def _move(self, instant: datetime) -> None:
        self._base = instant
        self._since = self._clock.monotonic()


class ManualClock:
    """A clock that stands until it is moved: for replays and tests. Waiting moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def thread_time(self) -> float:
        return self.monotonic()

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._monotonic += by.total_seconds()

    def advance_to(self, instant: datetime) -> None:
        """Move forward to `instant`; an instant already passed changes nothing."""
        if instant > self._now:
            self.advance(instant - self._now)

    def wait(self, seconds: float, until: threading.Event) -> bool:
        self.advance(timedelta(seconds=seconds))
        return until.is_set()
