"""The ways out: one small protocol, one file a channel, one table.

A channel is handed a finished card and a target and either delivers or raises `ChannelError`, which says why, whether
trying again can help, and whether it may have arrived all the same. It holds no state between sends and may be used
by several threads at once. What may leave the house is decided where the card is made, by the channel's `in_house`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from listener.plugins import load

if TYPE_CHECKING:
    from alerts.card import Card
    from listener.config import RawSettings

CHANNELS: Mapping[str, str] = {
    "console": "alerts.channels.console:open_channel",
    "email": "alerts.channels.email:open_channel",
    "webhook": "alerts.channels.webhook:open_channel",
}
"""Name → a function of the channel's own settings that gives the channel or raises pydantic's ValidationError."""


class Reason(StrEnum):
    """Why a send failed."""

    UNREACHABLE = "unreachable"
    """No connection; nothing was handed over."""
    BROKEN_OFF = "broken_off"
    """The connection ended before anything was handed over."""
    NO_ANSWER = "no_answer"
    """Handed over, and then no answer: it may have arrived."""
    HUNG = "hung"
    """The channel did not come back in time: it may have arrived."""
    BUSY = "busy"
    """The far end asks for patience."""
    REFUSED = "refused"
    """The far end will not take it."""
    BAD_TARGET = "bad_target"
    """No such address, or one that cannot be written to."""
    LOGIN = "login"
    """The far end does not accept our credentials."""
    INSECURE = "insecure"
    """The far end cannot do the encryption that the settings ask for, or shows a wrong certificate."""
    REDIRECTED = "redirected"
    STUCK = "stuck"
    """All of the channel's threads hang in earlier sends; nothing was handed over."""
    NO_CHANNEL = "no_channel"
    """The channel is not set up."""
    DEFECT = "defect"
    """The channel raised what it should not: a fault of ours."""


UNCERTAIN = frozenset({Reason.NO_ANSWER, Reason.HUNG, Reason.DEFECT})
"""Reasons after which a message may have arrived: the next attempt is marked "may be a repeat"."""


class ChannelError(Exception):
    """A send that did not succeed. `permanent`: trying the same again is of no use. `code` is the far end's number.

    Carries nothing that the far end said: it may repeat an address, a secret or our text.
    """

    def __init__(self, reason: Reason, *, permanent: bool, code: int | None = None) -> None:
        self.reason = reason
        self.permanent = permanent
        self.code = code
        super().__init__(self.word)

    @property
    def word(self) -> str:
        """`refused 550`: what the ledger keeps."""
        return self.reason.value if self.code is None else f"{self.reason.value} {self.code}"


def uncertain(word: str | None) -> bool:
    """Whether a send that ended with this word may have arrived."""
    return word is not None and word.partition(" ")[0] in UNCERTAIN


@dataclass(frozen=True)
class SendNote:
    """What a channel needs beside the card: ids by which the far end can tell a repeat, and our time."""

    intent: str
    alert: str
    step: int
    attempt: int
    may_repeat: bool
    at: datetime


class Channel(Protocol):
    @property
    def in_house(self) -> bool:
        """True where a post's text may be shown."""

    def send(self, card: Card, target: str, *, note: SendNote) -> None:
        """Deliver within the channel's own time limits, or raise ChannelError."""


def open_channels(names: Iterable[str], settings: RawSettings) -> dict[str, Channel]:
    """The named channels, each with `channels.NAME` of the settings. Raises ConfigError that names the place."""
    from listener.settings import explain

    for name in settings.get("channels", {}):
        if name not in CHANNELS:
            raise settings.error(("channels", name), f"no channel is called {name!r}; known: {', '.join(CHANNELS)}")
    out: dict[str, Channel] = {}
    for name in sorted(names):
        try:
            out[name] = load(CHANNELS[name])(settings.get(f"channels.{name}", {}))
        except ValidationError as error:
            raise explain(settings, error, ("channels", name)) from None
    return out
