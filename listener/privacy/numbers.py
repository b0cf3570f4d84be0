"""Finding national identity numbers and phone numbers in a text.

A *group* is digits without a break; a *window* is neighbouring groups that make up a number together. Where a text
may be read in two ways, privacy decides, with these bounds:

Identity numbers: eleven digits that begin with a date (also of D-numbers, day + 40; H-numbers, month + 40; and
synthetic ones, month + 65 or + 80). Where the check digits fit, they may be broken anywhere and by anything: signs,
line breaks, a few words between date and personal number; they may stand twice together, in a link, and have O, l
and I for 0 and 1. The check digits need not fit where the number is written together or broken as 6+5, 2-2-2-5,
2-2-2-3-2 and the like: people mistype.

Phone numbers: eight digits of a range that Norway has given out, broken as people break them, +47 or 47 before it
or not; mobile ones also broken at odd places or by odd signs; international ones after + or 00; ones of a few
neighbours that begin with 0, or have nine digits; any eight to twelve digits after a word such as `tlf` or `ring`.
`Vipps 45 500 600` is a phone number, `45 500 600 kr` is none.

Shorter ones (110, 113, 116117, 02800) lead to no person and stay, and so do dates, times, scores, coordinates, sums,
the ids in a link's path, and what a word before it says is something else: a bus, a case, an order, a firm.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import NamedTuple

import phonenumbers
from stdnum import ean
from stdnum.no import fodselsnummer, orgnr

from listener.privacy.folding import Hints, Span, hints
from listener.privacy.spelled import digits_for_words, may_spell

IDENTITY, PHONE = "national_id", "phone"
IDENTITY_MARK, PHONE_MARK = "‹fnr›", "‹tlf›"

_RUN = re.compile(r"\d(?:[\W_]{0,4}\d){7,}")
_ENOUGH = re.compile(r"\d(?:\D{0,4}\d){3}")
"""The fewest digits of a number of which others are written as letters."""
_DIGITS = re.compile(r"\d+")
_PLUS = re.compile(r"\(?\+[\s(]{0,2}\Z")
_DASHES = "-‐‑‒–—―−"
_USUAL = re.compile(r"[\s.\-‐‑‒–—―−()]*")
"""What stands in phone numbers."""
_USUAL_IN_IDENTITY = re.compile(r"[\s.\-‐‑‒–—―−_/:()·•]*")
_LISTING = re.compile(r"[,;&%°]\s|\s?[%°]")
"""What stands between the numbers of a list."""
_CUE = re.compile(
    r"(?i)(?<![^\W_])(?:tlf|telf?s?|t[eé]l[eé]fono?\w*|mob(?:il\w*)?|ring(?:e|er)?|nummer\w*|sms|vipps\w*|whatsapp"
    r"|phone|call|cell|puh|viber|signal|faks|fax)\W[^\d\n]{0,10}\Z"
)
_OTHER = re.compile(
    r"(?i)(?<![^\W\d_])(?:kr|nok|usd|eur|sak(?:en|s)?|ref|referanse|journal|ordre|bestilling|faktura|kvittering|sporing"
    r"|isbn(?:-1[03])?|org|organisasjons|foretak|buss(?:en|ene)?|linje|trikk|rute|t-?bane|lotto|vinnertall|versjon|ip|v"
    r"|order|invoice|case|ticket|bus|line|version)(?:[ .]?(?:s?nr|s?nummer|no|number))?[\s.:#№,-]{0,3}\Z"
)
"""Words that say that a number is something else."""
_SUM = re.compile(r"(?i)\s?(?:,-|kr\b|kroner|nok\b|usd\b|eur\b|euro\b|€|\$|£|mill|mrd|%|\(?postn)")
_CURRENCY = re.compile(r"[$€£]\s?\Z")
_URL = re.compile(r"(?i)(?:https?://|www\.|(?<![\w.-])(?:[\w-]{1,63}\.)+[a-z]{2,24}/)\S+")
_PHONE_HOST = re.compile(
    r"(?i)^(?:https?://)?(?:[\w-]+\.)*(?:wa\.me|whatsapp\.com|signal\.me|1881\.no|gulesider\.no)\b"
)
_IN_PATH = re.compile(r"(?i)\b(?:tlf|tel|telefon|phone|mobil|ring|sms)[/=:_-]\+?\d{8,12}(?!\d)|\+?\d+")
_LETTERS = re.compile(r"\d[OoIl]|[OoIl]\d")
_WITH_LETTERS = re.compile(r"(?<![^\W\d_OoIl])(?<![OoIl])[\dOoIl]{2,40}(?![^\W\d_])")
_AS_DIGITS = str.maketrans("OoIl", "0011")
_APART = re.compile(r"(?<!\d)(\d{2}[./ -]?\d{2}[./ -]?(?:1[89]|20)?\d{2})([^\d]{1,30})(\d{5})(?!\d)")
_PERSONAL = re.compile(r"(?i)person|pnr|fnr|siste|f[øo]dsels|last")

_SHAPES = {(8,), (2, 2, 2, 2), (3, 2, 3), (2, 3, 3), (3, 3, 2), (4, 4), (2, 6), (3, 5), (5, 3), (1,) * 8}
_DOTTED_SHAPES = {(8,), (2, 2, 2, 2), (3, 2, 3), (2, 3, 3), (3, 3, 2)}
"""Others with a dot are decimals: 59.913912."""
_NEIGHBOURS = ("SE", "FI", "GB", "DE")
"""Whose numbers begin with 0 at home."""
_OF_NINE = ("PL", "ES", "SE", "FR", "NL", "PT", "FI", "CH", "UA")
"""Whose numbers have nine digits, or nine without the 0."""


class _Group(NamedTuple):
    start: int
    end: int
    digits: str


def find_numbers(text: str, known: Hints | None = None) -> Iterator[Span]:
    """Spans of identity and phone numbers in a folded text, in no order."""
    lower, count, _ = known or hints(text)
    if may_spell(lower, count) and (said := digits_for_words(text)) and said.starts and said.ends:
        for span in _in_digits(said.text, len(said.text)):
            start, end = said.starts[span.start], said.ends[span.end - 1]
            if any(map(str.isalpha, text[start:end])):
                yield span._replace(start=start, end=end)
    if count >= 4:
        yield from _in_digits(text, count)


def _in_digits(text: str, count: int) -> Iterator[Span]:
    """`count`: there are no more digits than these."""
    if not ((lettered := _LETTERS.search(text)) or count >= 8) or not _ENOUGH.search(text):
        return
    if lettered:
        text = _WITH_LETTERS.sub(_digits_for_letters, text)
    count = _count(text)
    if count < 8:
        return
    for apart in _APART.finditer(text) if count >= 11 else ():
        yield from _apart(text, apart)
    if not _RUN.search(text):
        return
    text = _URL.sub(_veil, text)
    for run in _RUN.finditer(text):
        groups = [_Group(*m.span(), _ascii(m[0])) for m in _DIGITS.finditer(text, *run.span())]
        yield from _Reading(text, groups).spans()


def _count(text: str) -> int:
    return len("".join(_DIGITS.findall(text)))


def _digits_for_letters(token: re.Match[str]) -> str:
    digits = sum(character.isdecimal() for character in token[0])
    return token[0].translate(_AS_DIGITS) if 3 * digits >= len(token[0]) else token[0]


def _apart(text: str, found: re.Match[str]) -> Iterator[Span]:
    """A date and a personal number with words between them: two spans, so that the words stay."""
    day = _ascii("".join(_DIGITS.findall(found[1])))
    digits = day[:4] + day[-2:] + _ascii(found[3])
    near = text[max(0, found.start() - 16) : found.start()] + found[2]
    if checks(digits) or (has_date(digits) and _PERSONAL.search(near)):
        close = len(found[2]) <= 4
        yield Span(found.start(1), found.end(3) if close else found.end(1), IDENTITY_MARK, IDENTITY)
        if not close:
            yield Span(*found.span(3), IDENTITY_MARK, IDENTITY)


class _Reading:
    """One run of groups being read. `seps[i]` stands between groups i and i + 1."""

    def __init__(self, text: str, groups: list[_Group]) -> None:
        self.text = text
        self.groups = groups
        self.seps = [text[a.end : b.start] for a, b in pairwise(groups)]
        self.taken = [False] * len(groups)
        self._digits = "".join(group.digits for group in groups)
        self._places = [0, *accumulate(len(group.digits) for group in groups)]
        """Of each group in these digits, and their end."""
        self._stops = {place: stop for stop, place in enumerate(self._places)}

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
        stop = self._stops.get(self._places[i] + total, 0)
        return 0 if True in self.taken[i:stop] else stop

    def _joined(self, i: int, stop: int) -> str:
        return self._digits[self._places[i] : self._places[stop]]

    def _plus(self, i: int) -> re.Match[str] | None:
        start = self.groups[i].start
        before = max(0, start - 4)
        return _PLUS.search(self.text, before, start) if "+" in self.text[before:start] else None

    # --- identity numbers --------------------------------------------------------------------------------------

    def _identity_at(self, i: int) -> tuple[int, int, int]:
        """(start, index behind, groups to go on by when there is none)"""
        start = self.groups[i].start
        if self._plus(i) and not (i and self.groups[i - 1].end == start - 1):  # 311299+12345 is no +12345
            return start, 0, 1
        if len(self.groups[i].digits) > 11:
            return start, (i + 1 if _holds_identity(self.groups[i].digits) else 0), 1
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
        seps = self.seps[i : stop - 1]
        if not all(_USUAL_IN_IDENTITY.fullmatch(sep) for sep in seps):
            # By any one sign as 6+5, when it stands close: 31.12.99, 12345 is a date and a count.
            return len(seps) == 1 and len(self.groups[i].digits) == 6 and len(seps[0]) == 1
        if stop - i == 11:
            return True
        places = {0}
        for group, sep in zip(self.groups[i : stop - 1], seps, strict=True):
            place = max(places) + len(group.digits)
            if place not in (2, 4, 6, 9) or (":" in sep and place != 6) or ")" in sep:
                return False
            places.add(place)
        return 6 in places or not seps

    # --- phone numbers -----------------------------------------------------------------------------------------

    def _phone_at(self, i: int) -> tuple[int, int, int]:
        first = self.groups[i]
        plus = self._plus(i)
        if plus or first.digits.startswith("00"):
            stop = self._international(i, bool(plus))
            if stop:
                return (plus.start() if plus else first.start), stop, 1
        if skip := self._date(i) or self._clock_or_day_pair(i) or self._counting(i):
            return first.start, 0, skip
        if stop := self._after_cue(i):
            return first.start, stop, 1
        if skip := self._something_else(i) or self._machine(i):
            return first.start, 0, skip
        for find in (self._with_country, self._norwegian, self._of_nine, self._two):
            if stop := find(i):
                return first.start, stop, 1
        return first.start, self._neighbour(i), 1

    def _something_else(self, i: int) -> int:
        """Groups to go on by when a word before, or a currency behind, says what they are, else 0."""
        start = self.groups[i].start
        # Between the groups of a run there are no letters.
        label = None if i else _OTHER.search(self.text, max(0, start - 32), start)
        stop = i + 1
        if label or _CURRENCY.search(self.text, max(0, start - 2), start):
            most = 13 if label and label[0][:4].lower() == "isbn" else 0
            held = len(self.groups[i].digits)
            while stop < len(self.groups) and (held < most or len(self.groups[stop].digits) < 7):
                if self.taken[stop] or (not most and self.seps[stop - 1].strip() != self.seps[i].strip()):
                    break
                held += len(self.groups[stop].digits)
                stop += 1
            return stop - i
        while stop < len(self.groups) and len(self.groups[stop].digits) == 3 and len(self.seps[stop - 1]) == 1:
            stop += 1
            if stop - i > 5:
                return 0
        if _SUM.match(self.text, self.groups[stop - 1].end):
            return stop - i
        return 0

    def _speakable(self, i: int, stop: int) -> bool:
        """Between them stands what stands in phone numbers, or one odd sign, each time the same."""
        seps = self.seps[i : stop - 1]
        if all(map(_USUAL.fullmatch, seps)):
            return True
        return len(set(seps)) == 1 and not _LISTING.fullmatch(seps[0])

    def _usual(self, i: int, stop: int) -> bool:
        return all(map(_USUAL.fullmatch, self.seps[i : stop - 1]))

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

    def _with_country(self, i: int) -> int:
        stop = self._window(i, 10)
        if stop and self._speakable(i, stop):
            digits = self._joined(i, stop)
            if digits.startswith("47") and is_phone(digits[2:], "NO"):
                return stop
        return 0

    def _norwegian(self, i: int) -> int:
        stop = self._window(i, 8)
        if not stop or not self._speakable(i, stop) or self._in_a_chain(i, stop):
            return 0
        seps = self.seps[i : stop - 1]
        shape = tuple(len(group.digits) for group in self.groups[i:stop])
        if self._usual(i, stop) and shape in (_DOTTED_SHAPES if any("." in sep for sep in seps) else _SHAPES):
            # 2-1 3-0 1-1 2-2 are scores: a number in single digits is broken the same way each time.
            well = len(shape) < 8 or len({sep.strip() for sep in seps}) == 1
        elif self.groups[i].digits[0] not in "49" or len(set(seps)) != 1:
            return 0
        elif (sign := seps[0].strip()) == ".":
            well = 3 <= len(shape) <= 4 or shape == (1,) * 8
        elif len(shape) <= (4 if sign else 3) or shape == (1,) * 8:
            well = True
        else:  # 9 31 86 211, and nothing before or behind
            well = len(shape) <= 5 and stop - i == len(self.groups)
        return stop if well and is_phone(self._joined(i, stop), "NO") else 0

    def _in_a_chain(self, i: int, stop: int) -> bool:
        """10.91.45.30.21: more groups follow or go before by the same sign."""
        if stop - i < 2 or not (sign := self.seps[i].strip()):
            return False
        before = i > 0 and self.seps[i - 1] == sign and not self.taken[i - 1]
        return before or (stop < len(self.groups) and self.seps[stop - 1] == sign and len(self.groups[stop].digits) < 5)

    def _of_nine(self, i: int) -> int:
        stop = self._window(i, 9)
        if not stop or not self._usual(i, stop):
            return 0
        digits = self._joined(i, stop)
        if tuple(len(group.digits) for group in self.groups[i:stop]) not in ((9,), (3, 3, 3)) or digits[-3:] == "000":
            return 0
        if digits[0] == "0" or (digits[0] in "89" and orgnr.is_valid(digits)):
            return 0
        regions = _OF_NINE if stop - i == 1 else _OF_NINE[:2]
        return stop if any(is_phone(digits, region) for region in regions) else 0

    def _two(self, i: int) -> int:
        """Two numbers written as one."""
        digits = self.groups[i].digits
        return i + 1 if len(digits) == 16 and is_phone(digits[:8], "NO") and is_phone(digits[8:], "NO") else 0

    def _after_cue(self, i: int) -> int:
        start = self.groups[i].start
        if i == 0 and _CUE.search(self.text, max(0, start - 32), start):
            for total in range(12, 7, -1):
                stop = self._window(i, total)
                if stop and self._speakable(i, stop):
                    return self._norwegian(i) or stop
        return 0

    def _neighbour(self, i: int) -> int:
        if not self.groups[i].digits.startswith("0"):
            return 0
        for total in (11, 10, 9):
            stop = self._window(i, total)
            if not stop or not self._speakable(i, stop) or "." in "".join(self.seps[i : stop - 1]):
                continue
            if self._in_a_chain(i, stop):
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

    def _counting(self, i: int) -> int:
        """Groups to go on by when 1 2 3 4 or 10 20 30 40 50 begins here, else 0."""
        step = stop = 0
        for stop in range(i + 1, len(self.groups) + 1):
            if stop == len(self.groups) or self.taken[stop] or self.seps[stop - 1] != self.seps[i]:
                break
            if len(self.groups[stop].digits) > 3 or len(self.groups[stop - 1].digits) > 3:
                break
            further = int(self.groups[stop].digits) - int(self.groups[stop - 1].digits)
            if further != (step or further) or not further:
                break
            step = further
        return stop - i if stop - i >= (4 if abs(step) == 1 else 5) else 0

    def _machine(self, i: int) -> int:
        """4 when a network address such as 192.168.10.1 begins here, else 0. 93.18.62.11 may be a phone number."""
        groups = [group.digits for group in self.groups[i : i + 4]]
        if len(groups) < 4 or self.seps[i : i + 3] != ["."] * 3 or all(len(digits) == 2 for digits in groups):
            return 0
        if (i and self.seps[i - 1] == ".") or self.seps[i + 3 : i + 4] == ["."]:
            return 0
        return 4 if all(digits == str(int(digits)) and int(digits) < 256 for digits in groups) else 0


def _clock_or_year(digits: str) -> bool:
    return digits[:2] in ("19", "20") or (int(digits[:2]) <= 24 and int(digits[2:]) <= 59)


def _clock_or_day(a: str, b: str) -> bool:
    return (int(a) <= 24 and int(b) <= 59) or (1 <= int(a) <= 31 and 1 <= int(b) <= 12)


def _holds_identity(digits: str) -> bool:
    """Longer than one: several together, or one beside a phone number."""
    parts = [digits[place : place + 11] for place in range(0, len(digits), 11)]
    if len(digits) % 11 == 0 and all(map(has_date, parts)) and any(map(checks, parts)):
        return True
    if len(digits) > 22 or (digits[:3] in ("978", "979") and ean.is_valid(digits)):
        return False
    return checks(digits[:11]) or checks(digits[-11:])


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
        path = _IN_PATH.sub(_shown, path)
    return path + mark + query


def _shown(found: re.Match[str]) -> str:
    number = found[0].removeprefix("+")
    if not number.isdecimal() or (number != found[0] and 8 <= len(number) <= 15):
        return found[0]
    return found[0] if len(number) == 11 and checks(_ascii(number)) else "x" * len(found[0])
