"""What the X source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants


@dataclass
class Memory:
    """`heard`: the last byte whose posts are on the bus. `back`: incident → looked back to. `notices`: what ops were
    told and is not over → since when. `again`: gap that is filled and will be searched once more → its end.

    Of the check which posts that are held are gone at X: `complied`, when the last one that is complete was begun;
    `unchecked`, since when there is something to be checked that never was; `check` and `begun`, the mark of the one
    under way and when it was begun.
    """

    heard: datetime | None = None
    back: dict[str, datetime] = field(default_factory=dict)
    notices: dict[str, datetime] = field(default_factory=dict)
    checked: datetime | None = None
    """When X last said that our rules are in force."""
    again: dict[str, datetime] = field(default_factory=dict)
    complied: datetime | None = None
    unchecked: datetime | None = None
    check: str | None = None
    begun: datetime | None = None

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": write_instant(self.heard),
                "checked": write_instant(self.checked),
                "back": write_instants(self.back),
                "notices": write_instants(self.notices),
                "again": write_instants(self.again),
                "complied": write_instant(self.complied),
                "unchecked": write_instant(self.unchecked),
                "check": self.check,
                "begun": write_instant(self.begun),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            heard, checked = read_instant(raw["heard"]), read_instant(raw["checked"])
            memory = cls(
                heard,
                read_instants(raw["back"]),
                read_instants(raw["notices"]),
                checked,
                read_instants(raw.get("again", {})),
            )
            for name in ("complied", "unchecked", "begun"):
                setattr(memory, name, read_instant(raw.get(name)))
            memory.check = None if raw.get("check") is None else str(raw["check"])
            return memory
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("X's cursor on the bus is unreadable; was it written by another version?") from None
