"""What the Mastodon source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants
from listener.sources.mastodon.feeds import order
from listener.units import format_instant, parse_instant

OVERLAP: Final = timedelta(minutes=10)
"""A post that comes late from another server gets a number by the time at which it was written: behind the last one it
would not be found. So what was missed is read from before it on."""


@dataclass
class Place:
    """Up to which post a feed was read, by the server's numbers. `anchor`: one that is older by `OVERLAP` at least,
    where there is such."""

    last: str
    at: datetime
    anchor: str
    middle: str
    middle_at: datetime

    @classmethod
    def first(cls, id_: str, at: datetime) -> Place:
        return cls(id_, at, id_, id_, at)

    def reach(self, id_: str, at: datetime) -> None:
        if order(id_) <= order(self.last):
            return
        self.last, self.at = id_, max(self.at, at)
        if self.at - self.middle_at >= OVERLAP:
            self.anchor, self.middle, self.middle_at = self.middle, id_, self.at


@dataclass
class Seat:
    """Where one server stands: up to when it was heard, and its feeds."""

    heard: datetime | None = None
    feeds: dict[str, Place] = field(default_factory=dict)

    def instants(self) -> list[datetime]:
        """Up to when it was heard, and when the newest posts that it gave were written."""
        return [*([self.heard] if self.heard is not None else []), *(place.at for place in self.feeds.values())]


@dataclass
class Memory:
    """`seats`: server → where it stands. `notices`: what ops were told and is not over → since when. `back`: what was
    looked back for (`incident/server/what`)."""

    seats: dict[str, Seat] = field(default_factory=dict)
    notices: dict[str, datetime] = field(default_factory=dict)
    back: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return json.dumps(
            {
                "servers": {name: _write(seat) for name, seat in self.seats.items()},
                "notices": write_instants(self.notices),
                "back": sorted(self.back),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            seats = {str(name): _read(seat) for name, seat in raw["servers"].items()}
            notices = read_instants(raw["notices"])
            return cls(seats, notices, {str(done) for done in raw["back"]})
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Mastodon's cursor on the bus is unreadable; was it written by another version?") from None


def _write(seat: Seat) -> dict[str, Any]:
    feeds = {
        feed: [its.last, format_instant(its.at), its.anchor, its.middle, format_instant(its.middle_at)]
        for feed, its in seat.feeds.items()
    }
    return {"heard": write_instant(seat.heard), "feeds": feeds}


def _read(raw: Any) -> Seat:
    feeds = {}
    for feed, (last, at, anchor, middle, middle_at) in raw["feeds"].items():
        if not all(isinstance(each, str) for each in (last, anchor, middle)):
            raise TypeError("not its types")
        feeds[str(feed)] = Place(last, parse_instant(at), anchor, middle, parse_instant(middle_at))
    return Seat(read_instant(raw["heard"]), feeds)
