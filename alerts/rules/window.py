"""The posts of the last timeframe under one key, counted as posts, authors or stories.

A window is half open, (t - timeframe, t]. What has left it is kept for another timeframe, so that a post that is
found late is judged together with those it stood among; what comes later than that no longer counts.
Adding and expiring cost O(1) amortised; only late posts walk through the window.
"""

from __future__ import annotations

import hashlib
from bisect import insort
from collections import deque
from collections.abc import Hashable, Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple

from alerts.rules.spec import CountBy
from alerts.story import is_repost
from listener.records import Finding, Kind, Origin

KEEP = 2
"""Windows are kept for so many timeframes."""


class Entry(NamedTuple):
    """What windows keep of a finding: no text, only its digest."""

    at: datetime
    post_key: str
    captured_at: datetime
    origin: Origin
    author: str | None
    story: str
    repost: bool
    weight: int
    kinds: tuple[Kind, ...]
    digest: str
    value: Any = None
    """What the rule's type reads of the finding, where it reads anything: a term, a number, a mark."""

    @property
    def lookback(self) -> bool:
        return self.origin is Origin.LOOKBACK


ORDER = attrgetter("at", "post_key")


def entry_of(finding: Finding) -> Entry:
    return Entry(
        finding.at,
        finding.post_key,
        finding.captured_at,
        finding.origin,
        finding.author,
        finding.story,
        is_repost(finding.text, finding.repost_of),
        finding.count,
        finding.kinds,
        hashlib.sha256(finding.text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
    )


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

    def _unit(self, entry: Entry) -> Hashable | None:
        if self._by is CountBy.STORIES:
            return entry.story
        # An unknown author's post stands for one person; so without any authors it is distinct posts that count.
        # The pair keeps an author from being taken for a post.
        return None if entry.repost else ("a", entry.author) if entry.author else ("p", entry.post_key)

    def add(self, entry: Entry) -> None:
        if self._by is CountBy.POSTS:
            self._total += entry.weight
        elif (unit := self._unit(entry)) is not None:
            self._units[unit] = self._units.get(unit, 0) + 1

    def drop(self, entry: Entry) -> None:
        if self._by is CountBy.POSTS:
            self._total -= entry.weight
        elif (unit := self._unit(entry)) is not None:
            left = self._units[unit] - 1
            if left:
                self._units[unit] = left
            else:
                del self._units[unit]


class Window:
    __slots__ = ("_by", "_former", "_tally", "_timeframe", "current")

    def __init__(self, timeframe: timedelta, by: CountBy) -> None:
        self._timeframe = timeframe
        self._by = by
        self._tally = Tally(by)
        self.current: deque[Entry] = deque()
        self._former: deque[Entry] = deque()

    @property
    def count(self) -> int:
        return self._tally.count

    @property
    def next_expiry(self) -> datetime | None:
        """When the oldest post leaves the window."""
        return self.current[0].at + self._timeframe if self.current else None

    @property
    def next_due(self) -> datetime | None:
        """When the window has something to let go; None when it is empty."""
        if self.current:
            return self.current[0].at + self._timeframe
        return self._former[0].at + KEEP * self._timeframe if self._former else None

    def add(self, entry: Entry) -> None:
        """The newest post."""
        self.current.append(entry)
        self._tally.add(entry)

    def insert(self, entry: Entry, now: datetime) -> None:
        """A post that was found late, at `now`."""
        into = self.current if entry.at > now - self._timeframe else self._former
        ordered = list(into)
        insort(ordered, entry, key=ORDER)
        into.clear()
        into.extend(ordered)
        if into is self.current:
            self._tally.add(entry)

    def expire(self, now: datetime) -> None:
        """Let go what is a timeframe old at `now`."""
        edge = now - self._timeframe
        current = self.current
        while current and current[0].at <= edge:
            entry = current.popleft()
            self._tally.drop(entry)
            self._former.append(entry)

    def forget(self, now: datetime) -> None:
        """Let go what no late post can meet any more."""
        edge = now - KEEP * self._timeframe
        while self._former and self._former[0].at <= edge:
            self._former.popleft()

    def kept(self, after: datetime) -> list[Entry]:
        """Posts of the current and the former window later than `after`, in order."""
        return [entry for part in (self._former, self.current) for entry in part if entry.at > after]

    def at(self, now: datetime) -> list[Entry]:
        """The window as it stood at `now`."""
        return [entry for entry in self.kept(now - self._timeframe) if entry.at <= now]

    def steps(self, after: datetime) -> Iterator[Step]:
        """How the count went since `after`, instant by instant; true from one timeframe after it."""
        return _steps(self.kept(after), self._timeframe, Tally(self._by))


class Step(NamedTuple):
    """One instant: the posts that came at it, each with the count it made, and the count that stood after it."""

    at: datetime
    came: tuple[tuple[Entry, int], ...]
    level: int


def _steps(entries: Sequence[Entry], timeframe: timedelta, tally: Tally) -> Iterator[Step]:
    instants = sorted({e.at for e in entries} | {e.at + timeframe for e in entries})
    coming, leaving = 0, 0
    for instant in instants:
        while entries[leaving].at + timeframe <= instant and leaving < coming:
            tally.drop(entries[leaving])
            leaving += 1
            if leaving == len(entries):
                break
        came: list[tuple[Entry, int]] = []
        while coming < len(entries) and entries[coming].at == instant:
            tally.add(entries[coming])
            came.append((entries[coming], tally.count))
            coming += 1
        yield Step(instant, tuple(came), tally.count)
