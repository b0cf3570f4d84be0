"""A fake publisher on a real socket: several feeds, and all that feeds do wrong.

    with FakeFeeds() as fake:
        …read fake.address("posten")…
        entry = fake.publish("posten", "Røyk over Fjordby sykehus", "Brannvesenet er på vei")
        fake.do("page", feed="posten", times=2)

`published_feed` is what one of them holds and how it is written, `commands` the misbehaviour. A feed is there as soon
as it is asked for. It answers conditional requests by ETag and Last-Modified, as far as it is not told otherwise.

A line of a scenario beside commands (`..platform.scenario`) is one of

    {"at": 1, "feed": "posten", "title": "Røyk over sykehuset", "text": "<p>…</p>", "id": "a"}    an entry; `id` is what
                                          later lines call it; more: `guid`, `link`, and `published`, `updated`, each
                                          an instant, seconds from now, or null for an entry that does not say
    {"at": 2, "edit": "a", "title": "Røyk over sykehuset: ingen skadet"}    it is written anew (`text`, too)
    {"at": 3, "drop": "a"}                                                  it is in the feed no more
    {"at": 4, "return": "a"}                                                and there again

`sample.jsonl` beside this file is an example.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

from ..platform import Clock, Platform, Reply, Request, Route, Step, Verbs
from .commands import FeedsCommands
from .published_feed import ATOM, RSS, Entry, PublishedFeed

__all__ = ["Entry", "FakeFeeds", "PublishedFeed"]


class FakeFeeds(Platform):
    name = "feeds"
    command_type: ClassVar[type[Verbs]] = FeedsCommands

    def __init__(
        self, *, clock: Clock | None = None, port: int = 0, scenario: Path | str | Iterable[Step] | None = None
    ) -> None:
        self.feeds: dict[str, PublishedFeed] = {}
        self._called: dict[str, Entry] = {}
        super().__init__(clock=clock, port=port, scenario=scenario)

    def routes(self) -> Iterable[Route]:
        return (
            Route("feed", "GET", "/feeds/{feed}", self._feed),
            Route("moved", "GET", "/moved/{feed}", self._moved),
            Route("inside", "GET", "/inside", lambda request: Reply(200, b"what nobody outside may see")),
        )

    def address(self, feed: str) -> str:
        return f"{self.url}/feeds/{feed}"

    def feed(self, feed: str) -> PublishedFeed:
        with self.lock:
            return self.feeds.setdefault(feed, PublishedFeed(feed))

    def publish(self, feed: str, title: str, text: str = "", **more: Any) -> Entry:
        """An entry, published now."""
        with self.lock:
            return self._say_entry({"feed": feed, "title": title, "text": text, **more}, self.clock.now())

    # -- what is said ----------------------------------------------------------------------------------------------

    @classmethod
    def refuses(cls, item: Mapping[str, Any]) -> str | None:
        if any(isinstance(item.get(name), str) and item[name] for name in ("edit", "drop", "return")):
            return None
        if isinstance(item.get("feed"), str) and isinstance(item.get("title"), str):
            return None
        return "neither a command ('do'), nor an entry ('feed' and 'title'), an 'edit', a 'drop' or a 'return'"

    def say(self, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
        for verb in ("drop", "return"):
            if verb in item:
                entry = self._find(str(item[verb]))
                entry.there = verb == "return"
                return entry.guid
        if "edit" in item:
            entry = self._find(str(item["edit"]))
            entry.change(item, at)
            return entry.guid
        return self._say_entry(dict(item), at).guid

    def _say_entry(self, item: dict[str, Any], at: datetime) -> Entry:
        entry = self.feed(str(item.pop("feed"))).publish(item, at)
        self._called[str(item.get("id", ""))] = self._called["last"] = self._called[entry.guid] = entry
        return entry

    def _find(self, entry: str) -> Entry:
        if entry not in self._called:
            raise ValueError(f"no such entry: {entry}")
        return self._called[entry]

    def told(self, name: str, params: Mapping[str, list[str]]) -> dict[str, Any] | None:
        if name != "feeds":
            return None
        with self.lock:
            return {"feeds": {name: [entry.guid for entry in its.shown()] for name, its in self.feeds.items()}}

    def state(self) -> dict[str, Any]:
        with self.lock:
            return {"feeds": {name: len(its.shown()) for name, its in self.feeds.items()}}

    # -- what it gives ---------------------------------------------------------------------------------------------

    def _moved(self, request: Request) -> Reply:
        return Reply(302, None, {"Location": f"/feeds/{request.named['feed']}"})

    def _feed(self, request: Request) -> Reply:
        its = self.feed(request.named["feed"])
        if (instead := its.instead()) is not None:
            return instead
        body = its.written(self.clock.now())
        head = {"ETag": its.tag(body)} if its.tags else {}
        if its.changed is not None and its.tags:
            head["Last-Modified"] = format_datetime(its.changed, usegmt=True)
        if its.tags and request.headers.get("If-None-Match") == head["ETag"]:
            return Reply(304, None, head)
        if its.packed:
            return Reply(200, gzip.compress(body), {**head, "Content-Encoding": "gzip"}, RSS)
        return Reply(200, body, head, ATOM if its.atom else RSS)
