"""What the hospital has published: RSS and Atom feeds and single web pages, over HTTP or from files.

A feed gives an entry for each thing published, a page gives one: its title, its description and the beginning of its
text. Each feed is read beside the others and has a time limit, so that one that fails keeps nobody waiting and hides
nothing of what others give.
"""

from __future__ import annotations

import calendar
import io
import queue
import re
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin
from xml.sax import SAXException

import feedparser
import urllib3
from urllib3 import exceptions

from alerts.register.pages import read_page, text_of
from listener.clock import Clock
from listener.errors import LyttepostError
from listener.permissions import open_regular
from listener.settings.feeds import feed_problem, is_web
from listener.settings.files import expanded
from listener.units import parse_time

MOST_ENTRIES = 500
"""Of one feed: the newest."""
LONGEST_TEXT = 1_500
"""Characters of an entry's text: what it is about stands at its beginning."""
AHEAD = timedelta(days=1)
"""So far ahead of our clock a time may be, for zones are written wrongly; one beyond is that of something to come."""
CHUNK = 16 * 1024
REDIRECTS = frozenset({301, 302, 303, 307, 308})
HEADERS = {
    "User-Agent": "lyttepost",
    "Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/html;q=0.8, */*;q=0.5",
    "Accept-Encoding": "identity",
}
_FEED = re.compile(rb"<(?:rss|feed|rdf:rdf|channel)\b", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HEAD = 4096
"""Bytes in which a document says what it is."""


class FeedError(LyttepostError):
    """Why nothing could be read of a feed, and what to do; the feed itself is named by whoever asked for it."""


@dataclass(frozen=True)
class Limits:
    """Seconds for the whole of a feed and for each step of the talk, bytes of an answer, redirects in a row."""

    seconds: float = 20.0
    step: float = 10.0
    size: int = 5_000_000
    redirects: int = 5


@dataclass(frozen=True)
class Entry:
    """One thing that was published. `at`: when, by its own word; None where it does not say."""

    feed: str
    title: str
    text: str
    link: str
    at: datetime | None


@dataclass(frozen=True)
class Feed:
    """What one feed gave, newest first; what has no time comes last.

    `error`: why it gave nothing. `broken`: its XML is no XML, and entries may be missing.
    """

    feed: str
    entries: tuple[Entry, ...] = ()
    error: str | None = None
    broken: bool = False


def read_feeds(feeds: Sequence[str], clock: Clock, limits: Limits = Limits()) -> list[Feed]:
    """Every feed once, in the order asked for; none raises. Takes at most `limits.seconds`, however slow they are."""
    found: dict[str, Feed] = {}
    done: queue.SimpleQueue[Feed] = queue.SimpleQueue()
    wanted = list(dict.fromkeys(feeds))
    for feed in wanted:
        # A thread that waits for a name server or for headers that trickle cannot be ended: it is left behind.
        threading.Thread(target=_hand_over, args=(feed, limits, done), daemon=True).start()
    until, latest = clock.monotonic() + limits.seconds, clock.now() + AHEAD
    while len(found) < len(wanted):
        try:
            feed_read = done.get(timeout=max(0.0, until - clock.monotonic()))
        except queue.Empty:
            break
        found[feed_read.feed] = _believed(feed_read, latest)
    slow = f"is not read after {limits.seconds:g} s; try again, or look whether its server answers at all"
    return [found.get(feed) or Feed(feed, error=slow) for feed in wanted]


def _believed(feed: Feed, latest: datetime) -> Feed:
    """What says that it is from after `latest` does not say when it was published."""
    entries = [replace(each, at=None) if each.at and each.at > latest else each for each in feed.entries]
    return replace(feed, entries=tuple(sorted(entries, key=lambda entry: entry.at is None)))


def _hand_over(feed: str, limits: Limits, done: queue.SimpleQueue[Feed]) -> None:
    done.put(_tried(feed, limits))


def _tried(feed: str, limits: Limits) -> Feed:
    try:
        return read_feed(feed, limits)
    except FeedError as error:
        return Feed(feed, error=str(error))
    except Exception as error:
        # Whatever a parser of other people's documents may raise: the other feeds are worth as much as before.
        return Feed(feed, error=f"cannot be read ({type(error).__name__}); look at it in a browser")


def read_feed(feed: str, limits: Limits = Limits()) -> Feed:
    """What is published at an address or in a file. Raises FeedError."""
    if why := feed_problem(feed):
        raise FeedError(why)
    content, headers = _fetch(feed, limits) if is_web(feed) else _content_of(feed, limits)
    return read_document(feed, content, headers)


def read_document(feed: str, content: bytes, headers: Mapping[str, str]) -> Feed:
    """What a document holds. `headers`: of the answer, names in lower case. Raises FeedError."""
    if not content.strip():
        raise FeedError("is empty; look whether the address is right")
    head = content[:_HEAD]
    if _PAGE.search(head) and not _FEED.search(head):
        page = read_page(content, headers.get("content-type", ""))
        if not page.title and not page.text:
            raise FeedError("is a page without any text that could be read; name a feed of it instead")
        entry = Entry(feed, page.title or page.text[:80], page.text[:LONGEST_TEXT], feed, _instant(page.time))
        return Feed(feed, (entry,))
    # Never the bytes themselves: what looks like a path it would open.
    parsed = feedparser.parse(io.BytesIO(content), response_headers=dict(headers))
    if not parsed.entries and (parsed.bozo or not parsed.get("version")):
        raise FeedError(f"is no RSS, no Atom and no web page{_seen(headers)}; look whether the address is right")
    entries = [entry for raw in parsed.entries if (entry := _entry(feed, raw)).title or entry.text]
    entries.sort(key=lambda entry: -(entry.at.timestamp() if entry.at else 0.0))
    broken = isinstance(parsed.get("bozo_exception"), SAXException)
    return Feed(feed, tuple(entries[:MOST_ENTRIES]), broken=broken)


def _seen(headers: Mapping[str, str]) -> str:
    """What the far end calls it, as far as it is a name of ours to repeat."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return f", but {kind}" if re.fullmatch(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}", kind) else ""


def _entry(feed: str, raw: Mapping[str, Any]) -> Entry:
    """An entry that was changed counts from its change on: the words that are read are those of then."""
    contents = raw.get("content") or [{}]
    summary = raw.get("summary") or contents[0].get("value") or ""
    # Asked whether it is there: where it is not, feedparser gives the other one and warns.
    times = [at for name in ("published_parsed", "updated_parsed") if name in raw and (at := _utc(raw[name]))]
    return Entry(
        feed=feed,
        title=text_of(raw.get("title") or ""),
        text=text_of(summary)[:LONGEST_TEXT],
        link=raw.get("link") or "",
        at=max(times, default=None),
    )


def _utc(parsed: Any) -> datetime | None:
    """A time as feedparser gives it, in UTC; None for one that is in no calendar."""
    with suppress(TypeError, ValueError, OverflowError):
        return datetime.fromtimestamp(calendar.timegm(parsed), UTC)
    return None


def _instant(text: str) -> datetime | None:
    """A time as a page gives it; without an offset nobody can tell when it is."""
    with suppress(ValueError, OverflowError):
        found = parse_time(text)
        return found.astimezone(UTC) if found.tzinfo else None
    return None


# --- over HTTP ---------------------------------------------------------------------------------------------------


def _fetch(address: str, limits: Limits) -> tuple[bytes, Mapping[str, str]]:
    """What stands at an address, and the answer's headers."""
    with urllib3.PoolManager(ssl_context=ssl.create_default_context(), retries=False) as pool:
        for _ in range(limits.redirects + 1):
            try:
                response = pool.request(
                    "GET", address, headers=HEADERS, timeout=limits.step, preload_content=False, redirect=False
                )
                try:
                    if response.status not in REDIRECTS:
                        headers = {name.lower(): text for name, text in response.headers.items()}
                        return _body(response, limits), {"content-location": address, **headers}
                    address = redirected(address, response.headers.get("location", ""))
                finally:
                    response.close()
            except (exceptions.HTTPError, OSError) as error:
                raise FeedError(_reason(error, limits)) from None
    raise FeedError(f"redirects more than {limits.redirects} times in a row; name the address it leads to in a browser")


def _body(response: urllib3.BaseHTTPResponse, limits: Limits) -> bytes:
    if response.status in (401, 403):
        raise FeedError(f"may not be read ({response.status}); name a feed that is open to everybody")
    if response.status in (404, 410):
        raise FeedError(f"is not there ({response.status}); look whether the address is right")
    if response.status != 200:
        raise FeedError(f"answers {response.status}; try again later, and tell those who run it")
    content = bytearray()
    while chunk := response.read(CHUNK):
        content += chunk
        if len(content) > limits.size:
            raise FeedError(_large(limits))
    return bytes(content)


def redirected(address: str, location: str) -> str:
    """Where an answer leads, from the address that gave it. Raises FeedError for what is not followed."""
    target = urljoin(address, location)
    if not location or not is_web(target) or feed_problem(target):
        raise FeedError("redirects to what is no web address; name the address it leads to in a browser")
    if address.startswith("https:") and not target.startswith("https:"):
        raise FeedError("redirects from https to http, which anybody may change on the way; name an https address")
    return target


def _reason(error: Exception, limits: Limits) -> str:
    """What the network did, in words; neither the address nor what the far end said is in it."""
    if isinstance(error, (exceptions.SSLError, ssl.SSLError)):
        return "its certificate or encryption cannot be trusted; have it mended, and do not use http instead"
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)) and not isinstance(
        error, exceptions.NewConnectionError
    ):
        return f"gives no answer within {limits.step:g} s; try again, or look whether its server answers at all"
    if isinstance(error, exceptions.ProtocolError):
        return "breaks off in the middle of its answer, or answers with what is no HTTP; try again"
    return "cannot be reached; look at the host's name, the network and the firewall"


def _large(limits: Limits) -> str:
    return f"is larger than {limits.size / 1_000_000:g} MB; name a feed of the newest things only"


# --- from a file -------------------------------------------------------------------------------------------------


def _content_of(feed: str, limits: Limits) -> tuple[bytes, Mapping[str, str]]:
    try:
        with open_regular(expanded(feed)) as file:
            content = file.read(limits.size + 1)
    except OSError as error:
        raise FeedError(f"cannot be opened: {error.strerror}") from None
    if len(content) > limits.size:
        raise FeedError(_large(limits))
    return content, {"content-type": "application/xml"}
