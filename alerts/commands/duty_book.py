"""What all `lyttepost duty` commands begin with: people.yaml, its calendars, and what people decided on the bus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from alerts.duty.reload import DutyBook
from alerts.duty.wall import first
from listener.bus.protocol import Bus
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.commands.shared import open_live_topics, say
from listener.errors import LyttepostError, UsageError
from listener.model.decisions import DECISIONS
from listener.settings.files import config_dir, data_dir, raw_settings
from listener.settings.zone import DEFAULT_ZONE, zone_or_default
from listener.units import FIRST, LAST, parse_time

PeopleFile = Annotated[
    Path | None,
    typer.Option(
        "--people",
        metavar="FILE",
        help="Only what this file says, without swaps; else people.yaml of the configuration.",
    ),
]


def instant(text: str, name: str) -> datetime:
    """A time with an offset, or one on the wall, in the settings' time zone. Raises UsageError."""
    try:
        found = parse_time(text)
        at = found if found.tzinfo else first(found, zone_or_default(raw_settings().get("timezone", DEFAULT_ZONE)))
        if FIRST < at < LAST:
            return at
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{name}: {text!r} is no time; write one like 2026-12-24T08:00 or 2026-12-24T07:00:00Z")


def open_book(people: Path | None, data: str | None, *, online: bool = True, decisions: bool = True) -> DutyBook:
    """The people and rosters in force now. Raises ConfigError.

    A bus or a calendar that cannot be read is told and passed over: who is on duty must be known all the same.
    """
    book = DutyBook(people or config_dir() / "people.yaml", data_dir(data))
    if people is None and decisions:
        try:
            with closing(open_live_topics(data)) as bus:
                follow(book, bus)
        except LyttepostError as error:
            say(f"Swaps are not known, for the bus cannot be read: {error}")
    now = SystemClock().now()
    book.read_calendars(now, online=online)
    return book


@contextmanager
def open_both(data: str | None) -> Iterator[tuple[DutyBook, Bus]]:
    """The same, and the bus to write to. Raises ConfigError and BusError."""
    book = open_book(None, data, decisions=False)
    with closing(open_live_topics(data)) as bus:
        follow(book, bus)
        tell_troubles(book)
        yield book, bus


def follow(book: DutyBook, bus: Bus) -> None:
    for record in scan(bus, DECISIONS):
        book.take(record)


def tell_troubles(book: DutyBook) -> None:
    """On standard error, where the answer rests on calendars."""
    for trouble in book.troubles(SystemClock().now()):
        say(f"lyttepost: {trouble}")


def known_person(book: DutyBook, name: str, option: str) -> str:
    """The key of a person, by key or by name. Raises UsageError that names those there are."""
    if name in book.people:
        return name
    found = [key for key, person in book.people.items() if person.name.casefold() == name.strip().casefold()]
    if len(found) == 1:
        return found[0]
    known = ", ".join(sorted(book.people)) or "nobody"
    raise UsageError(f"{option}: nobody in people.yaml is called {name!r}; known: {known}")
