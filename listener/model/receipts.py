"""What a provider says later of a message that it accepted: on `deliveries`, beside the send that it is about."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from listener.model.base import Chained, Instant


class Received(StrEnum):
    """What a provider says became of a message that it had accepted."""

    DELIVERED = "delivered"
    """It is on the person's telephone."""
    UNDELIVERED = "undelivered"
    """It never will be."""
    PENDING = "pending"
    """It is under way, or the provider says something that we do not know."""


class Receipt(Chained):
    """A provider's later word on a message: `provider_id` is one of a delivery's `provider_ids`, which may be written
    later than this. `part` tells the parts of one message apart where the provider reports each of them under one id.
    `code` is the provider's own word, short. No number, no text.
    """

    type: Literal["receipt"] = "receipt"
    channel: str
    provider_id: str
    part: str | None = None
    outcome: Received
    at: Instant
    code: str | None = None

    @property
    def key(self) -> str:
        return f"{self.channel}:{self.provider_id}"
