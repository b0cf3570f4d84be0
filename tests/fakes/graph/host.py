"""The host: versions, tokens, permissions, limits, pages and errors, in front of whatever a platform has to tell."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import urlencode

from ..platform import Clock, Platform, RealClock, Reply, Request, Route, Step, Verbs
from ..platform.faults import ALL
from .caller import Caller
from .commands import GraphCommands

DEFAULT_TOKEN = "EAAa-token-of-no-app"
APP_SECRET = "a-secret-of-no-app"
VERSION = "v26.0"
PAGE = 25
MOST = 100


@dataclass(frozen=True)
class KnownToken:
    """What `debug_token` says of a token. `profile`: the page or account that it is for."""

    kind: str = "PAGE"
    profile: str = "1000"
    scopes: frozenset[str] = field(default_factory=frozenset)
    expires: datetime | None = None
    data_expires: datetime | None = None


Answers = Callable[[Request], Any]
"""What is told to who may know it: a JSON object, or a Reply."""


def failure(code: int, subcode: int = 0, message: str = "") -> dict[str, Any]:
    """An error as the original writes it. Its message holds what no log of ours may hold."""
    words = message or f"(#{code}) Noe gikk galt for Kari Nordmann"
    error: dict[str, Any] = {"message": words, "type": "OAuthException", "code": code, "fbtrace_id": "AbC1dEf2-gH"}
    return {"error": {**error, "error_subcode": subcode} if subcode else error}


class GraphHost(Platform):
    """`token` is the one that does; `kinds` of tokens whose edges are not empty. `secret`: the app's, with which
    `appsecret_proof` is made; `needs_proof`: calls without it are refused."""

    command_type: ClassVar[type[Verbs]] = GraphCommands
    kinds: ClassVar[frozenset[str]] = frozenset({"PAGE"})
    use: ClassVar[str] = "pages"
    """What the header of limits calls this use."""
    calls_about: ClassVar[str] = "page"
    """What its calls of a webhook are about: their `object`."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        token: str = DEFAULT_TOKEN,
        known: KnownToken | None = None,
        app_id: str = "77",
        secret: str = APP_SECRET,
        needs_proof: bool = False,
    ) -> None:
        self.token = token
        self.tokens: dict[str, KnownToken] = {token: known or self.usual_token()}
        self.app_id, self.secret, self.needs_proof = app_id, secret, needs_proof
        self.early: list[tuple[datetime, datetime]] = []
        """Calls that were made while calls were limited, but for the first, to which it was said: when it had been said
        last, and when the call came."""
        self.caller = Caller(clock or RealClock(), secret, self.calls_about)
        self.well()
        super().__init__(clock=clock, port=port, scenario=scenario)

    # -- what a platform says of itself ----------------------------------------------------------------------------

    def nodes(self) -> Iterable[Route]:
        """Its own nodes and edges, made by `node` and `edge`; paths stand behind the version."""
        raise NotImplementedError

    def me(self, request: Request) -> Mapping[str, Any]:
        """Whom the token is for."""
        return {"id": self.tokens[self.token].profile, "name": "Fjordby sykehus"}

    @classmethod
    def usual_token(cls) -> KnownToken:
        return KnownToken()

    def node(self, name: str, path: str, answers: Answers, scope: str = "") -> Route:
        """One thing; a token of the wrong kind is told that it is not there. `scope`: what is needed for it."""
        return Route(name, "GET", "/{version}" + path, lambda request: self._guard(request, answers, scope, edge=False))

    def edge(self, name: str, path: str, answers: Answers, scope: str = "") -> Route:
        """A list of things; for a token of the wrong kind it is empty."""
        return Route(name, "GET", "/{version}" + path, lambda request: self._guard(request, answers, scope, edge=True))

    # -- what all of them have -------------------------------------------------------------------------------------

    def routes(self) -> Iterable[Route]:
        return (
            Route("debug_token", "GET", "/{version}/debug_token", self._debug_token),
            self.node("me", "/me", self.me),
            *self.nodes(),
        )

    def well(self) -> None:
        """Nothing goes wrong from now on; what is known of tokens stays."""
        self.void = 0
        self.limited_until: datetime | None = None
        self.limited_told: datetime | None = None
        self.limit_code, self.limit_is_told = 80002, True
        self.percent = self.regain = 0.0
        self.usage_on = ALL
        self.hollow: dict[str, int] = {}
        self.no_next: dict[str, int] = {}
        self.served = ""
        self.caller.well()

    def start(self) -> Self:
        super().start()
        self._threads.append(threading.Thread(target=self.caller.run, args=(self.stopping,), daemon=True))
        self._threads[-1].start()
        return self

    def renew(self, token: str | None = None) -> None:
        self.void = 0
        if token is not None and token != self.token:
            self.tokens = {token: self.tokens[self.token]}
            self.token = token

    def failure(self, code: int, subcode: int = 0, message: str = "") -> dict[str, Any]:
        return failure(code, subcode, message)

    def unknown(self, request: Request) -> Reply:
        return Reply(400, failure(2500, message=f"Unknown path components: {request.path}"))

    def state(self) -> dict[str, Any]:
        with self.lock:
            told = {"waiting": self.caller.waiting, "done": len(self.caller.done), "lost": len(self.caller.lost)}
            return {"too_early": self.too_early, "calls": len(self.asked), "webhook": told}

    def page(self, items: Sequence[Mapping[str, Any]], request: Request, *, most: int = MOST) -> dict[str, Any]:
        """Those of a page, and the address of the next: with our token in it, as the original has it."""
        start = int(request.one("after", "0").partition("-")[0] or 0)
        size = max(1, min(int(request.one("limit", str(PAGE)) or PAGE), most))
        if self._takes(self.hollow, request.route):
            size, shown = 0, []
        else:
            shown = [dict(item) for item in items[start : start + size]]
        end = start + size
        # The place of an empty page is another than the one before it, though it stands at the same item.
        after = str(end) if size else f"{end}-{len(self.asked)}"
        paging: dict[str, Any] = {"cursors": {"before": str(start), "after": after}}
        if (end < len(items) or not size) and not self._takes(self.no_next, request.route):
            asked = {name: values[0] for name, values in request.params.items()}
            query = urlencode({**asked, "access_token": self.token, "after": after})
            paging["next"] = f"https://graph.example{request.path}?{query}"
        return {"data": shown, "paging": paging} if items or not size else {"data": []}

    @property
    def too_early(self) -> int:
        """How many calls were made before the time told."""
        return len(self.early)

    # -- who may ask -----------------------------------------------------------------------------------------------

    def _guard(self, request: Request, answers: Answers, scope: str, *, edge: bool) -> Reply:
        refused = self._refused(request, scope, edge=edge)
        if refused is not None:
            return self._told(request, refused)
        answer = answers(request)
        reply = answer if isinstance(answer, Reply) else Reply(200, answer)
        return self._told(request, reply)

    def _refused(self, request: Request, scope: str, *, edge: bool) -> Reply | None:
        token = token_of(request)
        if not token:
            return Reply(400, failure(104, message="An access token is required to request this resource."))
        if self.void or token not in self.tokens:
            words = "Error validating access token: Session has expired"
            return Reply(401, failure(190, self.void or 467, words))
        if (limited := self._limited(request)) is not None:
            return limited
        proof = request.one("appsecret_proof")
        wanted = hmac.new(self.secret.encode(), token.encode(), hashlib.sha256).hexdigest()
        if (proof or self.needs_proof) and not hmac.compare_digest(proof, wanted):
            return Reply(400, failure(100, message="Invalid appsecret_proof provided in the API argument"))
        its = self.tokens[token]
        if its.expires is not None and self.clock.now() >= its.expires:
            return Reply(401, failure(190, 463))
        if its.kind not in self.kinds:
            return Reply(200, {"data": []}) if edge else Reply(400, failure(100, 33))
        if scope and scope not in its.scopes:
            return Reply(403, failure(10, message=f"(#10) This endpoint requires the '{scope}' permission"))
        return None

    def _limited(self, request: Request) -> Reply | None:
        if self.limited_until is None or self.clock.now() >= self.limited_until:
            self.limited_until = None
            return None
        now = self.clock.now()
        if self.limited_told is not None:
            self.early.append((self.limited_told, now))
            self.limited_until += timedelta(minutes=1)
        if not request.drips:
            # Whoever waits for a head that drips has left before it said anything.
            self.limited_told = now
        return Reply(400, failure(self.limit_code))

    def _told(self, request: Request, reply: Reply) -> Reply:
        """With the headers that every answer has."""
        percent, minutes = (self.percent, self.regain) if self.usage_on in (ALL, request.route) else (0.0, 0.0)
        if self.limited_until is not None:
            percent = 100.0
            left = (self.limited_until - self.clock.now()).total_seconds() / 60
            minutes = max(1, -int(-left // 1)) if self.limit_is_told else 0
        uses = {"type": self.use, "call_count": percent, "total_cputime": 1, "total_time": 2}
        business = {self.tokens[self.token].profile: [{**uses, "estimated_time_to_regain_access": minutes}]}
        headers = {
            "facebook-api-version": self.served or request.named.get("version", VERSION),
            "X-App-Usage": json.dumps({"call_count": min(percent, 50), "total_time": 3, "total_cputime": 1}),
            "X-Business-Use-Case-Usage": json.dumps(business),
        }
        return Reply(reply.status, reply.body, {**headers, **reply.headers}, reply.content_type)

    def _debug_token(self, request: Request) -> Reply:
        asks, about = token_of(request), request.one("input_token")
        if asks not in (*self.tokens, f"{self.app_id}|{self.secret}"):
            return self._told(request, Reply(400, failure(190)))
        its = self.tokens.get(about)
        if its is None:
            return self._told(request, Reply(200, {"data": {"is_valid": False, "scopes": []}}))
        data = {
            "app_id": self.app_id, "type": its.kind, "is_valid": not self.void, "profile_id": its.profile,
            "expires_at": int(its.expires.timestamp()) if its.expires else 0,
            "data_access_expires_at": int(its.data_expires.timestamp()) if its.data_expires else 0,
            "scopes": sorted(its.scopes),
            "granular_scopes": [{"scope": scope, "target_ids": [its.profile]} for scope in sorted(its.scopes)],
        }  # fmt: skip
        return self._told(request, Reply(200, {"data": data}))

    @staticmethod
    def _takes(counted: dict[str, int], route: str) -> bool:
        for name in (route, ALL):
            if counted.get(name, 0) > 0:
                counted[name] -= 1
                return True
        return False


def token_of(request: Request) -> str:
    """In the address, or in a header."""
    header = next((value for name, value in request.headers.items() if name.lower() == "authorization"), "")
    return request.one("access_token") or header.partition(" ")[2].strip()
