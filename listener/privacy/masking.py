"""National identity numbers, phone numbers and e-mail addresses → ‹fnr›, ‹tlf›, ‹e-post›.

What counts as a number is described in `listener.privacy.numbers`. E-mail addresses are found as written
(`ola@eksempel.no`), with Norwegian letters, in links, cut off (`ola.hansen@eks…`), and in the ways people hide them
(`ola (at) eksempel.no`, `ola krøllalfa eksempel punktum no`).

**A name that somebody types in the text is not masked**, nor an address or a diagnosis: no program can separate them
from other words. That is why content stays inside and is kept only as long as its retention.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from listener.privacy.folding import ENDINGS, Hints, Span, fold, hints, replace
from listener.privacy.numbers import IDENTITY, PHONE, find_numbers
from listener.privacy.spelled import may_spell


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
_DOT = r"(?:\.|\s?[(\[{]\s?(?:dot|punktum|prikk)\s?[)\]}]\s?|\s{1,3}(?:dot|punktum|prikk)\s{1,3})"
_DOMAIN = re.compile(rf"(?i){_LABEL}(?:{_DOT}{_LABEL})+")
_SPOKEN_DOMAIN = re.compile(
    rf"(?i){_LABEL}(?:\s{{1,3}}(?:dot|punktum|prikk)\s{{1,3}}{_LABEL}){{0,3}}?\s{{1,3}}(?:dot|punktum|prikk)\s{{1,3}}"
    rf"(?:{ENDINGS})\b"
)
_BREAK = rf"(?:\s?\.|\s?\.\s(?-i:(?=[a-z]))|[,;·]|{_DOT}|[_*/|-](?:dot|punktum|prikk)[_*/|-])"
# Known by its ending: where blanks or words stand in it, or where the sign before it is none.
_WORD = r"[^\W_](?:[^\W_-]|-(?!(?:dot|punktum|prikk)-)){0,62}"
_KNOWN_DOMAIN = re.compile(
    rf"(?i){_WORD}(?:{_BREAK}{_WORD}){{0,4}}?(?:{_BREAK}(?:{ENDINGS})|\s(?:com|net|org))(?![\w-]|\.\w)"
)
_PROVIDERS = re.compile(r"(?i)(?:gmail|hotmail|outlook|yahoo|icloud|proton(?:mail)?)\b(?:[. ,]{1,2}(?:com|no|me))?")
_AT_PROVIDER = re.compile(
    r"(?i)(?<![\w@.-])(?P<name>gmail|hotmail|outlook|yahoo|icloud|proton(?:mail)?)"
    r"(?P<end>\s?[., ]\s?(?:com|no|net|me)\b)?(?![\w-])"
)
_BEFORE_PROVIDER = re.compile(r"(?:(?<=\w)\s(?:på|hos|on)\s|[\s(\[,/:–-]{1,3})\Z")
_NAMED = re.compile(
    r"(?!(?:f\.eks|bl\.a|dvs|o\.l|m\.m|e\.g|i\.e)\b)"
    r"(?:(?:[^\W\d_]+[._+-])*[^\W\d_]+[._+][^\W\d_]{2,}|(?:[^\W\d_]+-)?[^\W\d_]{3,}(?=\d))\d{0,4}(?<!\.no)(?<!\.com)"
)
"""A part before the sign that is one also where the sign is left out."""
_HYPHENED = re.compile(r"[^\W\d_]{3,}-[^\W\d_]{3,}\d{0,4}")
_CUT_DOMAIN = re.compile(_LABEL)
_LOCAL_BACKWARDS = re.compile(r"[\w.+'’\u0300-\u036f-]{1,256}")
_CLOCK = re.compile(r"\d{1,2}\.\d")
_CUT_OFF = re.compile(r"\.?…|\.\.\.")
_AT_WORDS = r"at|a|alfa|æt|kr[øo]ll-?\s?alfa|alfa-?\s?kr[øo]ll|kralfa|snabel-?\s?a"
_BRACKETED = re.compile(rf"(?i)[(\[{{<]\s?(?:{_AT_WORDS}|@)\s?[)\]}}>]\s?")
_SIGNED = re.compile(r"(?i)\s?(?P<sign>[_*/|-])(?:at|alfakr[øo]ll|kr[øo]llalfa)(?P=sign)\s?")
_SPOKEN = re.compile(rf"(?i)(?<!\s)\s{{1,3}}(?:at|a|æt|({_AT_WORDS}))\s{{1,3}}")
_SIGNED_AT = re.compile(r"at[_*/|-]")
_TELLING = re.compile(r"(?:[^\W\d_]+[._+-])+[^\W\d_]{2,}\d*|(?:[^\W\d_]+[._+-])*[^\W\d_]{3,}\d{1,4}")
"""A part before the sign that is no word of a sentence."""


def mask(text: str) -> Masked:
    """Replace identity numbers, phone numbers and e-mail addresses; handles stay (`listener.privacy.screen` has
    them)."""
    folded = fold(text)
    new, labels = replace(text, folded, find_masks(folded.text))
    return Masked(new, Counter(MaskReason(label) for label in labels))


def find_masks(text: str, known: Hints | None = None) -> list[Span]:
    """All that must be masked in a folded text. `known`: its hints, where they are at hand."""
    known = known or hints(text)
    spans = list(find_numbers(text, known)) if known.digits >= 4 or may_spell(known.lower, known.digits) else []
    for start, end in _addresses(text, known):
        spans.append(Span(start, end, EMAIL_MARK, MaskReason.EMAIL))
    return spans


def _addresses(text: str, known: Hints) -> Iterator[tuple[int, int]]:
    # Nearly every post holds none of this: plain `in` finds that out in the least time.
    at = text.find("@")
    while at >= 0:
        found = _plain_address(text, at)
        if found:
            yield found
        at = text.find("@", at + 1)
    for match in _BRACKETED.finditer(text) if "(" in text or "[" in text or "{" in text or "<" in text else ():
        domain = _DOMAIN.match(text, match.end())
        before = match.start() - (text[match.start() - 1 : match.start()] == " ")
        start = _local(text, before)
        if domain and start < before:
            yield start, domain.end()
    lower, ends = known.lower, known.ends
    alfa, mail = "alfa" in lower, "mail" in lower
    if (alfa or "snabel" in lower or "dot" in lower or "punktum" in lower or "prikk" in lower) or (
        (ends or mail) and (" at" in lower or " a " in lower or " æt" in lower)
    ):
        yield from _spoken(text)
    if mail or "icloud" in lower or "yahoo" in lower or "outlook" in lower or (ends and "proton" in lower):
        yield from _without_sign(text)
    if alfa or _SIGNED_AT.search(lower):
        for match in _SIGNED.finditer(text):
            domain = _KNOWN_DOMAIN.match(text, match.end())
            start = _local(text, match.start())
            if domain and start < match.start():
                yield start, domain.end()


def _spoken(text: str) -> Iterator[tuple[int, int]]:
    for match in _SPOKEN.finditer(text):
        start = _local(text, match.start())
        if start == match.start():
            continue
        # `at` and `a` are Norwegian words: with a spoken dot, or between what are no words, they are the sign.
        if match[1]:
            domain = _DOMAIN.match(text, match.end()) or _PROVIDERS.match(text, match.end())
        else:
            domain = _SPOKEN_DOMAIN.match(text, match.end())
            if domain is None and _TELLING.fullmatch(text, start, match.start()):
                domain = _KNOWN_DOMAIN.match(text, match.end()) or _PROVIDERS.match(text, match.end())
        if domain:
            yield start, domain.end()


def _without_sign(text: str) -> Iterator[tuple[int, int]]:
    """`ola.hansen gmail.com`: a name that is no word, before a mail provider."""
    for provider in _AT_PROVIDER.finditer(text):
        gap = _BEFORE_PROVIDER.search(text, max(0, provider.start() - 6), provider.start())
        if gap is None:
            continue
        start = _local(text, gap.start())
        named = _NAMED.fullmatch(text, start, gap.start())
        if named or ((provider["end"] or gap[0].strip().isalpha()) and _HYPHENED.fullmatch(text, start, gap.start())):
            yield start, provider.end()


def _plain_address(text: str, at: int) -> tuple[int, int] | None:
    start, after = _local(text, at), at + 1
    if text.startswith("@", after):  # ola@@eksempel.no
        more = text[after : after + 4]
        after += len(more) - len(more.lstrip("@"))
    blank_before, blank_after = text[at - 1 : at].isspace(), text[after : after + 1].isspace()
    if start == at and blank_before and blank_after:
        return _with_blanks(text, at - 1, after + 1)
    if start == at and blank_before and at > 1:
        # `takk @ola.no` names an account; `kari.viik @post.no` is an address.
        if text[text.rfind(" ", max(0, at - 64), at - 1) + 1 : at - 1].isalpha():
            return None
        start = _local(text, at - 1)
        known = _TELLING.fullmatch(text, start, at - 1) and _KNOWN_DOMAIN.match(text, after)
        return (start, known.end()) if start < at - 1 and known else None
    if start == at or text[start - 1 : start] == "@":  # @name@server is a handle
        return None
    if blank_after:
        return _with_blanks(text, at, after + 1)
    domain = _DOMAIN.match(text, after)
    if domain:
        return start, domain.end()
    if spaced := _KNOWN_DOMAIN.match(text, after):
        return start, spaced.end()
    # `word@name` is most often a handle that lost its space; an address that lost its end looks otherwise.
    cut = _CUT_DOMAIN.match(text, after)
    if cut and text[at - 1] not in ".-+'’" and ("." in text[start:at] or _CUT_OFF.match(text, cut.end())):
        return start, cut.end()
    return None


def _with_blanks(text: str, before: int, after: int) -> tuple[int, int] | None:
    """Blanks around the sign: the part before ends at `before`, the domain begins at `after`."""
    start = _local(text, before)
    domain = _KNOWN_DOMAIN.match(text, after) or _DOMAIN.match(text, after)
    if not domain or start == before or _CLOCK.match(domain[0]):
        return None
    return start, domain.end()


def _local(text: str, end: int) -> int:
    """Where the part before the @ at `end` begins; `end` when there is none."""
    if text[end - 1 : end].isspace():
        return end
    match = _LOCAL_BACKWARDS.match(text[max(0, end - 256) : end][::-1])
    if not match:
        return end
    local = match[0][::-1].lstrip(".'’+-_")
    return end - len(local)
