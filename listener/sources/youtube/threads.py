"""Which threads may get new replies, and up to which count theirs were read; and which comments were met. Pure.

A reply is told by nothing but its thread's count, and whether it lifts an old thread is not known. So threads that
began of late are remembered, and asked for again by their ids, a call's worth at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from listener.sources.youtube.api import MOST_IDS

MOST: Final = 5_000
"""Threads that are remembered; the oldest go first."""
MOST_MET: Final = 100_000
"""Comments that are remembered as met, so that a page that is read again offers nothing twice."""


@dataclass(slots=True)
class _Known:
    published: datetime
    count: int


class Threads:
    """By id."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: dict[str, _Known] = {}
        self._turn: list[str] = []

    def __len__(self) -> int:
        return len(self._known)

    def count_of(self, thread: str) -> int | None:
        """Up to how many replies it was read; None where it is not known."""
        known = self._known.get(thread)
        return None if known is None else known.count

    def read(self, thread: str, published: datetime, count: int) -> None:
        """All of its replies were read, when there were so many."""
        self._known[thread] = _Known(published, count)

    def doubt(self, thread: str) -> None:
        """Its replies are to be read again, whatever their number: where one went, one that came is not seen by it."""
        if (known := self._known.get(thread)) is not None:
            known.count = -1

    def forget(self, thread: str) -> None:
        self._known.pop(thread, None)

    def forget_before(self, at: datetime) -> None:
        """Those that began before it, and the oldest of too many."""
        kept = sorted(self._known.items(), key=lambda each: each[1].published, reverse=True)[: self._most]
        self._known = {id_: known for id_, known in kept if known.published >= at}

    def next_turn(self) -> tuple[str, ...]:
        """A call's worth of them, each in its turn, the newest first; none where all have had theirs."""
        turn = [id_ for id_ in self._turn if id_ in self._known]
        if not turn:
            turn = sorted(self._known, key=lambda id_: self._known[id_].published, reverse=True)
        self._turn = turn[MOST_IDS:]
        return tuple(turn[:MOST_IDS])


class Met:
    """Comments that were offered, each with its version."""

    def __init__(self, most: int = MOST_MET) -> None:
        self._most = most
        self._versions: OrderedDict[str, tuple[str | None, datetime]] = OrderedDict()

    def would_be_new(self, id_: str, version: str | None) -> bool:
        """In this version. An older version than the one that was met is none."""
        known = self._versions.get(id_)
        return known is None or (version or "") > (known[0] or "")

    def is_new(self, id_: str, version: str | None, published: datetime) -> bool:
        """It is met from now on."""
        if not self.would_be_new(id_, version):
            self._versions.move_to_end(id_)
            return False
        self._versions[id_] = version, published
        self._versions.move_to_end(id_)
        if len(self._versions) > self._most:
            self._versions.popitem(last=False)
        return True

    def forget_since(self, at: datetime) -> None:
        """Those published since then are to be offered again."""
        for id_ in [id_ for id_, (_, published) in self._versions.items() if published >= at]:
            del self._versions[id_]
