"""What the Facebook source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants


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
                "heard": write_instant(self.heard),
                "shut": write_instant(self.shut),
                "posts": self.posts,
                "notices": write_instants(self.notices),
                "back": write_instants(self.back),
                "verify": self.verify,
                "verified": write_instant(self.verified),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(
                read_instant(raw["heard"]),
                read_instant(raw["shut"]),
                raw["posts"] is True,
                read_instants(raw["notices"]),
                read_instants(raw["back"]),
                tuple(map(str, raw["verify"])),
                read_instant(raw["verified"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("Facebook's cursor on the bus is unreadable; was it written by another version?") from None
