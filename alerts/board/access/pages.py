"""Logging in and out: `/login`, `/logout`, and the way to the house's own log-in and back.

What goes wrong is said on the page, with what to do. Each log-in, each failure and each log-out is logged with the
address; a name that is no account's is not, for people type passwords there.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import ceil
from urllib.parse import urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from alerts.board.access.accounts import Account
from alerts.board.access.apart import Apart, Busy
from alerts.board.access.forms import comes_from_us, local_path
from alerts.board.access.names import folded
from alerts.board.access.oidc import BACK, Oidc, OidcError, OidcProblem
from alerts.board.access.passwords import LONGEST, NOBODYS, hashed, is_old, is_right
from alerts.board.access.proxy import Nobody
from alerts.board.access.roles import Who
from alerts.board.access.throttle import Throttle
from alerts.board.access.visitors import OIDC, PASSWORD, Visitors
from alerts.board.frame.forms import read_form
from alerts.board.frame.html import render
from alerts.situation.words import Words
from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.codec import LONGEST_NAME
from listener.webserver.body import NotTaken

log = logging.getLogger(__name__)

STATE_SECONDS = 600
"""So long may a log-in at the provider take."""

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Of each page here: nothing is fetched from elsewhere, nothing is kept, and no other page can frame it."""


class BoardAccess:
    """Keeps `Access`: accounts of our own, the house's log-in, and whom the proxy names."""

    def __init__(
        self,
        visitors: Visitors,
        oidc: Oidc | None,
        clock: Clock,
        words_of: Callable[[Request], Words],
    ) -> None:
        self._visitors = visitors
        self._oidc = oidc
        self._clock = clock
        self._words_of = words_of
        self._throttle = Throttle(clock)
        self._passwords = Apart(2, 20, "board-passwords")
        self._asking = Apart(4, 20, "board-oidc")

    def who(self, request: Request, *, active: bool = True) -> Who | None:
        return self._visitors.who(request, active=active)

    def form_token(self, request: Request) -> str:
        return self._visitors.form_token(request)

    def is_ours(self, request: Request, token: str) -> bool:
        return self._visitors.is_ours(request, token) and self._from_us(request)

    def challenge(self, request: Request) -> Response:
        if self._visitors.is_open_to_all(request):
            return self._page(request, 403, plain=True)
        if self._visitors.proxy.who(request) is Nobody.NO_ROLE:
            log.warning("board: somebody from %s is named by the proxy, and has no role", self._address(request))
            return self._page(request, 403, problem="login.no_role")
        looks = request.method in ("GET", "HEAD")
        if request.headers.get("sec-fetch-mode", "navigate") != "navigate" or (
            looks and "text/html" not in request.headers.get("accept", "text/html")
        ):
            return PlainTextResponse("", 401, headers=HEADERS)
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = local_path(path) if looks else "/"
        return RedirectResponse(f"/login?{urlencode({'next': wanted})}" if wanted != "/" else "/login", 303, HEADERS)

    def routes(self) -> Sequence[BaseRoute]:
        found = [
            Route("/login", self._guarded(self._look), methods=["GET"]),
            Route("/login", self._guarded(self._log_in), methods=["POST"]),
            Route("/logout", self._guarded(self._log_out), methods=["POST"]),
        ]
        if self._oidc is not None:
            found += [
                Route("/login/oidc", self._guarded(partial(self._go, self._oidc)), methods=["GET"]),
                Route(BACK, self._guarded(partial(self._come_back, self._oidc)), methods=["GET"]),
            ]
        return found

    def _guarded(self, endpoint: Callable[..., object]) -> Callable[[Request], object]:
        """What our own files cannot do, and whatever cannot be read, is told on the page."""

        async def answer(request: Request) -> Response:
            if self._visitors.is_open_to_all(request):
                return self._page(request, 403, plain=True)
            try:
                return await endpoint(request)  # type: ignore[misc, no-any-return]
            except NotTaken as refused:
                return self._page(request, refused.status, problem="login.old")
            except Busy:
                return self._page(request, 503, problem="login.busy")
            except ClientDisconnect:
                return PlainTextResponse("", 400)
            except (sqlite3.Error, OSError, ConfigError) as error:
                log.error("board: nobody can log in: %s", error)
                return PlainTextResponse("", 503, headers=HEADERS | {"Retry-After": "5"})

        return answer

    async def _look(self, request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        if self.who(request) is not None:
            return RedirectResponse(wanted, 303, HEADERS)
        return self._page(request, 200, wanted=wanted, note="login.out" if "out" in request.query_params else "")

    async def _log_in(self, request: Request) -> Response:
        form = await read_form(request)
        wanted, name, password = local_path(form.raw("next")), form.raw("name"), form.raw("password")
        if not self._from_us(request) or not self._visitors.is_visits(request, form.raw("token")):
            return self._page(request, 400, wanted=wanted, name=name, problem="login.old")
        if not name.strip() or not password:
            return self._page(request, 422, wanted=wanted, name=name, problem="login.missing")
        address = self._address(request)
        if (seconds := self._throttle.attempt(name, address)) > 0:
            log.warning("board: a log-in from %s%s has to wait", address, self._known(name))
            return self._page(request, 429, wanted=wanted, name=name, wait=ceil(seconds))
        account = self._visitors.accounts.find(name)
        checked = password if len(password) <= LONGEST else ""
        right = await self._passwords.run(lambda: is_right(account.digest if account else NOBODYS, checked))
        if account is None or not right or len(password) > LONGEST:
            log.warning("board: a log-in from %s%s failed", address, self._known(name))
            return self._page(request, 401, wanted=wanted, name=name, problem="login.wrong")
        # It may have been changed while we looked: then it is not this password any more.
        if (now := self._visitors.accounts.find(name)) is None or now.stamp != account.stamp:
            return self._page(request, 401, wanted=wanted, name=name, problem="login.wrong")
        response = RedirectResponse(wanted, 303, HEADERS)
        self._visitors.begin(request, response, account.name, account.role, PASSWORD, account.stamp)
        self._throttle.succeeded(name, address)
        log.info("board: %s logged in from %s by password as %s", account.name, address, account.role)
        if is_old(account.digest):
            await self._renew(account, password)
        return response

    async def _log_out(self, request: Request) -> Response:
        form = await read_form(request)
        if not self.is_ours(request, form.raw("token")):
            return self._page(request, 400, problem="login.old")
        who = self.who(request, active=False)
        response = RedirectResponse("/login?out=1", 303, HEADERS)
        self._visitors.end(request, response)
        if who is not None:
            log.info("board: %s logged out from %s", who.name, self._address(request))
        return response

    async def _go(self, oidc: Oidc, request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        if not self._from_us(request):
            return self._page(request, 400, wanted=wanted, problem="login.old")
        response = RedirectResponse("/", 303, HEADERS)
        visit = self._visitors.visit(request, response)
        state = self._state(visit, wanted)
        try:
            address = await self._asking.run(lambda: oidc.address(state, *self._bound(state, visit)))
        except OidcError as error:
            return self._refused(request, error, wanted)
        response.headers["location"] = address
        return response

    async def _come_back(self, oidc: Oidc, request: Request) -> Response:
        asked, visit = request.query_params, self._visitors.visit(request)
        state = asked.get("state", "")
        wanted = self._wanted(state, visit)
        try:
            if wanted is None:
                raise OidcError(OidcProblem.OLD, "what came back was not begun by this browser just now")
            if asked.get("iss", oidc.issuer) != oidc.issuer:
                raise OidcError(OidcProblem.UNTRUSTED, "what came back is another provider's")
            if "error" in asked:
                raise OidcError(OidcProblem.DENIED, "the provider let them not in")
            if not (code := asked.get("code", "")):
                raise OidcError(OidcProblem.DENIED, "no code came back")
            who = await self._asking.run(lambda: oidc.who(code, *self._bound(state, visit)))
        except OidcError as error:
            return self._refused(request, error, wanted or "/")
        response = RedirectResponse(wanted, 303, HEADERS)
        self._visitors.begin(request, response, who.name, who.role, OIDC)
        log.info("board: %s logged in from %s by oidc as %s", who.name, self._address(request), who.role)
        return response

    def _refused(self, request: Request, error: OidcError, wanted: str) -> Response:
        log.warning("board: a log-in by oidc from %s failed: %s", self._address(request), error)
        status = 502 if error.problem is OidcProblem.AWAY else 403
        return self._page(request, status, wanted=wanted, problem=f"login.oidc_{error.problem}")

    def _state(self, visit: str, wanted: str) -> str:
        """Bound to the browser and to ten minutes. It holds all that we must know, so that strangers who begin log-ins
        by the thousand leave nothing here."""
        held = f"{int(self._clock.now().timestamp())}.{secrets.token_urlsafe(9)}.{_packed(wanted)}"
        return f"{held}.{self._visitors.signed('state', f'{visit}:{held}')}"

    def _wanted(self, state: str, visit: str) -> str | None:
        """Where a log-in leads that this browser began just now; None for any other."""
        held, _, signature = state.rpartition(".")
        ours = self._visitors.signed("state", f"{visit}:{held}")
        if not visit or not secrets.compare_digest(signature.encode("utf-8", "replace"), ours.encode()):
            return None
        begun, _, packed = held.split(".", 2)
        if not 0 <= self._clock.now().timestamp() - int(begun) + 1 <= STATE_SECONDS + 1:
            return None
        return local_path(_unpacked(packed))

    def _bound(self, state: str, visit: str) -> tuple[str, str]:
        """The nonce and the verifier of PKCE that belong to a state."""
        bound = f"{visit}:{state}"
        return self._visitors.signed("nonce", bound), self._visitors.signed("verifier", bound)

    async def _renew(self, account: Account, password: str) -> None:
        def work() -> None:
            self._visitors.accounts.renew_digest(account, hashed(password))

        try:
            await self._passwords.run(work)
        except (Busy, ConfigError, OSError) as error:
            log.warning("board: a password's hash is still an old one: %s", error or type(error).__name__)

    def _page(
        self,
        request: Request,
        status: int,
        *,
        wanted: str = "/",
        name: str = "",
        problem: str = "",
        note: str = "",
        wait: int = 0,
        plain: bool = False,
    ) -> Response:
        """The page of the log-in, with a form that this browser alone can send."""
        words = self._words_of(request)
        response = HTMLResponse("", status, headers=HEADERS)
        told = words.count("login.wait", wait) if wait else words.say(problem) if problem else ""
        if wait:
            response.headers["Retry-After"] = str(wait)
        accounts = False if plain else bool(self._visitors.accounts.all())
        token = "" if plain else self._visitors.signed("visit", self._visitors.visit(request, response))
        asked = {"next": wanted} if wanted != "/" else {}
        spoken = {"lang": words.language} if "lang" in request.query_params else {}
        body = render(
            "login.html",
            words,
            plain=plain,
            problem=told,
            note=words.say(note) if note else "",
            name=name[:LONGEST_NAME],
            wanted=wanted,
            token=token,
            accounts=accounts,
            oidc="" if self._oidc is None else f"/login/oidc?{urlencode(asked)}".rstrip("?"),
            by_proxy=self._visitors.proxy.names_people,
            action=f"/login?{urlencode(spoken)}".rstrip("?"),
        )
        response.body = body.encode("utf-8", "replace")
        response.headers["content-length"] = str(len(response.body))
        return response

    def _from_us(self, request: Request) -> bool:
        visitors = self._visitors
        return comes_from_us(request, visitors.proxy.host(request), visitors.is_secure(request))

    def _address(self, request: Request) -> str:
        return self._visitors.proxy.address(request)

    def _known(self, name: str) -> str:
        account = self._visitors.accounts.all().get(folded(name))
        return f" as {account.name}" if account else ""


def words_chosen(words: Mapping[str, Words], usual: str) -> Callable[[Request], Words]:
    """By `?lang=`, which the foot of each page offers; else the usual ones."""

    def chosen(request: Request) -> Words:
        return words.get(request.query_params.get("lang", usual), words[usual])

    return chosen


def _packed(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _unpacked(text: str) -> str:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return "/"
