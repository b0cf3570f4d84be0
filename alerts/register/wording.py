"""A team's own words before they are written down for good: masked as posts are, and quoting none.

`decisions` is a hash chain, from which no purge can take anything. So what stands there must hold no post's words: then
a post can always be removed, down to the bytes.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime

from listener.model.records import AuthorClass, Origin, Post
from listener.privacy.screen import Screen

QUOTED = 8
"""So many words in a row that a post has are a quotation."""
WHOLE = 4
"""A shorter post is quoted where all of it is there, if it is so many words or more."""

_WORD = re.compile(r"\w+")


def masked(words: str, named: Mapping[str, AuthorClass], now: datetime) -> str:
    """Numbers, addresses and account names are masked as in a post, by a key that is thrown away.

    `named`: the accounts that keep their name.
    """
    screen = Screen(secrets.token_bytes(32), named)
    post = Post(source="decisions", id="0", at=now, text=words)
    return screen.mention(post, incidents={}, origin=Origin.LIVE, captured_at=now, exercise=False).text


def quotes(words: str, texts: Iterable[str]) -> bool:
    """Whether they repeat one of these texts: `QUOTED` words of it in a row, or all of a shorter one."""
    said = _words(words)
    runs = {length: _runs(said, length) for length in range(WHOLE, QUOTED + 1)}
    if not runs[WHOLE]:
        return False
    vocabulary = set(said)
    for text in texts:
        post = _words(text)
        length = min(len(post), QUOTED)
        if length < WHOLE or sum(word in vocabulary for word in post) < length:
            continue  # nearly every post, told in the least time
        if not runs[length].isdisjoint(_runs(post, length)):
            return True
    return False


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
