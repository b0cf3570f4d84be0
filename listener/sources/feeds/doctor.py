"""Feeds as `lyttepost doctor` finds them: is each there, is it a feed, does it say when its entries were published."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from listener.clock import Clock
from listener.runtime.checks import Check, failed, warning, well
from listener.runtime.download import LIMITS, DownloadError, host_of
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.common.feeds import AHEAD, Feed, believed, read_feed
from listener.units import format_duration

STALE: Final = timedelta(days=30)
"""A newsroom that has published nothing for so long has most likely another feed by now."""
_LONGEST: Final = 20.0

Found = Feed | DownloadError


def examine_feeds(feeds: Sequence[ListenedFeed], clock: Clock, seconds: float) -> Iterator[Check]:
    """One check a feed, each asked beside the others. All of it ends within `seconds`."""
    found: dict[str, Found] = {}
    done: queue.SimpleQueue[tuple[str, Found]] = queue.SimpleQueue()
    for feed in feeds:
        threading.Thread(target=_ask, args=(feed, done), daemon=True).start()
    until = clock.monotonic() + min(seconds, _LONGEST)
    while len(found) < len(feeds):
        try:
            name, its = done.get(timeout=max(0.0, until - clock.monotonic()))
        except queue.Empty:
            break
        found[name] = its
    for feed in feeds:
        yield _check(feed, found.get(feed.name), clock)


def _ask(feed: ListenedFeed, done: queue.SimpleQueue[tuple[str, Found]]) -> None:
    try:
        its: Found = read_feed(feed.url, LIMITS, pages=False, inside=(host_of(feed.url),) if feed.inside else ())
    except DownloadError as error:
        its = error
    except Exception as error:  # whatever a parser of other people's documents may raise
        its = DownloadError(f"cannot be read ({type(error).__name__}); look at it in a browser")
    done.put((feed.name, its))


def _check(feed: ListenedFeed, found: Found | None, clock: Clock) -> Check:
    id_, fix = "feeds.read", "correct its url under feeds.read, or take it out"
    if found is None:
        return failed(id_, f"{feed.name}: gives no answer", "look whether its server answers at all")
    if isinstance(found, DownloadError):
        return failed(id_, f"{feed.name}: {found}", fix)
    its = believed(found, clock.now() + AHEAD)
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
        return warning(id_, f"{feed.name}: its newest entry is {format_duration(age)} old", fix)
    return well(id_, f"{feed.name}: {len(its.entries)} entries")
