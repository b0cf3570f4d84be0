"""Alerts at the board: all that are open, one in full, and what a person may say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from alerts.board.access.roles import May, Who
from alerts.board.application import Endpoint, NotFound, Site
from alerts.board.frame.forms import Form
from alerts.board.now_page import alert_line, headline, is_review
from alerts.board.said_pages import SaidLine
from alerts.board.worker import Inside
from alerts.duty.people import known_person
from alerts.notify import card, silencing, words
from alerts.notify.answers import word_of
from alerts.notify.incident_alerts import OURSELVES
from alerts.notify.layout import Layout
from alerts.notify.recipients import CONSOLE, People
from alerts.notify.silences import SilenceState
from alerts.notify.state import AlertBook, AlertState, Handling
from alerts.notify.wording import Wording
from alerts.register.subjects import refuse_quotes
from alerts.situation.words import Words
from listener.errors import Refused, UsageError
from listener.model.deliveries import PageWhy
from listener.model.records import Decision, DecisionKind
from listener.units import parse_duration

HANDLE = {"ack": DecisionKind.ACKNOWLEDGE, "resolve": DecisionKind.RESOLVE, "close": DecisionKind.CLOSE}
SILENCE_FOR = ("30m", "1h", "2h", "4h", "12h")
LISTED = 200
"""Alerts of a list."""


class PagedLine(NamedTuple):
    time: str
    who: str
    why: str
    ways: Sequence[str]


class SilenceLine(NamedTuple):
    id: str
    what: str
    until: str
    by: str
    why: str
    holds: int


@dataclass(frozen=True)
class AlertView:
    id: str
    layout: Layout
    state: AlertState
    paged: Sequence[PagedLine]
    said: Sequence[SaidLine]
    silences: Sequence[SilenceLine]
    next: str
    sent_with: str
    people: Sequence[tuple[str, str]]
    """Whom it can be assigned to: key and name."""
    passed: bool
    review: bool
    """It asks whether it still is a crisis."""


def pages(site: Site, inside: Callable[[], Inside]) -> list[tuple[str, str, Endpoint]]:
    async def listed(request: Request) -> Response:
        who = site.visitor(request)
        situation = site.now()
        silences = await site.hand_over(lambda: _silences(inside(), site.words_for(request)))
        ours, reads = site.words_for(request), who.may(May.READ_POSTS)
        return site.page(
            request, who, "alerts.html",
            alerts=[alert_line(each, situation, ours, reads=reads) for each in situation.open[:LISTED]],
            had=[alert_line(each, situation, ours, reads=reads) for each in situation.had[:LISTED]], silences=silences,
        )  # fmt: skip

    async def one(request: Request) -> Response:
        who = site.visitor(request)
        id_, ours, reads = str(request.path_params["id"]), site.words_for(request), who.may(May.READ_POSTS)
        found = await site.hand_over(lambda: _look(inside(), id_, ours, reads=reads))
        if reads:
            site.looked(request, who, f"alert {found.id}")
        lengths = [(each, ours.messages.duration(parse_duration(each))) for each in SILENCE_FOR]
        return site.page(request, who, "alert.html", it=found, lengths=lengths)

    async def say(request: Request) -> Response:
        who, form = await site.form(request, May.ANSWER_ALERTS)
        id_, what, ours = str(request.path_params["id"]), str(request.path_params["what"]), site.words_for(request)
        back = "/" if form.one("back") == "/" else f"/alerts/{id_}"
        try:
            lines, wrong = await site.hand_over(
                lambda: inside().act(lambda: _say(inside(), id_, what, who, form, ours)), press=True
            )
        except (UsageError, Refused) as error:
            return site.done(request, who, back, site.refused(ours, error), wrong=True, form=form)
        return site.done(request, who, back, lines, wrong=wrong)

    async def unsilence(request: Request) -> Response:
        who, form = await site.form(request, May.ANSWER_ALERTS)
        id_, ours = str(request.path_params["id"]), site.words_for(request)
        try:
            lines = await site.hand_over(
                lambda: inside().act(lambda: _unsilence(inside(), id_, form.one("why"), who, ours)), press=True
            )
            return site.done(request, who, "/alerts", lines)
        except (UsageError, Refused) as error:
            return site.done(request, who, "/alerts", site.refused(ours, error), wrong=True, form=form)

    return [
        ("/alerts", "GET", listed),
        ("/alerts/{id}", "GET", one),
        ("/alerts/{id}/{what}", "POST", say),
        ("/silences/{id}/end", "POST", unsilence),
    ]


def _found(book: AlertBook, id_: str) -> AlertState:
    try:
        return book.find(id_)
    except UsageError:
        raise NotFound from None


def _look(inside: Inside, id_: str, ours: Words, *, reads: bool) -> AlertView:
    followed, now, messages = inside.followed, inside.now, ours.messages
    book, people = followed.alerts(), inside.people or People()
    state = _found(book, id_)
    said = Wording(state, messages, now, in_house=reads)
    situation = inside.situation
    coming = situation.listing.coming(state) if situation else None
    sent_with = situation.listing.sent_with(state) if situation else None
    silences = situation.listing.held(state).silences if situation else ()

    def texts(posts: Sequence[str]) -> Mapping[str, str | None]:
        found = followed.register.samples(posts)
        return {post: None if its.exposed else its.text for post, its in found.items()}

    return AlertView(
        id=state.id,
        layout=card.layout(
            [state], people, messages, now=now, called=(), in_house=reads, texts=texts if reads else None,
            covered=[held for each in state.alert.covers if (held := book.get(each)) is not None],
        ),
        state=state,
        paged=list(_paged(book, state, people, ours, now)),
        said=[SaidLine(messages.time(w.at, now), w.by, _word(w, people, ours)) for w in state.words],
        silences=[_silence(inside, each, ours) for each in silences],
        next="" if coming is None else ours.say(
            "now.next", name=people.name(coming.person), time=messages.time(max(coming.until or coming.at, now), now)
        ),
        sent_with=sent_with or "",
        people=sorted(((key, its.name or key) for key, its in people.people.items()), key=lambda each: each[1]),
        passed=said.passed,
        review=is_review(state),
    )  # fmt: skip


def _word(word: Decision, people: People, ours: Words) -> str:
    text = ours.say(f"alert.said_{word.kind.value}", name=people.name(word.to) if word.to else "")
    # The program gives its reasons in one language.
    return f"{text}: {word.why}" if word.why and word.by != OURSELVES else text


def _paged(book: AlertBook, state: AlertState, people: People, ours: Words, now: datetime) -> Iterable[PagedLine]:
    """Everybody who was paged or told, and by which ways."""
    messages = ours.messages
    for each in sorted(book.pages.naming(state.id), key=lambda each: each.page.at):
        page = each.page
        who = ours.say("alert.console") if page.person == CONSOLE else people.name(page.person)
        name = "alert.notice" if page.why is PageWhy.NOTICE else "alert.step"
        why = ours.say(name, n=page.step + 1, round=page.round + 1)
        ways = []
        for (channel, _), way in each.ways.items():
            outcome = "taken" if way.taken else "not_taken"
            ways.append(ours.say(f"alert.{outcome}", way=messages.channel(channel), time=messages.time(way.at, now)))
        if page.until is not None:
            ways.append(ours.say("alert.kept_until", time=messages.time(page.until, now)))
        if page.person:
            yield PagedLine(messages.time(page.at, now), who, why, ways or [ours.say("alert.not_sent")])
        else:
            yield PagedLine(messages.time(page.at, now), ours.say("now.nobody"), why, [])


def _say(inside: Inside, id_: str, what: str, who: Who, form: Form, ours: Words) -> tuple[list[str], bool]:
    """What was done, in words; and whether it was not."""
    followed, now = inside.followed, inside.now
    bus, book = followed.bus, followed.alerts()
    state, named = _found(book, id_), inside.settings.privacy.named_accounts.classes()
    reads = who.may(May.READ_POSTS)
    fields = {each: ours.say(f"alert.{each}") for each in ("why", "text", "to", "length")}
    if what in HANDLE:
        kind = HANDLE[what]
        done = words.handle(
            bus, book, [state.id], kind, by=who.name, now=now, named=named, why=form.one("why"), again=followed.alerts,
            fields=fields,
        )  # fmt: skip
        lines = [ours.say(f"alert.done_{what}", what=_headline(each, ours, now, reads=reads)) for each in done.mine]
        return [*lines, *(_before(each, kind, ours, now) for each in done.before)], not done.mine
    if what == "note":
        inside.prepare_for_words()
        written = words.note(
            bus, book, state.id, form.one("text"), by=who.name, now=now, named=named, fields=fields,
            refuse_quotes=lambda text, field: refuse_quotes(followed.register, text, field),
        )  # fmt: skip
        return [ours.say("alert.noted"), *_masked(written.masked, ours)], False
    if what == "assign":
        people = inside.people or People()
        key = known_person(people.people, form.one("to"), fields["to"])
        assigned = words.assign(
            bus, book, state.id, key, by=who.name, now=now, named=named, why=form.one("why"), fields=fields
        )
        if assigned.written is None:
            return [_before(assigned.state, DecisionKind.ACKNOWLEDGE, ours, now)], True
        return [ours.say("alert.assigned", name=people.name(key)), *_masked(assigned.written.masked, ours)], False
    if what == "silence":
        by_rule = form.one("which") == "rule"
        match = {"rule": state.alert.rule, "incident": state.alert.incident} if by_rule else {"alert": state.id}
        if by_rule and form.on("critical"):
            match["severity"] = state.alert.severity.value
        end = silencing.end_of(form.one("length"), "", now, lambda: followed.zone, fields)
        silenced = silencing.silence(
            bus, book, match, form.one("why"), end=end, by=who.name, now=now, named=named, fields=fields
        )
        lines = [ours.say("alert.silenced", time=ours.messages.time(end, now), n=len(silenced.held))]
        lines += [ours.say("alert.critical_is_paged")] if silenced.critical_is_paged else []
        return [*lines, *_masked(silenced.masked, ours)], False
    raise NotFound


def _unsilence(inside: Inside, id_: str, why: str, who: Who, ours: Words) -> list[str]:
    followed, now = inside.followed, inside.now
    named = inside.settings.privacy.named_accounts.classes()
    done = silencing.unsilence(
        followed.bus, followed.alerts(), id_, why, by=who.name, now=now, named=named,
        fields={"why": ours.say("alert.why")},
    )  # fmt: skip
    if done.written is None:
        return [ours.say("alert.silence_over", time=ours.messages.time(done.state.end, now))]
    return [ours.say("alert.unsilenced", n=len(done.held)), *_masked(done.written.masked, ours)]


def _silences(inside: Inside, ours: Words) -> list[SilenceLine]:
    book, now = inside.followed.alerts(), inside.now
    return [_silence(inside, each, ours) for each in book.silences.all() if each.at(now)]


def _silence(inside: Inside, found: SilenceState, ours: Words) -> SilenceLine:
    its, book = found.silence, inside.followed.book
    what = ", ".join(f"{name} = {value}" for name, value in its.match.items())
    return SilenceLine(
        found.id, what, ours.messages.time(found.end, inside.now), its.by, its.why, len(silencing.held_by(book, found))
    )


def _headline(state: AlertState, ours: Words, now: datetime, *, reads: bool) -> str:
    return headline(Wording(state, ours.messages, now, in_house=reads), ours)


def _before(state: AlertState, kind: DecisionKind, ours: Words, now: datetime) -> str:
    """Somebody was first: who, and when."""
    word = word_of(state, kind)
    if word is None:
        passed = state.resolved_at
        time = ours.messages.time(passed or now, now)
        return ours.say("alert.had_passed" if passed else "alert.unchanged", time=time)
    what = "closed" if state.handling is Handling.CLOSED and kind is not DecisionKind.RESOLVE else kind.value
    return ours.say(f"alert.before_{what}", name=word.by, time=ours.messages.time(word.at, now))


def _masked(masked: bool, ours: Words) -> list[str]:
    return [ours.say("alert.masked")] if masked else []
