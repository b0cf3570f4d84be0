"""The ids of YouTube's comments as people write them: the id, or the link to the comment."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

from listener.sources.contract import PostIds

ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{15,99}(?:\.[A-Za-z0-9_-]{8,99})?")
"""A reply's has that of its thread before it, and a full stop."""
_HOST: Final = re.compile(r"(?i)(?:https?:)?(?://)?(?:www\.|m\.)?(?:youtube\.com|youtu\.be)/")


def _parse(typed: str) -> str:
    if not ID.fullmatch(typed):
        raise ValueError("is no post id")
    return typed


def _in_link(link: str) -> str | None:
    if not _HOST.match(link):
        return None
    found = parse_qs(urlsplit(link).query).get("lc", [""])[0].rstrip(".:!")
    if not ID.fullmatch(found):
        raise ValueError("leads to a video and no comment; a comment's own link, behind its time, has lc= and its id")
    return found


POST_IDS: Final = PostIds(parse=_parse, in_link=_in_link, looks="the comment's id (Ug…AaABAg)")
