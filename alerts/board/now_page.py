"""The first page: what is going on, as a crisis team reads it from three metres away. Values for its template."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from alerts.notify.incident_alerts import REVIEW
from alerts.notify.state import AlertState
from alerts.notify.wording import Wording
from alerts.register.ranking import RegisterRow
from alerts.situation.graph import Graph, added, draw, draw_track
from alerts.situation.sentences import (
    age,
    called_next,
    cost_words,
    gap_line,
    role_name,
    source_name,
    standing_words,
    trend_words,
    unread_words,
)
from alerts.situation.situation import VOICED, Situation, StoryNow, ThemeNow
from alerts.situation.words import Words
from listener.model.answers import Standing
from listener.model.incidents import Incident, Mode
from listener.model.tracks import is_total
from listener.runtime.metrics import SourceState
from listener.runtime.ops_alerts import rule_of

SAMPLE = 160
"""Characters of a post that is shown as a sample."""
TRACKS = 3


class IncidentLine(NamedTuple):
    id: str
    name: str
    exercise: bool
    opened: str
    why: str
    tracks: str
    review: str
    overdue: bool


class AlertLine(NamedTuple):
    id: str
    level: str
    severity: str
    exercise: bool
    passed: bool
    headline: str
    trend: str
    incident: str
    since: str
    who: str
    """Who has it, or who is called next."""
    held: str


class ThemeLine(NamedTuple):
    theme: str
    """Its id, by which it is found."""
    name: str
    people: int
    arrow: str
    trend: str
    stands: str
    standing: str


class RumourLine(NamedTuple):
    story: str
    text: str
    withheld: bool
    exercise: bool
    people: int
    arrow: str
    trend: str
    spread: str
    stands: str
    standing: str


@dataclass(frozen=True)
class Column:
    """What people voice in one kind."""

    kind: str
    title: str
    people: int
    themes: Sequence[ThemeLine]


def values(situation: Situation, words: Words, *, reads: bool) -> Mapping[str, Any]:
    """`reads`: for somebody who may read posts."""
    now, voices = situation.at, situation.voices
    return {
        "crisis": situation.mode is Mode.CRISIS,
        "exercise": situation.exercise,
        "as_of": words.messages.time(now, now),
        "since": words.messages.time(situation.since, now) if situation.since else "",
        "incidents": [_incident(each, words, now) for each in situation.incidents],
        "held": _held(situation, words),
        "alerts": [alert_line(each, situation, words, reads=reads) for each in situation.open],
        "had": [alert_line(each, situation, words, reads=reads) for each in situation.had],
        "graphs": graphs(situation, words),
        "columns": [_column(kind, voices.themes.get(kind, ()), situation, words) for kind in VOICED],
        "rumours": [_rumour(each, words, now) for each in voices.rumours],
        "suggested": [(", ".join(each.words), each.people, each.sample.story) for each in voices.suggested if reads],
        "gaps": [gap_line(each, words, now) for each in situation.gaps],
        "sources": [_source(name, its, words) for name, its in situation.sources.items()],
        "duty": [
            (role_name(role, words), ", ".join(map(_name_in(situation), its)))
            for role, its in situation.on_duty.items()
        ],
        "costs": [cost_words(each, words) for each in situation.costs],
        "unread": unread_words(voices.apart, words),
        "officials": voices.apart.officials.posts + voices.apart.official_words.posts,
        "warnings": list(_warnings(situation, words)),
        "news": news(situation, words),
    }


def _held(situation: Situation, words: Words) -> str:
    """How many of the hospital's own highlights are held, and wait for somebody."""
    if not situation.held:
        return ""
    crisis = situation.mode is Mode.CRISIS
    return words.count("now.highlights_held" if crisis else "now.highlights_wait", situation.held)


def _warnings(situation: Situation, words: Words) -> Iterable[str]:
    """What makes the page less than the truth, or leaves nobody to be woken."""
    if situation.missing:
        yield words.say("now.missing", roles=", ".join(situation.missing))
    if situation.behind:
        yield words.say("now.behind", processes=", ".join(situation.behind))
    states = {its.get("state") for its in situation.sources.values()}
    if situation.mode is Mode.CRISIS and not states & {SourceState.LISTENING, SourceState.FINISHED}:
        yield words.say("now.nobody_listens")
    for role, its in situation.on_duty.items():
        if not its:
            yield words.say("now.nobody_on_duty", role=role_name(role, words))


def _name_in(situation: Situation) -> Callable[[str], str]:
    people = situation.people
    return people.name if people is not None else str


def graphs(situation: Situation, words: Words) -> list[Graph]:
    """All posts in a crisis, then the loudest tracks."""
    now, tracks = situation.at, situation.tracks
    found = []
    if situation.mode is Mode.CRISIS:
        steps = added(tracks, situation.voices.per_step)
        found.append(draw(words.say("graph.all"), steps, situation.gaps, words, now))
    for track in tracks[:TRACKS]:
        found.append(draw_track(track, situation.gaps, words, now, _track_name(track.track, words)))
    return found


def news(situation: Situation, words: Words) -> str:
    """What a screen reader says when it changes: short, and without numbers that change all the time."""
    parts = [words.say("frame.crisis" if situation.mode is Mode.CRISIS else "frame.calm")]
    parts.append(words.count("now.open_alerts", len(situation.open)))
    if situation.deaf:
        parts.append(words.say("now.deaf"))
    return ". ".join(parts) + "."


def _incident(its: Incident, words: Words, now: datetime) -> IncidentLine:
    messages, overdue = words.messages, bool(its.review_after) and now >= its.review_at
    opened = words.say(
        "now.opened", time=messages.time(its.opened_at, now), name=its.opened_by, age=age(its.opened_at, now, words)
    )
    review = ""
    if its.review_after:
        review = words.say("now.overdue" if overdue else "now.review", time=messages.time(its.review_at, now))
    return IncidentLine(
        its.id, its.name, its.exercise, opened, its.why, ", ".join(its.tracks) or words.say("now.standing_only"),
        review, overdue,
    )  # fmt: skip


def alert_line(state: AlertState, situation: Situation, words: Words, *, reads: bool) -> AlertLine:
    """`reads`: for somebody who may read posts; a headline may hold a word of one."""
    now, messages, alert = situation.at, words.messages, state.alert
    said = Wording(state, messages, now, in_house=reads)
    several = len(situation.incidents) != 1 or situation.incidents[0].id != alert.incident
    trends, who, held = said.trends(), said.handled(), ""
    if state.is_open:
        who, held = called_next(state, situation, words)
    return AlertLine(
        id=state.id,
        level=alert.severity.value,
        severity=messages.severity[alert.severity],
        exercise=alert.exercise,
        passed=said.passed,
        headline=headline(said, words),
        trend=trends[0] if trends else "",
        incident=alert.incident_name if several else "",
        since=messages.time(state.fired_at, now),
        who=who,
        held=held,
    )


def headline(said: Wording, words: Words) -> str:
    """What an alert is about. That it is to be said whether it still is a crisis is done here by a press, and not by
    the commands that its message names."""
    return words.say("now.still_crisis") if is_review(said.state) else said.headline[0]


def is_review(state: AlertState) -> bool:
    """It asks whether it still is a crisis."""
    return state.alert.rule == rule_of(REVIEW)


def _column(kind: Any, themes: Sequence[ThemeNow], situation: Situation, words: Words) -> Column:
    return Column(
        kind.value, words.say(f"now.{kind.value}"), situation.voices.kinds.get(kind, 0),
        [theme_line(each, words, marked=not situation.exercise) for each in themes],
    )  # fmt: skip


def theme_line(found: ThemeNow, words: Words, *, marked: bool = False) -> ThemeLine:
    """`marked`: where not everything is an exercise, what is one is marked."""
    row = found.row
    name = words.messages.themes.get(row.theme, row.theme) if found.has_theme else words.say("now.no_theme")
    if row.exercise and marked:
        name = f"{words.messages.exercise} · {name}"
    arrow, trend = trend_words(row.trend, words)
    stands, standing = "", Standing.NEW.value
    if found.stands is not None and found.stands.status is not Standing.NEW:
        stands, standing = standing_words(found.stands, words), found.stands.status.value
    elif found.handled:
        stands = "; ".join(
            words.say(f"standing.{each.value}_of", n=count, of=found.stories) for each, count in found.handled.items()
        )
    return ThemeLine(row.theme, name, row.people, arrow, trend, stands, standing)


def _rumour(found: StoryNow, words: Words, now: datetime) -> RumourLine:
    row = found.row
    arrow, trend = trend_words(row.trend, words)
    spread = words.say("now.spread", posts=row.posts, reposts=row.reposts, time=words.messages.time(row.first_at, now))
    text, withheld = sample_of(row, words)
    stands, denied = standing_words(found.stands, words) or words.say("now.unanswered"), found.denied_at
    if denied is not None:
        stands += "; " + words.say("now.denied", time=words.messages.time(denied, now))
    return RumourLine(
        row.story, text, withheld, row.exercise, row.people, arrow, trend, spread, stands, found.stands.status.value
    )


def sample_of(row: RegisterRow, words: Words) -> tuple[str, bool]:
    """The words of a story, and whether they are withheld: they may show who a patient is, or were removed."""
    if row.exposed:
        return words.say("story.withheld"), True
    if row.text is None:
        return words.say("story.removed"), True
    text = " ".join(row.text.split())
    return (text if len(text) <= SAMPLE else text[: SAMPLE - 1].rstrip() + "…"), False


def _source(name: str, its: Mapping[str, Any], words: Words) -> tuple[str, str, str]:
    """Name, state in words, and what is wrong with it."""
    state = str(its.get("state", "unknown"))
    known = f"source.{state}"
    problem = its.get("problem")
    return source_name(name), words.texts.get(known, state), str(problem) if problem else ""


def _track_name(track: str, words: Words) -> str:
    return words.say("graph.total") if is_total(track) else words.say("graph.track", track=track)
