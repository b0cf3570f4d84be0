"""A line of X's stream read straight into what a post needs, in half the time: the shapes that nearly all lines have.

What is not of them (quotes, long posts, places, users within a post, anything odd) is left to
`listener.sources.x.payload`, which knows all shapes and why something is no post. A post that is read here is the very
one that would be read there; `tests/unit/test_x_typed.py` holds it to that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from msgspec import UNSET, UnsetType

from listener.model.hashtags import hashtags_in
from listener.model.records import Author, AuthorClass, Post
from listener.sources.common.fields import MAX_NAMED, build, time_said
from listener.sources.x.payload import REPOST, VERIFIED, earlier, link_to, unescape

_MOST_NESTED = 190
"""What begins more lists and objects than that might be nested deeper than the other reader follows."""


class _Read(msgspec.Struct, gc=False):
    """Fields that are not named are passed over, if they are JSON."""


class _Tag(_Read):
    tag: str | None = None


class _Mention(_Read):
    username: str | None = None
    id: str | None = None


class _Url(_Read):
    url: str | None = None
    expanded_url: str | None = None
    unwound_url: str | None = None


class _Entities(_Read):
    hashtags: list[_Tag] | None = None
    mentions: list[_Mention] | None = None
    urls: list[_Url] | None = None


class _Reference(_Read):
    type: str
    id: str
    text: UnsetType = UNSET
    note_tweet: UnsetType = UNSET


class _Said(_Read):
    """What a post and one that it refers to share."""

    id: str
    text: str
    author_id: str | None = None
    entities: _Entities | None = None
    referenced_tweets: list[_Reference] | None = None
    author: UnsetType = UNSET
    note_tweet: UnsetType = UNSET


class _Post(_Said, kw_only=True):
    created_at: str
    lang: str | None = None
    edit_history_tweet_ids: list[str] | None = None
    in_reply_to_user_id: str | None = None
    in_reply_to_user: UnsetType = UNSET
    geo: UnsetType = UNSET


class _Metrics(_Read):
    followers_count: int | None = None


class _User(_Read):
    id: str
    username: str | None = None
    verified_type: str | None = None
    public_metrics: _Metrics | None = None


class _Includes(_Read):
    users: list[_User] | None = None
    tweets: list[_Said] | None = None


class _Answer(_Read):
    data: _Post
    includes: _Includes | None = None


_decode = msgspec.json.Decoder(_Answer).decode
_NOTHING = _Entities()


def read_post(line: bytes, source: str) -> Post | None:
    """The post of a line; None where it is not surely one of the shapes that are known here."""
    if line.count(b"[") + line.count(b"{") > _MOST_NESTED:
        return None
    try:
        line.decode()  # what is passed over must be UTF-8 too
        answer = _decode(line)
        return _post(answer.data, answer.includes or _Includes(), source)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # `Unusable` is a ValueError too
        return None


def _post(post: _Post, includes: _Includes, source: str) -> Post | None:
    users = {user.id: user for user in includes.users or ()}
    posts = {its.id: its for its in includes.tweets or ()}
    refs = {ref.type: ref.id for ref in post.referenced_tweets or ()}
    if (
        not (post.id and post.text and post.author_id != "")
        or "quoted" in refs
        or "" in {*users, *posts, *refs.values()}
    ):
        return None
    text, entities = unescape(post.text), post.entities or _NOTHING
    handles = dict(_mentions(entities))
    original = posts.get(refs.get("retweeted", ""))
    if original is not None:
        if not original.text or any(ref.type == "quoted" for ref in original.referenced_tweets or ()):
            return None
        head = REPOST.match(text)
        body, entities = unescape(original.text), original.entities or _NOTHING
        name = _handle(users, original.author_id) or (head[1] if head else None)
        text = f"RT @{name}: {body}" if name else body
        handles |= dict(_mentions(entities))
    addressed = [posts[id_].author_id for id_ in refs.values() if id_ in posts]
    for user in (post.in_reply_to_user_id, *addressed):
        if user is not None and (handle := _handle(users, user)):
            handles[handle.lower()] = user
    return build(
        source=source,
        id=post.id,
        at=time_said(post.created_at, "created_at"),
        text=text,
        lang=post.lang,
        author=None if post.author_id is None else _author(post.author_id, users),
        repost_of=refs.get("retweeted"),
        reply_to=refs.get("replied_to"),
        edits=earlier(tuple(filter(None, post.edit_history_tweet_ids or ())), post.id),
        hashtags=tuple([its.tag for its in entities.hashtags or () if its.tag is not None])
        or hashtags_in(text)[:MAX_NAMED],
        links=tuple(_links(entities)),
        handles=handles,
        url=link_to(post.id),
    )


def _handle(users: Mapping[str, _User], id_: str | None) -> str | None:
    user = users.get(id_ or "")
    return None if user is None else user.username


def _author(id_: str, users: Mapping[str, _User]) -> Author:
    user = users.get(id_)
    if user is None:
        return Author(id=id_)
    return Author(
        id=id_,
        handle=user.username,
        followers=user.public_metrics.followers_count if user.public_metrics else None,
        author_class=VERIFIED.get(user.verified_type or "", AuthorClass.UNKNOWN),
    )


def _mentions(entities: _Entities) -> Iterator[tuple[str, str]]:
    for its in entities.mentions or ():
        if its.username is not None and its.id:
            yield its.username.lower(), its.id


def _links(entities: _Entities) -> Iterator[str]:
    for its in entities.urls or ():
        link = its.unwound_url or its.expanded_url or its.url
        if link is not None:
            yield link
