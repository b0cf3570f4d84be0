"""What is open, who knows, who answered: the fold of `alerts`, `decisions` and `deliveries`.

An alert stands on two axes. *Condition* is the rule's word (firing, resolved), *handling* a person's (open,
acknowledged, closed). Neither moves the other: a condition that has passed still waits for somebody to say so.

The fold is pure and does not mind the order of topics: a decision or delivery read before its alert waits for it.
Suppressed events open nothing, and a second `fired` of a known id, as a replay makes, changes nothing; unless the first
was told early and this one settles it: then its numbers are taken over, and all else stays as it was.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from alerts.notify.pages import PageLog, Place
from alerts.notify.silences import Silences
from listener.bus.protocol import Bus, Record
from listener.bus.scan import scan_records
from listener.errors import Refusal, UsageError
from listener.model.decisions import DECISIONS, DecisionsRecord, Silence
from listener.model.deliveries import DELIVERIES, Delivery, Outcome, Page
from listener.model.receipts import Receipt
from listener.model.records import ALERTS, Alert, BadRecord, Decision, DecisionKind, Event, decode
from listener.model.topics import Topic
from listener.runtime.ops_alerts import OPS
from listener.units import format_instant, from_ms

TOPICS = ("alerts", "decisions", "deliveries")

NOTICE = "notice"
"""The type of what is sent once and waits for nobody's answer: that an incident was closed, with its alerts."""


KEPT, CANARIES_KEPT = timedelta(days=31), timedelta(days=1)
"""So long after it was finished an alert is at hand: longer than its link may be valid, and than notices are sent."""

FORGET_EVERY = timedelta(hours=1)


class Condition(StrEnum):
    """The rule's word."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Handling(StrEnum):
    """A person's word."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    CLOSED = "closed"


_HANDLING = {DecisionKind.ACKNOWLEDGE: Handling.ACKNOWLEDGED, DecisionKind.CLOSE: Handling.CLOSED}
ABOUT_ALERTS = {*_HANDLING, DecisionKind.REOPEN, DecisionKind.RESOLVE, DecisionKind.NOTE, DecisionKind.ASSIGN}
"""The words whose `id` is an alert's."""


@dataclass(frozen=True)
class DeliveryState:
    """How the delivery to one place stands: its newest step, and what matters of the steps before.

    `sent`: the newest step arrived. `failures`: attempts in a row that failed, over all steps. `uncertain`: the newest
    step may have arrived although we do not know it.
    """

    step: int
    attempt: int
    at: datetime
    outcome: Outcome | None = None
    reason: str | None = None
    sent: bool = False
    uncertain: bool = False
    failures: int = 0
    times: int = 0
    last_sent: datetime | None = None

    def apply(self, delivery: Delivery) -> DeliveryState:
        arrived = delivery.outcome is Outcome.SENT
        status = self
        if arrived:
            status = replace(status, failures=0, times=status.times + 1, last_sent=delivery.at)
        elif delivery.outcome is not None:
            status = replace(status, failures=status.failures + 1)
        if delivery.step < self.step or (delivery.step == self.step and delivery.attempt < self.attempt):
            # The late answer of a send that was given up: it counts as sent, and it ends its own step only.
            return replace(status, sent=status.sent or (arrived and delivery.step == self.step))
        return replace(
            status,
            step=delivery.step,
            attempt=delivery.attempt,
            at=delivery.at,
            outcome=delivery.outcome,
            reason=delivery.reason,
            sent=arrived or (self.sent and delivery.step == self.step),
            uncertain=delivery.may_repeat,
        )


@dataclass(frozen=True)
class AlertState:
    """One alert as it stands. `fired_at` and `resolved_at` are the bus's times of these records, of the first that it
    fired. `words`: what people said about it, oldest first; among them that it was opened again because nobody said
    anything."""

    alert: Alert
    fired_at: datetime
    resolved: Alert | None = None
    resolved_at: datetime | None = None
    handling: Handling = Handling.OPEN
    handled: Decision | None = None
    words: tuple[Decision, ...] = ()
    deliveries: Mapping[Place, DeliveryState] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.alert.id

    @property
    def condition(self) -> Condition:
        return Condition.FIRING if self.resolved is None else Condition.RESOLVED

    @property
    def step(self) -> int:
        """The newest step that was sent to anybody or was about to be; -1 before the first."""
        return max((status.step for status in self.deliveries.values()), default=-1)

    def reached(self, places: Collection[Place]) -> bool:
        """Whether a delivery arrived at any of these places, at whatever step."""
        return any(status.times > 0 and place in places for place, status in self.deliveries.items())

    @property
    def notes(self) -> tuple[Decision, ...]:
        return tuple(word for word in self.words if word.kind is DecisionKind.NOTE)

    @property
    def is_open(self) -> bool:
        return self.handling is Handling.OPEN

    @property
    def open_since(self) -> datetime:
        """When it last began to wait for an answer."""
        return next((w.at for w in reversed(self.words) if w.kind is DecisionKind.REOPEN), self.fired_at)

    @property
    def last_word(self) -> datetime | None:
        """When a person last said anything about it."""
        return max((w.at for w in self.words if w.kind is not DecisionKind.REOPEN), default=None)

    def decide(self, decision: Decision) -> AlertState:
        """The state after a word. A second acknowledgement of what is acknowledged changes nothing."""
        if any(word.digest == decision.digest for word in self.words):
            return self
        state = self
        if decision.kind is DecisionKind.REOPEN:
            if self.handling is not Handling.ACKNOWLEDGED:
                return self
            state = replace(self, handling=Handling.OPEN)
        elif decision.kind is DecisionKind.RESOLVE:
            passed = self.alert.model_copy(update={"event": Event.RESOLVED, "at": decision.at})
            state = self if self.resolved else replace(self, resolved=passed, resolved_at=decision.at)
        elif (handling := _HANDLING.get(decision.kind)) is not None:
            later = handling is Handling.CLOSED and self.handling is Handling.ACKNOWLEDGED
            if not (self.handling is Handling.OPEN or later):
                return self
            state = replace(self, handling=handling, handled=decision)
        return replace(state, words=(*state.words, decision))

    def deliver(self, delivery: Delivery) -> AlertState:
        place = (delivery.channel, delivery.target)
        status = self.deliveries.get(place) or DeliveryState(delivery.step, delivery.attempt, delivery.at)
        return replace(self, deliveries={**self.deliveries, place: status.apply(delivery)})

    def as_json(self) -> dict[str, Any]:
        """What `lyttepost alerts --json` prints for it. Ids and numbers, no post's text; times in UTC."""
        alert, handled = self.alert, self.handled
        return {
            "id": alert.id,
            "rule": alert.rule,
            "severity": alert.severity.value,
            "incident": alert.incident,
            "incident_name": alert.incident_name,
            "exercise": alert.exercise,
            "synthetic": alert.synthetic,
            "key": alert.key,
            "count": alert.count,
            "settled": alert.settled is not False,
            "baseline": alert.baseline,
            "condition": self.condition.value,
            "handling": self.handling.value,
            "at": format_instant(alert.at),
            "fired_at": format_instant(self.fired_at),
            "resolved_at": format_instant(self.resolved.at) if self.resolved else None,
            "handled_by": handled.by if handled else None,
            "handled_at": format_instant(handled.at) if handled else None,
            "handled_why": handled.why if handled else None,
            "notes": [{"at": format_instant(n.at), "by": n.by, "text": n.why} for n in self.notes],
            "told": [_status_json(place, status) for place, status in self.deliveries.items()],
        }


def _status_json(place: Place, status: DeliveryState) -> dict[str, Any]:
    return {
        "channel": place[0],
        "target": place[1],
        "step": status.step,
        "times": status.times,
        "last_told": format_instant(status.last_sent) if status.last_sent else None,
        "attempt": status.attempt,
        "outcome": status.outcome.value if status.outcome else "sending",
        "reason": status.reason,
        "may_repeat": status.uncertain,
    }


AlertRecord = Alert | DecisionsRecord | Page | Delivery | Receipt
"""What lies on `TOPICS`."""

_TOPICS: Mapping[str, Topic[Any]] = {topic.name: topic for topic in (ALERTS, DECISIONS, DELIVERIES)}


def read(record: Record) -> AlertRecord | None:
    """What a record of `TOPICS` says; None for one without a value. Raises BadRecord."""
    if record.value is None or record.topic not in _TOPICS:
        return None
    told: AlertRecord = decode(_TOPICS[record.topic], record.value)
    return told


class AlertBook:
    """Every alert that the log still holds. Not for several threads; the states that it gives out never change."""

    def __init__(self) -> None:
        self._states: dict[str, AlertState] = {}
        self._open: dict[str, None] = {}
        self._early: dict[str, list[tuple[Alert | Decision | Delivery, datetime]]] = defaultdict(list)
        self._alike: dict[tuple[object, ...], list[str]] = defaultdict(list)
        self._places: dict[str, list[tuple[object, ...]]] = {}
        """The keys of `_alike` under which each alert stands."""
        self._notices: dict[str, None] = {}
        self._acknowledged: dict[str, None] = {}
        self._covered: dict[str, str] = {}
        self._about_us: dict[str, None] = {}
        self.said: list[tuple[Decision, str]] = []
        """What people said of late, each with the alert it was about. Who has done with one takes it away."""
        self.passed: list[tuple[datetime, str]] = []
        """The alerts that resolved of late, and when. Who has done with one takes it away."""
        self._forgotten: set[str] = set()
        self._forget_at: datetime | None = None
        self.pages = PageLog()
        self.silences = Silences()

    def with_own_pages(self) -> AlertBook:
        """The same alerts with pages of its own, into which those to come may be put: for `foresee`, while this one is
        kept up with the log. It is no book to go on with."""
        other = copy(self)
        other.pages = self.pages.copy()
        return other

    def apply(self, record: Record) -> BadRecord | None:
        """Take in one record of `TOPICS`, each once and in its topic's order. What cannot be read is handed back."""
        try:
            told = read(record)
        except BadRecord as error:
            return error
        if told is not None:
            self.take(told, from_ms(record.time_ms))
        return None

    def take(self, told: AlertRecord, at: datetime) -> None:
        """What a record says, as `read` gives it. `at`: the bus's time."""
        if isinstance(told, Alert):
            if told.event is Event.FIRED:
                self.fire(told, at)
            elif told.event is Event.RESOLVED:
                self._add(told.id, told, at)
        elif isinstance(told, Decision):
            self.take_decision(told)
        elif isinstance(told, Silence):
            self.silences.take(told)
        elif isinstance(told, Page):
            self.pages.take_page(told)
        elif isinstance(told, Receipt):
            self.pages.take_receipt(told)
        elif isinstance(told, Delivery):
            self.pages.take_delivery(told)
            for id_ in told.alerts or (told.alert,):
                self._add(id_, told, told.at)

    def take_decision(self, decision: Decision) -> None:
        """A decision that may be known already: twice is once."""
        if decision.kind is DecisionKind.UNSILENCE:
            self.silences.end(decision)
        self._add(decision.id, decision, decision.at)

    def open(self) -> list[AlertState]:
        """The alerts that no person has acknowledged, oldest first."""
        return [self._states[id_] for id_ in self._open]

    def all(self) -> list[AlertState]:
        """Oldest first. Notices are no alerts."""
        return [state for state in self._states.values() if state.alert.rule_type != NOTICE]

    def acknowledged(self) -> list[AlertState]:
        """Those that somebody has, oldest first."""
        return [self._states[id_] for id_ in self._acknowledged]

    def covering(self, id_: str) -> AlertState | None:
        """The alert that stands for this one, if there is one."""
        return self._states.get(self._covered.get(id_, ""))

    def about_ourselves(self) -> list[AlertState]:
        """Those about ourselves that fire, oldest first, whatever people said of them."""
        return [self._states[id_] for id_ in self._about_us]

    def notices(self) -> list[AlertState]:
        """Oldest first."""
        return [self._states[id_] for id_ in self._notices]

    def alike(self, state: AlertState) -> list[AlertState]:
        """The alerts of all incidents with this one's rule, key, route and exercise mark that rest on one of its posts.
        Found by the posts: in a storm thousands are alike in all the rest."""
        places = self._places.get(state.id) if self._states.get(state.id) is state else None
        if places is None:
            places = _likenesses(state.alert)
        ids = (id_ for place in places for id_ in self._alike.get(place, ()))
        return [self._states[id_] for id_ in dict.fromkeys(ids)]

    def closed_with(self, notice: AlertState) -> list[AlertState]:
        """The alerts that were closed with the notice's incidents."""
        return [
            state
            for state in self._states.values()
            if state.handling is Handling.CLOSED
            and state.alert.incident in notice.alert.key_fields
            and state.fired_at <= notice.alert.at
        ]

    def get(self, id_: str) -> AlertState | None:
        return self._states.get(id_)

    def find(self, prefix: str) -> AlertState:
        """By id, or by the beginning of one. Raises UsageError when none or several fit."""
        if prefix in self._states:
            return self._states[prefix]
        fits = [id_ for id_ in self._states if prefix and id_.startswith(prefix)]
        if not fits:
            raise UsageError(
                f"no alert begins with {prefix!r}; `lyttepost alerts` lists them", refusal=Refusal.NO_ALERT
            )
        if len(fits) > 1:
            problem = f"{prefix!r} fits {len(fits)} alerts ({', '.join(fits[:4])}); write more of the id"
            raise UsageError(problem, refusal=Refusal.SEVERAL, text=prefix)
        return self._states[fits[0]]

    def fire(self, alert: Alert, at: datetime) -> None:
        """An alert that may be known already: twice is once, but what was told early is settled. `at`: bus time."""
        if alert.id in self._forgotten:
            return
        known = self._states.get(alert.id)
        if known is not None:
            if known.alert.settled is False and alert.settled:
                self._unlike(known.alert)
                self._like(alert)
                self._set(replace(known, alert=alert))
            return
        self._set(AlertState(alert, at))
        self._covered |= dict.fromkeys(alert.covers, alert.id)
        self._like(alert)
        for word, time in self._early.pop(alert.id, ()):
            self._add(alert.id, word, time)

    def forget(self, now: datetime) -> None:
        """Each hour at most, drop what has long been finished, with its pages: a process that runs for months needs
        room for what is open. That an id was there is remembered. The log keeps everything, and `alerts show` reads it.

        What is said of ourselves and of incidents stays: by it one sees that it was said.
        """
        if self._forget_at is not None and now < self._forget_at:
            return
        self._forget_at = now + FORGET_EVERY
        gone = self.pages.not_needed({id_ for id_, state in self._states.items() if _is_past(state, now)})
        for id_ in gone:
            alert = self._states.pop(id_).alert
            self._acknowledged.pop(id_, None)
            for covered in alert.covers:
                self._covered.pop(covered, None)
            self._unlike(alert)
        self._forgotten |= gone
        before = now - CANARIES_KEPT
        for id_, words in list(self._early.items()):
            self._early[id_] = [(word, at) for word, at in words if at >= before]
            if not self._early[id_]:
                del self._early[id_]
        self.pages.forget(gone, now - CANARIES_KEPT)

    def _add(self, id_: str, word: Alert | Decision | Delivery, at: datetime) -> None:
        if id_ in self._forgotten:
            return
        state = self._states.get(id_)
        if isinstance(word, Decision) and word.kind not in ABOUT_ALERTS:
            return
        if state is None:
            self._early[id_].append((word, at))
        elif isinstance(word, Delivery):
            self._set(state.deliver(word))
        else:
            if isinstance(word, Decision):
                after = state.decide(word)
                if after is not state:
                    self.said.append((word, id_))
            else:
                after = state if state.resolved else replace(state, resolved=word, resolved_at=at)
            if after.resolved_at is not None and state.resolved_at is None:
                self.passed.append((after.resolved_at, id_))
            self._set(after)

    def _like(self, alert: Alert) -> None:
        self._places[alert.id] = places = _likenesses(alert)
        for place in places:
            self._alike[place].append(alert.id)

    def _unlike(self, alert: Alert) -> None:
        for place in self._places.pop(alert.id, ()):
            alike = [other for other in self._alike.pop(place, ()) if other != alert.id]
            if alike:
                self._alike[place] = alike

    def _set(self, state: AlertState) -> None:
        self._states[state.id] = state
        if state.alert.rule_type == NOTICE:
            self._notices.setdefault(state.id)
            return
        if state.alert.rule_type == OPS and state.condition is Condition.FIRING:
            self._about_us.setdefault(state.id)
        else:
            self._about_us.pop(state.id, None)
        for handling, ids in ((Handling.OPEN, self._open), (Handling.ACKNOWLEDGED, self._acknowledged)):
            if state.handling is handling:
                ids.setdefault(state.id)
            else:
                ids.pop(state.id, None)


def _is_past(state: AlertState, now: datetime) -> bool:
    """Whether it was finished so long ago that nothing follows from it any more."""
    alert = state.alert
    if alert.rule_type in (NOTICE, OPS) or state.is_open:
        return False
    if state.handling is Handling.ACKNOWLEDGED and state.resolved_at is None:
        return False
    last = max(filter(None, (state.fired_at, state.resolved_at, state.last_word)))
    return now - last > (CANARIES_KEPT if alert.synthetic else KEPT)


def _likenesses(alert: Alert) -> list[tuple[object, ...]]:
    """One for each post that it rests on."""
    rest = alert.rule, alert.key, alert.key_fields, alert.to, alert.exercise, alert.synthetic
    return [(sample.digest, *rest) for sample in alert.samples]


def read_book(bus: Bus) -> AlertBook:
    """All alerts as they stand now. Unreadable records are passed over: the dispatcher reports them."""
    book = AlertBook()
    for record in scan_records(bus, TOPICS):
        book.apply(record)
    return book
