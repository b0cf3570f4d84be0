"""The counts of one track: parts of minutes in any order → whole minutes in order → how loud each is. Pure.

Two sorts of counts come. A platform's own come minutes later, each whole. What we count ourselves in crisis comes in
parts while the minute lasts, and is whole when the source says that it was heard in full; a minute that it never
says that of is judged as far as it was heard, for what we know of is there.

While an incident is open the counts are judged and teach nothing: a crisis does not become what is expected. A track
that nobody counted before has nothing else to learn from; it learns from the crisis, and forgets it when that is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from alerts.rules.conditions.burst_detector import Burst, BurstReading, Tuning

MINUTE = timedelta(minutes=1)
WHOLE_AFTER = timedelta(minutes=2)
"""A minute whose count is published so long after it began is counted whole; before, more of it may come."""
FURTHEST = timedelta(days=1)
"""Of a longer stretch without a post, as between two days of a recording, only the end is judged."""

_NEWEST = 5
"""Minutes: one alone says little of a track with a few posts an hour."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A minute, and what each tuning says of it. `last_hour`: the counts before it and its own, oldest first."""

    minute: datetime
    readings: Mapping[Tuning, BurstReading]
    last_hour: tuple[float, ...]


class Series:
    """`young`: what it knows, it learned in a crisis. `judged`: the newest minute that was."""

    def __init__(self, tunings: Iterable[Tuning], zone: tzinfo | None) -> None:
        self._zone = zone
        self._bursts = {tuning: self._burst(tuning) for tuning in tunings}
        self._parts: dict[datetime, int] = {}
        self.young = False
        self.judged: datetime | None = None

    def count(self, minute: datetime, count: int, published: datetime, *, crisis: bool) -> Iterator[Judged]:
        """So many posts more in this minute. What comes after the minute was judged is of no use any more."""
        if self.judged is not None and minute <= self.judged:
            return
        self._parts[minute] = self._parts.get(minute, 0) + count
        whole = published - minute >= WHOLE_AFTER
        over = minute if whole else minute - WHOLE_AFTER
        for each in sorted(self._parts):
            if each <= over:
                yield self._judge(each, self._parts.pop(each), crisis=crisis, teaches=whole and each == minute)

    def heard(self, start: datetime, end: datetime, *, crisis: bool) -> Iterator[Judged]:
        """Each minute of `[start, end)` is whole, whether anything was said in it or not."""
        minute = max(start, end - FURTHEST)
        for each in sorted(self._parts):
            if each < minute:
                yield self._judge(each, self._parts.pop(each), crisis=crisis, teaches=each >= start)
        if self.judged is not None:
            minute = max(minute, self.judged + MINUTE)
        while minute < end:
            yield self._judge(minute, self._parts.pop(minute, 0), crisis=crisis, teaches=True)
            minute += MINUTE

    def newest(self) -> tuple[float, tuple[float, float] | None] | None:
        """Posts a minute, the mean of the five newest that were judged, and the least and the most that would be
        ordinary in the newest (None: too little was heard to say); None before the first."""
        burst = next(iter(self._bursts.values()), None)
        if burst is None or self.judged is None:
            return None
        counts = burst.last_hour()[-_NEWEST:]
        return sum(counts) / max(len(counts), 1), burst.usual(self.judged)

    def _judge(self, minute: datetime, count: int, *, crisis: bool, teaches: bool) -> Judged:
        if crisis and not all(burst.warm for burst in self._bursts.values()):
            self.young = True
        elif self.young and not crisis:
            self.young = False
            self._bursts = {tuning: self._burst(tuning) for tuning in self._bursts}
        learn = teaches and (self.young or not crisis)
        self.judged = minute
        readings = {tuning: burst.step(minute, count, learn=learn) for tuning, burst in self._bursts.items()}
        alarm = any(reading.alarm for reading in readings.values())
        last_hour = next(iter(self._bursts.values())).last_hour() if alarm else ()
        return Judged(minute, readings, last_hour)

    def _burst(self, tuning: Tuning) -> Burst:
        return Burst(MINUTE, zone=self._zone, tuning=tuning)
