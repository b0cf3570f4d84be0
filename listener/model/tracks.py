"""Tracks: what we listen for, each written as one short line of text.

    ullevål brann      a phrase: these words, in this order, side by side
    ullevål*           a word's beginning: only so are compounds such as Ullevålbrannen found
    #mittfus           a hashtag (`#mitt*` its beginning)
    @fjordbyunivsyk    an account: posts by it, and posts that name it, answer it or repost it
    place:Ullevål      a place: named in the text, or where the post says it was sent from

That line, in its canonical writing, is how incidents, volumes and findings hold a track. Case, accents and the kind
of white space never matter; what counts as a word and which letters are one is described in `listener.ingest.matcher`.

Nothing here imports pydantic: `lyttepost mode crisis --track …` reads its tracks through this module.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from listener.errors import Refusal, Unfit
from listener.model.normalize import nfc

if TYPE_CHECKING:
    pass

LONGEST = 200
"""Characters in a track. X takes rules of 512, which must hold several."""
SHORTEST = 2
SHORTEST_NAME = 3
"""Letters and digits of a word that may say what a post is about; `os` and `22` say nothing alone."""
SHORTEST_PREFIX = 3
"""Letters and digits before a `*`: with fewer, half of everything said would match."""

_PLACE = "place:"
_TOTAL = "*"
_ACCOUNT = r"[a-z0-9_]+(?:[.-][a-z0-9_]+)*(?:@[a-z0-9-]+(?:\.[a-z0-9-]+)+)?"
"""`name` (X), `name.example.no` (Bluesky) or `name@example.no` (Mastodon), in lower case. Compiled when first used."""


class TrackKind(StrEnum):
    PHRASE = "phrase"
    HASHTAG = "hashtag"
    ACCOUNT = "account"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Track:
    """`text` bears neither the sign of its kind (`#`, `@`, `place:`) nor the `*`, which is `prefix`."""

    kind: TrackKind
    text: str
    prefix: bool = False

    def __str__(self) -> str:
        """The canonical writing: `parse(str(track)) == track`."""
        sign = {TrackKind.HASHTAG: "#", TrackKind.ACCOUNT: "@", TrackKind.PLACE: _PLACE}.get(self.kind, "")
        return f"{sign}{self.text}{'*' if self.prefix else ''}"


def parse(text: str) -> Track:
    """A track as somebody wrote it → Track. Raises Unfit, a ValueError, that says what to write instead."""
    plain = _tidy(text)
    if plain[: len(_PLACE)].casefold() == _PLACE:
        return _place(plain[len(_PLACE) :], text)
    if plain[:1] in ("#", "＃"):
        return _hashtag(plain[1:], text)
    if plain[:1] in ("@", "＠"):
        return _account(plain[1:], text)
    return _phrase(plain, text)


def canonical(text: str) -> str:
    """A track as somebody wrote it → as incidents hold it. Raises ValueError."""
    return str(parse(text))


def account_track(name: str) -> str:
    """`X` or `@X` (the flag `--account`) → canonical track. Raises ValueError."""
    return str(_account(_tidy(name).lstrip("@＠"), name))


def hashtag_track(name: str) -> str:
    """`tag` or `#tag` → canonical track. Raises ValueError."""
    return str(_hashtag(_tidy(name).lstrip("#＃"), name))


def place_track(name: str) -> str:
    """`Ullevål` or `place:Ullevål` (the flag `--place`) → canonical track. Raises ValueError."""
    plain = _tidy(name)
    return str(_place(plain[len(_PLACE) :] if plain.casefold().startswith(_PLACE) else plain, name))


def phrase_track(text: str) -> str:
    """Words, with or without a `*` at the end → canonical track. Raises ValueError on a hashtag, account or place."""
    track = parse(text)
    if track.kind is not TrackKind.PHRASE:
        raise Unfit(f"{text!r} is no phrase but a track of the kind {track.kind}", Refusal.NO_TRACK)
    return str(track)


def too_common(track: str) -> str | None:
    """None, or why a canonical track would match a large share of everything that is said, in words to follow it."""
    found = common_word(track)
    if found is None:
        return None
    return f"finds {found!r} too, which is in every other sentence" if found else "is in every other sentence"


def common_word(track: str) -> str | None:
    """Of a canonical track that would match a large share of everything that is said: the function word that it finds
    beside what it is for, or "" where it is nothing else itself. None of any other.

    A phrase or place is too common when each of its words is a function word (`listener.model.function_words`) or is
    too short to be a name; a word's beginning, when a function word begins so.
    """
    found = parse(track)
    if found.kind not in (TrackKind.PHRASE, TrackKind.PLACE):
        return None
    from listener.model.function_words import FUNCTION_WORDS

    *words, last = re.findall(r"\w+", found.text.lower())
    if not all(_says_nothing(word, FUNCTION_WORDS) for word in words):
        return None
    if not found.prefix:
        return "" if _says_nothing(last, FUNCTION_WORDS) else None
    return next((word for word in sorted(FUNCTION_WORDS) if word.startswith(last)), None)


def _says_nothing(word: str, common: Collection[str]) -> bool:
    return word in common or len(word) < SHORTEST_NAME


def total_of(tracks: Iterable[str]) -> str:
    """The name in `volumes` of these tracks counted together: `*` and eight digits that show which tracks they were,
    because the counts of others compare with nothing. No track can be written so."""
    return f"{_TOTAL}{zlib.crc32('|'.join(sorted(set(tracks))).encode()):08x}"


def is_total(track: str) -> bool:
    """Whether a name in `volumes` is of several tracks counted together."""
    return track.startswith(_TOTAL)


def _tidy(text: str) -> str:
    """One space between words, composed letters, and without what a paste leaves: quotes, invisible characters."""
    seen = nfc(text)
    if not seen.isprintable():
        seen = "".join(c for c in seen if c.isspace() or unicodedata.category(c)[0] != "C")
    return " ".join(seen.split()).strip("\"'“”„«» ")


def _place(name: str, written: str) -> Track:
    if name.endswith("*"):
        problem = f"{written!r}: a place takes no *; name it in full, or track its beginning as a word"
        raise Unfit(problem, Refusal.PLACE_STAR, track=written)
    name = name.strip("\"'“”„«» ")
    _check(name, written, "place", SHORTEST)
    return Track(TrackKind.PLACE, name)


def _hashtag(tag: str, written: str) -> Track:
    word, prefix = _star(tag, written)
    _check(word, written, "hashtag", SHORTEST_PREFIX if prefix else SHORTEST)
    if not re.fullmatch(r"\w+", word):
        raise Unfit(f"{written!r}: a hashtag is one word of letters, digits and _", Refusal.ONE_WORD, track=written)
    return Track(TrackKind.HASHTAG, word.lower(), prefix)


def _account(name: str, written: str) -> Track:
    handle = name.lower()
    _check(handle, written, "account", 1)
    if handle.endswith("*"):
        raise Unfit(f"{written!r}: an account takes no *; name it in full", Refusal.ACCOUNT_STAR, track=written)
    if not re.fullmatch(_ACCOUNT, handle):
        problem = f"{written!r}: an account's name is of the letters a to z, digits and _, as in @name"
        raise Unfit(problem, Refusal.ACCOUNT_NAME, track=written)
    return Track(TrackKind.ACCOUNT, handle)


def _phrase(words: str, written: str) -> Track:
    text, prefix = _star(words, written)
    if prefix and not (text[-1:].isalnum() or text[-1:] == "_"):
        raise Unfit(
            f"{written!r}: the * must follow a word's beginning directly, as in ullevål*", Refusal.STAR, track=written
        )
    last = re.split(r"\W+", text)[-1] if prefix else text
    _check(last, written, "track", SHORTEST_PREFIX if prefix else SHORTEST)
    _check(text, written, "track", SHORTEST)
    return Track(TrackKind.PHRASE, text.lower(), prefix)


def _star(text: str, written: str) -> tuple[str, bool]:
    prefix = text.endswith("*")
    body = text[:-1] if prefix else text
    if "*" in body:
        raise Unfit(f"{written!r}: a * may only be at the end, as in ullevål*", Refusal.STAR, track=written)
    return body, prefix


def _check(text: str, written: str, kind: str, shortest: int) -> None:
    letters = sum(c.isalnum() for c in text)
    if not written.strip():
        raise Unfit('an empty track; write what people would say, such as "ullevål brann"', Refusal.NO_TRACK)
    if not letters:
        problem = f"{written!r}: a {kind} needs letters or digits; it would match nothing"
        raise Unfit(problem, Refusal.NO_LETTERS, track=written)
    if letters < shortest:
        problem = f"{written!r}: a {kind} this short matches nearly everything; give {shortest} letters or more"
        raise Unfit(problem, Refusal.TOO_SHORT, track=written, least=shortest)
    if len(text) > LONGEST:
        problem = f"a {kind} of {len(text)} characters; the longest is {LONGEST}. Choose a few words of it"
        raise Unfit(problem, Refusal.TOO_LONG, length=len(text), most=LONGEST)
