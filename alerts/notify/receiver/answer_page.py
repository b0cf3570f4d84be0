"""What the page behind a link shows, and what pressing its button does.

Looking changes nothing: scanners open links, and some run scripts and send forms. Who presses must have chosen who they
are, which no form does by itself. An answer covers exactly the alerts that the page named when it was sent. A link is
not used up: a second press says who had it first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import NamedTuple

from alerts.notify import card
from alerts.notify.answers import acknowledge_all
from alerts.notify.card import Called
from alerts.notify.channels.text import one_line
from alerts.notify.followed import FollowedBook
from alerts.notify.layout import Layout
from alerts.notify.links import Links
from alerts.notify.messages import Messages
from alerts.notify.pages import PageState
from alerts.notify.recipients import CONSOLE, People
from alerts.notify.state import AlertBook, AlertState
from alerts.notify.wording import Wording
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.model.deliveries import Page, PageWhy
from listener.model.records import DecisionKind

log = logging.getLogger(__name__)

LONGEST_NAME = 60
LISTED = 10
"""Alerts that are open besides, and steps of the history, at most."""


class Choice(NamedTuple):
    key: str
    name: str


@dataclass(frozen=True)
class Trouble:
    """A page that shows no alert: `what` of the texts under `page`, and its sentence."""

    status: HTTPStatus
    messages: Messages
    title: str
    text: str
    call: str


@dataclass(frozen=True)
class Shown:
    """An alert's page. `choices`: who may say that they have it; none when nothing is left to say. `answered`: who has
    what, each in words. `unchosen`: the button was pressed and nobody chosen."""

    messages: Messages
    layout: Layout
    answered: tuple[str, ...]
    choices: tuple[Choice, ...]
    also_open: tuple[str, ...]
    history: tuple[str, ...]
    call: str
    unchosen: bool = False


@dataclass(frozen=True)
class AnswerPages:
    """Used by one thread, that of the worker. `people`: people.yaml as it is in force. `languages`: as in `Cards`.
    `call`: whom to call where a link does not help; may be empty."""

    bus: Bus
    clock: Clock
    links: Links
    people: Callable[[], People]
    messages: Messages
    languages: Mapping[str, Messages]
    book: FollowedBook
    call: str

    def trouble(self, what: str, status: HTTPStatus, messages: Messages | None = None, **values: object) -> Trouble:
        messages = messages or self.messages
        title, text = messages.on_page(what), messages.on_page(f"{what}_text", **values)
        return Trouble(status, messages, title, text, self._whom_to_call(messages))

    def look(self, token: str) -> Shown | Trouble:
        """Raises BusError."""
        found = self._found(token)
        return found if isinstance(found, Trouble) else self._shown(*found)

    def press(self, token: str, who: str, name: str) -> Shown | Trouble | None:
        """`who`: the key of a person who was chosen; empty with a `name` that was written. None when it was recorded:
        it is durable then. Raises BusError."""
        found = self._found(token)
        if isinstance(found, Trouble):
            return found
        page, states = found
        known = who in self._may_answer(page, self.book.read(), states)
        by = self.people().signature(who) if known else "" if who else one_line(name, LONGEST_NAME)
        if not by:
            return self._shown(page, states, unchosen=True)
        ids = [state.id for state in states]
        done = acknowledge_all(self.bus, self.book.read(), ids, by, "", self.clock.now(), self.book.read, page.id)
        what = "receiver: %d alerts acknowledged by a link, of the page %s; %d before"
        log.info(what, len(done.mine), page.id, len(done.before))
        return None

    def _found(self, token: str) -> tuple[Page, list[AlertState]] | Trouble:
        id_ = self.links.page_named(token)
        if id_ is None:
            return self.trouble("unknown", HTTPStatus.NOT_FOUND)
        book, now = self.book.read(), self.clock.now()
        state = book.pages.get(id_)
        if state is None:
            # Signed by us, and gone: it is older than the log.
            return self.trouble("unknown", HTTPStatus.NOT_FOUND)
        page, people = state.page, self.people()
        messages = self._in_the_language_of(page.person)
        if self.links.is_over(page, now):
            return self.trouble("over", HTTPStatus.GONE, messages, time=messages.time(page.at, now))
        if not people.contacts(page.person):
            return self.trouble("withdrawn", HTTPStatus.GONE, messages)
        states = [found for each in page.alerts if (found := book.get(each)) is not None]
        return (page, states) if states else self.trouble("unknown", HTTPStatus.NOT_FOUND)

    def _shown(self, page: Page, states: Sequence[AlertState], *, unchosen: bool = False) -> Shown:
        book, people, now = self.book.read(), self.people(), self.clock.now()
        messages = self._in_the_language_of(page.person)
        called = list(self._called(book, people, states))
        open_ = any(state.is_open for state in states)
        words = [Wording(state, messages, now, in_house=False) for state in states]
        said = [each for each in words if each.handled()]
        answered = [each.member() if len(words) > 1 else each.handled() for each in said]
        choices = [Choice(key, people.name(key)) for key in self._may_answer(page, book, states)] if open_ else []
        ours, incidents = {state.id for state in states}, {state.alert.incident for state in states}
        others = (s for s in book.open() if s.id not in ours and s.alert.incident in incidents)
        besides = [Wording(state, messages, now, in_house=False).member() for state in islice(others, LISTED)]
        return Shown(
            messages, card.layout(states, people, messages, now=now, called=called),
            tuple(answered), tuple(choices), tuple(besides), tuple(self._history(states, messages, now)),
            self._whom_to_call(messages), unchosen,
        )  # fmt: skip

    def _may_answer(self, page: Page, book: AlertBook, states: Iterable[AlertState]) -> list[str]:
        """The keys of people: whom the page went to, then all others who were called about its alerts."""
        called = [each.page.person for state in states for each in book.pages.naming(state.id) if _calls(each)]
        known = self.people().people
        return [key for key in dict.fromkeys([page.person, *called]) if key in known]

    def _called(self, book: AlertBook, people: People, states: Iterable[AlertState]) -> Iterable[Called]:
        """Who was paged about any of these, by which ways that took it, and when."""
        pages = {each.page.id: each for state in states for each in book.pages.naming(state.id) if _calls(each)}
        for each in sorted(pages.values(), key=lambda each: each.page.at):
            if each.page.person != CONSOLE:
                for (channel, _), way in each.ways.items():
                    if way.taken:
                        yield Called(people.name(each.page.person), channel, way.at)

    def _history(self, states: Iterable[AlertState], messages: Messages, now: datetime) -> Iterable[str]:
        """What people said, oldest first, without their reasons; and that nobody said anything for too long."""
        texts = {DecisionKind.ACKNOWLEDGE: "acknowledged", DecisionKind.CLOSE: "closed"}
        words = {(word.at, word.kind, word.by) for state in states for word in state.words}
        for at, kind, by in sorted(words, key=lambda word: word[0])[-LISTED:]:
            if kind in texts:
                yield messages.say(texts[kind], name=by, time=messages.time(at, now))
            elif kind is DecisionKind.REOPEN:
                yield messages.on_page("reopened", time=messages.time(at, now))

    def _whom_to_call(self, messages: Messages) -> str:
        return messages.on_page("call", call=self.call) if self.call else messages.on_page("call_nobody")

    def _in_the_language_of(self, person: str) -> Messages:
        known = self.people().people
        its = known[person].language if person in known else None
        return self.languages.get(its or "", self.messages)


def _calls(page: PageState) -> bool:
    """Whether somebody was called by it, and did not only hear of something."""
    return page.is_sent and page.page.why is not PageWhy.NOTICE
