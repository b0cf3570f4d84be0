"""What goes wrong with requests at the moment, and for how long. Commands write it, the server reads it."""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

ALL = "all"
"""The name of every route."""


class FaultKind(StrEnum):
    STATUS = "status"
    """Another answer in its place."""
    DELAY = "delay"
    """The answer comes late."""
    HANG = "hang"
    """No answer; after a time the connection is closed."""
    CUT = "cut"
    """After half of the body the connection is closed, in its time."""
    GARBAGE = "garbage"
    """200, and a body that is none."""
    SLOW = "slow"
    """The head of the answer comes byte by byte."""
    RESET = "reset"
    """A TCP reset, and no answer."""


@dataclass
class Fault:
    """One that requests of the route `on` run into, until an instant or for a number of times; neither: until healed.

    `seconds`: how long a delay, a hang or a slow head takes, or a connection stays open that is cut. `size`: bytes of
    garbage.
    """

    kind: FaultKind
    on: str = ALL
    until: datetime | None = None
    times: int | None = None
    seconds: float = 0.0
    status: int = 503
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    size: int = 0

    def holds(self, now: datetime) -> bool:
        return (self.until is None or now < self.until) and (self.times is None or self.times > 0)


class Faults:
    """All that stand. `skew`: by so many seconds is the `Date` header of every answer wrong."""

    def __init__(self) -> None:
        self.standing: list[Fault] = []
        self.skew = 0.0
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self.standing.append(fault)

    def take(self, route: str, now: datetime) -> Fault | None:
        """The first that a request of this route runs into; a time of it is used up."""
        with self._lock:
            for fault in self.standing:
                if fault.on in (ALL, route) and fault.holds(now):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
            return None

    def heal(self, on: str | None = None) -> None:
        """All of them end, or those that stand on this route."""
        with self._lock:
            self.standing = [fault for fault in self.standing if on is not None and fault.on != on]
        if on is None:
            self.skew = 0.0


def garbage(size: int = 0) -> bytes:
    """What a broken proxy sends where JSON was promised; of so many bytes, where a size is given. Always the same."""
    page = b"<html><body>upstream error: 0x1f {] \xff\xfe</body></html>"
    return page if not size else random.Random(size).randbytes(min(size, 1 << 16)).ljust(size, b"\x00")
