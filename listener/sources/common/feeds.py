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
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from xml.sax import SAXException

import feedparser

from listener.clock import Clock
from listener.permissions import open_regular
from listener.runtime.download import (
    LIMITS,
    UNKNOWN,
    DownloadError,
    Limits,
    NotModified,
    Validators,
    download,
    media_type,
    too_large,
)
from listener.settings.feeds import feed_problem, is_web
from listener.settings.files import expanded
from listener.sources.common.pages import read_page, text_of
from listener.units import parse_time

MOST_ENTRIES = 500
"""Of one feed: the newest."""
LONGEST_TEXT = 1_500
"""Characters of an entry's text: what it is about stands at its beginning."""
LONGEST_NAME = 500
"""Characters of an entry's name, and of what it says of an event's time."""
_STARTS = ("ev_startdate", "xcal_dtstart", "startdate", "dtstart")
_ENDS = ("ev_enddate", "xcal_dtend", "enddate", "dtend")
"""Where a feed says when an event is: RSS 1.0's event module, xCal, and what some write without either."""
_NOTHING: Mapping[str, Validators] = {}
AHEAD = timedelta(days=1)
"""So far ahead of our clock a time may be, for zones are written wrongly; one beyond is that of something to come."""
ACCEPT = "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/html;q=0.8, */*;q=0.5"
_FEED = re.compile(rb"<(?:rss|feed|rdf:rdf|channel)\b", re.IGNORECASE)
_PAGE = re.compile(rb"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_HEAD = 4096
"""Bytes in which a document says what it is."""
_END = re.compile(rb"</(?:\w+:)?(?:rss|feed|rdf)\s*>", re.IGNORECASE)
_TAIL = 1024
"""Bytes in which a document that is whole says that it ends."""


FeedError = DownloadError
"""Why nothing could be read of a feed, and what to do; the feed itself is named by whoever asked for it."""


@dataclass(frozen=True)
class Entry:
    """One thing that was published. `at`: when, by its own word; None where it does not say.

    `guid`: its name in the feed, which stays when it is changed; "" where it has none. `ahead`: a time to come that
    stands where others say when they were published. `starts`, `ends`: of an event, as the feed writes them. `first`:
    when it was published first, where `at` is its last change.
    """

    feed: str
    title: str
    text: str
    link: str
    at: datetime | None
    guid: str = ""
    ahead: datetime | None = None
    starts: str = ""
    ends: str = ""
    first: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Feed:
    """What one feed gave, newest first; what has no time comes last.

    `error`: why it gave nothing. `broken`: its XML is no XML, and entries may be missing. `validators`: by which it is
    asked next time whether anything is new. `unchanged`: nothing is, and so it gives nothing.
    """

    feed: str
    entries: tuple[Entry, ...] = ()
    error: str | None = None
    broken: bool = False
    validators: Validators = UNKNOWN
    unchanged: bool = False


def read_feeds(
    feeds: Sequence[str], clock: Clock, limits: Limits = LIMITS, known: Mapping[str, Validators] = _NOTHING
) -> list[Feed]:
    """Every feed once, in the order asked for; none raises. Takes at most `limits.seconds`, however slow they are.

    `known`: feed → the validators of when it was last read.
    """
    found = read_in_time(
        {feed: partial(_read_again, feed, limits, known.get(feed, UNKNOWN)) for feed in feeds}, clock, limits.seconds
    )
    slow = f"is not read after {limits.seconds:g} s; try again, or look whether its server answers at all"
    return [found.get(feed) or Feed(feed, error=slow) for feed in dict.fromkeys(feeds)]


def read_in_time(reads: Mapping[str, Callable[[], Feed]], clock: Clock, seconds: float) -> dict[str, Feed]:
    """What each of these gave, which read beside each other; none raises. What took longer than `seconds` is not in it.

    `reads`: name → what reads it, as `read_feed` does.
    """
    found: dict[str, Feed] = {}
    done: queue.SimpleQueue[tuple[str, Feed]] = queue.SimpleQueue()
    for name, read in reads.items():
        # A thread that waits for a name server cannot be ended: it is left behind.
        threading.Thread(target=_hand_over, args=(name, read, done), daemon=True).start()
    until, latest = clock.monotonic() + seconds, clock.now() + AHEAD
    while len(found) < len(reads):
        try:
            name, feed_read = done.get(timeout=max(0.0, until - clock.monotonic()))
        except queue.Empty:
            break
        found[name] = believed(feed_read, latest)
    return found


def believed(feed: Feed, latest: datetime) -> Feed:
    """What says that it is from after `latest` does not say when it was published."""
    entries = [
        replace(each, at=None, first=None, ahead=each.at) if each.at and each.at > latest else each
        for each in feed.entries
    ]
    return replace(feed, entries=tuple(sorted(entries, key=lambda entry: entry.at is None)))


def _hand_over(name: str, read: Callable[[], Feed], done: queue.SimpleQueue[tuple[str, Feed]]) -> None:
    try:
        found = read()
    except FeedError as error:
        found = Feed(name, error=str(error))
    except Exception as error:
        # Whatever a parser of other people's documents may raise: the other feeds are worth as much as before.
        found = Feed(name, error=f"cannot be read ({type(error).__name__}); look at it in a browser")
    done.put((name, found))


def _read_again(feed: str, limits: Limits, known: Validators) -> Feed:
    try:
        return read_feed(feed, limits, known)
    except NotModified:
        return Feed(feed, validators=known, unchanged=True)


def read_feed(
    feed: str,
    limits: Limits = LIMITS,
    known: Validators = UNKNOWN,
    *,
    pages: bool = True,
    inside: Collection[str] | None = None,
    given_up: Callable[[], bool] = lambda: False,
) -> Feed:
    """What is published at an address or in a file. Raises FeedError, and NotModified where nothing is new.

    `pages`: a web page will do. `inside`, `given_up`: see `listener.runtime.download`.
    """
    if why := feed_problem(feed):
        raise FeedError(why)
    if not is_web(feed):
        return read_document(feed, *_content_of(feed, limits), pages=pages)
    content, headers = download(feed, ACCEPT, limits, known, inside=inside, given_up=given_up)
    return replace(read_document(feed, content, headers, pages=pages), validators=Validators.of(headers))


def read_document(feed: str, content: bytes, headers: Mapping[str, str], *, pages: bool = True) -> Feed:
    """What a document holds. `headers`: of the answer, names in lower case; `pages`: a web page will do. Raises
    FeedError."""
    if not content.strip():
        raise FeedError("is empty; look whether the address is right", status=200)
    head = content[:_HEAD]
    if _PAGE.search(head) and not _FEED.search(head):
        if not pages:
            raise FeedError("is a web page and no feed; name a feed of it instead", status=200)
        page = read_page(content, headers.get("content-type", ""))
        if not page.title and not page.text:
            raise FeedError("is a page without any text that could be read; name a feed of it instead")
        entry = Entry(feed, page.title or page.text[:80], page.text[:LONGEST_TEXT], feed, _instant(page.time))
        return Feed(feed, (entry,))
    # Never the bytes themselves: what looks like a path it would open.
    parsed = feedparser.parse(io.BytesIO(content), response_headers=dict(headers))
    if not parsed.entries and (parsed.bozo or not parsed.get("version")):
        why = f"is no RSS, no Atom and no web page{_seen(headers)}; look whether the address is right"
        raise FeedError(why, status=200)
    broken = isinstance(parsed.get("bozo_exception"), SAXException)
    raws = parsed.entries
    if broken and not _END.search(content[-_TAIL:]):
        # It is cut off, most likely within an entry, whose link or words are no more than their beginnings then.
        raws = raws[:-1]
        if not raws:
            raise FeedError("is cut off before its first entry ends", status=200)
    entries = [entry for raw in raws if (entry := _entry(feed, raw)).title or entry.text]
    entries.sort(key=lambda entry: -(entry.at.timestamp() if entry.at else 0.0))
    return Feed(feed, tuple(entries[:MOST_ENTRIES]), broken=broken)


def _seen(headers: Mapping[str, str]) -> str:
    kind = media_type(headers)
    return f", but {kind}" if kind else ""


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
        first=min(times, default=None),
        guid=str(raw.get("id") or "")[:LONGEST_NAME],
        starts=_said(raw, _STARTS),
        ends=_said(raw, _ENDS),
    )


def _said(raw: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of these fields that is there, as text."""
    return next((each[:LONGEST_NAME] for name in names if isinstance(each := raw.get(name), str) and each), "")


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


# --- from a file -------------------------------------------------------------------------------------------------


def _content_of(feed: str, limits: Limits) -> tuple[bytes, Mapping[str, str]]:
    try:
        with open_regular(expanded(feed)) as file:
            content = file.read(limits.size + 1)
    except OSError as error:
        raise FeedError(f"cannot be opened: {error.strerror}") from None
    if len(content) > limits.size:
        raise FeedError(too_large(limits))
    return content, {"content-type": "application/xml"}
