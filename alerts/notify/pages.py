"""Who was paged about what: the fold of the pages, sends and receipts on `deliveries`.

A page is what one person is told at one step; it is sent by each of the person's ways. Of each group of alerts the
pages of its newest *run* count: a run begins with a first page and ends with a person's word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.receipts import Receipt, Received

GIVE_UP_AFTER = 3
"""Failures in a row after which a way counts as out of reach; it is tried again all the same."""

UNDELIVERED = "undelivered"
"""Why a way that was taken counts as refused: its provider said so later."""

ABOUT_NO_ALERT = "reply"
"""Stands for the alert where a reply named none."""

Place = tuple[str, str]
"""Channel and target: where something is sent."""


@dataclass(frozen=True)
class WayState:
    """How the sending of one page by one way stands. `failures`: in a row. `uncertain`: it may have arrived."""

    attempt: int
    at: datetime
    outcome: Outcome | None = None
    reason: str | None = None
    uncertain: bool = False
    failures: int = 0

    @property
    def taken(self) -> bool:
        return self.outcome is Outcome.SENT

    @property
    def rejected(self) -> bool:
        return self.outcome is Outcome.PERMANENT

    @property
    def given_up(self) -> bool:
        return self.rejected or (not self.taken and self.failures >= GIVE_UP_AFTER)

    def apply(self, delivery: Delivery) -> WayState:
        if self.taken and delivery.outcome is not Outcome.PERMANENT:
            return self
        if delivery.attempt < self.attempt and delivery.outcome is not Outcome.SENT:
            return self
        failed = delivery.outcome is not None and delivery.outcome is not Outcome.SENT
        return WayState(
            max(self.attempt, delivery.attempt), delivery.at, delivery.outcome, delivery.reason,
            self.uncertain or delivery.may_repeat, self.failures + failed,
        )  # fmt: skip


@dataclass(frozen=True)
class PageState:
    """A page, and what became of it by each way."""

    page: Page
    ways: dict[Place, WayState] = field(default_factory=dict)

    @property
    def is_sent(self) -> bool:
        """Whether it is meant to be sent: neither kept for later nor an empty step."""
        return bool(self.page.person) and self.page.until is None

    @property
    def is_refused(self) -> bool:
        return bool(self.ways) and all(way.rejected for way in self.ways.values())

    @property
    def is_taken(self) -> bool:
        """Whether any way took it."""
        return any(way.taken for way in self.ways.values())


class PageLog:
    """Every page that counts still. Takes records of `deliveries` in their order, each once."""

    def __init__(self) -> None:
        self._pages: dict[str, PageState] = {}
        self._runs: dict[str, tuple[datetime, dict[str, None]]] = {}
        self._last: dict[str, datetime] = {}
        self._times: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        self._notices: dict[str, datetime] = {}
        self._of_alert: dict[str, dict[str, None]] = defaultdict(dict)
        self._kept: dict[str, dict[str, None]] = defaultdict(dict)
        self._unfinished: dict[str, None] = {}
        self._sent_as: dict[tuple[str, str], tuple[str, Place]] = {}
        self._undelivered: set[tuple[str, str]] = set()
        self._codes: dict[str, dict[str, None]] = {}

    def copy(self) -> PageLog:
        """One that pages can be put into apart from this one. The states that both give out never change."""
        other = PageLog()
        other._pages = dict(self._pages)
        other._runs = {group: (run, dict(pages)) for group, (run, pages) in self._runs.items()}
        other._last, other._notices = dict(self._last), dict(self._notices)
        other._times.update({person: list(times) for person, times in self._times.items()})
        other._of_alert.update({alert: dict(pages) for alert, pages in self._of_alert.items()})
        other._kept.update({person: dict(pages) for person, pages in self._kept.items()})
        other._unfinished = dict(self._unfinished)
        other._codes = {code: dict(pages) for code, pages in self._codes.items()}
        other._sent_as, other._undelivered = dict(self._sent_as), set(self._undelivered)
        return other

    def take_page(self, page: Page) -> None:
        if page.id in self._pages:
            return
        self._pages[page.id] = PageState(page)
        if page.code:
            self._codes.setdefault(page.code, {})[page.id] = None
        for alert in page.alerts:
            self._of_alert[alert].setdefault(page.id)
        for group, run in page.groups.items():
            start, pages = self._runs.get(group, (run, {}))
            if run >= start:
                pages = pages if run == start else {}
                pages[page.id] = None
                self._runs[group] = run, pages
            if page.person and page.until is None:
                self._last[group] = max(page.at, self._last.get(group, page.at))
        kept = self._kept[page.person]
        for id_ in [id_ for id_ in kept if self._tells(page, self._pages[id_].page)]:
            del kept[id_]
        if page.person and page.until is not None:
            kept[page.id] = None
        elif page.person:
            self._unfinished[page.id] = None
        if page.why is PageWhy.NOTICE:
            self._notices[page.person] = max(page.at, self._notices.get(page.person, page.at))
        elif page.person and page.until is None and page.why is not PageWhy.CANARY:
            self._times[page.person].append((page.at, page.id))

    def take_delivery(self, delivery: Delivery) -> None:
        state = self._pages.get(delivery.page)
        if state is None:
            return  # of a version before there were pages, or its page is no longer kept
        place = (delivery.channel, delivery.target)
        way = state.ways.get(place)
        first = WayState(
            delivery.attempt, delivery.at, delivery.outcome, delivery.reason, delivery.may_repeat,
            int(delivery.outcome not in (None, Outcome.SENT)),
        )  # fmt: skip
        after = way.apply(delivery) if way else first
        self._pages[delivery.page] = replace(state, ways={**state.ways, place: after})
        for id_ in delivery.provider_ids:
            self._sent_as[delivery.channel, id_] = delivery.page, place
            if (delivery.channel, id_) in self._undelivered:
                undelivered = replace(after, outcome=Outcome.PERMANENT, reason=UNDELIVERED)
                self._pages[delivery.page] = replace(state, ways={**state.ways, place: undelivered})

    @staticmethod
    def _tells(page: Page, kept: Page) -> bool:
        """Whether what was kept is told with this page."""
        return bool(kept.groups) and all(page.groups.get(group) == run for group, run in kept.groups.items())

    def kept(self) -> Iterator[tuple[str, list[Page]]]:
        """People, and the pages to them that are kept for later and were not told with another since."""
        for person, ids in self._kept.items():
            if ids:
                yield person, [self._pages[id_].page for id_ in ids]

    def is_kept(self, person: str, group: str, run: datetime) -> bool:
        return any(self._pages[id_].page.groups.get(group) == run for id_ in self._kept[person])

    def drop_kept(self, page: Page) -> None:
        """What it was about is over."""
        self._kept[page.person].pop(page.id, None)

    def unfinished(self) -> list[PageState]:
        """The pages of which something may still be to be sent, oldest first."""
        return [self._pages[id_] for id_ in self._unfinished]

    def finish(self, page: Page) -> None:
        self._unfinished.pop(page.id, None)

    def newest_to(self, person: str, group: str) -> str | None:
        """The id of the newest page that was to be sent to this person about the group's newest run."""
        run = self._runs.get(group)
        ids = reversed(run[1]) if run else ()
        found = (id_ for id_ in ids if self._pages[id_].page.person == person and self._pages[id_].is_sent)
        return next(found, None)

    def take_receipt(self, receipt: Receipt) -> None:
        """What a provider says later of a message that it took, perhaps before its taking was written down. That one
        was delivered changes nothing: it is no answer. That one was not counts as refused, whatever came before."""
        if receipt.outcome is not Received.UNDELIVERED:
            return
        found = self._sent_as.get((receipt.channel, receipt.provider_id))
        if found is None:
            self._undelivered.add((receipt.channel, receipt.provider_id))
            return
        page, place = found
        state = self._pages[page]
        way = replace(state.ways[place], at=receipt.at, outcome=Outcome.PERMANENT, reason=UNDELIVERED)
        self._pages[page] = replace(state, ways={**state.ways, place: way})

    def sent_as(self, channel: str, provider_id: str) -> str | None:
        """The id of the page that a provider knows by this id."""
        found = self._sent_as.get((channel, provider_id))
        return found[0] if found else None

    def get(self, id_: str) -> PageState | None:
        return self._pages.get(id_)

    def all(self) -> Iterator[PageState]:
        return iter(self._pages.values())

    def run_of(self, group: str) -> tuple[datetime, list[PageState]] | None:
        """The start of the group's newest run and its pages, oldest first."""
        found = self._runs.get(group)
        return None if found is None else (found[0], [self._pages[id_] for id_ in found[1]])

    def last_page(self, group: str) -> datetime | None:
        """When anybody was last paged about the group."""
        return self._last.get(group)

    def last_notice(self, person: str) -> datetime | None:
        return self._notices.get(person)

    def not_needed(self, alerts: Set[str]) -> set[str]:
        """Those of these alerts without which every group stands as before: who is paged next follows from all that the
        pages of its newest run name."""
        runs = [{id_ for page in pages for id_ in self._pages[page].page.alerts} for _, pages in self._runs.values()]
        left = set(alerts)
        while needed := {id_ for named in runs if not named <= left for id_ in named & left}:
            left -= needed
        return left

    def forget(self, alerts: Set[str], before: datetime) -> None:
        """Drop the pages that name none but these alerts, which are `not_needed`, and what is counted of pages from
        before that instant."""
        named = {id_ for alert in alerts for id_ in self._of_alert.pop(alert, ())}
        gone = {id_ for id_ in named if not any(alert in self._of_alert for alert in self._pages[id_].page.alerts)}
        gone |= {id_ for id_ in self._of_alert.get(ABOUT_NO_ALERT, ()) if self._pages[id_].page.at < before}
        for id_ in gone:
            page = self._pages.pop(id_).page
            self._unfinished.pop(id_, None)
            self._kept[page.person].pop(id_, None)
            for alert in page.alerts:
                self._of_alert.get(alert, {}).pop(id_, None)
            self._codes.get(page.code, {}).pop(id_, None)
        for group in [group for group, (_, pages) in self._runs.items() if pages and pages.keys() <= gone]:
            del self._runs[group]
            self._last.pop(group, None)
        self._sent_as = {key: place for key, place in self._sent_as.items() if place[0] not in gone}
        for person, times in self._times.items():
            self._times[person] = [(at, id_) for at, id_ in times if at >= before and id_ in self._pages]

    def naming(self, alert: str) -> list[PageState]:
        """The pages that name this alert, oldest first; kept ones and notices among them."""
        return [self._pages[id_] for id_ in self._of_alert.get(alert, ())]

    def braked_until(
        self, page: Page, now: datetime, pages: int, within: timedelta, besides: Iterable[Page] = ()
    ) -> datetime | None:
        """When the person may be paged so again; None when now. `besides`: pages to them that are about to be written.

        Only what is at least as severe counts, and an exercise never against the real thing: nothing lesser keeps
        anybody from what is critical. What every way refused has disturbed nobody, and does not count.
        """
        recent = [now for each in besides if _is_as_grave(each, page)]
        for at, id_ in reversed(self._times[page.person]):
            if len(recent) >= pages or now - at >= within:
                break
            earlier = self._pages[id_]
            if not earlier.is_refused and _is_as_grave(earlier.page, page):
                recent.append(at)
        return recent[-1] + within if len(recent) >= pages else None

    def by_code(self, code: str) -> PageState | None:
        """The newest page with this code."""
        return next((self._pages[id_] for id_ in reversed(self._codes.get(code, {}))), None)

    def with_code(self, code: str) -> Iterator[PageState]:
        """Every page with this code."""
        return (self._pages[id_] for id_ in self._codes.get(code, ()))


def _is_as_grave(earlier: Page, page: Page) -> bool:
    """Whether an earlier page counts against this one. What older versions wrote says nothing of its severity."""
    if earlier.exercise and not page.exercise:
        return False
    return earlier.severity is None or page.severity is None or earlier.severity.rank <= page.severity.rank


def as_sent(each: PageState, pages: Sequence[PageState]) -> PageState:
    """A page that was kept for later as it went at last, with others: then too it may be refused."""
    page = each.page
    if page.until is None:
        return each
    later = (p for p in reversed(pages) if p.is_sent and p.page.person == page.person and p.page.at >= page.at)
    return next(later, each)
