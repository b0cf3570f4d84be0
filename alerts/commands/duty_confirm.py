"""`lyttepost duty test` and `confirm`: does a message arrive? Sent by every way of a person, answered by its code."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from alerts.commands.duty_book import open_both
from alerts.duty.decided import place_digest
from alerts.duty.people import known_person
from listener.bus import hashchain
from listener.clock import SystemClock
from listener.commands.shared import By, Data, local, say, storable, user
from listener.errors import ConfigError, LyttepostError, UsageError
from listener.model.decisions import DECISIONS, TriedWay, WayConfirmed, WayTest
from listener.model.deliveries import DELIVERIES, Delivery, Outcome

if TYPE_CHECKING:
    from alerts.duty.people import Person, Way
    from alerts.notify.channels.contract import Channel, ChannelError, SendNote
    from alerts.notify.messages import Messages
    from listener.bus.protocol import Bus

DIGITS = 4


@dataclass(frozen=True)
class _Send:
    """One message to be sent: its code, and by which way."""

    code: str
    way: Way
    person: str
    name: str

    @property
    def id(self) -> str:
        """Under which its delivery is written down: no alert has such an id."""
        return f"test:{self.code}"


def send_test(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A person of people.yaml.")],
    by: By = None,
    data: Data = None,
) -> None:
    """Send a test message by every way of a person, each with a code of its own; `duty confirm` says that it came.

    Each send is written down before and after, as an alert's is. Exit code 1 when a message could not be sent.
    """
    from alerts.notify.messages import load_messages
    from listener.settings.files import raw_settings
    from listener.settings.schema import load_settings

    raw, now = raw_settings(), SystemClock().now()
    settings = load_settings(raw)
    with open_both(data) as (book, bus):
        key = known_person(book.people, person, "PERSON")
        its = book.people[key]
        sends = _sends(key, its, book.decided.codes)
        tried = tuple(TriedWay(code=s.code, channel=s.way.channel, place=place_digest(s.way.place)) for s in sends)
        hashchain.append(bus, DECISIONS.name, WayTest(at=now, by=user(by), person=key, ways=tried))
        messages = load_messages(raw.folder, its.language or settings.language, settings.timezone)
        failed = [send for send in sends if not _sent(bus, send, messages)]
    if failed:
        raise LyttepostError(f"{len(failed)} of {len(sends)} messages to {key} could not be sent")


def confirm(
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code that stands in the message.")],
    by: By = None,
    data: Data = None,
) -> None:
    """Say that a test message came: the way that it took is known to work from now on."""
    plain = storable(code, "CODE")
    with open_both(data) as (book, bus):
        found = book.decided.test(plain)
        if found is None:
            raise UsageError(f"CODE: no test message has the code {plain!r}; `lyttepost duty test PERSON` sends one")
        asked, way = found
        now, who = SystemClock().now(), user(by)
        said = WayConfirmed(at=now, by=who, person=asked.person, way=way)
        hashchain.append(bus, DECISIONS.name, said)
    say(f"{asked.person} is reached by {way.channel}: {who} confirmed the message of {local(asked.at)}.")


def _sends(key: str, person: Person, taken: Collection[str]) -> list[_Send]:
    """Each way once, with a code that was never given out: an old message must not confirm a new address."""
    codes: set[str] = set(taken)
    found = []
    for way in dict.fromkeys(person.ways):
        digits = DIGITS
        while (code := f"{secrets.randbelow(10**digits):0{digits}}") in codes:
            digits += len(codes) > 10**digits // 2
        codes.add(code)
        found.append(_Send(code, way, key, person.name))
    return found


def _sent(bus: Bus, send: _Send, messages: Messages) -> bool:
    """Whether it was taken. Its intent and its outcome are written down."""
    from alerts.notify.channels.contract import SendNote
    from alerts.notify.sends import intent_id

    clock = SystemClock()
    channel, target = send.way.place
    intent = intent_id(send.id, channel, target)
    at = clock.now()
    _write(bus, send, intent, at)
    error = _try(send, messages, SendNote(intent, send.id, step=0, attempt=1, may_repeat=False, at=at))
    outcome = Outcome.SENT if error is None else Outcome.PERMANENT if error.permanent else Outcome.TEMPORARY
    _write(bus, send, intent, clock.now(), outcome, error.word if error else None)
    if error is None:
        say(f"{channel}: sent, with the code {send.code}.")
    else:
        say(f"{channel}: NOT sent: {error.word}; `lyttepost doctor` looks at the channel.")
    return error is None


def _try(send: _Send, messages: Messages, note: SendNote) -> ChannelError | None:
    from alerts.notify.channels.contract import ChannelError, FailureReason
    from alerts.notify.notices import reach_test

    try:
        channel = _channel(send.way.channel)
        card = reach_test(
            send.name, send.person, send.way.channel, send.code, messages, now=note.at, replies=_hears_replies(channel)
        )
        channel.prepare(card, send.way.target, note=note)()
    except ChannelError as error:
        return error
    except ConfigError as error:
        say(f"lyttepost: {error}")
        return ChannelError(FailureReason.NO_CHANNEL, permanent=True)
    except Exception:
        # A channel's defect must not keep the other ways from being tried.
        return ChannelError(FailureReason.DEFECT_IN_SENDING, permanent=False)
    return None


def _channel(name: str) -> Channel:
    """Raises ConfigError for one that there is not, or that is set up wrongly."""
    from alerts.notify.channels.contract import CHANNELS, open_channels
    from listener.settings.files import raw_settings

    if name not in CHANNELS:
        raise ConfigError(f"no channel is called {name!r}; known: {', '.join(CHANNELS)}")
    return open_channels([name], raw_settings())[name]


def _hears_replies(channel: Channel) -> bool:
    from alerts.notify.channels.callbacks import CallsBack

    its = channel.callbacks if isinstance(channel, CallsBack) else None
    return its is not None and its.reply is not None


def _write(
    bus: Bus, send: _Send, intent: str, at: datetime, outcome: Outcome | None = None, reason: str | None = None
) -> None:
    channel, target = send.way.place
    hashchain.append(
        bus,
        DELIVERIES.name,
        Delivery(
            intent=intent, alert=send.id, at=at, step=0, channel=channel, target=target, outcome=outcome, reason=reason
        ),
    )
