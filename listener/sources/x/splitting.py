"""When the total is split: after a burst every track is counted by itself, until it has been quiet for an hour. Pure.

What a burst is, is a predicate. The one here only chooses what to ask X for; whom to wake is the rules' matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

HISTORY: Final = 6 * 60
"""Minutes that a burst is judged by."""
WINDOW: Final = 5
"""Minutes that are added up to be compared."""
QUIET: Final = 60
"""Minutes without a burst after which tracks are no longer counted one by one."""
LEAST: Final = 10
FACTOR: Final = 4

Burst = Callable[[Sequence[int | None]], bool]
"""Whether the newest minutes are a burst. Given the last `HISTORY` of the total, oldest first; None: not known."""


def is_burst(counts: Sequence[int | None]) -> bool:
    """The last five minutes hold four times what five minutes mostly held in the hours before, and ten at least.

    The median and not the mean: a burst that is over must not hide the next one. None where less than an hour is known.
    """
    windows = [counts[end - WINDOW : end] for end in range(len(counts), WINDOW - 1, -WINDOW)]
    sums = [None if None in window else sum(count or 0 for count in window) for window in windows]
    before = [each for each in sums[1:] if each is not None]
    if not sums or sums[0] is None or len(before) < 60 // WINDOW:
        return False
    return sums[0] >= max(LEAST, FACTOR * median(before))


class Splitting:
    """The recent history of one total. Minutes are epoch minutes."""

    def __init__(self, burst: Burst = is_burst) -> None:
        self._burst = burst
        self._counts: dict[int, int] = {}
        self._newest = 0
        self._until = 0

    @property
    def split(self) -> bool:
        """Judged by what is counted and not by the clock: where nothing is counted, nothing is quiet."""
        return self._newest < self._until

    def remember(self, minute: int, count: int) -> None:
        """Minutes come in any order; those too old to matter are let go of."""
        self._newest = max(self._newest, minute)
        self._counts[minute] = count
        if len(self._counts) > 2 * (HISTORY + QUIET):
            oldest = self._newest - HISTORY - QUIET
            self._counts = {m: c for m, c in self._counts.items() if m > oldest}

    def judge(self, minutes: int = QUIET) -> None:
        """Look for bursts among so many of the newest minutes, an hour's at most."""
        for last in range(self._newest, self._newest - min(minutes, QUIET), -WINDOW):
            if self._burst([self._counts.get(m) for m in range(last - HISTORY + 1, last + 1)]):
                self._until = max(self._until, last + QUIET)
                return
