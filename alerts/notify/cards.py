"""The card of one send: which of the cards and notices it is, in the language of the person it goes to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from alerts.notify import card, notices
from alerts.notify.channels.callbacks import CallsBack
from alerts.notify.channels.card import Card
from alerts.notify.channels.contract import Channel
from alerts.notify.links import Links
from alerts.notify.messages import Messages
from alerts.notify.plan import NoticeKind
from alerts.notify.recipients import People
from alerts.notify.reports import MakeReport
from alerts.notify.sends import Send
from alerts.notify.state import AlertBook, AlertState
from listener.errors import LyttepostError
from listener.model.deliveries import Page, PageWhy
from listener.model.records import Alert, Decision, DecisionKind

log = logging.getLogger(__name__)

_BECAUSE = {
    PageWhy.CHANGED: "changed",
    PageWhy.DIGEST: "digest",
    PageWhy.QUIET_HOURS_OVER: "quiet_hours_over",
    PageWhy.LAST_RESORT: "last_resort",
    PageWhy.ASSIGNED: "assigned",
}


class Cards:
    """`languages`: the messages of people who read another language than `messages` is in. `links`: where they are set
    up. `wakes`: whether a channel wakes a sleeper. `report`: makes situation reports, where they are mailed."""

    def __init__(
        self,
        book: AlertBook,
        people: People,
        messages: Messages,
        languages: Mapping[str, Messages],
        texts: card.Texts | None,
        links: Links | None,
        wakes: Callable[[str], bool],
        report: MakeReport | None,
    ) -> None:
        self._book = book
        self._people = people
        self._messages = messages
        self._languages = languages
        self._texts = texts
        self._links = links
        self._wakes = wakes
        self._make_report = report

    def make(
        self, send: Send, states: Sequence[AlertState], also: Sequence[Alert], channel: Channel, at: datetime
    ) -> Card:
        """Called in a thread of its own: `states` are those that the page names, as they stood, and `also` the alerts
        of other incidents that they cover."""
        try:
            return self._made(send, states, also, channel, at)
        except Exception:  # A defect of ours in a card's details must not keep an alert from its person.
            if not states:
                raise LyttepostError("a page whose alerts are no longer kept") from None
            return card.bare(states[0], step=send.nth, may_repeat=send.may_repeat)

    def _made(
        self, send: Send, states: Sequence[AlertState], also: Sequence[Alert], channel: Channel, at: datetime
    ) -> Card:
        page, messages = send.page, self._in_the_language_of(send.page.person)
        if page.why is PageWhy.NOTICE and page.what in (NoticeKind.ACKNOWLEDGED, NoticeKind.SILENCE_ENDS_SOON):
            return self._notice(send, states, messages, at)
        if page.why is PageWhy.NOTICE and page.what == NoticeKind.HELP:
            return self._help(send, messages, channel, at)
        if page.why is PageWhy.NOTICE and page.what == NoticeKind.REPORT:
            return self._report(send, states[0].alert, messages, at)
        because = _BECAUSE.get(page.why, "")
        if page.why is PageWhy.STEP and page.round == 0 and page.step == 0 and any(map(_reopened, states)):
            because = "unacknowledged"
        return card.build(
            states,
            self._people,
            messages,
            now=at,
            in_house=channel.in_house,
            step=send.nth,
            may_repeat=send.may_repeat,
            texts=self._texts,
            also=also,
            covered=[
                held for state in states for id_ in state.alert.covers if (held := self._book.get(id_)) is not None
            ],
            marks=("digest",) if page.why is PageWhy.DIGEST else (),
            code=page.code if _hears_replies(channel) else None,
            link=self._link(page, channel),
            why=because,
        )

    def _notice(self, send: Send, states: Sequence[AlertState], messages: Messages, at: datetime) -> Card:
        if send.page.what == NoticeKind.ACKNOWLEDGED:
            said = next(w for w in reversed(states[0].words) if w.kind is DecisionKind.ACKNOWLEDGE)
            return notices.has_it(states, said.by, said.at, messages, now=at, may_repeat=send.may_repeat)
        silences = self._book.silences
        # Older versions did not write down which it is.
        silence = silences.get(send.page.about) or silences.ending(send.page.person, self._people.key_of, send.page.at)
        what = ", ".join(f"{name}={value}" for name, value in silence.silence.match.items())
        return notices.silence_ends(
            silence.id, what, silence.end, messages, now=at, open_=states, may_repeat=send.may_repeat
        )

    def _report(self, send: Send, alert: Alert, messages: Messages, at: datetime) -> Card:
        """One that cannot be made is no reason to say nothing."""
        report = None
        try:
            if self._make_report is not None:
                report = self._make_report(alert, self._people, self._wakes, at).get(messages.language)
        except LyttepostError as error:
            log.warning("dispatch: the situation report %s cannot be made: %s", alert.id, error)
        return notices.situation_report(
            alert, messages, now=at, board_url=self._people.board_url, report=report, failed=report is None,
            may_repeat=send.may_repeat,
        )  # fmt: skip

    def _help(self, send: Send, messages: Messages, channel: Channel, at: datetime) -> Card:
        meant = self._book.pages.get(send.page.about)
        if meant is None:
            return notices.reply_help((), messages, now=at, may_repeat=send.may_repeat)
        states = [state for id_ in meant.page.alerts if (state := self._book.get(id_)) is not None and state.is_open]
        code = meant.page.code if _hears_replies(channel) else None
        over = self._links is not None and self._links.is_over(meant.page, at)
        link = None if over else self._link(meant.page, channel)
        return notices.reply_help(states, messages, now=at, code=code, link=link, may_repeat=send.may_repeat)

    def _link(self, page: Page, channel: Channel) -> str | None:
        """None on what stays inside: a terminal has the command, and what a console prints may end in a log."""
        return None if self._links is None or channel.in_house else self._links.to(page)

    def _in_the_language_of(self, person: str) -> Messages:
        its = self._people.people[person].language if person in self._people.people else None
        return self._languages.get(its or "", self._messages)


def _hears_replies(channel: Channel) -> bool:
    its = channel.callbacks if isinstance(channel, CallsBack) else None
    return its is not None and its.reply is not None


def _reopened(state: AlertState) -> bool:
    """Whether the last thing that happened to it is that nobody said anything."""
    last: Decision | None = state.words[-1] if state.words else None
    return last is not None and last.kind is DecisionKind.REOPEN
