"""One reader of a stream without end: what is on its way to it, and every way in which it can go wrong.

What the bytes of a line look like (a chunk, an event of SSE, a websocket's frame) the platform says; others only append
to the queue and wake the loop, which runs in the thread of the connection.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

from .times import Clock, real_wait

_BATCH = 500
"""Most lines in one write."""


def chunk(payload: bytes) -> bytes:
    """A piece of a body without end, where the head says `Transfer-Encoding: chunked`; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


class End(StrEnum):
    """How a connection ends, as its reader sees it."""

    CLOSE = "close"
    """As it should."""
    ABORT = "abort"
    """The socket is closed, and nothing is said before."""
    RESET = "reset"
    """A TCP reset."""
    GONE = "gone"
    """The reader left."""


class StreamReader:
    """`lines` wait to be sent, `sent` counts those that were. `last`: the bytes that are sent before a proper end."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.opened_at = clock.now()
        self.lines: deque[bytes] = deque()
        self.sent = 0
        self.ending: End | None = None
        self.last = b""
        self.silent_until: datetime | None = None
        self._raw: deque[bytes] = deque()
        self._loses = False
        self._wake = threading.Condition()

    def push(self, line: bytes) -> None:
        """A line, behind those that wait. Lost where the reader is kept in silence that loses."""
        with self._wake:
            if not (self._loses and self._is_silent()):
                self.lines.append(line)
                self._wake.notify()

    def interject(self, raw: bytes) -> None:
        """Bytes as they are, before the lines that wait, in silence too."""
        with self._wake:
            self._raw.append(raw)
            self._wake.notify()

    def hush(self, seconds: float, *, loses: bool = False) -> None:
        """Nothing is written for so long; what comes meanwhile is late, or lost."""
        with self._wake:
            self.silent_until = self.clock.now() + timedelta(seconds=seconds)
            self._loses = loses

    def speak(self) -> None:
        """The silence ends."""
        with self._wake:
            self.silent_until = None
            self._wake.notify()

    def end(self, how: End, last: bytes = b"") -> None:
        with self._wake:
            if self.ending is None:
                self.ending, self.last = how, last
            self._wake.notify()

    def serve(
        self,
        write: Callable[[bytes], None],
        is_read: Callable[[], bool],
        stopping: threading.Event,
        *,
        keep_alive: bytes = b"",
        every: float = 30.0,
    ) -> End:
        """Write until the connection ends: lines, what is interjected, and `keep_alive` each `every` seconds (empty:
        never). OSError of `write` goes up: the reader left."""
        kept = self.clock.now()
        while not stopping.is_set():
            raw, lines, silent = self._take()
            if raw or lines:
                write(b"".join((*raw, *lines)))
                self.sent += len(lines)
            elif self.ending is not None:
                if self.ending is End.CLOSE and self.last:
                    write(self.last)
                return self.ending
            if not is_read():
                return End.GONE
            now = self.clock.now()
            if keep_alive and not silent and (now - kept).total_seconds() >= every:
                write(keep_alive)
                kept = now
            with self._wake:
                if not (self._raw or self.ending) and (silent or not self.lines):
                    self._wake.wait(max(real_wait(self.clock, every), 0.005))
        return End.CLOSE

    def _take(self) -> tuple[list[bytes], list[bytes], bool]:
        with self._wake:
            silent = self._is_silent()
            raw = [self._raw.popleft() for _ in range(len(self._raw))]
            if silent or self.ending is not None:
                return raw, [], silent
            return raw, [self.lines.popleft() for _ in range(min(len(self.lines), _BATCH))], silent

    def _is_silent(self) -> bool:
        return self.silent_until is not None and self.clock.now() < self.silent_until
