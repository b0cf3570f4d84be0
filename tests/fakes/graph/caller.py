"""Calls a webhook as Meta does: signed, on failure again and then rarer for 36 hours, twice or out of order."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ..platform.times import Clock, real_wait

AGAIN = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0)
"""Seconds of the clock after which a call that failed is made again; the last of them from then on."""
GIVES_UP = timedelta(hours=36)
ANSWER_SECONDS = 10.0
"""Real seconds for an answer."""


@dataclass
class Call:
    """One on its way. `due`: when it is made (again); `status` is of the last answer, 0: none."""

    body: bytes
    told_at: datetime
    due: datetime
    tries: int = 0
    status: int = 0
    forged: bool = False


class Caller:
    """`url` None: nobody is called, and what happens meanwhile is told to nobody, ever."""

    def __init__(self, clock: Clock, secret: str, object_: str) -> None:
        self.url: str | None = None
        self.done: list[Call] = []
        """Calls that were answered with 200."""
        self.lost: list[Call] = []
        """Those that were given up, or that nobody was told."""
        self._clock = clock
        self._secret = secret
        self._object = object_
        self._lock = threading.Lock()
        self._waiting: list[Call] = []
        self._held: list[Call] = []
        self.well()

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        self.twice = self.holds = self.forges = 0
        self.mute_until: datetime | None = None
        self.loses = False
        with self._lock:
            self._waiting += self._held
            self._held = []

    @property
    def waiting(self) -> int:
        with self._lock:
            return len(self._waiting) + len(self._held)

    def tell(self, entry: str, at: datetime, changes: Sequence[Mapping[str, Any]]) -> None:
        """Something happened at the page or account `entry`."""
        told = {"object": self._object, "entry": [{"id": entry, "time": int(at.timestamp()), "changes": list(changes)}]}
        now = self._clock.now()
        call = Call(json.dumps(told, ensure_ascii=False).encode("utf-8", "surrogatepass"), now, now)
        if self.url is None or (self.loses and self.mute_until is not None and now < self.mute_until):
            self.lost.append(call)
            return
        if self.mute_until is not None and now < self.mute_until:
            call.due = self.mute_until
        if self.forges:
            self.forges -= 1
            call.forged = True
        calls = [call]
        if self.twice:
            self.twice -= 1
            calls.append(Call(call.body, now, call.due))
        with self._lock:
            if self.holds:
                self._held += calls
                if len(self._held) < self.holds:
                    return
                calls, self._held, self.holds = self._held[::-1], [], 0
            self._waiting += calls

    def run(self, stopping: threading.Event) -> None:
        """Make the calls, in a thread of its own."""
        while not stopping.is_set():
            now = self._clock.now()
            with self._lock:
                call = next((each for each in self._waiting if each.due <= now), None)
            if call is None or self.url is None:
                stopping.wait(real_wait(self._clock, 1.0))
                continue
            self._make(call, self.url)

    def _make(self, call: Call, url: str) -> None:
        call.tries += 1
        call.status = self._post(url, call)
        now = self._clock.now()
        with self._lock:
            if call.status == 200 or call.forged or now - call.told_at > GIVES_UP:
                if call in self._waiting:
                    self._waiting.remove(call)
                (self.done if call.status == 200 else self.lost).append(call)
                return
            call.due = now + timedelta(seconds=AGAIN[min(call.tries, len(AGAIN)) - 1])

    def _post(self, url: str, call: Call) -> int:
        parts = urlsplit(url)
        secret = self._secret + ("x" if call.forged else "")
        signature = hmac.new(secret.encode(), call.body, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=ANSWER_SECONDS)
        try:
            connection.request("POST", parts.path or "/", call.body, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
