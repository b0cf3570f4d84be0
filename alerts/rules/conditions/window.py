"""The posts of the last timeframe under one key, counted as posts, authors or stories.

A window is half open, (t - timeframe, t]. What has left it is kept for another timeframe, so that a post that is
found late is judged together with those it stood among; what comes later than that no longer counts.
Adding and expiring cost O(1) amortised; a late post is searched for in what `past` knows of the window.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Hashable, Iterable
from datetime import datetime, timedelta
from itertools import chain, islice
from operator import attrgetter

from alerts.rules.entry import Entry
from alerts.rules.past import Past, above, counted, unit_of
from alerts.rules.spec import CountBy
from alerts.rules.steps import Steps

KEEP = 2
"""Windows are kept for so many timeframes."""


CARRIES = "answered"
"""As an entry's value: it carries an answer."""
ORDER = attrgetter("at", "post_key")
AT = attrgetter("at")


class Tally:
    """A count that can go up and down."""

    __slots__ = ("_by", "_total", "_units")

    def __init__(self, by: CountBy) -> None:
        self._by = by
        self._units: dict[Hashable, int] = {}
        self._total = 0

    @property
    def count(self) -> int:
        return self._total if self._by is CountBy.POSTS else len(self._units)

    def add(self, entry: Entry) -> None:
        if self._by is CountBy.POSTS:
            self._total += entry.weight
        elif (unit := unit_of(self._by, entry)) is not None:
            self._units[unit] = self._units.get(unit, 0) + 1

    def drop(self, entry: Entry) -> None:
        if self._by is CountBy.POSTS:
            self._total -= entry.weight
        elif (unit := unit_of(self._by, entry)) is not None:
            left = self._units[unit] - 1
            if left:
                self._units[unit] = left
            else:
                del self._units[unit]


class Window:
    """`past`: how its count went, kept while late posts ask for it.

    `open`: of what carries no answer (`Entry.value` is not `CARRIES`), counted only once something carries one.
    """

    __slots__ = ("_by", "_former", "_open", "_tally", "_timeframe", "current", "past")

    def __init__(self, timeframe: timedelta, by: CountBy) -> None:
        self._timeframe = timeframe
        self._by = by
        self._tally = Tally(by)
        self._open: Tally | None = None
        self.current: deque[Entry] = deque()
        self._former: deque[Entry] = deque()
        self.past: Past | None = None

    @property
    def count(self) -> int:
        return self._tally.count

    @property
    def open(self) -> int:
        """The count without what carries an answer."""
        return self._tally.count if self._open is None else self._open.count

    def open_of(self, window: Iterable[Entry]) -> int:
        """The same of any posts."""
        tally = Tally(self._by)
        for entry in window:
            if entry.value is not CARRIES:
                tally.add(entry)
        return tally.count

    @property
    def next_expiry(self) -> datetime | None:
        """When the oldest post leaves the window."""
        return self.current[0].at + self._timeframe if self.current else None

    @property
    def next_due(self) -> datetime | None:
        """When something expires or can be pruned; None when it is empty."""
        if self.current:
            return self.current[0].at + self._timeframe
        return self._former[0].at + KEEP * self._timeframe if self._former else None

    def add(self, entry: Entry) -> None:
        """The newest post."""
        self.current.append(entry)
        self._count(entry)
        if self.past is not None:
            self.past.add(entry)

    def insert(self, entry: Entry, now: datetime) -> None:
        """A post that was found late, at `now`."""
        into = self.current if entry.at > now - self._timeframe else self._former
        insort(into, entry, key=ORDER)
        if into is self.current:
            self._count(entry)
        if self.past is not None:
            self.past.add(entry)

    def _count(self, entry: Entry) -> None:
        """One that has just come into the window."""
        self._tally.add(entry)
        if entry.value is CARRIES:
            if self._open is None:
                self._open = Tally(self._by)
                for each in self.current:
                    if each.value is not CARRIES:
                        self._open.add(each)
        elif self._open is not None:
            self._open.add(entry)

    def expire(self, now: datetime) -> None:
        """Move out of the window what is a timeframe old at `now`."""
        edge = now - self._timeframe
        current = self.current
        while current and current[0].at <= edge:
            entry = current.popleft()
            self._tally.drop(entry)
            if self._open is not None and entry.value is not CARRIES:
                self._open.drop(entry)
            self._former.append(entry)
        if not current:
            self._open = None

    def prune(self, now: datetime) -> None:
        """Drop what no late post can meet any more."""
        edge = now - KEEP * self._timeframe
        past = self.past
        while self._former and self._former[0].at <= edge:
            entry = self._former.popleft()
            if past is not None:
                past.drop(entry)
        if past is not None:
            past.prune(edge)
            if past.used is not None and past.used <= edge:
                self.past = None

    def history(self, least: int, now: datetime) -> Past:
        """How the count went in all that is kept: when there were at least so many."""
        past = self.past
        if past is None:
            steps = Steps()
            past = self.past = Past(
                (counted(self._by, steps, (timedelta(), self._timeframe)),), (above(steps, least - 1),)
            )
            for entry in chain(self._former, self.current):
                past.add(entry)
        past.used = now
        return past

    def came(self, since: datetime) -> datetime | None:
        """When the first post came since then, at that time itself or later; of those that are kept."""
        for part in (self._former, self.current):
            place = bisect_left(part, since, key=AT)
            if place < len(part):
                return part[place].at
        return None

    def completed(self, at: datetime, least: int, late: Entry) -> tuple[Entry, int, list[Entry]]:
        """The first post of that instant, the late one or after it, that there were so many with; their count, and the
        window that ends with it. Raises LookupError when there was none."""
        tally, window = Tally(self._by), []
        for entry in self.at(at):
            tally.add(entry)
            window.append(entry)
            if entry.at == at and tally.count >= least and ORDER(entry) >= ORDER(late):
                return entry, tally.count, window
        raise LookupError(at)

    def stood(self, at: datetime) -> tuple[list[Entry], int]:
        """The window as it stood at `at`, and its count."""
        tally, window = Tally(self._by), self.at(at)
        for entry in window:
            tally.add(entry)
        return window, tally.count

    def at(self, now: datetime) -> list[Entry]:
        """The posts of the window as it stood at `now`."""
        edge = now - self._timeframe
        out: list[Entry] = []
        for part in (self._former, self.current):
            begin, end = bisect_right(part, edge, key=AT), bisect_right(part, now, key=AT)
            out += islice(part, begin, end)
        return out
