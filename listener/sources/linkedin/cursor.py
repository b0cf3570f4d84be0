"""What the LinkedIn source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants


@dataclass
class Memory:
    """`heard`: when the last round began that went through; None before any did. `alive`: up to when somebody asked.
    `notices`: what ops were told and is not over → since when."""

    heard: datetime | None = None
    alive: datetime | None = None
    notices: dict[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": write_instant(self.heard),
                "alive": write_instant(self.alive),
                "notices": write_instants(self.notices),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(read_instant(raw["heard"]), read_instant(raw["alive"]), read_instants(raw["notices"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("LinkedIn's cursor on the bus is unreadable; was it written by another version?") from None
