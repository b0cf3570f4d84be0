"""A telephone call over a gateway's HTTP interface, which reads the card's first line aloud. Wakes; leaves the site.

That somebody picked up is no answer: it may be a voicemail. An answer is a key, which the gateway tells by its callback
(`reply` in the settings).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.notify.channels.callbacks import Callbacks
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelType, Deliver, SendNote, checked
from alerts.notify.channels.gateway import GatewaySettings, message
from alerts.notify.channels.numbers import telephone
from alerts.notify.channels.sms_text import plain
from alerts.notify.channels.text import one_line

LONGEST_SPOKEN = 300


class Voice:
    in_house = False
    wakes = True

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.callbacks: Callbacks | None = settings.callbacks

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        number = checked(telephone, target)
        # The letters that an SMS has are those that a voice can read.
        return message(self._settings, number, one_line(plain(card.subject), LONGEST_SPOKEN), note)


def open_channel(settings: Mapping[str, Any]) -> Voice:
    return Voice(GatewaySettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=telephone)
