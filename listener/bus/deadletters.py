"""A dead letter: that something could not be used, why, and where it stands. Never its content."""

from __future__ import annotations

import hashlib

from listener.bus.messages import message
from listener.bus.protocol import Message
from listener.clock import Clock
from listener.model.records import DEADLETTERS, DeadLetter

TOO_LARGE = "too_large"
"""The reason of what is larger than a bus takes."""


def dead_letter(stage: str, reason: str, value: bytes, where: str, clock: Clock) -> Message:
    """For bytes that are at hand: their length and digest."""
    return measured(stage, reason, where, clock, length=len(value), digest=hashlib.sha256(value).hexdigest())


def measured(stage: str, reason: str, where: str, clock: Clock, *, length: int, digest: str) -> Message:
    """For what was measured when it came, and not kept."""
    letter = DeadLetter(at=clock.now(), stage=stage, reason=reason, length=length, digest=digest, where=where)
    return message(DEADLETTERS, letter)
