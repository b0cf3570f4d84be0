"""One state for each key, woken when its window has something to let go: memory is bounded by windows, not by keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Generic, TypeVar

S = TypeVar("S")

RETRY = timedelta(seconds=1)


class Keyed(Generic[S]):
    """`make` gives a new key its state."""

    def __init__(self, make: Callable[[], S]) -> None:
        self._make = make
        self._states: dict[str, S] = {}
        self._heap: list[tuple[datetime, str]] = []
        self._wake: dict[str, datetime] = {}

    def __getitem__(self, key: str) -> S:
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = self._make()
        return state

    def get(self, key: str) -> S | None:
        """The state of a key that has one."""
        return self._states.get(key)

    def __contains__(self, key: str) -> bool:
        return key in self._states

    def __len__(self) -> int:
        return len(self._states)

    def items(self) -> Iterator[tuple[str, S]]:
        return iter(self._states.items())

    def wake_at(self, key: str, due: datetime | None) -> None:
        """Hand the key out again at `due`; at None it is forgotten."""
        if due is None:
            self._states.pop(key, None)
            self._wake.pop(key, None)
        elif self._wake.get(key) != due:
            self._wake[key] = due
            heappush(self._heap, (due, key))

    def wake_within(self, key: str, due: datetime) -> None:
        """Hand the key out at `due`, unless it is to be sooner."""
        before = self._wake.get(key)
        if before is None or due < before:
            self.wake_at(key, due)

    def wake_by(self, key: str, due: datetime) -> None:
        """Hand the key out at `due`, unless it is to be sooner or later for another reason."""
        if key not in self._wake:
            self.wake_at(key, due)

    def due(self, now: datetime) -> Iterator[tuple[str, S]]:
        """The keys whose time has come by `now`, each once until it is set to wake again."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heappop(self._heap)
            if self._wake.get(key) != due:
                continue
            del self._wake[key]
            try:
                yield key, self._states[key]
            finally:
                # Whoever raised over this key has set no new time: it must not be lost.
                if key in self._states and key not in self._wake:
                    self.wake_at(key, now + RETRY)
