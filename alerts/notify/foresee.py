"""Who would be paged next, and when, if nobody said a word and every way took its message: the plan run forward.

Pure but for the book that it is given, which must be the caller's own: the pages to come are put into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from alerts.notify.escalation import Escalation
from alerts.notify.plan import Trouble
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Page

MOST_INSTANTS = 500
"""A bound on how far it looks, in instants at which anything is planned."""


def foresee(
    book: AlertBook,
    people: People,
    wakes: Callable[[str], bool],
    now: datetime,
    until: datetime,
    instants: int = MOST_INSTANTS,
) -> Iterator[Page | Trouble]:
    """Every page up to `until` in order, kept ones (with their own `until`) among them, and what is in the way.

    `instants`: it looks at no more of them; each costs the more, the more alerts are open.
    """
    escalation, at = Escalation(book, people, wakes), now
    for _ in range(instants):
        plan = escalation.plan(at)
        yield from plan.troubles
        for page in plan.pages:
            book.pages.take_page(page)
            yield page
        if plan.pages:
            continue
        if plan.wake_at is None or plan.wake_at > until:
            return
        # An acknowledged alert that waits for an answer again is not foreseen: that would be a word nobody said.
        at = max(plan.wake_at, at + datetime.resolution)
