"""How loud it is, track by track, against what is usual for the hour: for a graph that people look at. Pure.

The counts of `volumes`, in steps of five minutes. What is usual is learned in calm alone, by the detector that the rule
`burst` has. A step that was not heard in full is unknown, never zero.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from alerts.rules.conditions.burst_detector import Burst
from listener.model.records import Heard, Volume

STEP = timedelta(minutes=5)
SETTLED = timedelta(minutes=15)
"""So long after it began a step teaches what is usual: platforms count minutes later."""
KEPT = timedelta(hours=26)
"""So far back single steps are at hand."""
REMEMBERED = timedelta(days=21)
"""So far back `volumes` is read at start: three weeks, by which a week's rhythm is known."""
OF_TODAY = timedelta(hours=24)
_MINUTE = timedelta(minutes=1)
_MINUTES = STEP // _MINUTE


class Step(NamedTuple):
    """`posts` from `at` on, for `STEP`: None where nothing is known; `whole`: every minute of it was heard.
    `usual`: the least and the most that would be ordinary; None where that is not known."""

    at: datetime
    posts: int | None
    whole: bool
    usual: tuple[float, float] | None


@dataclass(frozen=True)
class TrackLoudness:
    """One track of one source; `steps` are the newest, oldest first, without one left out."""

    source: str
    track: str
    steps: tuple[Step, ...]

    @property
    def last_hour(self) -> int:
        return sum(step.posts or 0 for step in self.steps[-(timedelta(hours=1) // STEP) :])

    @property
    def usual_most(self) -> float | None:
        """The most posts that would be ordinary in the last hour; None where any step of it is not known."""
        hour = self.steps[-(timedelta(hours=1) // STEP) :]
        known = [step.usual[1] for step in hour if step.usual is not None]
        return sum(known) if hour and len(known) == len(hour) else None


class _Series:
    """The steps of one track that are not too old, and what is usual for it."""

    def __init__(self, zone: tzinfo) -> None:
        self.counts: dict[datetime, int] = {}
        self.heard: dict[datetime, int] = {}
        """Step → bits, one for each of its minutes."""
        self.crisis: set[datetime] = set()
        """Steps in which it was listened to for an incident."""
        self.burst = Burst(STEP, zone=zone)
        self.learned: datetime | None = None

    def hear(self, minute: datetime) -> None:
        step = step_of(minute)
        self.heard[step] = self.heard.get(step, 0) | 1 << ((minute - step) // _MINUTE)

    def whole(self, step: datetime) -> bool:
        return self.heard.get(step, 0) == (1 << _MINUTES) - 1

    def learn(self, until: datetime, is_crisis: Callable[[datetime], bool]) -> None:
        """From each step that is settled, in order; what was not heard in full teaches nothing."""
        learned = self.learned or datetime.min.replace(tzinfo=UTC)
        for step in sorted(each for each in self.heard if learned < each <= until):
            known, crisis = self.whole(step), step in self.crisis or is_crisis(step)
            self.burst.step(step, self.counts.get(step, 0) if known else None, learn=known and not crisis)
            self.learned = step

    def forget(self, before: datetime) -> None:
        for each in [each for each in self.heard if each < before]:
            del self.heard[each]
            self.counts.pop(each, None)
            self.crisis.discard(each)


class Loudness:
    """`take` what `volumes` holds, in any order; `tracks` gives what is to be shown."""

    def __init__(self, zone: tzinfo, is_crisis: Callable[[datetime], bool]) -> None:
        """`zone`: whose clock the rhythm of a day follows. `is_crisis`: whether an incident was open at an instant."""
        self._zone = zone
        self._is_crisis = is_crisis
        self._series: dict[tuple[str, str], _Series] = {}
        self._newest: datetime | None = None

    def end(self, now: datetime) -> datetime:
        """Up to when a graph goes: now, or the newest minute of what is heard of another day, as of a recording."""
        newest = self._newest
        return now if newest is None or now - OF_TODAY < newest <= now + STEP else newest

    def take(self, record: Volume | Heard) -> None:
        if isinstance(record, Volume):
            series = self._of(record.source, record.track)
            step = step_of(record.minute)
            series.counts[step] = series.counts.get(step, 0) + record.count
            series.hear(record.minute)
            self._newest = max(record.minute, self._newest or record.minute)
            return
        last = record.end - _MINUTE
        self._newest = max(last, self._newest or last)
        crisis = any(record.incidents)
        for track in {track for its in record.incidents.values() for track in its}:
            series = self._of(record.source, track)
            minute = max(record.start, record.end - KEPT)
            while minute < record.end:
                series.hear(minute)
                if crisis:
                    series.crisis.add(step_of(minute))
                minute += _MINUTE

    def tracks(self, now: datetime, span: timedelta) -> list[TrackLoudness]:
        """Of each track that was heard of in `span` before now, the loudest in the last hour first."""
        end, found = step_of(now), []
        for (source, track), series in self._series.items():
            series.learn(end - SETTLED, self._is_crisis)
            series.forget(end - KEPT)
            if any(step >= end - span for step in series.heard):
                found.append(TrackLoudness(source, track, tuple(_steps(series, end, span))))
        return sorted(found, key=lambda each: (-each.last_hour, each.source, each.track))

    def heard(self, end: datetime) -> set[datetime]:
        """The steps up to `end` of which anything is known of any track."""
        return {step for series in self._series.values() for step in series.heard if step <= end}

    def _of(self, source: str, track: str) -> _Series:
        key = source, track
        if key not in self._series:
            self._series[key] = _Series(self._zone)
        return self._series[key]


def _steps(series: _Series, end: datetime, span: timedelta) -> Iterator[Step]:
    at = end - span + STEP
    while at <= end:
        known = at in series.heard
        yield Step(at, series.counts.get(at, 0) if known else None, series.whole(at), series.burst.usual(at))
        at += STEP


def step_of(at: datetime) -> datetime:
    """When the step began that an instant lies in."""
    return at - timedelta(minutes=at.minute % _MINUTES, seconds=at.second, microseconds=at.microsecond)


class Crises:
    """When an incident was open: pairs of instants, the last of which may be open."""

    def __init__(self) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime | None] = []

    def set(self, spans: list[tuple[datetime, datetime | None]]) -> None:
        """Replace them all; they may overlap."""
        self._starts, self._ends = [], []
        for start, end in sorted(spans, key=lambda span: span[0]):
            if self._ends and (self._ends[-1] is None or start <= self._ends[-1]):
                self._ends[-1] = None if end is None or self._ends[-1] is None else max(end, self._ends[-1])
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __call__(self, at: datetime) -> bool:
        place = bisect.bisect_right(self._starts, at) - 1
        if place < 0:
            return False
        end = self._ends[place]
        return end is None or at < end
