"""The board's addresses: pages that only show, and forms that do what a command does.

Each page is laid out on the server and works without a script. What is shown to everybody is laid out once for all
browsers; what belongs to one visitor (a name, the mark of a form) is put in when it is sent.
"""

from __future__ import annotations

import html
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alerts.board import audit, now_page
from alerts.board.access.contract import Access
from alerts.board.access.roles import May, Who
from alerts.board.frame.forms import FORM, Draft, Form, read_form
from alerts.board.frame.html import STATIC, render
from alerts.board.live import Live
from alerts.situation.situation import Situation
from alerts.situation.words import Words
from listener.clock import Clock
from listener.errors import BusError, LyttepostError, UsageError
from listener.runtime.logs import reason_of
from listener.webserver.body import NotTaken
from listener.webserver.jobs import HandOver, NotBegun
from listener.webserver.server import WebServer

log = logging.getLogger(__name__)

T = TypeVar("T")

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
"""Of every answer: nothing comes from elsewhere, nothing runs but our files, and our addresses are told to nobody."""
LANGUAGE = "lyttepost_language"
"""The cookie of the language that a visitor chose."""
LIVE = "x-live"
"""The header of a page that asks for itself anew, because the server said that something changed."""
LOOKED_AGAIN = 600.0
"""Seconds after which a page that looks by itself is written down once more, by who and what is looked at."""
MAX_LOOKED = 2_000
SAID = "said"
"""The part of an address by which what was just done is told, once."""
MAX_SAID = 500
MAX_CACHED = 64
NO_DRAFT = Draft()
NAME, TOKEN = (f"@@{secrets.token_hex(12)}@@" for _ in range(2))
"""Stand in a page that is laid out for everybody where the visitor's name and the mark of their forms belong; nobody
can write them, for they are others in each process."""
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Told:
    """What is told to somebody after what they did. `wrong`: it was not done. `form`: the one that was refused, which
    was sent to `action`."""

    who: Who
    lines: Sequence[str]
    wrong: bool = False
    action: str = ""
    form: Form | None = None

    def draft(self, action: str, **hidden: str) -> Draft:
        """What stood in a form, by where it is sent and by fields that nobody sees; an empty draft for any other."""
        its = self.form
        if its is None or action != self.action or any(its.one(name) != value for name, value in hidden.items()):
            return NO_DRAFT
        return Draft(its)


class Stop(Exception):
    """A page that says why there is no other. `what`: a text of `frame`."""

    def __init__(self, what: str, status: HTTPStatus) -> None:
        super().__init__(what)
        self.what = what
        self.status = status


@dataclass
class Site:
    """What every page is given. Used by the server's thread alone."""

    access: Access
    live: Live
    hand_over: HandOver
    words: Mapping[str, Words]
    """Language → the board's words."""
    language: str
    """That of the settings."""
    clock: Clock
    _said: dict[str, Told] = field(default_factory=dict)
    _looked: dict[tuple[Who, str], float] = field(default_factory=dict)
    """Who looked at what, and when that was written down; the oldest first."""
    _pages: dict[tuple[object, ...], str] = field(default_factory=dict)
    _pages_of: int = -1

    def words_for(self, request: Request) -> Words:
        return words_for(request, self.words, self.language)

    def visitor(self, request: Request, may: May = May.LOOK) -> Who:
        """Who asks. Raises Challenge for somebody who must log in, Stop for somebody who may not."""
        # A page that a script of ours asks for keeps nobody logged in.
        who = self.access.who(request, active=LIVE not in request.headers)
        if who is None:
            raise Challenge
        if not who.may(may):
            raise Stop("forbidden", HTTPStatus.FORBIDDEN)
        return who

    def page(
        self, request: Request, who: Who, template: str, status: int = 200, told: Told | None = None, **values: Any
    ) -> Response:
        """A page that is laid out for one visitor. It never stays in any cache. `told`: what is told on it; else what
        was kept for it."""
        words, told = self.words_for(request), told or self._told(request, who)
        query = request.query_params if request.method == "GET" else {}
        text = render(
            template, words, who=who, name=who.name, token=self.access.form_token(request), told=told,
            draft=told.draft if told is not None else _no_draft, situation=self.live.situation, May=May, form=FORM,
            query=query, **values,
        )  # fmt: skip
        return self._answer(request, text, status)

    def shared_page(
        self, request: Request, who: Who, template: str, about: object, values: Callable[[Words], Mapping[str, Any]]
    ) -> Response:
        """One that is the same for everybody of a role, as long as nothing changes. `about`: which one."""
        words, told = self.words_for(request), self._told(request, who)
        if self._pages_of != self.live.version or len(self._pages) > MAX_CACHED:
            self._pages, self._pages_of = {}, self.live.version
        key = (template, about, words.language, who.role)
        text = self._pages.get(key) if told is None else None
        if text is None:
            text = render(
                template, words, who=who, name=NAME, token=TOKEN, told=told, situation=self.live.situation, May=May,
                form=FORM, **values(words),
            )  # fmt: skip
            if told is None:
                self._pages[key] = text
        text = text.replace(NAME, html.escape(who.name)).replace(TOKEN, self.access.form_token(request))
        return self._answer(request, text)

    def done(
        self, request: Request, who: Who, path: str, lines: Sequence[str], *, wrong: bool = False,
        form: Form | None = None,
    ) -> Response:  # fmt: skip
        """Back to a page of ours (`path`), which tells these lines once. `form`: is filled in again there."""
        key = secrets.token_urlsafe(9)
        while len(self._said) >= MAX_SAID:
            del self._said[next(iter(self._said))]
        self._said[key] = Told(who, tuple(lines), wrong, request.url.path, form)
        return RedirectResponse(f"{path}{'&' if '?' in path else '?'}{SAID}={key}", HTTPStatus.SEE_OTHER)

    def looked(self, request: Request, who: Who, at: str) -> None:
        """Write down who looked at what people wrote: each time; where a page says that it looks by itself, as anybody
        may say of any, now and then. `at`: as in `audit.looked`."""
        key, now = (who, at), self.clock.monotonic()
        if LIVE in request.headers and now - self._looked.get(key, float("-inf")) < LOOKED_AGAIN:
            return
        self._looked.pop(key, None)
        while len(self._looked) >= MAX_LOOKED:
            del self._looked[next(iter(self._looked))]
        self._looked[key] = now
        audit.looked(who, at)

    def now(self) -> Situation:
        """Raises Stop while all of it is read for the first time."""
        if self.live.situation is None:
            raise Stop("starting", HTTPStatus.SERVICE_UNAVAILABLE)
        return self.live.situation

    def refused(self, words: Words, error: LyttepostError) -> list[str]:
        """What is told of a form that could not be, in the page's language."""
        return [words.say("frame.refused"), refusal_words(words, error)]

    async def form(self, request: Request, may: May) -> tuple[Who, Form]:
        """What somebody sent who may do so, from a page of ours."""
        who = self.visitor(request, may)
        form = await read_form(request)
        if not self.access.is_ours(request, form.one(FORM)):
            raise Stop("form_old", HTTPStatus.FORBIDDEN)
        return who, form

    def _told(self, request: Request, who: Who) -> Told | None:
        told = self._said.pop(request.query_params.get(SAID, ""), None)
        return told if told is not None and told.who == who else None

    def _answer(self, request: Request, text: str, status: int = 200) -> Response:
        answer = HTMLResponse(text, status)
        asked = request.query_params.get("lang")
        if asked and asked in self.words:
            answer.set_cookie(LANGUAGE, asked, max_age=31_536_000, samesite="lax", httponly=True)
        return answer


def refusal_words(words: Words, error: LyttepostError) -> str:
    """Why something was not taken, and of which field; as the command line says it where it has no name."""
    if error.refusal is None:
        return str(error)
    text = words.say(f"refusal.{error.refusal.value}", **error.values)
    return f"{error.field}: {text}" if isinstance(error, UsageError) and error.field else text


def words_for(request: Request, words: Mapping[str, Words], usual: str) -> Words:
    """In the language that is asked for, or was chosen before; else in the usual one."""
    for asked in (request.query_params.get("lang"), request.cookies.get(LANGUAGE)):
        if asked and asked in words:
            return words[asked]
    return words[usual]


def _no_draft(action: str, **hidden: str) -> Draft:
    return NO_DRAFT


class NotFound(Exception):
    """There is no such thing, or no longer."""


class Challenge(Exception):
    """Whoever asks must log in first."""


Endpoint = Callable[[Request], Awaitable[Response]]


def application(site: Site, server: WebServer, pages: Sequence[tuple[str, str, Endpoint]]) -> ASGIApp:
    """`pages`: path, method and what answers, of everything but the first page."""

    async def now(request: Request) -> Response:
        who = site.visitor(request)
        situation, reads = site.now(), who.may(May.READ_POSTS)
        if reads:
            site.looked(request, who, "the first page")
        values = partial(now_page.values, situation, reads=reads)
        return site.shared_page(request, who, "now.html", "now", values)

    async def events(request: Request) -> Response:
        if site.access.who(request, active=False) is None:
            raise Challenge
        if not site.live.has_room:
            return PlainTextResponse("", HTTPStatus.SERVICE_UNAVAILABLE)
        server.keep_open(request.scope.get("client"))

        async def changes() -> Any:
            async for version in site.live.changes(0):
                if server.stopping or site.access.who(request, active=False) is None:
                    return
                yield {"event": "changed", "data": str(version)}

        return EventSourceResponse(changes(), ping=15, send_timeout=10, headers=HEADERS)

    async def static(request: Request) -> Response:
        name = str(request.path_params["name"])
        path = STATIC / name
        if path.suffix not in KINDS or path.parent != STATIC or not path.is_file():
            raise HTTPException(HTTPStatus.NOT_FOUND)
        return Response(path.read_bytes(), media_type=KINDS[path.suffix], headers={"Cache-Control": "max-age=3600"})

    async def statement(request: Request) -> Response:
        who = site.access.who(request, active=LIVE not in request.headers)
        words = site.words_for(request)
        if who is None and LIVE in request.headers:
            raise Challenge
        if who is None:
            return HTMLResponse(render("accessibility.html", words, who=None))
        return site.page(request, who, "accessibility.html")

    listed = [
        ("/", "GET", now), ("/events", "GET", events), ("/static/{name}", "GET", static),
        ("/accessibility", "GET", statement), *pages,
    ]  # fmt: skip
    routes = [Route(path, _guarded(site, each), methods=[method]) for path, method, each in listed]
    app = Starlette(routes=[*routes, *site.access.routes(), Route("/{rest:path}", _guarded(site, _nothing))])
    app.router.redirect_slashes = False
    return _with_headers(app)


async def _nothing(request: Request) -> Response:
    raise HTTPException(HTTPStatus.NOT_FOUND)


def _guarded(site: Site, endpoint: Endpoint) -> Endpoint:
    """Every fault is a page of ours that says what is known: whether anything was recorded."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Challenge:
            return site.access.challenge(request)
        except Stop as stop:
            return _trouble(site, request, stop.what, stop.status)
        except (HTTPException, NotFound):
            return _trouble(site, request, "not_found", HTTPStatus.NOT_FOUND)
        except NotTaken as refused:
            return _trouble(site, request, "not_taken", HTTPStatus(refused.status))
        except ClientDisconnect:
            return PlainTextResponse("", HTTPStatus.BAD_REQUEST)
        except Exception as error:
            if not isinstance(error, BusError | TimeoutError | LyttepostError):
                log.error("board: %s; report it", reason_of(error))
            unsure = request.method == "POST" and not isinstance(error, NotBegun)
            return _trouble(site, request, "unsure" if unsure else "away", HTTPStatus.SERVICE_UNAVAILABLE)

    return answer


def _trouble(site: Site, request: Request, what: str, status: HTTPStatus) -> Response:
    who, words = site.access.who(request, active=LIVE not in request.headers), site.words_for(request)
    role = words.say(f"roles.{who.role}") if who else ""
    text = words.say(f"frame.{what}_text", name=who.name if who else "", role=role)
    heading, reload = words.say(f"frame.{what}"), what == "starting"
    return HTMLResponse(render("trouble.html", words, heading=heading, text=text, reload=reload), status)


def _with_headers(app: ASGIApp) -> ASGIApp:
    """Every answer has HEADERS, whoever made it."""
    given = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                has = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(each for each in given if each[0] not in has)]
            await send(message)

        await app(scope, receive, with_headers)

    return wrapped
