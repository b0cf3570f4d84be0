"""A text as numbers: hashed n-grams of its words and letters, the same in every process, version and machine.

Three blocks, each with its own share in a score: what its words say (runs of one to three of them, pairs with one word
between, what opens and closes a sentence, the same with names masked), what its letters say (runs of three to five
inside a word), and which cue groups hold (`alerts.annotate.kinds`). Links, handles and numbers count as classes only:
nobody is known by a name of theirs here. A hash is of 32 bits, and each sort of feature has a salt of its own. Time
grows with the length of the text, up to `MAX_CHARS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

VERSION = 1
"""Raised whenever a text gives other numbers than before: a weights file says for which it was made."""
MAX_CHARS = 4_000
"""Characters that are looked at: more than a post has, and an end to what nonsense may cost."""
SHORTEST, LONGEST = 3, 5
"""Letters in a run. Runs of two were tried: they cost a quarter more and gain nothing."""

Hashes = NDArray[np.uint32]

LINK, HANDLE = "\ue000", "\ue001"
_NAME = np.uint32(crc32("\ue002".encode()))
_CLASSES = re.compile(r"(?:https?://|www\.)\S+|@\w+")
_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]")
_DIGITS = str.maketrans("123456789", "000000000")
_RUN = re.compile(r"0000+")
_ENDS = frozenset(".!?…")
_SPACE = ord(" ")
_M1, _M2 = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
_S13, _S15 = np.uint32(13), np.uint32(15)
_SALTS = np.arange(40, dtype=np.uint32) * np.uint32(0x27D4EB2F)
_CUES = np.uint32(0x165667B1)


class Features(NamedTuple):
    """What a text is made of: hashes of its words, single ones and pairs first, of its letters each once, of cues."""

    words: Hashes
    letters: Hashes
    cues: Hashes


class Tokens(NamedTuple):
    """Words and marks of a text: as they are compared, which are names, where each stands, which open a sentence."""

    text: str
    low: list[str]
    names: list[int]
    spans: list[tuple[int, int]]
    opens: list[int]


def features(tokens: Tokens, cues: Iterable[str] = ()) -> Features:
    """The features of a text; `cues`: the names of the cue groups that hold in it."""
    return Features(_words(tokens), once(_letters(tokens.low)), cue_hashes(cues))


def cue_hashes(names: Iterable[str]) -> Hashes:
    """The hash of each of these names of cue groups."""
    hashes: Hashes = np.array([_name(name) for name in names], np.uint32) ^ _CUES
    return hashes


def tokenize(text: str) -> Tokens:
    """The words and marks of the text's first `MAX_CHARS` characters."""
    text = text[:MAX_CHARS]
    bare = text
    if "@" in text or "http" in text or "www." in text:
        bare = _CLASSES.sub(lambda m: (HANDLE if m[0][0] == "@" else LINK) + " " * (len(m[0]) - 1), text)
    small = _small(bare).translate(_DIGITS)
    spans = [match.span() for match in _TOKEN.finditer(bare)]
    low = [small[begin:end] for begin, end in spans]
    if "0000" in small:
        low = [_RUN.sub("0000", token) if "0000" in token else token for token in low]
    names: list[int] = []
    opens: list[int] = []
    lines = "\n" in bare
    fresh, last = True, 0
    for i, (begin, end) in enumerate(spans):
        first = bare[begin]
        if first in _ENDS:
            fresh = True
        elif fresh or (lines and "\n" in bare[last:begin]):
            fresh = not first.isalnum()
            if not fresh:
                opens.append(i)
        elif first.isupper() and end - begin > 1:
            names.append(i)
        last = end
    return Tokens(text, low, names, spans, opens)


def _words(tokens: Tokens) -> Hashes:
    """The hashes of single words, of pairs, of longer runs; then those of the text as a whole."""
    n = len(tokens.low)
    if not n:
        return np.empty(0, np.uint32)
    one = _hashed(tokens.low)
    two = one[:-1] * _M1 + one[1:]
    parts = [
        one ^ _SALTS[1],
        two ^ _SALTS[2],
        two[:-1] * _M1 + one[2:] ^ _SALTS[3],
        one[:-2] * _M1 + one[2:] ^ _SALTS[4],
    ]
    if tokens.names:
        mask = one.copy()
        mask[tokens.names] = _NAME
        pair = mask[:-1] * _M1 + mask[1:]
        parts += [pair ^ _SALTS[5], pair[:-1] * _M1 + mask[2:] ^ _SALTS[6]]
    first, second, last = _sentences(tokens)
    parts += [one[first] ^ _SALTS[7], two[second] ^ _SALTS[8], two[last] ^ _SALTS[9]]
    parts.append(np.array(_general(tokens), np.uint32) ^ _SALTS[10])
    return _mixed(np.concatenate(parts))


def spread(tokens: Tokens, weights: NDArray[np.int8]) -> list[int]:
    """What each token adds by itself and with its neighbours, where each hash of words adds so much.

    Longer runs are left out: they say hardly more of which word it was, and cost as much again.
    """
    n = len(tokens.low)
    given = weights.tolist()
    sums = [2 * weight for weight in given[:n]]
    for first, weight in enumerate(given[n : 2 * n - 1]):
        sums[first] += weight
        sums[first + 1] += weight
    return sums


def _sentences(tokens: Tokens) -> tuple[list[int], list[int], list[int]]:
    """The first token of each sentence, of its first pair, and of its last pair."""
    n, opens = len(tokens.low), tokens.opens
    second = [i for i in opens if i + 1 < n]
    last = [i - 2 for i in [*opens[1:], n] if i > 1]
    return opens, second, last


def _general(tokens: Tokens) -> list[int]:
    """What holds of the text as a whole, as small numbers."""
    text, low = tokens.text, tokens.low
    capitals = sum(map(str.isupper, text))
    found = [
        min(len(text) // 40, 9),
        16 + min(len(tokens.opens), 6),
        32 + min(low.count("?"), 3),
        40 + min(low.count("!"), 3),
        48 + min(capitals * 8 // len(text), 7),
        64 + min(low.count("#"), 3),
        72 + min(low.count(HANDLE), 2),
        80 + min(low.count(LINK), 1),
        88 + (text[0].islower()),
        96 + (low[0] == HANDLE),
    ]
    if low[-1] == "?":
        found.append(104)
    return found


def _letters(low: list[str]) -> Hashes:
    """Runs of letters inside a word; the space at each end counts as one."""
    if not low:
        return np.empty(0, np.uint32)
    codes = np.frombuffer(f" {' '.join(low)} ".encode("utf-32-le", "surrogatepass"), np.uint32)
    letter = codes != _SPACE
    # All but the first and the last of a run must be letters.
    run, inner = codes[:-1] * _M1 + codes[1:], letter[1:]
    found: list[Hashes] = []
    for length in range(SHORTEST, min(LONGEST, len(codes)) + 1):
        run = run[:-1] * _M1 + codes[length - 1 :]
        inner = inner[:-1] & letter[length - 2 : -1]
        found.append(run[inner] ^ _SALTS[20 + length])
    return _mixed(np.concatenate(found))


@lru_cache(maxsize=4096)
def _name(name: str) -> int:
    """Of a cue group or the like: there are some hundreds, whatever is heard."""
    return crc32(name.encode())


def _small(text: str) -> str:
    """In small letters, one for one, so that places stay: a few capitals have small forms of two characters."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(char.lower()[0] for char in text)


def _hashed(tokens: list[str]) -> Hashes:
    return np.array([crc32(token.encode("utf-8", "surrogatepass")) for token in tokens], np.uint32)


def _mixed(hashes: Hashes) -> Hashes:
    """So that every bit of the result depends on every bit given."""
    mixed = hashes * _M2
    mixed ^= mixed >> _S15
    mixed *= _M1
    mixed ^= mixed >> _S13
    return mixed


def once(hashes: Hashes) -> Hashes:
    """Sorted, each once; the hashes given are sorted in place."""
    if len(hashes) < 2:
        return hashes
    hashes.sort()
    keep = np.empty(len(hashes), bool)
    keep[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=keep[1:])
    return hashes[keep]
