"""What the Instagram source must still know after a crash: the cursor in its ticks on the bus. It holds no word of a
post, and of ids those alone whose mention is yet to be fetched.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from listener.errors import Corrupt
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
                "heard": {part: format_instant(at) for part, at in self.heard.items()},
                "given": _written(self.given),
                "counted": _written(self.counted),
                "up": _written(self.up),
                "shut": _written(self.shut),
                "back": self.back,
                "tags": {tag: [format_instant(its.at), its.id] for tag, its in self.tags.items()},
                "wanted": [[each.medium, each.comment, format_instant(each.at)] for each in self.wanted],
                "notices": {name: format_instant(at) for name, at in self.notices.items()},
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(
                heard={str(part): parse_instant(at) for part, at in raw["heard"].items()},
                given=_read(raw["given"]),
                counted=_read(raw["counted"]),
                up=_read(raw["up"]),
                shut=_read(raw["shut"]),
                back={str(incident): str(tracks) for incident, tracks in raw["back"].items()},
                tags={str(tag): Spent(parse_instant(at), str(id_)) for tag, (at, id_) in raw["tags"].items()},
                wanted=[Wanted(str(m), None if c is None else str(c), parse_instant(at)) for m, c, at in raw["wanted"]],
                notices={str(name): parse_instant(at) for name, at in raw["notices"].items()},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Instagram's cursor on the bus is unreadable; was it written by another version?") from None


def _written(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _read(raw: Any) -> datetime | None:
    return None if raw is None else parse_instant(raw)
