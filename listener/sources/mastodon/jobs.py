"""What a server's timelines are asked for beside the stream."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Missed:
    """All of a feed behind the post `after`; without one all since `since`. `serial`: of the connection that it was
    for, after whose end nobody wants it."""

    serial: int
    feed: str
    after: str | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Probe:
    """Does the feed have something behind the post `after` that the stream did not bring?"""

    serial: int
    feed: str
    after: str


@dataclass(frozen=True, slots=True)
class Look:
    """A feed as it was from `since` to `until`, before an incident; for the lookback called `key`."""

    key: str
    incident: str
    feed: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Ask:
    """Is a post that we hold still there, and what does it say?"""

    uri: str
    alias: str


Job = Missed | Probe | Look | Ask
"""The first kinds are done before the others."""
URGENCY: tuple[type[Missed] | type[Probe] | type[Look] | type[Ask], ...] = (Missed, Probe, Look, Ask)
