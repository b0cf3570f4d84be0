"""What happened in a stretch of time, for the situation report: counts, themes and words of the team, no post's text.

What people write counts by the time of their posts, so that a recording of another day has a last hour too; what the
team decided, alerts and gaps by the time now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.notify.state import AlertState
from alerts.register.decisions import Stands
from alerts.register.overview import end_of_hour
from alerts.register.ranking import (
    NONE_OF_THESE,
    Counted,
    Registered,
    RegisterRow,
    Trend,
    newest_of,
    rank_stories,
    rank_themes,
    words,
)
from alerts.situation.followed import WORDS_KEPT, Followed
from alerts.situation.situation import VOICED, asked_of, heard_in
from listener.model.answers import Standing, Verdict
from listener.model.decisions import Answer, Status
from listener.model.incidents import Result, Transition
from listener.model.records import Decision, DecisionKind, Gap, Kind
from listener.units import to_ms

LONGEST = WORDS_KEPT - timedelta(days=1)
"""So far back a report reaches at most."""
MOVED = 3
"""So many people more or fewer are a theme that rose or fell."""
SHOWN_CONTROL = (Result.OPENED, Result.JOINED, Result.CHANGED, Result.CLOSED, Result.REVIEWED)


@dataclass(frozen=True)
class Moved:
    """A theme in one kind: people in the stretch, and in as long before it. `new`: nobody voiced it before."""

    kind: Kind
    theme: str
    exercise: bool
    people: int
    before: int
    new: bool

    @property
    def grown(self) -> int:
        return self.people - self.before


@dataclass(frozen=True)
class RumourTheme:
    """What people believe about one theme. `verdicts`: what was said of its stories → how many; None where nothing
    was."""

    theme: str
    exercise: bool
    people: int
    posts: int
    reposts: int
    first_at: datetime
    trend: Trend
    stories: int
    verdicts: Mapping[Verdict | Standing | None, int]


@dataclass(frozen=True)
class Said:
    """An answer, or what else was done with a story. `themes`: what that is about, the main one first."""

    word: Answer | Status
    kind: Kind
    themes: Sequence[str]
    exercise: bool


@dataclass(frozen=True)
class Period:
    """`whole`: the incidents were opened in it, so that all of it is new. `now` and `before`: the public's posts and
    people, in the stretch and in as long before it. `answers`: those that stand, whenever they were given."""

    since: datetime
    until: datetime
    whole: bool
    now: Counted
    before: Counted
    moved: Sequence[Moved]
    rumours: Sequence[RumourTheme]
    unsorted: Counted
    """What voices something that none of the themes is about."""
    said: Sequence[Said]
    answers: int
    fired: Sequence[AlertState]
    handled: Sequence[tuple[AlertState, Decision]]
    passed: int
    gaps: Sequence[Gap]
    control: Sequence[Transition]

    @property
    def span(self) -> timedelta:
        return self.until - self.since


def look_back(followed: Followed, since: datetime, now: datetime, incident: str = "") -> Period:
    """`incident`: only this one, also when it is closed. Reads no texts."""
    asked = asked_of(followed, incident)
    rows = [row for row in heard_in(followed, asked) if asked.holds(row)]
    as_of = end_of_hour(now, newest_of(rows))
    start, before = as_of - (now - since), as_of - 2 * (now - since)
    incidents = [followed.control.incidents[incident]] if incident else followed.control.open
    meant = {each.id for each in incidents}
    alerts = [s for s in followed.book.all() if not s.alert.synthetic and (not incident or s.alert.incident in meant)]
    rumours = [row for row in rows if Kind.RUMOUR in words(row.kinds)]
    stories = rank_stories(rumours, as_of)
    return Period(
        since=since,
        until=now,
        whole=bool(incidents) and all(each.opened_at >= since for each in incidents),
        now=_counted(rows, start, as_of),
        before=_counted(rows, before, start),
        moved=[its for kind in VOICED if kind is not Kind.RUMOUR for its in _moved(rows, kind, before, start, as_of)],
        rumours=_rumours(followed, rumours, stories, as_of),
        unsorted=_all_of([row for row in rows if row.themes == NONE_OF_THESE]),
        said=_said(followed, rows, meant, since),
        answers=_answers(followed, rows),
        fired=[state for state in alerts if state.fired_at >= since],
        handled=[(state, word) for state in alerts if (word := _handled(state, since)) is not None],
        passed=sum(state.resolved_at is not None and state.resolved_at >= since for state in alerts),
        gaps=_gaps(followed.gaps.values(), since),
        control=[its for its in followed.control.history if _is_told(followed, its, since, incident)],
    )


def _all_of(rows: Iterable[Registered]) -> Counted:
    rows = list(rows)
    return Counted(len({row.post for row in rows}), len({row.person for row in rows} - {None}))


def _counted(rows: Iterable[Registered], start: datetime, end: datetime) -> Counted:
    return _all_of(_between(rows, start, end))


def _between(rows: Iterable[Registered], start: datetime, end: datetime) -> list[Registered]:
    """After `start`, up to `end`: two stretches that meet share no post."""
    return [row for row in rows if to_ms(start) < row.at <= to_ms(end)]


def _moved(rows: Sequence[Registered], kind: Kind, before: datetime, start: datetime, end: datetime) -> list[Moved]:
    of_kind = [row for row in rows if kind in words(row.kinds)]
    earlier = _people(row for row in of_kind if row.at <= to_ms(start))
    last = _people(_between(of_kind, before, start))
    newest = {key: set[str]() for key in last} | _people(_between(of_kind, start, end))
    return [
        Moved(kind, *key, people=len(people), before=len(last.get(key, ())), new=key not in earlier)
        for key, people in newest.items()
    ]


def _people(rows: Iterable[Registered]) -> dict[tuple[str, bool], set[str]]:
    """Theme, and whether it is of an exercise → who voices something about it."""
    found: dict[tuple[str, bool], set[str]] = {}
    for row in rows:
        if (person := row.person) is not None:
            for theme in words(row.themes) - {NONE_OF_THESE}:
                found.setdefault((theme, bool(row.exercise)), set()).add(person)
    return found


def _rumours(
    followed: Followed, rows: Sequence[Registered], stories: Sequence[RegisterRow], as_of: datetime
) -> list[RumourTheme]:
    """Each story counts for its main theme alone, so that no rumour is told of twice."""
    main = {(its.story, its.exercise): next(iter(its.themes), NONE_OF_THESE) for its in stories}
    of_main = [row._replace(themes=main.get((row.story, bool(row.exercise)), NONE_OF_THESE)) for row in rows]
    found: dict[tuple[str, bool], Counter[Verdict | Standing | None]] = {}
    for its in stories:
        stands = followed.decisions.of_row(its)
        found.setdefault((main[its.story, its.exercise], its.exercise), Counter())[verdict_of(stands)] += 1
    return [
        RumourTheme(
            row.theme, row.exercise, row.people, row.posts, row.reposts, row.first_at, row.trend,
            sum(found[row.theme, row.exercise].values()), dict(found[row.theme, row.exercise]),
        )
        for row in rank_themes(of_main, as_of, samples=0)
    ]  # fmt: skip


def verdict_of(stands: Stands) -> Verdict | Standing | None:
    """What was said of it, or what was done with it; None while it is new."""
    if stands.status is Standing.NEW:
        return None
    last = stands.last
    return last.verdict if isinstance(last, Answer) else stands.status


def _said(followed: Followed, rows: Sequence[Registered], meant: set[str], since: datetime) -> list[Said]:
    """The newest first."""
    of_story: dict[str, list[Registered]] = {}
    found = []
    said = [
        word for word in followed.words
        if isinstance(word, Answer | Status) and word.at >= since and meant.intersection(word.incidents)
    ]  # fmt: skip
    if said:
        for row in rows:
            of_story.setdefault(row.story, []).append(row)
    together = followed.register.together() if said else {}
    for word in reversed(said):
        its = of_story.get(together.get(word.story, word.story), ())
        kinds = Counter(kind for row in its for kind in row.kinds.split())
        themes = Counter(theme for row in its for theme in row.themes.split()[:1])
        kind = Kind.QUESTION if not its and word.theme else Kind.RUMOUR
        if kinds and Kind.RUMOUR not in kinds:
            kind = Kind(kinds.most_common(1)[0][0])
        exercise = all(followed.control.incidents[each].exercise for each in word.incidents if each in meant)
        found.append(Said(word, kind, [word.theme] if word.theme else [t for t, _ in themes.most_common(1)], exercise))
    return found


def _answers(followed: Followed, rows: Sequence[Registered]) -> int:
    """Stories and themes' questions that stand as answered."""
    incidents = {row.incident for row in rows}
    stories = {row.story for row in rows}.intersection(followed.decisions.decided())
    themes = {theme for row in rows if Kind.QUESTION in words(row.kinds) for theme in words(row.themes)}
    stands = [followed.decisions.of_story(story, incidents) for story in stories]
    stands += [followed.decisions.of_theme(theme, incidents) for theme in themes]
    return sum(each.status is Standing.ANSWERED for each in stands)


def _handled(state: AlertState, since: datetime) -> Decision | None:
    """The word in the stretch by which somebody took it, or closed it."""
    kinds = (DecisionKind.ACKNOWLEDGE, DecisionKind.CLOSE)
    return next((word for word in reversed(state.words) if word.kind in kinds and word.at >= since), None)


def _gaps(gaps: Iterable[Gap], since: datetime) -> list[Gap]:
    """Those that last first, then the newest."""
    its = [gap for gap in gaps if gap.end is None or gap.end > since]
    return sorted(its, key=lambda gap: (gap.end is not None, -gap.start.timestamp()))


def _is_told(followed: Followed, its: Transition, since: datetime, incident: str) -> bool:
    if its.command is None or its.command.at < since or its.result not in SHOWN_CONTROL:
        return False
    known = [followed.control.incidents[each] for each in its.incidents if each in followed.control.incidents]
    return any(not each.synthetic and (not incident or each.id == incident) for each in known)
