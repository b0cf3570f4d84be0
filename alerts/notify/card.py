"""The card: an alert as the person who is woken by it reads it.

The first three lines say it all: how bad and what; how much, against what, since when; which incident, and how to
answer. The exercise mark comes before everything else, in text and subject.

A card is made to stay inside or to leave. `in_house=False` makes one that holds no post's text, id or link, no key that
was taken from a post (`SAFE_KEYS` are not), no reason in the rule's words, and times of posts in whole minutes,
because X's ids are times. It is left out here, so that no channel can let it slip.

A field that is missing makes the card incomplete: it goes out with what there is, and `problems` says what to fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from alerts.notify.channels.card import Card
from alerts.notify.channels.text import one_line
from alerts.notify.messages import PLACE, Messages, fill, sparkline
from alerts.notify.recipients import LAST_RESORT, People
from alerts.notify.state import NOTICE, AlertState, Condition, Handling
from alerts.rules.fields import THEMES
from alerts.rules.keys import shown
from listener.model.answers import AnswerGiven, Standing
from listener.model.records import Alert, Gap, Kind, Severity
from listener.units import format_instant

SAFE_KEYS = frozenset(
    {"kind", "kinds", "stance", "source", "lang", "language", "track", "tracks", "reach", "author_class", "origin"}
    | {"incident", *THEMES}
)
"""What a group key may be made of and still leave the site: nothing that anybody wrote."""

SAMPLES = 3
SAMPLE_LENGTH = 200
HEADLINE_LENGTH = 160

Texts = Callable[[Sequence[str]], Mapping[str, str]]
"""Keys of posts → the texts that are still kept of them. Called when a card is sent or shown inside."""


def build(
    state: AlertState,
    people: People,
    messages: Messages,
    *,
    now: datetime,
    in_house: bool,
    step: int = 0,
    may_repeat: bool = False,
    texts: Texts | None = None,
    also: Sequence[Alert] = (),
) -> Card:
    """One card for one send. `also`: alerts of other incidents that it covers too.

    Does not raise over what an alert lacks, nor when `texts` fails.
    """
    writer = _Writer(state, people, messages, now, in_house, step, may_repeat, texts, tuple(also))
    return writer.notice() if state.alert.rule_type == NOTICE else writer.card()


def bare(state: AlertState, *, step: int, may_repeat: bool) -> Card:
    """The card of last resort, when `build` itself fails: that there is an alert, and where to look."""
    alert = state.alert
    marks = [mark for mark, on in (("ØVELSE / EXERCISE", alert.exercise), ("MAY BE A REPEAT", may_repeat)) if on]
    subject = one_line(" · ".join([*marks, f"{alert.severity.value.upper()}: {alert.rule}"]), HEADLINE_LENGTH)
    lines = (subject, f"lyttepost alerts show {alert.id}", f"lyttepost alerts ack {alert.id} --by …")
    fields = {"v": 1, "alert_id": alert.id, "exercise": alert.exercise, "may_repeat": may_repeat, "step": step}
    fields |= {"severity": alert.severity.value, "rule": alert.rule, "subject": subject, "text": "\n".join(lines)}
    return Card(subject, lines, fields, alert.severity is Severity.CRITICAL, ("the whole card",))


@dataclass(frozen=True)
class _Writer:
    state: AlertState
    people: People
    messages: Messages
    now: datetime
    in_house: bool
    step: int
    may_repeat: bool
    texts: Texts | None
    also: tuple[Alert, ...] = ()

    def notice(self) -> Card:
        """That an incident was opened, or closed with its alerts: nothing to answer."""
        alert = self.alert
        what = "incident_opened" if alert.reason == "incident_opened" else "incident_closed"
        closed = self.say(what, incident=self.incident_names, name=alert.key, time=self.time(alert.at))
        marks = [mark for mark in self.marks() if mark != self.messages.passed]
        first = " · ".join([*marks, f"{self.messages.severity[alert.severity]}: {closed}"])
        lines = (first, self.say("alerts_closed", count=alert.count)) if alert.count else (first,)
        fields = self.fields(closed) | {"subject": first, "text": "\n".join(lines)}
        return Card(first, lines, fields, urgent=False)

    @property
    def incident_names(self) -> str:
        names = dict.fromkeys([self.alert.incident_name or "?", *(alert.incident_name for alert in self.also)])
        return ", ".join(names)

    def card(self) -> Card:
        headline, problems = self.headline
        first = " · ".join([*self.marks(), f"{self.messages.severity[self.alert.severity]}: {headline}"])
        lines = [first, self.amount(), self.place(), ""]
        if problems:
            lines.append(self.say("incomplete", fields=", ".join(problems), id=self.alert.id))
        lines += [line for line in (*self.details(), *self.inside()) if line]
        fields = self.fields(headline) | {"subject": first, "text": "\n".join(lines)}
        return Card(first, tuple(lines), fields, self.alert.severity is Severity.CRITICAL, problems)

    @property
    def alert(self) -> Alert:
        return self.state.alert

    @property
    def passed(self) -> bool:
        return self.state.condition is Condition.RESOLVED

    def say(self, message: str, /, **values: object) -> str:
        return self.messages.say(message, **values)

    def time(self, at: datetime) -> str:
        return self.messages.time(at, self.now)

    def posted(self, at: datetime) -> datetime:
        return at if self.in_house else at.replace(second=0, microsecond=0)

    def marks(self) -> Iterable[str]:
        if self.alert.exercise:
            yield self.messages.exercise
        if self.passed:
            yield self.messages.passed
        if self.may_repeat:
            yield self.messages.may_repeat
        if self.step:
            yield self.say("reminder", step=self.step)

    # --- the first three lines ---------------------------------------------------------------------------------

    @cached_property
    def headline(self) -> tuple[str, tuple[str, ...]]:
        """The rule's headline in our language, and what the card lacks."""
        alert = self.alert
        problems = [name for name in ("rule", "incident_name") if not getattr(alert, name).strip()]
        template = alert.headline.get(self.messages.language, "")
        if not template.strip():
            problems.append(f"headline.{self.messages.language}")
            template = next((text for text in alert.headline.values() if text.strip()), "")
        text = one_line(fill(template, self.known()), HEADLINE_LENGTH)
        if PLACE.search(template) and PLACE.search(text):
            problems.append("headline: an unknown name in braces")
        if not text or PLACE.search(text) or (not self.may_show_key and _names_key(text, alert)):
            text = self.say("headline_missing", rule=alert.rule or "?")
        return text, tuple(problems)

    def known(self) -> Mapping[str, str]:
        """What a headline's braces may ask for."""
        alert = self.alert
        values: dict[str, object | None] = {
            "key": self.key,
            "count": alert.count,
            "baseline": None if alert.baseline is None else self.messages.number(alert.baseline),
            "timeframe": self.timeframe,
            "incident": alert.incident_name,
            "rule": alert.rule,
            "authors": alert.authors,
            "posts": alert.posts,
            "reposts": alert.reposts,
        }
        return {name: "?" if value is None else one_line(str(value)) for name, value in values.items()}

    @property
    def may_show_key(self) -> bool:
        alert = self.alert
        return self.in_house or not alert.key or (bool(alert.key_fields) and SAFE_KEYS.issuperset(alert.key_fields))

    @property
    def key(self) -> str:
        """The group key in words that may be shown here."""
        alert = self.alert
        if not self.may_show_key:
            return self.messages.one_topic
        if alert.key in set(Kind) and set(alert.key_fields) <= {"kind", "kinds"}:
            return self.messages.kind[Kind(alert.key)][1]
        if THEMES.issuperset(alert.key_fields):
            return self.messages.themes.get(alert.key, alert.key)
        return shown(alert.key, alert.key_fields) or self.messages.one_topic

    @property
    def timeframe(self) -> str | None:
        seconds = self.alert.timeframe_seconds
        return None if seconds is None else self.messages.duration(timedelta(seconds=seconds))

    def amount(self) -> str:
        alert = self.alert
        name = "count" if self.timeframe is None else "count_timeframe"
        text = self.say(name, count=alert.count, timeframe=self.timeframe)
        if alert.baseline is not None:
            text += " " + self.say("against", baseline=self.messages.number(alert.baseline))
        return f"{text} · {self.say('first_seen', time=self.time(self.posted(alert.first_seen)))}"

    def place(self) -> str:
        alert, handled = self.alert, self.state.handled
        calm = alert.incident == "calm"
        where = self.messages.mode_calm if calm else self.say("mode_crisis", incident=self.incident_names)
        if handled is None or self.state.handling is Handling.OPEN:
            return f"{where} · {self.say('acknowledge', id=alert.id)}"
        return f"{where} · {self.say(self.state.handling.value, name=handled.by, time=self.time(handled.at))}"

    # --- the rest ----------------------------------------------------------------------------------------------

    def details(self) -> Iterable[str]:
        alert, resolved = self.alert, self.state.resolved
        if command := alert.command.get(self.messages.language):
            yield self.say("command", command=command)
        if resolved is not None and self.state.handling is Handling.OPEN:
            yield self.say("has_passed", time=self.time(resolved.at))
        yield self.answer()
        if alert.heard_late and alert.posted_at and alert.found_at:
            posted, found = self.time(self.posted(alert.posted_at)), self.time(alert.found_at)
            yield self.say("heard_late", posted=posted, found=found)
        if len(alert.spark) > 1:
            yield self.say("spark", spark=sparkline(alert.spark))
        yield self.crowd()
        if alert.kinds:
            counted = sorted(alert.kinds.items(), key=lambda item: -item[1])
            words = (self.messages.kinds_counted(kind, count) for kind, count in counted)
            yield self.say("kinds", kinds=", ".join(words))
        if alert.key and self.may_show_key:
            yield self.say("about", key=self.key)
        gaps = "; ".join(self.gap(gap) for gap in alert.gaps)
        yield self.say("gaps", gaps=gaps) if gaps else self.messages.no_gaps
        yield self.say("tiltakskort", link=alert.tiltakskort) if alert.tiltakskort else self.messages.no_tiltakskort
        people = "; ".join(self.notified())
        yield self.say("told", people=people) if people else self.messages.told_nobody
        if self.state.handling is Handling.OPEN:
            yield self.messages.not_acknowledged
        if self.people.board_url:
            yield self.say("board", link=self.people.board_url)
        yield self.say("rule", rule=alert.rule or "?", id=alert.id)

    def answer(self) -> str:
        """What people had answered to it; in their own words inside."""
        given = self.given
        if given is None:
            return ""
        said = {"name": given.by, "time": self.time(given.at)}
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
        return (self.state.resolved and self.state.resolved.answer) or self.alert.answer

    def crowd(self) -> str:
        alert = self.alert
        name = "people_unknown" if alert.authors is None else "people"
        return self.say(name, authors=alert.authors, posts=alert.posts, reposts=alert.reposts)

    def gap(self, gap: Gap) -> str:
        if gap.end is None:
            return self.say("gap_lasts", source=gap.source, start=self.time(gap.start))
        return self.say("gap", source=gap.source, start=self.time(gap.start), end=self.time(gap.end))

    def notified(self) -> Iterable[str]:
        own = self.people.own(self.alert.to, self.now)
        for (channel, target), status in self.state.deliveries.items():
            # The console of last resort is nobody, unless somebody gave it as theirs.
            last_resort = (channel, target) == LAST_RESORT[1:] and LAST_RESORT[1:] not in own
            if status.last_sent is not None and not last_resort:
                name = self.people.name_of(channel, target)
                yield self.say("told_one", name=name, channel=channel, time=self.time(status.last_sent))

    def inside(self) -> Iterable[str]:
        """What must not leave the site."""
        if not self.in_house:
            return
        yield self.say("reason", reason=self.messages.reason_of(self.alert.reason))
        keys = [sample.key for sample in self.alert.samples[:SAMPLES]]
        kept = self.joined(keys)
        for key in keys:
            if key in kept:
                yield self.say("sample", text=one_line(kept[key], SAMPLE_LENGTH), key=key)
            elif self.texts is not None:
                yield self.say("sample_gone", key=key)

    def answer_fields(self) -> dict[str, Any] | None:
        """The same for machines."""
        given = self.given
        if given is None:
            return None
        said = {"at": _stamp(given.at), "by": given.by, "standing": given.standing.value}
        return said | {"verdict": None if given.verdict is None else given.verdict.value}

    def joined(self, keys: Sequence[str]) -> Mapping[str, str]:
        if self.texts is None or not keys:
            return {}
        try:
            return self.texts(keys)
        except Exception:  # An alert is not lost because its posts could not be read.
            return {}

    def fields(self, headline: str) -> dict[str, Any]:
        """For machines; as safe as the text."""
        alert, state = self.alert, self.state
        late = {}
        if alert.heard_late and alert.posted_at and alert.found_at:
            late = {"posted_at": _stamp(self.posted(alert.posted_at)), "found_at": _stamp(alert.found_at)}
        return {
            "v": 1,
            "alert_id": alert.id,
            "exercise": alert.exercise,
            "synthetic": alert.synthetic,
            "may_repeat": self.may_repeat,
            "step": self.step,
            "severity": alert.severity.value,
            "headline": headline,
            "rule": alert.rule,
            "incident": alert.incident,
            "incident_name": alert.incident_name,
            "also": [
                {"alert_id": each.id, "incident": each.incident, "name": each.incident_name} for each in self.also
            ],
            "condition": state.condition.value,
            "handling": state.handling.value,
            "count": alert.count,
            "baseline": alert.baseline,
            "key": alert.key if self.may_show_key else "",
            "timeframe_seconds": alert.timeframe_seconds,
            "authors": alert.authors,
            "posts": alert.posts,
            "reposts": alert.reposts,
            "kinds": {kind.value: count for kind, count in alert.kinds.items()},
            "spark": list(alert.spark),
            "first_seen": _stamp(self.posted(alert.first_seen)),
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


def _names_key(text: str, alert: Alert) -> bool:
    """Whether a headline that was written without braces says the key after all."""
    parts = [alert.key, *re.split(r"[,;|=\"\x1f]+", alert.key)]
    folded = text.casefold()
    return any(part.strip() and part.strip().casefold() in folded for part in parts)


def _stamp(at: datetime) -> str:
    return format_instant(at)
