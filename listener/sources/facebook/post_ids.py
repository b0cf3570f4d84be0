"""The ids of Facebook's posts and comments as people write them: two numbers, or the link to what is meant."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from listener.sources.contract import PostIds

_ID = re.compile(r"[0-9]{1,32}_[0-9]{1,32}")
_HOST = re.compile(r"(?i)(?:https?:)?(?://)?(?:[\w-]+\.)*(?:facebook|fb)\.com/")
_OURS = re.compile(r"(?P<page>[0-9]{1,32})_(?P<post>[0-9]{1,32})")
_POST = re.compile(r"(?:^|/)(?:posts|videos|photos|reel)/(?:[^/]+/)*?(?P<post>[0-9]{5,32})(?:/|$)")


def _parse(typed: str) -> str:
    if not _ID.fullmatch(typed):
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    if not _HOST.match(link):
        return None
    parts = urlsplit(unquote(link) if "%" in link else link)
    asked = parse_qs(parts.query)
    path = parts.path.rstrip("/.:!")
    story, owner = (asked.get(name, [""])[0] for name in ("story_fbid", "id"))
    if story.isdigit() and owner.isdigit():
        path = f"/{owner}_{story}"
    ours = _OURS.search(path)
    comment = asked.get("reply_comment_id", asked.get("comment_id", [""]))[0]
    if comment.isdigit():
        found = ours or _POST.search(path)
        if found is not None:
            return f"{found['post']}_{comment}"
    elif ours is not None:
        return ours[0]
    raise ValueError(
        "names neither page nor post by their numbers; `lyttepost bus read mentions` shows ids, such as 1906_2711"
    )


POST_IDS: Final = PostIds(parse=_parse, in_link=_in_link, looks="two numbers with _ between (100064_7351)")
