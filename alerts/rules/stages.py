"""The posts of one key by age: they come, and as they grow older pass from window to window and are forgotten.

A type's `Gauge` follows these moves and says how its condition stands. Adding and passing cost O(1) amortised.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from heapq import merge
from itertools import chain
from typing import NamedTuple, Protocol

from alerts.rules.episodes import Episode, Episodes
from alerts.rules.verdict import Reason
from alerts.rules.window import ORDER, Entry


class Reading(NamedTuple):
    """How a key stands at an instant. `met`: the reason it fires for, None while it is not met."""

    met: Reason | None
    number: int
    baseline: float | None = None
    silent: bool = False


class Gauge(Protocol):
    """The posts of one key as numbers."""

    def move(self, entry: Entry, stage: int) -> None:
        """A post has come (stage 0), or has become as old as `edges[stage]`."""

    def read(self, known: bool) -> Reading:
        """`known`: all of the span before this instant was heard, or the key has been seen before it."""


class Stages:
    """The posts of one key by age, from stage to stage of the gauge, kept for late ones and then forgotten."""

    __slots__ = ("_ages", "_gauge", "_posts")

    def __init__(self, gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta) -> None:
        self._gauge = gauge
        self._ages = (*edges, kept)
        self._posts: list[list[Entry]] = [[] for _ in edges]

    @property
    def current(self) -> list[Entry]:
        """Posts that have passed no edge yet: those of the current window."""
        return self._posts[0]

    @property
    def posts(self) -> Iterator[Entry]:
        """All that is kept, in order."""
        return chain.from_iterable(reversed(self._posts))

    @property
    def oldest(self) -> datetime | None:
        return next((stage[0].at for stage in reversed(self._posts) if stage), None)

    @property
    def due(self) -> datetime | None:
        """When the next post passes an edge or is forgotten."""
        return min((s[0].at + self._ages[n + 1] for n, s in enumerate(self._posts) if s), default=None)

    def pass_edges(self, now: datetime) -> None:
        for stage, posts in enumerate(self._posts):
            edge = now - self._ages[stage + 1]
            gone = 0
            while gone < len(posts) and posts[gone].at <= edge:
                gone += 1
            for entry in posts[:gone]:
                if stage + 1 < len(self._posts):
                    self._gauge.move(entry, stage + 1)
                    self._posts[stage + 1].append(entry)
            del posts[:gone]

    def add(self, entry: Entry) -> None:
        """The newest post."""
        self._posts[0].append(entry)
        self._gauge.move(entry, 0)

    def insert(self, entry: Entry, now: datetime) -> None:
        """A post that was found late, at `now`."""
        stage = max(n for n in range(len(self._posts)) if entry.at <= now - self._ages[n])
        insort(self._posts[stage], entry, key=ORDER)
        for each in range(stage + 1):
            self._gauge.move(entry, each)


class State:
    """One key. `met`: what stands or is held, and `silent` whether by few posts.

    `pending`: an instant whose changes are in and not judged. `look`: an instant to judge at though nothing changes
    then. `sources`: those of whose gaps it must know; none for all.
    """

    __slots__ = ("episodes", "gauge", "held", "look", "met", "pending", "silent", "sources", "stages", "standing")

    def __init__(self, gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta) -> None:
        self.episodes = Episodes()
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


def history(
    posts: Sequence[Entry], gauge: Gauge, edges: tuple[timedelta, ...], kept: timedelta, now: datetime
) -> Iterator[tuple[datetime, list[Entry]]]:
    """Move a fresh gauge through these posts again: each instant up to `now` at which something changed, and the
    current window then."""
    stages = Stages(gauge, edges, kept)
    coming, before = 0, None
    for at in merge(*([entry.at + edge for entry in posts] for edge in edges)):
        if at > now:
            return
        if at == before:
            continue
        before = at
        stages.pass_edges(at)
        while coming < len(posts) and posts[coming].at == at:
            stages.add(posts[coming])
            coming += 1
        yield at, list(stages.current)
