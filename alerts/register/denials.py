"""What may be a denial of a rumour: a post about the same thing whose words deny something. Candidates for a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import NamedTuple

from alerts.annotate.cues import fold, load_cues, pattern
from alerts.annotate.kinds import DENIAL
from alerts.register.ranking import NONE_OF_THESE, Registered, Whose, words
from listener.model.records import Finding

MOST = 5
MOST_READ = 2_000
"""Posts whose text is looked at."""


class Denial(NamedTuple):
    """`row`: whose and when; `people` that say so."""

    row: Registered
    text: str
    people: int


class DenialWords:
    """The phrases of all groups called `denial` in `cues/`."""

    def __init__(self, phrases: Iterable[str]) -> None:
        self._patterns = tuple(map(pattern, phrases))

    @classmethod
    def load(cls, config: Path) -> DenialWords:
        """Of a folder of configuration. Raises ConfigError with file and line."""
        groups = load_cues(config / "cues").groups
        return cls(phrase for name, group in groups.items() if name.endswith(DENIAL) for phrase in group.phrases)

    def stand_in(self, text: str) -> bool:
        """Whether a text denies anything."""
        folded = fold(text)
        return any(phrase in folded for phrase in self._patterns)


def denials(
    rumour: Collection[Registered],
    rows: Iterable[Registered],
    finding: Callable[[Registered], Finding | None],
    deny: DenialWords,
) -> list[Denial]:
    """At most `MOST` stories of the rumour's themes and incidents that deny something; officials first, then by people.

    `rumour`: the posts of its story; `rows`: all posts, of officials too; `finding` gives what the bus has of one.
    """
    if not rumour:
        return []
    themes = frozenset[str]().union(*(words(row.themes) for row in rumour)) - {NONE_OF_THESE}
    incidents, story = {row.incident for row in rumour}, next(iter(rumour)).story
    since = min(row.at for row in rumour)
    stories: dict[str, list[Registered]] = {}
    for row in rows:
        near = row.incident in incidents and row.at >= since and not themes.isdisjoint(words(row.themes))
        if near and row.story != story:
            stories.setdefault(row.story, []).append(row)
    found: list[Denial] = []
    for people, first in sorted(map(_spread, stories.values()), key=lambda each: _rank(*each))[:MOST_READ]:
        its = finding(first)
        if its is not None and deny.stand_in(its.text):
            found.append(Denial(first, its.text, people))
            if len(found) == MOST:
                break
    return found


def _spread(rows: list[Registered]) -> tuple[int, Registered]:
    """How many people say it, and the post that stands for it."""
    people = len({row.person for row in rows} - {None})
    return people, min(rows, key=lambda row: (row.repost, row.whose != Whose.OFFICIAL, row.at, row.key))


def _rank(people: int, first: Registered) -> tuple[bool, bool, int, int, str]:
    return first.whose != Whose.OFFICIAL, first.whose != Whose.OFFICIAL_WORDS, -people, first.at, first.key
