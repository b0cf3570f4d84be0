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


async def read_body(request: Request, largest: int = LARGEST) -> bytes:
    """All of it. Raises NotTaken for one that is larger than `largest` bytes or too slow, ClientDisconnect."""
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > largest:
        raise NotTaken(413)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for more in request.stream():
                body += more
                if len(body) > largest:
                    raise NotTaken(413)
    except TimeoutError:
        raise NotTaken(408) from None
    return bytes(body)
