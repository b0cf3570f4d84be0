"""The storage that X names with a compliance job: where the ids are put, and where the result is fetched.

Its addresses carry their own permission in them; X's token is never sent there. Every call is bounded in time and size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from listener.runtime.cancel import within
from listener.settings.hosts import is_loopback
from listener.sources.common.json import read_json
from listener.sources.x.client import CONNECT_SECONDS, Trouble, XError

T = TypeVar("T")

MAX_RESULT: Final = 500_000_000
"""Bytes of a result: three million posts of which every one is to go."""
MAX_LINE: Final = 10_000
STORAGE_SECONDS: Final = 600.0
"""For the whole of an upload or a download, however busily the other end drips."""
STEP_SECONDS: Final = 30.0


class Truncated(Exception):
    """A result that is not whole. `ids`: what could be read of it."""

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__("the result is not whole")
        self.ids = ids


class Storage:
    """Where X has the ids put and the result fetched. Every call ends within `seconds`; no token goes there."""

    def __init__(self, base_url: str, seconds: float = STORAGE_SECONDS) -> None:
        """`base_url`: X's own; only where that is on this machine may a storage be reached without encryption."""
        self._plain = is_loopback(urlsplit(base_url).hostname or "")
        self._seconds = seconds

    def upload(self, url: str, ids: Iterable[str]) -> None:
        """Raises XError; REFUSED where the address does not hold any more."""
        body = "".join(f"{id_}\n" for id_ in ids).encode("ascii")

        def put(session: requests.Session) -> None:
            with session.put(url, data=body, headers={"Content-Type": "text/plain"}, **self._how(url)) as response:
                _answered(response)

        self._within(put)

    def download(self, url: str) -> tuple[str, ...]:
        """The ids of the posts that are to go. Raises XError; REFUSED where the address does not hold any more, and
        Truncated."""

        def get(session: requests.Session) -> tuple[str, ...]:
            with session.get(url, stream=True, **self._how(url)) as response:
                _answered(response)
                return read_result(_lines(response))

        return self._within(get)

    def _how(self, url: str) -> dict[str, Any]:
        parts = urlsplit(url)
        if parts.scheme != "https" and not (self._plain and is_loopback(parts.hostname or "")):
            raise XError(Trouble.REFUSED)
        # `auth` that adds nothing: else requests would send what a .netrc says of that host.
        return {
            "timeout": (CONNECT_SECONDS, STEP_SECONDS), "allow_redirects": False, "auth": lambda request: request,
            "proxies": get_environ_proxies(url),
        }  # fmt: skip

    def _within(self, call: Callable[[requests.Session], T]) -> T:
        """Raises XError and Truncated."""

        def ask() -> T:
            with requests.Session() as session:
                return call(session)

        try:
            return within(self._seconds, ask, "x-storage")
        except (requests.RequestException, OSError, ValueError):
            raise XError(Trouble.NETWORK) from None


def read_result(lines: Iterable[bytes]) -> tuple[str, ...]:
    """The ids that a result names. Raises Truncated where a line of it is none, with what the others say."""
    ids: dict[str, None] = {}
    whole = True
    try:
        for line in lines:
            if not line.strip():
                continue
            try:
                raw = read_json(line)
                ids[str(int(str(raw["id"])))] = None
            except (ValueError, KeyError, TypeError):
                whole = False
    except requests.RequestException:
        whole = False
    if not whole:
        raise Truncated(tuple(ids))
    return tuple(ids)


def _lines(response: requests.Response) -> Iterator[bytes]:
    """One at a time, within bounds: what is beyond them makes a line that is none."""
    read, rest = 0, b""
    for chunk in response.iter_content(1 << 16):
        read += len(chunk)
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        if read > MAX_RESULT or len(rest) > MAX_LINE:
            yield b"too long"
            return
    yield rest


def _answered(response: requests.Response) -> None:
    status = response.status_code
    if not 200 <= status < 300:
        # A storage says 400 or 403 of an address that holds no more.
        raise XError(Trouble.SERVER if status >= 500 or status == 429 else Trouble.REFUSED, status)
