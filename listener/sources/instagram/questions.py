"""What is asked of Instagram's API, with every field that is asked for. Pure.

Texts, times, names and places of things: never a picture's address, so that no medium can be fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

PAGE: Final = 50
"""As many as Instagram gives at once."""

_COMMENT: Final = "id,text,timestamp,username"
COMMENT: Final = f"{_COMMENT},replies{{{_COMMENT}}}"
FOREIGN: Final = "id,caption,permalink,timestamp"
"""Of media of others: by hashtag their author is never told, and elsewhere it is not asked for."""
MENTIONED_COMMENT: Final = "id,text,timestamp"
MENTIONED_MEDIUM: Final = "id,caption,timestamp"


class Part(StrEnum):
    """What is heard of Instagram, each in its own way: the part that a gap names."""

    COMMENTS = "comments"
    HASHTAGS = "hashtags"
    TAGGED = "tagged"
    MENTIONS = "mentions"


class Kind(StrEnum):
    ACCOUNT = "account"
    """Are we who we think, and which media are ours? It must come back before an empty list means that nothing was
    said."""
    COMMENTS = "comments"
    REPLIES = "replies"
    TAG = "tag"
    """The id of a hashtag."""
    TAG_MEDIA = "tag_media"
    TAGGED = "tagged"
    MENTION = "mention"
    ALIVE = "alive"
    """Is a comment that we hold still there?"""
    MEDIUM = "medium"
    """Does a medium answer, of which a comment does not?"""


@dataclass(frozen=True, slots=True)
class Question:
    """`about`: the medium, the comment or the hashtag; `medium`: of a reply. `page` counts from 0."""

    kind: Kind
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    part: Part | None = None
    about: str = ""
    medium: str = ""
    page: int = 0

    def next(self, params: Mapping[str, str]) -> Question:
        return replace(self, params=params, page=self.page + 1)


def account(id_: str, media: int) -> Question:
    fields = f"id,username,media_count,media.limit({media}){{id,caption,timestamp}}"
    return Question(Kind.ACCOUNT, id_, {"fields": fields})


def comments(medium: str) -> Question:
    params = {"fields": COMMENT, "limit": str(PAGE)}
    return Question(Kind.COMMENTS, f"{medium}/comments", params, Part.COMMENTS, medium, medium)


def replies(medium: str, comment: str) -> Question:
    params = {"fields": _COMMENT, "limit": str(PAGE)}
    return Question(Kind.REPLIES, f"{comment}/replies", params, Part.COMMENTS, comment, medium)


def tag(account_id: str, name: str) -> Question:
    return Question(Kind.TAG, "ig_hashtag_search", {"user_id": account_id, "q": name}, Part.HASHTAGS, name)


def tag_media(account_id: str, name: str, id_: str) -> Question:
    params = {"user_id": account_id, "fields": FOREIGN, "limit": str(PAGE)}
    return Question(Kind.TAG_MEDIA, f"{id_}/recent_media", params, Part.HASHTAGS, name)


def tagged(account_id: str) -> Question:
    return Question(Kind.TAGGED, f"{account_id}/tags", {"fields": FOREIGN, "limit": str(PAGE)}, Part.TAGGED)


def mention(account_id: str, medium: str, comment: str | None) -> Question:
    asked = (
        f"mentioned_media.media_id({medium}){{{MENTIONED_MEDIUM}}}"
        if comment is None
        else f"mentioned_comment.comment_id({comment}){{{MENTIONED_COMMENT}}}"
    )
    return Question(Kind.MENTION, account_id, {"fields": asked}, Part.MENTIONS, comment or medium, medium)


def alive(medium: str, comment: str) -> Question:
    return Question(Kind.ALIVE, comment, {"fields": "id"}, None, comment, medium)


def medium_there(medium: str, comment: str) -> Question:
    return Question(Kind.MEDIUM, medium, {"fields": "id"}, None, comment, medium)
