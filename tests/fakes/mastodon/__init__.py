"""A fake Mastodon server on a real socket: its timelines, its stream on a websocket, its limits, and its moods.

    with FakeMastodon() as server:
        …read server.url + "/api/v1/timelines/tag/granvik", connect a websocket to /api/v1/streaming…
        post = server.federation.post("Kø ved sykehuset #granvik", by="kari")
        server.do("silence", seconds=60)
        server.federation.delete(post.uri)

Several servers can share one `Federation`, as the originals do: a post has one uri and on each server another number.
`federation` is the truth, `server` what one of them knows and how it writes it, `commands` the misbehaviour.

A line of a scenario beside commands (`..platform.scenario`) is one of

    {"at": 1, "text": "Blålys ved sykehuset #granvik", "by": "kari", "id": "a"}   a post; `id` is what later lines call
                                                                   it; `by` may be `name@server`; more: `reply_to` and
                                                                   `quote` (an `id`), `known_to` (servers), and fields
                                                                   of the status: `spoiler_text`, `visibility`, …
    {"at": 2, "edit": "a", "text": "Blålys ved legevakta #granvik"}               its author writes it anew
    {"at": 3, "boost": "a", "by": "per"}                                          somebody boosts it
    {"at": 4, "delete": "a"}                                                      it is deleted
    {"at": 5, "account": "kari"}                                                  an account is deleted, and its posts

`last` names the newest post. `sample.jsonl` beside this file is an example. The token is `a-token-of-no-account`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote

from ..platform import Clock, Handler, Reply, Request, Route, Step, Verbs, rfc3339
from ..platform.streaming import StreamingPlatform
from ..platform.streams import StreamReader
from ..platform.websocket import WebSocket, text
from .commands import MastodonCommands
from .federation import HOME, Event, Federation, Status, refuses, say
from .server import Subscriber, View, folded, frame

__all__ = ["HOME", "TOKEN", "FakeMastodon", "Federation", "Status"]

TOKEN = "a-token-of-no-account"
APP_TOKEN = "a-token-of-an-app"
"""It stands for no user: timelines may be read with it, streams not."""
CALLS, WINDOW = 300, 300.0


class FakeMastodon(StreamingPlatform[Subscriber]):
    """One server. `federation`: what it hears of; its own, if none is given. `domain`: behind the @ of its people.
    `pings` are sent each so many seconds of the clock."""

    name = "mastodon"
    command_type: ClassVar[type[Verbs]] = MastodonCommands

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        federation: Federation | None = None,
        domain: str = HOME,
        pings: float = 30.0,
    ) -> None:
        self.federation = federation or Federation(clock)
        self.domain = domain
        self.calls: list[datetime] = []
        # One lock for all servers of a federation: an event reaches each of them whole.
        super().__init__(
            clock=clock or self.federation.clock, port=port, scenario=scenario, lock=self.federation.lock, pings=pings
        )
        self.view = View(self.federation, domain, self.clock.now)
        with self.federation.lock:
            for status in self.federation.statuses.values():
                if self.view.knows(status):
                    self.view.numbers.give(status)
            self.federation.domains.append(domain)
            self.federation.servers.append(self._hear)

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return refuses(item)

    def routes(self) -> Iterable[Route]:
        return (
            Route("instance", "GET", "/api/v2/instance", lambda request: Reply(200, self._instance())),
            Route("tag", "GET", "/api/v1/timelines/tag/{tag}", self._tag),
            Route("public", "GET", "/api/v1/timelines/public", self._public),
            Route("status", "GET", "/api/v1/statuses/{id}", self._status),
            Route("whose", "GET", "/api/v1/accounts/verify_credentials", self._whose),
            Route("stream", "GET", "/api/v1/streaming", self._subscribe),
        )

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        return say(self.federation, item, at)

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        super().well()
        self.token: str | None = TOKEN
        self.deaf_until: datetime | None = None
        self.late: frozenset[str] = frozenset()
        """Posts that have not arrived yet."""
        self._waiting: list[Event] = []
        self.allowed, self.window = CALLS, WINDOW
        self.closed: frozenset[str] = frozenset()
        self.tells_access = True
        self.streams_at: str | None = None
        self.subscribes_after = 0.0
        """Seconds until what is subscribed to is sent."""

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {
                "domain": self.domain, "open": [subscriber.shown() for subscriber in self._open],
                "statuses": len(self.view.numbers.of),
            }  # fmt: skip

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """`posts`: all there are, with their texts and whether they are gone."""
        if name != "posts":
            return None
        with self.lock:
            found = self.federation.statuses.values()
            return {"posts": [{"uri": s.uri, "texts": s.texts, "gone": s.deleted_at is not None} for s in found]}

    def stop(self) -> None:
        with self.federation.lock:
            if self._hear in self.federation.servers:
                self.federation.servers.remove(self._hear)
        super().stop()

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if self.deaf_until is not None and self.clock.now() < self.deaf_until:
            self._waiting.append(event)
            return
        waited, self._waiting, self.deaf_until = self._waiting, [], None
        for each in (*waited, event):
            if each.status.uri in self.late:
                self._waiting.append(each)
            else:
                self._give(each)

    def catch_up(self) -> None:
        """What came while it was deaf: each post gets a number of the time at which it was written."""
        waited, self._waiting, self.deaf_until, self.late = self._waiting, [], None, frozenset()
        for each in waited:
            self._give(each)

    def _give(self, event: Event) -> None:
        if not self.view.knows(event.status):
            return
        if event.status.uri not in self.view.numbers.of:
            if event.kind == "delete":
                return
            self.view.numbers.give(event.status)
        for each in self._due(event):
            for subscriber in self._open:
                self._push(subscriber, each)

    def _push(self, subscriber: Subscriber, event: Event) -> None:
        id_ = self.view.numbers.of[event.status.uri]
        for feed in self.view.feeds_of(event.status):
            stream = subscriber.feeds.get(feed)
            if stream is None or self.clock.now() < subscriber.sent_from[feed]:
                continue
            if event.kind == "delete":
                subscriber.reader.push(frame(stream, "delete", id_))
            else:
                kind = "update" if event.kind == "create" else "status.update"
                subscriber.reader.push(frame(stream, kind, self.view.write(event.status)))

    # -- what it answers -------------------------------------------------------------------------------------------

    def _instance(self) -> dict[str, Any]:
        configuration: dict[str, Any] = {"urls": {"streaming": self.streams_at or f"ws://127.0.0.1:{self.port}"}}
        if self.tells_access:
            configuration["timelines_access"] = {
                name: dict.fromkeys(("local", "remote"), "disabled" if which in self.closed else "authenticated")
                for name, which in (("hashtag_feeds", "hashtags"), ("live_feeds", "timelines"))
            }
        return {"domain": self.domain, "title": "fake", "version": "4.5.0", "configuration": configuration}

    def _refused(self, request: Request) -> Reply | None:
        """Who may ask, and how often."""
        given = {name.lower(): value for name, value in request.headers.items()}.get("authorization", "")
        token = given.removeprefix("Bearer ")
        if token == APP_TOKEN:
            return Reply(422, {"error": "This method requires an authenticated user"})
        if token != self.token:
            return Reply(401, {"error": "The access token is invalid"})
        now = self.clock.now()
        self.calls = [at for at in self.calls if (now - at).total_seconds() < self.window]
        if len(self.calls) >= self.allowed:
            return Reply(429, {"error": "Too many requests"}, self._limits(now))
        self.calls.append(now)
        return None

    def _limits(self, now: datetime) -> dict[str, str]:
        reset = (self.calls[0] if self.calls else now) + timedelta(seconds=self.window)
        return {
            "X-RateLimit-Limit": str(self.allowed),
            "X-RateLimit-Remaining": str(max(0, self.allowed - len(self.calls))),
            "X-RateLimit-Reset": rfc3339(reset + timedelta(seconds=self.faults.skew)),
        }

    def _answer(self, request: Request, body: Any) -> Reply:
        return self._refused(request) or Reply(200, body, self._limits(self.clock.now()))

    def _tag(self, request: Request) -> Reply:
        feed = f"#{folded(unquote(request.named['tag']))}"
        return self._answer(request, [] if "hashtags" in self.closed else self.view.page(feed, request.params))

    def _public(self, request: Request) -> Reply:
        feed = "public:local" if request.one("local") == "true" else "public"
        return self._answer(request, [] if "timelines" in self.closed else self.view.page(feed, request.params))

    def _status(self, request: Request) -> Reply:
        status = self.federation.statuses.get(self.view.numbers.uris.get(request.named["id"], ""))
        if status is None or status.deleted_at is not None:
            return self._refused(request) or Reply(404, {"error": "Record not found"})
        return self._answer(request, self.view.write(status))

    def _whose(self, request: Request) -> Reply:
        return self._answer(request, self.view.account(f"lytter@{self.domain}"))

    def _subscribe(self, request: Request) -> Reply | Any:
        given = {name.lower(): value for name, value in request.headers.items()}.get("authorization", "")
        if given.removeprefix("Bearer ") != self.token:
            return Reply(401, {"error": "Access to this endpoint requires a valid access token"})
        if not WebSocket.is_asked_for(request.headers):
            return Reply(426, b"upgrade to a websocket", {"Upgrade": "websocket"}, "text/plain")
        subscriber = Subscriber(StreamReader(self.clock), {})
        self._open.append(subscriber)
        return lambda handler: self._stream(handler, subscriber)

    def _stream(self, handler: Handler, subscriber: Subscriber) -> None:
        socket = WebSocket(handler)

        def is_read() -> bool:
            if subscriber.frozen:
                return True
            # What was subscribed to counts before the ping that follows it is answered.
            return self._listens(socket, subscriber)

        self._serve(handler, socket, subscriber, is_read)

    def _listens(self, socket: WebSocket, subscriber: Subscriber) -> bool:
        with self.lock:
            there = socket.is_read()
            for message in socket.said:
                self._asked(subscriber, message)
            socket.said.clear()
            return there

    def _asked(self, subscriber: Subscriber, message: bytes) -> None:
        try:
            asked = json.loads(message)
            feed = f"#{folded(asked['tag'])}" if asked["stream"] == "hashtag" else str(asked["stream"])
        except (ValueError, KeyError, TypeError, AttributeError):
            subscriber.reader.push(text(b'{"error":"Invalid JSON"}'))
            return
        if asked.get("type") == "subscribe":
            subscriber.sent_from[feed] = self.clock.now() + timedelta(seconds=self.subscribes_after)
            subscriber.feeds[feed] = [asked["stream"], *([asked["tag"]] if "tag" in asked else [])]
        else:
            subscriber.feeds.pop(feed, None)
