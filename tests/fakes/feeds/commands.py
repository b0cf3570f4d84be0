"""What can be commanded of a fake publisher of feeds, beside the faults that every platform's routes know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands

if TYPE_CHECKING:
    from . import FakeFeeds
    from .published_feed import PublishedFeed

EVERY = "every"


class FeedsCommands(Commands):
    """`feed` is the name of one, or `every`: those there are by then."""

    _platform: FakeFeeds

    def page(self, feed: str = EVERY, times: int = 1) -> None:
        """200, and a web page in the feed's place."""
        for each in self._feeds(feed):
            each.pages = int(times)

    def bomb(self, feed: str = EVERY, times: int = 1) -> None:
        """A small answer that unpacks to 50 MB."""
        for each in self._feeds(feed):
            each.bombs = int(times)

    def empty(self, feed: str = EVERY, times: int = 1) -> None:
        """A feed without an entry."""
        for each in self._feeds(feed):
            each.empties = int(times)

    def half(self, feed: str = EVERY, times: int = 1) -> None:
        """XML that ends in the middle."""
        for each in self._feeds(feed):
            each.cuts = int(times)

    def keeps(self, count: int, feed: str = EVERY) -> None:
        """It holds so many entries, the newest."""
        for each in self._feeds(feed):
            each.kept = int(count)

    def style(self, feed: str = EVERY, **how: bool) -> None:
        """How it writes from now on: `atom`, `tags` (ETag), `packed` (gzip though none was asked for), `undated`,
        `one_guid` (all entries have one), `new_guids` (each time others), `touched` (all were updated just now)."""
        known = ("atom", "tags", "packed", "undated", "one_guid", "new_guids", "touched")
        for each in self._feeds(feed):
            for name, value in how.items():
                if name not in known:
                    raise ValueError(f"no such style: {name}; there are: {', '.join(known)}")
                setattr(each, name, bool(value))

    def publish(self, feed: str, title: str, text: str = "", **more: Any) -> str:
        """An entry, now."""
        return self._platform.publish(feed, title, text, **more).guid

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route."""
        super().heal(on)
        for each in self._feeds(EVERY) if on is None else ():
            each.pages = each.bombs = each.empties = each.cuts = 0

    def _feeds(self, feed: str) -> Iterable[PublishedFeed]:
        return list(self._platform.feeds.values()) if feed == EVERY else [self._platform.feed(feed)]
