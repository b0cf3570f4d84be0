"""The posts of one key by age: they come, and as they grow older pass from window to window and are forgotten.

A type's `Gauge` follows these moves and says how its condition stands. Adding and passing cost O(1) amortised.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import chain, islice
from typing import NamedTuple, Protocol, runtime_checkable

from alerts.rules.conditions.episodes import Episode, FiringHistory
from alerts.rules.conditions.window import AT, ORDER
from alerts.rules.entry import Entry
from alerts.rules.past import Past
from alerts.rules.verdict import Reason


class WindowReading(NamedTuple):
    """How a key stands at an instant. `met`: the reason it fires for, None while it is not met."""

    met: Reason | None
    number: int
    baseline: float | None = None
    silent: bool = False


class Gauge(Protocol):
    """The posts of one key as numbers."""

    def move(self, entry: Entry, stage: int) -> None:
        """A post has come (stage 0), or has become as old as `edges[stage]`."""

    def read(self, known: bool) -> WindowReading:
        """`known`: all of the span before this instant was heard, or the key has been seen before it."""

    def past(self, edges: tuple[timedelta, ...]) -> Past | None:
        """The condition over time, as far as many posts meet it; None where only silence does. Of an empty gauge."""


@runtime_checkable
class SlowGauge(Gauge, Protocol):
    """A gauge that knows how far it is from being met, so that it need not be read at each instant."""

    def still(self) -> float:
        """How much may come and leave, as the sum of the posts' weights, without the condition being met meanwhile,
        whatever is known of the time before; of a condition that is not met. Each post counts as one at least."""


class Stages:
    """The posts of one key by age, from stage to stage of the gauge, kept for late ones and then forgotten.

    `history`: how the condition stood, kept while late posts ask for it.
    """

    __slots__ = ("_ages", "_gauge", "_live", "_posts", "history")

    def __init__(self, gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta) -> None:
        self._gauge = gauge
        self._ages = (*edges, kept)
        self._posts: list[deque[Entry]] = [deque() for _ in edges]
        self._live: datetime | None = None
        self.history: Past | None = None

    @property
    def current(self) -> deque[Entry]:
        """Posts that have passed no edge yet: those of the current window."""
        return self._posts[0]

    @property
    def all_lookback(self) -> bool:
        """Whether no post of the current window is live."""
        posts = self._posts[0]
        return not posts or self._live is None or self._live < posts[0].at

    @property
    def oldest(self) -> datetime | None:
        return next((stage[0].at for stage in reversed(self._posts) if stage), None)

    @property
    def posts(self) -> Iterator[Entry]:
        """All that is kept, in order."""
        return chain.from_iterable(reversed(self._posts))

    @property
    def due(self) -> datetime | None:
        """When the next post passes an edge or is forgotten."""
        first: datetime | None = None
        for posts, age in zip(self._posts, self._ages[1:], strict=True):
            if posts:
                at = posts[0].at + age
                first = at if first is None or at < first else first
        return first

    def moving(self, now: datetime, most: float) -> float:
        """The weights of the posts that pass an edge until `now`; counted no further than beyond `most`."""
        moved = 0.0
        for posts, age in zip(self._posts[:-1], self._ages[1:], strict=False):
            edge = now - age
            for entry in posts:
                if entry.at > edge:
                    break
                moved += max(1, entry.weight)
                if moved > most:
                    return moved
        return moved

    def pass_edges(self, now: datetime) -> None:
        last = len(self._posts) - 1
        for stage, posts in enumerate(self._posts):
            edge = now - self._ages[stage + 1]
            while posts and posts[0].at <= edge:
                entry = posts.popleft()
                if stage < last:
                    self._gauge.move(entry, stage + 1)
                    self._posts[stage + 1].append(entry)
                elif self.history is not None:
                    self.history.drop(entry)

    def add(self, entry: Entry) -> None:
        """The newest post."""
        self._posts[0].append(entry)
        self._gauge.move(entry, 0)
        if not entry.lookback:
            self._live = entry.at
        if self.history is not None:
            self.history.add(entry)

    def insert(self, entry: Entry, now: datetime) -> None:
        """A post that was found late, at `now`."""
        stage = max(n for n in range(len(self._posts)) if entry.at <= now - self._ages[n])
        insort(self._posts[stage], entry, key=ORDER)
        for each in range(stage + 1):
            self._gauge.move(entry, each)
        if not entry.lookback and (self._live is None or entry.at > self._live):
            self._live = entry.at
        if self.history is not None:
            self.history.add(entry)

    def next_change(self, since: datetime) -> datetime | None:
        """The first time, `since` itself included, at which a post comes or passes an edge; forgetting is no change."""
        first: datetime | None = None
        for age in self._ages[:-1]:
            for posts in reversed(self._posts):
                place = bisect_left(posts, since - age, key=AT)
                if place < len(posts):
                    at = posts[place].at + age
                    first = at if first is None else min(first, at)
                    break
        return first

    def stood(self, at: datetime, gauge: Gauge) -> list[Entry]:
        """The current window as it stood at `at`; the gauge, an empty one, is moved to where it stood then."""
        window: list[Entry] = []
        for posts in reversed(self._posts):
            begin, end = bisect_right(posts, at - self._ages[-2], key=AT), bisect_right(posts, at, key=AT)
            for entry in islice(posts, begin, end):
                stage = 0
                gauge.move(entry, 0)
                while entry.at <= at - self._ages[stage + 1]:
                    stage += 1
                    gauge.move(entry, stage)
                if stage == 0:
                    window.append(entry)
        return window


class State:
    """One key. `met`: what stands or is held, and `silent` whether by few posts.

    `pending`: an instant whose changes are in and not judged. `look`: an instant to judge at though nothing changes
    then. `sources`: those of whose gaps it must know; none for all. `still`: how much may come and leave before it must
    be judged again (`SlowGauge.still`); while that is anything, nothing is met, stands, is held or pending.
    """

    __slots__ = (
        "episodes",
        "gauge",
        "held",
        "look",
        "met",
        "pending",
        "silent",
        "sources",
        "stages",
        "standing",
        "still",
    )

    def __init__(self, gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta) -> None:
        self.episodes = FiringHistory()
        self.standing: Episode | None = None
        self.held = False
        self.met: Reason | None = None
        self.silent = False
        self.sources: frozenset[str] = frozenset()
        self.pending: datetime | None = None
        self.look: datetime | None = None
        self.start_over(gauge, edges, kept)

    def start_over(self, gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta) -> None:
        """Forget all posts."""
        self.gauge = gauge
        self.stages = Stages(gauge, edges, kept)
        self.still = 0.0
