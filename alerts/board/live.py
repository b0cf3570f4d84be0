"""What is going on now, from the thread that reads the bus to the one that serves pages, and to every browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from alerts.situation.situation import Situation

MAX_BROWSERS = 200
"""That are told at once of what changes. Others load the page by themselves."""
LOOK_SECONDS = 15.0
"""How often it is asked whether a browser may still listen, while nothing changes."""


class Live:
    """`publish` is called by one thread, all else by the server's. `version` grows with every change."""

    def __init__(self) -> None:
        self.situation: Situation | None = None
        self.version = 0
        self.browsers = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    def publish(self, situation: Situation) -> None:
        """From now on this is what is going on."""
        self.situation = situation
        self.version += 1
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    @property
    def has_room(self) -> bool:
        return self.browsers < MAX_BROWSERS

    async def changes(self, seen: int) -> AsyncIterator[int]:
        """The newest version whenever it is another than the last one given; the same again after `LOOK_SECONDS`."""
        self._loop = asyncio.get_running_loop()
        self.browsers += 1
        try:
            while True:
                changed = self._changed
                if self.version == seen:
                    try:
                        await asyncio.wait_for(changed.wait(), LOOK_SECONDS)
                    except TimeoutError:
                        yield seen
                        continue
                seen = self.version
                yield seen
        finally:
            self.browsers -= 1

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
