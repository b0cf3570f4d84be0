"""What becomes of a reply: a page's code answers the page, a test message's code says that it came; anything else is
kept as a note, answers nothing, and is answered with help."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from alerts.duty.decided import Decided, place_digest
from alerts.duty.people import Place
from alerts.notify.answers import VOICE, YES, acknowledge_all, all_with, code_in, page_meant, waits
from alerts.notify.channels.text import one_line
from alerts.notify.pages import ABOUT_NO_ALERT
from alerts.notify.plan import NoticeKind, digest
from alerts.notify.receiver.intake import OnReply
from alerts.notify.recipients import CONSOLE, People
from alerts.notify.state import AlertBook
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.model.codec import LONGEST_NAME
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

    def on_reply(channel: str, number: str, text: str, at: datetime, call: str = "") -> None:
        people = people_now()
        owners = all_with(people, number)
        if not owners:
            log.warning("receiver: a reply from a number that nobody in people.yaml has; it is not kept")
            return
        book = read()
        page = page_meant(book, channel, number, text, call)
        if page is None and (tried := _tried(decided, owners, channel, number, text)) is not None:
            person, way = tried
            came = WayConfirmed(at=at, by=people.signature(person), person=person, way=way)
            hashchain.append(bus, DECISIONS.name, came)
            return
        if page is None:
            by = one_line(" / ".join(map(people.signature, owners)), LONGEST_NAME)
            note = Decision(kind=DecisionKind.NOTE, id=ABOUT_NO_ALERT, at=at, by=by, why=text)
            hashchain.append(bus, DECISIONS.name, note)
            _help(people, book, owners, (channel, number), text, at)
            return
        # On a telephone that several have, whoever the page went to.
        by = people.signature(page.page.person if page.page.person in owners else owners[0])
        answered = acknowledge_all(bus, book, page.page.alerts, by, "", at, read, page.page.id)
        log.info("receiver: %d alerts acknowledged by a reply, %d before", len(answered.mine), len(answered.before))

    def _help(
        people: People, book: AlertBook, owners: Sequence[str], way: tuple[str, str], text: str, at: datetime
    ) -> None:
        waiting = [person for person in owners if _waiting(book, person) is not None]
        person = next(iter(waiting or owners))
        if way[0] == VOICE:
            # Who pressed the right key believes to have it. To call again would be no help.
            others = (contact for contact in people.contacts(person) if contact.channel not in (VOICE, CONSOLE))
            other = next(others, None)
            if other is None or text.strip() != YES:
                return
            way = other.channel, other.target
        if may_be_helped(book, person, at):
            hashchain.append(bus, DELIVERIES.name, help_page(book, person, way, at))

    return on_reply


def _tried(
    decided: Decided | None, owners: Collection[str], channel: str, number: str, text: str
) -> tuple[str, TriedWay] | None:
    """Whose test message took which way to this number, if this is its code."""
    found = decided and (decided.test(text.strip()) or decided.test(code_in(text)))
    if not found:
        return None
    asked, way = found
    right = asked.person in owners and (way.channel, way.place) == (channel, place_digest(Place(channel, number)))
    return (asked.person, way) if right else None


def may_be_helped(book: AlertBook, person: str, at: datetime) -> bool:
    """Not too often: an absence note that answers our help would be answered for ever."""
    helped = [page.at for each in book.pages.all() if (page := each.page).person == person and page.what == HELP]
    recent = [before for before in helped if at - before < HELP_WITHIN]
    return len(recent) < HELP_MOST and all(at - before >= HELP_EVERY for before in recent)


def help_page(book: AlertBook, person: str, way: tuple[str, str], at: datetime) -> Page:
    """How to answer the newest page to this person that waits, by the way the reply came; or that none does."""
    page = _waiting(book, person)
    return Page(
        id=digest("notice", HELP, person, at.isoformat()), at=at, why=PageWhy.NOTICE, what=HELP, person=person, way=way,
        about=page.id if page else "", alerts={ABOUT_NO_ALERT: ""},
    )  # fmt: skip


def _waiting(book: AlertBook, person: str) -> Page | None:
    """The newest page to this person that can be answered and was not."""
    pages = (each for each in reversed([*book.pages.all()]) if each.is_sent and each.page.person == person)
    return next((each.page for each in pages if each.page.code and waits(book, each.page)), None)
