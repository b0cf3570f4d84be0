"""What the YouTube source must still know after a crash: the cursor in its ticks on the bus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from listener.errors import Corrupt
from listener.units import format_instant, parse_instant


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
                "heard": _maybe(self.heard),
                "checked": _maybe(self.checked),
                **{name: _written(getattr(self, name)) for name in ("newest", "back", "notices")},
            },
            separators=(",", ":"),
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            heard, checked = (None if raw[name] is None else parse_instant(raw[name]) for name in ("heard", "checked"))
            return cls(heard, _read(raw["newest"]), _read(raw["back"]), _read(raw["notices"]), checked)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("YouTube's cursor on the bus is unreadable; was it written by another version?") from None


def _maybe(at: datetime | None) -> str | None:
    return None if at is None else format_instant(at)


def _written(times: Mapping[str, datetime]) -> dict[str, str]:
    return {name: format_instant(at) for name, at in times.items()}


def _read(raw: Mapping[str, str]) -> dict[str, datetime]:
    return {str(name): parse_instant(at) for name, at in raw.items()}
