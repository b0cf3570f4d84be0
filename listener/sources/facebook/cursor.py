"""What the Facebook source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.units import format_instant, parse_instant


@dataclass
class Memory:
    """`heard`: up to when everything was. `shut`: not one call before then. `posts`: the Page had posts, so that a list
    without any proves that something is wrong. `notices`: what ops were told and is not over → since when. `back`:
    incident → since when what was said before it was looked for. `verify`: ids that were told of late, and may be gone.
    `verified`: when it was last asked of all that is held whether it is there yet."""

    heard: datetime | None = None
    shut: datetime | None = None
    posts: bool = False
    notices: dict[str, datetime] = field(default_factory=dict)
    back: dict[str, datetime] = field(default_factory=dict)
    verify: tuple[str, ...] = ()
    verified: datetime | None = None

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": None if self.heard is None else format_instant(self.heard),
                "shut": None if self.shut is None else format_instant(self.shut),
                "posts": self.posts,
                "notices": {name: format_instant(at) for name, at in self.notices.items()},
                "back": {incident: format_instant(at) for incident, at in self.back.items()},
                "verify": self.verify,
                "verified": None if self.verified is None else format_instant(self.verified),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(
                _instant(raw["heard"]),
                _instant(raw["shut"]),
                raw["posts"] is True,
                {str(name): parse_instant(at) for name, at in raw["notices"].items()},
                {str(incident): parse_instant(at) for incident, at in raw["back"].items()},
                tuple(map(str, raw["verify"])),
                _instant(raw["verified"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Facebook's cursor on the bus is unreadable; was it written by another version?") from None


def _instant(written: str | None) -> datetime | None:
    return None if written is None else parse_instant(written)
