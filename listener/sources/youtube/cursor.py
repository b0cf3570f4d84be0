"""What the YouTube source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants


@dataclass
class Memory:
    """`heard`: up to when all comments are on the bus. `newest`: channel → when the newest that was met was published,
    by the platform's clock. `back`: incident → looked back to. `notices`: what ops were told and is not over → since
    when. `checked`: when the last complete check of what is deleted was begun."""

    heard: datetime | None = None
    newest: dict[str, datetime] = field(default_factory=dict)
    back: dict[str, datetime] = field(default_factory=dict)
    notices: dict[str, datetime] = field(default_factory=dict)
    checked: datetime | None = None

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": write_instant(self.heard),
                "checked": write_instant(self.checked),
                **{name: write_instants(getattr(self, name)) for name in ("newest", "back", "notices")},
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            heard, checked = read_instant(raw["heard"]), read_instant(raw["checked"])
            return cls(
                heard, read_instants(raw["newest"]), read_instants(raw["back"]), read_instants(raw["notices"]), checked
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("YouTube's cursor on the bus is unreadable; was it written by another version?") from None
