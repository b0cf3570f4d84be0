"""The host: the Page's lists and comments behind the Graph API's door, and the caller beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from ..graph import GraphHost, KnownToken, failure
from ..platform import Clock, Reply, Request, Route, Step, Verbs
from .calls import PageCaller
from .commands import FacebookCommands
from .page import PAGE, Page, Thing, refuses, say

READ, USER, META, SHOW = (
    "pages_read_engagement", "pages_read_user_content", "pages_manage_metadata", "pages_show_list",
)  # fmt: skip


class FakeFacebook(GraphHost):
    name = "facebook"
    command_type: ClassVar[type[Verbs]] = FacebookCommands

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        world: Page | None = None,
        **more: Any,
    ) -> None:
        """`more`: what every host of the Graph API takes: token, app_id, secret."""
        self.world = world or Page(clock)
        self.vanished = False
        super().__init__(clock=clock or self.world.clock, port=port, scenario=scenario, **more)
        self.caller: PageCaller = PageCaller(self.clock, self.secret)
        self.world.hears.append(self.caller.tell)

    @classmethod
    def usual_token(cls) -> KnownToken:
        return KnownToken(profile=PAGE, scopes=frozenset({READ, USER, META, SHOW}))

    def nodes(self) -> Iterable[Route]:
        own = self.world.id
        return (
            self.edge("published_posts", f"/{own}/published_posts", lambda r: self._posts(r, own=True), READ),
            self.edge("feed", f"/{own}/feed", lambda r: self._posts(r, own=False), USER),
            self.edge("tagged", f"/{own}/tagged", lambda r: self._posts(r, own=False, elsewhere=True), USER),
            self.edge("subscribed_apps", f"/{own}/subscribed_apps", self._subscribed, META),
            self.edge("comments", "/{thing}/comments", self._comments, USER),
            self.node("thing", "/{thing}", self._thing, USER),
        )

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return refuses(item)

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        return say(self.world, item, at, live=live)

    def state(self) -> dict[str, Any]:
        calls = {"things": len(self.world.things), "webhook": self.caller.url, "made": len(self.caller.made)}
        return {**super().state(), **calls}

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """`things`: all posts and comments, with their texts and whether they are gone."""
        if name != "things":
            return None
        with self.world.lock:
            things = self.world.things.values()
            return {"things": [{"id": e.id, "texts": e.texts, "gone": e.gone_at is not None} for e in things]}

    # -- what it gives ---------------------------------------------------------------------------------------------

    def _posts(self, request: Request, *, own: bool, elsewhere: bool = False) -> Any:
        if self.vanished:
            return {"data": []}
        return self.page([_shown(e, request) for e in self.world.posts(own=own, elsewhere=elsewhere)], request)

    def _comments(self, request: Request) -> Any:
        id_ = request.named["thing"]
        if (refused := self._missing(id_)) is not None:
            return refused
        below = self.world.comments(id_, all_=request.one("filter") == "stream")
        return self.page([_shown(e, request) for e in below], request)

    def _thing(self, request: Request) -> Any:
        id_ = request.named["thing"]
        if (refused := self._missing(id_)) is not None:
            return refused
        return _shown(self.world.things[id_], request)

    def _missing(self, id_: str) -> Reply | None:
        its = self.world.things.get(id_)
        if its is None or its.gone_at is not None:
            return Reply(400, failure(100, 33))
        return None

    def _subscribed(self, request: Request) -> Any:
        if self.caller.url is None:
            return {"data": []}
        return {"data": [{"id": self.app_id, "name": "Lyttepost", "subscribed_fields": ["feed", "mention"]}]}


def _shown(thing: Thing, request: Request) -> dict[str, Any]:
    asked = request.one("fields").split(",")
    all_: dict[str, Any] = {
        "id": thing.id, "message": thing.text, "created_time": f"{thing.at:%Y-%m-%dT%H:%M:%S}+0000",
    }  # fmt: skip
    if (sender := thing.sender()) is not None:
        all_["from"] = sender
    if thing.parent is not None and thing.parent != thing.on:
        all_["parent"] = {"id": thing.parent, "created_time": "2026-11-01T09:00:00+0000"}
    return {name: value for name, value in all_.items() if name in asked or name == "id"}
