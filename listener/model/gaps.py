"""Gaps: stretches of time in which a source could not be heard; why, and how one begins and ends. Pure functions.

The record itself is `listener.model.records.Gap`.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from enum import StrEnum

from listener.model.records import Gap
from listener.units import format_instant


class Cause(StrEnum):
    """Why a source could not be heard."""

    DISK_FULL = "disk_full"
    PROCESS_DOWN = "process_down"
    """Nobody listened: a crash, a stop, an update."""
    RULES_UNCONFIRMED = "rules_unconfirmed"
    """The platform had not confirmed yet what we ask for."""
    RULES_MISSING = "rules_missing"
    """Rules of ours were gone at the platform."""
    UNREACHABLE = "unreachable"
    SILENCE = "silence"
    RESET = "reset"
    CLOSED = "closed"
    HTTP_5XX = "http_5xx"
    RATE_LIMITED = "rate_limited"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    OPERATIONAL_DISCONNECT = "operational_disconnect"
    USAGE_CAPPED = "usage_capped"
    BUDGET_CEILING = "budget_ceiling"
    """The month has cost as much as it may at most: we stopped, and a person is asked."""
    REFUSED = "refused"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    BUS_AWAY = "bus_away"
    """The bus was away for longer than there was room to keep what came."""
    QUEUE_FULL = "queue_full"
    """Posts came faster than they could be taken in."""
    GARBLED = "garbled"
    """Bytes came that may have been a post and cannot be read."""
    TOO_OLD = "too_old"
    """The platform gives nothing any more of what was said so long ago."""
    TOO_MANY = "too_many"
    """More was said than the platform gives at once, and nothing tells where the rest begins."""
    BEHIND = "behind"
    """The platform's own server is behind, and comes no nearer."""


def open_gap(source: str, start: datetime, cause: Cause, part: str | None = None) -> Gap:
    """A gap that lasts. The same start is the same gap, so that saying it twice makes one."""
    what = source if part is None else f"{source}|{part}"
    digest = hashlib.sha256(f"{what}|{format_instant(start)}|{cause}".encode()).hexdigest()[:12]
    return Gap(id=digest, source=source, part=part, start=start, cause=cause)


def closed(gap: Gap, end: datetime, *, refilled: int, refilled_until: datetime | None) -> Gap:
    """The gap, over. `refilled`: posts of that time that were found after all."""
    return gap.model_copy(update={"end": end, "refilled": refilled, "refilled_until": refilled_until})


def is_whole(gap: Gap) -> bool:
    """It is over, and all of it was found after all."""
    return gap.end is not None and gap.refilled_until is not None and gap.refilled_until >= gap.end
