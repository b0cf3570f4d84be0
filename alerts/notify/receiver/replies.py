"""What becomes of a reply: a page's code answers the page, a test message's code says that it came; anything else is
kept as a note, answers nothing, and is answered with help."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from alerts.duty.decided import Decided, place_digest
from alerts.duty.people import Place
from alerts.notify.answers import VOICE, acknowledge_all, page_meant, who_has
from alerts.notify.notices_due import NoticeKind
from alerts.notify.pages import ABOUT_NO_ALERT
from alerts.notify.plan import digest
from alerts.notify.receiver.intake import OnReply
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.model.decisions import DECISIONS, TriedWay, WayConfirmed
from listener.model.deliveries import DELIVERIES, Page, PageWhy
from listener.model.records import Decision, DecisionKind

log = logging.getLogger(__name__)

HELP = NoticeKind.HELP.value
HELP_EVERY = timedelta(minutes=10)
HELP_MOST, HELP_WITHIN = 5, timedelta(days=1)
"""To one person."""


def answer_pages(
    bus: Bus, people_now: Callable[[], People], read: Callable[[], AlertBook], decided: Decided | None = None
) -> OnReply:
    """`people_now`: people.yaml as it is in force. `read`: gives the alerts as they stand when it is called, and brings
    `decided`, by which the answer to a test message is known, up to date. What a stranger writes is not kept:
    `decisions` is for years, and no purge reaches it."""

    def on_reply(channel: str, number: str, text: str, at: datetime) -> None:
        people = people_now()
        person = who_has(people, number)
        if person is None:
            log.warning("receiver: a reply from a number that nobody in people.yaml has; it is not kept")
            return
        book = read()
        page = page_meant(book, channel, number, text)
        if page is None and (way := _tried(decided, person, channel, number, text)) is not None:
            came = WayConfirmed(at=at, by=people.name(person), person=person, way=way)
            hashchain.append(bus, DECISIONS.name, came)
            return
        if page is None:
            note = Decision(kind=DecisionKind.NOTE, id=ABOUT_NO_ALERT, at=at, by=people.name(person), why=text)
            hashchain.append(bus, DECISIONS.name, note)
            if channel != VOICE and may_be_helped(book, person, at):
                hashchain.append(bus, DELIVERIES.name, help_page(book, person, (channel, number), at))
            return
        answered = acknowledge_all(bus, book, page.page.alerts, people.name(person), "", at, read, page.page.id)
        log.info("receiver: %d alerts acknowledged by a reply, %d before", len(answered.mine), len(answered.before))

    return on_reply


def _tried(decided: Decided | None, person: str, channel: str, number: str, text: str) -> TriedWay | None:
    """The way that a test message took to this number, if this is its code."""
    found = decided.test(text.strip()) if decided else None
    if found is None:
        return None
    asked, way = found
    right = (asked.person, way.channel, way.place) == (person, channel, place_digest(Place(channel, number)))
    return way if right else None


def may_be_helped(book: AlertBook, person: str, at: datetime) -> bool:
    """Not too often: an absence note that answers our help would be answered for ever."""
    helped = [page.at for each in book.pages.all() if (page := each.page).person == person and page.what == HELP]
    recent = [before for before in helped if at - before < HELP_WITHIN]
    return len(recent) < HELP_MOST and all(at - before >= HELP_EVERY for before in recent)


def help_page(book: AlertBook, person: str, way: tuple[str, str], at: datetime) -> Page:
    """How to answer the newest page to this person that waits, by the way the reply came; or that none does."""
    waiting = (
        each.page
        for each in reversed([*book.pages.all()])
        if each.is_sent and each.page.person == person and each.page.code and _waits(book, each.page)
    )
    page = next(waiting, None)
    return Page(
        id=digest("notice", HELP, person, at.isoformat()), at=at, why=PageWhy.NOTICE, what=HELP, person=person, way=way,
        about=page.id if page else "", alerts={ABOUT_NO_ALERT: ""},
    )  # fmt: skip


def _waits(book: AlertBook, page: Page) -> bool:
    states = (book.get(id_) for id_ in page.alerts)
    return page.why is not PageWhy.NOTICE and any(state is not None and state.is_open for state in states)
