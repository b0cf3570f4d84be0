"""Between the reader of the stream and those who understand it: a bounded queue of raw lines, in order.

The reader must never wait, or the platform disconnects us for being slow; so when the queue is full, lines are dropped,
and *that* is put into the queue: from when to when, and how many. What was dropped is a gap like any other.
"""

from __future__ import annotations

import threading
from collections import deque
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from listener.model.gaps import Cause

MAX_LINES = 100_000
MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the stream, without its end; `at` is when it was heard."""

    at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Bytes that became no line: one that is far too long, or half a line at a connection's end."""

    at: datetime
    length: int
    digest: str
    half: bool


@dataclass(frozen=True, slots=True)
class Up:
    """The platform let us in. Nothing was heard yet."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Down:
    """A connection ended, or could not be made. `heard` is its last byte's time; None when there was none. `why`: what
    the platform itself gave as the reason."""

    heard: datetime | None
    cause: Cause
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """Lines dropped for want of room, heard after `start` and up to `end`."""

    start: datetime
    end: datetime
    count: int


Item = Line | Unreadable | Up | Down | Lost


@dataclass(slots=True)
class _Overflow:
    start: datetime
    end: datetime
    count: int = 0


class ReceiveBuffer:
    """Written by the reader's thread, taken by another. `bell` is set whenever there is something to take."""

    def __init__(self, most_lines: int = MAX_LINES, most_bytes: int = MAX_BYTES) -> None:
        self.bell = threading.Event()
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._lock = threading.RLock()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._heard: datetime | None = None
        self._queued: datetime | None = None
        self._overflow: _Overflow | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def heard(self) -> datetime | None:
        """When the last byte came, of this connection or of one before it."""
        return self._heard

    def whole(self) -> AbstractContextManager[object]:
        """Within it nothing is taken: what came in one piece is heard as one, or not yet."""
        return self._lock

    def line(self, at: datetime, raw: bytes) -> None:
        with self._lock:
            self._heard = at
            if len(self._items) >= self._most_lines or self._bytes + len(raw) > self._most_bytes:
                if self._overflow is None:
                    self._overflow = _Overflow(self._queued or at, at)
                self._overflow.end = at
                self._overflow.count += 1
                return
            self._flush()
            self._items.append(Line(at, raw))
            self._bytes += len(raw)
            self._queued = at
        self.bell.set()

    def touch(self, at: datetime) -> None:
        """Bytes came that are no line: a keep-alive, or part of one."""
        with self._lock:
            self._heard = at

    def say(self, item: Unreadable | Up | Down) -> None:
        """Something about the connection; there is always room for it."""
        with self._lock:
            self._flush()
            self._items.append(item)
        self.bell.set()

    def take(self, most: int) -> tuple[list[Item], datetime | None]:
        """Up to `most` items in order, and the time up to which all that was heard has been taken."""
        with self._lock:
            out: list[Item] = []
            while self._items and len(out) < most:
                item = self._items.popleft()
                if isinstance(item, Line):
                    self._bytes -= len(item.raw)
                out.append(item)
            if self._items:
                # Lines of one piece bear one time, and the rest of this one may still wait.
                waits = next((item.at for item in self._items if isinstance(item, Line)), None)
                until = next((item.at for item in reversed(out) if isinstance(item, Line) and item.at != waits), None)
                return out, until
            if self._overflow is not None:
                self._flush()
                out.append(self._items.pop())
            self.bell.clear()
            return out, self._heard

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._items.clear()
            self._bytes, self._heard, self._queued, self._overflow = 0, None, None, None
            self.bell.clear()

    def _flush(self) -> None:
        if self._overflow is not None:
            self._items.append(Lost(self._overflow.start, self._overflow.end, self._overflow.count))
            self._overflow = None
