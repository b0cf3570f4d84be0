"""What a rule has said under one key: when it fired, when that passed, when it was held; and how long it is then quiet.

How long it is quiet after an alarm is `realert`'s word, or `exponential_realert`'s, which doubles as ElastAlert's does:
pure, on event time, from the times at which a key fired. The whole of it can be rebuilt from the published alerts, so
it is the same after a restart, and nothing may be written here that no alert says.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from listener.model.records import Alert, Event

if TYPE_CHECKING:
    from alerts.rules.spec import RuleSpec


@dataclass(slots=True)
class Episode:
    """From firing to resolved; `end` is unset while it lasts."""

    at: datetime
    alert_id: str
    first_seen: datetime
    end: datetime | None = None


FOR_EVER = datetime.max.replace(tzinfo=UTC)
SLACK = 8
"""What may be pruned is kept until it is as much as what may not, and this."""


@dataclass(slots=True)
class FiringHistory:
    """`fired`: by the alert's id. `held`: when it stayed silent."""

    fired: dict[str, Episode] = field(default_factory=dict)
    held: list[datetime] = field(default_factory=list)
    last_held: datetime | None = None
    _open: dict[str, Episode] = field(default_factory=dict)
    _times: list[datetime] | None = None
    _reported: Stretches | None = None
    _kept: int = 0

    def __bool__(self) -> bool:
        return bool(self.fired or self.held)

    def record(self, event: Event, at: datetime, alert_id: str, first_seen: datetime) -> None:
        """Take in one thing that was said, now or before a restart."""
        if event is Event.FIRED:
            if alert_id not in self.fired:
                self.fired[alert_id] = self._open[alert_id] = Episode(at, alert_id, first_seen)
                self._times = None
        elif event is Event.SUPPRESSED:
            self.held.append(at)
            self.last_held = at if self.last_held is None else max(at, self.last_held)
            if self._reported is not None:
                self._reported.add_around(at)
        else:
            self.close(alert_id, at)

    def close(self, alert_id: str, at: datetime) -> None:
        """It has passed."""
        episode = self.fired.get(alert_id)
        if episode is not None:
            episode.end = at
            self._open.pop(alert_id, None)
            if self._reported is not None:
                self._reported.add(episode)

    def remember(self, alert: Alert) -> None:
        self.record(alert.event, alert.at, alert.id, alert.first_seen)

    def standing(self) -> Episode | None:
        """The one that fired and has not passed."""
        return next(iter(self._open.values()), None)

    def holding(self) -> datetime | None:
        """When it last stayed silent, if it has said nothing since."""
        last = self.last_held
        return None if last is None or any(max(e.at, e.end or last) > last for e in self.fired.values()) else last

    def quiet_until(self, at: datetime, realert: timedelta, most: timedelta | None) -> datetime | None:
        """Until when no second alarm may come, seen from `at`; None when one may."""
        if not realert or not self.fired:
            return None
        if self._times is None:
            self._times = sorted(episode.at for episode in self.fired.values())
        return quiet_until(self._times, at, realert, most)

    def recent(self, at: datetime, realert: timedelta, most: timedelta | None = None) -> bool:
        """Whether it fired so shortly before or after `at` that it must be held; `most`: `exponential_realert`."""
        return self.quiet_until(at, realert, most) is not None

    def covered_until(self, at: datetime, timeframe: timedelta) -> datetime | None:
        """Until when windows were spoken of, if one ending at `at` was: it overlaps one that fired, or one that was
        held. None: nobody spoke of it."""
        if any(episode.at - timeframe < at for episode in self._open.values()):
            return FOR_EVER
        if self._reported is None:
            self._reported = Stretches(timeframe)
            for episode in self.fired.values():
                self._reported.add(episode)
            for held in self.held:
                self._reported.add_around(held)
        return self._reported.until(at)

    def prune(self, edge: datetime, chain: timedelta = timedelta(), *, all: bool = False) -> None:
        """Drop what passed before `edge`, save what led within `chain` to something that is kept.

        Unless it is to drop `all` of it, only once that is worth a walk through what is kept.
        """
        if not all and len(self.fired) + len(self.held) <= 2 * self._kept + SLACK:
            return
        kept: dict[str, Episode] = {}
        after: datetime | None = None
        for id, episode in sorted(self.fired.items(), key=lambda item: item[1].at, reverse=True):
            last = episode.at if episode.end is None else max(episode.at, episode.end)
            if episode.end is None or last > edge or (after is not None and after - episode.at < chain):
                kept[id] = episode
                after = episode.at
        self.fired = dict(reversed(kept.items()))
        self.held = [at for at in self.held if at > edge]
        self.last_held = max(self.held, default=None)
        self._times = self._reported = None
        self._kept = len(self.fired) + len(self.held)

    @property
    def newest(self) -> datetime | None:
        ends = [max(e.at, e.end) if e.end else e.at for e in self.fired.values()]
        return max((*ends, *self.held), default=None)


class Stretches:
    """Stretches of time, without their ends, in which a window was spoken of, in order; those that overlap are one."""

    __slots__ = ("_begins", "_ends", "_timeframe")

    def __init__(self, timeframe: timedelta) -> None:
        self._timeframe = timeframe
        self._begins: list[datetime] = []
        self._ends: list[datetime] = []

    def add(self, episode: Episode) -> None:
        """One that has passed."""
        if episode.end is not None:
            self._add(episode.at - self._timeframe, episode.end)

    def add_around(self, at: datetime) -> None:
        self._add(at - self._timeframe, at + self._timeframe)

    def until(self, at: datetime) -> datetime | None:
        """When the stretch ends in which `at` lies."""
        place = bisect_left(self._begins, at) - 1
        return self._ends[place] if place >= 0 and at < self._ends[place] else None

    def _add(self, begin: datetime, end: datetime) -> None:
        if begin >= end:
            return
        first, after = bisect_right(self._ends, begin), bisect_left(self._begins, end)
        if first < after:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[after - 1])
        self._begins[first:after] = [begin]
        self._ends[first:after] = [end]


def memory(spec: RuleSpec) -> timedelta:
    """How long an alarm matters to those after it.

    A doubled wait is at most `exponential_realert`, and all that it was doubled by is forgotten within twice that.
    """
    return spec.realert if spec.exponential_realert is None else 3 * spec.exponential_realert


def quiet_until(fired: Sequence[datetime], at: datetime, realert: timedelta, most: timedelta | None) -> datetime | None:
    """Until when no second alarm may come, seen from `at`; None when one may. `fired` is in order.

    An alarm soon after `at` holds as well: it was reported already, and `at` is found late.
    """
    place = bisect_right(fired, at)
    if place:
        until = fired[place - 1] + realert if most is None else _doubled_until(fired[:place], realert, most)
        if at < until:
            return until
    if place < len(fired) and fired[place] - at < realert:
        return fired[place] + realert
    return None


def _doubled_until(fired: Sequence[datetime], realert: timedelta, most: timedelta) -> datetime:
    until, exponent = fired[0] + realert, 0
    for at in fired[1:]:
        until, exponent = doubled(until, exponent, at, realert, most)
    return until


def doubled(until: datetime, exponent: int, at: datetime, realert: timedelta, most: timedelta) -> tuple[datetime, int]:
    """An alarm at `at`, when the one before held until `until`: until when this one holds, and its exponent.

    Soon after the last wait the exponent grows; else it shrinks once for each wait of its own length that went by.
    """
    past = at - until
    if past < realert * 2**exponent:
        exponent += 1
    else:
        while exponent > 0 and past > realert * 2**exponent:
            past -= realert * 2**exponent
            exponent -= 1
    wait = realert * 2**exponent
    if wait >= most:
        return at + most, max(exponent - 1, 0)
    return at + wait, exponent
