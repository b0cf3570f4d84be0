"""A day's allowance of calls at a platform: what is used of it, when the next day begins, how fast it may be used.

Pure. The day is the platform's own, in its time zone, and has 23 or 25 hours where clocks are changed in it. The
account of a day lies on the bus (`listener.model.spending.QuotaUse`), so that a restart forgets nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from math import inf
from zoneinfo import ZoneInfo

from listener.model.spending import QuotaUse


class DayQuota:
    """`units` a day of `zone`. All instants are aware."""

    def __init__(self, source: str, units: int, zone: str, now: datetime) -> None:
        self.units = units
        self._source = source
        self._zone = ZoneInfo(zone)
        self._use = self._fresh(now)

    @property
    def use(self) -> QuotaUse:
        """The account, for the bus."""
        return self._use

    def recall(self, use: QuotaUse | None, now: datetime) -> None:
        """What the bus has; of a day that is over nothing counts. More units than then: some are left again."""
        self._use = self._fresh(now)
        if use is not None and use.day == self._use.day:
            exhausted = use.exhausted and self.units <= use.units
            self._use = use.model_copy(update={"units": self.units, "exhausted": exhausted})

    def roll(self, now: datetime) -> bool:
        """Whether a new day has begun; then nothing is used of it. A clock that runs back begins none."""
        if self._day(now) <= self._use.day:
            return False
        self._use = self._fresh(now)
        return True

    def spend(self, endpoint: str, cost: int, now: datetime) -> None:
        """A call was made, whatever came of it."""
        self.roll(now)
        calls = {**self._use.calls, endpoint: self._use.calls.get(endpoint, 0) + 1}
        change = {"at": max(now, self._use.at), "used": self._use.used + cost, "calls": calls}
        self._use = self._use.model_copy(update=change)

    def exhaust(self, now: datetime) -> None:
        """The platform says that nothing is left, whatever we counted: others may use the same allowance."""
        self.roll(now)
        self._use = self._use.model_copy(update={"at": max(now, self._use.at), "exhausted": True})

    def left(self, now: datetime) -> int:
        """Units that are left today."""
        self.roll(now)
        return 0 if self._use.exhausted else max(0, self.units - self._use.used)

    def ends(self, now: datetime) -> datetime:
        """When the day ends, in UTC: the next midnight of its zone."""
        tomorrow = now.astimezone(self._zone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), self._zone).astimezone(UTC)

    def is_settled(self, now: datetime) -> bool:
        """The day has begun for sure: our clock may be an hour or two ahead of the platform's."""
        return self.ends(now) - now < timedelta(hours=22)

    def pace(self, cost: float, now: datetime, *, reserve: int = 0) -> float:
        """Seconds from one round of `cost` units to the next with which what is left, less `reserve` units, lasts to
        the day's end; infinite where it is not enough for one."""
        left = self.left(now) - reserve
        if left < max(cost, 1.0):
            return inf
        return (self.ends(now) - now).total_seconds() * cost / left

    def shown(self) -> Mapping[str, int | bool]:
        """For presence and the board."""
        return {"used": self._use.used, "units": self.units, "exhausted": self._use.exhausted}

    def _fresh(self, now: datetime) -> QuotaUse:
        return QuotaUse(source=self._source, at=now, day=self._day(now), units=self.units)

    def _day(self, now: datetime) -> str:
        return f"{now.astimezone(self._zone):%Y-%m-%d}"
