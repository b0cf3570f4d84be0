"""A team's own words before they are written down for good: masked as posts are."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from listener.model.base import Chained
from listener.model.codec import LONGEST_WHY
from listener.model.entered import storable
from listener.model.records import AuthorClass, Origin, Post

W = TypeVar("W", bound=Chained, covariant=True)


class TeamWords(NamedTuple):
    """`masked`: they are not as they were entered."""

    text: str
    masked: bool


@dataclass(frozen=True)
class Written(Generic[W]):
    """A word of a person that is on `decisions` now. `masked`: the text in it is not as it was entered."""

    word: W
    masked: bool


def team_words(
    text: str, field: str, named: Mapping[str, AuthorClass], now: datetime, longest: int = LONGEST_WHY
) -> TeamWords:
    """A team's words as they may be kept for good. `named`: the accounts that keep their name. Raises BadValue."""
    plain = storable(text, field, longest)
    clean = masked(plain, named, now) if plain else ""
    return TeamWords(clean, clean != plain)


def masked(words: str, named: Mapping[str, AuthorClass], now: datetime) -> str:
    """Numbers, addresses and account names are masked as in a post, by a key that is thrown away.

    `named`: the accounts that keep their name.
    """
    # It knows the telephone numbers of the world, for which who says nothing is not to wait.
    from listener.privacy.screen import Screen

    screen = Screen(secrets.token_bytes(32), named)
    post = Post(source="decisions", id="0", at=now, text=words)
    return screen.mention(post, incidents={}, origin=Origin.LIVE, captured_at=now, exercise=False).text
