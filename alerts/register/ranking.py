"""Ranking by people what the register holds: stories and themes, with how they go. Pure: rows and a time in.

It is what *people* voice: what hospitals, police and newsrooms say is left out, whether the account or the words tell,
and so is what only passes it on. Where a recording has no authors, posts that are no reposts stand in for people, and
each row says so. A story that several incidents heard, as standing tracks make it, is one row that names them; an
exercise and a real incident are never in one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from listener.model.records import UNKNOWN_LANGUAGE, Kind
from listener.units import from_ms, to_ms

HOUR_MS = 3_600_000
STEP_MS = 600_000
STEPS = 2 * HOUR_MS // STEP_MS


class Whose(IntEnum):
    """Whose voice a post is."""

    PUBLIC = 0
    OFFICIAL = 1
    """By its account, or passed on from one."""
    OFFICIAL_WORDS = 2
    """By its words: a headline, an announcement. Nothing is known of the account."""


class Registered(NamedTuple):
    """One post as one incident heard it, without its text. `part` and `offset`: where on `findings` it lies.

    `kinds` and `themes` are names with a blank between; `language` is what it was read as ("" unknown or no words),
    `lang` what the platform says; `length` is in characters, `at` in ms.
    """

    key: str
    part: int
    offset: int
    incident: str
    post: str
    at: int
    author: str | None
    repost: int
    story: str
    exercise: int
    whose: int
    kinds: str
    themes: str
    stance: str
    language: str
    lang: str
    exposed: int
    length: int

    @property
    def person(self) -> str | None:
        """Who counts as one of the people: the author, or where there is none a post that is no repost."""
        return self.author or (None if self.repost else self.post)


class Found(NamedTuple):
    """Names that begin as asked."""

    stories: tuple[str, ...]
    posts: tuple[str, ...]


@lru_cache(maxsize=4096)
def words(names: str) -> frozenset[str]:
    """Names with a blank between, apart."""
    return frozenset(names.split())


@dataclass(frozen=True)
class Selection:
    """Which posts are asked for; what is left empty asks for all. `closed`: incidents that are left out."""

    incident: str = ""
    closed: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    themes: frozenset[str] = frozenset()
    story: str = ""
    language: str = ""
    since: datetime | None = None
    officials: bool = False
    """Also what officials say."""
    not_understood: bool = False
    """Also what is in a language that is not understood; with `language` it is asked for by its name."""

    def holds(self, row: Registered) -> bool:
        """Incident, story and time are the view's matter."""
        return (
            (self.officials or row.whose == Whose.PUBLIC)
            and self._reads(row.language)
            and row.incident not in self.closed
            and (not self.kinds or not self.kinds.isdisjoint(words(row.kinds)))
            and (not self.themes or not self.themes.isdisjoint(words(row.themes)))
        )

    def _reads(self, language: str) -> bool:
        if self.language:
            return language == self.language
        return self.not_understood or language != UNKNOWN_LANGUAGE


@dataclass(frozen=True)
class Trend:
    """People in the last hour and in the hour before; `steps`: people in each ten minutes of the two, oldest first."""

    last_hour: int
    hour_before: int
    steps: tuple[int, ...]

    @property
    def arrow(self) -> str:
        return "↑" if self.last_hour > self.hour_before else "↓" if self.last_hour < self.hour_before else "→"


@dataclass(frozen=True)
class RegisterRow:
    """One story that people voice. `text` is as the first of them put it, masked; None when it was purged.

    `incidents` are those that heard it: one post that several heard is one post. `kinds`, `themes`, `stances`: how many
    people voice each, most first; `kind` is the first of them. `exposed`: it may show who a patient is.
    """

    kind: Kind
    incidents: tuple[str, ...]
    exercise: bool
    story: str
    people: int
    posts: int
    reposts: int
    first_at: datetime
    last_at: datetime
    authors_known: bool
    """False: there are no authors, and `people` counts posts that are no reposts."""
    kinds: Mapping[str, int]
    themes: Mapping[str, int]
    languages: tuple[str, ...]
    stances: Mapping[str, int]
    exposed: bool
    trend: Trend
    sample: Registered
    """The post that stands for it: the first that is no repost."""
    text: str | None = None


def newest_of(rows: Iterable[Registered]) -> datetime:
    """The time of the newest one; the epoch where there is none."""
    return from_ms(max((row.at for row in rows), default=0))


def rank_stories(rows: Iterable[Registered], as_of: datetime, limit: int | None = None) -> list[RegisterRow]:
    """The stories that most people voice, most first; `as_of` ends the last hour."""
    end = to_ms(as_of)
    tallies: dict[tuple[int, str], _Tally] = {}
    for row in rows:
        tally = tallies.get((row.exercise, row.story))
        if tally is None:
            tally = tallies[row.exercise, row.story] = _Tally(row)
        tally.add(row, end)
    return [tally.story() for tally in sorted(tallies.values(), key=_Tally.rank)[:limit]]


class _Tally:
    """What is counted for one row to be."""

    __slots__ = (
        "authors", "exposed", "first", "incidents", "kinds", "languages", "last", "people", "posts", "reposts",
        "sample", "stances", "steps", "themes",
    )  # fmt: skip

    def __init__(self, first: Registered) -> None:
        self.people: set[str] = set()
        self.posts: set[str] = set()
        self.reposts: set[str] = set()
        self.incidents: set[str] = set()
        self.kinds: dict[str, set[str]] = {}
        self.themes: dict[str, set[str]] = {}
        self.stances: dict[str, set[str]] = {}
        self.steps: dict[int, set[str]] = {}
        self.languages: set[str] = set()
        self.authors = False
        self.exposed = False
        self.first = self.last = first.at
        self.sample = first

    def add(self, row: Registered, end: int) -> None:
        person = row.author or (None if row.repost else row.post)
        self.posts.add(row.post)
        self.incidents.add(row.incident)
        self.first, self.last = min(self.first, row.at), max(self.last, row.at)
        if row.repost:
            self.reposts.add(row.post)
        if row.author:
            self.authors = True
        if row.exposed:
            self.exposed = True
        if row.language:
            self.languages.add(row.language)
        if (row.repost, row.at, row.key) < (self.sample.repost, self.sample.at, self.sample.key):
            self.sample = row
        if person is None:
            return
        self.people.add(person)
        for counted, names in ((self.kinds, row.kinds), (self.themes, row.themes), (self.stances, row.stance)):
            for name in words(names):
                counted.setdefault(name, set()).add(person)
        step = (end - row.at) // STEP_MS
        if 0 <= step < STEPS:
            self.steps.setdefault(step, set()).add(person)

    def rank(self) -> tuple[int, int, int, str]:
        """Most people first, then most posts, then who came first."""
        return -len(self.people), -len(self.posts), self.first, self.sample.key

    def trend(self) -> Trend:
        def people(first: int, last: int) -> int:
            return len(set().union(*(self.steps.get(step, ()) for step in range(first, last))))

        half = STEPS // 2
        return Trend(people(0, half), people(half, STEPS), tuple(people(n, n + 1) for n in reversed(range(STEPS))))

    def story(self) -> RegisterRow:
        kinds = _counted(self.kinds)
        return RegisterRow(
            kind=Kind(next(iter(kinds), Kind.OTHER)),
            incidents=tuple(sorted(self.incidents)),
            exercise=bool(self.sample.exercise),
            story=self.sample.story,
            people=len(self.people),
            posts=len(self.posts),
            reposts=len(self.reposts),
            first_at=from_ms(self.first),
            last_at=from_ms(self.last),
            authors_known=self.authors,
            kinds=kinds,
            themes=_counted(self.themes),
            stances=_counted(self.stances),
            languages=tuple(sorted(self.languages)),
            exposed=self.exposed,
            trend=self.trend(),
            sample=self.sample,
        )


def _counted(people: Mapping[str, set[str]]) -> dict[str, int]:
    """Name → people, most first, then by name."""
    return {name: len(who) for name, who in sorted(people.items(), key=lambda each: (-len(each[1]), each[0]))}
