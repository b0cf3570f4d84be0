"""Who is on duty, and until when: pure functions of rosters, people and an instant.

A temporary schedule replaces all that stands under it, its gaps are gaps. Else those stand here whom the layers and the
calendar name, as overrides change it: each in the order in which it was written, so that a later one may override an
earlier one. Swaps that people agreed on come last, and count in temporary schedules too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from heapq import merge
from itertools import chain, takewhile
from typing import NamedTuple, Protocol

from pydantic import Field, PrivateAttr, field_validator, model_validator

from alerts.duty.layers import Layer, When
from alerts.duty.people import Name, People, Strict, with_role
from alerts.duty.wall import first, last
from listener.settings.zone import find_zone
from listener.units import LAST

BEYOND = timedelta(days=5 * 366)
"""So far beyond the last thing that is written for one time only a change is looked for that calendars and the nights
on which clocks are set may bring."""


class Shifts(Protocol):
    """What a calendar says: who stands there at an instant, and when that may change."""

    def at(self, at: datetime) -> frozenset[str]: ...

    def handovers(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """After one instant and up to another, in order of time."""

    @property
    def repeats(self) -> bool: ...


class Span(Strict):
    """From one time to another, neither before it nor after it."""

    start: When = Field(alias="from")
    end: When = Field(alias="to")

    def within(self, zone: tzinfo) -> tuple[datetime, datetime]:
        """In UTC. Wall times take the start first and the end last."""
        start, end = self.start, self.end
        return (
            start if start.tzinfo else first(start, zone),
            end if end.tzinfo else last(end, zone),
        )

    def covers(self, at: datetime, zone: tzinfo) -> bool:
        start, end = self.within(zone)
        return start <= at < end


class Override(Span):
    """`add` stands there too, `remove` does not; with both, `add` stands wherever `remove` stood."""

    add: Name | None = None
    remove: Name | None = None

    @model_validator(mode="after")
    def _does_something(self) -> Override:
        if self.add is None and self.remove is None:
            raise ValueError("needs add, remove or both")
        return self


class Shift(Span):
    who: Name


class Temporary(Span):
    """All that counts from one time to another: its shifts, and nobody between them."""

    shifts: tuple[Shift, ...] = ()


class Roster(Strict):
    """One role's duty, as people.yaml has it. What its calendar says and what was swapped is put in beside it."""

    zone: str
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    temporary: tuple[Temporary, ...] = ()
    calendar: str | None = None

    _shifts: Shifts | None = PrivateAttr(default=None)
    _swaps: tuple[tuple[Override, ...], ...] = PrivateAttr(default=())

    @field_validator("zone")
    @classmethod
    def _known(cls, value: str) -> str:
        find_zone(value)
        return value

    @property
    def tz(self) -> tzinfo:
        return find_zone(self.zone)

    def with_shifts(self, shifts: Shifts | None) -> Roster:
        """With what its calendar says."""
        found = self.model_copy()
        found._shifts = shifts
        return found

    def with_swaps(self, swaps: Sequence[tuple[Override, ...]]) -> Roster:
        """With these swaps in the place of those it had. The overrides of one swap count at once."""
        found = self.model_copy()
        found._swaps = tuple(swaps)
        return found

    def at(self, at: datetime) -> frozenset[str]:
        """Who is on duty at an instant, by key."""
        zone = self.tz
        standing = self._in_temporary(at, zone)
        if standing is None:
            layers = (layer.at(at, zone) for layer in self.layers)
            standing = frozenset(who for who in layers if who is not None)
            if self._shifts is not None:
                standing |= self._shifts.at(at)
            for override in _in_steps(self.overrides):
                standing = _changed(standing, [one for one in override if one.covers(at, zone)])
        for swap in self._swaps:
            standing = _changed(standing, [one for one in swap if one.covers(at, zone)])
        return standing

    def until(self, at: datetime, latest: datetime | None = None) -> datetime | None:
        """The next instant after `at` at which somebody else is on duty; None when there is none, or after `latest`."""
        standing = self.at(at)
        for instant in self.handovers(at):
            if latest is not None and instant > latest:
                return None
            if self.at(instant) != standing:
                return instant
        return None

    def handovers(self, after: datetime) -> Iterator[datetime]:
        """The instants after this one at which it may change, in order of time; ends when nothing new can come."""
        zone = self.tz
        once = sorted({instant for span in self._spans() for instant in span.within(zone) if instant > after})
        if self._shifts is not None and not self._shifts.repeats:
            once = sorted({*once, *self._shifts.handovers(after, LAST)})
        cycle = max((layer.cycle for layer in self.layers), default=timedelta(0))
        horizon = (once[-1] if once else after) + cycle + BEYOND
        endless = [each for layer in self.layers for each in layer.handovers(after, zone)]
        if self._shifts is not None and self._shifts.repeats:
            endless.append(self._shifts.handovers(after, horizon))
        yield from _each_once(takewhile(lambda instant: instant <= horizon, merge(once, *endless)))

    @property
    def names(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Everybody whom the file names, with the place in it."""
        for number, layer in enumerate(self.layers):
            if layer.who is not None:
                yield ("layers", number, "who"), layer.who
            for place, name in enumerate(layer.rotation.people if layer.rotation else ()):
                yield ("layers", number, "rotation", "people", place), name
        for number, override in enumerate(self.overrides):
            for what, who in (("add", override.add), ("remove", override.remove)):
                if who is not None:
                    yield ("overrides", number, what), who
        for number, temporary in enumerate(self.temporary):
            for place, shift in enumerate(temporary.shifts):
                yield ("temporary", number, "shifts", place, "who"), shift.who

    @property
    def spans(self) -> Iterator[tuple[tuple[str | int, ...], Span]]:
        """Everything in the file that counts for a time only, with the place in it."""
        for number, override in enumerate(self.overrides):
            yield ("overrides", number), override
        for number, temporary in enumerate(self.temporary):
            yield ("temporary", number), temporary
            for place, shift in enumerate(temporary.shifts):
                yield ("temporary", number, "shifts", place), shift

    def _spans(self) -> Iterator[Span]:
        return chain((span for _, span in self.spans), chain.from_iterable(self._swaps))

    def _in_temporary(self, at: datetime, zone: tzinfo) -> frozenset[str] | None:
        """Of several at one time the one written last counts."""
        for temporary in reversed(self.temporary):
            if temporary.covers(at, zone):
                return frozenset(shift.who for shift in temporary.shifts if shift.covers(at, zone))
        return None


Rosters = Mapping[str, Roster]
"""Role → its roster."""


class OnDuty(NamedTuple):
    """`roles`: role → keys, sorted. `until`: the next instant at which any of it changes; None when none does."""

    roles: dict[str, tuple[str, ...]]
    until: datetime | None


class Turn(NamedTuple):
    """A stretch of time in which the same people are on duty; nobody is a gap."""

    start: datetime
    end: datetime
    who: tuple[str, ...]


def on_duty(rosters: Rosters, people: People, at: datetime) -> OnDuty:
    """Who holds each role at an instant: by its roster, and without one everybody who has it."""
    roles = {role: _holders(role, rosters, people, at) for role in roles_of(rosters, people)}
    changes = [change for roster in rosters.values() if (change := roster.until(at)) is not None]
    return OnDuty(roles, min(changes, default=None))


def who(name: str, rosters: Rosters, people: People, at: datetime) -> tuple[str, ...]:
    """Whom a name means at an instant, by key, sorted: a person, or those who hold a role then. Perhaps nobody."""
    return (name,) if name in people else _holders(name, rosters, people, at)


def _holders(role: str, rosters: Rosters, people: People, at: datetime) -> tuple[str, ...]:
    return tuple(sorted(rosters[role].at(at))) if role in rosters else with_role(people, role)


def roles_of(rosters: Rosters, people: People) -> tuple[str, ...]:
    """Every role there is, sorted."""
    return tuple(sorted({*rosters, *(role for person in people.values() for role in person.roles)}))


def turns(roster: Roster, start: datetime, end: datetime) -> Iterator[Turn]:
    """Who is on duty from one instant to another, one turn after the other without a hole."""
    standing, since = roster.at(start), start
    for instant in roster.handovers(start):
        if instant >= end:
            break
        found = roster.at(instant)
        if found != standing:
            yield Turn(since, instant, tuple(sorted(standing)))
            standing, since = found, instant
    yield Turn(since, end, tuple(sorted(standing)))


def swapped(first_one: str, other: str, start: datetime, end: datetime) -> tuple[Override, Override]:
    """From `start` to `end` each of two people stands wherever the other one stood."""
    return (
        Override(start=start, end=end, remove=first_one, add=other),
        Override(start=start, end=end, remove=other, add=first_one),
    )


def with_swaps(rosters: Rosters, swaps: Sequence[tuple[Override, ...]]) -> dict[str, Roster]:
    """Every roster with the swaps that were agreed on, in the order of the decisions."""
    return {role: roster.with_swaps(swaps) for role, roster in rosters.items()}


def _in_steps(overrides: Sequence[Override]) -> Iterator[tuple[Override, ...]]:
    """One after the other; two that follow each other and exchange two people for the same time are a swap."""
    place = 0
    while place < len(overrides):
        one, two = overrides[place], overrides[place + 1] if place + 1 < len(overrides) else None
        mirrored = (
            two is not None
            and one.add is not None
            and (one.start, one.end, one.add, one.remove) == (two.start, two.end, two.remove, two.add)
        )
        yield tuple(overrides[place : place + 1 + mirrored])
        place += 1 + mirrored


def _changed(standing: frozenset[str], overrides: Iterable[Override]) -> frozenset[str]:
    """All of them at once: remove, replace, add."""
    gone, come = set(), set()
    for one in overrides:
        if one.remove is not None:
            gone.add(one.remove)
        if one.add is not None and (one.remove is None or one.remove in standing):
            come.add(one.add)
    return frozenset((standing - gone) | come)


def _each_once(instants: Iterable[datetime]) -> Iterator[datetime]:
    before = None
    for instant in instants:
        if instant != before:
            yield instant
        before = instant
