"""What the Instagram source must still know after a crash: the cursor in its ticks on the bus. It holds no word of a
post, and of ids those alone whose mention is yet to be fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants
from listener.sources.instagram.hashtags import Spent
from listener.units import format_instant, parse_instant


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mention of us that was told and is not fetched yet."""

    medium: str
    comment: str | None
    at: datetime


@dataclass
class Memory:
    """`heard`: part → up to when all of it was read, and under "" all together. `given`: up to when the bus knows that.
    `counted`: up to when posts are counted in calm. `up`: when calls were last taken. `back`: incidents that are looked
    back to → for which tracks. `shut`: until when nobody may call."""

    heard: dict[str, datetime] = field(default_factory=dict)
    given: datetime | None = None
    counted: datetime | None = None
    up: datetime | None = None
    shut: datetime | None = None
    back: dict[str, str] = field(default_factory=dict)
    tags: dict[str, Spent] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    notices: dict[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": write_instants(self.heard),
                "given": write_instant(self.given),
                "counted": write_instant(self.counted),
                "up": write_instant(self.up),
                "shut": write_instant(self.shut),
                "back": self.back,
                "tags": {tag: [format_instant(its.at), its.id] for tag, its in self.tags.items()},
                "wanted": [[each.medium, each.comment, format_instant(each.at)] for each in self.wanted],
                "notices": write_instants(self.notices),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(
                heard=read_instants(raw["heard"]),
                given=read_instant(raw["given"]),
                counted=read_instant(raw["counted"]),
                up=read_instant(raw["up"]),
                shut=read_instant(raw["shut"]),
                back={str(incident): str(tracks) for incident, tracks in raw["back"].items()},
                tags={str(tag): Spent(parse_instant(at), str(id_)) for tag, (at, id_) in raw["tags"].items()},
                wanted=[Wanted(str(m), None if c is None else str(c), parse_instant(at)) for m, c, at in raw["wanted"]],
                notices=read_instants(raw["notices"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Instagram's cursor on the bus is unreadable; was it written by another version?") from None
