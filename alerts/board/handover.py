"""What whoever takes over needs to know: what is open and who has it, who is on duty, what was decided, what waits.

For the house: notes and reasons are in it, but no post's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

from alerts.board.now_page import AlertLine, ThemeLine, alert_line, headline, theme_line
from alerts.notify.channels.text import one_line
from alerts.notify.incident_alerts import OURSELVES
from alerts.notify.recipients import People
from alerts.notify.wording import Wording
from alerts.situation.followed import Followed
from alerts.situation.sentences import GapLine, gap_line, role_name, theme_name
from alerts.situation.situation import Situation
from alerts.situation.words import Words
from listener.model.decisions import (
    Answer,
    Correction,
    DecisionsRecord,
    Note,
    Silence,
    Status,
    Swap,
    WayConfirmed,
    WayTest,
)
from listener.model.incidents import Result, Transition
from listener.model.records import Decision, DecisionKind, Kind

LATELY = timedelta(hours=12)
MOST = 60
"""Of what was decided."""
QUESTIONS = 6
LONGEST_WHY = 160
"""Characters of a reason."""
BY_NAME = frozenset({DecisionKind.RULES_CHANGED, DecisionKind.LEARNED})
"""Their reason says by name what changed, in the words of the program."""
CONTROL = (Result.OPENED, Result.JOINED, Result.CHANGED, Result.CLOSED, Result.REVIEWED)


class DutyLine(NamedTuple):
    role: str
    names: str
    until: str
    then: str


class DoneLine(NamedTuple):
    at: float
    time: str
    who: str
    what: str
    why: str


class ReviewLine(NamedTuple):
    text: str
    overdue: bool


@dataclass(frozen=True)
class Handover:
    open: Sequence[AlertLine]
    had: Sequence[tuple[AlertLine, str]]
    """An alert, and who has it since when."""
    duty: Sequence[DutyLine]
    silences: Sequence[tuple[str, str]]
    reviews: Sequence[ReviewLine]
    done: Sequence[DoneLine]
    """The newest first."""
    more: int
    notes: Sequence[DoneLine]
    questions: Sequence[ThemeLine]
    gaps: Sequence[GapLine]


def hand_over(followed: Followed, situation: Situation, words: Words, *, reads: bool) -> Handover:
    """`reads`: for somebody who may read posts."""
    writer = _Writer(followed, situation, words, reads)
    done = sorted(writer.done(), key=lambda each: -each.at)
    notes = sorted(writer.notes, key=lambda each: -each.at)
    questions = [each for each in situation.voices.themes.get(Kind.QUESTION, ()) if each.has_theme]
    unanswered = [line for line in (theme_line(each, words) for each in questions) if not line.stands]
    return Handover(
        open=[alert_line(each, situation, words, reads=reads) for each in situation.open],
        had=[(alert_line(each, situation, words, reads=reads), writer.has(each)) for each in situation.had],
        duty=list(writer.duty()),
        silences=list(writer.silences()),
        reviews=list(writer.reviews()),
        done=done[:MOST],
        more=max(0, len(done) - MOST),
        notes=notes,
        questions=unanswered[:QUESTIONS],
        gaps=[gap_line(each, words, situation.at) for each in situation.deaf],
    )


class _Writer:
    def __init__(self, followed: Followed, situation: Situation, words: Words, reads: bool) -> None:
        self._reads = reads
        self._followed = followed
        self._situation = situation
        self._words = words
        self._now = situation.at
        self.notes: list[DoneLine] = []

    def _time(self, at: Any) -> str:
        return self._words.messages.time(at, self._now)

    def has(self, state: Any) -> str:
        said = state.handled
        return "" if said is None else self._words.say("handover.has", name=said.by, time=self._time(said.at))

    def duty(self) -> Iterator[DutyLine]:
        people, say = self._situation.people, self._words.say
        for role, keys in self._situation.on_duty.items():
            roster = people.rosters.get(role) if people is not None else None
            until = roster.until(self._now) if roster is not None else None
            then = sorted(roster.at(until)) if roster is not None and until is not None else ()
            yield DutyLine(
                role_name(role, self._words),
                _named(people, keys) or say("now.nobody"),
                say("handover.until", time=self._time(until)) if until else say("handover.further_notice"),
                say("handover.then", name=_named(people, then) or say("now.nobody")) if until else "",
            )

    def silences(self) -> Iterator[tuple[str, str]]:
        say = self._words.say
        for its in self._followed.book.silences.all():
            if its.at(self._now):
                what = say("handover.silence", match=_match(its.silence.match), time=self._time(its.end))
                yield what, say("handover.by", name=its.silence.by, why=its.silence.why)

    def reviews(self) -> Iterator[ReviewLine]:
        for its in self._situation.incidents:
            if its.review_after:
                overdue = self._now >= its.review_at
                name = "handover.overdue" if overdue else "handover.review"
                yield ReviewLine(self._words.say(name, incident=its.name, time=self._time(its.review_at)), overdue)

    def done(self) -> Iterator[DoneLine]:
        start = self._now - LATELY
        for word in self._followed.words:
            if word.at >= start and (what := self._what(word)):
                line = DoneLine(word.at.timestamp(), self._time(word.at), self._who(word), what, _why(word))
                if isinstance(word, Note) or (isinstance(word, Decision) and word.kind is DecisionKind.NOTE):
                    self.notes.append(line)
                yield line
        for its in self._followed.control.history:
            if its.command is not None and its.command.at >= start and (what := self._switched(its)):
                at = its.command.at
                yield DoneLine(at.timestamp(), self._time(at), its.command.by, what, its.command.why)

    def _who(self, word: DecisionsRecord) -> str:
        people = self._situation.people
        return people.name(word.by) if people is not None else word.by

    def _switched(self, its: Transition) -> str:
        incidents = self._followed.control.incidents
        known = [incidents[each] for each in its.incidents if each in incidents]
        if its.result not in CONTROL or its.command is None or not known or all(each.synthetic for each in known):
            return ""
        names = ", ".join(each.name for each in known)
        return self._words.say(f"handover.switched_{its.result.value}", incident=names)

    def _what(self, word: DecisionsRecord) -> str:
        """What was decided, in words; empty for what concerns nobody who takes over."""
        say = self._words.say
        if isinstance(word, Decision):
            return self._decided(word)
        if isinstance(word, Silence):
            return say("handover.silence_made", match=_match(word.match), time=self._time(word.end))
        if isinstance(word, Answer):
            return say("handover.answer", about=self._about(word), verdict=self._words.messages.verdict[word.verdict])
        if isinstance(word, Status):
            return say(f"handover.status_{word.status.value}", about=self._about(word))
        if isinstance(word, Note):
            return say("handover.note", what=self._about(word))
        if isinstance(word, Correction):
            return say("handover.correction")
        people = self._situation.people
        if isinstance(word, Swap):
            first, second = (_named(people, [each.add]) for each in word.overrides)
            return say("handover.swap", first=first, second=second)
        if isinstance(word, WayTest | WayConfirmed):
            name = "way_test" if isinstance(word, WayTest) else "way_confirmed"
            return say(f"handover.{name}", name=_named(people, [word.person]))
        return ""

    def _decided(self, word: Decision) -> str:
        state = self._followed.book.get(word.id)
        if state is not None and state.alert.synthetic:
            return ""
        what = word.id
        if state is not None:
            said = Wording(state, self._words.messages, self._now, in_house=self._reads)
            what = self._words.say("handover.on_alert", what=headline(said, self._words))
        to = _named(self._situation.people, [word.to]) if word.to else ""
        return self._words.say(f"handover.{word.kind.value}", what=what, to=to)

    def _about(self, word: Answer | Status | Note) -> str:
        return theme_name(word.theme, self._words) if word.theme else self._words.say("handover.on_story")


def _named(people: People | None, keys: Iterable[str]) -> str:
    return ", ".join(people.name(key) if people is not None else key for key in keys)


def _match(match: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in match.items())


def _why(word: DecisionsRecord) -> str:
    """In the words of who decided it."""
    if isinstance(word, Note | Answer):
        return word.words
    if isinstance(word, Decision) and (word.by == OURSELVES or word.kind in BY_NAME):
        return ""  # words of the program, which are in one language
    why = word.why if isinstance(word, Decision | Silence | Status | Correction | Swap) else ""
    return one_line(why, LONGEST_WHY)
