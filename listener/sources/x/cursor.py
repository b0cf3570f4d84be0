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
    told and is not over → since when. `again`: gap that is filled and will be searched once more → its end."""

    heard: datetime | None = None
    back: dict[str, datetime] = field(default_factory=dict)
    notices: dict[str, datetime] = field(default_factory=dict)
    checked: datetime | None = None
    """When X last said that our rules are in force."""
    again: dict[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(
            {
                "heard": _maybe(self.heard),
                "checked": _maybe(self.checked),
                "back": _written(self.back),
                "notices": _written(self.notices),
                "again": _written(self.again),
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            heard, checked = (None if raw[n] is None else parse_instant(raw[n]) for n in ("heard", "checked"))
            return cls(heard, _read(raw["back"]), _read(raw["notices"]), checked, _read(raw.get("again", {})))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("X's cursor on the bus is unreadable; was it written by another version?") from None


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _written(times: Mapping[str, datetime]) -> dict[str, str]:
    return {name: format_instant(at) for name, at in times.items()}


def _read(raw: Mapping[str, str]) -> dict[str, datetime]:
    return {name: parse_instant(at) for name, at in raw.items()}
