"""Who calls about a Page: as every caller of Meta's, but that what happens together is told by one call, as it happens
to be ordered, and that an address is called only once its handshake was answered."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..graph.caller import ANSWER_SECONDS, Call, Caller
from ..platform.times import Clock, real_wait

MOST = 1_000
"""Changes in a call."""


class PageCaller(Caller):
    """`made`: the status of each call that was made, 0 for no answer, again ones too."""

    def __init__(self, clock: Clock, secret: str) -> None:
        self._new: list[dict[str, Any]] = []
        self._once: list[Call] = []
        self._chance = random.Random(7)
        self.made: list[int] = []
        self.skipped: list[Mapping[str, Any]] = []
        """Changes of which no call ever tells."""
        self.entered: tuple[str, str] | None = None
        """An address whose handshake is yet to be answered, and its word."""
        super().__init__(clock, secret, "page")

    def well(self) -> None:
        super().well()
        self.skips = self.swaps = 0
        self.gathers_until: datetime | None = None

    @property
    def idle(self) -> bool:
        """Nothing is left to tell."""
        return not self.waiting and not self._new

    def tell(self, entry: str, at: datetime, changes: Sequence[Mapping[str, Any]]) -> None:
        now = self._clock.now()
        if self.skips or (self.loses and self.mute_until is not None and now < self.mute_until):
            self.skips = max(0, self.skips - 1)
            self.skipped += changes
        elif self.gathers_until is None and not self.swaps:
            super().tell(entry, at, changes)
        else:
            with self._lock:
                self._new.append({"id": entry, "time": int(at.timestamp()), "changes": list(changes)})

    def send(self, body: bytes) -> None:
        """These bytes, whatever they are, signed as they should be, and once."""
        now = self._clock.now()
        call = Call(body, now, now)
        with self._lock:
            self._once.append(call)
            self._waiting.append(call)

    def shake_hands(self, url: str, token: str) -> bool:
        """As when the address is entered: from then on it is called, if it answers."""
        parts = urlsplit(url)
        asked = {"hub.mode": "subscribe", "hub.verify_token": token, "hub.challenge": "1158201444"}
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", f"{parts.path}?{urlencode(asked)}")
            answer = connection.getresponse()
            well = answer.status == 200 and answer.read() == b"1158201444"
        except (OSError, http.client.HTTPException):
            well = False
        finally:
            connection.close()
        if well:
            self.url = url
        return well

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            if self.entered is not None and self.shake_hands(*self.entered):
                self.entered = None
            self._gather()
            now = self._clock.now()
            with self._lock:
                call = next((each for each in self._waiting if each.due <= now), None)
            if call is None or self.url is None:
                stopping.wait(real_wait(self._clock, 0.2 if self.entered is None else 1.0))
                continue
            self._make(call, self.url)

    def _gather(self) -> None:
        """What was held together is told: by as few calls as there can be."""
        now = self._clock.now()
        with self._lock:
            if not self._new or (self.gathers_until is not None and now < self.gathers_until):
                return
            self.gathers_until = None
            if self.swaps:
                self.swaps -= 1
                self._chance.shuffle(self._new)
            new, self._new = self._new, []
            bodies = [
                json.dumps({"object": self._object, "entry": new[n : n + MOST]}).encode()
                for n in range(0, len(new), MOST)
            ]
            self._waiting += [Call(body, now, now) for body in bodies]

    def _make(self, call: Call, url: str) -> None:
        super()._make(call, url)
        self.made.append(call.status)
        with self._lock:
            if call in self._once:
                self._once.remove(call)
                if call in self._waiting:
                    self._waiting.remove(call)
