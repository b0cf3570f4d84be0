"""What of a feed's document is news: entries never seen before, and those whose words were changed. Pure.

A feed gives the same entries again and again, in any order, and may drop some and bring them back. An entry is known by
its `guid`, else by its link; where a feed gives its entries other names each time, by link and words. Of all that was
there when the feed was read for the first time nothing is news: only what its own date puts behind that is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlsplit

from listener.model.records import Author, AuthorClass, Post
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.common.feeds import Entry, Feed
from listener.sources.common.fields import EARLIEST, build
from listener.sources.feeds.cursor import FeedMemory, short

REMEMBERED: Final = 5_000
"""Entries of one feed that are known by their words; it gives at most 500 at a time."""
ANCHORS: Final = 8
UNDATED: Final = 200
LONGEST_TITLE: Final = 500
LONGEST_ID: Final = 300
MINUTE: Final = timedelta(minutes=1)
"""So exactly does a feed tell the time of an entry, or to the second."""


@dataclass(frozen=True, slots=True)
class Item:
    """An entry as it was given. `first`: when it was published first. `fresh`: it was not there before, or says
    something else now."""

    post: Post
    first: datetime
    fresh: bool

    @property
    def is_edit(self) -> bool:
        return self.post.version is not None


@dataclass(frozen=True, slots=True)
class News:
    """What one document holds: `items`, oldest first. `scanned`: it is the first one that this process read, so that
    what is known of those before is their ids at most. `lost`: from when to when entries came and went unread. `blank`:
    it is empty and was not, which is no proof that nothing was published."""

    items: tuple[Item, ...]
    scanned: bool
    lost: tuple[datetime, datetime] | None = None
    blank: bool = False


@dataclass(slots=True)
class _Known:
    words: str
    item: Item | None


class Reading:
    """Of one feed, document by document. `memory` is what outlives us."""

    def __init__(self, source: str, feed: ListenedFeed, memory: FeedMemory) -> None:
        self.memory = memory
        self._source = source
        self._feed = feed
        self._host = urlsplit(feed.url).hostname or feed.name
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._same: OrderedDict[str, str] = OrderedDict()
        """Digest of link and words → the id under which they were given."""
        self._held: set[str] = set()
        self._scanned = False

    def hold(self, ids: Iterable[str]) -> None:
        """These posts lie on the bus."""
        for id_ in ids:
            digest = short(id_)
            self._held.add(digest)
            if (known := self._known.get(id_)) is not None:
                self.memory.held[digest] = known.words

    def read(self, document: Feed, asked: datetime, answered: datetime) -> News:
        """`asked`: when the feed was asked for it; `answered`: when it was there, so that it was written in between.
        What it holds is news from now on no more."""
        memory, before, scanned = self.memory, self.memory.read, not self._scanned
        first_time, self._scanned = before is None, True
        undated: list[str] = []
        items: list[Item] = []
        dates: list[datetime] = []
        ids: dict[str, None] = {}
        links = _links_of(document.entries)
        for entry in document.entries:
            id_ = self._id_of(entry, links)
            if id_ in ids:
                continue
            first = _date(entry.first or entry.at, asked)
            if first is None:
                undated.append(short(id_))
            else:
                # For what is posted later than it was asked for, too, says up to when something may be missing.
                dates.append(_date(entry.first or entry.at, answered) or first)
            ids[id_] = None
            if (item := self._item(id_, entry, first, asked, first_time=first_time)) is not None:
                if scanned and not item.is_edit:
                    item = replace(item, fresh=before is not None and item.first >= before - MINUTE)
                items.append(item)
        there = {short(id_) for id_ in ids}
        lost = None if first_time else self._lost(there, dates, answered, by_date=scanned, whole=not undated)
        blank = not ids and bool(memory.newest)
        if blank:
            # It may hold again what it held: nothing of that is forgotten.
            memory.vacant = memory.vacant or answered
            memory.emptied, memory.empties = asked, memory.empties + 1
        elif not document.broken or first_time:
            # Of a document that is cut off the end may be missing: what was there before is still what counts.
            memory.newest, memory.anchored = tuple(short(id_) for id_ in [*ids][:ANCHORS]), asked
            memory.vacant, memory.emptied, memory.empties = None, None, 0
            memory.undated = tuple(dict.fromkeys([*undated, *memory.undated]))[:UNDATED]
            memory.held = {digest: words for digest, words in memory.held.items() if digest in there}
        memory.read = asked
        return News(tuple(sorted(items, key=lambda item: item.post.at)), scanned, lost, blank)

    def unchanged(self, asked: datetime) -> None:
        """Its server says that it is what it was: empty, if it was that."""
        self.memory.read = asked
        if self.memory.emptied is None:
            self.memory.anchored = asked
        else:
            self.memory.emptied, self.memory.empties = asked, self.memory.empties + 1

    def _item(
        self, id_: str, entry: Entry, first: datetime | None, asked: datetime, *, first_time: bool
    ) -> Item | None:
        """None for what is known and was never given, as without a date nobody can tell when it was published."""
        words, known = short(f"{entry.title}\n{entry.text}"), self._known.get(id_)
        same = _same(entry)
        before = known.words if known is not None else self.memory.held.get(short(id_))
        changed = before is not None and before != words
        item = known.item if known is not None else None
        if known is None and before is None:
            fresh = first is not None or not (first_time or short(id_) in self.memory.undated)
            item = self._given(id_, entry, _date(entry.at, asked) or asked, first or asked) if fresh else None
        elif changed:
            at = _date(entry.at, asked)
            # Of an edit that does not say when it was made, it is known that it was not there the last time.
            later = at if at is not None and item is not None and at > item.post.at else asked
            item = self._given(id_, entry, later, first or (item.first if item else asked), version=words)
        elif known is None:
            item = self._given(id_, entry, _date(entry.at, asked) or asked, first or asked)
            item = replace(item, fresh=False)
        elif item is not None:
            item = replace(item, fresh=False)
        self._remember(id_, same, _Known(words, item))
        return item

    def _remember(self, id_: str, same: str, known: _Known) -> None:
        self._known[id_] = known
        self._known.move_to_end(id_)
        self._same[same] = id_
        self._same.move_to_end(same)
        if short(id_) in self._held:
            self.memory.held[short(id_)] = known.words
        for each in (self._known, self._same):
            while len(each) > REMEMBERED:
                each.popitem(last=False)

    def _lost(
        self, there: set[str], dates: list[datetime], answered: datetime, *, by_date: bool, whole: bool
    ) -> tuple[datetime, datetime] | None:
        """Nothing is there any more of what was newest the last time: the feed may have held more in between, up to
        when it answered. `by_date`: names may be others than they were; `whole`: all entries have a date."""
        since, newest, emptied = self.memory.anchored, self.memory.newest, self.memory.emptied
        if since is None or not there or there & set(newest):
            return None
        oldest = min(dates, default=answered)
        if not newest:
            # It held nothing yet. So many at once as a feed may hold leave open what fell out of it.
            return (since, min(oldest + MINUTE, answered)) if len(there) >= ANCHORS and oldest > since else None
        if by_date and oldest <= since - MINUTE:
            # What is there reaches back to the time of the last reading, under whatever names: then nothing is lost.
            return None
        twice = self.memory.empties > 1
        if emptied is not None and twice and whole and oldest > emptied and len(there) < len(newest):
            # Nothing in it belies that it was empty, and there was room for more than came since. One empty answer may
            # be a slip, before which and after which it held more than it still does. What was published after it held
            # something and taken away before it was found empty, nobody read all the same.
            return since, self.memory.vacant or emptied
        return since, min(oldest + MINUTE, answered)

    def _id_of(self, entry: Entry, links: dict[str, set[str]]) -> str:
        """The name of an entry that stays when it is changed; with the feed's host, where it is no address."""
        if (given := self._same.get(_same(entry))) is not None:
            return given  # the very same, under whatever name
        name = entry.guid if entry.guid and len(links[entry.guid]) == 1 else entry.link or entry.guid or entry.title
        if "://" not in name:
            name = f"{self._host}/{name}"
        written = quote(name, safe="/:?#[]@!$&'()*+,;=%~")
        return written if len(written) <= LONGEST_ID else f"{written[: LONGEST_ID - 13]}~{short(written)}"

    def _given(self, id_: str, entry: Entry, at: datetime, first: datetime, version: str | None = None) -> Item:
        title = entry.title[:LONGEST_TITLE]
        text = entry.text if entry.text.startswith(title) else f"{title}\n{entry.text}".strip()
        link = entry.link if entry.link.startswith(("https://", "http://")) and entry.link.isprintable() else None
        post = build(
            source=self._source,
            id=id_,
            at=at,
            text=text,
            author=Author(
                # No name alone: `posten` is a word, which must not be taken for somebody's in texts and links.
                id=f"feed:{self._feed.name.casefold()}",
                handle=self._feed.account,
                author_class=AuthorClass(self._feed.by),
            ),
            version=version,
            links=() if link is None else (link,),
            url=link,
        )
        return Item(post, min(first, at), fresh=True)


def _links_of(entries: Iterable[Entry]) -> dict[str, set[str]]:
    """Guid → the links that entries of that name have: a feed may give all of its entries one name."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        found.setdefault(entry.guid, set()).add(entry.link)
    return found


def _same(entry: Entry) -> str:
    """By which an entry is known that was not changed."""
    return short(f"{entry.link}\n{entry.title}\n{entry.text}")


def _date(at: datetime | None, asked: datetime) -> datetime | None:
    """When it says that it was published, but not after it was read; None for what can be no date."""
    return None if at is None or at < EARLIEST else min(at, asked)
