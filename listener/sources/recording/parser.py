"""What a line of a recording says.

A line is an answer of X's stream or search (`{"data": …, "includes": …}`), or a plain post. A plain post has `id`,
`created_at` (RFC 3339) and `text`, and may have `author_id`, `username` and `followers` (or all of them in `author`),
`lang`, `place`, `hashtags`, `links`, `repost_of`, `reply_to`, `quote_of`, `edits` and `url`. One that bears fields of
X's own post object is read as such, with the users and posts that `twarc2 flatten` put inside. Ids may be numbers.
Whatever else there is is passed over.

Any line may name the `platform` that it was recorded from (`facebook`: a name of `SOURCES`). Only where nothing but the
recording is played does that count (`of_platforms`): on a live bus a platform's source asks whether the posts
there under its name are still up, and those of a recording are not for it to ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from listener.model.hashtags import hashtags_in
from listener.model.records import Author, Post
from listener.sources.common.fields import MAX_NAMED, Unusable, as_id, as_text, build, ids, text_of, texts, time_of
from listener.sources.common.recorded_lines import Parse
from listener.sources.contract import SOURCES, DropReason
from listener.sources.x import payload as x

_OF_X = frozenset({"entities", "referenced_tweets", "edit_history_tweet_ids", "note_tweet"})
_OF_A_POST = frozenset({"id", "created_at", "text"})


def posts_in(raw: Any, source: str) -> Iterable[Post | Unusable]:
    """One line's JSON → its posts in order. Raises Unusable."""
    if isinstance(raw, dict) and ("data" in raw or "meta" in raw):
        return x.parse_answer(raw, source)
    return (plain_post(raw, source),)


def of_platforms(unnamed: str | None = None) -> Parse:
    """As `posts_in`, each line's posts of the platform that it names; of `unnamed`, else of the source, where it names
    none."""

    def parse(raw: Any, source: str) -> Iterable[Post | Unusable]:
        named = raw.get("platform") if isinstance(raw, dict) else None
        return posts_in(raw, named if isinstance(named, str) and named in SOURCES else unnamed or source)

    return parse


def plain_post(raw: Any, source: str) -> Post:
    """One plain post. Raises Unusable."""
    if not isinstance(raw, dict):
        raise Unusable(DropReason.WRONG_TYPE, "line")
    if _OF_A_POST.isdisjoint(raw) or ("text" not in raw and "action" in raw):
        raise Unusable(DropReason.NOT_A_POST)
    if not _OF_X.isdisjoint(raw):
        said = raw.get("author")
        user = said if isinstance(said, dict) else {"username": said or raw.get("username")}
        return x.parse_post({**raw, "author": user}, x.Includes(None), source)
    post_id, text = text_of(raw, "id"), x.unescape(text_of(raw, "text"))
    return build(
        source=source,
        id=post_id,
        at=time_of(raw, "created_at"),
        text=text,
        lang=as_text(raw.get("lang")),
        author=_author(raw),
        repost_of=as_id(raw.get("repost_of")),
        reply_to=as_id(raw.get("reply_to")),
        quote_of=as_id(raw.get("quote_of")),
        edits=ids(raw.get("edits")),
        hashtags=texts(raw.get("hashtags")) or hashtags_in(text)[:MAX_NAMED],
        links=texts(raw.get("links")),
        place=as_text(raw.get("place")),
        url=as_text(raw.get("url")),
    )


def _author(raw: dict[str, Any]) -> Author | None:
    said = raw.get("author")
    user: dict[str, Any] = said if isinstance(said, dict) else {}
    name = said if isinstance(said, str) else user.get("username") or user.get("handle")
    handle = as_text(name or raw.get("username") or raw.get("handle"))
    # Without an id the handle serves, written as privacy writes one: so author and mentions get the same pseudonym.
    author_id = as_id(raw.get("author_id")) or as_id(user.get("id")) or (f"@{handle.casefold()}" if handle else None)
    if author_id is None:
        return None
    metrics = user.get("public_metrics") or {"followers_count": user.get("followers", raw.get("followers"))}
    return x.make_author(author_id, user | {"username": handle, "public_metrics": metrics})
