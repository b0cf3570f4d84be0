"""What a text claims, as words that can be compared: folded, numbers as numbers, one spelling for what has several.

Whom it is by or from, links, mentions, hashtags at either end and emoji are taken away. What remains is words, and
before each how strong the break is that parts it from the word before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from sys import intern
from typing import NamedTuple

from alerts.annotate.facts import ABBREVIATIONS, ASKED_ABOUT, ASKED_OF, ASKING, DANGLING, WHOM_ASKED
from alerts.annotate.story import ENOUGH_WORDS, last_said, without_mentions
from listener.model.normalize import nfc

MOST_WORDS = 120
"""Words of a text that are looked at; posts are shorter."""
NOT = "¬"
"""All words that negate."""

NONE, COMMA, COLON, SENTENCE = range(4)
"""How strong the break before a word is."""

_REPOST = re.compile(r"\b(?:RT|MT|QT)\s*@\w+\s*:?\s*|(?<!\w)[\"“”«]\s*@\w+\s*:\s*")


class Word(NamedTuple):
    """One word as it is compared, and as it was `written`, in small letters.

    `name`: with a capital within a sentence. `before`: the break before it.
    """

    form: str
    written: str
    name: bool
    before: int


class Claim(NamedTuple):
    """A text's words, and the `forms` of them. `asked`: places of words whose sentence ends with a question mark.

    `cut`, `headless`: the text says itself that its end, or its beginning, is missing.
    """

    words: tuple[Word, ...]
    forms: tuple[str, ...]
    asked: frozenset[int]
    cut: bool
    headless: bool


def _table(text: str) -> dict[str, str]:
    """Lines of `spelling: other spellings`."""
    lines = (line.split(":") for line in text.split("\n") if line.strip())
    return {word: spelling.strip() for spelling, others in lines for word in others.split()}


_ONES = "null en to tre fire fem seks sju åtte ni ti elleve tolv tretten fjorten femten seksten sytten atten nitten"
_TENS = "tjue tretti førti femti seksti sytti åtti nitti"

SPELT = _table(
    f"""
    {NOT}: ikke ikkje ikkj itj itte ikkje inte not never aldri ingen inga intet inkje ingenting none nobody isn't wasn't
    sykehus: sjh sh
    ved: v
    meter: m
    centimeter: cm
    kilometer: km
    kilo: kg
    kroner: kr
    klokken: kl klokka klokken klokkeslett
    avdeling: avd
    telefon: tlf
    hundre: hundred
    cirka: ca circa omtrent
    doktor: dr
    minutter: min minutt
    nummer: nr
    jeg: eg æ æg ej ja jag
    de: dei dem dom
    vi: me mi
    hun: ho
    hva: kva ka
    hvor: kor
    hvem: kven kem
    hørte: høyrde
    hørt: høyrt
    veien: vegen
    vei: veg
    vann: vatn
    vannet: vatnet
    fra: frå
    nå: no
    bare: berre
    noe: noko
    noen: nokon nokre
    mye: mykje
    hjem: heim
    skole: skule
    være: vere
    også: òg
    """
) | {word: str(number) for number, word in enumerate(_ONES.split()) if number != 1}
SPELT |= {word: str(10 * number) for number, word in enumerate(_TENS.split(), 2)}
SPELT |= {
    ten + one: str(10 * tens + ones)
    for tens, ten in enumerate(_TENS.split(), 2)
    for ones, one in enumerate(_ONES.split())
    if 1 <= ones <= 9
}
SPELT |= {
    "sjue": "7", "syv": "7", "tyve": "20", "tredve": "30", "två": "2", "fyra": "4", "sex": "6", "åtta": "8", "nio": "9",
    "tio": "10", "elva": "11", "tjugo": "20", "trettio": "30", "two": "2", "three": "3", "four": "4", "five": "5",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "twenty": "20",
    "thirty": "30", "forty": "40", "fifty": "50",
}  # fmt: skip
"""Word → the spelling that all its spellings share."""

_TOKEN = re.compile(
    r"(?P<word>#?[^\W_]+(?:'[^\W_]+)*)"
    r"|(?P<comma>,)"
    r"|\.\.+|[.!?:;\n\r()\[\]{}«»\"|/\\*]|\s[-–—]+\s|[^\w\s\x00-\u2000]"
)
"""A word, a comma, or anything that parts sentences; emoji do."""
_NUMBERING = re.compile(r"\s*[(\[]?\d{1,2}/\d{1,2}[)\]]?[\s:.]")
_PIECE = re.compile(r"\S+")
_TAG = re.compile(r"#\w+")


def without_frame(text: str) -> str:
    """Without whom it is by or from, links, and marks of masking."""
    return nfc(without_mentions(last_said(text, _REPOST)))


@lru_cache(maxsize=2)
def claim(text: str) -> Claim:
    """The words of a text, of its first `MOST_WORDS`. One text is mostly asked for more than once in a row."""
    body = without_frame(text)
    if "#" in body:
        body = _without_tags(body)
    numbering = _NUMBERING.match(body)
    if numbering:
        body = body[numbering.end() :]
    body = body.replace("’", "'")
    small = body.lower()
    if len(small) != len(body):  # a letter whose small form is two
        body = small
    words: list[Word] = []
    asked: set[int] = set()
    begin, broken, end = 0, SENTENCE, 0
    headless = False
    for found in _TOKEN.finditer(body):
        kind = found.lastgroup
        if kind == "word":
            if len(words) == MOST_WORDS:
                break
            if not end:
                headless = _is_cut(body[: found.start()])
            start, end = found.span()
            start += body[start] == "#"
            form = intern(small[start:end].replace("sjuk", "syk"))
            name = broken < COLON and body[start].isupper() and not body[start:end].isupper()
            words.append(Word(SPELT.get(form, form), form, name, broken))
            broken = NONE
        elif kind == "comma":
            broken = max(broken, COMMA)
        elif not _is_within(body, found.end(), (stop := found[0]), words):
            if stop == "?":
                asked.update(range(_begin_of_question(words, begin), len(words)))
            begin = len(words)
            broken = max(broken, COLON) if stop == ":" else SENTENCE
    cut = _is_cut(body[end:]) or (bool(words) and words[-1].form in DANGLING)
    asked.update(_questions(words))
    return Claim(tuple(words), tuple(word.form for word in words), frozenset(asked), cut, headless)


def _begin_of_question(words: Sequence[Word], begin: int) -> int:
    """Of a sentence that ends with a question mark: behind a comma a question may be asked about what was said."""
    for n in range(len(words) - 1, begin, -1):
        if words[n].before == COMMA:
            return n if words[n].form in ASKING or words[n].form in ASKED_ABOUT else begin
    return begin


def _is_within(body: str, end: int, stop: str, words: Sequence[Word]) -> bool:
    """Whether a stop ends nothing: `kl. 20`, `20:15`, `dr. Holm`."""
    if stop not in ".:/":
        return False
    if stop == "." and words and words[-1].written in ABBREVIATIONS:
        return True
    return body[end : end + 2].lstrip(" ")[:1].isdigit() and bool(words)


def _is_cut(beside: str) -> bool:
    """Whether what stands beside the first or last word says that others are missing there."""
    return "…" in beside or ".." in beside


def _questions(words: Sequence[Word]) -> Iterator[int]:
    """The places of words in sentences that begin as questions do."""
    begins = [n for n, word in enumerate(words) if word.before >= COLON]
    for begin, end in pairwise([*begins, len(words)]):
        first = words[begin].form
        if first in ASKING or (first in ASKED_OF and begin + 1 < end and words[begin + 1].form in WHOM_ASKED):
            yield from range(begin, end)


def _without_tags(body: str) -> str:
    """Without the hashtags at either end, unless there are few words besides."""
    pieces = list(_PIECE.finditer(body))
    first, last = 0, len(pieces)
    while first < last and _TAG.fullmatch(pieces[first][0]):
        first += 1
    while first < last and _TAG.fullmatch(pieces[last - 1][0]):
        last -= 1
    return body[pieces[first].start() : pieces[last - 1].end()] if last - first >= ENOUGH_WORDS else body
