"""Ranking by people what the register holds: stories and themes, with how they go. Pure: rows and a time in.

It is what *people* voice: what hospitals, police and newsrooms say is left out, whether the account or the words tell,
and so is what only passes it on. A post without an author is nobody's; but where a recording has no authors, posts that
are no reposts stand in for people, and each row says so (`listener.model.persons`). A story that several incidents
heard, as standing tracks make it, is one row that names them; an exercise and a real incident are never in one row.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from heapq import nsmallest
from operator import attrgetter
from typing import Any, NamedTuple

from listener.model import keys
from listener.model.persons import stand_in
from listener.model.records import UNKNOWN_LANGUAGE, Kind
from listener.units import from_ms, to_ms

NONE_OF_THESE = "none_of_these"
"""The theme of what voices something that is about no other one, or nobody can tell about which."""
SHORTEST, LONGEST = 25, 320
"""Characters of a post that serves as a sample: fewer say little, more are cut."""
OF_PEOPLE = frozenset({Kind.WISH, Kind.QUESTION, Kind.VIEWPOINT})
TOLD = frozenset({Kind.RUMOUR, Kind.EYEWITNESS})
NAMED_LANGUAGE = re.compile(r"(?!(?:und|zxx|mis|mul|art|q[a-t][a-z])\b)[a-z]{2,3}\b")
"""A platform's mark that names a language: not "none", "several" or a mark of its own."""
HOUR_MS = 3_600_000
STEP_MS = 600_000
STEPS = 2 * HOUR_MS // STEP_MS


class Whose(IntEnum):
    """Whose voice a post is."""

    PUBLIC = 0
    OFFICIAL = 1
    """By its account, or passed on from one."""
    OFFICIAL_WORDS = 2
    """By its words: a headline, an announcement. Nothing is known of the account, which may be anybody's."""


class Registered(NamedTuple):
    """One post as one incident heard it, without its text. `part` and `offset`: where on `findings` it lies.

    `kinds` and `themes` are names with a blank between; `language` is what it was read as ("" unknown or no words),
    `lang` what the platform says; `length` is in characters, `at` in ms. `exposed`: 1 where the text may show who a
    patient is, 2 where it most likely does. `tier`: 1 where the better tier has read it.
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
    tier: int = 0

    @property
    def person(self) -> str | None:
        """Who counts as one of the people: the author, or what stands in for one."""
        return self.author or stand_in(self.post, self.repost)


def as_ranked(row: Registered) -> Registered:
    """What counts of words that sound like a newsroom's or a public body's: what is told as seen or heard.

    A rumour in the words of a headline is a rumour; its questions, wishes and viewpoints are not the public's.
    """
    if row.whose != Whose.OFFICIAL_WORDS or TOLD.isdisjoint(words(row.kinds)):
        return row
    kinds = " ".join(kind for kind in row.kinds.split() if kind not in OF_PEOPLE)
    return row._replace(whose=Whose.PUBLIC, kinds=kinds)


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
    story: str = ""
    closed: frozenset[str] = frozenset()
    kinds: frozenset[Kind] = frozenset()
    themes: frozenset[str] = frozenset()
    language: str = ""
    """What it was read as; one that is not understood by the platform's name for it."""
    since: datetime | None = None
    officials: bool = False
    """Also what officials say."""
    not_understood: bool = False
    """Also what is in any language that is not understood."""

    def holds(self, row: Registered) -> bool:
        return (
            (not self.incident or row.incident == self.incident)
            and (not self.story or row.story == self.story)
            and row.incident not in self.closed
            and (self.officials or row.whose == Whose.PUBLIC)
            and self._reads(row)
            and (not self.kinds or not self.kinds.isdisjoint(words(row.kinds)))
            and (not self.themes or not self.themes.isdisjoint(words(row.themes)))
            and (self.since is None or row.at >= to_ms(self.since))
        )

    def _reads(self, row: Registered) -> bool:
        if row.language != UNKNOWN_LANGUAGE:
            return not self.language or row.language == self.language
        return self.not_understood or self.language in (UNKNOWN_LANGUAGE, platform_language(row.lang) or None)


def platform_language(lang: str) -> str:
    """The language that a platform names, without its region; "" for none, several, or a mark of its own."""
    named = NAMED_LANGUAGE.match(lang.lower())
    return named[0] if named else ""


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
    people voice each, most first; `kind` is the first of them. `sources`: platform → its posts, most first. `exposed`:
    `text` may show who a patient is.
    """

    kind: Kind
    incidents: tuple[str, ...]
    exercise: bool
    story: str
    people: int
    posts: int
    sources: Mapping[str, int]
    reposts: int
    first_at: datetime
    last_at: datetime
    authors_known: bool
    """False: `people` counts posts that are no reposts, for a recording names no authors."""
    kinds: Mapping[str, int]
    themes: Mapping[str, int]
    languages: tuple[str, ...]
    stances: Mapping[str, int]
    exposed: bool
    trend: Trend
    better: int
    """Posts of it that the better tier has read."""
    sample: Registered
    """The post that stands for it: the first that is no repost."""
    text: str | None = None


@dataclass(frozen=True)
class ThemeRow:
    """What people voice about one theme, most of them first; the fields are those of `RegisterRow`."""

    theme: str
    incidents: tuple[str, ...]
    exercise: bool
    people: int
    posts: int
    sources: Mapping[str, int]
    reposts: int
    first_at: datetime
    last_at: datetime
    authors_known: bool
    kinds: Mapping[str, int]
    trend: Trend
    better: int
    samples: tuple[RegisterRow, ...]
    """Stories, the best first: each says something else."""


Row = RegisterRow | ThemeRow


@dataclass(frozen=True)
class Counted:
    """So many posts, and the people behind them."""

    posts: int = 0
    people: int = 0


@dataclass(frozen=True)
class SetApart:
    """What is not ranked with what people voice, counted.

    `unread`: the platform's language → posts that are in none of the languages that are understood; "" where the
    platform names none.
    """

    officials: Counted
    official_words: Counted
    not_understood: Counted
    unread: Mapping[str, Counted]


@dataclass(frozen=True)
class Tiers:
    """Posts that the better tier has read, and that wait for it; of others the default tier's word stands."""

    better: int
    waiting: int


def tiers(rows: Iterable[Registered]) -> Tiers:
    """What is in a language that is not read waits for nothing."""
    rows = list(rows)
    read = {row.post for row in rows if row.tier}
    waiting = {row.post for row in rows if not row.tier and row.language != UNKNOWN_LANGUAGE}
    return Tiers(len(read), len(waiting))


def newest_of(rows: Iterable[Registered]) -> datetime:
    """The time of the newest one; the epoch where there is none."""
    return from_ms(max((row.at for row in rows), default=0))


def rank_stories(rows: Iterable[Registered], as_of: datetime, limit: int | None = None) -> list[RegisterRow]:
    """The stories that most people voice, most first; `as_of` ends the last hour."""
    return [_story(each, as_of) for each in sorted(_by_story(rows), key=_Group.rank)[:limit]]


def rank_themes(rows: Iterable[Registered], as_of: datetime, *, samples: int = 3) -> list[ThemeRow]:
    """The themes that most people voice something about, most first; a post counts for each theme that it has.

    What has no theme is left out. `as_of` ends the last hour.
    """
    themes: dict[tuple[int, str], list[Registered]] = {}
    for row in rows:
        for theme in words(row.themes):
            themes.setdefault((row.exercise, theme), []).append(row)
    ranked = sorted(
        ((_Group(its), theme) for (_, theme), its in themes.items()), key=lambda each: (*each[0].rank(), each[1])
    )
    return [_theme(theme, group, as_of, samples) for group, theme in ranked]


def said_by(rows: Iterable[Registered], limit: int) -> list[tuple[Registered, frozenset[str]]]:
    """The stories that most people voice: the post that stands for each, and who they are."""
    return [(each.sample, frozenset(each.people)) for each in sorted(_by_story(rows), key=_Group.rank)[:limit]]


def set_apart(rows: Iterable[Registered]) -> SetApart:
    """Of rows of all sorts those that are ranked nowhere, counted: whose they are, or which language."""
    officials, official_words, not_understood = _Heads(), _Heads(), _Heads()
    unread: dict[str, _Heads] = {}
    for row in rows:
        if row.whose == Whose.OFFICIAL:
            officials.add(row)
        elif row.whose == Whose.OFFICIAL_WORDS:
            official_words.add(row)
        elif row.language == UNKNOWN_LANGUAGE:
            not_understood.add(row)
            unread.setdefault(platform_language(row.lang), _Heads()).add(row)
    named = sorted(
        ((lang, heads.counted) for lang, heads in unread.items()), key=lambda each: (-each[1].posts, each[0])
    )
    return SetApart(officials.counted, official_words.counted, not_understood.counted, dict(named))


class _Heads:
    """Posts and the people behind them."""

    def __init__(self) -> None:
        self._posts: set[str] = set()
        self._people: set[str] = set()

    def add(self, row: Registered) -> None:
        self._posts.add(row.post)
        if row.person:
            self._people.add(row.person)

    @property
    def counted(self) -> Counted:
        return Counted(len(self._posts), len(self._people))


class _Group:
    """Rows that are ranked as one. What is only shown is counted when it is shown: most groups never are."""

    __slots__ = ("people", "persons", "posts", "rows", "sample")

    def __init__(self, rows: list[Registered]) -> None:
        self.rows = rows
        # As `Registered.person`, without a call for each: there are a hundred thousand.
        self.persons = [row.author or stand_in(row.post, row.repost) for row in rows]
        self.people = {person for person in self.persons if person is not None}
        self.posts = len({row.post for row in rows})
        self.sample = min(rows, key=attrgetter("repost", "at", "key")) if len(rows) > 1 else rows[0]

    def rank(self) -> tuple[int, int, int, str]:
        """Most people first, then most posts, then who came first."""
        return -len(self.people), -self.posts, self.sample.at, self.sample.key

    def counted(self, names: Callable[[Registered], str]) -> dict[str, int]:
        """Each name → the people who bear it, most first, then by name."""
        together: defaultdict[str, set[str]] = defaultdict(set)
        for several, person in zip(map(names, self.rows), self.persons, strict=True):
            if person is not None:
                together[several].add(person)
        people: defaultdict[str, set[str]] = defaultdict(set)
        for several, who in together.items():
            for name in words(several):
                people[name] |= who
        return _most_first({name: len(who) for name, who in people.items()})

    def kinds_of_posts(self) -> dict[str, int]:
        """Each kind → the posts that voice it, most first, for what is nobody's."""
        return _most_first(Counter(kind for row in self.rows for kind in words(row.kinds)))

    def sources(self) -> dict[str, int]:
        """Each platform → the posts that were heard there, most first, then by name."""
        return _most_first(Counter(map(keys.source_of, {row.post for row in self.rows})))

    def trend(self, as_of: datetime) -> Trend:
        end = to_ms(as_of)
        steps: list[set[str]] = [set() for _ in range(STEPS)]
        for row, person in zip(self.rows, self.persons, strict=True):
            if person is not None and 0 <= (step := (end - row.at) // STEP_MS) < STEPS:
                steps[step].add(person)
        half = STEPS // 2
        return Trend(len(set().union(*steps[:half])), len(set().union(*steps[half:])), tuple(map(len, reversed(steps))))

    def shared(self, as_of: datetime) -> dict[str, Any]:
        """What rows of stories and of themes have in common."""
        times = [row.at for row in self.rows]
        return {
            "incidents": tuple(sorted({row.incident for row in self.rows})),
            "exercise": bool(self.sample.exercise),
            "people": len(self.people),
            "posts": self.posts,
            "sources": self.sources(),
            "reposts": len({row.post for row in self.rows if row.repost}),
            "first_at": from_ms(min(times)),
            "last_at": from_ms(max(times)),
            "authors_known": not self.people or any(row.author for row in self.rows),
            "kinds": self.counted(attrgetter("kinds")),
            "trend": self.trend(as_of),
            "better": len({row.post for row in self.rows if row.tier}),
        }


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    """The same in order: most first, then by name."""
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _by_story(rows: Iterable[Registered]) -> list[_Group]:
    """An exercise's apart."""
    stories: dict[tuple[int, str], list[Registered]] = {}
    for row in rows:
        stories.setdefault((row.exercise, row.story), []).append(row)
    return list(map(_Group, stories.values()))


def _story(group: _Group, as_of: datetime) -> RegisterRow:
    shared = group.shared(as_of)
    return RegisterRow(
        kind=Kind(next(iter(shared["kinds"] or group.kinds_of_posts()), Kind.OTHER)),
        story=group.sample.story,
        themes=group.counted(attrgetter("themes")),
        stances=group.counted(attrgetter("stance")),
        languages=tuple(sorted({row.language for row in group.rows} - {""})),
        exposed=bool(group.sample.exposed),
        sample=group.sample,
        **shared,
    )


def _theme(theme: str, group: _Group, as_of: datetime, samples: int) -> ThemeRow:
    chosen = _samples(theme, _by_story(group.rows), samples)
    return ThemeRow(theme=theme, samples=tuple(_story(each, as_of) for each in chosen), **group.shared(as_of))


def _samples(theme: str, stories: Sequence[_Group], count: int) -> list[_Group]:
    """The best that may be shown; before them what more people say, though it may not be shown."""

    def how_telling(story: _Group) -> tuple[object, ...]:
        """First what was written for this, by the author, at a length that is read; of these what most people say."""
        sample = story.sample
        of_it = sample.themes.split()[0] == theme
        return sample.repost, not SHORTEST <= sample.length <= LONGEST, not of_it, *story.rank()

    stories = [each for each in stories if each.people] or stories
    shown = nsmallest(count, (each for each in stories if not each.sample.exposed), key=how_telling)
    withheld = min((each for each in stories if each.sample.exposed), key=_Group.rank, default=None)
    if withheld is not None and len(withheld.people) > max((len(each.people) for each in shown), default=0):
        return [withheld, *shown][:count]
    return shown
