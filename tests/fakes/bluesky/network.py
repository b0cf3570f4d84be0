"""The network behind the hosts: accounts, their posts, and every event in the order in which it happened.

The truth is kept apart from what hosts make of it: each host numbers the events itself, and may be late, deaf or mute.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..platform.times import Clock, RealClock, parse_time, rfc3339

COLLECTION = "app.bsky.feed.post"
_SORTABLE = "234567abcdefghijklmnopqrstuvwxyz"
_PLC = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True)
class Event:
    """One thing that happened: `kind` is commit or account; of a commit `operation` is create, update or delete."""

    at: datetime
    did: str
    kind: str
    operation: str = ""
    collection: str = COLLECTION
    rkey: str = ""
    rev: str = ""
    record: Mapping[str, Any] | None = None
    active: bool = True
    status: str | None = None

    @property
    def uri(self) -> str:
        return f"at://{self.did}/{self.collection}/{self.rkey}"


@dataclass
class Post:
    """A post as it is now. `texts`: all that it said, the newest last."""

    uri: str
    did: str
    rkey: str
    at: datetime
    texts: list[str] = field(default_factory=list)
    deleted_at: datetime | None = None


class Network:
    """Everything shared between hosts. Hold `lock` to read several things of one moment."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or RealClock()
        self.lock = threading.RLock()
        self.posts: dict[str, Post] = {}
        self.events: list[Event] = []
        self.gone: dict[str, str] = {}
        """Accounts that are not there (any more) → why."""
        self.hosts: list[Callable[[Event], None]] = []
        self._called: dict[str, str] = {}
        self._last = 0

    def post(self, text: str, by: str = "ola", at: datetime | None = None, **more: Any) -> Post:
        """A new post. `more`: `id`, by which later lines may call it; fields of the record, `createdAt` among them;
        `reply_to` and `quote`, which name posts."""
        with self.lock:
            now = at or self.clock.now()
            rkey, did = str(more.pop("rkey", "")) or self._tid(now), did_of(by)
            name, record = more.pop("id", None), self._record(text, now, more)
            event = Event(now, did, "commit", "create", rkey=rkey, rev=self._tid(now), record=record)
            post = self.posts[event.uri] = Post(event.uri, did, rkey, now, [text])
            if name is not None:
                self._called[str(name)] = event.uri
            self._tell(event)
            return post

    def edit(self, post: str, text: str, at: datetime | None = None, **more: Any) -> Post:
        """Its author writes it anew, under the same id."""
        with self.lock:
            its, now = self._find(post), at or self.clock.now()
            its.texts.append(text)
            record = self._record(text, its.at, more)
            self._tell(Event(now, its.did, "commit", "update", rkey=its.rkey, rev=self._tid(now), record=record))
            return its

    def delete(self, post: str, at: datetime | None = None) -> Post:
        with self.lock:
            its, now = self._find(post), at or self.clock.now()
            its.deleted_at = now
            self._tell(Event(now, its.did, "commit", "delete", rkey=its.rkey, rev=self._tid(now)))
            return its

    def account(self, by: str, status: str = "deleted", at: datetime | None = None) -> str:
        """An account is deleted, deactivated, taken down, or `active` again. Of its posts nothing is said."""
        with self.lock:
            did, now, active = did_of(by), at or self.clock.now(), status == "active"
            if active:
                self.gone.pop(did, None)
            else:
                self.gone[did] = status
            self._tell(Event(now, did, "account", active=active, status=None if active else status))
            return did

    def event(self, event: Event) -> None:
        """Anything else: another collection, a record that is none."""
        with self.lock:
            self._tell(event)

    def is_gone(self, uri: str) -> bool:
        """The post was deleted, or its account was."""
        with self.lock:
            post = self.posts[uri]
            return post.deleted_at is not None or self.gone.get(post.did) == "deleted"

    def _find(self, post: str) -> Post:
        """By its uri, or what a line called it; `last`: the newest. Raises ValueError."""
        uri = next(reversed(self.posts), "") if post == "last" else self._called.get(post, post)
        if uri not in self.posts:
            raise ValueError(f"no such post: {post}")
        return self.posts[uri]

    def _record(self, text: str, at: datetime, more: Mapping[str, Any]) -> dict[str, Any]:
        given = dict(more)
        record: dict[str, Any] = {"$type": COLLECTION, "createdAt": rfc3339(at), "langs": ["nb"]}
        if (parent := given.pop("reply_to", None)) is not None:
            ref = {"cid": "bafyreib" + "a" * 51, "uri": self._uri(str(parent))}
            record["reply"] = {"parent": ref, "root": ref}
        if (quoted := given.pop("quote", None)) is not None:
            ref = {"cid": "bafyreib" + "a" * 51, "uri": self._uri(str(quoted))}
            record["embed"] = {"$type": "app.bsky.embed.record", "record": ref}
        return {**record, "text": text, **given}

    def _uri(self, post: str) -> str:
        return post if post.startswith("at://") else self._find(post).uri

    def _tid(self, at: datetime) -> str:
        """A timestamp id, each later than the one before."""
        self._last = max(int(at.timestamp() * 1_000_000), self._last + 1)
        return tid(self._last)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        for host in self.hosts:
            host(event)


def did_of(name: str) -> str:
    """The identity of an account that is called so; always the same."""
    if name.startswith("did:"):
        return name
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:16], "big")
    return "did:plc:" + "".join(_PLC[number >> 5 * place & 31] for place in range(24))


def tid(microseconds: int) -> str:
    """An id of atproto's that sorts by its time: 13 letters, the last two of them the machine's."""
    return "".join(_SORTABLE[microseconds >> 5 * place & 31] for place in reversed(range(11))) + "22"


def refuses(item: Mapping[str, Any]) -> str | None:
    """Why a line of a scenario says nothing."""
    if any(isinstance(item.get(name), str) and item[name] for name in ("text", "delete", "account")):
        return None
    return "neither a command ('do'), nor a post ('text'), an edit ('edit' and 'text'), a 'delete' or an 'account'"


def say(network: Network, item: Mapping[str, Any], at: datetime) -> str:
    """A line of a scenario. Returns what it is about: a post's uri, or an account."""
    given = dict(item)
    if "delete" in given:
        return network.delete(str(given["delete"]), at).uri
    if "account" in given:
        return network.account(str(given["account"]), str(given.get("status", "deleted")), at)
    text = str(given.pop("text"))
    if "edit" in given:
        return network.edit(str(given.pop("edit")), text, at, **given).uri
    if "createdAt" in given:
        parse_time(str(given["createdAt"]))
    return network.post(text, str(given.pop("by", "ola")), at, **given).uri
