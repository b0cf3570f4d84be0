"""A fake host of Bluesky's Jetstream, v2 and v1, on a real socket: it streams, replays from a cursor, and misbehaves.

    with FakeBluesky() as host:
        …connect a websocket to host.url…
        post = host.network.post("Kø ved Fjordby sykehus", by="kari")
        host.do("silence", seconds=60)
        host.network.delete(post.uri)

Several hosts can share one `Network`, as the originals do: each numbers the events its own way. `network` is the truth,
`host` a host's log and what goes over the wire, `commands` the misbehaviour.

A line of a scenario beside commands (`..platform.scenario`) is one of

    {"at": 1, "text": "Blålys ved sykehuset", "by": "kari", "id": "a"}   a post; `id` is what later lines call it;
                                                                       more: `langs`, `tags`, `facets`, `embed`,
                                                                       `createdAt`, `reply_to` and `quote` (an `id`)
    {"at": 2, "edit": "a", "text": "Blålys ved legevakta"}              its author writes it anew
    {"at": 3, "delete": "a"}                                            it is deleted
    {"at": 4, "account": "kari", "status": "deleted"}                   an account is deleted, deactivated, takendown
                                                                       or active again

`last` names the newest post. `sample.jsonl` beside this file is an example.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from ..platform import Clock, Handler, Reply, Request, Route, Step, Verbs, wait
from ..platform.streaming import StreamingPlatform
from ..platform.streams import End, StreamReader
from ..platform.websocket import WebSocket, goodbye, text
from .commands import BlueskyCommands
from .host import CursorTooOld, Entry, HostLog, Subscriber, failure, info, wanted_v1, wanted_v2, written
from .network import COLLECTION, Event, Network, Post, did_of, refuses, say, tid

__all__ = ["COLLECTION", "Event", "FakeBluesky", "Network", "Post", "did_of", "tid"]

V2 = "/xrpc/network.bsky.jetstream.subscribeEvents"
V1 = "/subscribe"
SUBPROTOCOL = "xrpc.v1.json"
BACKLOG = 100_000
"""Events on their way to one reader; with more it is too slow and is put out."""


class FakeBluesky(StreamingPlatform[Subscriber]):
    """One host. `network`: what it hears; its own, if none is given. `first`: the number of its first event. `keeps`:
    how far back it gives events. `pings` are sent each so many seconds of the clock, and each `chatter` seconds
    somebody in its network says something, for the original is never still; 0: nobody does."""

    name = "bluesky"
    command_type: ClassVar[type[Verbs]] = BlueskyCommands

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        port: int = 0,
        scenario: Path | str | Iterable[Step] | None = None,
        network: Network | None = None,
        first: int = 1,
        pings: float = 30.0,
        keeps: float = 36 * 3600,
        chatter: float = 0.5,
    ) -> None:
        self.network = network or Network(clock)
        self.chatter = chatter
        self.all: list[Subscriber] = []
        """Every websocket there was."""
        # One lock for all hosts of a network: an event reaches each of them whole.
        super().__init__(
            clock=clock or self.network.clock, port=port, scenario=scenario, lock=self.network.lock, pings=pings
        )
        self.log = HostLog(self.clock.now, first, keeps)
        with self.network.lock:
            for event in self.network.events:
                self.log.add(event)
            self.network.hosts.append(self._hear)

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        return refuses(item)

    def routes(self) -> Iterable[Route]:
        return (
            Route("subscribe", "GET", V2, lambda request: self._subscribe(request, v2=True)),
            Route("subscribe.v1", "GET", V1, lambda request: self._subscribe(request, v2=False)),
        )

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        return say(self.network, item, at)

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        super().well()
        self.deaf_until: datetime | None = None
        self._waiting: list[Event] = []

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {
                "open": [subscriber.shown() for subscriber in self._open],
                "events": len(self.log.entries), "next": self.log.next, "posts": len(self.network.posts),
            }  # fmt: skip

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        """`posts`: all there are, with their texts and whether they are gone."""
        if name != "posts":
            return None
        with self.lock:
            posts = self.network.posts.values()
            return {"posts": [{"uri": p.uri, "texts": p.texts, "gone": self.network.is_gone(p.uri)} for p in posts]}

    def start(self) -> Self:
        super().start()
        if self.chatter:
            self._threads.append(threading.Thread(target=self._chat, daemon=True))
            self._threads[-1].start()
        return self

    def _chat(self) -> None:
        count = 0
        while not wait(self.clock, self.chatter, self.stopping):
            count += 1
            self.network.post(f"Kaffe nummer {count} i dag", by=f"nabo{count % 50}", langs=["nb"])

    def stop(self) -> None:
        with self.network.lock:
            if self._hear in self.network.hosts:
                self.network.hosts.remove(self._hear)
        super().stop()

    # -- what it hears ---------------------------------------------------------------------------------------------

    def _hear(self, event: Event) -> None:
        if self.deaf_until is not None and self.clock.now() < self.deaf_until:
            self._waiting.append(event)
            return
        waited, self._waiting, self.deaf_until = self._waiting, [], None
        for each in (*waited, event):
            self._give(self.log.add(each))

    def _give(self, entry: Entry) -> None:
        for each in self._due(entry):
            for subscriber in self._open:
                self._push(subscriber, each)

    def _push(self, subscriber: Subscriber, entry: Entry) -> None:
        if not subscriber.wanted.has(entry.event):
            return
        subscriber.reader.push(text(written(entry, v2=subscriber.v2)))
        if len(subscriber.reader.lines) > BACKLOG:
            last = text(failure("ConsumerTooSlow", f"reading below the floor rate; reconnect with cursor={entry.seq}"))
            subscriber.reader.end(End.CLOSE, last + goodbye(1008, "ConsumerTooSlow"))

    # -- what it gives ---------------------------------------------------------------------------------------------

    def _subscribe(self, request: Request, *, v2: bool) -> Reply | Any:
        def refused(name: str, message: str) -> Reply:
            if v2:
                return Reply(400, {"error": name, "message": message}, content_type="application/json")
            return Reply(400, message.encode(), content_type="text/plain; charset=utf-8")

        if not WebSocket.is_asked_for(request.headers):
            return Reply(426, b"upgrade to a websocket", {"Upgrade": "websocket"}, "text/plain")
        try:
            wanted = wanted_v2(request.params) if v2 else wanted_v1(request.params)
            written_cursor = request.one("cursor")
            cursor = int(written_cursor) if written_cursor else None
            if cursor is not None and cursor < 0:
                raise ValueError(f"subscribe: invalid cursor: negative value {cursor}")
            place, clamped = self.log.since(cursor, v2=v2)
        except CursorTooOld as old:
            return refused("CursorTooOld", str(old))
        except ValueError as wrong:
            return refused("InvalidRequest", str(wrong))
        reader = StreamReader(self.clock)
        subscriber = Subscriber(wanted, v2, reader, "", written_cursor)
        entries = self.log.entries[place:]
        if v2 and clamped:
            first = entries[0].seq if entries else self.log.next
            message = f"requested timestamp cursor below retention floor; starting at seq {first}"
            reader.push(text(info("OutdatedCursor", message)))
        for entry in entries:
            if wanted.has(entry.event):
                reader.push(text(written(entry, v2=v2)))
        self.all.append(subscriber)
        self._open.append(subscriber)
        return lambda handler: self._stream(handler, subscriber)

    def _stream(self, handler: Handler, subscriber: Subscriber) -> None:
        socket = WebSocket(handler)
        self._serve(
            handler,
            socket,
            subscriber,
            lambda: socket.is_read() and not (subscriber.v2 and socket.heard),
            SUBPROTOCOL if subscriber.v2 else None,
        )
