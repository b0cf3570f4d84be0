"""Shifts from a planner's calendar: who it is, in which zone, and what is no calendar at all."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from duty_support import OSLO, at, people, roster, table

from alerts.duty.calendar import MOST_EVENTS, Calendar, CalendarError, Shifts, read_calendar
from alerts.duty.people import Person
from alerts.duty.roster import on_duty
from alerts.duty.wall import first
from listener.settings.zone import find_zone
from listener.units import format_instant

NOW = at("2026-01-01T00:00:00Z")
NIGHT = "DTSTART;TZID=Europe/Oslo:20260105T200000\nDTEND;TZID=Europe/Oslo:20260106T080000"
IN_IT = at("2026-01-05T23:00:00Z")
EVERYBODY = people(
    kari={"name": "Kari Nordmann", "ways": [{"channel": "email", "target": "Kari <Kari.N@sykehus.example>"}]},
    ola={"name": "Ola Øst", "ways": [{"channel": "console"}]},
)


def event(*lines: str) -> str:
    return "\n".join(("BEGIN:VEVENT", "UID:a", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"))


def text(*events: str, head: str = "") -> bytes:
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//NO", *filter(None, [head]), *events, "END:VCALENDAR"]
    return ("\r\n".join("\n".join(lines).split("\n")) + "\r\n").encode()


def read(*events: str, head: str = "") -> Calendar:
    return read_calendar(text(*events, head=head), find_zone(OSLO), NOW)


def shifts(*events: str, head: str = "", everybody: dict[str, Person] | None = None) -> Shifts:
    return Shifts(read(*events, head=head), everybody or EVERYBODY)


def spans(found: Shifts) -> list[tuple[str, str]]:
    told = found.between(NOW, NOW + timedelta(days=366))
    return [(format_instant(shift.start), format_instant(shift.end)) for shift in told]


def test_every_case_of_the_table_has_the_shifts_that_it_should() -> None:
    for case in table("calendars.json"):
        zone = find_zone(case["zone"])
        start, end = (first(datetime.fromisoformat(day), zone) for day in case["window"])
        found = Shifts(read_calendar(case["ics"].encode(), zone, start), people("kari", "ola", "per"))
        told = [
            {"from": format_instant(shift.start), "to": format_instant(shift.end), "who": who}
            for shift in found.between(start, end)
            for who in shift.who
        ]
        assert told == case["expect"], case["id"]
        duty = {"duty": roster(zone=case["zone"]).with_shifts(found)}
        for question in case["ask"]:
            assert list(on_duty(duty, {}, at(question["at"])).roles["duty"]) == question["on"], (case["id"], question)


@pytest.mark.parametrize(
    "summary",
    [
        "kari",
        "KARI",
        "Kari Nordmann",
        "  kari   nordmann ",
        "Vakt: Kari Nordmann",
        "Kari Nordmann - natt",
        "Beredskapsvakt – kari",
    ],
)
def test_who_it_is_stands_in_the_summary_by_key_or_name_perhaps_with_a_label(summary: str) -> None:
    found = shifts(event(NIGHT, f"SUMMARY:{summary}"))
    assert (found.at(IN_IT), found.troubles) == ({"kari"}, ())


@pytest.mark.parametrize("summary", ["Kari Nordmann\\, Ola Øst", "kari / ola", "kari og ola", "Vakt: kari & ola"])
def test_several_names_are_several_people(summary: str) -> None:
    assert shifts(event(NIGHT, f"SUMMARY:{summary}")).at(IN_IT) == {"kari", "ola"}


def test_of_several_names_one_that_is_nobodys_is_told_and_the_others_stand() -> None:
    found = shifts(event(NIGHT, "SUMMARY:kari, Per Vikar"))
    assert found.at(IN_IT) == {"kari"}
    assert found.troubles == ("names 'Per Vikar', who is nobody in people.yaml: nobody is called for it",)


@pytest.mark.parametrize(
    "attendee",
    [
        "ATTENDEE:mailto:kari.n@sykehus.example",
        'ATTENDEE;CN="Kari Nordmann":mailto:vikar@planner.example',
        # folded in the middle of the address, as lines of more than 75 octets are
        'ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;CN="K. N.":MAILTO:Ka\n ri.N@sykehus.example',
    ],
)
def test_else_who_it_is_stands_among_the_attendees_after_unfolding(attendee: str) -> None:
    found = shifts(event(NIGHT, "SUMMARY:Beredskapsvakt", attendee))
    assert (found.at(IN_IT), found.troubles) == ({"kari"}, ())


def test_a_summary_is_unfolded_in_the_middle_of_a_letter() -> None:
    folded = text(event(NIGHT, "SUMMARY:Ola Øst")).replace(b"\xc3\x98", b"\xc3\r\n \x98")
    assert Shifts(read_calendar(folded, find_zone(OSLO), NOW), EVERYBODY).at(IN_IT) == {"ola"}


@pytest.mark.parametrize(
    ("lines", "trouble"),
    [
        (["SUMMARY:Per Vikar"], "names 'Per Vikar', who is nobody in people.yaml: nobody is called for it"),
        (["SUMMARY:Møte med kari"], "names 'Møte med kari', who is nobody in people.yaml: nobody is called for it"),
        ([], "has a shift without a name: nobody is called for it"),
        (
            ["SUMMARY:Vakt", "ATTENDEE;PARTSTAT=DECLINED:mailto:kari.n@sykehus.example"],
            "names 'Vakt', who is nobody in people.yaml: nobody is called for it",
        ),
    ],
)
def test_a_shift_that_is_nobodys_is_trouble_at_once(lines: list[str], trouble: str) -> None:
    found = shifts(event(NIGHT, *lines))
    assert (found.at(IN_IT), found.troubles) == (frozenset(), (trouble,))


def test_a_cancelled_shift_is_nobodys_and_no_trouble() -> None:
    found = shifts(event(NIGHT, "SUMMARY:kari", "STATUS:CANCELLED"), event(NIGHT, "SUMMARY:x", "STATUS:CANCELLED"))
    assert (found.at(IN_IT), found.troubles) == (frozenset(), ())


def test_one_cancelled_occurrence_leaves_the_others() -> None:
    found = shifts(
        event(NIGHT, "SUMMARY:kari", "RRULE:FREQ=DAILY;COUNT=3"),
        event(
            "RECURRENCE-ID;TZID=Europe/Oslo:20260106T200000",
            "DTSTART;TZID=Europe/Oslo:20260106T200000",
            "DTEND;TZID=Europe/Oslo:20260107T080000",
            "SUMMARY:kari",
            "STATUS:CANCELLED",
            "SEQUENCE:1",
        ),
    )
    assert [start[:10] for start, _ in spans(found)] == ["2026-01-05", "2026-01-07"]


def test_a_time_without_a_zone_is_the_calendars_else_the_rosters() -> None:
    floating = event("DTSTART:20260706T080000", "DTEND:20260706T160000", "SUMMARY:kari")
    assert spans(shifts(floating)) == [("2026-07-06T06:00:00Z", "2026-07-06T14:00:00Z")]
    elsewhere = shifts(floating, head="X-WR-TIMEZONE:America/Chicago")
    assert spans(elsewhere) == [("2026-07-06T13:00:00Z", "2026-07-06T21:00:00Z")]


def test_a_time_in_utc_is_that_instant_also_when_the_wall_shows_it_a_second_time() -> None:
    second = event("DTSTART:20261025T013000Z", "DTEND:20261025T070000Z", "SUMMARY:kari")
    assert spans(shifts(second)) == [("2026-10-25T01:30:00Z", "2026-10-25T07:00:00Z")]
    # The library makes a wall time of it where the calendar has a zone: then it begins too early, never too late.
    walled = shifts(second, head="X-WR-TIMEZONE:Europe/Oslo")
    assert spans(walled) == [("2026-10-25T00:30:00Z", "2026-10-25T07:00:00Z")]


def test_a_zone_that_the_calendar_itself_describes_is_understood() -> None:
    offset = "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300\nEND:STANDARD"
    described = f"BEGIN:VTIMEZONE\nTZID:Sykehuset\n{offset}\nEND:VTIMEZONE"
    own = event("DTSTART;TZID=Sykehuset:20260706T080000", "DTEND;TZID=Sykehuset:20260706T160000", "SUMMARY:kari")
    assert spans(shifts(described, own)) == [("2026-07-06T05:00:00Z", "2026-07-06T13:00:00Z")]


def test_a_planner_that_names_zones_as_windows_does_is_understood() -> None:
    found = shifts(
        event(
            "DTSTART;TZID=W. Europe Standard Time:20260706T080000",
            "DTEND;TZID=W. Europe Standard Time:20260706T160000",
            "SUMMARY:kari",
        )
    )
    assert spans(found) == [("2026-07-06T06:00:00Z", "2026-07-06T14:00:00Z")]


@pytest.mark.parametrize(
    ("start", "length", "ends"),
    [
        ("20260105T200000", "PT12H", "2026-01-06T07:00:00Z"),
        # autumn: twelve hours are over at 07:00, and nobody would stand there until 08:00
        ("20261024T200000", "PT12H", "2026-10-25T07:00:00Z"),
        # spring: the wall shows 08:00 after eleven hours; the twelfth has two people
        ("20260328T200000", "PT12H", "2026-03-29T07:00:00Z"),
        ("20261024T200000", "P1D", "2026-10-25T19:00:00Z"),
    ],
)
def test_a_length_in_hours_ends_by_the_hours_or_by_the_wall_whichever_is_later(
    start: str, length: str, ends: str
) -> None:
    found = shifts(event(f"DTSTART;TZID=Europe/Oslo:{start}", f"DURATION:{length}", "SUMMARY:kari"))
    assert [end for _, end in spans(found)] == [ends]


def test_pieces_that_touch_are_one_duty() -> None:
    pieces = [
        event(f"DTSTART:202601{day:02}T070000Z", f"DTEND:202601{day + 1:02}T070000Z", "SUMMARY:kari")
        for day in range(5, 12)
    ]
    week = roster().with_shifts(shifts(*[piece.replace("UID:a", f"UID:{n}") for n, piece in enumerate(pieces)]))
    assert week.until(at("2026-01-05T07:00:00Z")) == at("2026-01-12T07:00:00Z")


def test_a_duty_that_repeats_for_ever_ends_each_time() -> None:
    weekly = roster().with_shifts(shifts(event(NIGHT, "SUMMARY:kari", "RRULE:FREQ=WEEKLY")))
    assert weekly.until(IN_IT) == at("2026-01-06T07:00:00Z")
    assert weekly.until(at("2027-08-03T12:00:00Z")) == at("2027-08-09T18:00:00Z")
    always = event("DTSTART:20260101T000000Z", "DTEND:20260102T000000Z", "SUMMARY:kari", "RRULE:FREQ=DAILY")
    assert roster().with_shifts(shifts(always)).until(IN_IT) is None


@pytest.mark.parametrize("end", ["COUNT=3", "UNTIL=20260108T000000Z"])
def test_after_the_last_of_a_series_nothing_comes(end: str) -> None:
    few = roster().with_shifts(shifts(event(NIGHT, "SUMMARY:kari", f"RRULE:FREQ=DAILY;{end}")))
    assert few.until(at("2026-01-07T20:00:00Z")) == at("2026-01-08T07:00:00Z")
    assert few.until(at("2026-01-08T07:00:00Z")) is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"<html>Logg inn</html>", "is no iCalendar"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n", "no iCalendar|cannot be read"),
        (text(event("SUMMARY:kari")), "without DTSTART"),
        (text(event(NIGHT, "SUMMARY:kari", "RRULE:FREQ=MINUTELY")), "every minute"),
        (text(*[event(NIGHT, f"SUMMARY:{n}") for n in range(MOST_EVENTS + 1)]), "more than 5,000 events"),
        (b"BEGIN:VCALENDAR" + b"x" * 2_000_000, "is larger than 2 MB"),
    ],
    ids=["empty", "a page", "cut off", "no start", "every minute", "too many", "too large"],
)
def test_what_is_no_calendar_says_so_and_what_to_do(content: bytes, why: str) -> None:
    with pytest.raises(CalendarError, match=why):
        read_calendar(content, find_zone(OSLO), NOW)
