"""How the board knows who asks. Each way to log in keeps this small protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from alerts.board.access.roles import Who


class Access(Protocol):
    """Called in the web server's thread, and quick."""

    def who(self, request: Request, *, active: bool = True) -> Who | None:
        """Who asks; None for somebody who must log in. `active`: a person did something; not so where a page asks by
        itself, as one does that updates itself: that keeps nobody logged in."""

    def form_token(self, request: Request) -> str:
        """What each form of this visitor holds, so that no other site can send it."""

    def is_ours(self, request: Request, token: str) -> bool:
        """Whether a form that came with this token was one of ours, for this visitor. In constant time."""

    def challenge(self, request: Request) -> Response:
        """What somebody gets who must log in first."""

    def routes(self) -> Sequence[BaseRoute]:
        """The addresses of its own, such as /login and /logout; all under no other page's."""
