"""When a course is: as its feed says it, else as the words of its title and summary do. Pure.

Where a year is missing, it is the next such day after it was published. A day that no calendar has is none.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from typing import Final, NamedTuple

from listener.units import parse_time

MONTHS: Final = {
    "nb": ("januar", "februar", "mars", "april", "mai", "juni", "juli", "august", "september", "oktober", "november",
           "desember"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}  # fmt: skip
_NUMBER: Final = {
    name[:length].casefold(): number
    for names in MONTHS.values()
    for number, name in enumerate(names, 1)
    for length in {3, 4, len(name)}
}
_MONTH: Final = "|".join(sorted(map(re.escape, _NUMBER), key=len, reverse=True))
_TO: Final = r"\s?(?:[–—-]|til|to|og|and|&)\s?"
_DAY: Final = r"(?P<day>\d{1,2})"
_YEAR: Final = r"(?P<year>20\d\d)"
_NAME: Final = rf"(?P<name>{_MONTH})"
_ISO2: Final = r"(?P<year2>20\d\d)-(?P<month2>\d\d)-(?P<day2>\d\d)"
_FORMS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"\b{_YEAR}-(?P<month>\d\d)-(?P<day>\d\d)\b(?:{_TO}{_ISO2}\b)?",
        rf"\b{_DAY}\.?(?:{_TO}(?P<day2>\d{{1,2}})\.?)?\s{_NAME}\b\.?(?:\s{_YEAR}\b)?",
        rf"\b{_NAME}\s{_DAY}(?:{_TO}(?P<day2>\d{{1,2}}))?(?:st|nd|rd|th)?\b(?:,?\s{_YEAR}\b)?",
        rf"\b{_DAY}\.(?P<month>\d{{1,2}})\.{_YEAR}\b",
    )
)


class CourseDates(NamedTuple):
    """The first and the last day; one day where they are the same."""

    first: date
    last: date

    def starts(self, zone: tzinfo) -> datetime:
        """When nothing of it need be published any more: the beginning of its first day."""
        return datetime.combine(self.first, time(), zone).astimezone(UTC)

    def shown(self, language: str) -> str:
        """`12.–13. mars 2027`, `12 March 2027`."""
        months, dot = MONTHS[language], "." if language == "nb" else ""
        last = f"{self.last.day}{dot} {months[self.last.month - 1]} {self.last.year}"
        if self.first == self.last:
            return last
        if (self.first.year, self.first.month) == (self.last.year, self.last.month):
            return f"{self.first.day}{dot}–{last}"
        year = "" if self.first.year == self.last.year else f" {self.first.year}"
        return f"{self.first.day}{dot} {months[self.first.month - 1]}{year} – {last}"


def dates_in(text: str, published: date) -> CourseDates | None:
    """The first dates that a text names, on the day it was published or after it; None where it names none."""
    found = [
        (match.start(), dates)
        for form in _FORMS
        for match in form.finditer(text)
        if (dates := _dates(match, published)) is not None and dates.last >= published
    ]
    return min(found, key=lambda each: each[0])[1] if found else None


def dates_of(starts: str, ends: str, zone: tzinfo) -> CourseDates | None:
    """As a feed's own fields say it, in ISO 8601; None where they are none."""
    first = _day(starts, zone)
    if first is None:
        return None
    last = _day(ends, zone)
    return CourseDates(first, last if last is not None and last >= first else first)


def _day(text: str, zone: tzinfo) -> date | None:
    try:
        found = parse_time(text)
    except ValueError:
        return None
    return (found if found.tzinfo is None else found.astimezone(zone)).date()


def _dates(match: re.Match[str], published: date) -> CourseDates | None:
    its = match.groupdict()
    month = _NUMBER[its["name"].casefold()] if its.get("name") else int(its["month"])
    year = int(its["year"]) if its.get("year") else published.year
    try:
        first = date(year, month, int(its["day"]))
        if not its.get("year") and first < published:
            first = first.replace(year=year + 1)
        last = first
        if its.get("day2"):
            year2, month2 = int(its.get("year2") or first.year), int(its.get("month2") or first.month)
            last = date(year2, month2, int(its["day2"]))
    except ValueError:
        return None
    return CourseDates(first, last) if last >= first else None
