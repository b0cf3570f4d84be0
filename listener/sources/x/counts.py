"""Counting X in calm: the queries, the minutes, what a day costs, when the total is split. Pure; imports no client.

In calm nobody's words are asked for, only how many posts there were in each minute. All standing tracks together are
one series, the **total**, in as few queries as fit; a single track has a series of its own. A minute is given in epoch
minutes: whole minutes since 1970, UTC.

After a burst in the total it is split: every track is counted by itself, until it has been quiet for an hour. What a
burst is, is a predicate. The one here only chooses what to ask X for; whom to wake is the rules' matter.

Source: X API v2, recent counts: seven days back, by the minute, 300 calls in 15 minutes.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

from listener.sources.x.filter_rules import Rule, compile_rules
from listener.units import parse_instant

REACH: Final = timedelta(days=7) - timedelta(minutes=2)
"""X counts seven days back; a request takes time, and our clocks differ."""
SETTLE: Final = timedelta(minutes=2)
"""X finds posts up to half a minute late, and a minute is published once: so old it must be, to be counted."""
WEEK: Final = 7 * 24 * 60

HISTORY: Final = 6 * 60
"""Minutes that a burst is judged by."""
WINDOW: Final = 5
"""Minutes that are added up to be compared."""
QUIET: Final = 60
"""Minutes without a burst after which tracks are no longer counted one by one."""
LEAST: Final = 10
FACTOR: Final = 4
"""A burst holds so many posts at least, and so many times what was usual."""

Burst = Callable[[Sequence[int | None]], bool]
"""Whether the newest minutes are a burst. Given the last `HISTORY` of the total, oldest first; None: not known."""


def minute_of(at: datetime) -> int:
    return int(at.timestamp()) // 60


def instant_of(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def count_queries(tracks: Iterable[str], *, reposts: bool = True) -> tuple[Rule, ...]:
    """Tracks → as few queries as fit. A post that answers two of them is counted by each.

    Places are counted where the text names them: X's own operator is not in every plan, and would count posts twice.
    """
    compiled = compile_rules(tracks, reposts=reposts)
    return tuple(rule for rule in compiled.rules if not rule.value.startswith("place:"))


def cost_a_day(queries: int, every: timedelta, price: float) -> float:
    """Dollars: each query is a call every so often, and each call costs `price`, however many minutes it covers."""
    return queries * (timedelta(days=1) / every) * price


class CountedMinutes:
    """The minutes of a series that are counted. Holds a week of them: later ones take the place of those before."""

    def __init__(self) -> None:
        self._held = array("I", [0]) * WEEK
        self.newest: int | None = None

    def add(self, minute: int) -> None:
        place = minute % WEEK
        self._held[place] = max(self._held[place], minute)
        self.newest = max(self.newest or minute, minute)

    def __contains__(self, minute: int) -> bool:
        return self._held[minute % WEEK] == minute

    def missing(self, now: datetime) -> range:
        """From the first minute that can be counted and is not, to the last; empty when there is none."""
        earliest, latest = minute_of(now - REACH) + 1, minute_of(now - SETTLE) - 1
        while earliest <= latest and earliest in self:
            earliest += 1
        while latest >= earliest and latest in self:
            latest -= 1
        return range(earliest, latest + 1)


def read_counts(answer: Mapping[str, Any]) -> dict[int, int]:
    """One page of X's answer: minute → posts. Parts of minutes are left out. Raises ValueError when it is none."""
    try:
        buckets = [(parse_instant(b["start"]), parse_instant(b["end"]), b["tweet_count"]) for b in answer["data"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no page of counts: {type(error).__name__}") from None
    whole = timedelta(minutes=1)
    if any(not isinstance(count, int) or count < 0 for _, _, count in buckets):
        raise ValueError("no page of counts: a count is none")
    return {minute_of(a): count for a, b, count in buckets if b - a == whole and not a.second and not a.microsecond}


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
