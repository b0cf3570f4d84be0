"""What the LinkedIn source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.units import format_instant, parse_instant


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
                "heard": None if self.heard is None else format_instant(self.heard),
                "alive": None if self.alive is None else format_instant(self.alive),
                "notices": {name: format_instant(at) for name, at in self.notices.items()},
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            times = [None if raw[name] is None else parse_instant(raw[name]) for name in ("heard", "alive")]
            notices = {str(name): parse_instant(at) for name, at in raw["notices"].items()}
            return cls(times[0], times[1], notices)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("LinkedIn's cursor on the bus is unreadable; was it written by another version?") from None
