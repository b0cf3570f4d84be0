"""What all `lyttepost duty` commands begin with: people.yaml, its calendars, and what people decided on the bus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from alerts.duty.reload import DutyBook
from alerts.duty.wall import entered
from listener.bus.protocol import Bus
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.commands.shared import open_live_topics, say, settings_zone
from listener.errors import LyttepostError
from listener.model.decisions import DECISIONS
from listener.settings.files import config_dir, data_dir

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
    return entered(text, name, settings_zone)


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
