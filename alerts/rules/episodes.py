"""What a rule has said under one key: when it fired, when that passed, when it held its tongue.

The whole of it can be rebuilt from the published alerts, so nothing may be written here that no alert tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerts.rules.repeats import quiet_until
from listener.records import Alert, Event


@dataclass(slots=True)
class Episode:
    """From firing to resolved; `end` is unset while it lasts."""

    at: datetime
    alert_id: str
    first_seen: datetime
    end: datetime | None = None


@dataclass(slots=True)
class Episodes:
    fired: dict[str, Episode] = field(default_factory=dict)
    held: list[datetime] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.fired or self.held)

    def tell(self, event: Event, at: datetime, alert_id: str, first_seen: datetime) -> None:
        """Take in one thing that was said, now or before a restart."""
        if event is Event.FIRED:
            self.fired.setdefault(alert_id, Episode(at, alert_id, first_seen))
        elif event is Event.SUPPRESSED:
            self.held.append(at)
        elif alert_id in self.fired:
            self.fired[alert_id].end = at

    def remember(self, alert: Alert) -> None:
        self.tell(alert.event, alert.at, alert.id, alert.first_seen)

    def standing(self) -> Episode | None:
        """The one that fired and has not passed."""
        return next((episode for episode in self.fired.values() if episode.end is None), None)

    def holding(self) -> datetime | None:
        """When it last held its tongue, if it has said nothing since."""
        last = max(self.held, default=None)
        return None if last is None or any(max(e.at, e.end or last) > last for e in self.fired.values()) else last

    def quiet_until(self, at: datetime, realert: timedelta, most: timedelta | None) -> datetime | None:
        """Until when no second alarm may come, seen from `at`; None when one may."""
        if not realert or not self.fired:
            return None
        return quiet_until(sorted(episode.at for episode in self.fired.values()), at, realert, most)

    def recent(self, at: datetime, realert: timedelta, most: timedelta | None = None) -> bool:
        """Whether it fired so shortly before or after `at` that it must be held; `most`: `exponential_realert`."""
        return self.quiet_until(at, realert, most) is not None

    def covers(self, at: datetime, timeframe: timedelta) -> bool:
        """Whether a window ending at `at` was spoken of: it overlaps one that fired, or one that was held."""
        return any(
            episode.at - timeframe < at and (episode.end is None or at < episode.end) for episode in self.fired.values()
        ) or any(abs(at - held) < timeframe for held in self.held)

    def prune(self, edge: datetime, chain: timedelta = timedelta()) -> None:
        """Forget what passed before `edge`, save what led within `chain` to something that is kept."""
        kept: dict[str, Episode] = {}
        after: datetime | None = None
        for id, episode in sorted(self.fired.items(), key=lambda item: item[1].at, reverse=True):
            last = episode.at if episode.end is None else max(episode.at, episode.end)
            if episode.end is None or last > edge or (after is not None and after - episode.at < chain):
                kept[id] = episode
                after = episode.at
        self.fired = dict(reversed(kept.items()))
        self.held = [at for at in self.held if at > edge]

    @property
    def newest(self) -> datetime | None:
        ends = [max(e.at, e.end) if e.end else e.at for e in self.fired.values()]
        return max((*ends, *self.held), default=None)
