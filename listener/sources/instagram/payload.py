"""Instagram's comments and media → posts; and what a call of its webhook holds. Pure.

A comment is matched with the words of the medium that it stands under, and with our account's name: "how long must we
wait?" under our post about a fire is about the fire. Neither is stored with it. Who wrote it is known by name alone,
and of media that are found by hashtag by nothing at all: those are nobody's, and never counted as persons.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from listener.model.records import Author, AuthorClass, Post, Quoted
from listener.sources.common.fields import (
    Raw,
    Unusable,
    as_id,
    as_text,
    build,
    dicts,
    text_of,
    time_of,
)
from listener.sources.common.graph.times import unix_time_of
from listener.sources.common.json import read_json
from listener.sources.contract import DropReason
from listener.sources.instagram.post_ids import comment_id

SOURCE: Final = "instagram"


@dataclass(frozen=True, slots=True)
class Account:
    """Ours: its id, and its name as others write it, lower case; empty before it is known."""

    id: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Medium:
    """A post of ours: when it was published, and what it says."""

    id: str
    at: datetime
    caption: str = ""


def read_media(raw: Any) -> list[Medium]:
    """Our media, of the account's answer; what cannot be read is left out."""
    found = []
    for item in dicts(raw.get("data")) if isinstance(raw, dict) else []:
        try:
            found.append(Medium(text_of(item, "id"), time_of(item, "timestamp"), _plain(as_text(item.get("caption")))))
        except Unusable:
            continue
    return found


def read_comment(
    raw: Raw, medium: str, caption: str, ours: Account, latest: datetime, parent: str | None = None
) -> Post:
    """`latest`: nothing was said later than that. `parent`: the comment that it answers. Raises Unusable."""
    name = (as_text(raw.get("username")) or "").strip().lower()
    return _comment(raw, medium, caption, ours, min(time_of(raw, "timestamp"), latest), name, parent)


def _comment(raw: Raw, medium: str, caption: str, ours: Account, at: datetime, name: str, parent: str | None) -> Post:
    id_ = text_of(raw, "id")
    own = AuthorClass.OWN if name and name == ours.name else AuthorClass.UNKNOWN
    return build(
        source=SOURCE,
        id=comment_id(medium, id_),
        at=at,
        text=_plain(text_of(raw, "text")),
        author=Author(id=name, handle=name, author_class=own) if name else None,
        reply_to=medium if parent is None else comment_id(medium, parent),
        quoted=Quoted(text=caption, handles=(ours.name,) if ours.name else ()),
    )


def read_medium(raw: Raw, latest: datetime) -> Post:
    """A medium of somebody else's. Raises Unusable; MISSING_FIELD for a picture without words, too."""
    return build(
        source=SOURCE,
        id=text_of(raw, "id"),
        at=min(time_of(raw, "timestamp"), latest),
        text=_plain(text_of(raw, "caption")),
        url=as_text(raw.get("permalink")),
    )


def is_mention(raw: Mapping[str, Any]) -> bool:
    """Whether it tells of one at all: behind a token of the wrong kind an answer may be empty."""
    return any(isinstance(raw.get(name), dict) for name in ("mentioned_comment", "mentioned_media"))


def read_mention(raw: Mapping[str, Any], medium: str, ours: Account, latest: datetime) -> Post:
    """What `mentioned_comment` or `mentioned_media` tells of the mention of us. Raises Unusable."""
    is_comment = isinstance(raw.get("mentioned_comment"), dict)
    about = raw.get("mentioned_comment" if is_comment else "mentioned_media")
    if not isinstance(about, dict):
        raise Unusable(DropReason.MISSING_FIELD, "mentioned_comment")
    at = min(time_of(about, "timestamp"), latest)
    us = Quoted(text="", handles=(ours.name,)) if ours.name else None
    if is_comment:
        return build(
            source=SOURCE, id=comment_id(medium, text_of(about, "id")), at=at, text=_plain(text_of(about, "text")),
            reply_to=medium, quoted=us,
        )  # fmt: skip
    return build(source=SOURCE, id=text_of(about, "id"), at=at, text=_plain(text_of(about, "caption")), quoted=us)


# --- the webhook ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """One change that a call of the webhook tells: a comment with its words, or a mention of which the ids are all that
    there is. `medium` is the medium's id, `comment` the comment's; None: the medium mentions us."""

    at: datetime
    medium: str
    comment: str | None
    raw: Raw | None = None
    """The comment's fields; None for a mention."""


def read_call(body: bytes, ours: str, now: datetime) -> tuple[list[Told], list[Raw]]:
    """What it tells of our account, in order, and the changes that cannot be used. Raises ValueError where it is no
    call of Instagram's at all."""
    raw = read_json(body)
    if not isinstance(raw, dict) or raw.get("object") != "instagram":
        raise ValueError("no call of Instagram's")
    found: list[Told] = []
    bad: list[Raw] = []
    for entry in dicts(raw.get("entry")):
        if as_id(entry.get("id")) not in (ours, None):
            continue
        at = _told_at(entry, now)
        for change in _changes(entry):
            value = change.get("value")
            try:
                told = _told(str(change.get("field")), value if isinstance(value, dict) else {}, at)
            except Unusable:
                bad.append(change)
                continue
            if told is not None:
                found.append(told)
    return found, bad


def _changes(entry: Raw) -> Iterator[Raw]:
    """They stand in `changes`, or, where our app logs in with Instagram, in the entry itself."""
    yield from dicts(entry.get("changes"))
    if "changes" not in entry and "field" in entry:
        yield entry


def _told(field: str, value: Raw, at: datetime) -> Told | None:
    """None for what we do not listen for. Raises Unusable."""
    if field == "comments":
        medium = value.get("media")
        id_ = as_id(medium.get("id")) if isinstance(medium, dict) else None
        if id_ is None:
            raise Unusable(DropReason.MISSING_FIELD, "media")
        return Told(at, id_, text_of(value, "id"), value)
    if field == "mentions":
        return Told(at, _medium_id(value), as_id(value.get("comment_id")))
    return None


def _medium_id(value: Raw) -> str:
    if (id_ := as_id(value.get("media_id"))) is None:
        raise Unusable(DropReason.MISSING_FIELD, "media_id")
    return id_


def told_comment(told: Told, caption: str, ours: Account) -> Post:
    """A comment that the webhook brought. Its time is when it was told: it has none of its own. Raises Unusable."""
    raw = told.raw or {}
    author = raw.get("from")
    named = author if isinstance(author, dict) else {}
    name = (as_text(named.get("username")) or "").strip().lower()
    return _comment(raw, told.medium, caption, ours, told.at, name, as_id(raw.get("parent_id")))


def _told_at(entry: Raw, now: datetime) -> datetime:
    """When a call says that it tells; now, where it does not."""
    try:
        return min(unix_time_of(entry, "time"), now)
    except Unusable:
        return now


def _plain(text: str | None) -> str:
    """As a reader sees it: `&amp;` is &."""
    return html.unescape(text) if text and "&" in text else text or ""
