"""A status as a server gives it → a `Post`. Pure.

`id` is the server's own number and `uri` the same on all: the uri is the post, the number one of its aliases, by which
alone a deletion is told. A person is named by `name@server`, for their number differs from server to server. What a
picture, a link's card, a poll or a quoted post says is matched with the post and not stored with it.

Source: Mastodon's documentation, "Status", "Account", "MediaAttachment", "PreviewCard", "Poll".
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from listener.model.normalize import whole
from listener.model.records import Author, Post, Quoted
from listener.sources.common.fields import Raw, Unusable, as_text, build, dicts, text_of, time_of
from listener.sources.contract import DropReason
from listener.sources.mastodon.plain_text import plain_text
from listener.units import format_instant

LONGEST_ID: Final = 128
LONGEST_URI: Final = 2_000


def read_status(raw: Raw, source: str, server: str, domain: str, now: datetime) -> Post:
    """`server`: who gives it, by whose name its aliases begin; `domain`: that of the accounts that are its own.

    Nothing is said later than `now`: what a wrong clock dates ahead would end every window. Raises Unusable.
    """
    uri, id_ = text_of(raw, "uri"), id_of(raw)
    if len(uri) > LONGEST_URI or not uri.isprintable() or " " in uri:
        raise Unusable(DropReason.WRONG_TYPE, "uri")
    at, edited = time_of(raw, "created_at"), time_of(raw, "edited_at") if raw.get("edited_at") else None
    boosted = raw.get("reblog") if isinstance(raw.get("reblog"), dict) else None
    said: Raw = boosted or raw
    text, links = _words(said)
    tags = tuple(tag for each in dicts(said.get("tags")) if (tag := as_text(each.get("name"))))
    quoted = _quoted_status(said)
    beside = " ".join(_beside(said, quoted))
    author = raw.get("account")
    return build(
        source=source,
        id=uri,
        at=min(edited or at, now),
        text=text,
        lang=as_text(said.get("language")),
        author=_author(author, domain) if isinstance(author, dict) else None,
        repost_of=None if boosted is None else text_of(boosted, "uri"),
        quote_of=None if quoted is None else as_text(quoted.get("uri")),
        version=None if edited is None else format_instant(edited),
        aliases=(alias(server, id_),),
        hashtags=tuple(dict.fromkeys(tags)),
        links=links,
        handles=_named(raw, said, domain),
        url=as_text(raw.get("url")),
        quoted=Quoted(text=beside) if beside else None,
    )


def id_of(raw: Raw) -> str:
    """The server's own number of it. Raises Unusable."""
    id_ = text_of(raw, "id")
    if len(id_) > LONGEST_ID or not id_.isalnum() or not id_.isascii():
        raise Unusable(DropReason.WRONG_TYPE, "id")
    return id_


def alias(server: str, id_: str) -> str:
    return f"{server}/{id_}"


def is_public(raw: Raw) -> bool:
    """Its author means it for everybody, and to be found: neither `unlisted` nor what is for some alone."""
    return raw.get("visibility") == "public"


def asks_not_to_be_indexed(raw: Raw) -> bool:
    account = raw.get("account")
    return isinstance(account, dict) and account.get("noindex") is True


def _words(raw: Raw) -> tuple[str, tuple[str, ...]]:
    """What it says, its warning first. A picture alone has no words, which is no fault."""
    content = raw.get("content")
    if content is None:
        raise Unusable(DropReason.MISSING_FIELD, "content")
    if not isinstance(content, str):
        raise Unusable(DropReason.WRONG_TYPE, "content")
    text, links = plain_text(whole(content))
    warning = (as_text(raw.get("spoiler_text")) or "").strip()
    return "\n\n".join(filter(None, (warning, text))), links


def full_name(account: Raw, domain: str) -> str | None:
    """`name@server`, lower case; a server leaves its own out."""
    acct = (as_text(account.get("acct")) or "").strip().lstrip("@").lower()
    if not acct or " " in acct or not acct.isprintable():
        return None
    return acct if "@" in acct else f"{acct}@{domain}"


def _author(account: Raw, domain: str) -> Author | None:
    name = full_name(account, domain)
    if name is None:
        return None
    followers = account.get("followers_count")
    known = type(followers) is int and followers >= 0
    return Author(id=name, handle=name, followers=followers if known else None)


def _named(raw: Raw, said: Raw, domain: str) -> dict[str, str]:
    """In a text stands the name alone, in a link the name with or without its server."""
    accounts = [raw.get("account"), said.get("account"), *dicts(said.get("mentions"))]
    found: dict[str, str] = {}
    for account in accounts:
        if isinstance(account, dict) and (name := full_name(account, domain)) is not None:
            found |= {name.partition("@")[0]: name, name: name}
    return found


def _quoted_status(raw: Raw) -> Raw | None:
    quote = raw.get("quote")
    inner = quote.get("quoted_status") if isinstance(quote, dict) else None
    return inner if isinstance(inner, dict) else None


def _beside(raw: Raw, quoted: Raw | None) -> Iterator[str]:
    """What is said beside the text."""
    for media in dicts(raw.get("media_attachments")):
        if described := as_text(media.get("description")):
            yield described
    card = raw.get("card")
    if isinstance(card, dict):
        yield from filter(None, (as_text(card.get("title")), as_text(card.get("description"))))
    poll = raw.get("poll")
    if isinstance(poll, dict):
        yield from filter(None, (as_text(option.get("title")) for option in dicts(poll.get("options"))))
    if quoted is not None and isinstance(content := quoted.get("content"), str):
        yield plain_text(whole(content))[0]


def words_of(post: Post) -> str:
    """All in it that a track could be found in, for a sieve."""
    quoted = post.quoted.text if post.quoted is not None else ""
    return " ".join((post.text, *post.hashtags, *post.handles, *post.handles.values(), quoted))


def newest_first(value: Any) -> list[Raw]:
    """The statuses of a page. Raises Unusable where it is none: an error in a 200, or what a proxy sent."""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise Unusable(DropReason.WRONG_TYPE, "page")
    return value
