"""What the hospital says of its own in calm: what waits for approval, what a crisis held, what was published."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from alerts.board.access.roles import May, Who
from alerts.board.application import Endpoint, NotFound, Site
from alerts.board.frame.forms import Form
from alerts.board.worker import Inside
from alerts.highlights.deciding import Deciding
from alerts.highlights.length import LONGEST, weighted
from alerts.highlights.listing import Listed, listed, of_stage
from alerts.highlights.parts import schedule_of
from alerts.highlights.plan import crisis_since, plan
from alerts.highlights.state import MAY_SAY, Highlights, Stage
from alerts.situation.sentences import age
from alerts.situation.words import Words
from listener.errors import Refused, UsageError
from listener.model.highlights import Word
from listener.model.incidents import Mode, State

SHOWN = (Stage.HELD, Stage.UNSURE, Stage.SENDING, Stage.PROPOSED, Stage.APPROVED, Stage.PUBLISHED)
ALWAYS = (Stage.PROPOSED, Stage.APPROVED)
"""Shown although there are none."""
FIELDS = ("when", "text")


class HighlightLine(NamedTuple):
    id: str
    revision: int
    title: str
    text: str
    length: str
    about: Sequence[str]
    warnings: Sequence[str]
    link: str
    address: str
    """Where it stands at X."""
    may: frozenset[Word]


class Part(NamedTuple):
    stage: str
    title: str
    lines: Sequence[HighlightLine]


class Shown(NamedTuple):
    parts: Sequence[Part]
    crisis: str
    stopped: bool


def pages(site: Site, inside: Callable[[], Inside]) -> list[tuple[str, str, Endpoint]]:
    async def show(request: Request) -> Response:
        who, ours = site.visitor(request, May.LOOK), site.words_for(request)
        found = await site.hand_over(lambda: _shown(inside(), ours))
        return site.page(request, who, "highlights.html", it=found, Word=Word, longest=LONGEST)

    async def decide(request: Request) -> Response:
        who, form = await site.form(request, May.PUBLISH)
        ours, id_ = site.words_for(request), str(request.path_params["id"])
        try:
            word = Word(str(request.path_params["what"]))
        except ValueError:
            raise NotFound from None
        try:
            lines = await site.hand_over(
                lambda: inside().act(lambda: _decide(inside(), id_, word, who, form, ours)), press=True
            )
        except (UsageError, Refused) as error:
            return site.done(request, who, "/highlights", site.refused(ours, error), wrong=True, form=form)
        return site.done(request, who, "/highlights", lines)

    return [("/highlights", "GET", show), ("/highlights/{id}/{what}", "POST", decide)]


def _shown(inside: Inside, ours: Words) -> Shown:
    followed = inside.followed
    followed.read()
    highlights, control = followed.highlights, followed.control
    found = listed(highlights, control, schedule_of(inside.settings), inside.now)
    parts = [
        Part(stage, ours.say(f"highlights.title_{stage}"), [_line(each, ours) for each in of_stage(found, stage)])
        for stage in SHOWN
    ]
    names = ", ".join(each.name for each in control.open)
    return Shown(
        [part for part in parts if part.lines or part.stage in ALWAYS],
        ours.say("highlights.crisis", names=names) if control.mode is Mode.CRISIS else "",
        highlights.stopped,
    )


def _line(each: Listed, ours: Words) -> HighlightLine:
    its, stage = each.its, each.stands.stage
    may = {word for word, stages in MAY_SAY.items() if stage in stages}
    may -= {Word.RELEASE} if stage is Stage.APPROVED else set()
    may -= {Word.DROP} if stage is Stage.SENDING else set()
    warned = [ours.say("highlights.over")] if each.over and stage is not Stage.PUBLISHED else []
    if stage is Stage.UNSURE and its.looked:
        warned.append(ours.say("highlights.not_found"))
    length = ours.say("highlights.length", n=weighted(its.text), most=LONGEST)
    return HighlightLine(
        its.id, its.revision, its.proposal.title, its.text, length, [_about(each, ours), *_edited(each, ours)], warned,
        its.proposal.link, each.address, frozenset(may),
    )  # fmt: skip


def _edited(each: Listed, ours: Words) -> Sequence[str]:
    return [ours.say("highlights.edited")] if each.its.edited else []


def _about(each: Listed, ours: Words) -> str:
    its, stands, time = each.its, each.stands, ours.messages.time
    since = time(stands.since, each.now)
    match stands.stage:
        case Stage.HELD:
            why = ours.say(f"highlights.why_{stands.why}") if stands.why else ""
            return ours.say("highlights.held", age=age(stands.since, each.now, ours), time=since, why=why)
        case Stage.UNSURE:
            return ours.say("highlights.unsure", time=time(its.sent_at or stands.since, each.now))
        case Stage.SENDING:
            return ours.say("highlights.sending", time=since)
        case Stage.APPROVED if each.when is not None:
            return ours.say("highlights.approved", name=its.by, time=time(each.when, each.now))
        case Stage.APPROVED:
            return ours.say("highlights.approved_later", name=its.by)
        case Stage.PUBLISHED:
            return ours.say("highlights.published", time=since, name=its.by)
    return ours.say("highlights.proposed", time=time(its.proposal.at, each.now))


def _decide(inside: Inside, id_: str, word: Word, who: Who, form: Form, ours: Words) -> list[str]:
    followed = inside.followed
    if word is Word.EDIT:
        inside.prepare_for_words()
    schedule = schedule_of(inside.settings)

    def read() -> Highlights:
        followed.read()
        return followed.highlights

    def control() -> State:
        followed.read()
        return followed.control

    deciding = Deciding(followed.bus, read, control, schedule, followed.register.perhaps_quoted, inside.now)
    seen = form.one("revision")
    after = deciding.say(
        id_, word, by=who.name, when=form.one("when"), text=form.raw("text"),
        seen=int(seen) if seen.isdecimal() and seen.isascii() and len(seen) < 10 else None,
        fields={each: ours.say(f"highlights.{each}") for each in FIELDS},
    )  # fmt: skip
    if word in (Word.EDIT, Word.DROP):
        return [ours.say(f"highlights.done_{word}")]
    state = control()
    if crisis_since(state, after.epoch) is not None:
        return [ours.say("highlights.done_held")]
    when = plan(followed.highlights, state, schedule, inside.now).when.get(after.id)
    now = when is None or when <= inside.now
    shown = ours.say("highlights.now") if now or when is None else ours.messages.time(when, inside.now)
    return [ours.say(f"highlights.done_{word}", time=shown)]
