"""Shifts from a planner's calendar (iCalendar, RFC 5545): who stands there, by the wall times that are written.

A time without a zone is read in the calendar's `X-WR-TIMEZONE`, else in the roster's zone. Who it is stands in SUMMARY,
else among the ATTENDEEs: a person's key or name, or the address of one of the person's ways. A cancelled shift is
nobody's. Recurrence is the library's; where a shift ends is ours. One with DTEND ends at that wall time, also over the
night on which clocks are set, as every planner shows it. One with DURATION ends after so many hours, or when the wall
shows so many more, whichever is later: the RFC counts hours, most planners the wall, and rather two people than nobody.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any, NamedTuple

from alerts.duty.people import People
from alerts.duty.wall import first, last
from listener.errors import LyttepostError
from listener.settings.zone import find_zone

LARGEST = 2_000_000
"""Bytes of a calendar."""
MOST_EVENTS = 5_000
"""In a calendar, and of its shifts in one stretch of time."""
STRETCH = timedelta(days=32)
"""Shifts are worked out for so long at a time, and kept."""
TRIED = timedelta(days=400)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_AROUND = timedelta(days=2)
"""A stretch is asked for with so much around it: zones differ, and all-day shifts have none."""
_TOO_OFTEN = ("SECONDLY", "MINUTELY")
_LASTS = "X-LYTTEPOST-LASTS"
"""Marks a shift with DURATION: the library puts DTEND in its place."""
_FOLD = re.compile(rb"\r?\n[ \t]")
_LABEL = re.compile(r":|\s[-–—]\s")
_LIST = re.compile(r"[,;/&+|]|\s(?:og|and)\s", re.IGNORECASE)
_PARTICIPANTS = ("", "INDIVIDUAL", "GROUP")

Event = Mapping[str, Any]
"""An event of the library, whose types are looser than what it gives."""


class CalendarError(LyttepostError):
    """Why a calendar cannot be used, and what to do; which calendar it is, is said by whoever asked for it."""


class Occurrence(NamedTuple):
    """One shift of an event, from one instant to another, in UTC; whose it is, the event says."""

    start: datetime
    end: datetime
    event: Event


class Calendar:
    """What a calendar holds, whoever is meant. Works its shifts out when asked, a stretch of time after the other."""

    def __init__(self, document: Any, zone: tzinfo) -> None:
        """Raises CalendarError for what cannot be used."""
        from recurring_ical_events import of

        self._zone = _zone_of(document, zone)
        self.events = _prepared(document)
        self.repeats = any(name in event for event in self.events for name in ("RRULE", "RDATE"))
        self.trouble: str | None = None
        """What came up when it was asked for a time far from the one for which it was tried."""
        try:
            self._query = of(document, components=["VEVENT"])
        except Exception as error:
            raise _unreadable(error) from None
        self._stretches: dict[int, tuple[Occurrence, ...]] = {}
        # What does not repeat is worked out at once, however far apart it is.
        self._all = None if self.repeats else self._between(self._whole())

    def stretch(self, number: int) -> tuple[Occurrence, ...]:
        """What touches a stretch of time; all there is, where nothing repeats."""
        if self._all is not None:
            return self._all
        if number not in self._stretches:
            start = _EPOCH + number * STRETCH
            try:
                self._stretches[number] = self._between((start, start + STRETCH))
            except CalendarError as error:
                # Who asks for tonight must be answered, whatever is wrong with a night years from now.
                self._stretches[number] = ()
                self.trouble = str(error)
        return self._stretches[number]

    def _between(self, span: tuple[datetime, datetime] | None) -> tuple[Occurrence, ...]:
        """What touches a span. Raises CalendarError."""
        if span is None:
            return ()
        start, end = span
        try:
            found = self._query.between(start - _AROUND, end + _AROUND)
        except Exception as error:
            # Whatever a parser of other people's documents may raise.
            raise _unreadable(error) from None
        if len(found) > MOST_EVENTS:
            raise CalendarError(f"has more than {MOST_EVENTS:,} shifts in {(end - start).days} days; export duty only")
        shifts = (self._occurrence(event) for event in found if not _cancelled(event))
        return tuple(shift for shift in shifts if shift.start < shift.end and shift.start < end and start < shift.end)

    def _occurrence(self, event: Event) -> Occurrence:
        begins, ends = event["DTSTART"].dt, event["DTEND"].dt
        start, end = self._instant(begins, first), self._instant(ends, last)
        if _LASTS in event and isinstance(begins, datetime) and isinstance(ends, datetime):
            end = max(end, start + (ends.replace(tzinfo=None) - begins.replace(tzinfo=None)))
        return Occurrence(start, end, event)

    def _instant(self, value: Any, pick: Callable[[datetime, tzinfo], datetime]) -> datetime:
        """An event's time, in UTC: a wall time in its own zone, else in the calendar's."""
        if not isinstance(value, datetime):
            return pick(datetime.combine(value, time()), self._zone)
        if value.tzinfo is None:
            return pick(value, self._zone)
        return pick(value.replace(tzinfo=None), value.tzinfo)

    def _whole(self) -> tuple[datetime, datetime] | None:
        """From the first start to the last end."""
        times = [event[name].dt for event in self.events for name in ("DTSTART", "DTEND") if name in event]
        lasting = [event.decoded("DURATION") for event in self.events if "DURATION" in event]
        if not times:
            return None
        instants = [self._instant(each, last) for each in times]
        return min(instants), max(instants) + max(lasting, default=timedelta(0)) + timedelta(days=1)


class Shift(NamedTuple):
    """Who stands there, by key, from one instant to another, in UTC."""

    start: datetime
    end: datetime
    who: tuple[str, ...]


class Shifts:
    """A calendar's shifts, for the people that there are."""

    def __init__(self, calendar: Calendar, people: People) -> None:
        self._calendar = calendar
        self._whose = _Whose(people)
        self._timelines: dict[int, _Timeline] = {}
        self._strangers = tuple(dict.fromkeys(self._strange()))

    @property
    def repeats(self) -> bool:
        return self._calendar.repeats

    @property
    def troubles(self) -> tuple[str, ...]:
        """What a person must know of it although it is in use."""
        return self._strangers + ((self._calendar.trouble,) if self._calendar.trouble else ())

    def at(self, at: datetime) -> frozenset[str]:
        """Who stands there at an instant, by key."""
        return self._timeline(_number(at)).at(at)

    def handovers(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The instants after one and up to another at which it may change, in order."""
        for number in range(_number(after), _number(until) + 1) if self.repeats else (0,):
            begins = _EPOCH + number * STRETCH
            for edge in self._timeline(number).edges:
                if after < edge <= until and (not self.repeats or begins <= edge < begins + STRETCH):
                    yield edge

    def between(self, start: datetime, end: datetime) -> tuple[Shift, ...]:
        """Whose shifts touch a span of time, in order."""
        numbers = range(_number(start), _number(end) + 1) if self.repeats else (0,)
        found = {shift for number in numbers for shift in self._shifts(number)}
        return tuple(sorted(shift for shift in found if shift.start < end and start < shift.end))

    def _shifts(self, number: int) -> Iterator[Shift]:
        for start, end, event in self._calendar.stretch(number):
            if who := self._whose.of(event)[0]:
                yield Shift(start, end, who)

    def _timeline(self, number: int) -> _Timeline:
        number = number if self.repeats else 0
        if number not in self._timelines:
            self._timelines[number] = _Timeline(self._shifts(number))
        return self._timelines[number]

    def _strange(self) -> Iterator[str]:
        for event in self._calendar.events:
            if not _cancelled(event):
                for name in self._whose.of(event)[1]:
                    said = f"names {name!r}, who is nobody in people.yaml" if name else "has a shift without a name"
                    yield f"{said}: nobody is called for it"


class _Timeline:
    """Shifts as the instants at which somebody comes or goes, and who stands there from each on."""

    def __init__(self, shifts: Iterable[Shift]) -> None:
        comes: defaultdict[datetime, Counter[str]] = defaultdict(Counter)
        for start, end, who in shifts:
            comes[start].update(who)
            comes[end].subtract(who)
        self.edges = sorted(comes)
        self._standing: list[frozenset[str]] = []
        standing: Counter[str] = Counter()
        for edge in self.edges:
            standing.update(comes[edge])
            self._standing.append(frozenset(name for name, times in standing.items() if times > 0))

    def at(self, at: datetime) -> frozenset[str]:
        place = bisect_right(self.edges, at)
        return self._standing[place - 1] if place else frozenset()


def read_calendar(content: bytes, zone: tzinfo, at: datetime) -> Calendar:
    """A calendar's bytes → what it holds, tried for `TRIED` from `at` on; `zone`: roster's. Raises CalendarError."""
    if len(content) > LARGEST:
        raise CalendarError(f"is larger than {LARGEST // 1_000_000} MB; export duty only")
    if not content.strip():
        raise CalendarError("is empty; look whether the address is right")
    if b"BEGIN:VCALENDAR" not in content.upper():
        raise CalendarError("is no iCalendar; name the address that gives text/calendar (.ics)")
    # Only where there is a calendar: it takes a tenth of a second and more to import.
    from icalendar import Calendar as Document

    try:
        # Lines are folded at octets, which may be in the middle of a letter: unfolded before they are text.
        document = Document.from_ical(_FOLD.sub(b"", content))
    except Exception as error:
        raise _unreadable(error) from None
    if not isinstance(document, Document):
        raise CalendarError("is no iCalendar; name the address that gives text/calendar (.ics)")
    calendar = Calendar(document, zone)
    for number in range(_number(at), _number(at + TRIED) + 1):
        calendar.stretch(number)
    if calendar.trouble is not None:
        raise CalendarError(calendar.trouble)
    return calendar


def _unreadable(error: Exception) -> CalendarError:
    """By its class: its words may be names."""
    return CalendarError(f"cannot be read ({type(error).__name__}); have it exported anew, and look at it in a planner")


def _prepared(document: Any) -> list[Any]:
    """The events, each with a mark where it has DURATION. Raises CalendarError for what has no end of shifts."""
    events: list[Any] = document.walk("VEVENT")
    if len(events) > MOST_EVENTS:
        raise CalendarError(f"has more than {MOST_EVENTS:,} events; export duty only")
    for event in events:
        if "DTSTART" not in event:
            raise CalendarError("has an event without DTSTART; have it exported anew")
        rules = event.get("RRULE", [])
        for rule in rules if isinstance(rules, list) else [rules]:
            if any(str(each).upper() in _TOO_OFTEN for each in rule.get("FREQ", [])):
                raise CalendarError("has an event that repeats every minute or second; this is no duty list")
        if "DURATION" in event:
            event[_LASTS] = "yes"
    return events


def _zone_of(document: Any, zone: tzinfo) -> tzinfo:
    try:
        return find_zone(str(document["X-WR-TIMEZONE"])) if "X-WR-TIMEZONE" in document else zone
    except ValueError:
        return zone


def _cancelled(event: Event) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _number(at: datetime) -> int:
    return (at - _EPOCH) // STRETCH


class _Whose:
    """Finds people by what a planner calls them."""

    def __init__(self, people: People) -> None:
        self._by_name: dict[str, str] = {}
        self._by_address: dict[str, str] = {}
        for key, person in people.items():
            self._by_name.setdefault(_plain(person.name or key), key)
            for way in person.ways:
                if "@" in way.target:
                    address = way.target.rpartition("<")[2].rstrip("> ")
                    self._by_address.setdefault(address.strip().casefold(), key)
        # A key is nobody else's, whatever others are named.
        self._by_name |= {_plain(key): key for key in people}

    def of(self, event: Event) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The keys of those whose shift it is, and the names that are nobody's."""
        summary = str(event.get("SUMMARY", ""))
        found, strange = self._in_summary(summary)
        if not found:
            found = tuple(dict.fromkeys(self._attending(event)))
            strange = () if found else strange or ("",)
        return tuple(sorted(found)), strange

    def _in_summary(self, summary: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """A name, or a list of names; perhaps with a label before or behind it: `Vakt: Kari`, `Kari - dag`."""
        readings = [self._in_list(text) for text in (summary, *_LABEL.split(summary))]
        found, strange = max(readings, key=lambda reading: len(reading[0]) - len(reading[1]))
        return (found, strange) if found else ((), (summary.strip(),))

    def _in_list(self, text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The keys of those named, and the names that are nobody's."""
        if whole := self._by_name.get(_plain(text)):
            return (whole,), ()
        keys = {name.strip(): self._by_name.get(_plain(name)) for name in _LIST.split(text) if name.strip()}
        strange = tuple(name for name, key in keys.items() if key is None)
        return tuple(dict.fromkeys(key for key in keys.values() if key is not None)), strange

    def _attending(self, event: Event) -> Iterator[str]:
        attendees: Any = event.get("ATTENDEE", [])
        for attendee in attendees if isinstance(attendees, list) else [attendees]:
            params: Mapping[str, Any] = getattr(attendee, "params", {})
            if str(params.get("PARTSTAT", "")).upper() == "DECLINED":
                continue
            if str(params.get("CUTYPE", "")).upper() not in _PARTICIPANTS:
                continue
            address = str(attendee).strip()
            address = address[7:] if address.lower().startswith("mailto:") else address
            key = self._by_address.get(address.casefold()) or self._by_name.get(_plain(str(params.get("CN", ""))))
            if key is not None:
                yield key


def _plain(text: str) -> str:
    """A name as it is compared: case, blanks and ways of writing a letter do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
