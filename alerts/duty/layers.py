"""Layers of a roster: who stands there by rule, on the days and hours of a window, in rotation or always the same.

All of it is wall time in the roster's zone, hourly rotations too. A window belongs to the day it starts on, takes its
start first and its end last: rather two people than nobody. `people[0]` stands from `start` on; each hand-over counts
one, also one of no length, on the night when it and the next fall on one instant; and so it goes on before `start`.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Annotated, Any, Literal, NamedTuple, get_args

from pydantic import BeforeValidator, Field, model_validator

from alerts.duty.people import ClockTime, Name, Strict
from alerts.duty.wall import first, last, wall_of
from listener.units import FIRST, LAST, parse_time

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = get_args(Day)
ONE_DAY = timedelta(days=1)
WEEK = timedelta(weeks=1)
LONGEST_TURN = timedelta(days=366)
MOST_TURNS = 200
"""People of one rotation."""
MOST_CYCLE = timedelta(days=20 * 366)
"""How far ahead cycles of several lengths are followed until they meet."""

_EVERY = re.compile(r"(\d{1,5})(h|d|w|mo)")
_UNITS = {"h": timedelta(hours=1), "d": ONE_DAY, "w": WEEK}
_MONTH = timedelta(days=31)


class Every(NamedTuple):
    """How long a turn is: so many hours, days or weeks (`step`), or so many months."""

    step: timedelta
    months: int = 0

    def after(self, start: datetime, turns: int) -> datetime:
        """The wall time so many turns after `start`. A month that is too short ends the turn with its last day."""
        if not self.months:
            return start + turns * self.step
        years, month = divmod(start.year * 12 + start.month - 1 + turns * self.months, 12)
        day = min(start.day, calendar.monthrange(years, month + 1)[1])
        return start.replace(year=years, month=month + 1, day=day)

    def about(self, passed: timedelta) -> int:
        """How many turns have passed, give or take a few."""
        return passed // (self.step or timedelta(days=30.436875) * self.months)

    @property
    def longest(self) -> timedelta:
        return self.step or _MONTH * self.months


def _every(value: Any) -> Any:
    if isinstance(value, Every):
        return value
    found = _EVERY.fullmatch(value.replace(" ", "")) if isinstance(value, str) else None
    if found is None or int(found[1]) == 0:
        raise ValueError("write how long a turn is, like 12h, 1d, 1w or 1mo")
    count = int(found[1])
    every = Every(timedelta(0), count) if found[2] == "mo" else Every(count * _UNITS[found[2]])
    if every.longest > LONGEST_TURN + _MONTH:
        raise ValueError("is longer than a year")
    return every


def when(value: Any) -> Any:
    """A time with an offset, or a wall time in the roster's zone without."""
    if isinstance(value, datetime):
        return value
    with suppress(ValueError):
        if isinstance(value, str) and FIRST.year <= (found := parse_time(value)).year < LAST.year:
            return found
    raise ValueError('write a time like "2026-12-24T08:00", in the roster\'s zone, or with an offset or Z behind it')


When = Annotated[datetime, BeforeValidator(when)]


class Rotation(Strict):
    """Turns of equal length on the wall, one person after the other."""

    every: Annotated[Every, BeforeValidator(_every)]
    start: When
    people: Annotated[tuple[Name, ...], Field(min_length=1, max_length=MOST_TURNS)]

    def turn(self, at: datetime, zone: tzinfo) -> int:
        """The number of the turn that has begun last; 0 begins at `start`."""
        number = self.every.about(wall_of(at, zone) - self._start(zone))
        while self.handover(number, zone) > at:
            number -= 1
        while self.handover(number + 1, zone) <= at:
            number += 1
        return number

    def handover(self, turn: int, zone: tzinfo) -> datetime:
        """When a turn begins."""
        return first(self.every.after(self._start(zone), turn), zone)

    def at(self, at: datetime, zone: tzinfo) -> str:
        return self.people[self.turn(at, zone) % len(self.people)]

    def _start(self, zone: tzinfo) -> datetime:
        return self.start if self.start.tzinfo is None else wall_of(self.start, zone)


class Layer(Strict):
    """Who stands in a window of the week."""

    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS
    start: ClockTime = Field(default=time(), alias="from")
    end: ClockTime = Field(default=time(), alias="to")
    rotation: Rotation | None = None
    who: Name | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Layer:
        if (self.rotation is None) == (self.who is None):
            raise ValueError("needs either rotation or who")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        return self.rotation.people if self.rotation else (str(self.who),)

    @property
    def always(self) -> bool:
        """Its windows touch each other all week long."""
        return self.start == self.end and set(self.days) == set(DAYS)

    @property
    def constant(self) -> bool:
        """It is always the same person's turn."""
        return len(set(self.names)) == 1

    @property
    def cycle(self) -> timedelta:
        """After so long on the wall it all comes again, months and nights on which clocks are set left aside."""
        turns = 0 if self.rotation is None or self.constant else len(self.rotation.people)
        if self.rotation is None or not turns:
            return timedelta(0) if self.always else WEEK
        every = self.rotation.every
        cycle = turns * every.longest
        if self.always or every.months:
            return cycle
        hour = timedelta(hours=1)
        return min(math.lcm(cycle // hour, WEEK // hour) * hour, max(cycle, MOST_CYCLE))

    def at(self, at: datetime, zone: tzinfo) -> str | None:
        """Who stands here at an instant, or None outside of its windows."""
        today = wall_of(at, zone).date()
        if not any(start <= at < end for start, end in (self._window(day, zone) for day in (today - ONE_DAY, today))):
            return None
        return self.rotation.at(at, zone) if self.rotation else self.who

    def handovers(self, after: datetime, zone: tzinfo) -> list[Iterator[datetime]]:
        """The instants after this one at which the layer may change, without end, each list in order of time."""
        found = []
        if not self.always:
            found += [self._edges(after, zone, which) for which in (0, 1)]
        if self.rotation is not None and not self.constant:
            found.append(self._turns(self.rotation, after, zone))
        return found

    def _window(self, day: date, zone: tzinfo) -> tuple[datetime, datetime]:
        """The window that starts on a day; on a day without one it has no length."""
        start = first(datetime.combine(day, self.start), zone)
        if DAYS[day.weekday()] not in self.days:
            return start, start
        ends_on = day if self.end > self.start else day + ONE_DAY
        return start, last(datetime.combine(ends_on, self.end), zone)

    def _edges(self, after: datetime, zone: tzinfo, which: int) -> Iterator[datetime]:
        """The starts (0) or the ends (1) of its windows."""
        day = wall_of(after, zone).date() - ONE_DAY
        while True:
            window = self._window(day, zone)
            if window[0] < window[1] and window[which] > after:
                yield window[which]
            day += ONE_DAY

    def _turns(self, rotation: Rotation, after: datetime, zone: tzinfo) -> Iterator[datetime]:
        turn = rotation.turn(after, zone)
        while True:
            turn += 1
            yield rotation.handover(turn, zone)
