"""Feeds as `lyttepost doctor` finds them: is each there, is it a feed, does it say when its entries were published."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial
from typing import Final

from listener.clock import Clock
from listener.runtime.checks import Check, failed, warning, well
from listener.runtime.download import LIMITS, host_of
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.common.feeds import Feed, read_feed, read_in_time
from listener.units import format_duration

STALE: Final = timedelta(days=30)
"""A newsroom that has published nothing for so long has most likely another feed by now."""
_LONGEST: Final = 20.0


def examine_feeds(feeds: Sequence[ListenedFeed], clock: Clock, seconds: float) -> Iterator[Check]:
    """One check a feed, each asked beside the others. All of it ends within `seconds`."""
    found = read_in_time({feed.name: partial(_read, feed) for feed in feeds}, clock, min(seconds, _LONGEST))
    for feed in feeds:
        yield _check(feed, found.get(feed.name), clock)


def _read(feed: ListenedFeed) -> Feed:
    return read_feed(feed.url, LIMITS, pages=False, inside=(host_of(feed.url),) if feed.inside else ())


def _check(feed: ListenedFeed, its: Feed | None, clock: Clock) -> Check:
    id_, fix = "feeds.read", "correct its url under feeds.read, or take it out"
    if its is None:
        return failed(id_, f"{feed.name}: gives no answer", "look whether its server answers at all")
    if its.error is not None:
        return failed(id_, f"{feed.name}: {its.error}", fix)
    dated = [entry.at for entry in its.entries if entry.at is not None]
    if not its.entries:
        return warning(id_, f"{feed.name}: is read, and holds no entry", "look whether it ever does, or has moved")
    if len(dated) < len(its.entries):
        some = len(its.entries) - len(dated)
        return warning(
            id_,
            f"{feed.name}: {some} of {len(its.entries)} entries do not say when they were published",
            "they count as published when they are first seen; name a feed with dates, if there is one",
        )
    age = clock.now() - max(dated)
    if age > STALE:
        return warning(id_, f"{feed.name}: its newest entry is {format_duration(timedelta(days=age.days))} old", fix)
    return well(id_, f"{feed.name}: {len(its.entries)} entries")
