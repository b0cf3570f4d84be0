"""The forms of a log-in: read with limits, sent by our own pages only, leading nowhere but to these."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.requests import Request

LARGEST = 16 * 1024
"""Bytes of a body."""
SECONDS = 5.0
"""For all of a body, however it drips."""
MOST_FIELDS = 20
LONGEST_PATH = 1_000


class FormRefused(Exception):
    """Not read: `status` says why."""

    def __init__(self, status: int) -> None:
        self.status = status


async def read_form(request: Request) -> Mapping[str, str]:
    """Name → text, of a form as browsers send it. Raises FormRefused, ClientDisconnect."""
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
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise FormRefused(400) from None
    return {name: texts[-1] for name, texts in fields.items()}


def comes_from_us(request: Request, host: str, secure: bool) -> bool:
    """What the browser says of where a form stood. `host`: that was asked for.

    Sec-Fetch-Site decides where it is sent: browsers send it over encryption and to this machine. Else Origin must be
    ours. It is `null` where a page forbids referrers, as ours do, and then, or where neither is sent, only the form's
    token decides, which alone would do.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site.lower() in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None or origin == "null":
        return True
    return origin.lower() == f"{'https' if secure else 'http'}://{host}"


def local_path(text: str) -> str:
    """`text` where it is a path of this board, as it would stand in an address; else `/`."""
    if len(text) > LONGEST_PATH or not re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", text):
        return "/"
    path = text.partition("?")[0].partition("#")[0]
    return "/" if "//" in path or re.fullmatch(r"/log(in|out)(/.*)?", path) else text
