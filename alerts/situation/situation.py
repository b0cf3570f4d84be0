"""What is going on, in one value that does not change: for the board's pages and the situation report.

Made of what `Followed` has read, at an instant. No post's text is in it, but for the samples of the register.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerts.highlights.plan import held
from alerts.notify.listing import Listing, list_alerts
from alerts.notify.recipients import People
from alerts.notify.state import AlertState, Handling
from alerts.register.decisions import Stands
from alerts.register.denials import denials
from alerts.register.overview import Suggested, end_of_hour, suggested
from alerts.register.ranking import (
    NONE_OF_THESE,
    Registered,
    RegisterRow,
    Selection,
    SetApart,
    ThemeRow,
    Whose,
    newest_of,
    rank_stories,
    rank_themes,
    set_apart,
    words,
)
from alerts.situation.followed import Followed
from alerts.situation.loudness import STEP, Loudness, Step, TrackLoudness, step_of
from listener.ingest.budget import in_force
from listener.model.answers import Standing
from listener.model.gaps import is_whole
from listener.model.incidents import Incident, Mode
from listener.model.records import UNKNOWN_LANGUAGE, Gap, Kind
from listener.model.spending import Spending
from listener.runtime.control import FOLLOW_SECONDS, Follower, followers, laggards, missing_roles, source_states
from listener.settings.prices import Budget
from listener.units import from_ms, to_ms

SHOWN = timedelta(hours=6)
"""So far back the graphs go."""
TO_FOLLOW = timedelta(seconds=FOLLOW_SECONDS)
"""So long after a command nobody is said to be behind."""
RECENT = timedelta(hours=12)
"""So long what was answered, and what was not heard, is shown after it was over."""
SUGGEST_SECONDS = 20.0
AHEAD = timedelta(hours=1)
"""So far it is foreseen who is called next."""
MOST_WORK = 3_000
"""Instants times open alerts, in which it is foreseen: of a storm only the next moments."""
VOICED = (Kind.WISH, Kind.QUESTION, Kind.RUMOUR, Kind.VIEWPOINT)
"""What people wish, ask, believe and think."""
THEMES = 6
RUMOURS = 8
SPREAD = 2
"""People who say it, from whom on a rumour is shown: what one person says has not spread."""
TRACKS = 6


@dataclass(frozen=True)
class ThemeNow:
    """What people voice about one theme, in one kind. `stands`: of questions how they stand all together; of others
    None. `handled`: standing → stories of it that a person said so of; `stories` is how many there are."""

    row: ThemeRow
    kind: Kind
    stories: int
    stands: Stands | None
    handled: Mapping[Standing, int]

    @property
    def theme(self) -> str:
        return self.row.theme

    @property
    def has_theme(self) -> bool:
        return self.row.theme != NONE_OF_THESE


@dataclass(frozen=True)
class StoryNow:
    """`denied_at`: when a newsroom or public body first said what may deny it; None where none was found."""

    row: RegisterRow
    stands: Stands
    denied_at: datetime | None = None


@dataclass(frozen=True)
class Voices:
    """What people say in the open incidents. `themes`: kind → themes, most people first. `as_of` ends the last hour."""

    as_of: datetime
    people: int
    posts: int
    per_step: tuple[Step, ...]
    """All posts that were heard, for the graph; each counts once."""
    themes: Mapping[Kind, Sequence[ThemeNow]]
    rumours: Sequence[StoryNow]
    kinds: Mapping[Kind, int]
    """Kind → people who voice it."""
    suggested: Sequence[Suggested]
    apart: SetApart


@dataclass(frozen=True)
class CostNow:
    source: str
    spending: Spending
    budget: Budget | None
    """What may be spent this month; None where nothing is known of it."""


@dataclass(frozen=True)
class Situation:
    """`sources`: source → what its listener says of itself. `gaps`: those that last, then those that ended of late."""

    at: datetime
    mode: Mode
    since: datetime | None
    incidents: tuple[Incident, ...]
    followers: tuple[Follower, ...]
    missing: tuple[str, ...]
    """Roles that nobody has."""
    behind: tuple[str, ...]
    """Processes that are there and do not follow."""
    sources: Mapping[str, Mapping[str, Any]]
    gaps: tuple[Gap, ...]
    tracks: tuple[TrackLoudness, ...]
    voices: Voices
    open: tuple[AlertState, ...]
    """Alerts that nobody has acknowledged: the gravest and oldest first."""
    had: tuple[AlertState, ...]
    """Alerts that somebody has, and that are not over or were answered of late."""
    listing: Listing
    """What holds each alert back, and who is paged next about it."""
    people: People | None
    on_duty: Mapping[str, tuple[str, ...]]
    """Role → who has it now."""
    costs: tuple[CostNow, ...]
    held: int = 0
    """Highlights that are held, and wait for somebody."""

    @property
    def exercise(self) -> bool:
        """All that is open is an exercise."""
        return bool(self.incidents) and all(each.exercise for each in self.incidents)

    @property
    def deaf(self) -> tuple[Gap, ...]:
        """The gaps that last."""
        return tuple(gap for gap in self.gaps if gap.end is None)


def describe(
    followed: Followed,
    people: People | None,
    wakes: Callable[[str], bool],
    now: datetime,
    voices: Voices | None = None,
    incident: str = "",
    listing: Listing | None = None,
) -> Situation:
    """`people`: as they are in force; None where people.yaml cannot be read. `wakes`: whether a channel wakes people.
    `voices`, `listing`: of before, where nothing of the register or of the alerts is new. `incident`: only this one,
    also when it is closed."""
    state, book = followed.control, followed.book
    found = who_follows(followed, now)
    sources = source_states(followed.presences)
    gaps = [gap for gap in followed.gaps.values() if gap.end is None or gap.end > now - RECENT]
    asked = [state.incidents[incident]] if incident else [each for each in state.open if not each.synthetic]

    def is_meant(its: AlertState) -> bool:
        return not its.alert.synthetic and (not incident or its.alert.incident == incident)

    return Situation(
        at=now,
        mode=state.mode,
        since=state.since,
        incidents=tuple(asked),
        followers=tuple(found),
        missing=tuple(missing_roles(found)),
        behind=tuple(laggards(found)),
        sources=sources,
        gaps=tuple(sorted(gaps, key=lambda gap: (gap.end is not None, is_whole(gap), -gap.start.timestamp()))),
        tracks=tuple(followed.loudness.tracks(followed.loudness.end(now), SHOWN)[:TRACKS]),
        voices=voices or hear(followed, now, incident),
        open=tuple(sorted(filter(is_meant, book.open()), key=_by_weight)),
        had=tuple(s for s in reversed(book.all()) if is_meant(s) and _is_had(s, now)),
        listing=replace(listing, now=now) if listing else list_alerts(book, people, wakes, now, AHEAD, MOST_WORK),
        people=people,
        on_duty={} if people is None else {role: people.who(role, now) for role in sorted(people.roles)},
        costs=tuple(_cost(followed, spent, sources, now) for _, spent in sorted(followed.spending.items())),
        held=held(followed.highlights, state),
    )


def who_follows(followed: Followed, now: datetime) -> list[Follower]:
    """Whoever is there, and whether they applied all commands but those that they have time for yet."""
    for its in reversed(followed.control.history):
        # A command of a time to come was given by a clock that is wrong.
        if its.command is None or not timedelta() <= now - its.command.at < TO_FOLLOW:
            return followers(followed.presences, its.offset)
    return followers(followed.presences, -1)


def _by_weight(state: AlertState) -> tuple[bool, int, datetime]:
    return state.alert.exercise, state.alert.severity.rank, state.fired_at


def _is_had(state: AlertState, now: datetime) -> bool:
    """Acknowledged, and neither closed nor over for long."""
    if state.handling is not Handling.ACKNOWLEDGED:
        return False
    return state.resolved_at is None or max(state.resolved_at, state.last_word or state.resolved_at) > now - RECENT


def _cost(followed: Followed, spent: Spending, sources: Mapping[str, Mapping[str, Any]], now: datetime) -> CostNow:
    try:
        caps = Budget.model_validate(sources[spent.source]["caps"])
    except (KeyError, ValueError):
        caps = None
    if caps is not None:
        caps = in_force(caps, followed.raised.get(spent.source), now)
    return CostNow(spent.source, spent, caps)


def hear(followed: Followed, now: datetime, incident: str = "") -> Voices:
    """What the register holds of the open incidents, or of one; of calm nothing. Reads texts for the samples from the
    bus."""
    asked = asked_of(followed, incident)
    rows = heard_in(followed, asked)
    as_of = end_of_hour(now, newest_of(rows))
    public = [row for row in rows if asked.holds(row)]
    # Of an exercise nobody is counted beside what is real.
    counted = [row for row in public if not row.exercise] or public
    by_kind = {kind: [row for row in public if kind in words(row.kinds)] for kind in VOICED}
    rumours = [row for row in rank_stories(by_kind[Kind.RUMOUR], as_of, RUMOURS) if row.people >= SPREAD]
    officials = [row for row in rows if row.whose == Whose.OFFICIAL]
    # Words of what may show a patient are nowhere but behind their veil.
    unveiled = [row for row in public if not row.exposed]
    apart = [row for row in rows if row.whose or row.language == UNKNOWN_LANGUAGE]
    return Voices(
        as_of=as_of,
        people=len({row.person for row in counted} - {None}),
        posts=len({row.post for row in counted}),
        per_step=tuple(_per_step(rows, followed.loudness, as_of if _is_closed(followed, incident) else now)),
        themes={kind: _themes(followed, its, kind, as_of) for kind, its in by_kind.items()},
        rumours=[_rumour(followed, row, by_kind[Kind.RUMOUR], officials) for row in rumours],
        kinds=_people_by_kind(counted),
        suggested=suggest(followed, unveiled, as_of),
        apart=set_apart(apart),
    )


def asked_of(followed: Followed, incident: str = "") -> Selection:
    """What the public says in the open incidents, or in one, which may be closed."""
    closed = frozenset(each.id for each in followed.control.incidents.values() if not each.open)
    return Selection(incident=incident, closed=frozenset() if incident else closed)


def heard_in(followed: Followed, asked: Selection) -> list[Registered]:
    """All that was heard in the incidents asked for, whoever says it; nothing while none is open."""
    if not (followed.control.open or asked.incident):
        return []
    return followed.register.registered(replace(asked, officials=True, not_understood=True))


def _is_closed(followed: Followed, incident: str) -> bool:
    return bool(incident) and not followed.control.incidents[incident].open


def suggest(followed: Followed, rows: Sequence[Registered], as_of: datetime) -> Sequence[Suggested]:
    """What may be a theme of its own; looked for now and then, because hundreds of texts are read for it."""
    now = followed.clock.monotonic()
    if followed.suggested is None or now - followed.suggested[0] > SUGGEST_SECONDS:
        followed.suggested = now, suggested(followed.register, rows, as_of, tracks_of(followed))
    return followed.suggested[1]


def tracks_of(followed: Followed) -> Collection[str]:
    """What is listened for: no news, as words of a theme of its own."""
    return {track for incident in followed.control.open for track in incident.tracks}


def _themes(followed: Followed, rows: Sequence[Registered], kind: Kind, as_of: datetime) -> list[ThemeNow]:
    ranked = rank_themes(rows, as_of, samples=2)
    named = [row for row in ranked if row.theme != NONE_OF_THESE][:THEMES]
    none = [row for row in ranked if row.theme == NONE_OF_THESE]
    return [_theme(followed, row, kind, rows) for row in [*named, *none]]


def _theme(followed: Followed, row: ThemeRow, kind: Kind, rows: Sequence[Registered]) -> ThemeNow:
    stories = {each.story for each in rows if row.theme in words(each.themes)}
    decided = stories.intersection(followed.decisions.decided())
    standing = Counter(followed.decisions.of_story(story, row.incidents).status for story in decided)
    told = replace(row, samples=tuple(followed.register.told(sample) for sample in row.samples))
    stands = followed.decisions.of_theme(row.theme, row.incidents) if kind is Kind.QUESTION else None
    del standing[Standing.NEW]
    return ThemeNow(told, kind, len(stories), stands, standing)


def _rumour(
    followed: Followed, row: RegisterRow, rumours: Sequence[Registered], officials: Sequence[Registered]
) -> StoryNow:
    its = [each for each in rumours if (each.story, each.exercise) == (row.story, int(row.exercise))]
    found = denials(its, officials, followed.register.finding, followed.deny) if its else []
    denied = min((each.row.at for each in found), default=None)
    told, stands = followed.register.told(row), followed.decisions.of_row(row)
    return StoryNow(told, stands, None if denied is None else from_ms(denied))


def _people_by_kind(rows: Sequence[Registered]) -> dict[Kind, int]:
    people: dict[str, set[str]] = {}
    for row in rows:
        if (person := row.person) is not None:
            for kind in words(row.kinds):
                people.setdefault(kind, set()).add(person)
    return {kind: len(people.get(kind, ())) for kind in Kind}


def _per_step(rows: Sequence[Registered], loudness: Loudness, now: datetime) -> list[Step]:
    """Every post once, whatever incidents heard it, in the steps of `SHOWN` before now.

    A step of which nothing is known of any track, and in which no post was found, is unknown.
    """
    end = step_of(loudness.end(now))
    known = loudness.heard(end)
    first = end - SHOWN + STEP
    counted: Counter[datetime] = Counter()
    seen: set[str] = set()
    begin, step = to_ms(first), round(STEP.total_seconds() * 1000)
    for row in rows:
        if row.at >= begin and row.post not in seen:
            seen.add(row.post)
            counted[first + (row.at - begin) // step * STEP] += 1
    steps = round(SHOWN / STEP)
    every = (first + number * STEP for number in range(steps))
    return [Step(at, counted[at] if at in known or counted[at] else None, at in known, None) for at in every]
