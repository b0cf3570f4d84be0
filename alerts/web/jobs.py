"""Work that a web server's thread hands to the thread that owns the bus: only that one may touch it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import Any, NamedTuple, Protocol, TypeVar

from listener.errors import Corrupt

MAX_WAITING = 256
"""Jobs that wait for the bus."""
SECONDS = 5.0
"""So long is waited for a job to be done."""

T = TypeVar("T")


class NotBegun(TimeoutError):
    """There was no room for it: it was not done, and will not be."""


class HandOver(Protocol):
    """To the thread that owns the bus. What is to be written is durable when it is done."""

    async def __call__(self, job: Callable[[], T]) -> T:
        """Raises what `job` raises; NotBegun; and TimeoutError for one that goes on though nobody waits any more."""


class Done(NamedTuple):
    """A job was taken. `error`: what it raised, which was passed on to whoever waits."""

    error: Exception | None = None


class Jobs:
    """The queue between the two threads."""

    def __init__(self) -> None:
        self._jobs: Queue[tuple[Callable[[], Any], Future[Any]]] = Queue(MAX_WAITING)

    async def hand_over(self, job: Callable[[], T]) -> T:
        """For the server's thread: see `HandOver`."""
        done: Future[T] = Future()
        try:
            self._jobs.put_nowait((job, done))
        except Full:
            raise NotBegun from None
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
        try:
            job, done = self._jobs.get(timeout=timeout) if timeout > 0 else self._jobs.get_nowait()
        except Empty:
            return None
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
