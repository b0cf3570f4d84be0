"""What a form of ours sent, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request

FORM = "token"
"""The field that says that a form was one of ours."""
LARGEST = 64 * 1024
"""Bytes of a body."""
SECONDS = 5.0
"""For all of a body, however it drips."""
MOST_FIELDS = 500


class FormRefused(Exception):
    """Not read: `status` says why."""

    def __init__(self, status: int) -> None:
        self.status = status


@dataclass(frozen=True)
class Form:
    fields: Mapping[str, Sequence[str]]

    def raw(self, name: str) -> str:
        """The field as it was sent, the last where it is there twice; empty where it is not there."""
        return self.fields.get(name, [""])[-1]

    def one(self, name: str) -> str:
        """The same without blanks around it."""
        return self.raw(name).strip()

    def all(self, name: str) -> list[str]:
        return [each.strip() for each in self.fields.get(name, ()) if each.strip()]

    def lines(self, name: str) -> list[str]:
        """A field of several lines, each by itself."""
        return [line.strip() for line in self.one(name).splitlines() if line.strip()]

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.one(name))


async def read_form(request: Request) -> Form:
    """A form as browsers send it. Raises FormRefused, ClientDisconnect."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormRefused(415)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for more in request.stream():
                body += more
                if len(body) > LARGEST:
                    raise FormRefused(413)
    except TimeoutError:
        raise FormRefused(408) from None
    try:
        text = body.decode("ascii")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"))
    except ValueError:
        raise FormRefused(400) from None
