"""What the Bluesky source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.bluesky.frames import Place
from listener.sources.common.cursor import read_instants, write_instants


@dataclass
class Memory:
    """`place`: where the stream of `host` was read to; None before anything was. A number counts on its host alone, a
    time on every one. `notices`: what ops were told and is not over → since when. `back`: incident → looked back to."""

    host: str = ""
    place: Place | None = None
    notices: dict[str, datetime] = field(default_factory=dict)
    back: dict[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        place = self.place
        return json.dumps(
            {
                "host": self.host,
                "seq": None if place is None else place.seq,
                "us": None if place is None else place.us,
                "notices": write_instants(self.notices),
                "back": write_instants(self.back),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            host, seq, us = raw["host"], raw["seq"], raw["us"]
            if not isinstance(host, str) or not isinstance(seq, int | None) or not isinstance(us, int | None):
                raise TypeError("not its types")
            place = None if us is None else Place(seq, us)
            return cls(host, place, read_instants(raw["notices"]), read_instants(raw["back"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Bluesky's cursor on the bus is unreadable; was it written by another version?") from None
