"""The time that a fake lives in: a clock that may run fast or be moved by hand, and RFC 3339."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_POLL = 0.02
"""Longest real wait, in seconds, before the clock is read again: a clock moved by hand is noticed."""


class Clock(Protocol):
    """Tells the fake's time. Its `speed`, where it has one, is how many of its seconds pass in a real one."""

    def now(self) -> datetime:
        """The instant, aware, in UTC."""


class RealClock:
    speed = 1.0

    def now(self) -> datetime:
        return datetime.now(UTC)


class ScaledClock:
    """Runs `speed` times as fast as the world, from `start` (default: the real now). An hour a minute is speed 60."""

    def __init__(self, speed: float = 60.0, start: datetime | None = None) -> None:
        if speed <= 0:
            raise ValueError("a clock's speed must be above 0")
        self.speed = speed
        self._start = start or RealClock().now()
        self._began = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=(time.monotonic() - self._began) * self.speed)

    def monotonic(self) -> float:
        """Scaled seconds since the clock was made."""
        return (time.monotonic() - self._began) * self.speed

    def wait(self, seconds: float, until: threading.Event) -> bool:
        """Wait at most `seconds` of this clock's, or until the event is set; True when it was set."""
        return until.wait(seconds / self.speed)


def real_wait(clock: Clock, seconds: float) -> float:
    """How long to sleep, in real seconds, before looking again for an instant `seconds` of the clock away."""
    return min(max(seconds / float(getattr(clock, "speed", 1.0)), 0.0), _POLL)


def wait(clock: Clock, seconds: float, stopping: threading.Event) -> bool:
    """Wait `seconds` of the clock's; True when `stopping` was set before they were over."""
    until = clock.now() + timedelta(seconds=seconds)
    while (left := (until - clock.now()).total_seconds()) > 0:
        if stopping.wait(real_wait(clock, left)):
            return True
    return stopping.is_set()


def rfc3339(at: datetime) -> str:
    """Milliseconds and Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 instant, in UTC. Raises ValueError; one without an offset is refused too."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return at.astimezone(UTC)
