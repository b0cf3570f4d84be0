"""What is to be sent now, by which way, of the pages that were written down.

One intent (page, channel, target) is sent once: a send that failed for now is tried again until a newer page to the
same person takes its place, one whose outcome was never written is sent again and marked, one that failed for good is
left.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from alerts.notify import reports
from alerts.notify.channels.contract import uncertain
from alerts.notify.pages import PageLog, PageState, WayState
from alerts.notify.plan import NoticeKind
from alerts.notify.recipients import Contact, People
from alerts.notify.state import AlertBook
from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.records import Severity

BACKOFF = tuple(timedelta(seconds=s) for s in (5, 15, 60, 120, 300))
"""Between the attempts of one send; the last one goes on."""

_NOTHING: Mapping[str, int] = {}
NOTICE_FOR = timedelta(hours=1)
"""After that a notice is not sent any more."""


class SendCause(StrEnum):
    """Why a send is due."""

    FIRST = "first"
    RETRY = "retry"
    UNKNOWN_OUTCOME = "unknown_outcome"
    """The intent was written and its outcome was not: we stopped in between."""


@dataclass(frozen=True)
class Send:
    """One send that is to be made. `nth`: how many pages about its first alert this person had before."""

    page: Page
    contact: Contact
    cause: SendCause
    attempt: int = 1
    may_repeat: bool = False
    nth: int = 0

    @property
    def intent(self) -> str:
        """The same for every attempt."""
        return intent_id(self.page.id, self.contact.channel, self.contact.target)

    @property
    def lead(self) -> str:
        """The first alert that it names."""
        return _lead(self.page)

    def delivery(
        self, at: datetime, outcome: Outcome | None = None, reason: str | None = None, ids: tuple[str, ...] = ()
    ) -> Delivery:
        """What is written down of it: that it is about to be sent, or with an `outcome` what became of it. `ids`: what
        the provider calls it."""
        return Delivery(
            intent=self.intent,
            page=self.page.id,
            alert=self.lead,
            alerts=tuple(self.page.alerts),
            at=at,
            step=self.nth,
            channel=self.contact.channel,
            target=self.contact.target,
            attempt=self.attempt,
            may_repeat=self.may_repeat,
            exercise=self.page.exercise,
            outcome=outcome,
            reason=reason,
            provider_ids=ids,
        )


def _lead(page: Page) -> str:
    return next(iter(page.alerts), "")


def intent_id(page: str, channel: str, target: str) -> str:
    return sha256("\x1f".join((page, channel, target)).encode()).hexdigest()[:32]


class Sends:
    def __init__(
        self,
        book: AlertBook,
        people: People,
        wakes: Callable[[str], bool],
        documents: Callable[[str], bool] = lambda channel: False,
    ) -> None:
        """`documents`: by which channels the situation report may go."""
        self._book = book
        self._people = people
        self._wakes = wakes
        self._documents = documents
        self._ranks: dict[str, int] = {}
        self._channels: dict[str, frozenset[str]] = {}
        self.wake_at: datetime | None = None
        """When the next of the sends that failed for now is tried again."""

    def due(
        self,
        now: datetime,
        in_flight: Container[str],
        full: Set[str] = frozenset(),
        busy: Mapping[str, int] = _NOTHING,
    ) -> Iterator[Send]:
        """The sends that are due and not in flight (a set of intents): the most severe first; of these whose first
        alert has the fewest sends in flight (`busy`: alert → how many), then the oldest.

        So an alert to many people, by a channel that hangs with each of them, keeps another as severe waiting for one
        send's time and no longer, however often it is tried again.

        `full`: channels that can take nothing now, to which whoever takes the sends may add. A page that has no other
        way is passed over unseen: in a storm thousands wait.
        """
        self.wake_at = None
        pages = self._book.pages.unfinished()
        self._ranks = {each.page.id: self._ranks.get(each.page.id, -1) for each in pages}
        for each in pages:
            if self._ranks[each.page.id] < 0:
                self._ranks[each.page.id] = self.rank(each.page)
        for each in sorted(pages, key=lambda each: (self._ranks[each.page.id], busy.get(_lead(each.page), 0))):
            if not (full and self._by(each.page) <= full):
                yield from self._of_page(each, now, in_flight)

    def _by(self, page: Page) -> frozenset[str]:
        """The channels by which a page goes."""
        if page.person not in self._channels:
            self._channels[page.person] = frozenset(contact.channel for contact in self._people.contacts(page.person))
        return self._channels[page.person]

    def contacts(self, page: Page) -> tuple[Contact, ...]:
        """The ways by which a page goes."""
        ways = self._people.contacts(page.person)
        if page.way is not None:
            return tuple(way for way in ways if (way.channel, way.target) == page.way)
        if page.what == NoticeKind.REPORT:
            return tuple(way for way in ways if self._documents(way.channel))
        soft = tuple(way for way in ways if not self._wakes(way.channel))
        if page.why is PageWhy.NOTICE and page.what != NoticeKind.RESOLVED:
            return soft
        return soft or ways if page.gently else ways

    def rank(self, page: Page) -> int:
        """The most severe first, what waits for no answer last."""
        if page.why is PageWhy.NOTICE:
            return len(Severity) + 1
        states = (self._book.get(id_) for id_ in page.alerts)
        return min((state.alert.severity.rank for state in states if state), default=len(Severity))

    def _of_page(self, each: PageState, now: datetime, in_flight: Container[str]) -> list[Send]:
        page, log = each.page, self._book.pages
        if self._is_over(page, log, now):
            log.finish(page)
            return []
        out, finished = [], True
        for contact in self.contacts(page):
            way = each.ways.get((contact.channel, contact.target))
            if way is not None and (way.taken or way.rejected):
                continue
            finished = False
            if intent_id(page.id, contact.channel, contact.target) in in_flight:
                continue
            if way is None:
                out.append(Send(page, contact, SendCause.FIRST, may_repeat=page.repeats, nth=self._nth(page)))
            elif (send := self._again(page, contact, way, now)) is not None:
                out.append(send)
        if finished:
            log.finish(page)
        return out

    def _nth(self, page: Page) -> int:
        before = self._book.pages.naming(next(iter(page.alerts)))
        return sum(1 for b in before if b.page.person == page.person and b.is_sent and b.page.id != page.id)

    def _is_over(self, page: Page, log: PageLog, now: datetime) -> bool:
        """Whether it has been answered, or a newer page took its place."""
        if page.why is PageWhy.NOTICE:
            return now - page.at > NOTICE_FOR or (page.what == NoticeKind.REPORT and self._is_told_no_more(page))
        states = [self._book.get(id_) for id_ in page.alerts]
        if not any(state is not None and state.is_open for state in states):
            return True
        return bool(page.groups) and all(log.newest_to(page.person, group) != page.id for group in page.groups)

    def _is_told_no_more(self, page: Page) -> bool:
        states = (self._book.get(id_) for id_ in page.alerts)
        return all(state is None or reports.is_over(state, self._book) for state in states)

    def _again(self, page: Page, contact: Contact, way: WayState, now: datetime) -> Send | None:
        attempt, nth = way.attempt + 1, self._nth(page)
        if way.outcome is None:
            return Send(page, contact, SendCause.UNKNOWN_OUTCOME, attempt, may_repeat=True, nth=nth)
        pause = BACKOFF[min(way.attempt, len(BACKOFF)) - 1]
        # A clock that was set back must not turn a pause of seconds into one of hours.
        if timedelta(0) <= now - way.at < pause:
            due = way.at + pause
            self.wake_at = due if self.wake_at is None else min(self.wake_at, due)
            return None
        repeat = page.repeats or way.uncertain or uncertain(way.reason)
        return Send(page, contact, SendCause.RETRY, attempt, may_repeat=repeat, nth=nth)
