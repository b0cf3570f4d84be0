"""Feeds that a server was asked to send, and may not send yet: it does not say when it begins to.

What is said before that, and after the feed was read, neither the stream nor the reading has. So such a feed is read
once more, when the server is sure to send it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

SETTLED: Final = 5.0
"""Seconds after which a server sends what it was asked to send."""
BEFORE: Final = timedelta(minutes=1)
"""So far may a server's clock be behind ours."""


class Unsettled:
    """Of one connection. `now` is monotonic seconds, `at` the instant."""

    def __init__(self) -> None:
        self._feeds: dict[str, datetime] = {}
        self._settled = float("inf")

    def asked(self, feeds: Iterable[str], now: float, at: datetime) -> None:
        """From now on these are to be sent."""
        self._feeds.update((feed, at - BEFORE) for feed in feeds)
        self._settled = now + SETTLED

    def settled(self, now: float) -> Mapping[str, datetime]:
        """Once: what is sent by now, feed → since when it is to be read once more."""
        if not self._feeds or now < self._settled:
            return {}
        feeds, self._feeds = self._feeds, {}
        return feeds

    def clear(self) -> None:
        """The connection is over."""
        self._feeds.clear()
