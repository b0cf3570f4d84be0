"""What is asked of a server: feeds, each a hashtag's or a whole timeline, and which tracks find their posts in which.

A feed is written `#tag`, `public` (all that the server knows) or `public:local` (its own people). Mastodon has no
stream of what holds a word: a phrase, a beginning, an account or a place is found only in what comes by a feed. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from listener.model.tracks import TrackKind, parse

PAGE: Final = 40
"""Posts of a page; no server gives more."""
TIMELINES: Final = {"local": "public:local", "public": "public"}
"""A server's setting → its feed beside the hashtags."""


def tag_of(track: str) -> str | None:
    """The hashtag by which a track's posts are asked for: its own, or of one word the hashtag of that word, which many
    write. None: there is none."""
    try:
        its = parse(track)
    except ValueError:
        return None
    if its.prefix or its.kind not in (TrackKind.HASHTAG, TrackKind.PHRASE):
        return None
    return its.text if re.fullmatch(r"\w*[^\W\d]\w*", its.text) else None


def feeds_of(tracks: Iterable[str], timeline: str) -> frozenset[str]:
    """`timeline`: the server's setting."""
    wanted = tuple(tracks)
    found = {f"#{tag}" for tag in map(tag_of, wanted) if tag}
    if wanted and timeline in TIMELINES:
        found.add(TIMELINES[timeline])
    return frozenset(found)


def subscription(feed: str, what: str = "subscribe") -> dict[str, Any]:
    """What is sent on the websocket to have a feed, or (`unsubscribe`) to have it no more."""
    if feed.startswith("#"):
        return {"type": what, "stream": "hashtag", "tag": feed[1:]}
    return {"type": what, "stream": feed}


def feed_of(stream: Any) -> str | None:
    """The feed that a message names as the one it came by; None where it names none of ours."""
    if not isinstance(stream, list) or not stream or not all(isinstance(part, str) for part in stream):
        return None
    if stream[0].startswith("hashtag"):
        return f"#{stream[1].lower()}" if len(stream) > 1 else None
    return str(stream[0])


def address(feed: str) -> tuple[str, dict[str, str]]:
    """Path and parameters of the feed's timeline, by which what was missed is read."""
    if feed.startswith("#"):
        return f"/api/v1/timelines/tag/{quote(feed[1:], safe='')}", {"limit": str(PAGE)}
    more = {"local": "true"} if feed == "public:local" else {}
    return "/api/v1/timelines/public", {"limit": str(PAGE), **more}


def order(id_: str) -> tuple[int, str]:
    """By this are a server's ids ordered: numbers of growing length on Mastodon, letters of one length elsewhere."""
    return len(id_), id_
