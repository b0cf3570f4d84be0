"""Does a post match what we listen for? All tracks of all incidents at once, in one pass over the post.

What is one word, and what are the same letters:

- A **word** is a run of letters, digits and `_`; all else (white space, punctuation, emoji, `#`, `@`, `/`) stands
  between words, as it does in X's own filter: what X delivers for a phrase, we match too. So `ullevål brann` finds
  "Ullevål, brann!" and "#Ullevål-BRANN", but neither "Ullevålbrannen" nor "ullevål_brann".
- Case never matters. Accents never matter (é is e, ü is u, ł is l), whether letters came composed or decomposed.
- **æ, ø and å are letters of their own**: `ullevål` does not find "ulleval". ä is æ and ö is ø: the same letters, as
  a Swede, a Finn or a German writes them.
- Soft hyphens, joiners and variation selectors are not there at all.
- What a post **quotes** is matched too, as X's stream does (its search does not): "look at this" above a post about us
  is about us. No phrase reaches from the one into the other.

How: the post is folded into one string of words set apart by single spaces, and each track into a pattern with its
boundaries in it (` ullevål brann `, ` ullevål`), so that what the automaton finds needs no further look. Hashtags,
handles and the post's place follow behind, each led by a sign that cannot stand in folded words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ahocorasick_rs import AhoCorasick

from listener.model.hashtags import hashtags_in
from listener.model.letters import fold
from listener.model.tracks import Track, TrackKind, parse

if TYPE_CHECKING:
    from listener.model.records import Post, Quoted

NO_MATCH: Mapping[str, tuple[str, ...]] = MappingProxyType({})

_PLACE = "\x1f"
"""Around the folded place of a post; no folded word holds a control character."""
_QUOTE = "\x1e"
"""Between what a post says and what it quotes."""


_HANDLE = re.compile(r"(?<![\w@])[@＠]([a-zA-Z0-9_]+)((?:[.-][a-zA-Z0-9_]+)*(?:@[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+)?)")


def handles_in(text: str) -> tuple[str, ...]:
    """The handles that a text names, lower case and without @, each once.

    Of a handle with a dot both the whole and the part before it, since a full stop without a space looks the same.
    """
    found: dict[str, None] = {}
    if "@" in text or "＠" in text:
        for name, rest in _HANDLE.findall(text):
            found[name.lower()] = None
            if rest:
                found[(name + rest).lower()] = None
    return tuple(found)


class Matcher:
    """Compiled from the tracks of all incidents; immutable, and safe to share between threads.

    Takes about 15 µs a track to compile.
    """

    def __init__(self, tracks: Mapping[str, Iterable[str]]) -> None:
        """Incident id → its tracks, standing tracks included.

        What is no track is left out and stands in `refused`: one bad word must not make us deaf to the others.
        """
        refused: dict[str, None] = {}
        owners: dict[str, list[tuple[int, int]]] = {}
        kinds: set[TrackKind] = set()
        self._incidents = tuple(tracks)
        self._tracks: list[list[str]] = []
        for number, incident in enumerate(self._incidents):
            parsed = dict.fromkeys(_parsed(tracks[incident], refused))
            self._tracks.append([str(track) for track in parsed])
            for rank, track in enumerate(parsed):
                kinds.add(track.kind)
                for pattern in _patterns(track):
                    owners.setdefault(pattern, []).append((number, rank))
        self.refused = tuple(refused)
        self._tags = TrackKind.HASHTAG in kinds
        self._accounts = TrackKind.ACCOUNT in kinds
        self._places = TrackKind.PLACE in kinds
        self._owners = tuple(map(tuple, owners.values()))
        self._automaton = AhoCorasick(owners, store_patterns=False) if owners else None

    def match(self, post: Post) -> Mapping[str, tuple[str, ...]]:
        """Incident → the canonical tracks that the post matches, both in the order given; empty when there is none."""
        return self._found(self._haystack(post)) if self._automaton is not None else NO_MATCH

    def match_text(self, text: str) -> Mapping[str, tuple[str, ...]]:
        """The same where the text is all there is: phrases, and places by their words."""
        return self._found(f" {fold(text)} ")

    def _found(self, haystack: str) -> Mapping[str, tuple[str, ...]]:
        if self._automaton is None:
            return NO_MATCH
        found = self._automaton.find_matches_as_indexes(haystack, overlapping=True)
        if not found:
            return NO_MATCH
        hits = sorted({owner for pattern, _, _ in found for owner in self._owners[pattern]})
        out: dict[str, tuple[str, ...]] = {}
        for number, rank in hits:
            incident = self._incidents[number]
            out[incident] = (*out.get(incident, ()), self._tracks[number][rank])
        return out

    def _haystack(self, post: Post) -> str:
        parts = self._parts(post)
        if post.quoted is not None:
            parts += [_QUOTE, *self._parts(post.quoted)]
        if self._accounts:
            handles = {*handles_in(post.text), *post.handles}
            if post.author is not None and post.author.handle:
                handles.add(post.author.handle.lower())
            if post.quoted is not None:
                handles.update((*handles_in(post.quoted.text), *post.quoted.handles))
            parts += [f"@{handle} " for handle in handles]
        return "".join(parts)

    def _parts(self, said: Post | Quoted) -> list[str]:
        text = said.text
        parts = [" ", fold(text), " "]
        if self._tags and (said.hashtags or "#" in text or "＃" in text):
            parts += [f"#{_joined(tag)} " for tag in (*said.hashtags, *hashtags_in(text))]
        if self._places and said.place:
            parts.append(f"{_PLACE}{fold(said.place).replace(' ', _PLACE)}{_PLACE}")
        return parts


def _parsed(texts: Iterable[str], refused: dict[str, None]) -> Iterator[Track]:
    for text in texts:
        try:
            yield parse(text)
        except ValueError:
            refused[text] = None


def _joined(tag: str) -> str:
    return fold(tag).replace(" ", "")


def _patterns(track: Track) -> tuple[str, ...]:
    end = "" if track.prefix else " "
    match track.kind:
        case TrackKind.HASHTAG:
            return (f"#{_joined(track.text)}{end}",)
        case TrackKind.ACCOUNT:
            return (f"@{track.text} ",)
        case TrackKind.PLACE:
            words = fold(track.text)
            return (f" {words} ", f"{_PLACE}{words.replace(' ', _PLACE)}{_PLACE}")
        case TrackKind.PHRASE:
            return (f" {fold(track.text)}{end}",)
