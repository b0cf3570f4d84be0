"""Work that a web server's thread hands to the thread that owns the bus: only that one may touch it.

A *press* changes something: somebody waits to be told that it is recorded. A *look* shows something. Presses go before
looks, and have room of their own, so that many who look keep nobody from acting.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, Protocol, TypeVar

from listener.errors import Corrupt

MAX_WAITING = 256
"""Presses that wait for the bus, and so many looks."""
SECONDS = 5.0
"""So long is waited for a job to be done."""

T = TypeVar("T")
Job = tuple[Callable[[], Any], "Future[Any]"]


class NotBegun(TimeoutError):
    """There was no room for it: it was not done, and will not be."""


class HandOver(Protocol):
    """To the thread that owns the bus. What is to be written is durable when it is done."""

    async def __call__(self, job: Callable[[], T], *, press: bool = False) -> T:
        """Raises what `job` raises; NotBegun; and TimeoutError for one that goes on though nobody waits any more."""


class Done(NamedTuple):
    """A job was taken. `error`: what it raised, which was passed on to whoever waits."""

    error: Exception | None = None


class Jobs:
    """What waits between the two threads; of presses, and of looks, the first that came is done first."""

    def __init__(self) -> None:
        self._presses: deque[Job] = deque()
        self._looks: deque[Job] = deque()
        self._waits = threading.Condition()

    async def hand_over(self, job: Callable[[], T], *, press: bool = False) -> T:
        """For the server's thread: see `HandOver`."""
        done: Future[T] = Future()
        with self._waits:
            queue = self._presses if press else self._looks
            if len(queue) >= MAX_WAITING:
                raise NotBegun
            queue.append((job, done))
            self._waits.notify()
        waiting = asyncio.wrap_future(done)
        waiting.add_done_callback(_noticed)
        try:
            # Shielded: what is under way is written down although nobody waits any more.
            return await asyncio.wait_for(asyncio.shield(waiting), SECONDS)
        except TimeoutError:
            if done.cancel():
                raise NotBegun from None
            raise

    def do_one(self, timeout: float) -> Done | None:
        """For the thread that owns the bus: do one job, waiting at most `timeout` seconds for one; None where none
        came. Raises Corrupt."""
        with self._waits:
            self._waits.wait_for(lambda: self._presses or self._looks, max(0.0, timeout))
            if not (queue := self._presses or self._looks):
                return None
            job, done = queue.popleft()
        if not done.set_running_or_notify_cancel():
            return Done()  # nobody waits for it any more, and was told so
        try:
            answer = job()
        except Exception as error:
            done.set_exception(error)
            if isinstance(error, Corrupt):
                raise
            return Done(error)
        done.set_result(answer)
        return Done()


def _noticed(done: asyncio.Future[Any]) -> None:
    """Its error is told by who does the jobs, also when nobody waits any more."""
    if not done.cancelled():
        done.exception()
