"""Alarms that are told the moment their bound is reached, seconds before late posts have been waited for.

The watermark waits for late posts because they may change what an alarm is: its count, its first post, the post that
completed it. Of a condition that posts can only push further over its bound they cannot change *that* it fires. So the
alarm is told with what has arrived, and settled, under the same id, by the judge that goes in order of time.

That needs an id that does not hang on the post that completes it: the alarms of a rule and key are numbered in order
of time, and the id is made of the number. Alarm `n` is told early when all of this holds:

1. posts can only push the condition further (`RuleSpec.certain`), and a live post has come ahead of the watermark w;
2. what has arrived reaches the bound, in the window that ends with the newest post that has arrived, a live one, at t;
3. nothing stands at w: a dip that is seen now may be filled by a late post, and then there is no second alarm;
4. t is past the `realert` of the last settled alarm;
5. no other alarm of the key was told early and waits to be settled.

Then the judge, in order, fires n in (w, t], whatever comes: at t the bound is reached, and what was held until then is
held no longer. So nothing is told in vain and nothing twice; all words of one id together are the same in whatever
order posts come, and an early one is only an earlier word. What can still come between, a purge, an edited rule, an
answer, withdraws the alarm when w has passed t: it resolves, as `withdrawn`, and its number is used up.

A post behind the watermark, found in a gap, keeps its own path and an id by its post, and is not numbered. Only where
its alarm would be the one that was told early already does it settle that. A post that was edited counts here when its
turn has come: which of its versions counts is a matter of order. One from the future, by its own clock, as well.

All of it is read again from the published alerts and the posts that come again, so a restart changes nothing.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain
from typing import Generic, NamedTuple, Protocol, TypeVar, cast

from alerts.rules.conditions.episodes import FiringHistory
from alerts.rules.conditions.stages import WindowReading
from alerts.rules.conditions.window import AT, ORDER
from alerts.rules.entry import Entry
from alerts.rules.judge import RuleContext
from alerts.rules.report import nth_id
from alerts.rules.spec import TimeframeSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.records import Alert, Event

FUTURE = timedelta(seconds=10)
"""A post whose time is so far after its capture has a clock of its own."""
SLACK = 16
"""Keys that may be forgotten are kept until there are as many as of those that may not, and this."""


class RisingGauge(Protocol):
    """A gauge (`conditions.stages`) whose condition posts never end, only their leaving does."""

    def move(self, entry: Entry, stage: int) -> None:
        """A post has come (stage 0), or has left the window (1)."""

    def read(self, known: bool) -> WindowReading:
        """How it stands."""

    def room(self, since: datetime, at: datetime) -> Fraction | float:
        """How far it is from its bound at `at`: what grows no further than this does not reach it. `since`: the time of
        the first post that would come to it."""

    def growth(self, entry: Entry) -> float:
        """How much nearer one post brings it, at most."""


G = TypeVar("G", bound=RisingGauge)


class Told(NamedTuple):
    """An alarm that was told early and waits to be settled."""

    nth: int
    id: str
    at: datetime
    first_seen: datetime


class Arrived(Generic[G]):
    """What has arrived of a key, in the window that ends with its newest post. `answers`: how many were known then."""

    __slots__ = ("_timeframe", "answers", "gauge", "posts")

    def __init__(self, gauge: G, timeframe: timedelta, answers: int) -> None:
        self.gauge = gauge
        self.answers = answers
        self._timeframe = timeframe
        self.posts: deque[Entry] = deque()

    def add(self, entry: Entry) -> None:
        posts = self.posts
        if not posts or ORDER(posts[-1]) <= ORDER(entry):
            posts.append(entry)
            self.gauge.move(entry, 0)
            edge = entry.at - self._timeframe
            while posts[0].at <= edge:
                self.gauge.move(posts.popleft(), 1)
        elif entry.at > posts[-1].at - self._timeframe:
            insort(posts, entry, key=ORDER)
            self.gauge.move(entry, 0)


@dataclass(slots=True)
class _Key(Generic[G]):
    """`ahead`: posts ahead of the watermark, in order; `growth`: of all of them. `arrived`: kept from when they might
    reach the bound until an alarm is told."""

    ahead: list[Entry] = field(default_factory=list)
    growth: float = 0
    arrived: Arrived[G] | None = None


class Early(Generic[G]):
    """One rule's alarms by number, those that were told early, and what has arrived ahead of the watermark."""

    def __init__(
        self,
        spec: TimeframeSpec,
        context: RuleContext,
        gauge: Callable[[], G],
        mark: Callable[[Entry], Entry] = lambda entry: entry,
    ) -> None:
        """`mark`: what the judge makes of a post when its turn comes, by what people have answered until then."""
        self._spec = spec
        self._context = context
        self._gauge = gauge
        self._mark = mark
        self._empty = gauge()
        self._keys: dict[str, _Key[G]] = {}
        self._sweep_at = SLACK
        self._told: dict[str, Told] = {}
        self._numbers = _Numbers()

    # --- what has arrived -----------------------------------------------------------------------------------------

    def arrive(self, entry: Entry, key: str) -> Entry | None:
        """A post ahead of the watermark. Gives the newest of the key that has arrived; None where this one waits for
        its turn."""
        at, mark = entry.at, self._context.watermark
        if at > entry.captured_at and at - entry.captured_at > FUTURE:
            return None
        its = self._keys.get(key)
        if its is None:
            self._sweep()
            its = self._keys[key] = _Key()
        ahead = its.ahead
        if ahead and mark is not None and ahead[0].at <= mark:
            self._let_go(its, mark)
        if not ahead or ORDER(ahead[-1]) <= ORDER(entry):
            ahead.append(entry)
        else:
            insort(ahead, entry, key=ORDER)
        its.growth += self._empty.growth(entry)
        if its.arrived is not None and its.arrived.answers != len(self._context.answers):
            its.arrived = None
        if its.arrived is not None:
            its.arrived.add(self._mark(entry))
        return ahead[-1]

    def judged(self, entry: Entry, key: str) -> None:
        """A post whose turn has come, or that was found late: it may not have been counted when it arrived."""
        its = self._keys.get(key)
        if its is None:
            return
        if its.arrived is None:
            if not its.ahead or ORDER(its.ahead[-1]) <= ORDER(entry):
                del self._keys[key]  # all that came ahead is the judge's now
            return
        place = bisect_left(its.ahead, ORDER(entry), key=ORDER)
        if place == len(its.ahead) or ORDER(its.ahead[place]) != ORDER(entry):
            its.arrived.add(entry)

    def may_reach(self, key: str, room: Fraction | float) -> bool:
        """Whether the bound may be reached. `room`: how far what the judge has is from it."""
        its = self._keys[key]
        return its.arrived is not None or its.growth > room

    def window(self, key: str, newest: Entry, current: Iterable[Entry]) -> Arrived[G]:
        """The window that ends with `newest`. `current`: what the judge has of it."""
        its = self._keys[key]
        if its.arrived is None:
            its.arrived = Arrived(self._gauge(), self._spec.timeframe, len(self._context.answers))
            edge = newest.at - self._spec.timeframe
            for entry in chain(current, map(self._mark, its.ahead)):
                if entry.at > edge:
                    its.arrived.add(entry)
        return its.arrived

    def room(self, key: str, gauge: object, at: datetime) -> Fraction | float:
        """How far a judge's gauge, which is of this rule, is from its bound; None: it has none for the key."""
        its = self._empty if gauge is None else cast("G", gauge)
        return its.room(self._keys[key].ahead[0].at, at)

    def _let_go(self, its: _Key[G], mark: datetime) -> None:
        """Those whose turn has come are the judge's."""
        ahead = its.ahead
        place = bisect_right(ahead, mark, key=AT)
        its.growth -= sum(map(self._empty.growth, ahead[:place]))
        del ahead[:place]
        if not ahead:
            its.growth = 0

    def _sweep(self) -> None:
        mark = self._context.watermark
        if len(self._keys) < self._sweep_at or mark is None:
            return
        edge = mark - self._spec.timeframe
        for key, its in list(self._keys.items()):
            self._let_go(its, mark)
            if not its.ahead and (its.arrived is None or its.arrived.posts[-1].at <= edge):
                del self._keys[key]
        self._sweep_at = 2 * len(self._keys) + SLACK

    # --- whether an alarm may be told -------------------------------------------------------------------------------

    def nothing_stands(self, standing: bool) -> bool:
        """The third condition. `standing`: whether an alarm of the key has not resolved where the judge is."""
        return not standing

    def past_realert(self, history: FiringHistory | None, at: datetime) -> bool:
        """The fourth condition."""
        return history is None or not history.recent(at, self._spec.realert, self._spec.exponential_realert)

    def none_waits(self, key: str) -> bool:
        """The fifth condition."""
        return key not in self._told

    def may_tell(self, key: str, newest: Entry, *, standing: bool, history: FiringHistory | None) -> bool:
        """Whether an alarm may be told that ends with `newest`, if it reaches the bound."""
        return (
            not newest.lookback
            and self.none_waits(key)
            and self.nothing_stands(standing)
            and self.past_realert(history, newest.at)
        )

    # --- what is told -----------------------------------------------------------------------------------------------

    def tell(self, verdict: Verdict) -> Verdict:
        """A verdict on what has arrived → the early word."""
        key = verdict.key
        self._keys[key].arrived = None
        nth = self._numbers.of(key) + 1
        id = self._id(key, nth)
        self._told[key] = Told(nth, id, verdict.at, verdict.first_seen)
        return replace(verdict, alert_id=id, nth=nth, settled=False)

    def settle(self, verdict: Verdict) -> Verdict:
        """An alarm in order of time → the settled word; early or not, its number and its id are the same."""
        key = verdict.key
        told = self._told.pop(key, None)
        nth = self._numbers.of(key) + 1 if told is None else told.nth
        self._used(key, nth)
        id = self._id(key, nth) if told is None else told.id
        return replace(verdict, alert_id=id, nth=nth, settled=True, told_early=told is not None)

    def waits(self, key: str) -> bool:
        """Whether an alarm was told that is not settled."""
        return key in self._told

    def due(self, key: str, at: datetime) -> bool:
        """Whether an alarm that was told must be settled at `at`, whatever would hold it: one that was found late
        meanwhile takes nothing back."""
        told = self._told.get(key)
        return told is not None and at >= told.at

    def unsettled(self, now: datetime) -> Iterator[tuple[str, Told]]:
        """Those that the judge has not fired though it has passed them: they are over, each once."""
        if not self._told or self._context.muted:
            return
        for key, told in list(self._told.items()):
            if told.at <= now:
                del self._told[key]
                self._used(key, told.nth)
                yield key, told

    def remember(self, alert: Alert) -> None:
        """What was published before a restart."""
        if alert.event is Event.FIRED and alert.nth is not None:
            if alert.settled:
                self._told.pop(alert.key, None)
                self._used(alert.key, alert.nth)
            else:
                self._told[alert.key] = Told(alert.nth, alert.id, alert.at, alert.first_seen)
        elif alert.event is Event.RESOLVED and alert.reason == Reason.WITHDRAWN:
            told = self._told.pop(alert.key, None)
            if told is not None:
                self._used(alert.key, told.nth)

    def _used(self, key: str, nth: int) -> None:
        self._numbers.raise_to(key, nth)
        its = self._keys.get(key)
        if its is not None:
            its.arrived = None

    def _id(self, key: str, nth: int) -> str:
        return nth_id(self._context.incident.id, self._spec.name, key, nth)


class _Numbers:
    """How many alarms each key has had. Kept for as long as the incident is judged, so it takes eight bytes an alarm: a
    hash of its key, as often as it fired."""

    def __init__(self) -> None:
        self._hashes = array("q")

    def of(self, key: str) -> int:
        place = hash(key)
        return bisect_right(self._hashes, place) - bisect_left(self._hashes, place)

    def raise_to(self, key: str, nth: int) -> None:
        for _ in range(nth - self.of(key)):
            insort(self._hashes, hash(key))
