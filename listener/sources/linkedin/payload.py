"""A notification → a post, or the id of one that was deleted. Pure.

    {"notificationId": 1, "action": "COMMENT", "sourcePost": "urn:li:activity:7",
     "generatedActivity": "urn:li:comment:(urn:li:activity:7,9)", "lastModifiedAt": 1793000000000,
     "decoratedGeneratedActivity": {"comment": {"owner": "urn:li:person:x", "text": "…"}}}

An edit bears the id of what it changes; its time is its version. Who wrote it may be missing. Names that a text
mentions stand in it as `@[Name](urn)`: of a person the urn takes the name's place, which is not kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from listener.model.records import Author, AuthorClass, Post
from listener.sources.common.fields import EARLIEST, LATEST, Raw, Unusable, as_id, as_text, build, text_of
from listener.sources.contract import DropReason

_COMMENT: Final = re.compile(r"urn:li:comment:\((?:urn:li:)?(\w+):(\d+),(\d+)\)")
_URN: Final = re.compile(r"urn:li:\w+:[\w-]+|urn:li:comment:\([\w:-]+,\d+\)")
_NAMED: Final = re.compile(r"@\[([^\]\n]{1,200})\]\((urn:li:(\w+):([\w-]{1,100}))\)")
_HOUSES: Final = frozenset({"organization", "organizationBrand", "company", "school"})
"""Whose name may stay; whatever else has one may be a person."""
DELETED: Final = "COMMENT_DELETE"
EDITED: Final = "COMMENT_EDIT"


@dataclass(frozen=True, slots=True)
class Deleted:
    """A comment that is not there any more."""

    id: str
    at: datetime


def read_notification(raw: Any, source: str, organization: str, latest: datetime) -> tuple[str, Post | Deleted]:
    """Its own number, and what it tells. `organization`: the urn of the Page, which is ours; `latest`: no time lies
    behind it. Raises Unusable."""
    if not isinstance(raw, dict):
        raise Unusable(DropReason.NOT_A_POST)
    number = as_id(raw.get("notificationId"))
    if number is None:
        raise Unusable(DropReason.MISSING_FIELD, "notificationId")
    action, at = text_of(raw, "action"), min(_time(raw), latest)
    id_ = _urn(text_of(raw, "generatedActivity"))
    if action == DELETED:
        return number, Deleted(id_, at)
    if action not in (EDITED, "COMMENT", "SHARE_MENTION"):
        raise Unusable(DropReason.NOT_A_POST, "action")
    return number, _post(raw, id_, at, source, organization, edited=action == EDITED)


def _post(raw: Raw, id_: str, at: datetime, source: str, organization: str, *, edited: bool) -> Post:
    inner = _decorated(raw.get("decoratedGeneratedActivity"))
    message = inner.get("message")
    said = as_text(inner.get("text")) or (as_text(message.get("text")) if isinstance(message, dict) else None)
    if not said:
        # A picture alone, or LinkedIn does not tell: without words there is nothing to hear.
        raise Unusable(DropReason.MISSING_FIELD, "text")
    names: dict[str, str] = {}

    def instead(found: re.Match[str]) -> str:
        if found[3] in _HOUSES:
            return found[1]
        names[found[4].lower()] = found[2]
        return f"@{found[4]}"

    text = _NAMED.sub(instead, said)
    owner = as_text(inner.get("owner")) or as_text(inner.get("actor"))
    post = as_text(raw.get("sourcePost"))
    return build(
        source=source,
        id=id_,
        at=at,
        text=text,
        author=_author(owner, organization),
        reply_to=post if id_.startswith("urn:li:comment:") and post and _URN.fullmatch(post) else None,
        version=str(int(at.timestamp() * 1000)) if edited else None,
        handles=names,
        url=_url(id_),
    )


def _decorated(raw: Any) -> Raw:
    """What a comment or a share says; nothing where it is not told."""
    if isinstance(raw, dict):
        for name in ("comment", "share"):
            if isinstance(inner := raw.get(name), dict):
                return inner
        return raw
    return {}


def _author(owner: str | None, organization: str) -> Author | None:
    if not owner:
        return None
    if owner == organization:
        return Author(id=owner, author_class=AuthorClass.OWN)
    is_house = owner.startswith("urn:li:organization:")
    return Author(id=owner, author_class=AuthorClass.ORGANISATION if is_house else AuthorClass.UNKNOWN)


def _urn(written: str) -> str:
    """In one spelling: LinkedIn writes the same comment with `urn:li:` in its brackets and without. Raises Unusable."""
    if found := _COMMENT.fullmatch(written):
        return f"urn:li:comment:(urn:li:{found[1]}:{found[2]},{found[3]})"
    if not _URN.fullmatch(written):
        raise Unusable(DropReason.WRONG_TYPE, "generatedActivity")
    return written


def _url(id_: str) -> str:
    """The page of the share, or of what a comment stands under."""
    found = _COMMENT.fullmatch(id_)
    urn = f"urn:li:{found[1]}:{found[2]}" if found else id_
    return f"https://www.linkedin.com/feed/update/{urn}/"


def _time(raw: Raw) -> datetime:
    value = raw.get("lastModifiedAt")
    if value is None:
        raise Unusable(DropReason.MISSING_FIELD, "lastModifiedAt")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(DropReason.WRONG_TYPE, "lastModifiedAt")
    try:
        at = datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise Unusable(DropReason.BAD_DATE, "lastModifiedAt") from None
    if not EARLIEST <= at < LATEST:
        raise Unusable(DropReason.BAD_DATE, "lastModifiedAt")
    return at
