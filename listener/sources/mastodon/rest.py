"""Calls to a server: one at a time, bounded in time and size, within its limits, and to nobody else.

No redirect is followed: it would carry the token to whoever it names.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3 import exceptions

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.runtime.cancel import CancelScope
from listener.sources.common.json import read_json
from listener.units import parse_instant

STEP_SECONDS: Final = 5.0
"""Real seconds for each step of the talk."""
WHOLE_SECONDS: Final = 60.0
"""For the whole of an answer, which may trickle; by our clock."""
LARGEST: Final = 16_000_000
"""Bytes of an answer: forty posts take some hundred thousand."""
LONGEST_WAIT: Final = 900.0
"""Seconds: the longest of a server's limits is for a quarter of an hour, whatever a wrong clock says."""
UNTOLD_WAIT: Final = 60.0
SPARE: Final = 20
"""Calls of a window that are left for what cannot wait."""
_CHUNK: Final = 1 << 16
CAUSES: Final = {401: Cause.UNAUTHORIZED, 422: Cause.UNAUTHORIZED, 403: Cause.FORBIDDEN, 429: Cause.RATE_LIMITED}


class CallError(Exception):
    """`why`: for people, nothing of what the server said. `wait`: seconds that it asked us to wait."""

    def __init__(self, cause: Cause, why: str, *, status: int = 0, wait: float = 0.0, is_told: bool = False) -> None:
        super().__init__(why)
        self.cause = cause
        self.why = why
        self.status = status
        self.wait = wait
        self.is_told = is_told
        """The answer is the server's own, in JSON, and no proxy's."""


@dataclass(frozen=True)
class Allowance:
    """What a server says of its limits: calls left, and in how many seconds there are more."""

    left: int | None = None
    seconds: float = 0.0


class Rest:
    """Calls to one server. Belongs to one thread; `abandon` may be called from any."""

    def __init__(self, url: str, clock: Clock, *, step: float = STEP_SECONDS) -> None:
        self._url = url
        self._clock = clock
        self._step = step
        context = ssl.create_default_context() if urlsplit(url).scheme == "https" else None
        self._pool = urllib3.PoolManager(num_pools=1, retries=False, ssl_context=context)
        self._scope: CancelScope | None = None
        self.allowance = Allowance()
        self.busy_since: float | None = None
        """Since when a call lasts, by our clock's monotonic seconds."""
        self.date: datetime | None = None
        """The server's own clock, as of the last answer."""

    def get(self, path: str, params: Mapping[str, str], token: str) -> Any:
        """The answer's JSON. Raises CallError."""
        address = f"{self._url}{path}" + (f"?{urlencode(params)}" if params else "")
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "lyttepost",
        }
        self.busy_since = self._clock.monotonic()
        try:
            with CancelScope() as self._scope:
                response = self._pool.request(
                    "GET", address, headers=headers, timeout=self._step, preload_content=False, redirect=False
                )
                with closing(response):
                    body = self._read(response)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            raise CallError(Cause.UNREACHABLE, f"it cannot be reached ({type(error).__name__})") from None
        finally:
            self._scope = self.busy_since = None
        self._note(response)
        return self._judged(response.status, body)

    @property
    def is_stuck(self) -> bool:
        """A call lasts for longer than any may: its head trickles in, or its name is looked up all the time."""
        since = self.busy_since
        return since is not None and self._clock.monotonic() - since > 2 * WHOLE_SECONDS

    def abandon(self) -> None:
        """End the call that lasts, if any does."""
        scope = self._scope
        if scope is not None:
            scope.cancel()

    def close(self) -> None:
        self.abandon()
        self._pool.clear()

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        body, deadline = bytearray(), self._clock.monotonic() + WHOLE_SECONDS
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > LARGEST:
                raise CallError(Cause.GARBLED, f"its answer is longer than {LARGEST:,} bytes")
            if self._clock.monotonic() > deadline:
                raise CallError(Cause.UNREACHABLE, "its answer trickles")
        told = response.headers.get("Content-Length", "")
        if told.isdigit() and len(body) < int(told):
            raise CallError(Cause.RESET, "its answer ends in the middle")
        return bytes(body)

    def _judged(self, status: int, body: bytes) -> Any:
        try:
            found, is_json = read_json(body), True
        except ValueError:
            found, is_json = None, False
        if status == 200 and is_json:
            return found
        if status == 200:
            raise CallError(Cause.GARBLED, "its answer is no JSON")
        is_told = is_json and isinstance(found, dict) and "error" in found
        why = f"it answers {status}"
        if 300 <= status < 400:
            why = f"it answers {status}: it is somewhere else by now"
        cause = Cause.HTTP_5XX if status >= 500 else CAUSES.get(status, Cause.REFUSED)
        wait = 0.0
        if status == 429:
            wait = min(self.allowance.seconds or UNTOLD_WAIT, LONGEST_WAIT)
        raise CallError(cause, why, status=status, wait=wait, is_told=is_told)

    def _note(self, response: urllib3.BaseHTTPResponse) -> None:
        """By the server's own clock: ours may be another."""
        headers = response.headers
        with suppress(ValueError, TypeError):
            self.date = parsedate_to_datetime(headers.get("Date", ""))
        left, seconds = headers.get("X-RateLimit-Remaining", ""), 0.0
        with suppress(ValueError, TypeError):
            reset = parse_instant(headers.get("X-RateLimit-Reset", ""))
            seconds = (reset - (self.date or self._clock.now())).total_seconds()
        self.allowance = Allowance(int(left) if left.isdigit() else None, max(0.0, seconds))
