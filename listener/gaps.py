"""Gaps: stretches of time in which a source could not be heard. Written to `gaps`, and in-band for the rules."""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

from listener.bus import Message
from listener.records import Gap, encode
from listener.units import format_instant


class Cause(StrEnum):
    DISK_FULL = "disk_full"


def open_gap(source: str, start: datetime, cause: Cause) -> Gap:
    """A gap that lasts. The same start is the same gap, so that saying it twice makes one."""
    digest = hashlib.sha256(f"{source}|{format_instant(start)}|{cause}".encode()).hexdigest()[:12]
    return Gap(id=digest, source=source, start=start, cause=cause)


def closed(gap: Gap, end: datetime, *, refilled: int, refilled_until: datetime | None) -> Gap:
    """The gap, over. `refilled`: posts of that time that were found after all."""
    return gap.model_copy(update={"end": end, "refilled": refilled, "refilled_until": refilled_until})


def to_ledger(gap: Gap) -> Message:
    return Message("gaps", gap.source, encode(gap))


def in_band(gap: Gap, partitions: int) -> list[Message]:
    """One message for every partition of `mentions`, so that whoever judges hears of it in order."""
    value = encode(gap)
    return [Message("mentions", f"{gap.source}:gap", value, number) for number in range(partitions)]
