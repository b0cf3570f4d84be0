"""The federation behind the servers: accounts at home on one of them, their posts, and all that happened, in its order.

The truth is kept apart from what servers make of it: each numbers the posts itself, and may be late, deaf or mute.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..platform.times import Clock, RealClock, rfc3339

HOME = "a.example"
"""Where an account is at home whose name says nothing else."""


@dataclass
class Status:
    """A post as it is now. `texts`: all that it said, the newest last."""

    uri: str
    by: str
    at: datetime
    texts: list[str]
    more: dict[str, Any] = field(default_factory=dict)
    edited_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def name(self) -> str:
        return self.by.partition("@")[0]

    @property
    def home(self) -> str:
        return self.by.partition("@")[2]

    @property
    def tags(self) -> list[str]:
        found = [tag.lower() for tag in re.findall(r"#(\w+)", self.texts[-1])]
        return list(dict.fromkeys([*found, *self.more.get("tags", ())]))


@dataclass(frozen=True)
class Event:
    """`kind` is create, edit or delete."""

    at: datetime
    kind: str
    status: Status


class Federation:
    """Everything shared between servers. Hold `lock` to read several things of one moment."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or RealClock()
        self.lock = threading.RLock()
        self.statuses: dict[str, Status] = {}
        self.servers: list[Callable[[Event], None]] = []
        self.domains: list[str] = []
        self._called: dict[str, str] = {}
        self._count = 0

    def post(self, text: str, by: str = "ola", at: datetime | None = None, **more: Any) -> Status:
        """A new post. `by`: `name` or `name@server`. `more`: `id`, by which later lines may call it; `reply_to`,
        `boost` and `quote`, which name posts; `created_at`, as a wrong clock has it; `tags`; `known_to`, the servers
        that hear of it; and fields of the status."""
        with self.lock:
            now = at or self.clock.now()
            self._count += 1
            whole = by if "@" in by else f"{by}@{HOME}"
            name, _, home = whole.partition("@")
            called = more.pop("id", None)
            for each in ("reply_to", "boost", "quote"):
                if each in more:
                    more[each] = self.find(str(more[each])).uri
            status = Status(f"https://{home}/users/{name}/statuses/{self._count}", whole, now, [text], more)
            self.statuses[status.uri] = status
            if called is not None:
                self._called[str(called)] = status.uri
            self._tell(Event(now, "create", status))
            return status

    def edit(self, post: str, text: str, at: datetime | None = None, **more: Any) -> Status:
        """Its author writes it anew, under the same uri."""
        with self.lock:
            status, now = self.find(post), at or self.clock.now()
            status.texts.append(text)
            status.more.update(more)
            status.edited_at = now
            self._tell(Event(now, "edit", status))
            return status

    def delete(self, post: str, at: datetime | None = None) -> Status:
        with self.lock:
            status, now = self.find(post), at or self.clock.now()
            if status.deleted_at is None:
                status.deleted_at = now
                self._tell(Event(now, "delete", status))
            return status

    def account(self, by: str, at: datetime | None = None) -> str:
        """An account is deleted: servers tell it of each of its posts."""
        with self.lock:
            whole = by if "@" in by else f"{by}@{HOME}"
            for status in [s for s in self.statuses.values() if s.by == whole]:
                self.delete(status.uri, at)
            return whole

    def find(self, post: str) -> Status:
        """By its uri, or what a line called it; `last`: the newest. Raises ValueError."""
        uri = next(reversed(self.statuses), "") if post == "last" else self._called.get(post, post)
        if uri not in self.statuses:
            raise ValueError(f"no such post: {post}")
        return self.statuses[uri]

    def is_gone(self, uri: str) -> bool:
        with self.lock:
            return self.statuses[uri].deleted_at is not None

    def _tell(self, event: Event) -> None:
        for server in self.servers:
            server(event)


def page_of(text: str, domain: str) -> str:
    """A text as servers write it: paragraphs, links whose beginning is not shown, hashtags and mentions."""

    def link(found: re.Match[str]) -> str:
        address = html.escape(found[0])
        scheme, _, rest = address.partition("://")
        return (
            f'<a href="{address}" target="_blank" rel="nofollow noopener"><span class="invisible">{scheme}://</span>'
            f'<span class="ellipsis">{rest[:20]}</span><span class="invisible">{rest[20:]}</span></a>'
        )

    def tag(found: re.Match[str]) -> str:
        where = f"https://{domain}/tags/{html.escape(found[1].lower())}"
        return f'<a href="{where}" class="mention hashtag" rel="tag">#<span>{html.escape(found[1])}</span></a>'

    def mention(found: re.Match[str]) -> str:
        where = f"https://{found[2] or domain}/@{found[1]}"
        name = html.escape(found[1])
        return f'<span class="h-card"><a href="{where}" class="u-url mention">@<span>{name}</span></a></span>'

    def line(text: str) -> str:
        out, at = "", 0
        for found in re.finditer(r"https?://[^\s<]+|#(\w+)|@([a-z0-9_]+)(?:@([a-z0-9.-]+[a-z0-9]))?", text):
            out += html.escape(text[at : found.start()])
            if found[1]:
                out += tag(re.match(r"#(\w+)", found[0]) or found)
            elif found[2]:
                out += mention(re.match(r"@([a-z0-9_]+)(?:@(.+))?", found[0]) or found)
            else:
                out += link(found)
            at = found.end()
        return out + html.escape(text[at:])

    return "".join(f"<p>{'<br />'.join(map(line, part.split(chr(10))))}</p>" for part in text.split("\n\n"))


def mentions_of(text: str, domain: str) -> list[tuple[str, str]]:
    """(name, server) of those whom a text names."""
    without = re.sub(r"https?://[^\s<]+", "", text)
    return [
        (name, server or domain) for name, server in re.findall(r"@([a-z0-9_]+)(?:@([a-z0-9.-]+[a-z0-9]))?", without)
    ]


def refuses(item: Mapping[str, Any]) -> str | None:
    """Why a line of a scenario says nothing."""
    if any(isinstance(item.get(name), str) and item[name] for name in ("text", "delete", "account", "boost")):
        return None
    return "neither a command ('do'), nor a post ('text'), 'boost', edit ('edit' and 'text'), 'delete' or 'account'"


def say(federation: Federation, item: Mapping[str, Any], at: datetime) -> str:
    """A line of a scenario. Returns what it is about: a post's uri, or an account."""
    given = dict(item)
    if "delete" in given:
        return federation.delete(str(given["delete"]), at).uri
    if "account" in given:
        return federation.account(str(given["account"]), at)
    text = str(given.pop("text", ""))
    if "edit" in given:
        return federation.edit(str(given.pop("edit")), text, at, **given).uri
    return federation.post(text, str(given.pop("by", "ola")), at, **given).uri


def written(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
