"""Between the thread that reads the stream and the one that understands it: wanted messages, in order, within bounds.

What is not wanted is not kept; but the last of it is, since it says how far the stream was read. When there is no room
the reader waits: the host keeps what comes meanwhile, for hours, and gives it when it is read on.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from listener.model.gaps import Cause

MOST: Final = 20_000
MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Up:
    """A host took us in, and gives its events from `begins` on (microseconds). `cut`: it was asked for what was before
    too, and does not give it. `adrift`: its clock is behind ours, so that it gives what comes from now on."""

    host: str
    at: datetime
    begins: int
    cut: bool = False
    adrift: bool = False


@dataclass(frozen=True, slots=True)
class Down:
    """A connection ended, or could not be made. `why`: the host's own word, or where we were refused."""

    cause: Cause
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken at once: `items` in order. `last`: behind them nothing is left that was read, and this is the
    newest message, with the host that gave it."""

    items: tuple[bytes | Up | Down, ...]
    last: tuple[str, bytes] | None


class Inbox:
    """Written by one thread, taken from by another. `bell` is set whenever there is something to take."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.bell = threading.Event()
        self._most = most
        self._most_bytes = most_bytes
        self._room = threading.Condition()
        self._items: deque[bytes | Up | Down] = deque()
        self._bytes = 0
        self._last: tuple[str, bytes] | None = None
        self._heard: datetime | None = None
        self._closed = False
        self.seen = 0
        """Messages that came, wanted or not."""

    def __len__(self) -> int:
        return len(self._items)

    @property
    def heard(self) -> datetime | None:
        """When the last message came, of this connection or of one before it."""
        return self._heard

    @property
    def last(self) -> tuple[str, bytes] | None:
        """The newest message, with the host that gave it."""
        return self._last

    def open(self) -> None:
        with self._room:
            self._items.clear()
            self._bytes, self._last, self._heard, self._closed, self.seen = 0, None, None, False, 0
            self.bell.clear()

    def pass_over(self, host: str, raw: bytes, at: datetime) -> None:
        """A message that nobody wants. Nothing but a note of it: most are such."""
        self._last, self._heard = (host, raw), at
        self.seen += 1

    def put(self, host: str, raw: bytes, at: datetime) -> None:
        """A message that may be wanted; waits while there is no room."""
        with self._room:
            while not self._closed and (len(self._items) >= self._most or self._bytes + len(raw) > self._most_bytes):
                self._room.wait()
            self._items.append(raw)
            self._bytes += len(raw)
            self._last, self._heard = (host, raw), at
            self.seen += 1
        self.bell.set()

    def say(self, item: Up | Down) -> None:
        """Something about the connection; there is always room for it."""
        with self._room:
            self._items.append(item)
        self.bell.set()

    def take(self, most: int) -> Taken:
        with self._room:
            # What is read while this is taken is not behind it.
            last = self._last
            out = tuple(self._items.popleft() for _ in range(min(most, len(self._items))))
            self._bytes -= sum(len(item) for item in out if isinstance(item, bytes))
            self._room.notify()
            if self._items:
                return Taken(out, None)
            self.bell.clear()
            return Taken(out, last)

    def close(self) -> None:
        """Whoever waits for room waits no more."""
        with self._room:
            self._closed = True
            self._room.notify_all()
        self.bell.set()
