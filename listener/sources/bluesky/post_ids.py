"""The ids of Bluesky's posts as people write them: an at:// address, or the link to the post at bsky.app."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from listener.sources.contract import PostIds

_DID = r"did:[a-z]+:[A-Za-z0-9._:%-]{1,256}"
_RKEY = r"[A-Za-z0-9._~-]{1,512}"
_AT = re.compile(rf"at://(?P<did>{_DID})/app\.bsky\.feed\.post/(?P<rkey>{_RKEY})")
_LINK = re.compile(
    r"(?i)(?:https?:)?(?://)?(?:[\w-]+\.)*(?:bsky\.app|deer\.social|blacksky\.community)/profile/"
    r"(?P<who>[^/?#]+)/post/(?P<rkey>[^/?#]+)"
)
"""Bluesky's own pages, and those of apps that show the same posts under the same paths."""


def _parse(typed: str) -> str:
    if not _AT.fullmatch(typed):
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    found = _LINK.match(unquote(link) if "%" in link else link)
    if found is None:
        return None
    if not re.fullmatch(_DID, found["who"]):
        raise ValueError(
            "names its author by a handle, which may belong to another by now; write the post's at:// address, or the "
            "link with the author's did:… in it"
        )
    return f"at://{found['who']}/app.bsky.feed.post/{found['rkey'].rstrip('.:!')}"


POST_IDS: Final = PostIds(parse=_parse, in_link=_in_link, looks="the post's address (at://did:…/app.bsky.feed.post/…)")
