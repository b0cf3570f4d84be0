"""Who is on duty as it is in force: people.yaml, its calendars, and the swaps of `decisions`, heard without a restart.

Every two seconds the file is looked at, by its time and size; what has changed is read once it has stood still from one
look to the next. It must be good before it counts; until then the old people and rosters hold. Calendars are read
beside it, in threads of their own: no look waits.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from alerts.duty.calendar import Shifts
from alerts.duty.decided import Decided
from alerts.duty.feed import Feed, mark
from alerts.duty.load import Duty, load_duty
from alerts.duty.people import People
from alerts.duty.roster import Rosters
from listener.errors import ConfigError
from listener.model.decisions import DecisionsRecord

LOOK_SECONDS = 2.0


class News(NamedTuple):
    """What a look found. `edited`: people.yaml is in force anew; whoever reads more of it reads it now. `problem`: the
    file as it stands is bad, in words that name file and line, and the old one holds. `troubles`: of calendars, each
    said once when it begins."""

    edited: bool = False
    problem: str | None = None
    troubles: tuple[str, ...] = ()


class DutyBook:
    """`people` and `rosters` are those in force, each replaced in one go, so that other threads may read them."""

    def __init__(self, path: Path, data: Path | None, also: Callable[[Path], object] = lambda path: None) -> None:
        """`data`: the folder of all state, for copies of calendars. `also` reads what else the file holds and raises
        ConfigError: the file counts only when all of it is good. Raises ConfigError: to begin with, it must be."""
        self.path = path
        self._data = data
        self._also = also
        # Before it is read: what is edited meanwhile is seen at the first look.
        self._read = self._seen = mark(path)
        self._next = float("-inf")
        also(path)
        self._duty = load_duty(path)
        self._decided = Decided()
        self._feeds: dict[str, Feed] = {}
        self._shifts: dict[str, Shifts | None] = {}
        self._told: frozenset[str] = frozenset()
        self.people: People = {}
        self.rosters: Rosters = {}
        self._connect(self._duty)
        self._compose()

    def take(self, record: DecisionsRecord) -> None:
        """A record of `decisions`, each once and in order: a swap counts from here on."""
        if self._decided.take(record):
            self._compose()

    @property
    def decided(self) -> Decided:
        return self._decided

    def read_calendars(self, at: datetime, *, online: bool = True) -> None:
        """Read all calendars now and wait for them, as a command does, and who dispatches before the first alert.

        Without `online` no server is asked. Raises nothing: `troubles` tells.
        """
        for feed in self._feeds.values():
            feed.ask(at, online=online)
        for feed in self._feeds.values():
            feed.wait(at)
        self._compose()

    def look(self, now: float, at: datetime) -> News | None:
        """`now`: monotonic seconds, `at`: the instant. What is new, reported once; None most of the time. Takes it."""
        if now < self._next:
            return None
        self._next = now + LOOK_SECONDS
        edited, problem = self._look_at_file()
        moved = [feed.look(at, now) for feed in self._feeds.values()]
        if edited or any(moved):
            self._compose()
        current = {ageless(trouble): trouble for trouble in self.troubles(at)}
        fresh = tuple(trouble for key, trouble in current.items() if key not in self._told)
        self._told = frozenset(current)
        return News(edited, problem, fresh) if edited or problem or fresh else None

    def troubles(self, at: datetime) -> tuple[str, ...]:
        """All that is wrong with calendars now, each with the roster's name before it."""
        found = []
        for role, feed in self._feeds.items():
            shifts = self._shifts[role]
            troubles = (*feed.troubles(at), *(shifts.troubles if shifts else ()))
            found += [f"roster.{role}: its calendar {trouble}" for trouble in troubles]
        return tuple(found)

    def _look_at_file(self) -> tuple[bool, str | None]:
        before, self._seen = self._seen, mark(self.path)
        if self._seen == self._read or self._seen != before:
            return False, None
        self._read = self._seen
        try:
            self._also(self.path)
            duty = load_duty(self.path)
        except ConfigError as error:
            return False, str(error)
        except Exception as error:
            # Whatever the file does to us, the old one holds.
            return False, f"{self.path}: cannot be read: {type(error).__name__}"
        self._connect(duty)
        return True, None

    def _connect(self, duty: Duty) -> None:
        """A feed for each roster that has a calendar; one whose calendar stays keeps what it knows."""
        base, old = self.path.absolute().parent, self._duty
        feeds = {}
        for role, roster in sorted(duty.rosters.items()):
            if roster.calendar is not None:
                before = old.rosters.get(role)
                same = before is not None and (before.calendar, before.zone) == (roster.calendar, roster.zone)
                kept = self._feeds.get(role) if same else None
                feeds[role] = kept or Feed(roster.calendar, roster.tz, base, self._data)
        self._duty, self._feeds = duty, feeds

    def _compose(self) -> None:
        """Rosters for the people who are there: in a calendar too, nobody is called who has gone."""
        people = self._duty.people
        self._shifts = {role: feed.shifts(people) for role, feed in self._feeds.items()}
        swaps = self._decided.swaps(people)
        self.people, self.rosters = (
            people,
            {
                role: roster.with_shifts(self._shifts.get(role)).with_swaps(swaps)
                for role, roster in self._duty.rosters.items()
            },
        )


def ageless(trouble: str) -> str:
    """The same trouble an hour later is no new one."""
    return trouble.partition("; the copy in use is ")[0]
