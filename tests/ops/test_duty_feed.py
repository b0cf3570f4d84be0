"""Calendars over HTTP and people.yaml while it is edited: what is in force, and what is told of what is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_support import wait_for

from alerts.duty.feed import Feed, copy_name
from alerts.duty.people import Person, named
from alerts.duty.reload import LOOK_SECONDS, DutyBook, News
from listener.errors import ConfigError
from listener.model.decisions import Stand, Swap
from listener.runtime.download import Limits
from listener.settings.zone import find_zone
from tests.fakes.publisher import Publisher, publisher

AT = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
ICS = "text/calendar"
ZONE = find_zone("Europe/Oslo")
PEOPLE = named({key: Person.model_validate({"ways": [{"channel": "console"}]}) for key in ("kari", "ola")})
QUICK = Limits(seconds=5.0, step=0.5, size=2_000_000)


def calendar(*names: str) -> str:
    events = (
        f"BEGIN:VEVENT\r\nUID:{n}\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20260601T000000Z\r\nDTEND:20260608T000000Z\r\n"
        f"SUMMARY:{name}\r\nEND:VEVENT\r\n"
        for n, name in enumerate(names)
    )
    return "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n" + "".join(events) + "END:VCALENDAR\r\n"


@pytest.fixture
def web() -> Iterator[Publisher]:
    with publisher() as fake:
        yield fake


def feed(where: str, tmp_path: Path, limits: Limits = QUICK) -> Feed:
    return Feed(where, ZONE, tmp_path, tmp_path / "data", limits)


def kept_before(where: str, tmp_path: Path, content: str) -> None:
    """As an earlier process left it, at `AT`."""
    kept = tmp_path / "data" / "calendars" / copy_name(where)
    kept.parent.mkdir(parents=True)
    kept.write_text(content, encoding="utf-8")
    os.utime(kept, (AT.timestamp(), AT.timestamp()))


def read(found: Feed, at: datetime, *, online: bool = True) -> None:
    found.ask(at, online=online)
    found.wait(at)


def on(found: Feed, at: datetime = AT) -> set[str]:
    shifts = found.shifts(PEOPLE)
    return set() if shifts is None else set(shifts.at(at))


def test_a_calendar_is_fetched_used_and_kept_for_us_alone(web: Publisher, tmp_path: Path) -> None:
    found = feed(web.put("/key-in-the-path/duty.ics", calendar("kari"), ICS), tmp_path)
    read(found, AT)
    assert (on(found), found.troubles(AT)) == ({"kari"}, ())
    (kept,) = (tmp_path / "data" / "calendars").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "key" not in kept.name


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ("/status/500", "answers 500"),
        ("/nowhere", "is not there (404)"),
        ("/status/403", "may not be read (403)"),
        ("/huge", "is larger than 2 MB"),
        ("/hang", "gives no answer within 0.5 s"),
        ("/cut", "breaks off"),
        ("/file", "redirects to what is no web address"),
        ("/empty", "has no shifts at all"),
        ("/blank", "is empty"),
        ("/login", "is no iCalendar"),
    ],
)
def test_when_a_feed_fails_the_last_good_copy_stays_in_use_and_says_how_old_it_is(
    web: Publisher, tmp_path: Path, then: str, told: str
) -> None:
    web.put("/empty", calendar(), ICS)
    web.put("/blank", "", ICS)
    web.put("/login", "<html>Logg inn", "text/html")
    kept_before(web.at(then), tmp_path, calendar("kari"))
    good = feed(web.at(then), tmp_path)
    read(good, AT + timedelta(hours=2))
    assert on(good) == {"kari"}
    (trouble,) = good.troubles(AT + timedelta(hours=3))
    assert told in trouble
    assert trouble.endswith("; the copy in use is 3h old")
    assert "127.0.0.1" not in trouble, "an address may hold a key"


def test_without_an_earlier_copy_nobody_is_on_duty_and_that_is_told(web: Publisher, tmp_path: Path) -> None:
    found = feed(web.at("/status/500"), tmp_path)
    read(found, AT)
    assert on(found) == set()
    assert found.troubles(AT)[0].endswith("there is no earlier copy: nobody is on duty by it")


def test_a_copy_is_found_again_after_a_restart_and_is_news_enough_for_a_while(web: Publisher, tmp_path: Path) -> None:
    address = web.put("/duty.ics", calendar("kari"), ICS)
    read(feed(address, tmp_path), AT)
    web.put("/duty.ics", calendar("ola"), ICS)
    later = feed(address, tmp_path)
    read(later, AT + timedelta(minutes=10))
    assert on(later) == {"kari"}
    read(later, AT + timedelta(minutes=20))
    assert on(later) == {"ola"}
    assert web.asked == ["/duty.ics"] * 2


def test_offline_only_what_is_on_this_machine_is_looked_at(web: Publisher, tmp_path: Path) -> None:
    address = web.put("/duty.ics", calendar("kari"), ICS)
    found = feed(address, tmp_path)
    read(found, AT, online=False)
    assert (on(found), web.asked) == (set(), [])
    assert "was not fetched to this machine yet" in found.troubles(AT)[0]
    read(found, AT)
    again = feed(address, tmp_path)
    read(again, AT + timedelta(days=30), online=False)
    assert on(again) == {"kari"}
    assert again.troubles(AT + timedelta(days=30)) == ("was not fetched lately; the copy in use is 30d old",)


def test_the_first_look_uses_what_an_earlier_process_kept_while_news_are_on_their_way(
    web: Publisher, tmp_path: Path
) -> None:
    kept_before(web.at("/hang"), tmp_path, calendar("kari"))
    found = feed(web.at("/hang"), tmp_path)
    assert found.look(AT, now=0.0)
    assert on(found) == {"kari"}


def test_a_look_never_waits_and_gives_a_feed_up_that_gives_no_answer(web: Publisher, tmp_path: Path) -> None:
    found = feed(web.at("/hang"), tmp_path, Limits(seconds=1.0, step=30.0))
    assert not found.look(AT, now=0.0)
    assert not found.look(AT, now=0.5)
    wait_for(lambda: web.asked)
    assert found.look(AT, now=1.5), "given up"
    assert "is not read after 1 s" in found.troubles(AT)[0]
    assert not found.look(AT + timedelta(minutes=14), now=900.0)
    assert web.asked == ["/hang"]


# --- people.yaml while it is edited ----------------------------------------------------------------------------------


def people_file(tmp_path: Path, who: str, calendar: str = "") -> Path:
    path = tmp_path / "people.yaml"
    extra = f", calendar: {calendar}" if calendar else ""
    path.write_text(
        "people: {kari: {ways: [{channel: console}]}, ola: {ways: [{channel: console}]}}\n"
        f"roster: {{duty: {{zone: Europe/Oslo, layers: [{who}]{extra}}}}}\n",
        encoding="utf-8",
    )
    return path


class Looking:
    """Looks as a dispatcher does at each turn, its clock two seconds further each time."""

    def __init__(self, path: Path, data: Path | None = None) -> None:
        self.book = DutyBook(path, data)
        self.now = 0.0

    def look(self) -> News | None:
        self.now += LOOK_SECONDS
        return self.book.look(self.now, AT + timedelta(seconds=self.now))

    def until_news(self) -> News:
        found: News = wait_for(self.look)
        return found

    def on(self) -> set[str]:
        return set(self.book.rosters["duty"].at(AT))


def test_an_edit_is_in_force_once_the_file_stands_still(tmp_path: Path) -> None:
    looking = Looking(people_file(tmp_path, "{who: kari}"))
    assert looking.look() is None
    people_file(tmp_path, "{who: ola}, {who: ola}")
    assert looking.look() is None, "it may still be written"
    assert looking.on() == {"kari"}
    assert looking.look() == News(edited=True)
    assert looking.on() == {"ola"}
    assert looking.look() is None


def test_a_bad_edit_keeps_the_old_and_is_told_once_with_its_line(tmp_path: Path) -> None:
    looking = Looking(people_file(tmp_path, "{who: kari}"))
    people_file(tmp_path, "{who: nobody}")
    looking.look()
    found = looking.look()
    assert found is not None
    assert not found.edited
    assert "people.yaml:2: roster.duty.layers.0.who: names 'nobody'" in (found.problem or "")
    assert looking.on() == {"kari"}
    assert looking.look() is None
    people_file(tmp_path, "{who: ola}")
    assert looking.until_news().edited


def test_what_others_read_of_the_file_must_be_good_too(tmp_path: Path) -> None:
    def also(path: Path) -> None:
        if "ola}]" in path.read_text(encoding="utf-8"):
            raise ConfigError(f"{path}:1: policies: no such person")

    book = DutyBook(people_file(tmp_path, "{who: kari}"), None, also)
    people_file(tmp_path, "{who: ola}")
    book.look(10.0, AT)
    found = book.look(20.0, AT)
    assert found is not None
    assert found.problem is not None
    assert "policies: no such person" in found.problem
    assert set(book.rosters["duty"].at(AT)) == {"kari"}


def test_a_file_that_is_gone_keeps_the_old(tmp_path: Path) -> None:
    path = people_file(tmp_path, "{who: kari}")
    looking = Looking(path)
    path.unlink()
    looking.look()
    found = looking.look()
    assert found is not None
    assert "no such file" in (found.problem or "")
    assert looking.on() == {"kari"}


def test_a_calendar_in_a_file_is_read_beside_people_yaml_and_again_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "duty.ics").write_text(calendar("kari"), encoding="utf-8")
    looking = Looking(people_file(tmp_path, "", "duty.ics"))
    wait_for(lambda: looking.look() or looking.on())
    assert looking.on() == {"kari"}
    (tmp_path / "duty.ics").write_text(calendar("ola", "Vikar"), encoding="utf-8")
    found = looking.until_news()
    assert found.troubles == (
        "roster.duty: its calendar names 'Vikar', who is nobody in people.yaml: nobody is called for it",
    )
    assert looking.on() == {"ola"}
    (tmp_path / "duty.ics").write_text("", encoding="utf-8")
    found = looking.until_news()
    assert "its calendar is empty" in found.troubles[0]
    assert looking.on() == {"ola"}, "the last good copy stays in use"
    assert all(looking.look() is None for _ in range(100)), "told once, however old it grows"


def test_a_person_who_is_new_in_people_yaml_is_found_in_the_calendar_at_once(tmp_path: Path) -> None:
    (tmp_path / "duty.ics").write_text(calendar("Vikar"), encoding="utf-8")
    path = people_file(tmp_path, "", "duty.ics")
    looking = Looking(path)
    assert "names 'Vikar'" in looking.until_news().troubles[0]
    text = path.read_text(encoding="utf-8").replace("ola:", "Vikar: {ways: [{channel: console}]}, ola:")
    path.write_text(text, encoding="utf-8")
    assert looking.until_news().edited
    assert looking.on() == {"Vikar"}
    assert looking.book.troubles(AT) == ()


def test_a_swap_counts_from_its_decision_on_and_not_for_who_has_gone(tmp_path: Path) -> None:
    looking = Looking(people_file(tmp_path, "{who: kari}"))
    end = AT + timedelta(days=1)
    halves = (
        Stand(start=AT, end=end, remove="kari", add="ola"),
        Stand(start=AT, end=end, remove="ola", add="kari"),
    )
    looking.book.take(Swap(at=AT, by="kari", overrides=halves))
    assert looking.on() == {"ola"}
    (tmp_path / "people.yaml").write_text(
        "people: {kari: {ways: [{channel: console}]}}\nroster: {duty: {zone: UTC, layers: [{who: kari}]}}\n",
        encoding="utf-8",
    )
    assert looking.until_news().edited
    assert looking.on() == {"kari"}
