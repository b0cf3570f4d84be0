"""What a form of ours sent, within limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.requests import Request

FORM = "form_token"
"""The field that says that a form was one of ours."""
LARGEST = 64 * 1024
"""Bytes."""
BODY_SECONDS = 5.0
"""For all of it, however it drips."""
MAX_FIELDS = 500


class TooLarge(Exception):
    """It is no form of ours: too large, too slow, or no form."""


@dataclass(frozen=True)
class Form:
    fields: Mapping[str, Sequence[str]]

    def one(self, name: str) -> str:
        """The field, without blanks around it; empty where it is not there."""
        return self.fields.get(name, [""])[0].strip()

    def all(self, name: str) -> list[str]:
        return [each.strip() for each in self.fields.get(name, ()) if each.strip()]

    def lines(self, name: str) -> list[str]:
        """A field of several lines, each by itself."""
        return [line.strip() for line in self.one(name).splitlines() if line.strip()]

    def on(self, name: str) -> bool:
        """Whether a box was ticked."""
        return bool(self.one(name))


async def read_form(request: Request) -> Form:
    """Raises TooLarge."""
    body = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for more in request.stream():
                body += more
                if len(body) > LARGEST:
                    raise TooLarge
    except TimeoutError:
        raise TooLarge from None
    try:
        text = body.decode("ascii")
        return Form(parse_qs(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict"))
    except ValueError:
        raise TooLarge from None
