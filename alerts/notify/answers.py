"""What a person answers to a page: an acknowledgement covers exactly the alerts that the page named when it was sent.

A page is answered by its code in a message, by a key in a call or on the command line. Who answers a second time hears
who was first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from alerts.notify.pages import PageState
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook, AlertState, Condition, Handling, read_book
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.errors import UsageError
from listener.model.decisions import DECISIONS
from listener.model.records import Decision, DecisionKind
from listener.privacy.team_words import TeamWords

VOICE = "voice"
YES = "1"
"""The key that says "I have it" in a call. Silence, a voicemail and any other key say nothing."""


@dataclass(frozen=True)
class WordOutcome:
    """`mine`: the alerts that this word changed. `before`: those that somebody had answered already; their states say
    who and when. `why`: the reason as it was written."""

    mine: tuple[AlertState, ...]
    before: tuple[AlertState, ...]
    why: TeamWords


def acknowledge_all(
    bus: Bus, book: AlertBook, ids: Iterable[str], by: str, why: str, now: datetime,
    again: Callable[[], AlertBook] | None = None, page: str | None = None,
) -> WordOutcome:  # fmt: skip
    """A person says "I have it" of all these. Durable when this returns; a second time changes nothing.

    `again`: gives the book with all that lies on the bus by now; without it the whole log is read. `page`: the id of
    the page that it answers. Raises UsageError when nobody says who it is.
    """
    return say_of_all(bus, book, ids, DecisionKind.ACKNOWLEDGE, by, why, now, again, page)


def say_of_all(
    bus: Bus, book: AlertBook, ids: Iterable[str], kind: DecisionKind, by: str, why: str, now: datetime,
    again: Callable[[], AlertBook] | None = None, page: str | None = None,
) -> WordOutcome:  # fmt: skip
    """The same for every word that counts once: acknowledge, resolve, close."""
    if not by.strip():
        raise UsageError("this needs a name; say who with --by")
    states = [state for id_ in ids if (state := book.get(id_)) is not None]
    ids = [state.id for state in states if _may(state, kind)]
    words = [Decision(kind=kind, id=id_, at=now, by=by.strip(), why=why, page=page) for id_ in ids]
    # In one write: between two of them the dispatcher would page somebody about what is left.
    digests = {word.id: word.digest for word in hashchain.append_all(bus, DECISIONS.name, words)}
    # Two people may answer at the same instant: the log's order decides who was first, not ours.
    after = again() if again else read_book(bus)
    now_are = [after.get(state.id) or state for state in states]
    mine = [s for s in now_are if (word_ := word_of(s, kind)) is not None and word_.digest == digests.get(s.id, "none")]
    before = tuple(state for state in now_are if state not in mine)
    return WordOutcome(tuple(mine), before, TeamWords(why, masked=False))


def word_of(state: AlertState, kind: DecisionKind) -> Decision | None:
    """The person's word by which it is resolved, or is acknowledged or closed; None where no person said it."""
    if kind is DecisionKind.RESOLVE:
        return next((word for word in state.words if word.kind is kind), None)
    return None if state.handling is Handling.OPEN else state.handled


def _may(state: AlertState, kind: DecisionKind) -> bool:
    """Whether the word would change anything."""
    if kind is DecisionKind.RESOLVE:
        return state.condition is Condition.FIRING
    return state.handling is Handling.OPEN or (kind is DecisionKind.CLOSE and state.handling is not Handling.CLOSED)


def page_meant(book: AlertBook, channel: str, number: str, text: str) -> PageState | None:
    """The page that a message or a pressed key answers: by its code, and only from a number that it went to.

    A call is answered by `YES` alone, and means the newest page that was read out to that number. The same sign in a
    message is no answer: nobody asked for it there.
    """
    said = text.strip()
    sent = [each for each in book.pages.all() if any(target == number for _, target in each.ways)]
    if channel == VOICE and said == YES:
        return next((each for each in reversed(sent) if (VOICE, number) in each.ways), None)
    return next((each for each in reversed(sent) if each.page.code and each.page.code == said), None)


def who_has(people: People, number: str) -> str | None:
    """The key of the person with that number."""
    return next((key for key, one in people.people.items() if any(way.target == number for way in one.ways)), None)
