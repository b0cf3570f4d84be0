"""The answer gap: what people ask about, held against what was published. Pure: rows and entries in.

People ask with a question; to wish for information, or to reach relatives, is to ask too. Whether something published
answers them nobody can tell from its theme: a theme of which something was published since is *perhaps* answered, and
what that is stands beside it for a person to judge. A theme whose questions a person has answered is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from alerts.register.decisions import Stands
from alerts.register.ranking import NONE_OF_THESE, Registered, RegisterRow, ThemeRow, rank_themes, words
from listener.model.records import UNKNOWN_LANGUAGE, AuthorClass, Kind

if TYPE_CHECKING:
    from alerts.annotate.understanding import Understander
    from listener.sources.common.feeds import Entry

ASKED_BY_WISHING = frozenset({"information", "relatives_contact"})
"""Themes of which a wish is a question put otherwise."""
SAMPLES = 2


class Answer(StrEnum):
    """Whether what people ask about is answered, in the order in which it is shown."""

    NONE = "unanswered"
    PERHAPS = "perhaps_answered"
    """Something about it was published since."""
    NOT_COMPARED = "not_compared"
    """It has no theme to compare by, or nothing published could be read."""
    GIVEN = "answered"
    """A person answered it, or set it aside."""


@dataclass(frozen=True)
class Published:
    """An entry, and the themes that it is about for certain."""

    entry: Entry
    themes: frozenset[str]


NEW = Stands()


@dataclass(frozen=True)
class Gap:
    """What people ask about one theme, whether it is answered, and what was published about it.

    `newest`: what answers it perhaps; else one that does not say when it was published, or the newest from before.
    `stands`: what people decided about its questions.
    """

    asked: ThemeRow
    answer: Answer
    newest: Entry | None = None
    stands: Stands = NEW


def asking(rows: Iterable[Registered]) -> list[Registered]:
    """The rows in which people ask, each with no themes but those that it asks about."""
    found = []
    for row in rows:
        kinds, themes = words(row.kinds), words(row.themes)
        if Kind.QUESTION in kinds:
            found.append(row)
        elif Kind.WISH in kinds and (about := themes & ASKED_BY_WISHING):
            found.append(row._replace(themes=" ".join(theme for theme in row.themes.split() if theme in about)))
    return found


def rank_asked(rows: Iterable[Registered], as_of: datetime) -> list[ThemeRow]:
    """The themes that most people ask about, most first, each with all samples that could be shown."""
    return rank_themes(asking(rows), as_of, samples=4 * SAMPLES)


def showable(samples: Iterable[RegisterRow]) -> tuple[RegisterRow, ...]:
    """Those that may be shown: none that may show who a patient is, none that was purged. Needs their texts."""
    return tuple(sample for sample in samples if not sample.exposed and sample.text is not None)[:SAMPLES]


def understood(entries: Iterable[Entry], understander: Understander) -> list[Published]:
    """What each entry is about: no theme where the model is not sure, or cannot read the language."""
    found = []
    for entry in entries:
        read = understander.understand(f"{entry.title}. {entry.text}", author_class=AuthorClass.PUBLIC_BODY)
        sure = read.theme_sure and read.lang != UNKNOWN_LANGUAGE
        found.append(Published(entry, frozenset(read.themes) - {NONE_OF_THESE} if sure else frozenset()))
    return found


def compare(
    asked: Iterable[ThemeRow],
    published: Sequence[Published] | None,
    opened: Mapping[str, datetime],
    stands: Callable[[ThemeRow], Stands] = lambda row: NEW,
) -> list[Gap]:
    """What people ask about: unanswered themes first, those that a person answered last; most people first in each.

    `published`: None where nothing could be read. `opened`: incident → when it was opened. `stands`: what people
    decided about the questions of a theme.
    """
    gaps = [_gap(row, published, opened, stands(row)) for row in asked]
    order = list(Answer)
    return sorted(gaps, key=lambda gap: order.index(gap.answer))


def _gap(row: ThemeRow, published: Sequence[Published] | None, opened: Mapping[str, datetime], stands: Stands) -> Gap:
    """The one place that decides whether a theme is answered."""
    if stands.status.is_settled:
        return Gap(row, Answer.GIVEN, stands=stands)
    if published is None or row.theme == NONE_OF_THESE:
        return Gap(row, Answer.NOT_COMPARED)
    since = min([row.first_at, *(opened[each] for each in row.incidents if each in opened)])
    about = [each.entry for each in published if row.theme in each.themes]
    timed = [(entry.at, entry) for entry in about if entry.at is not None]
    newest = max(timed, key=lambda each: each[0], default=None)
    if newest is not None and newest[0] >= since:
        return Gap(row, Answer.PERHAPS, newest[1])
    # Of when nothing is known: it may be new, but nobody can tell, and a page that is always there answers nothing new.
    untimed = next((entry for entry in about if entry.at is None), None)
    return Gap(row, Answer.NONE, untimed or (newest[1] if newest else None))
