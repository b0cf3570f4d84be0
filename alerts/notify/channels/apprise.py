"""Everything else, through the library Apprise (`pip install 'lyttepost[apprise]'`): Signal, Pushover, Matrix and more.

A service's address holds its keys, so it stands in the settings under a name of ours, and a contact's target is that
name. Leaves the site. Apprise says only whether a service took a message, neither why not nor what it calls it: so a
failure may have arrived, and is tried again, marked. What it sends by HTTP ends within LONGEST_SEND, however a service
drips; what hangs otherwise, the sender gives up as hung.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import (
    LONGEST_SEND,
    ChannelError,
    ChannelType,
    Deliver,
    FailureReason,
    SendNote,
    checked,
)
from alerts.notify.channels.text import one_line
from listener.runtime.cancel import time_limit
from listener.runtime.unlogged import unlogged

if TYPE_CHECKING:
    import apprise

NAME = re.compile(r"[\w.-]{1,60}")
SECONDS = {"cto": "10", "rto": "15"}
"""How long Apprise waits for a connection, and for each read."""
MENTIONS = str.maketrans({"@": "＠", "<": "‹", ">": "›"})
"""Each service has mentions of its own, and all of them begin so."""
MISSING = "needs the library Apprise; install it with: pip install 'lyttepost[apprise]'"


class AppriseSettings(BaseModel):
    """`services`: a name → an address of Apprise. `wakes`: whether they ring beside a sleeping person."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    services: Mapping[str, SecretStr] = Field(min_length=1)
    wakes: bool = False

    @field_validator("services")
    @classmethod
    def _known(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        for name, address in value.items():
            service(name)
            if not address.get_secret_value().isprintable():
                raise ValueError(f"{name}: holds a line break or a control character")
            if _server(address) is None:
                raise ValueError(f"{name}: is no address that Apprise knows; its pages show one for each service")
        return value


def _server(address: SecretStr) -> apprise.NotifyBase | None:
    """None for what Apprise does not understand. Raises ValueError where the library is missing."""
    try:
        from apprise import Apprise, AppriseAsset
    except ImportError:
        raise ValueError(MISSING) from None
    asset = AppriseAsset(app_id="Lyttepost", http_redirects=False, interpret_emojis=False)
    with unlogged():
        found = Apprise.instantiate(address.get_secret_value().strip(), asset=asset, suppress_exceptions=True)
    return None if found is None else found


class AppriseChannel:
    in_house = False

    def __init__(self, settings: AppriseSettings) -> None:
        self._settings = settings
        self.wakes = settings.wakes

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        address = self._settings.services.get(checked(service, target))
        # Made anew for each send: Apprise's own objects are not for several threads.
        server = None if address is None else _server(address)
        if server is None:
            raise ChannelError(FailureReason.BAD_TARGET, permanent=True)
        return partial(_send, server, _plain(one_line(card.subject)), _plain(card.text), urgent=card.urgent)


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode().translate(MENTIONS)


def _send(server: apprise.NotifyBase, subject: str, text: str, *, urgent: bool) -> tuple[str, ...]:
    from apprise import NotifyFormat, NotifyType

    kind = NotifyType.FAILURE if urgent else NotifyType.WARNING
    with unlogged(), time_limit(LONGEST_SEND):
        if not server.notify(body=text, title=subject, notify_type=kind, body_format=NotifyFormat.TEXT):
            raise ChannelError(FailureReason.NO_ANSWER, permanent=False)
    return ()


def service(target: str) -> str:
    """A name of a service. Raises ValueError."""
    if not NAME.fullmatch(target.strip()):
        raise ValueError("write the name that channels.apprise.services gives a service, never its address")
    return target.strip()


def open_channel(settings: Mapping[str, Any]) -> AppriseChannel:
    return AppriseChannel(AppriseSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=service)
