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

    def wait(self, seconds: float, until: threading.Event) -> bool:
        """Wait at most `seconds`, or until the event is set; True when it was set."""


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float, until: threading.Event) -> bool:
        return until.wait(seconds)


class ManualClock:
    """A clock that stands until it is moved: for replays and tests. Waiting moves it."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

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
