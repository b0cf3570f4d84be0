"""The shape of X API v2: one answer of the stream or a page of search → posts. Pure; what will not do has a reason.

An answer is `{"data": {…} | […], "includes": {"users": […], "tweets": […], "places": […]}, …}`. Each post in it becomes
a `Post` or a `DropReason`; only an answer that holds no post at all raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from listener.model.hashtags import hashtags_in
from listener.model.records import Author, AuthorClass, Post, Quoted
from listener.sources.common.fields import (
    MAX_NAMED,
    Raw,
    Unusable,
    as_id,
    as_text,
    build,
    dicts,
    ids,
    text_of,
    texts,
    time_of,
)
from listener.sources.contract import DropReason

_NOT_A_POST = ("username", "member_count", "tweet_count", "action")
"""Fields of users, lists, counts and compliance events, which come in the same wrapping."""

VERIFIED = {"government": AuthorClass.PUBLIC_BODY, "business": AuthorClass.ORGANISATION}
"""X's `verified_type`; "blue" is a person who pays, or anybody."""

REPOST = re.compile(r"RT @(\w+)")


class Includes:
    """What an answer's posts refer to, by id."""

    def __init__(self, raw: Any) -> None:
        self.users = _by_id(_in(raw, "users"))
        self.posts = _by_id(_in(raw, "tweets"))
        self.places = _by_id(_in(raw, "places"))

    def handle(self, user_id: Any) -> str | None:
        """A user's handle as it is written, where the answer has it."""
        return as_text(self.users.get(as_id(user_id) or "", {}).get("username"))

    def beside(self, post: Raw) -> Includes:
        """These, and what stands inside the post itself, where `twarc2 flatten` puts users and posts."""
        if not any(isinstance(post.get(name), dict) for name in _INLINE_USERS) and not any(_inline_posts(post)):
            return self
        more = Includes(None)
        more.users, more.posts, more.places = dict(self.users), dict(self.posts), self.places
        todo = [post]
        while todo:
            here = todo.pop()
            for name, by in _INLINE_USERS.items():
                user = here.get(name)
                user_id = as_id(here.get(by)) or as_id(_in(user, "id"))
                if user_id is not None and isinstance(user, dict):
                    more.users.setdefault(user_id, user)
            for inner in _inline_posts(here):
                post_id = as_id(inner.get("id"))
                if post_id is not None:
                    more.posts.setdefault(post_id, inner)
                todo.append(inner)
        return more


_INLINE_USERS = {"author": "author_id", "in_reply_to_user": "in_reply_to_user_id"}
"""Where a user stands inside a post, and the field that names its id."""


def _inline_posts(post: Raw) -> Iterator[Raw]:
    return (ref for ref in dicts(post.get("referenced_tweets")) if "text" in ref or "note_tweet" in ref)


def _by_id(raw: Any) -> dict[str, Raw]:
    return {post_id: item for item in dicts(raw) if (post_id := as_id(item.get("id"))) is not None}


def parse_answer(raw: Any, source: str) -> list[Post | Unusable]:
    """One decoded answer → its posts in order. Raises Unusable when it is no answer that could hold one."""
    if not isinstance(raw, dict):
        raise Unusable(DropReason.WRONG_TYPE, "answer")
    if "data" not in raw:
        if _in(raw.get("meta"), "result_count") == 0:
            return []
        raise Unusable(DropReason.NOT_A_POST)
    data, includes = raw["data"], Includes(raw.get("includes"))
    out: list[Post | Unusable] = []
    for item in data if isinstance(data, list) else (data,):
        try:
            out.append(parse_post(item, includes, source))
        except Unusable as refused:
            out.append(refused)
    return out


def parse_post(raw: Any, includes: Includes, source: str) -> Post:
    """One post object of X. Raises Unusable."""
    if not isinstance(raw, dict):
        raise Unusable(DropReason.WRONG_TYPE, "data")
    if "text" not in raw and any(name in raw for name in _NOT_A_POST):
        raise Unusable(DropReason.NOT_A_POST)
    post_id = text_of(raw, "id")
    includes = includes.beside(raw)
    refs = dict(_references(raw))
    text, entities = _full_text(raw)
    handles = dict(_mentions(entities))
    original = includes.posts.get(refs.get("retweeted", ""))
    if original is not None:
        head = REPOST.match(text)
        body, entities = _full_text(original)
        name = includes.handle(_author_id(original)) or (head[1] if head else None)
        # X cuts a repost's own text at 140 characters; the original beside it is whole.
        text = f"RT @{name}: {body}" if name else body
        handles |= dict(_mentions(entities))
    # What a reposted post quotes comes with the repost only if X sends it so.
    quoted = _quoted(refs.get("quoted") or dict(_references(original or {})).get("quoted"), includes)
    for user in _addressed(raw, includes, refs):
        if handle := includes.handle(user):
            handles[handle.lower()] = user
    geo = raw.get("geo")
    place = includes.places.get(as_id(_in(geo, "place_id")) or "", {}).get("full_name") or _in(geo, "full_name")
    return build(
        source=source,
        id=post_id,
        at=time_of(raw, "created_at"),
        text=text,
        lang=as_text(raw.get("lang")),
        author=_author(_author_id(raw), includes),
        repost_of=refs.get("retweeted"),
        reply_to=refs.get("replied_to"),
        quote_of=refs.get("quoted"),
        edits=earlier(ids(raw.get("edit_history_tweet_ids")), post_id),
        hashtags=texts([h.get("tag") for h in dicts(_in(entities, "hashtags"))]) or hashtags_in(text)[:MAX_NAMED],
        links=tuple(_links(entities)),
        handles=handles,
        place=as_text(place),
        url=link_to(post_id),
        quoted=quoted,
    )


def link_to(post_id: str) -> str:
    """X opens a post under this link, whoever wrote it: no name stands in it."""
    return f"https://x.com/i/web/status/{post_id}"


def unescape(text: str) -> str:
    """X writes &, < and > of a text as `&amp;`, `&lt;` and `&gt;`, and nothing else."""
    if "&" not in text:
        return text
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _full_text(raw: Raw) -> tuple[str, Any]:
    """A post's whole text and the entities that belong to it: beyond 280 characters they stand in `note_tweet`."""
    note = raw.get("note_tweet")
    if isinstance(note, dict) and isinstance(note.get("text"), str) and note["text"]:
        return unescape(note["text"]), note.get("entities") or raw.get("entities")
    return unescape(text_of(raw, "text")), raw.get("entities")


def _author_id(post: Raw) -> Any:
    """As it is written; where there is none, that of the author inside the post."""
    said = post.get("author_id")
    return _in(post.get("author"), "id") if said is None else said


def _author(said: Any, includes: Includes) -> Author | None:
    if said is None:
        return None
    author_id = said if said == "" else as_id(said)
    if author_id is None:
        raise Unusable(DropReason.WRONG_TYPE, "author_id")
    return make_author(author_id, includes.users.get(author_id, {}))


def make_author(author_id: str, user: Raw) -> Author:
    """An author of an id and X's user object, which may be empty. What is odd in the latter is unknown, not refused."""
    followers = _in(user.get("public_metrics"), "followers_count")
    return Author(
        id=author_id,
        handle=as_text(user.get("username")),
        followers=followers if type(followers) is int else None,
        author_class=VERIFIED.get(as_text(user.get("verified_type")) or "", AuthorClass.UNKNOWN),
    )


def _references(raw: Raw) -> Iterator[tuple[str, str]]:
    for ref in dicts(raw.get("referenced_tweets")):
        kind, post_id = ref.get("type"), as_id(ref.get("id"))
        if isinstance(kind, str) and post_id is not None:
            yield kind, post_id


def earlier(history: tuple[str, ...], post_id: str) -> tuple[str, ...]:
    """The ids before this one. X gives all versions in their order, of an older one the newer ones too."""
    return history[: history.index(post_id)] if post_id in history else history


def _mentions(entities: Any) -> Iterator[tuple[str, str]]:
    for mention in dicts(_in(entities, "mentions")):
        name, user = as_text(mention.get("username")), as_id(mention.get("id"))
        if name is not None and user is not None:
            yield name.lower(), user


def _quoted(post_id: str | None, includes: Includes) -> Quoted | None:
    """What a post quotes, where the answer holds it. One that is odd is left out: the post is whole without it."""
    raw = includes.posts.get(post_id or "")
    if raw is None:
        return None
    try:
        text, entities = _full_text(raw)
        return Quoted(
            text=text,
            hashtags=texts([h.get("tag") for h in dicts(_in(entities, "hashtags"))]) or hashtags_in(text),
            handles=tuple(dict(_mentions(entities))),
            place=as_text(includes.places.get(as_text(_in(raw.get("geo"), "place_id")) or "", {}).get("full_name")),
        )
    except (Unusable, ValidationError):
        return None


def _addressed(raw: Raw, includes: Includes, refs: Mapping[str, str]) -> Iterator[str]:
    """The authors whom a post answers, reposts or quotes: it concerns them though its text may not name them."""
    users = [raw.get("in_reply_to_user_id")]
    users += [_author_id(includes.posts.get(post_id, {})) for post_id in refs.values()]
    return (user for user in map(as_id, users) if user is not None)


def _links(entities: Any) -> Iterator[str]:
    for url in dicts(_in(entities, "urls")):
        link = as_text(url.get("unwound_url") or url.get("expanded_url") or url.get("url"))
        if link is not None:
            yield link


def _in(raw: Any, name: str) -> Any:
    return raw.get(name) if isinstance(raw, dict) else None
