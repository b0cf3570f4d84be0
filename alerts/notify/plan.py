"""What is to be sent to whom, now: a pure function of the book, the people and the time.

Step 0 is due when an alert fires, step k after k times `repeat_every`, until a person acknowledges; that the condition
has passed changes only the words. After a downtime only the newest step is due, not all that were missed. One intent
(alert, step, channel, target) is sent once: a send that failed for now is tried again until the next step takes its
place, one whose outcome was never written is sent again and marked, one that failed for good is left, and when nobody
of a tier can be reached the next tier is notified, down to the console.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from alerts.notify.channels.contract import uncertain
from alerts.notify.duplicates import first_of
from alerts.notify.recipients import Contact, People, Tier, Why
from alerts.notify.state import AlertBook, AlertState, DeliveryState
from listener.model.records import Outcome, Severity

BACKOFF = tuple(timedelta(seconds=s) for s in (5, 15, 60, 120, 300))
"""Between the attempts of one step; the last one goes on."""

GIVE_UP_AFTER = 3
"""Failures in a row, over all steps, after which a contact counts as out of reach and the next tier is notified too."""

NOTICE_FOR = timedelta(hours=1)
"""After that nobody is notified any more that an incident was closed."""

_RANK = {severity: rank for rank, severity in enumerate(Severity)}


class SendCause(StrEnum):
    """Why a send is due."""

    STEP = "step"
    RETRY = "retry"
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The intent was written and its outcome was not: we stopped in between."""


@dataclass(frozen=True)
class Due:
    """One send that is to be made. `why` says why this contact gets it."""

    state: AlertState
    step: int
    contact: Contact
    why: Why
    cause: SendCause
    attempt: int = 1
    may_repeat: bool = False

    @property
    def intent(self) -> str:
        return intent_id(self.state.id, self.step, self.contact.channel, self.contact.target)


def intent_id(alert: str, step: int, channel: str, target: str) -> str:
    """The same for every attempt of one step at one place."""
    return sha256("\x1f".join((alert, str(step), channel, target)).encode()).hexdigest()[:32]


def due(book: AlertBook, people: People, now: datetime, in_flight: Container[str]) -> list[Due]:
    """All sends that are due and not in flight (a set of intents): the most severe first, then the oldest."""
    found = [one for state in book.open() if first_of(book, state) is None for one in _due(state, people, now)]
    found += [one for state in book.notices() for one in _of_notice(state, book, now)]
    found = [one for one in found if one.intent not in in_flight]
    return sorted(found, key=lambda one: _RANK[one.state.alert.severity])


def step_at(state: AlertState, people: People, now: datetime) -> int:
    """The newest step that has come. Never less than one that was sent, whatever the clock says; a canary has one."""
    if state.alert.synthetic:
        return 0
    every = people.repeat_every[state.alert.severity]
    return max(0, (now - state.fired_at) // every, state.step)


def _due(state: AlertState, people: People, now: datetime) -> Iterator[Due]:
    step = step_at(state, people, now)
    asked: dict[tuple[str, str], Contact] = {}
    for tier in _tiers(state, people):
        for contact in tier.contacts:
            place = (contact.channel, contact.target)
            if place not in asked:
                asked[place] = contact
                one = _for_contact(state, contact, tier.why, step, now)
                if one is not None:
                    yield one
        if any(not _given_up(state.deliveries.get(place), step) for place in asked):
            return


def _tiers(state: AlertState, people: People) -> tuple[Tier, ...]:
    return people.canary() if state.alert.synthetic else people.tiers(state.alert.to)


def _of_notice(state: AlertState, book: AlertBook, now: datetime) -> Iterator[Due]:
    """Once to each who was called, and to nobody instead: who cannot be reached loses nothing by it."""
    if now - state.fired_at > NOTICE_FOR:
        return
    for channel, target in book.called(state):
        status = state.deliveries.get((channel, target))
        if status is None or status.failures < GIVE_UP_AFTER:
            one = _for_contact(state, Contact(channel, channel, target), Why.ROUTE, 0, now)
            if one is not None:
                yield one


def _for_contact(state: AlertState, contact: Contact, why: Why, step: int, now: datetime) -> Due | None:
    status = state.deliveries.get((contact.channel, contact.target))
    if status is None or status.step < step:
        return Due(state, step, contact, why, SendCause.STEP)
    if status.sent or status.outcome is Outcome.PERMANENT:
        return None
    again = status.attempt + 1
    if status.outcome is None:
        return Due(state, step, contact, why, SendCause.UNKNOWN_OUTCOME, again, may_repeat=True)
    pause = BACKOFF[min(status.attempt, len(BACKOFF)) - 1]
    # A clock that was set back must not turn a pause of seconds into one of hours.
    if timedelta(0) <= now - status.at < pause:
        return None
    return Due(state, step, contact, why, SendCause.RETRY, again, status.uncertain or uncertain(status.reason))


def _given_up(status: DeliveryState | None, step: int) -> bool:
    if status is None or (status.step == step and status.sent):
        return False
    return (status.step == step and status.outcome is Outcome.PERMANENT) or status.failures >= GIVE_UP_AFTER
