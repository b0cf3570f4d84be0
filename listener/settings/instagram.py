"""How Instagram is heard: whose account, with which token, what is looked at, and how often."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, Field, SecretStr

from listener.settings.meta import NumericId
from listener.settings.types import Duration, FilePath, Tree, within

TAGS_A_WEEK: Final = 30
"""Hashtags that Instagram lets an account look at in seven days."""


def _tag(text: str) -> str:
    plain = text.strip().lstrip("#＃").lower()
    if not re.fullmatch(r"\w{1,100}", plain):
        raise ValueError("a hashtag is one word without #, such as mittous")
    return plain


def _tags(named: tuple[str, ...]) -> tuple[str, ...]:
    if len(named) > TAGS_A_WEEK:
        raise ValueError(f"Instagram lets an account look at {TAGS_A_WEEK} hashtags in seven days, and no more")
    return tuple(dict.fromkeys(named))


class InstagramSettings(Tree):
    enabled: bool = False
    account: NumericId | None = None
    access_token: SecretStr | None = None
    access_token_file: FilePath | None = None
    media: int = Field(default=20, ge=1, le=100)
    hashtags: Annotated[tuple[Annotated[str, AfterValidator(_tag)], ...], AfterValidator(_tags)] = ()
    tagged: bool = False
    every: Annotated[Duration, within(timedelta(seconds=10), timedelta(minutes=10))] = timedelta(seconds=30)
    calm_every: Annotated[Duration, within(timedelta(minutes=1), timedelta(hours=12))] = timedelta(minutes=30)
    recheck: Annotated[Duration, within(timedelta(minutes=10), timedelta(days=7))] = timedelta(days=1)
