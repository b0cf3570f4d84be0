"""The card: what a channel is handed to send, worded and screened for it. `alerts.notify.card` makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Card:
    """One message in every form that a channel may want.

    `fields` is the same for machines. `urgent`: it may wake somebody. `problems`: what could not be filled in. `short`:
    for SMS, the marks first and how to answer last. `html`: a whole page for mail, escaped, with nothing to be fetched;
    empty where there is none.
    """

    subject: str
    lines: tuple[str, ...]
    fields: Mapping[str, Any]
    urgent: bool
    problems: tuple[str, ...] = ()
    short: str = ""
    html: str = ""

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)
