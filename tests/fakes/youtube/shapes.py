"""Comments, threads and errors as the API writes them."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ..platform import Reply
from .channel import Comment


def channel_of(by: str) -> str:
    """The id of a person's own channel."""
    return "UC" + hashlib.sha256(by.encode()).hexdigest()[:22]


def comment(its: Comment, *, display: bool = False, markup: bool = False) -> dict[str, Any]:
    """`display`: the original text is not given; `markup`: what is shown is HTML, whatever was asked for."""
    text = its.texts[-1]
    shown = html.escape(text, quote=True).replace("\n", "<br>") if markup else text
    snippet: dict[str, Any] = {
        "channelId": its.channel, "videoId": its.video, "textDisplay": shown,
        "canRate": True, "viewerRating": "none", "likeCount": 0,
        "publishedAt": _time(its.at), "updatedAt": _time(its.updated or its.at),
    }  # fmt: skip
    if not display:
        snippet["textOriginal"] = text
    if its.by is not None:
        snippet |= {
            "authorDisplayName": f"@{its.by}", "authorProfileImageUrl": "https://yt3.example/a.jpg",
            "authorChannelUrl": f"http://www.youtube.com/@{its.by}", "authorChannelId": {"value": channel_of(its.by)},
        }  # fmt: skip
    if its.parent is not None:
        snippet["parentId"] = its.parent
    if its.held:
        snippet["moderationStatus"] = "heldForReview"
    return {"kind": "youtube#comment", "etag": "e", "id": its.id, "snippet": snippet}


def thread(its: Comment, count: int, given: Sequence[Comment] | None, **how: bool) -> dict[str, Any]:
    """`given`: those of its `count` replies that come along; None: they were not asked for."""
    out: dict[str, Any] = {
        "kind": "youtube#commentThread", "etag": "e", "id": its.id,
        "snippet": {
            "channelId": its.channel, "videoId": its.video, "topLevelComment": comment(its, **how), "canReply": True,
            "totalReplyCount": count, "isPublic": not its.held,
        },
    }  # fmt: skip
    if given:
        out["replies"] = {"comments": [comment(each, **how) for each in given]}
    return out


def listing(kind: str, items: Sequence[Any], next_token: str | None = None) -> Reply:
    body: dict[str, Any] = {
        "kind": f"youtube#{kind}ListResponse", "etag": "e",
        "pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)}, "items": list(items),
    }  # fmt: skip
    return Reply(200, {**body, "nextPageToken": next_token} if next_token else body)


def error(status: int, reason: str, message: str = "", domain: str = "youtube.commentThread") -> Reply:
    """`message` of a real one may hold HTML and the caller's own words."""
    text = message or f"The request failed: <code>{reason}</code>"
    body = {"code": status, "message": text, "errors": [{"message": text, "domain": domain, "reason": reason}]}
    return Reply(status, {"error": body})


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
