"""The body of a request, within limits."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

LARGEST = 64 * 1024
"""Bytes of a body."""
SECONDS = 5.0
"""For all of a body, however it drips."""


class NotTaken(Exception):
    """A request that is not looked into further: `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Room:
    """For the bodies that are read at once, all of one loop: `size` bytes together."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        """Raises NotTaken where there is none for so many bytes now."""
        if size > self._left:
            raise NotTaken(503)
        self._left -= size

    def give_back(self, size: int) -> None:
        self._left += size


async def read_body(request: Request, largest: int = LARGEST, room: Room | None = None) -> bytes:
    """All of it. Raises NotTaken for one that is larger than `largest` bytes or too slow, or for which `room` has none
    now, and ClientDisconnect."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > largest:
        raise NotTaken(413)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for more in request.stream():
                if room is not None:
                    room.take(len(more))
                body += more
                if len(body) > largest:
                    raise NotTaken(413)
        return bytes(body)
    except TimeoutError:
        raise NotTaken(408) from None
    finally:
        if room is not None:
            room.give_back(len(body))
