"""What of a stream that holds everything can be wanted at all? Asked of each text, before anything else is done.

A sieve lets through every text that one of its tracks may match, and few others; what is let through is matched by
`listener.ingest.matcher`, which alone decides. So it is looser than that: a hashtag passes where the word stands
without its #, an account where its name does. All is folded in the same way, by `listener.model.letters`.

Folding costs most of that, so bytes are looked at first. Of each track its longest run of plain letters (`ullev` of
`ullevål*`) must stand there in plain bytes, or some character that folding turns into plain letters or into nothing, as
é and a soft hyphen: where neither is, nothing can be found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from ahocorasick_rs import AhoCorasick, BytesAhoCorasick

from listener.model.letters import fold
from listener.model.tracks import TrackKind, parse

_PLAIN = re.compile("[a-z0-9_]+")
_CANDIDATES = (range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xFB00, 0x20000), range(0xE0000, 0xE0200))
"""Beyond these no character folds to a plain letter or to nothing: Chinese, Hangul, what is not assigned."""


class Sieve:
    """Immutable, and safe to share between threads. Takes about 15 µs a track to make."""

    def __init__(self, tracks: Iterable[str] = (), words: Iterable[str] = ()) -> None:
        """`words`: texts that let through whatever they stand in, as the tracks do; what is no track is left out."""
        patterns = dict.fromkeys([*_patterns(tracks), *(f" {fold(word)} " for word in words)])
        self._automaton = AhoCorasick(patterns, store_patterns=False) if patterns else None
        anchors = [max(_PLAIN.findall(pattern), key=len, default="").encode() for pattern in patterns]
        # A track without a plain letter can stand in any bytes.
        self._anchors = BytesAhoCorasick([*anchors, *_odd()]) if patterns and all(anchors) else None

    def __bool__(self) -> bool:
        """Whether anything is let through."""
        return self._automaton is not None

    def lets_through(self, text: str) -> bool:
        return self._automaton is not None and bool(self._automaton.find_matches_as_indexes(f" {fold(text)} "))

    def may_let_through(self, raw: bytes) -> bool:
        """False where no text in these bytes of UTF-8 is let through. Much faster, and right about most."""
        if self._anchors is None:
            return self._automaton is not None
        return bool(self._anchors.find_matches_as_indexes(raw.lower()))


def _patterns(tracks: Iterable[str]) -> Iterator[str]:
    for written in tracks:
        try:
            track = parse(written)
        except ValueError:
            continue
        words = fold(track.text)
        if track.kind is TrackKind.HASHTAG:
            # Of one that folds to several words the first is enough: in a text they may stand joined or apart.
            words = words.partition(" ")[0]
        if words:
            yield f" {words}" if track.prefix or track.kind is TrackKind.HASHTAG else f" {words} "


@cache
def _odd() -> tuple[bytes, ...]:
    """Every character beyond ASCII that folds to plain letters or to nothing."""
    found = []
    for code in (code for codes in _CANDIDATES for code in codes):
        char = chr(code)
        # Between digits, with which no mark is composed, what is nothing is told from what is a space.
        if fold(f"1{char}1") == "11" or _PLAIN.search(fold(char)):
            found.append(char.encode())
    return tuple(found)
