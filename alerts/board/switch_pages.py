"""Calm and crisis, switched at the board as by `lyttepost mode`: with the same checks, and told who follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from alerts.board.access.roles import May, Who
from alerts.board.application import Endpoint, NotFound, Site, Told
from alerts.board.frame.forms import Form
from alerts.board.worker import Inside
from alerts.notify.channels.text import one_line
from alerts.situation.sentences import source_name
from alerts.situation.words import Words
from listener.errors import BadValue, BusError, ConfigError, Refusal, Refused, UsageError
from listener.model.incidents import Command, Result, Transition
from listener.runtime import switching
from listener.runtime.control import FOLLOW_SECONDS, Control, Follower, followers, laggards, missing_roles
from listener.runtime.switching import Doubt, Warned
from listener.sources.contract import source_types
from listener.units import parse_duration

REVIEW_AFTER = ("1h", "2h", "4h", "8h", "24h")
LOOKBACK = ("0h", "1h", "6h", "24h")
LOOK_SECONDS = 0.1
FIELDS = (
    *("name", "why", "tracks", "accounts", "places", "lookback", "review_after", "incident", "add", "drop"),
    *("after", "anyway"),
)


def pages(site: Site, inside: Callable[[], Inside]) -> list[tuple[str, str, Endpoint]]:
    async def show(request: Request) -> Response:
        who = site.visitor(request, May.SWITCH)
        return site.page(
            request,
            who,
            "switch.html",
            situation_=site.now(),
            after=_lengths(REVIEW_AFTER, site.words_for(request)),
            lookback=_lengths(LOOKBACK, site.words_for(request)),
        )

    def ask_once_more(request: Request, who: Who, incident: str, told: Told | None = None) -> Response:
        its = [each for each in site.now().incidents if not incident or each.id == incident]
        status = HTTPStatus.UNPROCESSABLE_ENTITY if told else HTTPStatus.OK
        return site.page(request, who, "close.html", status, told, incident=one_line(incident), its=its)

    async def confirm(request: Request) -> Response:
        """What a first press on "close" leads to."""
        who, form = await site.form(request, May.SWITCH)
        return ask_once_more(request, who, form.one("incident"))

    async def switch(request: Request) -> Response:
        who, form = await site.form(request, May.SWITCH)
        what, ours = str(request.path_params["what"]), site.words_for(request)
        try:
            transition, lines = await site.hand_over(
                lambda: inside().act(lambda: _switch(inside(), what, who, form, ours)), press=True
            )
        except (UsageError, Refused) as error:
            lines = site.refused(ours, error)
            if what == "close" and isinstance(error, UsageError):
                return ask_once_more(request, who, form.one("incident"), Told(who, lines, True, "/switch/close", form))
            return site.done(request, who, "/switch", lines, wrong=True, form=form)
        except ConfigError as error:
            lines = [ours.say("frame.refused"), ours.say("switch.settings_wrong"), str(error)]
            return site.done(request, who, "/switch", lines, wrong=True, form=form)
        try:
            told, wrong = await _wait(site, inside, transition, ours)
        except (BusError, TimeoutError):
            told, wrong = [ours.say("switch.not_known")], True
        return site.done(request, who, "/switch", [*lines, *told], wrong=wrong)

    return [
        ("/switch", "GET", show),
        ("/switch/confirm", "POST", confirm),
        ("/switch/{what}", "POST", switch),
    ]


def _lengths(written: Iterable[str], ours: Words) -> list[tuple[str, str]]:
    """As a form sends them, and in words."""
    return [(each, ours.messages.duration(parse_duration(each))) for each in written]


def _switch(inside: Inside, what: str, who: Who, form: Form, ours: Words) -> tuple[Transition, list[str]]:
    """Durable when this returns."""
    control = Control(inside.followed.bus)
    fields = {each: ours.say(f"switch.{each}") for each in FIELDS}
    command = _command(inside, what, who, form, fields)
    types = source_types()
    done = switching.switch(
        control, command, there=lambda: inside.followed.presences, fields=fields, anyway=form.on("anyway"),
        bills=lambda: [name for name, its in types.items() if its.bills(inside.raw)],
    )  # fmt: skip
    names = ", ".join(control.state.incidents[each].name for each in done.transition.incidents)
    lines = [ours.say(f"switch.{done.transition.result.value}", names=names)]
    return done.transition, [*lines, *(_doubt(each, ours) for each in done.warnings)]


def _command(inside: Inside, what: str, who: Who, form: Form, fields: dict[str, str]) -> Command:
    now, why, by = inside.now, form.one("why"), who.name
    if what in ("change", "review", "close") and not form.one("incident"):
        # The commands mean all that are open; a form of ours always names one.
        raise BadValue("which one?", fields["incident"], Refusal.WHICH_INCIDENT)
    if what == "open":
        return switching.open_command(
            form.one("name"), why=why, tracks=form.lines("tracks"), accounts=form.lines("accounts"),
            places=form.lines("places"), lookback=form.one("lookback") or None,
            review_after=form.one("review_after") or None, exercise=form.on("exercise"),
            by=by, now=now, fields=fields,
        )  # fmt: skip
    if what == "change":
        return switching.change_command(
            form.one("incident"), why=why, add=form.lines("add"), drop=form.all("drop"), by=by, now=now, fields=fields
        )
    if what == "review":
        return switching.review_command(
            form.one("incident"), why=why, after=form.one("after") or None,  by=by, now=now,
            fields=fields,
        )  # fmt: skip
    if what == "close":
        return switching.close_command(form.one("incident"), why=why, by=by, now=now, fields=fields)
    raise NotFound


def _doubt(found: Warned, ours: Words) -> str:
    if found.doubt is Doubt.REACH:
        length = ours.messages.duration(timedelta(seconds=found.seconds))
        return ours.say("switch.doubt_reach", source=source_name(found.about), length=length)
    if found.doubt is Doubt.COMMON:
        return ours.say("switch.doubt_common", track=found.about)
    return ours.say("switch.doubt_not_dropped", track=found.about)


async def _wait(
    site: Site, inside: Callable[[], Inside], transition: Transition, ours: Words
) -> tuple[list[str], bool]:
    """Who follows, as `lyttepost mode` says it; and whether somebody does not."""
    if transition.result is Result.UNCHANGED:
        return [], False
    waited = 0.0
    while True:
        found = await site.hand_over(lambda: _followers(inside(), transition.offset), press=True)
        missing, behind = missing_roles(found), laggards(found)
        if (not missing and not behind) or waited >= FOLLOW_SECONDS:
            break
        await asyncio.sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS
    follow = ", ".join(f.presence.process for f in found if f.follows)
    lines = [ours.say("switch.follows", processes=follow)] if follow else []
    if missing:
        lines.append(ours.say("switch.nobody_follows", roles=", ".join(missing)))
    if behind:
        lines.append(ours.say("switch.behind", processes=", ".join(behind)))
    return lines, bool(missing or behind)


def _followers(inside: Inside, epoch: int) -> list[Follower]:
    inside.followed.read()
    return followers(inside.followed.presences, epoch)
