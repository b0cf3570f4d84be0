"""Time that never runs back: for steps and pauses of alerts on a machine whose clock is set back in the night."""

from __future__ import annotations

from datetime import datetime, timedelta

from listener.clock import Clock


class SteadyClock:
    """The clock's time, or, where that was set back, the last time known plus what has passed since."""

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
