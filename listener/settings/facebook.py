"""How the hospital's own Page on Facebook is heard: which it is, with what token, and how often it is asked."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from listener.model.tracks import account_track
from listener.settings.meta import NumericId
from listener.settings.types import Duration, FilePath, Tree, within


def _handle(text: str) -> str:
    account_track(text)
    return text.strip().lstrip("@").lower()


Lists = Literal["published_posts", "feed", "tagged"]


class FacebookSettings(Tree):
    """`lists`: what is asked for posts, by the names of the Page's edges. `posts_for`: how long comments below a post
    are asked for."""

    page_id: NumericId | None = None
    access_token: SecretStr | None = None
    access_token_file: FilePath | None = None
    handle: Annotated[str, AfterValidator(_handle)] | None = None
    lists: Annotated[tuple[Lists, ...], Field(min_length=1)] = ("published_posts", "feed")
    every: Annotated[Duration, within(timedelta(seconds=10), timedelta(seconds=45))] = timedelta(seconds=30)
    calm_every: Annotated[Duration, within(timedelta(minutes=5), timedelta(days=1))] = timedelta(hours=1)
    posts_for: Annotated[Duration, within(timedelta(days=1), timedelta(days=90))] = timedelta(days=14)
