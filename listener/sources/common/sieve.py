"""What of a stream that holds everything can be wanted at all? Asked of each text, before anything else is done.

A sieve lets through every text that one of its tracks may match, and few others; what is let through is matched by
`listener.ingest.matcher`, which alone decides. So it is looser than that: a hashtag passes where the word stands
without its #, an account where its name does. All is folded in the same way, by `listener.model.letters`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ahocorasick_rs import AhoCorasick

from listener.model.letters import fold
from listener.model.tracks import Track, TrackKind, parse


class Sieve:
    """Immutable, and safe to share between threads. Takes about 15 µs a track to make."""

    def __init__(self, tracks: Iterable[str] = (), words: Iterable[str] = ()) -> None:
        """`words`: texts that let through whatever they stand in, as the tracks do; what is no track is left out."""
        patterns = dict.fromkeys([*_patterns(tracks), *(f" {fold(word)} " for word in words)])
        self._automaton = AhoCorasick(patterns, store_patterns=False) if patterns else None

    def __bool__(self) -> bool:
        """Whether anything is let through."""
        return self._automaton is not None

    def lets_through(self, text: str) -> bool:
        return self._automaton is not None and bool(self._automaton.find_matches_as_indexes(f" {fold(text)} "))


def _patterns(tracks: Iterable[str]) -> Iterator[str]:
    for written in tracks:
        try:
            track = parse(written)
        except ValueError:
            continue
        yield _pattern(track)


def _pattern(track: Track) -> str:
    words = fold(track.text)
    if track.kind is TrackKind.HASHTAG:
        # Of one that folds to several words the first is enough: in a text they may stand joined or apart.
        words = words.partition(" ")[0]
    return f" {words}" if track.prefix or track.kind is TrackKind.HASHTAG else f" {words} "
