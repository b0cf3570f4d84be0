"""National identity numbers, phone numbers and e-mail addresses → ‹fnr›, ‹tlf›, ‹e-post›.

What counts as a number is told in `listener.numbers`. E-mail addresses are found as written (`ola@eksempel.no`), with
Norwegian letters, in links, cut off (`ola.hansen@eks…`), and in the ways people hide them (`ola (at) eksempel.no`,
`ola krøllalfa eksempel punktum no`).

**A name that somebody types in the text is not masked**, nor an address or a diagnosis: no program can tell them
from other words. That is why content stays in the house and lives only as long as its retention.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from listener.folding import Span, fold, replace
from listener.numbers import IDENTITY, PHONE, find_numbers


class MaskReason(StrEnum):
    """Why a part of a text was replaced."""

    NATIONAL_ID = IDENTITY
    PHONE = PHONE
    EMAIL = "email"
    HANDLE = "handle"


class Masked(NamedTuple):
    """A text without numbers and addresses, and how many of each there were."""

    text: str
    counts: Mapping[MaskReason, int]


EMAIL_MARK = "‹e-post›"

_LABEL = r"[\w\u0300-\u036f](?:[\w\u0300-\u036f-]{0,62}[\w\u0300-\u036f])?"
_DOT = r"(?:\.|\s?[(\[{]\s?(?:dot|punktum|prikk)\s?[)\]}]\s?|\s++(?:dot|punktum|prikk)\s++)"
_DOMAIN = re.compile(rf"(?i){_LABEL}(?:{_DOT}{_LABEL})+")
_ENDINGS = "no|com|org|net|edu|gov|info|eu|se|dk|fi|is|de|uk|pl|nl|fr"
_SPOKEN_DOMAIN = re.compile(
    rf"(?i){_LABEL}(?:\s++(?:dot|punktum|prikk)\s++{_LABEL}){{0,3}}?\s++(?:dot|punktum|prikk)\s++(?:{_ENDINGS})\b"
)
_CUT_DOMAIN = re.compile(_LABEL)
_LOCAL = re.compile(r"[\w.+'’\u0300-\u036f-]{1,256}\Z")
_CLOCK = re.compile(r"\d{1,2}\.\d")
_CUT_OFF = re.compile(r"…|\.\.\.")
_BRACKETED = re.compile(r"(?i)[(\[{<]\s?(?:at|a|alfa|krøllalfa|alfakrøll|snabel-?a)\s?[)\]}>]\s?")
_SPOKEN = re.compile(r"(?i)(?<!\s)\s++(?:at|(krøllalfa|alfakrøll|snabel-?a))\s++")
_SPOKEN_CUES = ("dot", "punktum", "prikk", "krøll", "snabel")


def mask(text: str) -> Masked:
    """Replace identity numbers, phone numbers and e-mail addresses; handles stay (`listener.privacy` has them)."""
    folded = fold(text)
    new, labels = replace(text, folded, find_masks(folded.text))
    return Masked(new, Counter(MaskReason(label) for label in labels))


def find_masks(text: str) -> list[Span]:
    """All that must be masked in a folded text."""
    spans = list(find_numbers(text))
    spans.extend(Span(start, end, EMAIL_MARK, MaskReason.EMAIL) for start, end in _addresses(text))
    return spans


def _addresses(text: str) -> Iterator[tuple[int, int]]:
    at = text.find("@")
    while at >= 0:
        found = _plain_address(text, at)
        if found:
            yield found
        at = text.find("@", at + 1)
    for match in _BRACKETED.finditer(text) if _holds_any(text, "([{<") else ():
        domain = _DOMAIN.match(text, match.end())
        before = match.start() - (text[match.start() - 1 : match.start()] == " ")
        start = _local(text, before)
        if domain and start < before:
            yield start, domain.end()
    lower = text.lower()
    if _holds_any(lower, _SPOKEN_CUES):
        for match in _SPOKEN.finditer(text):
            # `at` is a Norwegian word: only with a spoken dot is it the sign.
            domain = (_DOMAIN if match[1] else _SPOKEN_DOMAIN).match(text, match.end())
            start = _local(text, match.start())
            if domain and start < match.start():
                yield start, domain.end()


def _holds_any(text: str, parts: Iterable[str]) -> bool:
    # Nearly every post holds none, and a loop tells so in a quarter of the time that `any` takes.
    for part in parts:  # noqa: SIM110
        if part in text:
            return True
    return False


def _plain_address(text: str, at: int) -> tuple[int, int] | None:
    start, after = _local(text, at), at + 1
    if start == at and text[at - 1 : at].isspace() and text[after : after + 1].isspace():
        start, after = _local(text, at - 1), at + 2
        domain = _DOMAIN.match(text, after)
        found = domain and start < at - 1 and not _CLOCK.match(domain[0])
        return (start, domain.end()) if domain and found else None
    if start == at or text[start - 1 : start] == "@":  # @name@server is a handle
        return None
    domain = _DOMAIN.match(text, after)
    if domain:
        return start, domain.end()
    # `word@name` is most often a handle that lost its space; an address that lost its end looks otherwise.
    cut = _CUT_DOMAIN.match(text, after)
    if cut and text[at - 1] not in ".-+'’" and ("." in text[start:at] or _CUT_OFF.match(text, cut.end())):
        return start, cut.end()
    return None


def _local(text: str, end: int) -> int:
    """Where the part before the @ at `end` begins; `end` when there is none."""
    if text[end - 1 : end].isspace():
        return end
    match = _LOCAL.search(text, max(0, end - 256), end)
    if not match:
        return end
    local = match[0].lstrip(".'’+-_")
    return end - len(local)
