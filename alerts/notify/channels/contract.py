"""Channels: the ways in which an alert leaves. One small interface, one file a channel, one table.

A channel is handed a finished card and a target. It first makes ready all that needs no far end, and then either
delivers or raises `ChannelError`, which says why, whether trying again can help, and whether it may have arrived all
the same. It holds no state between sends and may be used by several threads at once. What may leave the site is
decided where the card is made, by the channel's `in_house`.

What can be known to fail before anything is sent is refused where it is configured, by the code that sends: a channel
checks its own settings when it is opened, and the targets of people.yaml with `ChannelType.check`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import ValidationError

from listener.errors import ConfigError
from listener.plugins import load

if TYPE_CHECKING:
    from alerts.notify.channels.card import Card
    from listener.settings.files import RawSettings

CHANNELS: Mapping[str, str] = {
    "alertmanager": "alerts.notify.channels.alertmanager:TYPE",
    "apprise": "alerts.notify.channels.apprise:TYPE",
    "console": "alerts.notify.channels.console:TYPE",
    "email": "alerts.notify.channels.email:TYPE",
    "ntfy": "alerts.notify.channels.ntfy:TYPE",
    "slack": "alerts.notify.channels.slack:TYPE",
    "sms": "alerts.notify.channels.sms:TYPE",
    "teams": "alerts.notify.channels.teams:TYPE",
    "voice": "alerts.notify.channels.voice:TYPE",
    "webhook": "alerts.notify.channels.webhook:TYPE",
}
"""Name → its `ChannelType`."""

LONGEST_SEND = 40.0
"""Seconds for one send, however many steps it has, and however slowly the far end answers each."""


class FailureReason(StrEnum):
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
    NO_SMTPUTF8 = "no_smtputf8"
    """The mail server takes no address with letters beyond ASCII before its @."""
    LOGIN = "login"
    """The far end does not accept our credentials, or we cannot read them."""
    INSECURE = "insecure"
    """The far end cannot do the encryption that the settings ask for, or shows a wrong certificate."""
    REDIRECTED = "redirected"
    STUCK = "stuck"
    """All of the channel's threads hang in earlier sends; nothing was handed over."""
    NO_CHANNEL = "no_channel"
    """The channel is not set up."""
    DEFECT = "defect"
    """A fault of ours in making the message; nothing was handed over."""
    DEFECT_IN_SENDING = "defect_in_sending"
    """A fault of ours while it was handed over: it may have arrived."""


UNCERTAIN = frozenset({FailureReason.NO_ANSWER, FailureReason.HUNG, FailureReason.DEFECT_IN_SENDING})
"""Reasons after which a message may have arrived: the next attempt is marked "may be a repeat"."""

DEFECTS = frozenset({FailureReason.DEFECT, FailureReason.DEFECT_IN_SENDING})


class ChannelError(Exception):
    """A send that did not succeed. `permanent`: trying the same again is of no use. `code` is the far end's number.

    Carries nothing that the far end said: it may repeat an address, a secret or our text.
    """

    def __init__(self, reason: FailureReason, *, permanent: bool, code: int | None = None) -> None:
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
    """What a channel needs beside the card: ids by which the far end can recognise a repeat, and our time."""

    intent: str
    alert: str
    step: int
    attempt: int
    may_repeat: bool
    at: datetime


Deliver = Callable[[], tuple[str, ...]]
"""Hands a message over within the channel's own time limits, or raises ChannelError. Gives the ids by which the
provider will speak of it in its receipts: none, one, or one a part."""


class Channel(Protocol):
    """One with `documents = True` is handed whole documents too, such as the situation report."""

    @property
    def in_house(self) -> bool:
        """True where a post's text may be shown."""

    @property
    def wakes(self) -> bool:
        """True where it rings beside a sleeping person: SMS, voice, push. Mail and chat do not."""

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        """Make the message; nothing leaves before what this gives is called. Raises ChannelError."""


@dataclass(frozen=True)
class ChannelType:
    """`open`: the channel's own settings → the channel, or pydantic's ValidationError. `check`: a target as people.yaml
    has it → as it is sent to, or ValueError that says what is wrong with it; `prepare` takes no other. `doubts`:
    settings that open → option and why it is most often not meant so."""

    open: Callable[[Mapping[str, Any]], Channel]
    check: Callable[[str], str]
    doubts: Callable[[Mapping[str, Any]], Iterable[tuple[str, str]]] = lambda _: ()


def wakes_by(channels: Mapping[str, Channel], name: str) -> bool:
    """Whether the channel of this name wakes a sleeper: what comes another way may lie unread until the morning."""
    return name in channels and channels[name].wakes


def takes_documents(channels: Mapping[str, Channel], name: str) -> bool:
    """Whether a whole document may go by the channel of this name, as by mail: only where it says so of itself, and
    never where it wakes somebody."""
    return name in channels and bool(getattr(channels[name], "documents", False)) and not channels[name].wakes


def channel_type(name: str) -> ChannelType:
    """Of a name in `CHANNELS`."""
    found: ChannelType = load(CHANNELS[name])
    return found


def open_channels(names: Iterable[str], settings: RawSettings) -> dict[str, Channel]:
    """The named channels, each with `channels.NAME` of the settings. Raises ConfigError that names the place."""
    from listener.settings.schema import explain

    configured = settings.get("channels", {})
    if not isinstance(configured, Mapping):
        raise settings.error(("channels",), "must be a mapping of channels, or {}")
    for name in configured:
        if name not in CHANNELS:
            raise settings.error(("channels", name), f"no channel is called {name!r}; known: {', '.join(CHANNELS)}")
    out: dict[str, Channel] = {}
    for name in sorted(names):
        try:
            out[name] = channel_type(name).open(configured.get(name, {}))
        except ValidationError as error:
            raise explain(settings, error, ("channels", name)) from None
    return out


def open_usable(names: Iterable[str], settings: RawSettings) -> dict[str, Channel]:
    """Those of the named channels that can be opened. Of one that is set up wrongly it is told elsewhere."""
    found: dict[str, Channel] = {}
    for name in names:
        with suppress(ConfigError):
            found |= open_channels({name}, settings)
    return found


def channel_doubts(names: Iterable[str], settings: RawSettings) -> Iterator[str]:
    """What may be meant so and most often is not, of channels that can be opened: the place and why."""
    configured = settings.get("channels", {})
    for name in sorted(names):
        for option, why in channel_type(name).doubts(configured.get(name, {})):
            yield str(settings.error(("channels", name, option), why))


# --- what channels share -------------------------------------------------------------------------------------------


def checked(check: Callable[[str], str], target: str) -> str:
    """The target as `check` gives it. Raises ChannelError where it raises ValueError."""
    try:
        return check(target)
    except ValueError:
        raise ChannelError(FailureReason.BAD_TARGET, permanent=True) from None


def one_line_target(target: str) -> str:
    """A target that may be any text: on one line, in letters that can be written in UTF-8."""
    plain = target.strip()
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in plain):
        raise ValueError("a target must not hold a line break or a control character")
    return plain


def no_target(target: str) -> str:
    """The target of a channel that leads to one place: under two names it would show everything twice there."""
    if target.strip():
        raise ValueError("this channel takes no target, for it leads to one place; leave it out")
    return ""
