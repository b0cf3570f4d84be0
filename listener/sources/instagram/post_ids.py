"""The ids of what is said on Instagram: a medium's, and of a comment that of its medium and its own.

By the first a comment says where it stands, so that it can be asked for again whoever found it. Instagram's links hold
another name of a medium than its API does.
"""

from __future__ import annotations

import re
from typing import Final

from listener.sources.contract import PostIds

_ID = re.compile(r"[1-9][0-9]{14,17}(?:_[1-9][0-9]{14,17})?")
"""Of 17 digits today. Others could be anybody's."""
_LINK = re.compile(r"(?i)(?:https?:)?(?://)?(?:[\w-]+\.)*instagram\.com/(?:[^/?#]+/)?(?:p|reel|reels|tv)/[^/?#]+")


def comment_id(medium: str, comment: str) -> str:
    return f"{medium}_{comment}"


def split(post: str) -> tuple[str, str | None]:
    """The medium, and the comment on it; None: it is the medium itself."""
    medium, _, comment = post.partition("_")
    return medium, comment or None


def _parse(typed: str) -> str:
    if not _ID.fullmatch(typed):
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    if _LINK.match(link):
        raise ValueError("is Instagram's link, which holds no id of its API; write the id that the register shows")
    return None


POST_IDS: Final = PostIds(
    parse=_parse, in_link=_in_link, looks="the medium's id, and for a comment _ and its own (1790…_1801…)"
)
