"""People and rosters as they are in force for the dispatcher, which edits, swaps and calendars change as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from alerts.duty.outlook import DutyOutlook, outlook
from alerts.duty.reload import DutyBook, ageless
from alerts.notify.channels.contract import Channel
from alerts.notify.recipients import People
from listener.model.decisions import DecisionsRecord

Read = Callable[[], tuple[People, Mapping[str, Channel]]]
"""people.yaml and the channels that it names. Raises ConfigError."""


@dataclass(frozen=True)
class DutyNews:
    """What a look found. `people`: set when anything of them changed. `troubles`: what ops must know, as the kind of
    alert about ourselves and what it is about."""

    people: People | None = None
    channels: Mapping[str, Channel] = field(default_factory=dict)
    troubles: tuple[tuple[str, str], ...] = ()


class DutyFollower:
    """Used by one thread, the dispatcher's. Raises ConfigError when made with a file that is wrong."""

    def __init__(self, path: Path, data: Path | None, read: Read, at: datetime) -> None:
        """`data`: the folder of all state, for copies of calendars, which are read now and waited for."""
        self._read = read
        self._people, self._channels = read()
        self._book = DutyBook(path, data, also=self._reads)
        self._book.read_calendars(at)
        self._seen: object = None
        self._problem: str | None = None

    def take(self, word: DecisionsRecord) -> None:
        """A record of `decisions`, each once and in order."""
        self._book.take(word)

    def look(self, now: float, at: datetime) -> DutyNews:
        """`now`: monotonic seconds, `at`: the instant."""
        news = self._book.look(now, at)
        troubles: list[tuple[str, str]] = []
        channels: Mapping[str, Channel] = {}
        if news is not None:
            self._problem = None if news.edited else news.problem or self._problem
            troubles += [("people_bad", news.problem)] if news.problem else []
            troubles += [("calendar_failed", trouble) for trouble in news.troubles]
            channels = self._channels if news.edited else {}
        if self._book.rosters is self._seen and not (news and news.edited):
            return DutyNews(troubles=tuple(troubles))
        self._seen = self._book.rosters
        return DutyNews(self._people.with_rosters(self._book.rosters), channels, tuple(troubles))

    def outlook(self, at: datetime) -> DutyOutlook:
        """How duty stands at an instant."""
        return outlook(self._book.people, self._book.rosters, self._book.decided, at)

    def stands(self, what: str, part: str, at: datetime) -> bool:
        """Whether what ops were told is so still: `what` and `part` as in `DutyNews.troubles`."""
        if what == "people_bad":
            return self._problem is not None
        return ageless(part) in map(ageless, self._book.troubles(at))

    def _reads(self, path: Path) -> None:
        """The whole file, with its policies and routes, before any of it counts."""
        self._people, self._channels = self._read()
