"""Whether the contacts of people.yaml can be sent to by the channels as they are set up, as `config check` asks.

What a target must look like is checked when people.yaml is read; here also what only the opened channel knows, such as
which services Apprise has. By the code that sends: a message is made for each contact, and none is sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from alerts.notify.channels.callbacks import CallsBack
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Channel, ChannelError, FailureReason, SendNote, takes_documents
from alerts.notify.recipients import CRISIS_TEAM, People
from listener.settings.files import RawSettings, load_yaml

PROBE = Card("?", ("?",), {}, urgent=False)
NOTE = SendNote("0" * 32, "probe", 0, 1, False, datetime(2000, 1, 1, tzinfo=UTC))


def unreachable(people: People, channels: Mapping[str, Channel], path: Path) -> Iterator[str]:
    """One line, with its place in `path`, for each contact that its channel would refuse."""
    file = None
    for key, person in people.people.items():
        for number, way in enumerate(person.ways):
            try:
                channels[way.channel].prepare(PROBE, way.target, note=NOTE)
            except ChannelError as error:
                if error.reason is FailureReason.BAD_TARGET:
                    file = file or load_yaml(path)
                    place = ("people", key, "ways", number, "target")
                    yield str(file.error(place, f"channels.{way.channel} in settings.yaml knows no such target"))


def report_doubts(people: People, channels: Mapping[str, Channel], raw: RawSettings) -> Iterator[str]:
    """That the situation report is to be mailed, and nobody would get it."""
    if raw.get("report.every") is None:
        return
    if not any(takes_documents(channels, name) for name in people.reachable(CRISIS_TEAM)):
        why = "is set, and nobody on the route crisis_team has an e-mail address in people.yaml: nobody gets the report"
        yield str(raw.error(("report", "every"), why))


def callback_doubts(channels: Mapping[str, Channel], raw: RawSettings) -> Iterator[str]:
    """What gateways would tell and nobody would hear, and who would listen to nobody."""
    calling = sorted(name for name, each in channels.items() if isinstance(each, CallsBack) and each.callbacks)
    receiver = raw.get("receiver")
    listens, links = receiver is not None, isinstance(receiver, dict) and receiver.get("links")
    for name in calling if not listens else ():
        why = "has receipt or reply, and nobody listens for it: set receiver, or leave both out"
        yield str(raw.error(("channels", name), why))
    if listens and not calling and not links:
        yield str(raw.error(("receiver",), "is set, and no channel has receipt or reply: no gateway would call"))
