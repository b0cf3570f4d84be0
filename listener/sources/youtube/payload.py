"""A comment as the API gives it → a `Post`, and a thread → what it holds. Pure.

Display names are not kept, not even in memory. Who wrote a comment is a channel's id, which may be missing; the handle
is known of the hospital's own channels alone, whose names the settings have.

A comment stands under a video of one of these channels: each of them has that channel's handle among its `handles`, so
that a track `@channel` finds what is said there, whatever its words.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from listener.model.records import Author, AuthorClass, Post
from listener.sources.common.fields import Raw, Unusable, as_id, as_text, build, dicts, text_of, time_of
from listener.sources.contract import DropReason
from listener.sources.youtube.post_ids import ID

_TAG: Final = re.compile(r"</?(?:a|b|i|s|br|span)(?:\s[^<>]{0,2000})?\s*/?>", re.IGNORECASE)
_BREAK: Final = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(?:amp|lt|gt|quot|#39|#x27|nbsp);")
_NAMED: Final = re.compile(r"(?<!\w)[@＠]+([\w.·-]{1,60})")


@dataclass(frozen=True, slots=True)
class Thread:
    """`count`: how many replies there are; `top` and `given`, some of the replies, are comments as they came."""

    id: str
    count: int
    top: Raw
    given: Sequence[Raw]


def read_thread(raw: Raw) -> Thread:
    """Raises Unusable."""
    snippet = _object(raw, "snippet")
    count = snippet.get("totalReplyCount", 0)
    replies = raw.get("replies")
    given = dicts(replies.get("comments")) if isinstance(replies, dict) else []
    return Thread(
        _id(raw), count if type(count) is int and count > 0 else 0, _object(snippet, "topLevelComment"), given
    )


def when(comment: Raw) -> datetime:
    """When what it says now was said, by the platform's clock. Raises Unusable."""
    at = published(comment)
    return at if version_of(comment) is None else time_of(_object(comment, "snippet"), "updatedAt")


def published(comment: Raw) -> datetime:
    """By the platform's clock. Raises Unusable."""
    return time_of(_object(comment, "snippet"), "publishedAt")


def version_of(comment: Raw) -> str | None:
    """None as it was first published; else when it was last changed, as digits. Raises Unusable."""
    snippet = _object(comment, "snippet")
    updated = snippet.get("updatedAt")
    if not isinstance(updated, str) or updated == snippet.get("publishedAt"):
        return None
    at, first = time_of(snippet, "updatedAt"), time_of(snippet, "publishedAt")
    return f"{at:%Y%m%dT%H%M%S}" + (f".{at.microsecond:06d}" if at.microsecond else "") if at > first else None


def read_comment(raw: Raw, channel: str, channels: Mapping[str, str], source: str, latest: datetime) -> Post:
    """`channel`: under whose video it stands; `channels`: id → handle of the hospital's own. `latest`: what the
    platform's clock says to lie behind it was said then. Raises Unusable."""
    id_, snippet = _id(raw), _object(raw, "snippet")
    author = snippet.get("authorChannelId")
    who = as_id(author.get("value")) if isinstance(author, dict) else None
    text = _words(snippet)
    handles = {name: name for name in _names(text)}
    if handle := channels.get(channel):
        handles[handle] = channel
    video, parent = as_text(snippet.get("videoId")), as_text(snippet.get("parentId"))
    return build(
        source=source,
        id=id_,
        at=min(when(raw), latest),
        text=text,
        author=_author(who, channels),
        reply_to=parent or (id_.partition(".")[0] if "." in id_ else None),
        version=version_of(raw),
        handles=handles,
        url=f"https://www.youtube.com/watch?v={video}&lc={id_}"
        if video and re.fullmatch(r"[\w-]{5,20}", video)
        else None,
    )


def _author(who: str | None, channels: Mapping[str, str]) -> Author | None:
    """What a channel of ours writes is the hospital's own word: it is no news to it, and is not counted."""
    if not who:
        return None
    own = AuthorClass.OWN if who in channels else AuthorClass.UNKNOWN
    return Author(id=who, handle=channels.get(who) or None, author_class=own)


def _words(snippet: Raw) -> str:
    """As its author typed it; that is not given to everybody, and what is shown may be HTML though plain text was
    asked for."""
    if as_text(snippet.get("textOriginal")):
        return text_of(snippet, "textOriginal")
    shown = text_of(snippet, "textDisplay")
    if not (_TAG.search(shown) or _ENTITY.search(shown)):
        return shown
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", shown)))


def _names(text: str) -> list[str]:
    """Names that the text has with @; a full stop at the end of one is the sentence's."""
    return list(dict.fromkeys(name.lower().rstrip(".-·") for name in _NAMED.findall(text) if name.strip(".-·")))


def _id(raw: Raw) -> str:
    found = text_of(raw, "id")
    if not ID.fullmatch(found):
        raise Unusable(DropReason.WRONG_TYPE, "id")
    return found


def _object(raw: Raw, name: str) -> Mapping[str, Any]:
    found = raw.get(name)
    if not isinstance(found, dict):
        raise Unusable(DropReason.MISSING_FIELD if found is None else DropReason.WRONG_TYPE, name)
    return found
