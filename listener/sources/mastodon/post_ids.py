"""The ids of Mastodon's posts as people write them: the post's uri, the same on every server.

A link to a post's page (`https://server/@name/NUMBER`) is not its uri, nor can the uri be told from it: servers show
the posts of others under numbers of their own, and write the uris of their own in more than one way.
"""

from __future__ import annotations

import re
from typing import Final

from listener.sources.contract import PostIds

_URI = re.compile(r"https?://[^\s/?#@]+/[^\s]+")
_ACTIVITY = re.compile(
    r"(?i)(?P<uri>https?://[^\s/?#@]+/(?:users/[^\s/?#]+/statuses/\d+|ap/users/\d+/statuses/\d+))(?:/activity)?/?"
)
_PAGE = re.compile(r"(?i)https?://[^\s/?#@]+/(?:@|deck/@|web/statuses/)[^\s?#]*\d")


def _parse(typed: str) -> str:
    if not _URI.fullmatch(typed) or len(typed) > 2_000:
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    if (uri := _ACTIVITY.fullmatch(link)) is not None:
        return uri["uri"]
    if _PAGE.match(link):
        raise ValueError("is a page that shows a post of Mastodon; write the post's uri, which stands with it")
    return None


POST_IDS: Final = PostIds(parse=_parse, in_link=_in_link, looks="the post's uri (https://…/users/…/statuses/…)")
