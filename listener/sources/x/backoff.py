"""When to connect again, as X's documentation asks. Pure: time and chance are arguments.

Source: X API v2, "Handling disconnections": network errors linearly, 250 ms more each time, at most 16 s; HTTP errors
doubling from 5 s to 320 s; rate limits doubling from one minute. And no more than 50 connects in 15 minutes, however
politely each one ends: a server that takes us in and turns us out at once would use them up in a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

WINDOW: Final = 900.0
"""Seconds in which connects are counted."""
CONNECTS: Final = 40
"""In a window. X allows 50; the rest is for a process that was killed and starts again."""
PROVEN: Final = 30.0
"""Seconds that a connection must have lived, and been heard, for its end to count as the first."""


class Schedule(StrEnum):
    """Which of X's three schedules an end belongs to."""

    NETWORK = "network"
    HTTP = "http"
    LIMITED = "limited"


_STEP: Final = 0.25
_LONGEST_NETWORK: Final = 16.0
_FIRST_HTTP: Final = 5.0
_LONGEST_HTTP: Final = 320.0
_FIRST_LIMITED: Final = 60.0
_LONGEST_LIMITED: Final = WINDOW
_JITTER: Final = 0.2


class Backoff:
    """Seconds to wait, from how the connections so far have ended."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance` gives numbers from 0 to 1."""
        self._chance = chance
        self._failures: dict[Schedule, int] = {}

    def ended(self, schedule: Schedule, lived: float = 0.0, until: float | None = None) -> float:
        """A connection that lived so many seconds has ended. `until`: X said in how many seconds to come back."""
        if lived >= PROVEN:
            self._failures.clear()
        count = self._failures.get(schedule, 0)
        self._failures[schedule] = count + 1
        spread = 1 + _JITTER * self._chance()
        if schedule is Schedule.NETWORK:
            return min(_STEP * (count + 1) * spread, _LONGEST_NETWORK)
        if schedule is Schedule.HTTP:
            return min(_FIRST_HTTP * 2.0 ** min(count, 20) * spread, _LONGEST_HTTP)
        if until is not None:
            # Never before X says, and never so long that a wrong clock would silence us.
            return min(max(until, 0.0) + 1 + 2 * self._chance(), _LONGEST_LIMITED + 3)
        return min(_FIRST_LIMITED * 2.0 ** min(count, 20) * spread, _LONGEST_LIMITED)


class ConnectLimit:
    """Connects in a sliding window. The second half of them is spread over what is left of it, so that the last is
    not spent long before the window ends."""

    def __init__(self, most: int = CONNECTS, window: float = WINDOW) -> None:
        self._most = most
        self._window = window
        self._spent: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until the next connect may be made."""
        while self._spent and now - self._spent[0] >= self._window:
            self._spent.popleft()
        used = len(self._spent)
        if used >= self._most:
            return self._spent[0] + self._window - now
        if used * 2 < self._most:
            return 0.0
        left = self._spent[0] + self._window - now
        return max(0.0, self._spent[-1] + left / (self._most - used + 1) - now)

    def spend(self, now: float) -> None:
        self._spent.append(now)
