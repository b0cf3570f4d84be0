"""What becomes of a reply: a page's code answers the page; anything else is kept as a note and answers nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from alerts.notify.answers import acknowledge_all, page_meant, who_has
from alerts.notify.receiver.intake import OnReply
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.bus import hashchain
from listener.bus.protocol import Bus
from listener.model.decisions import DECISIONS
from listener.model.records import Decision, DecisionKind

log = logging.getLogger(__name__)

ABOUT = "reply"
"""The id of a note that is about no alert that anybody named."""


def answer_pages(bus: Bus, people_now: Callable[[], People], read: Callable[[], AlertBook]) -> OnReply:
    """`people_now`: people.yaml as it is in force. `read`: gives the alerts as they stand when it is called. What a
    stranger writes is not kept: `decisions` is for years, and no purge reaches it."""

    def on_reply(channel: str, number: str, text: str, at: datetime) -> None:
        people = people_now()
        person = who_has(people, number)
        if person is None:
            log.warning("receiver: a reply from a number that nobody in people.yaml has; it is not kept")
            return
        book = read()
        page = page_meant(book, channel, number, text)
        if page is None:
            note = Decision(kind=DecisionKind.NOTE, id=ABOUT, at=at, by=people.name(person), why=text)
            hashchain.append(bus, DECISIONS.name, note)
            return
        answered = acknowledge_all(bus, book, page.page.alerts, people.name(person), "", at, read)
        log.info("receiver: %d alerts acknowledged by a reply, %d before", len(answered.mine), len(answered.before))

    return on_reply
