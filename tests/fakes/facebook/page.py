"""The Page itself: its posts, the comments below them, and every change in the order in which it happened."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..platform.times import Clock, RealClock

PAGE = "1000"


@dataclass
class Thing:
    """A post or a comment as it is now. `texts`: all that it said, the newest last. `by` None: the Page; empty: nobody
    is named. `on`: the post that it stands below; None for a post."""

    id: str
    at: datetime
    texts: list[str]
    by: str | None
    on: str | None = None
    parent: str | None = None
    elsewhere: bool = False
    hidden: bool = False
    gone_at: datetime | None = None
    edited_at: list[datetime] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.texts[-1]

    def sender(self) -> dict[str, str] | None:
        if self.by == "":
            return None
        return {"id": PAGE, "name": "Fjordby sykehus"} if self.by is None else {"id": person(self.by), "name": self.by}


def person(name: str) -> str:
    """The id of somebody who is called so, always the same."""
    return str(7 * 10**14 + int.from_bytes(hashlib.sha256(name.encode()).digest()[:5], "big"))


class Page:
    """Hold `lock` to read several things of one moment. `hears` are told of every change, as a call has it."""

    def __init__(self, clock: Clock | None = None, page: str = PAGE) -> None:
        self.id = page
        self.clock: Clock = clock or RealClock()
        self.lock = threading.RLock()
        self.things: dict[str, Thing] = {}
        self.hears: list[Callable[[str, datetime, list[dict[str, Any]]], None]] = []
        self._called: dict[str, str] = {}
        self._next = 500_000

    def say(
        self,
        text: str,
        by: str | None = None,
        on: str | None = None,
        reply_to: str | None = None,
        mention: bool = False,
        id: str | None = None,
        at: datetime | None = None,
        told: bool = True,
    ) -> Thing:
        """Something new; `told`: calls tell of it. Raises ValueError."""
        with self.lock:
            self._next += 1
            parent = self._find(reply_to) if reply_to else self._find(on) if on else None
            post = None if parent is None else parent.on or parent.id
            owner = "2000" if mention and post is None else self.id
            number = post.rpartition("_")[2] if post else owner
            new = Thing(
                f"{number}_{self._next}", at or self.clock.now(), [text], "" if mention else by, post,
                None if parent is None else parent.id, mention,
            )  # fmt: skip
            self.things[new.id] = new
            if id is not None:
                self._called[id] = new.id
            if told:
                self._tell(new, "add", new.at)
            return new

    def edit(self, name: str, text: str, at: datetime | None = None) -> Thing:
        with self.lock:
            its, now = self._find(name), at or self.clock.now()
            its.texts.append(text)
            its.edited_at.append(now)
            self._tell(its, "edited", now)
            return its

    def delete(self, name: str, at: datetime | None = None) -> Thing:
        """With all that stands below it, of which nothing is told."""
        with self.lock:
            its, now = self._find(name), at or self.clock.now()
            for each in self.things.values():
                if its.id in (each.id, each.on, each.parent) and each.gone_at is None:
                    each.gone_at = now
            self._tell(its, "remove", now)
            return its

    def hide(self, name: str, hidden: bool, at: datetime | None = None) -> Thing:
        with self.lock:
            its = self._find(name)
            its.hidden = hidden
            self._tell(its, "hide" if hidden else "unhide", at or self.clock.now())
            return its

    def like(self, name: str) -> None:
        """A reaction: something that nobody says."""
        with self.lock:
            its = self._find(name)
            value = {"item": "reaction", "verb": "add", "post_id": its.on or its.id, "reaction_type": "like"}
            self._send("feed", {**value, "from": {"id": "7", "name": "Ola"}}, self.clock.now())

    def posts(self, *, own: bool, elsewhere: bool = False) -> list[Thing]:
        """Those that are there, the newest first."""
        with self.lock:
            found = [each for each in self.things.values() if each.on is None and each.gone_at is None]
        wanted = [e for e in found if e.elsewhere is elsewhere and (not own or e.by is None)]
        return sorted(wanted, key=lambda each: (each.at, each.id), reverse=True)

    def comments(self, post: str, *, all_: bool) -> list[Thing]:
        """Below a post or a comment, the newest first; without `all_` no answers to them."""
        with self.lock:
            below = [e for e in self.things.values() if post in (e.on, e.parent) and e.gone_at is None]
        found = [each for each in below if all_ or each.parent == post]
        return sorted(found, key=lambda each: (each.at, each.id), reverse=True)

    def _find(self, name: str) -> Thing:
        """By its id, or what a line called it; `last`: the newest. Raises ValueError."""
        id_ = next(reversed(self.things), "") if name == "last" else self._called.get(name, name)
        if id_ not in self.things:
            raise ValueError(f"no such post or comment: {name}")
        return self.things[id_]

    def _tell(self, thing: Thing, verb: str, at: datetime) -> None:
        value: dict[str, Any] = {
            "item": "comment" if thing.on else "post" if thing.elsewhere else "status",
            "verb": verb,
        }
        value["post_id"] = thing.on or thing.id
        if thing.on:
            value |= {"comment_id": thing.id, "parent_id": thing.parent}
        if (sender := thing.sender()) is not None:
            value["from"] = sender
        value["created_time"] = int(thing.at.timestamp())
        if verb != "remove":
            value["message"] = thing.text
        self._send("mention" if thing.elsewhere else "feed", value, at)

    def _send(self, name: str, value: dict[str, Any], at: datetime) -> None:
        for hear in self.hears:
            hear(self.id, at, [{"field": name, "value": value}])


def refuses(item: Mapping[str, Any]) -> str | None:
    """Why a line of a scenario says nothing."""
    if any(isinstance(item.get(name), str) and item[name] for name in ("text", "delete", "hide", "unhide")):
        return None
    return "neither a command ('do'), nor something said ('text'), an edit, a 'delete', a 'hide' or an 'unhide'"


def say(page: Page, item: Mapping[str, Any], at: datetime, *, live: bool) -> str:
    """A line of a scenario. Returns the id of what it is about."""
    given = dict(item)
    if "delete" in given:
        return page.delete(str(given["delete"]), at).id
    if "hide" in given or "unhide" in given:
        return page.hide(str(given.get("hide") or given.get("unhide")), "hide" in given, at).id
    text = str(given.pop("text"))
    if "edit" in given:
        return page.edit(str(given["edit"]), text, at).id
    return page.say(text, at=at, told=live, **given).id
