"""What the source of feeds must still know after a crash: the cursor in its ticks on the bus.

No id of an entry lies in it but as a digest: it goes with every tick, in calm too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from listener.errors import Corrupt
from listener.sources.common.cursor import read_instant, read_instants, write_instant, write_instants


def short(text: str) -> str:
    """A digest of 48 bits: among the thousands of entries that one feed ever had, two are hardly taken for the same."""
    return blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()


@dataclass
class FeedMemory:
    """Of one feed. `read`: when it was asked the last time that it answered; None before it ever did.

    `newest`: digests of the newest entries when it last had any, `anchored`, of which one at least must be there next
    time, or what came between is lost. `vacant`: when the first answer since then was there that found it empty;
    `emptied`: when it was asked the last time that it was; both None where it was not. `empties`: how many answers
    since then found it so. `undated`: of all entries of then that do not say when they were
    published. `held`: of entries that lie on the bus → of their words.
    """

    read: datetime | None = None
    newest: tuple[str, ...] = ()
    anchored: datetime | None = None
    vacant: datetime | None = None
    emptied: datetime | None = None
    empties: int = 0
    undated: tuple[str, ...] = ()
    held: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "read": write_instant(self.read),
            "anchored": write_instant(self.anchored),
            "vacant": write_instant(self.vacant),
            "emptied": write_instant(self.emptied),
            "empties": self.empties,
            "newest": list(self.newest),
            "undated": list(self.undated),
            "held": self.held,
        }

    @classmethod
    def of(cls, raw: dict[str, Any]) -> FeedMemory:
        held = {str(entry): str(words) for entry, words in raw["held"].items()}
        # Who wrote it before `vacant`, `emptied` and `empties` were there did not know.
        return cls(
            read_instant(raw["read"]),
            _texts(raw["newest"]),
            read_instant(raw["anchored"]),
            read_instant(raw.get("vacant")),
            read_instant(raw.get("emptied")),
            int(raw.get("empties", 0)),
            _texts(raw["undated"]),
            held,
        )


@dataclass
class Memory:
    """`feeds`: by the name in the settings. `alive`: up to when somebody read them. `notices`: what ops were told and
    is not over → since when."""

    feeds: dict[str, FeedMemory] = field(default_factory=dict)
    alive: datetime | None = None
    notices: dict[str, datetime] = field(default_factory=dict)

    def __str__(self) -> str:
        return json.dumps(
            {
                "feeds": {name: feed.to_json() for name, feed in self.feeds.items()},
                "alive": write_instant(self.alive),
                "notices": write_instants(self.notices),
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )

    @classmethod
    def parse(cls, text: str) -> Memory:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            raw = json.loads(text)
            return cls(
                {str(name): FeedMemory.of(feed) for name, feed in raw["feeds"].items()},
                read_instant(raw["alive"]),
                read_instants(raw["notices"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Corrupt("the feeds' cursor on the bus is unreadable; was it written by another version?") from None


def _texts(raw: Iterable[Any]) -> tuple[str, ...]:
    if not isinstance(raw, list):
        raise TypeError("not a list")
    return tuple(map(str, raw))
