"""What the X source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.units import format_instant, parse_instant


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
                "heard": _maybe(self.heard),
                "checked": _maybe(self.checked),
                "back": _written(self.back),
                "notices": _written(self.notices),
                "again": _written(self.again),
                "complied": _maybe(self.complied),
                "unchecked": _maybe(self.unchecked),
                "check": self.check,
                "begun": _maybe(self.begun),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            heard, checked = (None if raw[n] is None else parse_instant(raw[n]) for n in ("heard", "checked"))
            memory = cls(heard, _read(raw["back"]), _read(raw["notices"]), checked, _read(raw.get("again", {})))
            for name in ("complied", "unchecked", "begun"):
                if raw.get(name) is not None:
                    setattr(memory, name, parse_instant(raw[name]))
            memory.check = None if raw.get("check") is None else str(raw["check"])
            return memory
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("X's cursor on the bus is unreadable; was it written by another version?") from None


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _written(times: Mapping[str, datetime]) -> dict[str, str]:
    return {name: format_instant(at) for name, at in times.items()}


def _read(raw: Mapping[str, str]) -> dict[str, datetime]:
    return {name: parse_instant(at) for name, at in raw.items()}
