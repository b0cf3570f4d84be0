"""What X refuses us now, by the part that asked: the stream, the rules, the counts. Pure.

A refusal is no end: everything is asked again. But ops are paged when one lasts, and until it is over we are not ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from listener.sources.x.client import DENIED, Trouble

REFUSALS: Final = DENIED | {Trouble.REFUSED}


class Part(StrEnum):
    """Which of our requests is refused."""

    STREAM = "stream"
    RULES = "rules"
    COUNTS = "counts"


@dataclass(frozen=True)
class Refusal:
    """`why`: X's own title and the parameters that it blames."""

    part: Part
    trouble: Trouble
    since: datetime
    why: str | None = None

    def __str__(self) -> str:
        """For a person; begins with what X did."""
        why = f" ({self.why})" if self.why else ""
        return _WORDS[self.trouble].format(part=self.part, why=why)


_WORDS: Final = {
    Trouble.UNAUTHORIZED: "X does not accept x.bearer_token for the {part}, HTTP 401{why}: asked again with growing "
    "pauses; a valid token in x.bearer_token_file is used at once, one in x.bearer_token after a restart",
    Trouble.FORBIDDEN: "X forbids our account the {part}, HTTP 403{why}: asked again with growing pauses; see the plan "
    "with X",
    Trouble.REFUSED: "X refuses our request for the {part}{why}: asked again with growing pauses; see `lyttepost "
    "doctor`, and whether there is a newer Lyttepost",
}


class Refusals:
    """At most one of each part: the last, since the first of its kind in a row."""

    def __init__(self) -> None:
        self._of: dict[Part, Refusal] = {}

    def __bool__(self) -> bool:
        return bool(self._of)

    def __iter__(self) -> Iterator[Refusal]:
        return iter(tuple(self._of.values()))

    def failed(self, part: Part, trouble: Trouble, why: str | None, at: datetime) -> None:
        """It was asked for, and failed. What is no refusal ends one: whether it still holds is not known."""
        before = self._of.get(part)
        if trouble not in REFUSALS:
            self.over(part)
        elif before is None or (before.trouble, before.why) != (trouble, why):
            since = before.since if before is not None and before.trouble is trouble else at
            self._of[part] = Refusal(part, trouble, since, why)

    def over(self, part: Part) -> bool:
        """It is not refused. True when it was."""
        return self._of.pop(part, None) is not None
