"""The time the fake lives in: a clock that may run fast, RFC 3339 as X writes it, and ids that tell their time."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_POLL = 0.02
"""Longest real wait, in seconds, before the clock is read again: a clock moved by hand is noticed."""

_SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
_LEAST_SNOWFLAKE = 10**17
"""Smaller ids are a test's own and tell no time."""


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
    """As X writes instants: milliseconds and Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 instant, in UTC. Raises ValueError; one without an offset is refused too, as X does."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return at.astimezone(UTC)


def snowflake(at: datetime, number: int) -> str:
    """An id of X's form: it sorts by time and `number` tells posts of one millisecond apart."""
    return str((int(at.timestamp() * 1000) - _SNOWFLAKE_EPOCH_MS << 22) | (number & 0x3FFFFF))


def snowflake_time(post_id: str) -> datetime | None:
    """When an id of X's form was made; None for a small, made-up one."""
    number = int(post_id)
    if number < _LEAST_SNOWFLAKE:
        return None
    return datetime.fromtimestamp(((number >> 22) + _SNOWFLAKE_EPOCH_MS) / 1000, UTC)
