"""A team's own words before they are written down for good: masked as posts are."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime

from listener.model.records import AuthorClass, Origin, Post
from listener.privacy.screen import Screen


def masked(words: str, named: Mapping[str, AuthorClass], now: datetime) -> str:
    """Numbers, addresses and account names are masked as in a post, by a key that is thrown away.

    `named`: the accounts that keep their name.
    """
    screen = Screen(secrets.token_bytes(32), named)
    post = Post(source="decisions", id="0", at=now, text=words)
    return screen.mention(post, incidents={}, origin=Origin.LIVE, captured_at=now, exercise=False).text
