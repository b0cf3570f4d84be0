"""One feed that is published: its entries, and how it is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import cache
from gzip import compress
from hashlib import sha256
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from ..platform import Reply, parse_time, rfc3339

RSS, ATOM = "application/rss+xml; charset=utf-8", "application/atom+xml; charset=utf-8"
PAGE = b"<!DOCTYPE html><html><head><title>Vi er snart tilbake</title></head><body><p>Vedlikehold</p></body></html>"
KEPT = 50
"""Entries that a feed holds, the newest."""


@dataclass
class Entry:
    """`said`: everything it ever said, the newest last. `at`: when it was really published, whatever it says."""

    guid: str
    at: datetime
    title: str
    text: str
    link: str
    published: datetime | None
    updated: datetime | None
    there: bool = True
    said: list[str] = field(default_factory=list)

    def change(self, item: Mapping[str, Any], at: datetime) -> None:
        self.title, self.text = str(item.get("title", self.title)), str(item.get("text", self.text))
        self.updated = _date(item, "updated", at, at)
        self.said.append(f"{self.title} {self.text}")


@dataclass
class PublishedFeed:
    name: str
    entries: list[Entry] = field(default_factory=list)
    kept: int = KEPT
    atom: bool = False
    tags: bool = True
    """It says which version it gives, and answers whoever has it with 304."""
    packed: bool = False
    undated: bool = False
    one_guid: bool = False
    new_guids: bool = False
    """Its entries have other names each time."""
    touched: bool = False
    """Every entry says that it was updated just now."""
    pages: int = 0
    """So many times more a web page stands in its place."""
    empties: int = 0
    cuts: int = 0
    bombs: int = 0
    changed: datetime | None = None
    _given: int = 0

    def publish(self, item: Mapping[str, Any], at: datetime) -> Entry:
        number = len(self.entries) + 1
        link = str(item.get("link", f"https://{self.name}.example/{number}"))
        published = _date(item, "published", at, at)
        entry = Entry(
            guid=str(item.get("guid", link)), at=at, title=str(item["title"]), text=str(item.get("text", "")),
            link=link, published=published, updated=_date(item, "updated", at, None),
        )  # fmt: skip
        entry.said.append(f"{entry.title} {entry.text}")
        self.entries.append(entry)
        self.changed = at
        return entry

    def shown(self) -> list[Entry]:
        """What the feed holds, the newest first."""
        return [entry for entry in reversed(self.entries) if entry.there][: self.kept]

    def instead(self) -> Reply | None:
        """What is given in the feed's place, while that is so."""
        if self.pages > 0:
            self.pages -= 1
            return Reply(200, PAGE, {}, "text/html; charset=utf-8")
        if self.bombs > 0:
            self.bombs -= 1
            return Reply(200, bomb(), {"Content-Encoding": "gzip"}, RSS)
        return None

    def tag(self, body: bytes) -> str:
        return f'"{sha256(body).hexdigest()[:16]}"'

    def written(self, now: datetime) -> bytes:
        self._given += 1
        shown = self.shown()
        if self.empties > 0:
            self.empties -= 1
            shown = []
        body = self._atom(shown, now) if self.atom else self._rss(shown, now)
        if self.cuts > 0:
            self.cuts -= 1
            body = body[: len(body) * 2 // 3]
        return body

    def _rss(self, shown: list[Entry], now: datetime) -> bytes:
        items = "".join(
            f"<item><title>{escape(entry.title)}</title><description>{escape(entry.text)}</description>"
            f"<link>{escape(entry.link)}</link><guid isPermaLink='false'>{escape(self._guid(entry))}</guid>"
            + self._times(entry, now, "<pubDate>{}</pubDate>", "<atom:updated>{}</atom:updated>")
            + "</item>"
            for entry in shown
        )
        head = '<?xml version="1.0" encoding="utf-8"?><rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom">'
        return f"{head}<channel><title>{escape(self.name)}</title>{items}</channel></rss>".encode()

    def _atom(self, shown: list[Entry], now: datetime) -> bytes:
        items = "".join(
            f"<entry><id>{escape(self._guid(entry))}</id><title>{escape(entry.title)}</title>"
            f'<summary type="html">{escape(entry.text)}</summary><link href={quoteattr(entry.link)}/>'
            + self._times(entry, now, "<published>{}</published>", "<updated>{}</updated>")
            + "</entry>"
            for entry in shown
        )
        head = f'<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>{escape(self.name)}</title>'
        return f"{head}{items}</feed>".encode()

    def _times(self, entry: Entry, now: datetime, published: str, updated: str) -> str:
        if self.undated:
            return ""
        first = "" if entry.published is None else published.format(self._written(entry.published, published))
        last = now if self.touched else entry.updated
        return first + ("" if last is None else updated.format(rfc3339(last)))

    def _written(self, at: datetime, form: str) -> str:
        return format_datetime(at) if "pubDate" in form else rfc3339(at)

    def _guid(self, entry: Entry) -> str:
        if self.one_guid:
            return "0"
        return f"{entry.guid}?{self._given}" if self.new_guids else entry.guid


@cache
def bomb() -> bytes:
    """Some 50 kB that unpack to 50 MB."""
    return compress(b"<rss version='2.0'><channel><title>x</title>" + bytes(50_000_000), 9)


def _date(item: Mapping[str, Any], name: str, now: datetime, otherwise: datetime | None) -> datetime | None:
    """An instant, seconds from now, or null."""
    if name not in item:
        return otherwise
    given = item[name]
    if given is None:
        return None
    if isinstance(given, int | float):
        return now + timedelta(seconds=given)
    return parse_time(str(given))
