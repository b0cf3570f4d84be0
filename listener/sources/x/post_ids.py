"""The ids of X's posts as people write them: a number, or the link to the post, also through a mirror of X."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from listener.sources.contract import PostIds

LONGEST = 19
"""Digits of the largest id, a number below 2**63."""

_NUMBER = re.compile(r"[1-9][0-9]*")
_STATUS = re.compile(r"(?i)^[^?#]*?/(?:i/web|i|@?[^/?#@]+)/status(?:es)?/(?P<id>[^/?#]*)")
_OF_MASTODON = re.compile(r"(?i)/users/[^/?#]+/statuses/|/@[^/?#]+/\d+")
"""Mirrors of X have any address, so what is none is known by its path."""


def _parse(typed: str) -> str:
    if not _NUMBER.fullmatch(typed):
        raise ValueError("is no post id")
    if len(typed) > LONGEST or int(typed) >= 1 << 63:
        raise ValueError("has more digits than a post id")
    return typed


def _in_link(link: str) -> str | None:
    if "%" in link:
        link = unquote(link)
    if _OF_MASTODON.search(link):
        raise ValueError("is a link to a platform that is no source of ours")
    status = _STATUS.match(link)
    return None if status is None else status["id"].rstrip(".:!")


POST_IDS: Final = PostIds(parse=_parse, in_link=_in_link, looks="all digits of the id (1906123456789012345)")
