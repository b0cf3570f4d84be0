"""Counting X in calm: the queries, the minutes, what a day costs. Pure; imports no client.

In calm nobody's words are asked for, only how many posts there were in each minute. All standing tracks together are
one series, the **total**, in as few queries as fit; a single track has a series of its own. A minute is told in epoch
minutes: whole minutes since 1970, UTC.

Source: X API v2, recent counts: seven days back, by the minute, 300 calls in 15 minutes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from listener.sources.x.filter_rules import Rule, compile_rules
from listener.units import parse_instant

REACH: Final = timedelta(days=7) - timedelta(minutes=2)
"""X counts seven days back; a request takes time, and our clocks differ."""
SETTLE: Final = timedelta(minutes=2)
"""X finds posts up to half a minute late, and a minute is published once: so old it must be, to be counted."""
WEEK: Final = 7 * 24 * 60


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
    """Dollars: each query is a call every so often, and each call costs `price`, however many minutes it tells of."""
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
