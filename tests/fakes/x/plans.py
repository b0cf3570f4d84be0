"""What each of X's plans allows, and the windows in which it counts calls."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .times import Clock

WINDOW = timedelta(minutes=15)

CALLS = {
    "stream": 50,
    "rules.get": 450,
    "rules.post": 100,
    "rules.counts": 450,
    "search": 450,
    "counts": 300,
    "connections": 25,
    "lookup": 300,
    "compliance.list": 150,
    "compliance.post": 150,
    "compliance.get": 150,
    "usage": 50,
    "tweets": 100,
    "timeline": 900,
    "me": 75,
}
"""Calls in 15 minutes, by endpoint, as X documents them."""


@dataclass(frozen=True)
class Plan:
    """Lengths are in characters, `backfill` in minutes (0: not offered), `posts_a_month` in posts."""

    name: str
    rules: int
    rule_length: int
    query_length: int
    connections: int
    backfill: int
    posts_a_month: int


PLANS = {
    plan.name: plan
    for plan in (
        Plan("basic", 1_000, 512, 512, 1, 0, 3_000_000),
        Plan("pay-per-use", 1_000, 1_024, 512, 1, 0, 3_000_000),
        Plan("enterprise", 25_000, 2_048, 4_096, 5, 5, 1_000_000_000),
    )
}


@dataclass
class _Window:
    ends: datetime
    used: int = 0


@dataclass
class Limits:
    """Calls counted by endpoint in windows that begin with the first call."""

    clock: Clock
    calls: dict[str, int] = field(default_factory=lambda: dict(CALLS))
    _windows: dict[str, _Window] = field(default_factory=dict)

    def take(self, endpoint: str) -> bool:
        """Count one call; False when none is left in this window."""
        window = self._window(endpoint)
        if window.used >= self.calls[endpoint]:
            return False
        window.used += 1
        return True

    def headers(self, endpoint: str) -> dict[str, str]:
        window = self._window(endpoint)
        return {
            "x-rate-limit-limit": str(self.calls[endpoint]),
            "x-rate-limit-remaining": str(max(self.calls[endpoint] - window.used, 0)),
            "x-rate-limit-reset": str(math.ceil(window.ends.timestamp())),
        }

    def _window(self, endpoint: str) -> _Window:
        now = self.clock.now()
        window = self._windows.get(endpoint)
        if window is None or window.ends <= now:
            window = self._windows[endpoint] = _Window(now + WINDOW)
        return window
