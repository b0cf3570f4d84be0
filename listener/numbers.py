"""Finding national identity numbers and phone numbers in a text.

A *group* is digits without a break; a *window* is neighbouring groups that make up a number together. Where a text
may be read in two ways, privacy decides, with these bounds:

Identity numbers: eleven digits that begin with a date (also of D-numbers, day + 40; H-numbers, month + 40; and
synthetic ones, month + 65 or + 80), written together or broken as 6+5, 2-2-2-5, 2-2-2-3-2 and the like. The check
digits need not fit: people mistype. Broken at other places, with the year in four digits, or without a date
(FH-numbers), the check digits must fit.

Phone numbers: eight digits of a range that Norway has given out, broken as people break them, +47 or 47 before it
or not; international ones after + or 00; ones of a few neighbours that begin with 0; any eight to twelve digits after
a word such as `tlf` or `ring`. A sum written `45 500 600` is masked too: `Vipps 45 500 600` is a phone number.
Shorter ones (110, 113, 116117, 02800) lead to no person and stay, and so do dates, times, coordinates and the ids in a
link's path. Foreign numbers without + or 00 and without such a word may be missed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import phonenumbers
from stdnum.no import fodselsnummer

from listener.folding import Span

IDENTITY, PHONE = "national_id", "phone"
IDENTITY_MARK, PHONE_MARK = "‹fnr›", "‹tlf›"

_BETWEEN = r"[\s.\-‐‑‒–—―−_/:()·•]"
_RUN = re.compile(rf"\d(?:{_BETWEEN}{{0,4}}\d){{7,}}")
_DIGITS = re.compile(r"\d+")
_PLUS = re.compile(r"\(?\+[\s(]{0,2}\Z")
_DASHES = "-‐‑‒–—―−"
_NOT_IN_PHONE = re.compile(r"[_/:·•]")
_CUE = re.compile(
    r"(?i)(?<![^\W_])(?:tlf|telf?s?|t[eé]l[eé]fono?\w*|mob(?:il\w*)?|ring(?:e|er)?|nummer\w*|sms|vipps\w*|whatsapp"
    r"|phone|call|cell|puh)\W[^\d\n]{0,10}\Z"
)
_URL = re.compile(r"(?i)(?:https?://|www\.|(?<![\w.-])(?:[\w-]{1,63}\.)+[a-z]{2,24}/)\S+")
_PHONE_HOST = re.compile(
    r"(?i)^(?:https?://)?(?:[\w-]+\.)*(?:wa\.me|whatsapp\.com|signal\.me|1881\.no|gulesider\.no)\b"
)
_IN_PATH = re.compile(r"(?<!\w)\+?\d{8,15}(?!\w)")

_SHAPES = {(8,), (2, 2, 2, 2), (3, 2, 3), (2, 3, 3), (3, 3, 2), (4, 4), (2, 6), (3, 5), (5, 3), (1,) * 8}
_DOTTED_SHAPES = {(8,), (2, 2, 2, 2), (3, 2, 3), (2, 3, 3), (3, 3, 2)}
"""Others with a dot are decimals: 59.913912."""
_NEIGHBOURS = ("SE", "FI", "GB", "DE")
"""Whose numbers begin with 0 at home. Danish, Polish and Spanish ones look like any number."""


class _Group(NamedTuple):
    start: int
    end: int
    digits: str


def find_numbers(text: str) -> Iterator[Span]:
    """Spans of identity and phone numbers in a folded text, in no order."""
    if not _RUN.search(text):
        return
    text = _URL.sub(_veil, text)
    for run in _RUN.finditer(text):
        groups = [_Group(*m.span(), _ascii(m[0])) for m in _DIGITS.finditer(text, *run.span())]
        yield from _Reading(text, groups).spans()


class _Reading:
    """One run of groups being read. `seps[i]` stands between groups i and i + 1."""

    def __init__(self, text: str, groups: list[_Group]) -> None:
        self.text = text
        self.groups = groups
        self.seps = [text[a.end : b.start] for a, b in pairwise(groups)]
        self.taken = [False] * len(groups)

    def spans(self) -> Iterator[Span]:
        # Identity numbers first, everywhere: `22 311299 12345` must not become a phone number and a rest.
        for find, mark, label in (
            (self._identity_at, IDENTITY_MARK, IDENTITY),
            (self._phone_at, PHONE_MARK, PHONE),
        ):
            i = 0
            while i < len(self.groups):
                if self.taken[i]:
                    i += 1
                    continue
                start, stop, skip = find(i)
                if stop:
                    self.taken[i:stop] = [True] * (stop - i)
                    yield Span(start, self.groups[stop - 1].end, mark, label)
                i = stop or i + skip

    def _window(self, i: int, total: int) -> int:
        """The index behind the groups from i on that hold exactly `total` digits; 0 if there is none."""
        held = 0
        for j in range(i, len(self.groups)):
            if self.taken[j]:
                return 0
            held += len(self.groups[j].digits)
            if held >= total:
                return j + 1 if held == total else 0
        return 0

    def _joined(self, i: int, stop: int) -> str:
        return "".join(group.digits for group in self.groups[i:stop])

    def _plus(self, i: int) -> re.Match[str] | None:
        start = self.groups[i].start
        return _PLUS.search(self.text, max(0, start - 4), start)

    def _identity_at(self, i: int) -> tuple[int, int, int]:
        """(start, index behind, groups to go on by when there is none)"""
        start = self.groups[i].start
        if self._plus(i):
            return start, 0, 1
        stop = self._window(i, 11)
        if stop:
            digits = self._joined(i, stop)
            if checks(digits):
                return start, stop, 1
            if has_date(digits) and self._broken_sensibly(i, stop) and self._neighbour(i) != stop:
                return start, stop, 1
        stop = self._window(i, 13)
        if stop:
            digits = self._joined(i, stop)
            if digits[4:6] in ("18", "19", "20") and checks(digits[:4] + digits[6:]):
                return start, stop, 1
        return start, 0, 1

    def _broken_sensibly(self, i: int, stop: int) -> bool:
        if stop - i == 11:
            return True
        place = 0
        for group, sep in zip(self.groups[i : stop - 1], self.seps[i : stop - 1], strict=True):
            place += len(group.digits)
            if place not in (2, 4, 6, 9) or (":" in sep and place != 6) or ")" in sep:
                return False
        return True

    def _phone_at(self, i: int) -> tuple[int, int, int]:
        first = self.groups[i]
        plus = self._plus(i)
        if plus or first.digits.startswith("00"):
            stop = self._international(i, bool(plus))
            if stop:
                return (plus.start() if plus else first.start), stop, 1
        if skip := self._date(i) or self._clock_or_day_pair(i):
            return first.start, 0, skip
        stop = self._window(i, 10)
        if stop and self._speakable(i, stop):
            digits = self._joined(i, stop)
            if digits.startswith("47") and is_phone(digits[2:], "NO"):
                return first.start, stop, 1
        stop = self._window(i, 8)
        if stop and self._norwegian(i, stop):
            return first.start, stop, 1
        return first.start, self._neighbour(i) or self._after_cue(i), 1

    def _speakable(self, i: int, stop: int) -> bool:
        return not any(_NOT_IN_PHONE.search(sep) for sep in self.seps[i : stop - 1])

    def _international(self, i: int, plus: bool) -> int:
        longest = 0
        digits = ""
        stops = []
        for j in range(i, len(self.groups)):
            if self.taken[j] or (j > i and not self._speakable(j - 1, j + 1)):
                break
            if j > i + 3 or self.groups[j].digits != "0" or j == i:  # +47 (0) 22 …: the 0 is for callers at home
                digits += self.groups[j].digits
            number = digits if plus else digits[2:]
            if len(number) > 15:
                break
            if len(number) >= 8:
                stops.append((j + 1, number))
                longest = j + 1
        for stop, number in reversed(stops):
            if is_phone("+" + number, None):
                return stop
        return longest if plus else 0

    def _norwegian(self, i: int, stop: int) -> bool:
        if not self._speakable(i, stop):
            return False
        seps = "".join(self.seps[i : stop - 1])
        shape = tuple(len(group.digits) for group in self.groups[i:stop])
        allowed = _DOTTED_SHAPES if "." in seps else _SHAPES
        return shape in allowed and is_phone(self._joined(i, stop), "NO")

    def _after_cue(self, i: int) -> int:
        start = self.groups[i].start
        if _CUE.search(self.text, max(0, start - 32), start):
            for total in range(12, 7, -1):
                stop = self._window(i, total)
                if stop and self._speakable(i, stop):
                    return stop
        return 0

    def _neighbour(self, i: int) -> int:
        if not self.groups[i].digits.startswith("0"):
            return 0
        for total in (11, 10, 9):
            stop = self._window(i, total)
            if not stop or not self._speakable(i, stop) or "." in "".join(self.seps[i : stop - 1]):
                continue
            digits = self._joined(i, stop)
            if any(is_phone(digits, region) for region in _NEIGHBOURS):
                return stop
        return 0

    def _date(self, i: int) -> int:
        """3 when a date such as 29.11.2013, 1.3.24 or 2013-11-29 begins here, else 0."""
        if i + 3 > len(self.groups) or any(self.taken[i : i + 3]):
            return 0
        a, b, c = (group.digits for group in self.groups[i : i + 3])
        sep, other = self.seps[i].strip(), self.seps[i + 1].strip()
        if sep != other or sep not in ("", ".", "/", *_DASHES):
            return 0
        if len(a) == 4:
            a, c = c, a
        if not (len(a) <= 2 and len(b) <= 2 and 1 <= int(a) <= 31 and 1 <= int(b) <= 12):
            return 0
        if len(c) == 4:
            return 3 if c[:2] in ("19", "20") else 0
        ends = i + 3 == len(self.groups) or self.seps[i + 2].strip() != sep
        return 3 if len(c) == 2 and sep and ends else 0

    def _clock_or_day_pair(self, i: int) -> int:
        """Groups to go on by when `21.30-22.30`, `24.12 - 26.12`, `24.12 21.30` or `2100-2200` begins here, else 0."""
        sizes = [len(group.digits) for group in self.groups[i : i + 4]]
        if sizes[:2] == [4, 4] and self.seps[i].strip() in tuple(_DASHES):
            return 1 if all(_clock_or_year(group.digits) for group in self.groups[i : i + 2]) else 0
        if sizes != [2, 2, 2, 2]:
            return 0
        one, two, three = (sep.strip() for sep in self.seps[i : i + 3])
        if one == two == three:
            return 0
        a, b, c, d = (group.digits for group in self.groups[i : i + 4])
        return 2 if _clock_or_day(a, b) and _clock_or_day(c, d) else 0


def _clock_or_year(digits: str) -> bool:
    return digits[:2] in ("19", "20") or (int(digits[:2]) <= 24 and int(digits[2:]) <= 59)


def _clock_or_day(a: str, b: str) -> bool:
    return (int(a) <= 24 and int(b) <= 59) or (1 <= int(a) <= 31 and 1 <= int(b) <= 12)


def has_date(digits: str) -> bool:
    """True when eleven digits begin with a day and a month of any kind of identity number."""
    day, month = int(digits[:2]), int(digits[2:4])
    return 1 <= day - 40 * (day > 40) <= 31 and any(1 <= month - plus <= 12 for plus in (0, 40, 65, 80))


def checks(digits: str) -> bool:
    """True when eleven digits end in the check digits of an identity number and begin with a date or are FH."""
    if not (has_date(digits) or digits[0] in "89"):
        return False
    one, two = fodselsnummer.calc_check_digit1(digits), fodselsnummer.calc_check_digit2(digits)
    return bool(digits[9] == one and digits[10] == two)


@lru_cache(maxsize=4096)
def is_phone(number: str, region: str | None) -> bool:
    """True when the number lies in a range given out to subscribers. `region` None: it begins with +."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _ascii(digits: str) -> str:
    return digits if digits.isascii() else "".join(str(unicodedata.decimal(digit)) for digit in digits)


def _veil(url: re.Match[str]) -> str:
    """The link, as long as before, digits only where they may be a person's: query, fragment, directories."""
    path, mark, query = re.split(r"([?#]|$)", url[0], maxsplit=1)
    query = re.sub(r"(?<=\d)\+(?=\d)", " ", query)
    if not _PHONE_HOST.match(path):
        shown = [m for m in _IN_PATH.finditer(path) if m[0][0] == "+" or (len(m[0]) == 11 and checks(_ascii(m[0])))]
        veiled = _DIGITS.sub(lambda m: "x" * len(m[0]), path)
        for m in shown:
            veiled = veiled[: m.start()] + m[0] + veiled[m.end() :]
        path = veiled
    return path + mark + query
