"""Pages about one alert, outside any group's run: whom a colleague asked to take it, and a canary's test receiver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from alerts.notify.groups import policy_of
from alerts.notify.plan import digest, named
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Page, PageWhy
from listener.model.records import DecisionKind


def assigned(book: AlertBook, people: People, now: datetime) -> Iterator[Page]:
    """Whom a colleague asked to take an alert that is open still."""
    for state in book.open():
        for word in state.words:
            person = people.key_of(word.to) if word.kind is DecisionKind.ASSIGN and word.to else None
            id_ = digest("assigned", state.id, person or "", word.at.isoformat())
            if person is not None and book.pages.get(id_) is None:
                page = Page(
                    id="", at=now, why=PageWhy.ASSIGNED, person=person, policy=policy_of(book, people, state),
                    alerts={state.id: state.condition.value}, exercise=state.alert.exercise,
                    severity=state.alert.severity,
                )  # fmt: skip
                yield named(page, id_, PageWhy.ASSIGNED)


def canaries(book: AlertBook, people: People, now: datetime) -> Iterator[Page]:
    """A synthetic alert goes once to its test receiver, never to a person on duty."""
    for state in book.open():
        for person in people.canary(now) if state.alert.synthetic else ():
            id_ = digest("canary", state.id, person)
            if book.pages.get(id_) is None:
                its = {state.id: state.condition.value}
                yield named(Page(id="", at=now, why=PageWhy.CANARY, person=person, alerts=its), id_, PageWhy.CANARY)
