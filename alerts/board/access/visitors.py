"""Who asks: by the cookie of a session, or by the word of the proxy; and the tokens that their forms hold.

A session's cookie is HttpOnly, so that no script reads it, and for the whole board. It is SameSite=Lax and not Strict:
who follows a link from their mail, or comes back from the house's log-in, must be known on the first page. What changes
anything is a POST, with which Lax sends no cookie from elsewhere, and which holds a token besides. Over encryption it
is Secure under a `__Host-` name, which no other host and no page in the clear can set.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import sqlite3
from base64 import urlsafe_b64encode
from collections.abc import Collection
from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import Response

from alerts.board.access.accounts import Accounts
from alerts.board.access.proxy import Nobody, Proxy
from alerts.board.access.roles import BoardRole, Who
from alerts.board.access.sessions import Session, Sessions
from listener.errors import ConfigError

log = logging.getLogger(__name__)

SESSION, VISIT = "lyttepost", "lyttepost-login"
PASSWORD, OIDC = "password", "oidc"
"""The ways in which a session begins."""
LONGEST_TOKEN = 100
VISIT_LENGTH = 32


class Visitors:
    """For one thread."""

    def __init__(self, accounts: Accounts, sessions: Sessions, proxy: Proxy, ways: Collection[str]) -> None:
        """`ways`: in which people may have logged in; a session begun in another one counts no longer."""
        self.accounts = accounts
        self.sessions = sessions
        self.proxy = proxy
        self._ways = frozenset(ways)
        self._is_told = False

    def who(self, request: Request, *, active: bool = True) -> Who | None:
        if self.is_open_to_all(request):
            return None
        named = self.proxy.who(request)
        if isinstance(named, Who):
            return named
        found = self._session(request, active=active)
        return Who(found.name, found.role) if found else None

    def begin(
        self, request: Request, response: Response, name: str, role: BoardRole, way: str, stamp: str = ""
    ) -> None:
        """A new session, under a token that nobody had before; the visitor's old one and the visit end.

        Raises sqlite3.Error and OSError where it cannot be written.
        """
        if old := self._cookie(request, SESSION):
            self.sessions.end(old)
        self._set(request, response, SESSION, self.sessions.begin(name, role, way, stamp))
        self._drop(request, response, VISIT)

    def end(self, request: Request, response: Response) -> None:
        if token := self._cookie(request, SESSION):
            self.sessions.end(token)
        self._drop(request, response, SESSION)

    def form_token(self, request: Request) -> str:
        bound = self._bound(request)
        return self.signed("form", bound) if bound else ""

    def is_ours(self, request: Request, token: str) -> bool:
        return _equal(token, self.form_token(request))

    def visit(self, request: Request, response: Response | None = None) -> str:
        """What binds a log-in to this browser before it has a session. With `response`: one is set where none is.

        All tabs of a browser share it, so that each may log in.
        """
        token = self._cookie(request, VISIT)
        if response is not None and len(token) != VISIT_LENGTH:
            token = secrets.token_urlsafe(VISIT_LENGTH * 3 // 4)
            self._set(request, response, VISIT, token)
        return token

    def is_visits(self, request: Request, token: str) -> bool:
        """Whether the form of a log-in was given to this browser."""
        visit = self.visit(request)
        return bool(visit) and _equal(token, self.signed("visit", visit))

    def signed(self, what: str, text: str) -> str:
        """43 characters that only we can make of it."""
        return _encoded(hmac.digest(self.sessions.key(), f"{what}:{text}".encode("utf-8", "replace"), hashlib.sha256))

    def is_secure(self, request: Request) -> bool:
        return request.url.scheme == "https" or self.proxy.says_https(request)

    def is_open_to_all(self, request: Request) -> bool:
        """Whoever is between could read it: it comes from another machine, in the clear, and not by the proxy."""
        if request.url.scheme == "https" or self.proxy.is_from_it(request):
            return False
        try:
            return not ip_address(request.client.host if request.client else "").is_loopback
        except ValueError:
            return True

    def _session(self, request: Request, *, active: bool) -> Session | None:
        token = self._cookie(request, SESSION)
        if not token:
            return None
        try:
            found = self.sessions.find(token, active=active)
            self._is_told = False
            return found if found and self._still_holds(found) else None
        except (sqlite3.Error, OSError, ConfigError) as error:
            if not self._is_told:
                self._is_told = True
                log.error("board: nobody is known, because sessions cannot be read (%s)", error)
            return None

    def _still_holds(self, session: Session) -> bool:
        """Its account is there, with the same password and role. Who came by the provider has none."""
        if session.way not in self._ways:
            return False
        if session.way != PASSWORD:
            return True
        account = self.accounts.find(session.name)
        return account is not None and account.stamp == session.stamp and account.role is session.role

    def _bound(self, request: Request) -> str:
        """What a form is bound to: the session, or the person whom the proxy names."""
        named = self.proxy.who(request)
        if not isinstance(named, Nobody):
            return f"proxy:{named.name}"
        token = self._cookie(request, SESSION)
        return f"session:{token}" if token else ""

    def _cookie(self, request: Request, name: str) -> str:
        token = request.cookies.get(self._name(request, name), "")
        return token if len(token) <= LONGEST_TOKEN else ""

    def _name(self, request: Request, name: str) -> str:
        return f"__Host-{name}" if self.is_secure(request) else name

    def _set(self, request: Request, response: Response, name: str, token: str) -> None:
        secure = self.is_secure(request)
        response.set_cookie(self._name(request, name), token, path="/", secure=secure, httponly=True, samesite="lax")

    def _drop(self, request: Request, response: Response, name: str) -> None:
        response.delete_cookie(
            self._name(request, name), path="/", secure=self.is_secure(request), httponly=True, samesite="lax"
        )


def _equal(given: str, ours: str) -> bool:
    """In constant time. Nothing equals nothing."""
    return bool(ours) and hmac.compare_digest(given.encode("utf-8", "replace"), ours.encode())


def _encoded(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
