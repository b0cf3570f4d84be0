"""Calls that wait for their source: kept in memory alone, within bounds, until it is said what became of each.

What a platform tells us is unscreened, so it lies nowhere but here. Its call is answered well only once what it brought
is durable; until then whoever serves it waits.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

MAX_CALLS: Final = 256
MAX_BYTES: Final = 32 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class Call:
    """One call whose signature is right. `at`: when it came. `durable` is set once it is known."""

    body: bytes
    at: datetime
    durable: Future[bool] = field(default_factory=Future)


class Mailbox:
    """Written by the server's thread, taken from by the source's. Closed at first."""

    def __init__(self, bell: threading.Event) -> None:
        """`bell` is set whenever there is something to take."""
        self._bell = bell
        self._lock = threading.Lock()
        self._waiting: deque[Call] = deque()
        self._taken: list[Call] = []
        self._bytes = 0
        self._open = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_open(self) -> bool:
        """Somebody takes from it."""
        return self._open

    def open(self) -> None:
        self._forget()
        self._open = True

    def close(self) -> None:
        """Nobody takes from it any more: whatever waits was not kept, and is to be sent again."""
        self._open = False
        self._forget()

    def put(self, body: bytes, at: datetime) -> Call | None:
        """None where nobody takes, or there is no room."""
        with self._lock:
            if not self._open or len(self._waiting) + len(self._taken) >= MAX_CALLS:
                return None
            if self._bytes + len(body) > MAX_BYTES:
                return None
            call = Call(body, at)
            self._waiting.append(call)
            self._bytes += len(body)
        self._bell.set()
        return call

    def take(self) -> Call | None:
        """The next one; it is the taker's until it is settled."""
        with self._lock:
            if not self._waiting:
                return None
            call = self._waiting.popleft()
            self._taken.append(call)
            return call

    def settle(self, durable: bool) -> None:
        """What was taken is on the bus or on our own disk; or, False, nowhere."""
        with self._lock:
            taken, self._taken = self._taken, []
            self._bytes -= sum(len(call.body) for call in taken)
        _tell(taken, durable)

    def _forget(self) -> None:
        with self._lock:
            left = [*self._taken, *self._waiting]
            self._taken, self._bytes = [], 0
            self._waiting.clear()
        _tell(left, False)


def _tell(calls: list[Call], durable: bool) -> None:
    for call in calls:
        if call.durable.set_running_or_notify_cancel():
            call.durable.set_result(durable)
