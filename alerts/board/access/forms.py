"""The forms of a log-in: sent by our own pages only, leading nowhere but to these."""

from __future__ import annotations

import re

from starlette.requests import Request

LONGEST_PATH = 1_000


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
