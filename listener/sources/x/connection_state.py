"""How well the stream is heard: its connection, as what the reader said of it is met, in order. Knows no gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from listener.model.gaps import Cause
from listener.sources.common.buffer import Item, Line, Lost, ReceiveBuffer, Unreadable

TICK_SECONDS: Final = 1.0
"""So often is it said up to when all was heard, where there is nothing else to say."""


class ConnectionState:
    """`up_at`: since when X has taken us in. `flowing`: bytes came since. `announced`: why X said that it would end it.
    `given`: up to when all that was heard has been given away."""

    def __init__(self, buffer: ReceiveBuffer, given: datetime | None = None) -> None:
        self._buffer = buffer
        self._given_at = float("-inf")
        self.up_at: datetime | None = None
        self.flowing = False
        self.announced: Cause | None = None
        self.given = given

    def meets(self, item: Item) -> None:
        if self.up_at is not None and isinstance(item, Line | Unreadable | Lost):
            self.flowing = True

    def reaches(self, heard: datetime | None) -> None:
        """All was met that came until then."""
        if self.up_at is not None and heard is not None and heard >= self.up_at:
            self.flowing = True

    def up(self, at: datetime) -> None:
        self.up_at, self.flowing, self.announced = at, False, None

    def down(self) -> datetime | None:
        """The connection is gone. When its last byte came; None when there was none."""
        heard = self._buffer.heard if self.flowing else None
        self.up_at, self.flowing = None, False
        return heard

    def until(self, heard: datetime | None) -> datetime | None:
        """Up to when there is something new to say."""
        return None if heard is None or (self.given is not None and heard <= self.given) else heard

    def is_due(self, now: float) -> bool:
        """`now` is monotonic."""
        return now - self._given_at >= TICK_SECONDS

    def gives(self, until: datetime, now: float) -> None:
        self.given, self._given_at = until, now
