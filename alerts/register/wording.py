"""A team's own words, which are kept for good, quote no post.

`decisions` is a hash chain, from which no purge can take anything. So what stands there must hold no post's words: then
a post can always be removed, down to the bytes. That they are masked, too, is `listener.privacy.team_words`' matter.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable
from zlib import crc32

QUOTED = 8
"""So many words in a row that a post has are a quotation."""
WHOLE = 4
"""A shorter post is quoted where all of it is there, if it is so many words or more."""

_WORD = re.compile(r"\w+")


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


def marks(text: str) -> bytes:
    """Hashes of all of a post's words and of some runs of `WHOLE`: whatever quotes it has one of these runs.

    Four bytes each; nothing of a post that nobody can quote. Of any `QUOTED` words in a row one run is among them, the
    least of those that they hold (winnowing; Schleimer, Wilkerson and Aiken 2003); of a shorter post the least of all.
    """
    words = _words(text)
    if not (runs := _hashes(words)):
        return b""
    window = min(len(runs), QUOTED - WHOLE + 1)
    least = set(map(min, *(runs[start:] for start in range(window)))) if window > 1 else set(runs)
    return array("I", [crc32(" ".join(words).encode()), *sorted(least)]).tobytes()


def perhaps_quoted(words: str, marked: Iterable[tuple[int, int, bytes]]) -> list[tuple[int, int]]:
    """Where posts lie that these words may quote, of all that are `marked`: partition, offset, marks.

    Of posts that are marked alike one is given: they say the same.
    """
    said = set(_hashes(_words(words)))
    found: dict[bytes, tuple[int, int]] = {}
    if said:
        for part, offset, its in marked:
            if not said.isdisjoint(array("I", its)):
                found.setdefault(its, (part, offset))
    return sorted(found.values())


def _hashes(words: list[str]) -> list[int]:
    if len(words) < WHOLE:
        return []
    each = [word.encode() for word in words]
    return [crc32(b" ".join(run)) for run in zip(*(each[start:] for start in range(WHOLE)), strict=False)]


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}
