"""The card: what a channel is handed to send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Card:
    """`fields` is the same for machines. `problems` names the fields that were missing."""

    subject: str
    lines: tuple[str, ...]
    fields: Mapping[str, Any]
    urgent: bool
    problems: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)
