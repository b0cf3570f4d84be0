"""Nobody logs in: for `lyttepost board demo`, on this machine alone."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute

from alerts.board.access.roles import BoardRole, Who


class DemoAccess:
    """Everybody is one person of the crisis team. Forms are still sent from our own pages only."""

    def __init__(self, name: str) -> None:
        self._who = Who(name, BoardRole.CRISIS_TEAM)
        self._token = secrets.token_urlsafe(16)

    def who(self, request: Request, *, active: bool = True) -> Who | None:
        return self._who

    def form_token(self, request: Request) -> str:
        return self._token

    def is_ours(self, request: Request, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    def challenge(self, request: Request) -> Response:
        return PlainTextResponse("", 403)

    def routes(self) -> Sequence[BaseRoute]:
        return ()
