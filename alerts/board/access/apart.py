"""Work that takes a while, away from the event loop: so many at a time, so many that wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


class Busy(Exception):
    """Too many wait already: it was not begun."""


class Apart:
    """Each job in a thread of its own that no exit waits for. For one event loop."""

    def __init__(self, most: int, waiting: int, name: str) -> None:
        self._most = most
        self._room = most + waiting
        self._name = name
        self._under_way = 0
        self._places: asyncio.Semaphore | None = None

    async def run(self, job: Callable[[], T]) -> T:
        """Raises Busy, and what `job` raises. A place is free again when the job is done, whoever waited for it."""
        if self._under_way >= self._room:
            raise Busy
        self._under_way += 1
        places = self._places = self._places or asyncio.Semaphore(self._most)
        try:
            await places.acquire()
        except BaseException:
            self._under_way -= 1
            raise
        loop = asyncio.get_running_loop()
        done: Future[T] = Future()

        def freed() -> None:
            self._under_way -= 1
            places.release()

        def work() -> None:
            try:
                done.set_result(job())
            except BaseException as error:
                done.set_exception(error)
            finally:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(freed)

        threading.Thread(target=work, name=self._name, daemon=True).start()
        return await asyncio.shield(asyncio.wrap_future(done))
