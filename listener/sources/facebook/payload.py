"""What Facebook tells of a Page, in calls and in answers → what was said or removed, and from that a `Post`. Pure.

| told by | as |
|---|---|
| a call, field `feed` | item comment, status, photo, video, share, post …; verb add, edited, remove, hide, unhide … |
| a call, field `mention` | item post or comment; real ones name nobody (`from` is missing) |
| an answer | a post of the Page's lists, a comment below one |

A reaction, an event, an album is nothing that somebody said. **Hidden is not removed**: that is the Page's own hand
over what others see, and its author has taken nothing back; who wants it gone purges it.

Source: Meta, Webhooks for Pages, field `feed`; Graph API, Post and Comment. Ids come as texts and as numbers, times as
Unix seconds in calls and as `2026-11-01T09:00:00+0000` in answers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from listener.model.records import Author, AuthorClass, Post, Quoted
from listener.sources.common.fields import EARLIEST, LATEST, Raw, Unusable, as_id, as_text, build, dicts
from listener.sources.common.graph.times import unix_time_of
from listener.sources.common.json import read_json
from listener.sources.contract import DropReason
from listener.units import parse_instant

SECOND: Final = timedelta(seconds=1)
"""Facebook's times are of whole seconds: what was said just after an instant may bear one from before it."""
_POSTS: Final = frozenset({"status", "photo", "video", "share", "post", "note", "link", "reel", "story", "live"})
_ADDED: Final = frozenset({"add", "unblock"})
_EDITED: Final = frozenset({"edit", "edited", "update", "edits"})
_REMOVED: Final = frozenset({"remove", "delete", "removed"})
_ID: Final = re.compile(r"[0-9]{1,32}(?:_[0-9]{1,32}){0,2}")


@dataclass(frozen=True, slots=True)
class Said:
    """Somebody said something, or changed it. Raw, so it lies in memory alone.

    `post`: below which post of the Page, or on which it was said; the same as `id` where it is a post. `told`: when
    Facebook says that this is so, by its own clock. `author`: id and name, where they are given.
    """

    id: str
    post: str
    at: datetime
    text: str
    told: datetime
    parent: str | None = None
    author: tuple[str, str] | None = None
    edited: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    """Name of a person who is tagged in the text → id."""

    @property
    def digest(self) -> str:
        """Of what it says: tells versions apart, whether they are told by a call or by an answer."""
        return hashlib.sha256(self.text.encode("utf-8", "replace")).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class Removed:
    """A post or a comment was deleted."""

    id: str
    is_post: bool


@dataclass(frozen=True, slots=True)
class Untold:
    """It was said, and what it says is not told: to be asked for."""

    id: str
    post: str


Change = Said | Removed | Untold


def changes_of(body: bytes, page: str) -> Iterator[Change | Unusable]:
    """What a call tells, in its order; Unusable in the place of what cannot be read. Raises Unusable for no call."""
    try:
        raw = read_json(body)
    except ValueError:
        raise Unusable(DropReason.BAD_JSON) from None
    if not isinstance(raw, dict) or not isinstance(raw.get("entry"), list):
        raise Unusable(DropReason.WRONG_TYPE, "entry")
    if raw.get("object") != "page":
        raise Unusable(DropReason.NOT_A_POST, "object")
    for entry in raw["entry"]:
        if not isinstance(entry, dict):
            yield Unusable(DropReason.WRONG_TYPE, "entry")
        elif as_id(entry.get("id")) == page:
            # One of another page of the same app is none of ours.
            for change in dicts(entry.get("changes")):
                try:
                    if (found := _change(change, entry)) is not None:
                        yield found
                except Unusable as refused:
                    yield refused


def _change(change: Raw, entry: Raw) -> Change | None:
    value = change.get("value")
    if change.get("field") not in ("feed", "mention"):
        return None
    if not isinstance(value, dict):
        raise Unusable(DropReason.WRONG_TYPE, "value")
    item, verb = value.get("item"), value.get("verb")
    is_comment = item == "comment"
    if not is_comment and item not in _POSTS:
        return None
    id_ = _id(value, "comment_id" if is_comment else "post_id")
    post = _id(value, "post_id") if "post_id" in value else id_
    if verb in _REMOVED:
        return Removed(id_, not is_comment)
    if verb not in _ADDED and verb not in _EDITED:
        return None
    text = as_text(value.get("message"))
    if text is None:
        # A picture or a sticker says nothing; a mention always does.
        return Untold(id_, post) if change.get("field") == "mention" else None
    at = unix_time_of(value, "created_time")
    told = unix_time_of(entry, "time") if "time" in entry else at
    return Said(
        id=id_,
        post=post,
        at=at,
        text=text,
        told=max(told, at),
        parent=_optional_id(value.get("parent_id")),
        author=_author(value),
        edited=verb in _EDITED,
        names=_tagged(value.get("message_tags")),
    )


def read_post(raw: Raw, told: datetime) -> Said | None:
    """A post of one of the Page's lists; None where it says nothing. `told`: when it was asked for. Raises Unusable."""
    id_ = _id(raw, "id")
    return _read(raw, id_, id_, told)


def read_comment(raw: Raw, post: str, told: datetime) -> Said | None:
    """A comment below `post`. Raises Unusable."""
    return _read(raw, _id(raw, "id"), post, told)


def _read(raw: Raw, id_: str, post: str, told: datetime) -> Said | None:
    text = as_text(raw.get("message"))
    at = _written(raw, "created_time")
    if not text:
        return None
    parent = raw.get("parent")
    above = _optional_id(parent.get("id")) if isinstance(parent, dict) else None
    return Said(
        id=id_,
        post=post,
        at=at,
        text=text,
        told=told,
        parent=above or (post if id_ != post else None),
        author=_author(raw),
        names=_tagged(raw.get("message_tags")),
    )


def created(raw: Raw) -> datetime | None:
    """When a thing of an answer was made; None where it does not say so."""
    try:
        return _written(raw, "created_time")
    except Unusable:
        return None


def post_of(
    said: Said,
    *,
    source: str,
    page: str,
    at: datetime,
    version: str | None,
    above: str,
    handle: str | None,
    names: Mapping[str, str],
) -> Post:
    """`at`: when it counts as said. `above`: what the post of the Page says below which it stands. `handle`: the Page's
    own, by which a track finds all that is said on it. `names`: of who else writes there, in lower case → id: of them a
    text holds none. Raises Unusable."""
    text, named = without_names(said.text, {**names, **said.names})
    author = None
    if said.author is not None:
        own = said.author[0] == page
        author = Author(id=said.author[0], author_class=AuthorClass.OWN if own else AuthorClass.UNKNOWN)
    return build(
        source=source,
        id=said.id,
        at=at,
        text=text,
        author=author,
        reply_to=said.parent if said.parent != said.id else None,
        version=version,
        handles=named,
        url=link_of(said),
        quoted=Quoted(text=above, handles=(handle,) if handle else ()) if above or handle else None,
    )


def link_of(said: Said) -> str:
    """By numbers alone: what stands in a path at facebook.com is taken for somebody's name."""
    owner, _, post = said.post.rpartition("_")
    where = f"https://www.facebook.com/permalink.php?story_fbid={post}&id={owner}"
    return where if said.id == said.post else f"{where}&comment_id={said.id.rpartition('_')[2]}"


def without_names(text: str, names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """A person who is named in full is written `@ID`, of which privacy makes a pseudonym. With the ids in it then."""
    named: dict[str, str] = {}
    lower = text.lower()
    for name, id_ in names.items():
        if name in lower:
            pattern = rf"(?i)(?<!\w)@?{re.escape(name)}(?!\w)"
            text, count = re.subn(pattern, f"@{id_}", text)
            if count:
                named[id_], lower = id_, text.lower()
    return text, named


def name_key(name: str) -> str | None:
    """How a person's name is looked for in texts; None for one that could be a word of any sentence."""
    plain = " ".join(name.split()).lower()
    return plain if " " in plain and len(plain) >= 5 else None


def _tagged(raw: Any) -> dict[str, str]:
    if isinstance(raw, dict):
        raw = [tag for tags in raw.values() if isinstance(tags, list) for tag in tags]
    found = {}
    for tag in dicts(raw):
        name, id_ = as_text(tag.get("name")), as_id(tag.get("id"))
        if id_ and name and (key := name_key(name)) and tag.get("type", "user") == "user":
            found[key] = id_
    return found


def _author(raw: Raw) -> tuple[str, str] | None:
    sender = raw.get("from")
    if isinstance(sender, dict) and (id_ := as_id(sender.get("id"))):
        return id_, as_text(sender.get("name")) or ""
    if id_ := as_id(raw.get("sender_id")):
        return id_, as_text(raw.get("sender_name")) or ""
    return None


def _id(raw: Raw, name: str) -> str:
    id_ = as_id(raw.get(name))
    if id_ is None:
        raise Unusable(DropReason.MISSING_FIELD, name)
    if not _ID.fullmatch(id_):
        raise Unusable(DropReason.WRONG_TYPE, name)
    return id_


def _optional_id(raw: Any) -> str | None:
    id_ = as_id(raw)
    return id_ if id_ is not None and _ID.fullmatch(id_) else None


def _written(raw: Raw, name: str) -> datetime:
    value = raw.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return unix_time_of(raw, name)
    if not isinstance(value, str):
        raise Unusable(DropReason.MISSING_FIELD if value is None else DropReason.WRONG_TYPE, name)
    try:
        at = parse_instant(value)
    except ValueError:
        raise Unusable(DropReason.BAD_DATE, name) from None
    if not EARLIEST <= at < LATEST:
        raise Unusable(DropReason.BAD_DATE, name)
    return at
