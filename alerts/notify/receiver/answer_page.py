"""What the page behind a link shows, and what pressing its button does.

Looking changes nothing: scanners open links, and some run scripts and send forms. Who presses must have chosen who they
are, which no form does by itself. An answer covers exactly the alerts that the page named when it was sent. A link is
not used up: a second press says who had it first.

Whoever holds a link may have got it from somebody else: no id, link or author of a post is on the page, nobody's reason
or note, and a post's words only where the settings say so and they show no patient.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from itertools import islice
from typing import NamedTuple

from alerts.notify import card
from alerts.notify.answers import acknowledge_all
from alerts.notify.channels.text import one_line
from alerts.notify.followed import FollowedBook
from alerts.notify.held import fields_of
from alerts.notify.layout import Layout
from alerts.notify.links import Links
from alerts.notify.messages import Messages
from alerts.notify.pages import PageState, WayState
from alerts.notify.recipients import CONSOLE, People
from alerts.notify.samples import Sampled, Samples, keys_of
from alerts.notify.state import AlertBook, AlertState
from alerts.notify.wording import Wording
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import BusError
from listener.model.deliveries import Page, PageWhy
from listener.model.records import DecisionKind

log = logging.getLogger(__name__)
audit = logging.getLogger("lyttepost.audit")

LONGEST_NAME = 60
LISTED = 10
"""Alerts of each list, and steps of the history, at most."""
CALLED = 30
"""Calls that are listed, the newest."""
LONGEST_SAMPLE = 280
"""Characters."""


class Choice(NamedTuple):
    key: str
    name: str


class SampleLine(NamedTuple):
    """`text`: a post's words, or why they are not shown: then they are `veiled`. `about`: when, and of what kind."""

    about: str
    text: str
    veiled: bool


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
    what, each in words. `silenced`: which silence holds it back now. `held`: what these alerts stand for, because a
    silence or one of them held it back. `veiled`: words of posts are shown to nobody here. `unchosen`: the button was
    pressed and nobody chosen."""

    messages: Messages
    layout: Layout
    answered: tuple[str, ...]
    choices: tuple[Choice, ...]
    silenced: tuple[str, ...]
    samples: tuple[SampleLine, ...]
    veiled: bool
    called: tuple[str, ...]
    held: tuple[str, ...]
    also_open: tuple[str, ...]
    history: tuple[str, ...]
    call: str
    unchosen: bool = False


@dataclass(frozen=True)
class AnswerPages:
    """Used by one thread, that of the worker. `people`: people.yaml as it is in force. `languages`: as in `Cards`.
    `call`: whom to call where a link does not help; may be empty. `samples`: asks for posts, and may be called by this
    thread. `texts`: their words may be shown, but for those that may show who a patient is."""

    bus: Bus
    clock: Clock
    links: Links
    people: Callable[[], People]
    messages: Messages
    languages: Mapping[str, Messages]
    book: FollowedBook
    call: str
    samples: Samples = lambda _: {}
    texts: bool = False

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

        def worded(these: Iterable[AlertState]) -> list[Wording]:
            return [Wording(state, messages, now, in_house=False) for state in these]

        open_, words = any(state.is_open for state in states), worded(states)
        said = [each for each in words if each.handled()]
        answered = [each.member() if len(words) > 1 else each.handled() for each in said]
        choices = (
            [Choice(key, one_line(people.name(key))) for key in self._may_answer(page, book, states)] if open_ else []
        )
        ours, incidents = {state.id for state in states}, {state.alert.incident for state in states}
        held = [id_ for state in states for id_ in state.alert.covers] + list(page.held)
        known = (state for id_ in dict.fromkeys(held) if (state := book.get(id_)) is not None)
        others = (s for s in book.open() if s.id not in ours and s.alert.incident in incidents)
        besides = islice((s for s in others if not s.alert.synthetic), LISTED)
        return Shown(
            messages, card.layout(states, people, messages, now=now), tuple(answered), tuple(choices),
            tuple(dict.fromkeys(line for state in states for line in self._silenced(book, state, messages, now))),
            tuple(self._samples(page, states, messages, now)), not self.texts,
            tuple(self._called(book, people, states, messages, now)),
            tuple(each.member() for each in worded(islice(known, LISTED))),
            tuple(
                " · ".join([each.member(), *self._silenced(book, each.state, messages, now)])
                for each in worded(besides)
            ),
            tuple(self._history(states, people, messages, now)), self._whom_to_call(messages), unchosen,
        )  # fmt: skip

    def _silenced(self, book: AlertBook, state: AlertState, messages: Messages, now: datetime) -> Iterable[str]:
        """What holds an open alert back now: until when, and by whom."""
        if state.is_open and not state.alert.synthetic:
            for each in book.silences.about(fields_of(state)):
                if each.at(now):
                    time = messages.time(each.end, now)
                    yield messages.on_page("silenced", time=time, name=each.silence.by)

    def _samples(
        self, page: Page, states: Sequence[AlertState], messages: Messages, now: datetime
    ) -> Iterable[SampleLine]:
        """Some of the posts that the alerts rest on. What cannot be read is no reason to show no page."""
        if not (keys := list(keys_of(states))):
            return
        try:
            found = self.samples(keys)
        except (BusError, sqlite3.Error) as error:
            log.warning("receiver: the posts of the page %s cannot be read: %s", page.id, type(error).__name__)
            return
        if self.texts and any(not each.exposed for each in found.values()):
            audit.info("audit: whoever holds the link of the page %s (%s) read posts of it", page.id, page.person)
        for key in keys:
            if (its := found.get(key)) is not None:
                yield self._sample(its, messages, now)
            elif self.texts:
                yield SampleLine("", messages.on_page("sample_removed"), veiled=True)

    def _sample(self, its: Sampled, messages: Messages, now: datetime) -> SampleLine:
        # The second of a post leads to it: see `Wording.posted`.
        time = messages.time(its.at.replace(second=0, microsecond=0), now)
        about = " · ".join([time, *(messages.kind[kind][0] for kind in its.kinds)])
        if not self.texts:
            return SampleLine(about, "", veiled=True)
        if its.exposed:
            return SampleLine(about, messages.on_page("sample_withheld"), veiled=True)
        return SampleLine(about, one_line(its.text, LONGEST_SAMPLE), veiled=False)

    def _may_answer(self, page: Page, book: AlertBook, states: Iterable[AlertState]) -> list[str]:
        """The keys of people: whom the page went to, then all others who were called about its alerts."""
        called = [each.page.person for state in states for each in book.pages.naming(state.id) if _calls(each)]
        known = self.people().people
        return [key for key in dict.fromkeys([page.person, *called]) if key in known]

    def _called(
        self, book: AlertBook, people: People, states: Iterable[AlertState], messages: Messages, now: datetime
    ) -> Iterable[str]:
        """Who was called about any of these, by which ways, when, and whether the message was taken."""
        pages = {each.page.id: each for state in states for each in book.pages.naming(state.id) if _calls(each)}
        calls = [
            (way.at, each.page.person, channel, way)
            for each in pages.values() if each.page.person != CONSOLE
            for (channel, _), way in each.ways.items()
        ]  # fmt: skip
        for at, person, channel, way in sorted(calls, key=lambda call: call[:3])[-CALLED:]:
            said = {"name": people.name(person), "channel": messages.channel(channel), "time": messages.time(at, now)}
            yield messages.on_page(_outcome(way), **said)

    def _history(
        self, states: Iterable[AlertState], people: People, messages: Messages, now: datetime
    ) -> Iterable[str]:
        """What people said, oldest first, without their reasons; and that nobody said anything for too long."""
        words = {(word.at, word.kind, word.by, word.to or "") for state in states for word in state.words}
        for at, kind, by, to in sorted(words)[-LISTED:]:
            said = {"name": by, "time": messages.time(at, now)}
            if kind in (DecisionKind.ACKNOWLEDGE, DecisionKind.CLOSE):
                yield messages.say("acknowledged" if kind is DecisionKind.ACKNOWLEDGE else "closed", **said)
            elif kind is DecisionKind.REOPEN:
                yield messages.on_page("reopened", time=said["time"])
            elif kind is DecisionKind.ASSIGN:
                yield messages.on_page("assigned", to=people.name(to), **said)
            elif kind in (DecisionKind.RESOLVE, DecisionKind.NOTE):
                yield messages.on_page("resolved" if kind is DecisionKind.RESOLVE else "noted", **said)

    def _whom_to_call(self, messages: Messages) -> str:
        return messages.on_page("call", call=self.call) if self.call else messages.on_page("call_nobody")

    def _in_the_language_of(self, person: str) -> Messages:
        known = self.people().people
        its = known[person].language if person in known else None
        return self.languages.get(its or "", self.messages)


def _outcome(way: WayState) -> str:
    """Of a text under `page`."""
    return "called" if way.taken else "call_failed" if way.given_up else "calling"


def _calls(page: PageState) -> bool:
    """Whether somebody was called by it, and did not only hear of something."""
    return page.is_sent and page.page.why is not PageWhy.NOTICE
