"""What the crisis team is shown: themes or stories of a selection, what fits none, and what is set apart; with texts.

Texts are joined from the bus for what is shown, and for so many stories as the words of what fits none are taken from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from alerts.register.own_words import OwnTheme, Said, own_themes
from alerts.register.ranking import (
    NONE_OF_THESE,
    Registered,
    RegisterRow,
    Row,
    Selection,
    SetApart,
    ThemeRow,
    Tiers,
    newest_of,
    rank_stories,
    rank_themes,
    said_by,
    set_apart,
    tiers,
)
from alerts.register.view import Register
from listener.model.records import UNKNOWN_LANGUAGE, Kind

QUIET = timedelta(hours=24)
"""Without a post for so long it is a recording that was heard: the last hour is that of its newest post."""
MOST_READ = 400
"""Stories on each side, those of most people, whose words are compared."""
MOST_SUGGESTED = 3
ENGLISH = "en"
MANY = 10
"""People who pass on what no kind was found in: it is shown all the same."""
MOST_UNSORTED = 2
EVERY_KIND = frozenset(Kind) - {Kind.OTHER, Kind.MEDIA}
"""What people voice."""


_Voiced = tuple[Registered, frozenset[str]]
"""The post that stands for a story, and who says it."""


@dataclass(frozen=True)
class Suggested:
    """Perhaps a theme of its own: `words` that many use, and a story that has them."""

    words: tuple[str, ...]
    people: int
    sample: RegisterRow


@dataclass(frozen=True)
class Overview:
    """What is shown of a selection. `stories` or `themes` is filled, as was asked; the last hour ends at `as_of`.

    `none`: what voices something about none of the themes, and what of it may be one. `unsorted`: what many say and no
    kind was found in.
    """

    as_of: datetime
    apart: SetApart
    tiers: Tiers
    themes: Sequence[ThemeRow] = ()
    stories: Sequence[RegisterRow] = ()
    none: Sequence[ThemeRow] = ()
    suggested: Sequence[Suggested] = ()
    unsorted: Sequence[RegisterRow] = ()

    @property
    def rows(self) -> list[Row]:
        """What is ranked; what has none of the themes comes last."""
        return [*self.themes, *self.none, *self.stories]


def end_of_hour(now: datetime, newest: datetime) -> datetime:
    """When the last hour ends: now, or the time of the newest post where that is long ago or, as played, to come."""
    return now if now - QUIET < newest <= now else newest


def read_stories(
    view: Register, asked: Selection, now: datetime, *, limit: int, span: timedelta | None = None
) -> Overview:
    """The stories of a selection that most people voice. `span`: only what was posted in so long before the end."""
    rows, asked, as_of = _rows(view, asked, now, span)
    ranked = rank_stories(filter(asked.holds, rows), as_of, limit)
    return Overview(as_of, _set_apart(rows, asked), tiers(rows), stories=[view.told(row) for row in ranked])


def read_themes(
    view: Register,
    asked: Selection,
    now: datetime,
    *,
    limit: int,
    samples: int = 3,
    span: timedelta | None = None,
    no_news: Collection[str] = (),
    suggest: bool = True,
) -> Overview:
    """The themes that most people voice something about. `no_news`: words that make no theme, such as tracks.
    `suggest`: whether what fits none is looked through for themes of its own, which reads many texts."""
    rows, asked, as_of = _rows(view, asked, now, span)
    public = [row for row in rows if asked.holds(row)]
    themes = rank_themes(public, as_of, samples=samples)
    return Overview(
        as_of,
        _set_apart(rows, asked),
        tiers(rows),
        themes=[_told(view, row) for row in themes if row.theme != NONE_OF_THESE][:limit],
        none=[_told(view, row) for row in themes if row.theme == NONE_OF_THESE],
        suggested=suggested(view, public, as_of, no_news) if suggest else (),
        unsorted=_unsorted(view, public, as_of),
    )


def _rows(
    view: Register, asked: Selection, now: datetime, span: timedelta | None
) -> tuple[list[Registered], Selection, datetime]:
    """All that was heard in the incidents asked for, whoever says it; and until when."""
    rows = view.registered(Selection(incident=asked.incident, closed=asked.closed, officials=True, not_understood=True))
    as_of = end_of_hour(now, newest_of(rows))
    return rows, asked if span is None else replace(asked, since=as_of - span), as_of


def _set_apart(rows: Iterable[Registered], asked: Selection) -> SetApart:
    """Of what was heard, and would be shown if it were the public's and understood."""
    wide = replace(asked, officials=True, not_understood=not asked.language)
    # Most rows are the public's: this is ten times faster than to ask each whether it is held.
    apart = (row for row in rows if row.whose or row.language == UNKNOWN_LANGUAGE)
    return set_apart(filter(wide.holds, apart))


def _told(view: Register, theme: ThemeRow) -> ThemeRow:
    return replace(theme, samples=tuple(map(view.told, theme.samples)))


def _unsorted(view: Register, rows: Iterable[Registered], as_of: datetime) -> list[RegisterRow]:
    other = rank_stories((row for row in rows if row.kinds == Kind.OTHER), as_of, MOST_UNSORTED)
    return [view.told(row) for row in other if row.people >= MANY]


def suggested(view: Register, rows: Sequence[Registered], as_of: datetime, no_news: Collection[str]) -> list[Suggested]:
    """What of these rows may be a theme of its own.

    Scandinavian apart from English: the words of the rarer one would stand out by their language alone.
    """
    found = []
    for english in (False, True):
        sides: dict[bool, list[Registered]] = {True: [], False: []}
        for row in rows:
            if (row.language == ENGLISH) is english:
                sides[row.themes == NONE_OF_THESE].append(row)
        if sides[True]:
            there = said_by(sides[True], MOST_READ)
            themes = own_themes(_said(view, there), _said(view, said_by(sides[False], MOST_READ)), but=no_news)
            found += [_suggestion(view, theme, there, sides[True], as_of) for theme in themes]
    return sorted(found, key=lambda each: -each.people)[:MOST_SUGGESTED]


def _suggestion(
    view: Register, theme: OwnTheme, there: Sequence[_Voiced], rows: Iterable[Registered], as_of: datetime
) -> Suggested:
    sample, _ = min((there[number] for number in theme.stories), key=lambda each: (each[0].exposed, -len(each[1])))
    alike = (row for row in rows if (row.exercise, row.story) == (sample.exercise, sample.story))
    (story,) = rank_stories(alike, as_of)
    return Suggested(theme.words, theme.people, view.told(story))


def _said(view: Register, stories: Sequence[_Voiced]) -> list[Said]:
    texts = view.texts_of([sample for sample, _ in stories])
    return [Said(text or "", people) for text, (_, people) in zip(texts, stories, strict=True)]
