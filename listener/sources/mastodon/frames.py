"""A server's messages on the websocket: what happened to a post, and by which feed it came. Pure.

Source: Mastodon's documentation, "Streaming"; its `streaming/index.js`.
"""

from __future__ import annotations

from dataclasses import dataclass

from listener.sources.common.fields import Raw, Unusable, read_object
from listener.sources.contract import DropReason
from listener.sources.mastodon.feeds import feed_of


@dataclass(frozen=True, slots=True)
class Said:
    """A post was made, or (`edited`) changed. `feed`: by which it came, where that is told."""

    feed: str | None
    status: Raw
    edited: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """A post was deleted: the server's own number of it, and nothing else."""

    id: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The server refuses what we asked for on the stream."""

    status: int | None


@dataclass(frozen=True, slots=True)
class Other:
    """None of ours: a notification, a filter, an announcement."""


Message = Said | Gone | Failure | Other


def read_message(raw: bytes) -> Message:
    """One message. Raises Unusable for what is none."""
    found = read_object(raw)
    if "error" in found:
        status = found.get("status")
        return Failure(status if type(status) is int else None)
    event, payload = found.get("event"), found.get("payload")
    if not isinstance(event, str):
        raise Unusable(DropReason.NOT_A_POST)
    if event == "delete":
        id_ = str(payload) if type(payload) in (str, int) else ""
        if not id_ or not id_.isalnum() or len(id_) > 128:
            raise Unusable(DropReason.WRONG_TYPE, "payload")
        return Gone(id_)
    if event not in ("update", "status.update"):
        return Other()
    status = read_object(payload.encode("utf-8", "surrogatepass")) if isinstance(payload, str) else payload
    if not isinstance(status, dict):
        raise Unusable(DropReason.MISSING_FIELD if status is None else DropReason.WRONG_TYPE, "payload")
    return Said(feed_of(found.get("stream")), status, event == "status.update")
