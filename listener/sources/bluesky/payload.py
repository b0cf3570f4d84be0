"""A record of `app.bsky.feed.post` → a `Post`. Pure.

When it was said is when the host saw it: `createdAt` is the author's own clock, and may be an hour off, or years. Who
said it is a DID; a handle is known only of the accounts that the settings name. What a link's card, a picture's
description or a quoted post's record says is matched with the post and not stored with it.

Source: the lexicons `app.bsky.feed.post`, `app.bsky.richtext.facet` and `app.bsky.embed.*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from listener.model.records import Author, Post, Quoted
from listener.sources.bluesky.frames import Commit
from listener.sources.common.fields import Raw, as_text, build, dicts, text_of, texts

_TAG, _LINK, _MENTION = (f"app.bsky.richtext.facet#{name}" for name in ("tag", "link", "mention"))
_OWNER = re.compile(r"at://(did:[^/?#]+)")


def read_post(commit: Commit, at: datetime, source: str, handles: Mapping[str, str]) -> Post:
    """`handles`: DID → handle, of accounts that the settings name. Raises Unusable."""
    record: Raw = commit.record or {}
    said = as_text(record.get("text"))
    # A picture alone has no words, which is no fault: then what it is said to show must do.
    text = text_of(record, "text") if said else ""
    links, tags = [], list(texts(record.get("tags")))
    named: dict[str, str] = {}
    for facet in dicts(record.get("facets")):
        for feature in dicts(facet.get("features")):
            kind = feature.get("$type")
            if kind == _TAG and (tag := as_text(feature.get("tag"))):
                tags.append(tag)
            elif kind == _LINK and (uri := as_text(feature.get("uri"))):
                links.append(uri)
            elif kind == _MENTION and (did := as_text(feature.get("did"))):
                named |= _named(text, facet.get("index"), did, handles)
    embed = record.get("embed")
    parent = _uri(record.get("reply"), "parent")
    quote = next(_quoted_uris(embed), None)
    for uri in (parent, quote):
        if uri and (owner := _OWNER.match(uri)) and owner[1] in handles:
            named[handles[owner[1]]] = owner[1]
    links += [uri for card in _cards(embed) if (uri := as_text(card.get("uri")))]
    beside = " ".join(_beside(embed))
    return build(
        source=source,
        id=commit.uri,
        at=at,
        text=text,
        lang=next(iter(texts(record.get("langs"))), None),
        author=Author(id=commit.did, handle=handles.get(commit.did)),
        reply_to=parent,
        quote_of=quote,
        version=(commit.rev or "edited") if commit.operation == "update" else None,
        hashtags=tuple(dict.fromkeys(tags)),
        links=tuple(dict.fromkeys(links)),
        handles=named,
        url=f"https://bsky.app/profile/{commit.did}/post/{commit.rkey}",
        quoted=Quoted(text=beside) if beside else None,
    )


def _named(text: str, index: Any, did: str, handles: Mapping[str, str]) -> dict[str, str]:
    """A mention: the name as it stands in the text, whose place is told in bytes of UTF-8, and the one we know."""
    names = {handles[did]: did} if did in handles else {}
    if isinstance(index, dict):
        start, end = index.get("byteStart"), index.get("byteEnd")
        if type(start) is int and type(end) is int and 0 <= start < end:
            written = text.encode("utf-8", "replace")[start:end].decode("utf-8", "replace")
            name = written.strip().lstrip("@＠").lower()
            if name and " " not in name:
                names[name] = did
    # What is not known by a name is known by its id, which may stand in a link.
    return names or {did.lower(): did}


def _uri(holder: Any, name: str) -> str | None:
    inner = holder.get(name) if isinstance(holder, dict) else None
    return as_text(inner.get("uri")) if isinstance(inner, dict) else None


def _quoted_uris(embed: Any) -> Iterator[str]:
    """`embed.record`, and within `embed.recordWithMedia` once more."""
    if not isinstance(embed, dict):
        return
    record = embed.get("record")
    if isinstance(record, dict):
        uri = as_text(record.get("uri")) or _uri(record, "record")
        if uri:
            yield uri


def _media(embed: Any) -> list[Raw]:
    if not isinstance(embed, dict):
        return []
    media = embed.get("media")
    return [embed, media] if isinstance(media, dict) else [embed]


def _cards(embed: Any) -> Iterator[Raw]:
    for each in _media(embed):
        if isinstance(card := each.get("external"), dict):
            yield card


def _beside(embed: Any) -> Iterator[str]:
    """What is said beside the text."""
    for card in _cards(embed):
        yield from filter(None, (as_text(card.get("title")), as_text(card.get("description"))))
    for each in _media(embed):
        yield from filter(None, (as_text(picture.get("alt")) for picture in dicts(each.get("images"))))
        if alt := as_text(each.get("alt")):
            yield alt


def words_of(post: Post) -> str:
    """All in it that a track could be found in, for a sieve."""
    quoted = post.quoted.text if post.quoted is not None else ""
    whose = [each for each in (post.author.id if post.author else None, post.reply_to, post.quote_of) if each]
    return " ".join((post.text, *post.hashtags, *post.handles, *post.handles.values(), *whose, quoted))
