"""What is asked next, and when: by the mode, by what the day's units still allow, and by what went wrong before. Pure.

A round comes every `crisis` or `calm` seconds, and more rarely where the units would not last to the day's end: what
rounds and all else cost of late is spread over what is left. In calm half of the day's units are kept for a crisis.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf
from typing import Final

from listener.clock import Clock
from listener.sources.common.quota import DayQuota
from listener.sources.youtube.api import COST, MOST_IDS, Trouble

AGAIN_SECONDS: Final = 60.0
"""From one call's worth of known threads to the next."""
HELD_SECONDS: Final = 60.0
REFUSED_SECONDS: Final = 3600.0
"""From one refusal to the next try of what a person must set right, and without which the rest goes on."""
CONFIRM_SECONDS: Final = 600.0
"""From the first answer without a comment to the second."""
_FIRST, _LONGEST = 5.0, 60.0
_FIRST_LIMITED, _LONGEST_LIMITED = 60.0, 900.0
_JITTER: Final = 0.2
_WEIGHT: Final = 0.3
"""Of what the last round cost in what one is taken to cost."""


class Due(StrEnum):
    ROUND = "round"
    HELD = "held"
    """Comments that wait for review."""
    AGAIN = "again"
    """Threads of the last days, by their ids."""
    STILL = "still"
    """Which of those that we hold are deleted."""


class Schedule:
    """All seconds are the clock's. `chance` gives numbers from 0 to 1."""

    def __init__(
        self,
        clock: Clock,
        chance: Callable[[], float],
        *,
        crisis: timedelta,
        calm: timedelta | None,
        deletions: timedelta,
        channels: int,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self._crisis = crisis.total_seconds()
        self._calm = None if calm is None else calm.total_seconds()
        self._deletions = deletions
        self._channels = channels
        self.reset()

    def reset(self) -> None:
        self.checked: datetime | None = None
        """When it was last asked which comments are deleted."""
        self.suspects = False
        self.is_stretched = False
        """Rounds come more rarely than they should, for want of units."""
        self._next = dict.fromkeys(Due, float("-inf"))
        self._not_before = float("-inf")
        self._failures = self._limits = 0
        self._cost = float(self._channels)
        self._spent = 0

    @property
    def late_in_calm(self) -> timedelta:
        """So far behind may we be in calm without a gap."""
        return timedelta(seconds=2 * (self._calm or 0.0) + 60)

    def every(self, *, crisis: bool) -> float:
        """Seconds from one round to the next, where the units last; 0 where nothing is asked in calm."""
        return self._crisis if crisis else (self._calm or 0.0)

    def at_once(self) -> None:
        """A round is due now, unless something went wrong just before."""
        self._next[Due.ROUND] = float("-inf")

    def retry(self) -> None:
        """Whatever went wrong, it is tried again now."""
        self._not_before = self._next[Due.HELD] = float("-inf")
        self._failures = self._limits = 0
        self.at_once()

    def due(
        self,
        quota: DayQuota,
        now: datetime,
        *,
        crisis: bool,
        rounds: bool,
        held: int,
        threads: int,
        owner: bool,
        filling: bool,
    ) -> Due | None:
        """`rounds`: they are wanted at all; `held` comments lie on the bus; `threads` are known; `filling`: a gap waits
        to be filled."""
        at = self._clock.monotonic()
        if at < self._not_before or quota.left(now) < COST:
            return None
        if rounds and at >= self._next[Due.ROUND]:
            kept = quota.units // 2
            if crisis or filling or quota.left(now) > kept:
                return Due.ROUND
        if crisis and owner and at >= self._next[Due.HELD]:
            return Due.HELD
        if held and self._is_check_due(now, at):
            return Due.STILL
        if crisis and threads and at >= self._next[Due.AGAIN]:
            return Due.AGAIN
        return None

    def went_well(self, due: Due, spent: int, quota: DayQuota, now: datetime, *, crisis: bool, held: int) -> None:
        """`spent`: units, since the last that went well."""
        self._spent += spent
        at = self._clock.monotonic()
        self._failures = self._limits = 0
        if due is Due.ROUND:
            self._cost += _WEIGHT * (self._spent - self._cost)
            self._spent = 0
            every = self.every(crisis=crisis)
            reserve = 2 * -(-held // MOST_IDS)
            pace = quota.pace(max(self._cost, 1.0), now, reserve=reserve if crisis else quota.units // 2 + reserve)
            self.is_stretched = pace > every
            self._next[due] = at + max(every, 1.0 if pace == inf else pace)
        elif due is Due.AGAIN:
            self._next[due] = at + AGAIN_SECONDS
        elif due is Due.HELD:
            self._next[due] = at + HELD_SECONDS
        else:
            confirm = min(CONFIRM_SECONDS, self._deletions.total_seconds() / 4)
            self._next[due] = at + confirm

    def failed(self, trouble: Trouble) -> None:
        """Nothing is asked for a while; for longer each time. Faults and refusals are counted apart: who was away a few
        times and then says for the first time that we ask too often is not left alone for long."""
        if trouble in (Trouble.NETWORK, Trouble.SERVER, Trouble.PAGE):
            self._failures += 1
            wait = min(_FIRST * 2.0 ** min(self._failures - 1, 10), _LONGEST)
        else:
            self._limits += 1
            wait = min(_FIRST_LIMITED * 2.0 ** min(self._limits - 1, 10), _LONGEST_LIMITED)
        self._not_before = self._clock.monotonic() + wait * (1 + _JITTER * self._chance())

    def put_off(self, due: Due, seconds: float) -> None:
        """That alone is not given: it is asked for later."""
        self._next[due] = self._clock.monotonic() + seconds

    def _is_check_due(self, now: datetime, at: float) -> bool:
        if at < self._next[Due.STILL]:
            return False
        return self.suspects or self.checked is None or now - self.checked >= self._deletions
