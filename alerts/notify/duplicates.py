"""One word, said once, though several incidents are open; and no word more of an incident that a person closed.

Standing tracks join every incident, so one post completes the same rule once for each. An alert is a *double* of one
that fired before it, for another incident, with the same rule, key, route and exercise mark, when it rests on no post
that the first does not rest on (the digests of its samples) and counts no more. A double is not sent: the first names
both incidents, and a person who acknowledges the first has acknowledged both. Nothing is lost by it: what came after
the first was acknowledged is no double, and a double of an alert that was closed with its incident is sent by itself,
for to close one incident answers nothing of another.

All of it is worked out from the log each time and stored nowhere, so that it is the same after a restart and in
whatever order topics are read; what follows from it (an acknowledgement, a closing) is written down as a decision in
the name of the person whose word it was.

An alert of a closed incident is closed in the name of who closed that. One that fires after the closing, from posts
that were under way, is sent until it reached somebody, and then closed too: never lost, and never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from alerts.notify.recipients import People
from alerts.notify.state import AlertBook, AlertState, Handling
from listener.model.incidents import Incident, Result, State, Transition
from listener.model.records import DecisionKind
from listener.runtime.ops_alerts import OPS


class Answer(NamedTuple):
    """A decision about an alert that follows from what a person said about something else, and when that was."""

    kind: DecisionKind
    state: AlertState
    at: datetime
    by: str
    why: str


def first_of(book: AlertBook, double: AlertState) -> AlertState | None:
    """The alert whose messages cover this one, if there is one."""
    found = [state for state in book.alike(double) if _says_all_of(state, double) and _speaks_for(state, double)]
    return min(found, key=lambda state: (state.fired_at, state.id), default=None)


def doubles_of(book: AlertBook, first: AlertState) -> tuple[AlertState, ...]:
    """The open alerts that this one's messages cover too."""
    found = (state for state in book.alike(first) if state.handling is Handling.OPEN)
    return tuple(state for state in found if first_of(book, state) is first)


def may_be_doubled(state: State) -> frozenset[str]:
    """The open incidents that are not the only one of their kind, exercise or real."""
    marks = [incident.exercise for incident in state.open]
    return frozenset(incident.id for incident in state.open if marks.count(incident.exercise) > 1)


def _says_all_of(first: AlertState, double: AlertState) -> bool:
    mine, its = first.alert, double.alert
    if mine.incident == its.incident:
        return False
    rests_on = {sample.digest for sample in its.samples}
    return (
        (first.fired_at, first.id) < (double.fired_at, double.id)
        and bool(rests_on)
        and rests_on <= {sample.digest for sample in mine.samples}
        and its.count <= mine.count
        and its.posts <= mine.posts
    )


def _speaks_for(first: AlertState, double: AlertState) -> bool:
    if first.handling is Handling.ACKNOWLEDGED and first.handled is not None:
        return first.handled.at >= double.fired_at
    return first.handling is Handling.OPEN


def answers(book: AlertBook, people: People, state: State) -> Iterator[Answer]:
    """What follows for open alerts from words that were said: about their incident, the first of doubles, or the alert
    that stands for them."""
    for alert in book.open():
        incident = state.incidents.get(alert.alert.incident)
        first = first_of(book, alert)
        cover = book.covering(alert.id)
        if cover is not None and cover.handled is not None and not cover.is_open:
            yield Answer(cover.handled.kind, alert, cover.handled.at, cover.handled.by, f"answered with {cover.id}")
        elif first is not None and first.handling is Handling.ACKNOWLEDGED and first.handled is not None:
            said = first.handled
            yield Answer(DecisionKind.ACKNOWLEDGE, alert, said.at, said.by, f"acknowledged as {first.id}")
        elif incident is not None and incident.closed_at is not None and alert.alert.rule_type != OPS:
            knew = alert.fired_at <= incident.closed_at
            if knew or alert.reached(people.own(alert.alert.to, alert.fired_at)):
                by, why = incident.closed_by or "?", why_closed(state, incident)
                yield Answer(DecisionKind.CLOSE, alert, incident.closed_at, by, why)


def closing(state: State, incident: Incident) -> Transition | None:
    """The command that closed it."""
    found = (t for t in reversed(state.history) if t.result is Result.CLOSED and incident.id in t.incidents)
    return next(found, None)


def why_closed(state: State, incident: Incident) -> str:
    """For the decision on what is closed with it."""
    its = closing(state, incident)
    why = its.command.why if its is not None and its.command is not None else ""
    return f"the incident was closed: {why}" if why else "the incident was closed"
