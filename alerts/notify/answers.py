"""What a person answers to a page: an acknowledgement covers exactly the alerts that the page named when it was sent.

A page is answered by its code in a message, by a key in a call or on the command line. Who answers a second time hears
who was first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.notify.channels.contract import uncertain
from alerts.notify.pages import PageState, WayState
from alerts.notify.recipients import People
from alerts.notify.sends import intent_id
from alerts.notify.state import AlertBook, AlertState, Condition, Handling, read_book
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.errors import Refusal, UsageError
from listener.model.decisions import DECISIONS
from listener.model.deliveries import Page, PageWhy
from listener.model.records import Decision, DecisionKind
from listener.privacy.team_words import TeamWords

VOICE = "voice"
YES = "1"
"""The key that says "I have it" in a call. Silence, a voicemail and any other key say nothing."""
CALL_LASTS = timedelta(minutes=10)
"""Two calls that began so close together may both be on the line."""
CODE_DIGITS = 4
MOST_WORDS = 5
"""Beside a code: whoever answers in more words may be quoting."""
_NO = frozenset(
    ("nei", "ikke", "ikkje", "nope", "no", "not", "never", "cannot", "can't", "cant", "don't", "dont", "won't", "wont")
)
"""Words with which nobody takes an alert."""


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
        raise UsageError("this needs a name; say who with --by", refusal=Refusal.WHO)
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


def page_meant(book: AlertBook, channel: str, number: str, text: str, call: str = "") -> PageState | None:
    """The page that a message or a pressed key answers: only one that went to that number.

    A message names it by its code, see `code_in`. A call is answered by `YES` alone; `call` is what the gateway calls
    it: our id of the send, or its own. The same sign in a message is no answer: nobody asked for it there.
    """
    sent = [each for each in book.pages.all() if any(target == number for _, target in each.ways)]
    if channel == VOICE and text.strip() == YES:
        return _call_meant(book, sent, number, call)
    coded = [each for each in sent if each.page.code]
    # Who sends the bare code a second time hears who was first; among other words only what waits is meant.
    bare = next((each for each in reversed(coded) if each.page.code == text.strip()), None)
    code = code_in(text)
    return bare or next((e for e in reversed(coded) if e.page.code == code and waits(book, e.page)), None)


def code_in(text: str) -> str:
    """The only number of four digits in a few words, as in `svar 2067` or `2067 ok.`; empty where there is none, where
    somebody asks or says no, and where so much is said that a whole message may be quoted."""
    words = re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.casefold().replace("’", "'"))
    codes: list[str] = [number for number in re.findall(r"[0-9]+", text) if len(number) == CODE_DIGITS]
    if len(codes) != 1 or len(words) > MOST_WORDS or "?" in text or not _NO.isdisjoint(words):
        return ""
    return codes[0]


def waits(book: AlertBook, page: Page) -> bool:
    """Whether it asks for an answer, and nobody has answered for all that it names."""
    states = (book.get(id_) for id_ in page.alerts)
    return page.why is not PageWhy.NOTICE and any(state is not None and state.is_open for state in states)


def _call_meant(book: AlertBook, sent: Iterable[PageState], number: str, call: str) -> PageState | None:
    """The page that was read out in a call to that number. Without the call's id it must be certain which: the newest
    that was taken, unless another call of about that time is about something else that still waits."""
    place = VOICE, number
    calls = [each for each in sent if place in each.ways]
    if call:
        page = book.pages.sent_as(VOICE, call)
        ours = (each for each in calls if each.page.id == page or intent_id(each.page.id, *place) == call)
        return next(ours, None)
    waiting = [each for each in calls if waits(book, each.page) and _may_ring(each.ways[place])]
    newest = max(waiting or calls, key=lambda each: each.ways[place].at, default=None)
    if newest is None or not newest.ways[place].taken:
        return None
    for other in waiting:
        together = newest.ways[place].at - other.ways[place].at < CALL_LASTS
        left = (state for id_ in other.page.alerts if (state := book.get(id_)) is not None and state.is_open)
        if together and any(state.id not in newest.page.alerts for state in left):
            return None
    return newest


def _may_ring(way: WayState) -> bool:
    """Whether a telephone may have rung: the call was taken, or nobody knows."""
    return way.taken or way.outcome is None or uncertain(way.reason)


def all_with(people: People, number: str) -> tuple[str, ...]:
    """The keys of everybody with that number: a duty telephone may be several people's."""
    return tuple(key for key, one in people.people.items() if any(way.target == number for way in one.ways))
