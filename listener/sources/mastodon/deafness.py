"""Is a stream deaf that is open and answers? Told by the timelines, which are read beside it now and then. Pure.

What a timeline shows, written some time ago, and the stream does not bring in a while either, the stream does not hear:
as streams were after a server's Redis had restarted. Of a whole timeline nothing follows: streams leave some out.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

GRACE: Final = timedelta(seconds=15)
"""So much later may the stream bring what the timeline shows."""
APART: Final = 600.0
"""Seconds between two connections that are given up for it: a server may have its reasons."""


class Deafness:
    """Of one stream. `now` is monotonic seconds; `every`: so many seconds lie between two probes."""

    def __init__(self, every: float, now: float) -> None:
        self._every = every
        self._probed = now
        self._left = float("-inf")
        self._shown: dict[str, float] = {}
        """Numbers of posts that a timeline showed before the stream brought them → since when."""
        self.sure: datetime | None = None
        """Up to when it was seen to bring everything."""

    def is_due(self, now: float) -> bool:
        """Once, when it is time for a probe."""
        if now - self._probed < self._every:
            return False
        self._probed = now
        return True

    def connected(self, at: datetime | None = None) -> None:
        """A new connection; `at`: from then on it brings everything."""
        self._shown.clear()
        self.sure = at or self.sure

    def shows(self, id_: str, now: float) -> None:
        """A timeline shows this post, which is not quite new, and the stream has not brought it."""
        self._shown.setdefault(id_, now)

    def brings(self, id_: str) -> None:
        self._shown.pop(id_, None)

    def probed(self, at: datetime) -> None:
        """A page of a timeline was looked at."""
        self.sure = self.sure if self._shown else at

    def is_deaf(self, now: float) -> bool:
        """True once, when another connection is to be made."""
        if not any(now - since > GRACE.total_seconds() for since in self._shown.values()):
            return False
        self._shown.clear()
        if now - self._left < APART:
            return False
        self._left = now
        return True
