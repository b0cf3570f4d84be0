"""Numbers that are said in words, wholly or in part: `93 18 62 en en`, `nittitre atten sekstito elleve`."""

from __future__ import annotations

import re

from listener.privacy.folding import Folded


def _numbered(words: str, first: int = 0, step: int = 1) -> dict[str, int]:
    return {word: first + step * n for n, word in enumerate(words.split())}


_UNITS = (
    _numbered("null en to tre fire fem seks sju åtte ni")
    | _numbered("zero one two three four five six seven eight nine")
    | {"ein": 1, "én": 1, "ett": 1, "syv": 7, "atte": 8}
)
_TEENS = _numbered("ti elleve tolv tretten fjorten femten seksten sytten atten nitten", 10) | _numbered(
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen", 10
)
_TENS = (
    _numbered("tjue tretti førti femti seksti sytti åtti nitti", 20, 10)
    | _numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
    | {"tyve": 20, "tredve": 30, "forti": 40, "atti": 80}
)


def _any(words: dict[str, int]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_WORD = rf"(?:(?P<tens>{_any(_TENS)})[ -]?(?P<more>{_any(_UNITS)})?|(?P<teen>{_any(_TEENS)})|(?P<unit>{_any(_UNITS)}))"
_TOKEN = re.compile(rf"(?i)(?:(?P<digits>\d{{1,8}})|{_WORD})(?!\w)")
_PLAIN_WORD = re.sub(r"\?P<\w+>", "?:", _WORD)
_GAP = r"[\s.,/-]{1,3}"
_RUN = re.compile(rf"(?i)(?<!\w)(?:\d{{1,8}}|{_PLAIN_WORD})(?:{_GAP}(?:\d{{1,8}}|{_PLAIN_WORD})){{2,15}}(?!\w)")
_BESIDE_DIGITS = re.compile(rf"[0-9]{_GAP}(?=[a-zåéø]){_PLAIN_WORD}(?!\w)")
_BESIDE_WORDS = re.compile(
    rf"(?:ni|fire|f[øo]rti|nitti|nine|four|ninety|forty)[ -]?(?:{_any(_UNITS)})?{_GAP}(?:\d|{_PLAIN_WORD}(?!\w))"
)
_TOTALS = (8, 10, 11, 12)
"""Digits of a phone number, without and with 47 or 0047 before it, and of an identity number."""


def may_spell(lower: str, digits: int) -> bool:
    """Whether it is worth to look closer. A number that is all words begins with nine or four, as mobile ones do."""
    if digits >= 4 and _BESIDE_DIGITS.search(lower):
        return True
    nine = "ni" in lower and ("ni " in lower or "nitt" in lower or "nine" in lower or "ni-" in lower or "ni," in lower)
    return (nine or "fire" in lower or "ørti" in lower or "four" in lower) and _BESIDE_WORDS.search(lower) is not None


def digits_for_words(text: str) -> Folded | None:
    """The text with digits for the words of such numbers; None when it holds none."""
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for run in _RUN.finditer(text):
        tokens = list(_TOKEN.finditer(text, *run.span()))
        values = [_digits_of(token) for token in tokens]
        if sum(map(len, values)) not in _TOTALS or all(token["digits"] for token in tokens):
            continue
        pieces.append(text[done : run.start()])
        starts += range(done, run.start())
        ends += range(done + 1, run.start() + 1)
        for token, value in zip(tokens, values, strict=True):
            pieces += (value, " ")
            starts += [token.start()] * (len(value) + 1)
            ends += [token.end()] * (len(value) + 1)
        pieces.pop()
        del starts[-1], ends[-1]
        done = run.end()
    if not pieces:
        return None
    pieces.append(text[done:])
    starts += range(done, len(text))
    ends += range(done + 1, len(text) + 1)
    return Folded("".join(pieces), starts, ends)


def _digits_of(token: re.Match[str]) -> str:
    if token["digits"]:
        return token["digits"]
    if token["tens"]:
        return str(_TENS[token["tens"].lower()] + (_UNITS[token["more"].lower()] if token["more"] else 0))
    return str(_TEENS[token["teen"].lower()] if token["teen"] else _UNITS[token["unit"].lower()])
