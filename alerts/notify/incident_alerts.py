"""What the crisis team is told of the incidents themselves: that one was opened or closed, how it stands, and that a
review is due.

All of it is worked out from `control`, the book and the time. Each has an id made of what it is about, so that it is
published once, however often the dispatcher begins anew:

- **Opened, closed**: one notice for each, to the route `crisis_team`. That of a closing goes to everybody who was sent
  an alert of it as well (`AlertBook.closed_with`); who is both has it once.
- **Situation report**: a notice at each slot, where the settings say so; see `alerts.notify.reports`.
- **Review**: an alert when `review_at` has come, and a new one every `review_after` from then on. After a downtime only
  the newest is due. It ends when somebody has looked (`mode review`, or a change of the incident once the review is
  due), when the incident is closed, and when the next one takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from alerts.notify import reports
from alerts.notify.duplicates import Answer, closing, why_closed
from alerts.notify.recipients import CRISIS_TEAM
from alerts.notify.sends import NOTICE_FOR
from alerts.notify.state import NOTICE, AlertBook, AlertState
from listener.bus.messages import message
from listener.bus.protocol import Bus
from listener.model.incidents import Incident, Result, State, Transition
from listener.model.records import ALERTS, Alert, DecisionKind, Event, Severity
from listener.runtime.ops_alerts import OpsAlerts, rule_of
from listener.units import format_instant

log = logging.getLogger(__name__)

REVIEW = "review_due"
"""The alert about ourselves that asks for a review."""
_LOOKED = (Result.REVIEWED, Result.CHANGED, Result.JOINED)
OURSELVES = "lyttepost"
"""In whose name an alert is closed that another one has taken the place of."""


class IncidentAlerts:
    """Publishes them, each once. Used by one thread, the dispatcher's."""

    def __init__(self, bus: Bus, ops: OpsAlerts, report_every: timedelta | None = None) -> None:
        """`report_every`: None: no situation report is mailed."""
        self._bus = bus
        self._ops = ops
        self._report_every = report_every
        self._published: set[str] = set()

    def publish(self, book: AlertBook, state: State, closed: Sequence[Answer], now: datetime) -> None:
        """`closed`: what is about to be closed with its incident. Raises BusError, and then goes on from there."""
        every = self._report_every
        due = () if every is None else reports.due(book, state, every, now)
        for alert in (*notices(state, closed, now), *due, *reviews(self._ops, state, now)):
            if alert.id not in self._published and book.get(alert.id) is None:
                self._bus.publish([message(ALERTS, alert)])
                self._published.add(alert.id)
                if alert.rule_type == NOTICE:
                    # Before anything is sent in this turn: one that an incident was closed ends what is said of it.
                    book.fire(alert, now)
                log.info("dispatch: %s of the incident %s", alert.rule, alert.incident)


def notices(state: State, closed: Sequence[Answer], now: datetime) -> Iterator[Alert]:
    """That incidents were opened or closed of late. One for each command, exercises and real incidents apart."""
    for transition in _recent(state, now):
        if transition.result is Result.OPENED:
            incident = state.incidents[transition.incidents[0]]
            if incident.open and not incident.synthetic:
                yield _notice("opened", transition.offset, [incident], incident.opened_at, incident.opened_by, 0)
    alerts: dict[str, int] = {}
    for answer in closed:
        told = any(status.times for status in answer.state.deliveries.values())
        alerts[answer.state.alert.incident] = alerts.get(answer.state.alert.incident, 0) + told
    for transition in _closings(state, [incident for incident, count in alerts.items() if count], now):
        for exercise in (False, True):
            its = [state.incidents[i] for i in sorted(transition.incidents)]
            its = [i for i in its if i.exercise is exercise and not i.synthetic]
            if its:
                at = max(i.closed_at or i.opened_at for i in its)
                count = sum(alerts.get(i.id, 0) for i in its)
                yield _notice("closed", transition.offset, its, at, its[0].closed_by or "?", count)


def _recent(state: State, now: datetime) -> Iterator[Transition]:
    """The newest first. What is older than a notice lives is left aside."""
    for transition in reversed(state.history):
        if transition.command is not None:
            if now - transition.command.at > NOTICE_FOR:
                return
            yield transition


def _closings(state: State, incidents: Iterable[str], now: datetime) -> Iterator[Transition]:
    """The commands that closed incidents of late, and those that closed these incidents, whenever that was."""
    found = {t.offset: t for t in _recent(state, now) if t.result is Result.CLOSED}
    for incident in incidents:
        its = closing(state, state.incidents[incident])
        if its is not None:
            found[its.offset] = its
    return iter(found.values())


def _notice(what: str, offset: int, incidents: Sequence[Incident], at: datetime, by: str, count: int) -> Alert:
    exercise = incidents[0].exercise
    return Alert(
        id=sha256(f"{what}|{offset}|{exercise}".encode()).hexdigest()[:16],
        event=Event.FIRED,
        at=at,
        incident=incidents[0].id,
        incident_name=", ".join(incident.name for incident in incidents),
        exercise=exercise,
        rule=f"lyttepost.incident_{what}",
        rule_type=NOTICE,
        severity=Severity.INFO,
        to=CRISIS_TEAM,
        key=by,
        # Of a closing: whose alerts they were, for the notice goes to those who were sent them too.
        key_fields=tuple(incident.id for incident in incidents) if what == "closed" else (),
        count=count,
        reason=f"incident_{what}",
        first_seen=at,
    )


def reviews(ops: OpsAlerts, state: State, now: datetime) -> Iterator[Alert]:
    """For each open incident the newest time at which its review was due."""
    for incident in state.open:
        due = review_due(incident, now)
        if due is not None:
            which = f" --incident {incident.id}" if len(state.open) > 1 else ""
            yield ops.alert(
                REVIEW, incident.id, due, now, words={"which": which}, incident=incident,
                id_=sha256(f"review|{incident.id}|{format_instant(due)}".encode()).hexdigest()[:16],
            )  # fmt: skip


def review_due(incident: Incident, now: datetime) -> datetime | None:
    """The newest time that has come at which somebody was to look at it; None before the first."""
    if incident.review_after <= 0 or now < incident.review_at:
        return None
    every = timedelta(seconds=incident.review_after)
    return incident.review_at + (now - incident.review_at) // every * every


def answers(book: AlertBook, state: State, now: datetime) -> Iterator[Answer]:
    """The reviews that nobody need ask for any more."""
    for alert in book.open():
        if alert.alert.rule == rule_of(REVIEW):
            answer = _answered(alert, state, now)
            if answer is not None:
                yield answer


def _answered(alert: AlertState, state: State, now: datetime) -> Answer | None:
    incident = state.incidents.get(alert.alert.incident)
    if incident is None:
        return None
    if incident.closed_at is not None:
        by, why = incident.closed_by or "?", why_closed(state, incident)
        return Answer(DecisionKind.CLOSE, alert, incident.closed_at, by, why)
    asked = alert.alert.first_seen
    if incident.review_at > asked:
        touched = (t for t in reversed(state.history) if incident.id in t.incidents and t.result in _LOOKED)
        command = next((t.command for t in touched if t.command is not None), None)
        by, why, at = (command.by, command.why, command.at) if command else (OURSELVES, "", now)
        return Answer(DecisionKind.CLOSE, alert, at, by, f"it was reviewed: {why}")
    due = review_due(incident, now)
    if due is not None and due > asked:
        return Answer(DecisionKind.CLOSE, alert, now, OURSELVES, "it is asked for again")
    return None
