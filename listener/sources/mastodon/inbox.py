"""Between the threads that hear one server and the one that understands it: what happened, in order, within bounds.

When there is no room the stream is told so, and ends its connection: what comes meanwhile is read by the timelines
once there is room again, and is a gap until then.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from listener.model.gaps import Cause
from listener.sources.common.fields import Raw
from listener.sources.mastodon.instance import Instance
from listener.sources.mastodon.jobs import Job

MOST: Final = 5_000
MOST_BYTES: Final = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Up:
    """The server took us in, and gives what was subscribed to from now on."""

    at: datetime
    instance: Instance


@dataclass(frozen=True, slots=True)
class Down:
    """A connection ended, or could not be made. `why`: for people."""

    cause: Cause
    why: str


@dataclass(frozen=True, slots=True)
class Frame:
    """A message of the stream."""

    at: datetime
    raw: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a job brought. `ends`: its last one; `short`: it ends before all was read."""

    at: datetime
    job: Job
    statuses: Sequence[Raw]
    ends: bool
    short: bool = False


@dataclass(frozen=True, slots=True)
class Missing:
    """The post that a job asked for is not there."""

    job: Job


@dataclass(frozen=True, slots=True)
class Refused:
    """A job could not be done, and is tried again."""

    job: Job
    cause: Cause
    why: str


Item = Up | Down | Frame | Page | Missing | Refused


class Inbox:
    """Written by a server's threads, taken from by another. `bell` is set whenever there is something to take."""

    def __init__(self, bell: threading.Event, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.bell = bell
        self._most = most
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._alive: datetime | None = None
        self.pages = 0
        """Pages that wait."""
        self.heard: datetime | None = None
        """When the last message or sign of life came, of this connection or of one before it."""

    def __len__(self) -> int:
        return len(self._items)

    def clear(self) -> None:
        with self._lock:
            self._items.clear()
            self._bytes, self._alive, self.heard, self.pages = 0, None, None, 0

    def frame(self, at: datetime, raw: bytes) -> bool:
        """False: there is no room for it."""
        with self._lock:
            if len(self._items) >= self._most or self._bytes + len(raw) > self._most_bytes:
                return False
            self._items.append(Frame(at, raw))
            self._bytes += len(raw)
            self._alive = self.heard = at
        self.bell.set()
        return True

    def alive(self, at: datetime) -> None:
        """The server answered: nothing that was said before is still to come."""
        with self._lock:
            self._alive = self.heard = at if self._alive is None else max(at, self._alive)

    def say(self, item: Item) -> None:
        """Anything but a message; there is always room for it."""
        with self._lock:
            self._items.append(item)
            self.pages += isinstance(item, Page)
            if isinstance(item, Up | Down):
                self._alive = item.at if isinstance(item, Up) else None
        self.bell.set()

    def take(self, most: int) -> tuple[list[Item], datetime | None]:
        """In order, of about so many posts; and up to when the stream was heard, None while more of it waits, or it is
        not open."""
        out: list[Item] = []
        with self._lock:
            while self._items and most > 0:
                item = self._items.popleft()
                out.append(item)
                if isinstance(item, Frame):
                    self._bytes -= len(item.raw)
                elif isinstance(item, Page):
                    self.pages -= 1
                    most -= len(item.statuses)
                most -= 1
            return out, None if self._items else self._alive
