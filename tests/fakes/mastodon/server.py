"""One server's own view: the posts that it knows, under its own numbers, and how it writes them."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..platform.streams import StreamReader
from ..platform.times import parse_time
from ..platform.websocket import text
from .federation import Federation, Status, mentions_of, page_of, written

MOST = 40
"""Posts of a page, however many are asked for."""


@dataclass
class Subscriber:
    """One websocket; `feeds`: what its client subscribed to, each as it named it. `frozen`: nothing of its is read, nor
    answered."""

    reader: StreamReader
    feeds: dict[str, list[str]]
    frozen: bool = False
    sent_from: dict[str, datetime] = field(default_factory=dict)
    """Feed → from when on it is sent."""

    def shown(self) -> dict[str, Any]:
        return {"feeds": sorted(self.feeds), "sent": self.reader.sent, "waiting": len(self.reader.lines)}


class Numbers:
    """A number is milliseconds and a count: of a post that comes late, those of the time at which it was written."""

    def __init__(self) -> None:
        self._used: set[int] = set()
        self.of: dict[str, str] = {}
        self.uris: dict[str, str] = {}

    def give(self, status: Status) -> str:
        number = int(status.at.timestamp() * 1000) << 16
        while number in self._used:
            number += 1
        self._used.add(number)
        id_ = str(number)
        self.of[status.uri], self.uris[id_] = id_, status.uri
        return id_


class View:
    """What a server knows of the federation. `now` is its own clock."""

    def __init__(self, federation: Federation, domain: str, now: Callable[[], datetime]) -> None:
        self.federation = federation
        self.domain = domain
        self.numbers = Numbers()
        self._now = now

    def knows(self, status: Status) -> bool:
        known_to = status.more.get("known_to")
        return known_to is None or self.domain in known_to or status.home == self.domain

    def feeds_of(self, status: Status) -> list[str]:
        """The feeds in which it stands."""
        if status.more.get("visibility", "public") != "public" or "boost" in status.more:
            return []
        found = [f"#{folded(tag)}" for tag in status.tags]
        if "reply_to" not in status.more:
            found.append("public")
            if status.home == self.domain:
                found.append("public:local")
        return list(dict.fromkeys(found))

    def page(self, feed: str, params: Mapping[str, list[str]]) -> list[dict[str, Any]]:
        """A page of a timeline, the newest first; behind `min_id` that which lies nearest to it."""

        def of(name: str) -> int | None:
            value = params.get(name, [""])[0]
            return int(value) if value.isdigit() else None

        limit = min(of("limit") or 20, MOST)
        ids = sorted(
            int(id_)
            for uri, id_ in self.numbers.of.items()
            if (status := self.federation.statuses[uri]).deleted_at is None and feed in self.feeds_of(status)
        )
        newest, oldest = of("max_id"), of("min_id")
        ids = [id_ for id_ in ids if (newest is None or id_ < newest) and (oldest is None or id_ > oldest)]
        ids = ids[:limit] if oldest is not None else ids[-limit:]
        return [self.write(self.federation.statuses[self.numbers.uris[str(id_)]]) for id_ in reversed(ids)]

    def write(self, status: Status) -> dict[str, Any]:
        """A status, as this server gives it."""
        more = {k: v for k, v in status.more.items() if k not in ("known_to", "tags", "boost", "quote", "reply_to")}
        boosted, quoted = status.more.get("boost"), status.more.get("quote")
        parent = self.numbers.of.get(str(status.more.get("reply_to")))
        said = status.texts[-1]
        account = more.pop("account", {})
        return {
            "id": self.numbers.of[status.uri], "uri": status.uri, "url": f"https://{status.home}/@{status.name}/{status.uri.rpartition('/')[2]}",
            "created_at": written(status.at), "edited_at": written(status.edited_at),
            "content": page_of(said, status.home), "spoiler_text": "", "sensitive": False, "language": "nb",
            "visibility": "public", "in_reply_to_id": parent, "in_reply_to_account_id": None,
            "replies_count": 0, "reblogs_count": 0, "favourites_count": 0, "media_attachments": [],
            "poll": None, "card": None,
            "reblog": None if boosted is None else self.write(self.federation.statuses[boosted]),
            "quote": None if quoted is None else
                {"state": "accepted", "quoted_status": self.write(self.federation.statuses[quoted])},
            "account": {**self.account(status.by), **account},
            "mentions": [self._mention(name, server) for name, server in mentions_of(said, status.home)],
            "tags": [{"name": tag, "url": f"https://{self.domain}/tags/{tag}"} for tag in status.tags],
            **more,
        }  # fmt: skip

    def account(self, by: str) -> dict[str, Any]:
        name, _, home = by.partition("@")
        return {
            "id": self._number(by), "username": name, "acct": name if home == self.domain else by,
            "display_name": name.title(),
            "url": f"https://{home}/@{name}", "uri": f"https://{home}/users/{name}", "bot": False, "noindex": False,
            "indexable": False, "followers_count": 3, "statuses_count": 12,
        }  # fmt: skip

    def _mention(self, name: str, server: str) -> dict[str, Any]:
        acct = name if server == self.domain else f"{name}@{server}"
        return {
            "id": self._number(f"{name}@{server}"),
            "username": name,
            "acct": acct,
            "url": f"https://{server}/@{name}",
        }

    def _number(self, by: str) -> str:
        """Of an account: another on every server."""
        return str(int.from_bytes(hashlib.sha256(f"{self.domain}|{by}".encode()).digest()[:7], "big"))


def folded(tag: str) -> str:
    """A hashtag as servers keep it: `Sørøya` and `soroya` are one."""
    plain = unicodedata.normalize("NFKD", tag.lower()).translate(str.maketrans("øł", "ol"))
    return "".join(char for char in plain if not unicodedata.combining(char))


def frame(stream: list[str], event: str, payload: Any) -> bytes:
    """A message of the stream: what it carries is JSON once more, but for the bare number of a deletion."""
    carried = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return text(json.dumps({"stream": stream, "event": event, "payload": carried}, ensure_ascii=False).encode())


def instant(value: Any) -> datetime | None:
    return None if value is None else parse_time(str(value))
