"""A text as numbers: hashed n-grams of its words and letters, the same in every process, version and machine.

Three blocks, each with its own share in a score: what its words say (runs of one to three of them, pairs with one word
between, what opens and closes a sentence, the same with names masked), what its letters say (runs of three to five
inside a word), and which cue groups hold (`alerts.annotate.kinds`). Links, handles and numbers count as classes only:
nobody is known by a name of theirs here. A hash is of 32 bits, and each sort of feature has a salt of its own. Time
grows with the length of the text, up to `MAX_CHARS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple, TypeVar
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
Numbers = TypeVar("Numbers", np.uint32, np.uint64)

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
    return features_of([tokens], [cues])[0]


def features_of(texts: Sequence[Tokens], cues: Sequence[Iterable[str]]) -> list[Features]:
    """The same of many texts, in a third of the time that each takes by itself: a text has too few numbers for numpy
    to be quick with."""
    if not texts:
        return []
    words, letters = _words(texts), _letters(texts)
    return [Features(*found) for found in zip(words, letters, map(cue_hashes, cues), strict=True)]


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


def _words(texts: Sequence[Tokens]) -> list[Hashes]:
    """Of each text the hashes of single words, of pairs, of longer runs; then those of the text as a whole."""
    one = _hashed([token for tokens in texts for token in tokens.low])
    of, starts = _numbered([len(tokens.low) for tokens in texts])
    two = one[:-1] * _M1 + one[1:]
    # What begins in one text and ends in the next is nobody's.
    near, far = of[:-1] == of[1:], of[:-2] == of[2:]
    parts = [
        one ^ _SALTS[1],
        two[near] ^ _SALTS[2],
        (two[:-1] * _M1 + one[2:])[far] ^ _SALTS[3],
        (one[:-2] * _M1 + one[2:])[far] ^ _SALTS[4],
    ]
    whose = [of, of[:-1][near], of[:-2][far], of[:-2][far]]
    names = [start + name for start, tokens in zip(starts, texts, strict=True) for name in tokens.names]
    if names:
        mask = one.copy()
        mask[names] = _NAME
        named = np.zeros(len(texts), bool)
        named[of[names]] = True
        pair, has = mask[:-1] * _M1 + mask[1:], named[of]
        near, far = near & has[:-1], far & has[:-2]
        parts += [pair[near] ^ _SALTS[5], (pair[:-1] * _M1 + mask[2:])[far] ^ _SALTS[6]]
        whose += [of[:-1][near], of[:-2][far]]
    ends: tuple[list[int], list[int], list[int]] = [], [], []
    general: list[int] = []
    counts: list[int] = []
    for start, tokens in zip(starts, texts, strict=True):
        for places, found in zip(ends, _sentences(tokens), strict=True):
            places += [start + place for place in found]
        found = _general(tokens) if tokens.low else []
        general += found
        counts.append(len(found))
    for hashes, places, salt in zip((one, two, two), ends, _SALTS[7:10], strict=True):
        parts.append(hashes[places] ^ salt)
        whose.append(of[places])
    parts.append(np.array(general, np.uint32) ^ _SALTS[10])
    whose.append(_numbered(counts)[0])
    return _dealt(_mixed(np.concatenate(parts)), np.concatenate(whose), len(texts))


def _numbered(counts: Sequence[int]) -> tuple[NDArray[np.int16], list[int]]:
    """The number of the text that each thing is of, where texts have so many; and where each text's begin."""
    return np.repeat(np.arange(len(counts), dtype=np.int16), counts), [0, *accumulate(counts)][:-1]


def _dealt(hashes: Hashes, of: NDArray[np.int16], count: int) -> list[Hashes]:
    """Of each of so many texts its hashes, in their order."""
    if count == 1:
        return [hashes]
    order = np.argsort(of, kind="stable")
    return np.split(hashes[order], np.searchsorted(of[order], np.arange(1, count, dtype=np.int16)))


def spread(counts: Sequence[int], weights: NDArray[np.int8]) -> NDArray[np.int16]:
    """What each token adds by itself and with its neighbours, to one head a column, where each hash adds so much.

    `counts`: the tokens of each text; `weights`: text after text those of its single words, then of its pairs. Longer
    runs are left out: they say hardly more of which word it was, and cost as much again.
    """
    many = np.array(counts, int)
    pairs_of = np.maximum(many - 1, 0)
    of = np.repeat(np.arange(len(many)), many)
    alone = np.arange(len(of)) + (np.cumsum(pairs_of) - pairs_of)[of]
    first = np.flatnonzero(of[:-1] == of[1:])
    sums: NDArray[np.int16] = weights[alone].astype(np.int16) * np.int16(2)
    pairs = weights[(alone + many[of])[first]]
    sums[first] += pairs
    sums[first + 1] += pairs
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


def _letters(texts: Sequence[Tokens]) -> list[Hashes]:
    """Of each text the runs of letters inside a word, each once; the space at each end counts as one."""
    lines = [f" {' '.join(tokens.low)} " for tokens in texts]
    of, _ = _numbered([len(line) for line in lines])
    codes = np.frombuffer("".join(lines).encode("utf-32-le", "surrogatepass"), np.uint32)
    letter = codes != _SPACE
    # All but the first and the last of a run must be letters: so none reaches from one text into the next.
    run, inner = codes[:-1] * _M1 + codes[1:], letter[1:]
    found: list[Hashes] = []
    whose: list[NDArray[np.int16]] = []
    for length in range(SHORTEST, LONGEST + 1):
        run = run[:-1] * _M1 + codes[length - 1 :]
        inner = inner[:-1] & letter[length - 2 : -1]
        found.append(run[inner] ^ _SALTS[20 + length])
        whose.append(of[: 1 - length][inner])
    placed = np.concatenate(whose).astype(np.uint64) << np.uint64(32) | _mixed(np.concatenate(found))
    placed = once(placed)
    ends = np.searchsorted(placed, np.arange(1, len(texts), dtype=np.uint64) << np.uint64(32))
    return np.split(placed.astype(np.uint32), ends)


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


def once(hashes: NDArray[Numbers]) -> NDArray[Numbers]:
    """Sorted, each once; the hashes given are sorted in place."""
    if len(hashes) < 2:
        return hashes
    hashes.sort()
    keep = np.empty(len(hashes), bool)
    keep[0] = True
    np.not_equal(hashes[1:], hashes[:-1], out=keep[1:])
    return hashes[keep]
