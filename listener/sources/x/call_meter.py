"""Every request to X passes the call meter, is counted by endpoint, and is held when the budget is spent.

It stands where requests leave us and not at the callers, so that no call of tomorrow goes by uncounted, and so that
the ceiling of the budget holds whatever some thread still has in mind.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from typing import Final

from listener.sources.contract import Call

RULES: Final = "rules"
STREAM: Final = "stream"
SEARCH: Final = "search"
COUNTS: Final = "counts"
CONNECTIONS: Final = "connections"
COMPLIANCE: Final = "compliance"
LOOKUP: Final = "lookup"
OTHER: Final = "other"
ENDPOINTS: Final = (RULES, STREAM, SEARCH, COUNTS, CONNECTIONS, COMPLIANCE, LOOKUP, OTHER)

_BY_PATH: Final = (
    ("/2/tweets/search/stream/rules", RULES),
    ("/2/tweets/search/stream", STREAM),
    ("/2/tweets/search/", SEARCH),
    ("/2/tweets/counts/", COUNTS),
    ("/2/connections", CONNECTIONS),
    ("/2/compliance/jobs", COMPLIANCE),
)
_COSTLY: Final = frozenset({STREAM, SEARCH, COUNTS, LOOKUP})
"""What costs by itself or by what it brings."""


class CallMeter:
    """For all threads. `shut`: nothing that costs may pass."""

    def __init__(self) -> None:
        self.shut = False
        self._lock = threading.Lock()
        self._made: Counter[Call] = Counter()

    def may_pass(self, path: str) -> bool:
        return not (self.shut and endpoint_of(path) in _COSTLY)

    def passed(self, path: str, *, answered: bool) -> None:
        """A request was made. X bills those that it answers with success."""
        with self._lock:
            self._made[Call(endpoint_of(path), answered)] += 1

    def take(self) -> Mapping[Call, int]:
        """The calls made since the last time."""
        with self._lock:
            made, self._made = self._made, Counter()
        return made


def endpoint_of(path: str) -> str:
    """X's path → one of `ENDPOINTS`; before it may stand the path of a base address."""
    if path.endswith("/2/tweets"):
        return LOOKUP
    return next((endpoint for part, endpoint in _BY_PATH if part in path), OTHER)
