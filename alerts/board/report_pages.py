"""The situation report at the board, as a page and as a file, and what whoever takes over needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from alerts.board.access.roles import May
from alerts.board.application import Endpoint, NotFound, Site
from alerts.board.handover import hand_over
from alerts.board.worker import Inside
from alerts.report.html import as_html
from alerts.report.markdown import as_markdown
from alerts.report.period import Period, look_back
from alerts.report.report import Report, make_report
from alerts.situation.situation import Situation, describe
from alerts.situation.words import Words

SPANS = {
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "2h": timedelta(hours=2),
    "4h": timedelta(hours=4),
    "8h": timedelta(hours=8),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
USUAL = "1h"
FRESH = timedelta(seconds=10)
"""So old may a report be: who asks again and again must not keep the thread of the bus from its work."""
MAX_KEPT = 16
INCIDENTS = 12
"""That may be chosen, the newest."""


class Asked(NamedTuple):
    """What an address asks for. `incident`: empty for all that are open."""

    since: str
    incident: str


@dataclass(frozen=True)
class Facts:
    situation: Situation
    period: Period


def pages(site: Site, inside: Callable[[], Inside]) -> list[tuple[str, str, Endpoint]]:
    kept: dict[Asked, Facts] = {}

    async def made(request: Request, words: Words) -> tuple[Asked, Report]:
        asked = Asked(request.query_params.get("since", USUAL), request.query_params.get("incident", ""))
        if asked.since not in SPANS:
            asked = asked._replace(since=USUAL)
        facts = kept.get(asked)
        if facts is None or not timedelta() <= site.clock.now() - facts.situation.at < FRESH:
            site.now()
            facts = await site.hand_over(lambda: _facts(inside(), asked))
            while len(kept) >= MAX_KEPT:
                del kept[next(iter(kept))]
            kept[asked] = facts
        return asked, make_report(facts.situation, facts.period, words)

    async def report(request: Request) -> Response:
        who, words = site.visitor(request), site.words_for(request)
        asked, its = await made(request, words)
        known = await site.hand_over(lambda: _incidents(inside()))
        return site.page(request, who, "report.html", report=its, asked=asked, spans=_spans(words), incidents_=known)

    async def as_file(request: Request) -> Response:
        site.visitor(request)
        words = site.words_for(request)
        _, its = await made(request, words)
        ending = str(request.path_params["ending"])
        if ending not in ("html", "md"):
            raise NotFound
        stamp = "".join(each for each in its.made_at[:16] if each.isdigit())
        name = f"{words.say('report.file')}-{stamp}.{ending}"
        text = as_html(its, words) if ending == "html" else as_markdown(its, words)
        kind = "text/html" if ending == "html" else "text/markdown"
        return Response(
            text, media_type=f"{kind}; charset=utf-8", headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    async def handover(request: Request) -> Response:
        who, words = site.visitor(request), site.words_for(request)
        situation, reads = site.now(), who.may(May.READ_POSTS)
        its = await site.hand_over(lambda: hand_over(inside().followed, situation, words, reads=reads))
        return site.page(request, who, "handover.html", its=its)

    return [
        ("/report", "GET", report),
        ("/report.{ending}", "GET", as_file),
        ("/handover", "GET", handover),
    ]


def _facts(inside: Inside, asked: Asked) -> Facts:
    """For the worker's thread. What people say in the open incidents is known already, as the first page has it: to
    work it out is most of the work."""
    followed, now = inside.followed, inside.now
    if asked.incident and asked.incident not in followed.control.incidents:
        raise NotFound
    newest = inside.situation
    voices = newest.voices if newest is not None and not asked.incident else None
    listing = newest.listing if newest is not None else None
    situation = describe(followed, inside.people, inside.wakes, now, voices, asked.incident, listing)
    return Facts(situation, look_back(followed, now - SPANS[asked.since], now, asked.incident))


def _incidents(inside: Inside) -> list[tuple[str, str]]:
    """Id and name, the newest first."""
    its = [each for each in inside.followed.control.incidents.values() if not each.synthetic]
    return [(each.id, each.name) for each in reversed(its)][:INCIDENTS]


def _spans(words: Words) -> list[tuple[str, str]]:
    return [
        (name, words.say("now.days", n=span.days) if span.days > 1 else words.messages.duration(span))
        for name, span in SPANS.items()
    ]
