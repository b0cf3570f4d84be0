"""SMS over a gateway's HTTP interface. Wakes, and leaves the site: the card it is given holds no post's text.

What is sent is the card's short form, where it has one, made to fit `segments` of them (`sms_text.py`). Accepted by the
gateway is not received: what became of it is told later, by receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from alerts.notify.channels.callbacks import Callbacks
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import ChannelType, Deliver, SendNote, checked
from alerts.notify.channels.gateway import GatewaySettings, message
from alerts.notify.channels.numbers import mobile
from alerts.notify.channels.sms_text import fit


class SmsSettings(GatewaySettings):
    """`segments`: how many of 153 letters a message may be; each is paid for."""

    segments: int = Field(default=2, ge=1, le=5)


class Sms:
    in_house = False
    wakes = True

    def __init__(self, settings: SmsSettings) -> None:
        self._settings = settings
        self.callbacks: Callbacks | None = settings.callbacks

    def prepare(self, card: Card, target: str, *, note: SendNote) -> Deliver:
        number = checked(mobile, target)
        text = fit(card.short or card.subject, self._settings.segments)
        return message(self._settings, number, text, note)


def open_channel(settings: Mapping[str, Any]) -> Sms:
    return Sms(SmsSettings.model_validate(settings))


TYPE = ChannelType(open=open_channel, check=mobile)
