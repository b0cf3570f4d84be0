"""What people hear without having to answer: that somebody has it, that it has passed, that a silence ends soon, that
an incident was closed, how it stands. Each once, to whom it concerns, by ways that wake nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from alerts.notify import reports
from alerts.notify.held import Holding, fields_of
from alerts.notify.plan import NoticeKind, digest
from alerts.notify.recipients import People
from alerts.notify.sends import NOTICE_FOR
from alerts.notify.silences import SilenceState
from alerts.notify.state import AlertBook, AlertState, Condition, Handling
from listener.model.deliveries import Page, PageWhy
from listener.model.records import DecisionKind


class NoticePlan:
    def __init__(
        self, book: AlertBook, people: People, wakes: Callable[[str], bool], documents: Callable[[str], bool]
    ) -> None:
        """`wakes`, `documents`: whether a channel wakes a sleeper, and whether it takes a situation report."""
        self._book = book
        self._people = people
        self._wakes = wakes
        self._documents = documents

    def due(self, now: datetime) -> tuple[list[Page], datetime | None]:
        """The notices to write down now, and when to ask again at the latest."""
        pages = [*self._acknowledged(now), *self._silences(now), *self._incidents(now)]
        passed, wake_at = self._resolved(now)
        return [*pages, *passed], wake_at

    def _acknowledged(self, now: datetime) -> Iterable[Page]:
        self._book.said[:] = [(word, id_) for word, id_ in self._book.said if now - word.at < NOTICE_FOR]
        words: dict[tuple[datetime, str, str | None], list[AlertState]] = {}
        for word, id_ in self._book.said:
            state = self._book.get(id_)
            if word.kind is DecisionKind.ACKNOWLEDGE and state is not None and not state.alert.synthetic:
                words.setdefault((word.at, word.by, word.page), []).append(state)
        for (at, by, page), states in words.items():
            author = self._people.key_of(by)
            answered = self._book.pages.get(page) if page else None
            if answered is not None and answered.page.person != author:
                author = None  # by another's link: who is named must hear of it
            # Who is called later, because nobody said a word since, must not hear that somebody has it.
            called = {state.id: self._called(state, until=at) for state in states}
            people = {person for state in states for person in called[state.id] if person != author}
            for person in sorted(people):
                its = [state for state in states if person in called[state.id]]
                if self._soft(person):
                    yield from self._page(NoticeKind.ACKNOWLEDGED, person, its, now, at.isoformat(), by)

    def _resolved(self, now: datetime) -> tuple[list[Page], datetime | None]:
        """To those who were told that it fires, once, and no oftener than the interval. What is open and paged still is
        told by its run; what is held back has none."""
        due: dict[str, list[AlertState]] = {}
        left: list[tuple[datetime, str]] = []
        wake_at: datetime | None = None
        holding = Holding(self._people.inhibit, self._book.silences, self._book.all() if self._book.passed else ())
        for at, id_ in self._book.passed:
            state = self._book.get(id_)
            if state is None or now - at > NOTICE_FOR or state.alert.synthetic or state.handling is Handling.CLOSED:
                continue
            held = state.is_open and holding.held(state, now)
            if state.is_open and not held:
                left.append((at, id_))
                continue
            waits = False
            for person in self._called(state):
                if not (self._soft(person) or held) or self._knows(person, state):
                    continue
                last = self._book.pages.last_notice(person)
                free = at if last is None else max(at, last + self._people.grouping.interval)
                if free <= now:
                    due.setdefault(person, []).append(state)
                else:
                    waits = True
                    wake_at = free if wake_at is None else min(wake_at, free)
            if waits:
                left.append((at, id_))
        self._book.passed[:] = left
        pages = [
            page
            for person, states in sorted(due.items())
            for page in self._page(NoticeKind.RESOLVED, person, states, now, *sorted(state.id for state in states))
        ]
        return pages, wake_at

    def _silences(self, now: datetime) -> Iterable[Page]:
        for silence in self._book.silences.all():
            owner = self._people.key_of(silence.silence.by)
            if owner is None or not silence.notice_at <= now < silence.end:
                continue
            if not any(other.prolongs(silence) for other in self._book.silences.all()):
                states = [state for state in self._book.open() if self._is_let_go(silence, state)]
                yield from self._page(
                    NoticeKind.SILENCE_ENDS_SOON,
                    owner,
                    states,
                    now,
                    silence.id,
                    silence.end.isoformat(),
                    silence=silence.id,
                )

    def _incidents(self, now: datetime) -> Iterable[Page]:
        for state in self._book.notices():
            if now - state.fired_at >= NOTICE_FOR:
                continue
            if reports.is_report(state.alert):
                yield from self._report(state, now)
            else:
                called = {p: None for closed in self._book.closed_with(state) for p in self._called(closed)}
                route = dict.fromkeys(self._people.on_route(state.alert.to, now)) if state.alert.to else {}
                for person in filter(self._soft, called | route):
                    yield from self._page(NoticeKind.INCIDENT, person, [state], now, state.id)

    def _report(self, state: AlertState, now: datetime) -> Iterable[Page]:
        if not reports.is_over(state, self._book):
            for person in self._people.on_route(state.alert.to, now):
                if any(self._documents(contact.channel) for contact in self._people.contacts(person)):
                    yield from self._page(NoticeKind.REPORT, person, [state], now, state.id)

    def _page(
        self, what: NoticeKind, person: str, states: list[AlertState], now: datetime, *ref: str, silence: str = ""
    ) -> Iterable[Page]:
        page = digest("notice", what, person, *ref)
        if self._book.pages.get(page) is None:
            named = {state.id: state.condition.value for state in states} or {silence: Condition.FIRING.value}
            yield Page(
                id=page, at=now, why=PageWhy.NOTICE, what=what.value, person=person, alerts=named, gently=True,
                about=silence,
                exercise=bool(states) and all(state.alert.exercise for state in states),
            )  # fmt: skip

    def _called(self, state: AlertState, until: datetime | None = None) -> list[str]:
        pages = (each.page for each in self._book.pages.naming(state.id) if each.is_sent)
        its = (page for page in pages if page.why is not PageWhy.NOTICE and (until is None or page.at <= until))
        return list(dict.fromkeys(page.person for page in its))

    def _knows(self, person: str, state: AlertState) -> bool:
        """Whether the last that this person was told of it is that it has passed."""
        told = [e.page for e in self._book.pages.naming(state.id) if e.is_sent and e.page.person == person]
        return bool(told) and told[-1].alerts.get(state.id) == Condition.RESOLVED

    def _soft(self, person: str) -> bool:
        return any(not self._wakes(contact.channel) for contact in self._people.contacts(person))

    def _is_let_go(self, silence: SilenceState, state: AlertState) -> bool:
        """Whether it is paged when the silence ends, for no other one goes on to hold it."""
        fields = fields_of(state)
        others = (other for other in self._book.silences.about(fields) if other.id != silence.id)
        return silence.holds(fields) and not any(other.at(silence.end) for other in others)
