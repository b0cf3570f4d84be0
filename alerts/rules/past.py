"""How the numbers of one key stood at any time, for posts that are found late: when was the condition met, when not?

A post that is found late changes the numbers of all windows it falls in. To count those windows anew for each such post
costs the square of the posts; here each post is two steps of a number over time, wherever it falls, and the first time
at which the condition is met is searched for.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timedelta
from math import floor
from typing import TYPE_CHECKING, NamedTuple, Protocol

from alerts.rules.spec import CountBy
from alerts.rules.steps import Number, Steps
from listener.model.persons import stand_in

if TYPE_CHECKING:
    from alerts.rules.entry import Entry

Edges = tuple[timedelta, ...]
"""The ages at which a post passes from stage to stage; `alerts.rules.conditions.stages`."""
Ages = tuple[timedelta, timedelta]
"""Between which ages a post counts: the first is within, the second is not."""


def stage(edges: Edges, number: int = 0) -> Ages:
    """The ages of a stage; the first is the current window."""
    return edges[number], edges[number + 1]


class Counted(Protocol):
    """What posts do to a number."""

    def add(self, entry: Entry) -> None: ...

    def drop(self, entry: Entry) -> None:
        """Undo `add`: it is no longer kept, and whoever asks must find it gone."""


class Amounts:
    """Each post counts for an amount of its own."""

    __slots__ = ("_amount", "_since", "_steps", "_until")

    def __init__(self, steps: Steps, ages: Ages, amount: Callable[[Entry], Number]) -> None:
        self._steps = steps
        self._since, self._until = ages
        self._amount = amount

    def add(self, entry: Entry) -> None:
        self._put(entry, self._amount(entry))

    def drop(self, entry: Entry) -> None:
        self._put(entry, -self._amount(entry))

    def _put(self, entry: Entry, amount: Number) -> None:
        if amount:
            self._steps.add(entry.at + self._since, amount)
            self._steps.add(entry.at + self._until, -amount)


class Distinct:
    """Each unit of the posts (an author, a value) counts once, as long as any post of it does."""

    __slots__ = ("_amount", "_length", "_since", "_steps", "_times", "_units")

    def __init__(
        self, steps: Steps, ages: Ages, units: Callable[[Entry], Iterable[Hashable]], amount: Number = 1
    ) -> None:
        self._steps = steps
        self._since, until = ages
        self._length = until - self._since
        self._units = units
        self._amount = amount
        self._times: dict[Hashable, list[datetime]] = {}

    def add(self, entry: Entry) -> None:
        at = entry.at + self._since
        for unit in self._units(entry):
            times = self._times.get(unit)
            if times is None:
                self._times[unit] = [at]
                self._steps.add(at, self._amount)
                self._steps.add(at + self._length, -self._amount)
                continue
            place = bisect_right(times, at)
            times.insert(place, at)
            self._put(times, place, self._amount)

    def drop(self, entry: Entry) -> None:
        at = entry.at + self._since
        for unit in self._units(entry):
            times = self._times[unit]
            place = bisect_left(times, at)
            self._put(times, place, -self._amount)
            del times[place]
            if not times:
                del self._times[unit]

    def _put(self, times: list[datetime], place: int, amount: Number) -> None:
        """The stretch that is covered by this one time only."""
        begin, end = times[place], times[place] + self._length
        if place:
            begin = max(begin, times[place - 1] + self._length)
        if place + 1 < len(times):
            end = min(end, times[place + 1])
        if begin < end:
            self._steps.add(begin, amount)
            self._steps.add(end, -amount)


class Old:
    """How many pairs of posts in a window make it older than `age`: one pair at least wherever it is, none elsewhere.

    Pairs that are forgotten go on counting where both posts were in the window, of which nobody asks any more.
    """

    __slots__ = ("_age", "_length", "_steps", "_takes", "_times")

    def __init__(self, steps: Steps, length: timedelta, age: timedelta, takes: Callable[[Entry], bool]) -> None:
        self._steps = steps
        self._length = length
        self._age = age
        self._takes = takes
        self._times: list[datetime] = []

    def add(self, entry: Entry) -> None:
        if not self._takes(entry):
            return
        times, at = self._times, entry.at
        insort(times, at)
        before, after = bisect_left(times, at - self._age) - 1, bisect_right(times, at + self._age)
        if before >= 0:
            self._put(at, times[before] + self._length)
        if after < len(times):
            self._put(times[after], at + self._length)

    def drop(self, entry: Entry) -> None:
        if self._takes(entry):
            del self._times[bisect_left(self._times, entry.at)]

    def _put(self, begin: datetime, end: datetime) -> None:
        if begin < end:
            self._steps.add(begin, 1)
            self._steps.add(end, -1)


class Above(NamedTuple):
    """A number is above a bound: never unless it is above `may`, and always when it is above `must`."""

    steps: Steps
    may: Number
    must: Number


def above(steps: Steps, bound: Number) -> Above:
    return Above(steps, bound, bound)


def whole(bound: float) -> int:
    """What whole numbers are above exactly when they are above the bound."""
    return floor(bound)


def unit_of(by: CountBy, entry: Entry) -> Hashable | None:
    """What a post counts as, where it is not posts that are counted; None: as nothing."""
    if by is CountBy.STORIES:
        return entry.story
    if entry.author:
        # The pair keeps an author from being taken for a post.
        return None if entry.repost else ("a", entry.author)
    # Where a recording has no authors it is distinct posts that count; else such a post is nobody's.
    post = stand_in(entry.post_key, entry.repost)
    return None if post is None else ("p", post)


def counted(by: CountBy, steps: Steps, ages: Ages, amount: Number = 1) -> Counted:
    """As `Tally` counts."""
    if by is CountBy.POSTS:
        return Amounts(steps, ages, lambda entry: entry.weight * amount)

    def units(entry: Entry) -> Sequence[Hashable]:
        unit = unit_of(by, entry)
        return () if unit is None else (unit,)

    return Distinct(steps, ages, units, amount)


class Filtered:
    """What counts only some posts."""

    __slots__ = ("_counted", "_takes")

    def __init__(self, counted: Counted, takes: Callable[[Entry], bool]) -> None:
        self._counted = counted
        self._takes = takes

    def add(self, entry: Entry) -> None:
        if self._takes(entry):
            self._counted.add(entry)

    def drop(self, entry: Entry) -> None:
        if self._takes(entry):
            self._counted.drop(entry)


class Past:
    """The condition over time: met when each part of any of the `clauses` is.

    `exact` decides at a time at which it may be met and need not be; unset, what may be met is. `live`: whether there
    is a post in the window that is not from before the incident, where others alone could meet the condition. `known`:
    whether it is met only where the whole span before was heard. `used`: when a late post last asked.
    """

    __slots__ = ("_clauses", "_counted", "_steps", "exact", "known", "live", "used")

    def __init__(
        self,
        counted: Sequence[Counted],
        *clauses: tuple[Above, ...],
        exact: Callable[[datetime], bool] | None = None,
        live: Above | None = None,
        known: bool = False,
    ) -> None:
        self._counted = counted
        self._clauses = clauses
        self.exact = exact
        self._steps = {part.steps for clause in clauses for part in clause} | ({live.steps} if live else set())
        self.live = live
        self.known = known
        self.used: datetime | None = None

    def add(self, entry: Entry) -> None:
        for counted in self._counted:
            counted.add(entry)

    def drop(self, entry: Entry) -> None:
        for counted in self._counted:
            counted.drop(entry)

    def prune(self, edge: datetime) -> None:
        """Nobody asks about what was at or before `edge` any more."""
        for steps in self._steps:
            steps.edge = edge

    def may_be_met(self, since: datetime) -> datetime | None:
        """The first time, `since` itself included, at which the condition may be met."""
        first: datetime | None = None
        for clause in self._clauses:
            at = self._all(clause, since)
            if at is not None and (first is None or at < first):
                first = at
                if at == since:
                    break
        return first

    def may_be_over(self, since: datetime) -> datetime | None:
        """The first time, `since` itself included, at which the condition is not sure to be met."""
        at: datetime | None = since
        while at is not None:
            begun = at
            for clause in self._clauses:
                at = None if at is None else self._not_all(clause, at)
            if at == begun:
                return at
        return None

    @staticmethod
    def _all(clause: tuple[Above, ...], since: datetime) -> datetime | None:
        at = since
        while True:
            begun = at
            for part in clause:
                found = part.steps.above(at, part.may)
                if found is None:
                    return None
                at = found
            if at == begun or len(clause) == 1:
                return at

    @staticmethod
    def _not_all(clause: tuple[Above, ...], since: datetime) -> datetime | None:
        """The first time at which any part of the clause is not sure to be met."""
        times = [at for part in clause if (at := part.steps.not_above(since, part.must)) is not None]
        return min(times, default=None)
