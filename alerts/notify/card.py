"""The card: an alert, or several, as the person who is woken by it reads it.

The first line is the subject: which incident, what, how many, and how it develops. The next two say how bad, how much,
since when, and how to answer. Then: what to do, what we do not know, who was called. The exercise mark comes before
everything else, in every form.

A card is made to stay inside or to leave. `in_house=False` makes one that holds no post's text, id or link, no key that
was taken from a post (`SAFE_KEYS` are not), no reason in the rule's words, nobody's note, and times of posts in whole
minutes. It is left out here, so that no channel can let it slip.

A field that is missing makes the card incomplete: it goes out with what there is, and `problems` says what to fix.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from alerts.notify.channels.card import Card
from alerts.notify.channels.text import one_line
from alerts.notify.html import as_html
from alerts.notify.layout import HowToAnswer, Layout, Line, Section, graph_line, line, texts
from alerts.notify.messages import Messages
from alerts.notify.notices import of_incident
from alerts.notify.recipients import LAST_RESORT, People
from alerts.notify.state import NOTICE, AlertState, Handling
from alerts.notify.subject import LONGEST_FOR_SMS, first_line, plain
from alerts.notify.wording import SAFE_KEYS, Wording
from listener.model.answers import AnswerGiven, Standing
from listener.model.codec import LONGEST_NAME
from listener.model.records import Alert, DecisionKind, Severity
from listener.runtime.ops_alerts import OPS
from listener.units import format_instant

__all__ = ["SAFE_KEYS", "Called", "Texts", "bare", "build"]

SAMPLES = 3
SAMPLE_LENGTH = 200
STORY_LENGTH = 60
HEADLINE_LENGTH = 160
MEMBERS = 10
"""Alerts that are listed under the first one; of the others it is said how many there are."""
MARKS = ("exercise", "digest", "passed", "may_repeat")
"""What stands before everything else, in this order."""

_MINUTE, _SECOND = timedelta(minutes=1), timedelta(seconds=1)

Texts = Callable[[Sequence[str]], Mapping[str, str | None]]
"""Keys of posts → the texts that are still kept of them; None: it is withheld, and with it the key, by which the post
is found. Called when a card is sent or shown inside."""


class Called(NamedTuple):
    """Somebody who was called before: by name, on which channel, and when; None while it is under way."""

    name: str
    channel: str
    at: datetime | None = None


def build(
    states: AlertState | Sequence[AlertState],
    people: People,
    messages: Messages,
    *,
    now: datetime,
    in_house: bool,
    step: int = 0,
    may_repeat: bool = False,
    texts: Texts | None = None,
    also: Sequence[Alert] = (),
    covered: Sequence[AlertState] = (),
    marks: Collection[str] = (),
    code: str | None = None,
    link: str | None = None,
    called: Sequence[Called] = (),
    why: str = "",
) -> Card:
    """One card for one send, of one alert or of all that its answer covers: the gravest and newest leads.

    `also`: alerts of other incidents that it covers too. `covered`: alerts that were held back, for which these stand.
    `marks`: some of MARKS, beside those that follow from the alerts. `code`, `link`: by which the person may answer.
    `called`: who was called before; else it is taken from the first alert's deliveries. `why`: a text of `why` in the
    messages that says why this person gets it now.

    Does not raise over what an alert lacks, nor when `texts` fails.
    """
    ordered = _ordered((states,) if isinstance(states, AlertState) else states)
    if len(ordered) == 1 and ordered[0].alert.rule_type == NOTICE:
        return of_incident(ordered[0].alert, messages, now=now, board_url=people.board_url, may_repeat=may_repeat)
    chosen = frozenset(marks) | ({"may_repeat"} if may_repeat else frozenset())
    answer = HowToAnswer(code, link, messages.say("answer_command", id=ordered[0].id))
    return _Writer(
        ordered, people, messages, now, in_house, step, chosen, answer, texts, tuple(also), tuple(called), why,
        tuple(covered),
    ).card()  # fmt: skip


def layout(
    states: Sequence[AlertState],
    people: People,
    messages: Messages,
    *,
    now: datetime,
    called: Sequence[Called] = (),
    in_house: bool = False,
    texts: Texts | None = None,
    covered: Sequence[AlertState] = (),
) -> Layout:
    """The same in its parts and without a way to answer: for the page that a link opens, and with `in_house` for the
    board's."""
    how = frozenset[str](), HowToAnswer(), texts, ()
    return _Writer(
        _ordered(states), people, messages, now, in_house, 0, *how, tuple(called), "", tuple(covered)
    ).layout()


def _ordered(states: Iterable[AlertState]) -> tuple[AlertState, ...]:
    """The gravest and newest first, exercises last."""
    return tuple(sorted(states, key=lambda s: (s.alert.exercise, s.alert.severity.rank, -s.alert.at.timestamp())))


def bare(state: AlertState, *, step: int, may_repeat: bool) -> Card:
    """The card of last resort, when `build` itself fails: that there is an alert, and where to look."""
    alert = state.alert
    marks = [mark for mark, on in (("ØVELSE / EXERCISE", alert.exercise), ("MAY BE A REPEAT", may_repeat)) if on]
    subject = one_line(" · ".join([*marks, f"{alert.severity.value.upper()}: {alert.rule}"]), HEADLINE_LENGTH)
    lines = (subject, f"lyttepost alerts show {alert.id}", f"lyttepost alerts ack {alert.id} --by …")
    fields = {"v": 1, "alert_id": alert.id, "exercise": alert.exercise, "may_repeat": may_repeat, "step": step}
    fields |= {"severity": alert.severity.value, "rule": alert.rule, "subject": subject, "text": "\n".join(lines)}
    return Card(
        subject, lines, fields, alert.severity is Severity.CRITICAL, ("the whole card",), short=plain(". ".join(lines))
    )


@dataclass(frozen=True)
class _Writer:
    states: tuple[AlertState, ...]
    people: People
    messages: Messages
    now: datetime
    in_house: bool
    step: int
    chosen: frozenset[str]
    answer: HowToAnswer
    texts: Texts | None
    also: tuple[Alert, ...]
    called: tuple[Called, ...]
    why: str
    covered: tuple[AlertState, ...] = ()

    def card(self) -> Card:
        page = self.layout()
        lines = page.lines()
        fields = self.fields() | {"subject": page.subject, "text": "\n".join(lines), "short": page.as_short()}
        problems = self.said.headline[1]
        urgent = any(state.alert.severity is Severity.CRITICAL for state in self.states)
        return Card(page.subject, lines, fields, urgent, problems, page.as_short(), as_html(page))

    def layout(self) -> Layout:
        messages, alert = self.messages, self.alert
        headline, marks, trends = self.said.headline[0], self.marks(), self.said.trends()
        more = self.say("more_below", count=len(self.others)) if self.others else ""
        subject = first_line(marks, self.incident, headline, trends, more)
        for_sms = self.said.trends(arrows=False)
        severity = messages.severity[alert.severity]
        return Layout(
            messages=messages,
            subject=subject,
            said=", ".join(filter(None, [headline, *trends[:1], more])),
            marks=tuple(marks),
            level=alert.severity,
            severity=severity,
            amount=" · ".join(filter(None, [messages.unanswered if self.unanswered else "", self.said.amount()])),
            place=" · ".join(filter(None, [self.place(), self.said.handled()])),
            notes=tuple(self.notes()),
            headline="" if headline in subject else headline,
            answer=self.answer if self.open else HowToAnswer(),
            sections=tuple(section for section in self.sections() if section.lines),
            footer=tuple(self.footer()),
            graph=self.said.graph(),
            short_head=first_line(marks, self.incident, headline, for_sms, more, longest=LONGEST_FOR_SMS),
            short=tuple(self.for_sms(severity)),
        )

    @cached_property
    def said(self) -> Wording:
        return self.wording(self.states[0])

    @cached_property
    def others(self) -> list[Wording]:
        return [self.wording(state) for state in self.states[1:]]

    def wording(self, state: AlertState) -> Wording:
        return Wording(state, self.messages, self.now, self.in_house)

    @property
    def alert(self) -> Alert:
        return self.states[0].alert

    @property
    def open(self) -> bool:
        return any(state.handling is Handling.OPEN for state in self.states)

    @property
    def unanswered(self) -> bool:
        return self.step > 0 and self.open

    def say(self, message: str, /, **values: object) -> str:
        return self.messages.say(message, **values)

    def marks(self) -> list[str]:
        chosen = set(self.chosen)
        chosen |= {"exercise"} if all(state.alert.exercise for state in self.states) else set()
        chosen |= {"passed"} if all(self.wording(state).passed for state in self.states) else set()
        return [getattr(self.messages, mark) for mark in MARKS if mark in chosen]

    # --- the first lines ---------------------------------------------------------------------------------------

    @property
    def incidents(self) -> list[str]:
        alerts = [*(state.alert for state in self.states), *self.also]
        return list(dict.fromkeys(one_line(alert.incident_name, LONGEST_NAME) or "?" for alert in alerts))

    @property
    def incident(self) -> str:
        """For the subject: the first, and how many more."""
        first, *more = self.incidents
        return f"{first} +{len(more)}" if more else first

    def place(self) -> str:
        """The mode in which the incident is; nothing of what is said about ourselves, which tells no mode."""
        if all(state.alert.rule_type == OPS and state.alert.incident == "calm" for state in self.states):
            return ""
        if all(state.alert.incident == "calm" for state in self.states) and not self.also:
            return self.messages.mode_calm
        return self.say("mode_crisis", incident=", ".join(self.incidents))

    def notes(self) -> Iterable[str]:
        """Why this person gets it now, what is wrong with the card, and how much an answer covers."""
        if self.why:
            yield self.because()
        if problems := self.said.headline[1]:
            yield self.say("incomplete", fields=", ".join(problems), id=self.alert.id)
        if len(self.states) > 1 and self.open:
            yield self.say("covers", alerts=self.messages.number_of("alert", len(self.states)))

    def because(self) -> str:
        state = self.states[0]
        words = [word for word in (state.handled, *state.notes) if word is not None]
        last = max(words, key=lambda word: word.at, default=None)
        if self.why == "unacknowledged" and last is not None:
            since = self.now - last.at
            unit = _MINUTE if since >= _MINUTE else _SECOND
            length = self.messages.duration(since // unit * unit)
            return self.messages.because(self.why, name=last.by, time=self.said.time(last.at), length=length)
        asked = next((word for word in reversed(state.words) if word.kind is DecisionKind.ASSIGN), None)
        if self.why == "assigned" and asked is not None:
            said = self.messages.because(self.why, name=asked.by)
            # A reason is the team's own words, and stays inside.
            return f"{said} {one_line(asked.why, SAMPLE_LENGTH)}".strip() if self.in_house else said
        return self.messages.because(self.why if self.why != "unacknowledged" else "step", count=len(self.states))

    def for_sms(self, severity: str) -> Iterable[str]:
        yield f"{severity} {self.said.time(self.alert.at)}"
        if self.why:
            yield self.because()
        elif self.unanswered:
            yield self.messages.because("step")
        if self.alert.tiltakskort:
            yield self.say("tiltakskort", link=self.alert.tiltakskort)
        if self.said.gaps():
            yield self.messages.not_all_heard

    # --- the rest ----------------------------------------------------------------------------------------------

    def sections(self) -> Iterable[Section]:
        yield Section("", texts(self.members()))
        yield Section(self.messages.what_to_do, tuple(self.to_do()))
        yield Section("", tuple(self.details()))
        yield Section(self.messages.what_we_do_not_know, tuple(self.unknown()))
        yield Section(self.messages.who_was_called, tuple(self.notified()))
        yield Section("", tuple(self.inside()) if self.in_house else ())

    def members(self) -> Iterable[str]:
        mixed = len({state.alert.exercise for state in self.states}) > 1
        listed = [*self.others, *map(self.wording, self.covered)]
        yield from (said.member(marked=mixed) for said in listed[:MEMBERS])
        if len(listed) > MEMBERS:
            yield self.say("more_below", count=len(listed) - MEMBERS)

    def line(self, message: str, /, url: str = "", **values: object) -> Line:
        return line(self.messages, message, url, **values)

    def to_do(self) -> Iterable[Line]:
        alert = self.alert
        if command := alert.command.get(self.messages.language):
            yield self.line("command", command=command)
        if alert.tiltakskort:
            yield self.line("tiltakskort", alert.tiltakskort, link=alert.tiltakskort)
        if self.people.board_url:
            yield self.line("board", self.people.board_url, link=self.people.board_url)

    def details(self) -> Iterable[Line]:
        alert, resolved, said = self.alert, self.states[0].resolved, self.said
        if resolved is not None and self.states[0].handling is Handling.OPEN:
            yield Line(self.say("has_passed", time=said.time(resolved.at)))
        yield from texts([self.answer_given()])
        if (graph := said.graph()) is not None:
            yield graph_line(self.messages, graph)
        if alert.posts:
            yield self.crowd()
        if alert.kinds:
            counted = sorted(alert.kinds.items(), key=lambda item: -item[1])
            words = (self.messages.kinds_counted(kind, count) for kind, count in counted)
            yield self.line("kinds", kinds=", ".join(words))
        if len(alert.themes) > 1 or (said.theme is not None and said.theme not in said.headline[0]):
            yield self.line("themes_counted", themes=", ".join(said.themes_counted()))
        about = self.about()
        if about and about.casefold() not in said.headline[0].casefold():
            yield self.line("about", key=about)

    def about(self) -> str:
        """The group key. A story's is a number: inside it is told by its first words, outside not at all."""
        alert = self.alert
        if "story" in alert.key_fields:
            kept = self.joined([sample.key for sample in alert.samples[:1]]) if self.in_house else {}
            return next((f"«{one_line(text, STORY_LENGTH)}»" for text in kept.values() if text), "")
        return self.said.key if alert.key and self.said.may_show_key else ""

    def crowd(self) -> Line:
        alert = self.alert
        units = (("sender", alert.authors), ("post", alert.posts), ("repost", alert.reposts))
        counted = self.said.least(", ".join(self.messages.number_of(unit, count) for unit, count in units if count))
        return self.line("people_unknown" if alert.authors is None else "people", counted=counted)

    def unknown(self) -> Iterable[Line]:
        alert, said = self.alert, self.said
        if alert.rule_type == OPS:
            return
        gaps = said.gaps()
        yield self.line("gaps", gaps=gaps) if gaps else self.labelled("no_gaps")
        if alert.heard_late and alert.posted_at and alert.found_at:
            posted, found = said.time(said.posted(alert.posted_at)), said.time(alert.found_at)
            yield self.line("heard_late", posted=posted, found=found)

    def labelled(self, message: str) -> Line:
        return line(self.messages, message)

    def notified(self) -> Iterable[Line]:
        told = "; ".join(self.told())
        yield self.line("told", people=told) if told else Line(self.messages.told_nobody)
        if self.states[0].handling is Handling.OPEN and not self.said.handled():
            yield Line(self.messages.not_acknowledged)

    def told(self) -> Iterable[str]:
        for each in self.called or self.delivered():
            time = self.said.time(each.at) if each.at is not None else ""
            yield self.say("told_one", name=each.name, channel=self.messages.channel(each.channel), time=time).strip()

    def delivered(self) -> Iterable[Called]:
        own = self.people.own(self.alert.to, self.now)
        for (channel, target), status in self.states[0].deliveries.items():
            # The console of last resort is nobody, unless somebody gave it as theirs.
            last_resort = (channel, target) == LAST_RESORT[1:] and LAST_RESORT[1:] not in own
            if status.last_sent is not None and not last_resort:
                yield Called(self.people.name_of(channel, target), channel, status.last_sent)

    def footer(self) -> Iterable[Line]:
        yield Line(self.say("rule", rule=self.alert.rule or "?", id=self.alert.id))
        if not self.in_house:
            yield self.line("times", zone=self.messages.zone_shown(self.now))

    def answer_given(self) -> str:
        """What people had answered to it; in their own words inside."""
        given = self.given
        if given is None:
            return ""
        said = {"name": given.by, "time": self.said.time(given.at)}
        if given.standing is Standing.DISMISSED:
            text = self.say("dismissed", **said)
        elif given.verdict is None:
            text = self.say("answered_elsewhere", **said)
        else:
            text = self.say("answered", **said, verdict=self.messages.verdict[given.verdict])
        words = " ".join(filter(None, (given.words, given.link))) if self.in_house else ""
        return f"{text} – {one_line(words, SAMPLE_LENGTH)}" if words else text

    @property
    def given(self) -> AnswerGiven | None:
        """As it was when the condition passed, or else when the alert fired."""
        return (self.states[0].resolved and self.states[0].resolved.answer) or self.alert.answer

    def inside(self) -> Iterable[Line]:
        """What must not leave the site."""
        alert = self.alert
        yield self.line("reason", reason=self.messages.reason_of(alert.reason))
        for note in self.states[0].notes:
            words = {"name": note.by, "time": self.said.time(note.at), "text": one_line(note.why, SAMPLE_LENGTH)}
            yield Line(self.say("note", **words))
        keys = [sample.key for sample in alert.samples[:SAMPLES]]
        kept = self.joined(keys)
        for key in keys:
            if key not in kept:
                if self.texts is not None:
                    yield Line(self.say("sample_gone", key=key))
            elif (text := kept[key]) is None:
                yield Line(self.messages.on_page("sample_withheld"))
            else:
                yield Line(self.say("sample", text=one_line(text, SAMPLE_LENGTH), key=key))

    def joined(self, keys: Sequence[str]) -> Mapping[str, str | None]:
        if self.texts is None or not keys:
            return {}
        try:
            return self.texts(keys)
        except Exception:  # An alert is not lost because its posts could not be read.
            return {}

    # --- for machines ------------------------------------------------------------------------------------------

    def answer_fields(self) -> dict[str, Any] | None:
        given = self.given
        if given is None:
            return None
        said = {"at": _stamp(given.at), "by": given.by, "standing": given.standing.value}
        return said | {"verdict": None if given.verdict is None else given.verdict.value}

    def fields(self) -> dict[str, Any]:
        """For machines; as safe as the text."""
        alert, state = self.alert, self.states[0]
        late = {}
        if alert.heard_late and alert.posted_at and alert.found_at:
            late = {"posted_at": _stamp(self.said.posted(alert.posted_at)), "found_at": _stamp(alert.found_at)}
        return {
            "v": 1,
            "alert_id": alert.id,
            "alerts": [_member_fields(said) for said in (self.said, *self.others)],
            "marks": sorted(self.chosen),
            "reply_code": self.answer.code,
            "reply_link": self.answer.link,
            "exercise": alert.exercise,
            "synthetic": alert.synthetic,
            "may_repeat": "may_repeat" in self.chosen,
            "step": self.step,
            "severity": alert.severity.value,
            "headline": self.said.headline[0],
            "rule": alert.rule,
            "incident": alert.incident,
            "incident_name": one_line(alert.incident_name),
            "also": [
                {"alert_id": each.id, "incident": each.incident, "name": one_line(each.incident_name)}
                for each in self.also
            ],
            "condition": state.condition.value,
            "handling": state.handling.value,
            "count": alert.count,
            "settled": alert.settled is not False,
            "baseline": alert.baseline,
            "key": alert.key if self.said.may_show_key else "",
            "timeframe_seconds": alert.timeframe_seconds,
            "authors": alert.authors,
            "posts": alert.posts,
            "reposts": alert.reposts,
            "kinds": {kind.value: count for kind, count in alert.kinds.items()},
            "themes": dict(alert.themes),
            "spark": list(alert.spark),
            "first_seen": _stamp(self.said.posted(alert.first_seen)),
            "heard_late": alert.heard_late,
            **late,
            "gaps": [
                {"source": g.source, "from": _stamp(g.start), "to": _stamp(g.end) if g.end else None}
                for g in alert.gaps
            ],
            "answer": self.answer_fields(),
            "command": alert.command.get(self.messages.language),
            "tiltakskort": alert.tiltakskort,
            "board_url": self.people.board_url,
        }


def _member_fields(said: Wording) -> dict[str, Any]:
    alert = said.alert
    return {
        "alert_id": alert.id,
        "severity": alert.severity.value,
        "headline": said.headline[0],
        "incident": alert.incident,
        "exercise": alert.exercise,
        "condition": said.state.condition.value,
        "at": _stamp(alert.at),
    }


def _stamp(at: datetime) -> str:
    return format_instant(at)
