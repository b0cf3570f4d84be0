"""The gaps of one feed: from when to when something may be missing, whatever it was that was read last."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from listener.clock import ManualClock
from listener.model.gaps import Cause, is_whole
from listener.model.records import Gap
from listener.runtime.download import LIMITS
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.feeds.cursor import FeedMemory, Memory
from listener.sources.feeds.followed import Followed
from listener.sources.feeds.reading import News

NOON = datetime(2031, 3, 2, 12, tzinfo=UTC)
EVERY = timedelta(seconds=30)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def followed(*, anchored: float, read: float) -> Followed:
    """As it is known after a start: whose entries were read last at `anchored`, and it at `read`, when it was empty."""
    feed = ListenedFeed(url="https://posten.example/rss", name="Posten")
    memory = Memory({"Posten": FeedMemory(at(read), ("a", "b"), at(anchored))})
    clock, bell = ManualClock(at(read)), threading.Event()
    return Followed(
        "feeds", feed, memory, (), (), at(read), clock, bell, limits=LIMITS, chance=lambda: 0.0
    )  # fmt: skip


def the_gap(feed: Followed) -> Gap:
    (gap,) = feed.book.take()
    return gap


def test_what_is_missing_since_before_a_gap_began_lies_in_it() -> None:
    feed = followed(anchored=0, read=30)
    feed.mind_gap(at(121), EVERY)
    assert the_gap(feed).start == at(30)
    feed.heard(News((), False, lost=(at(0), at(200))), at(200))
    gap = the_gap(feed)
    assert (gap.start, gap.end, is_whole(gap)) == (at(0), at(200), False)


def test_what_is_missing_up_to_when_the_answer_was_there_lies_in_the_gap() -> None:
    feed = followed(anchored=30, read=30)
    feed.mind_gap(at(121), EVERY)
    feed.heard(News((), False, lost=(at(30), at(215))), at(200))
    gap = the_gap(feed)
    assert (gap.start, gap.end, gap.cause, is_whole(gap)) == (at(30), at(215), Cause.UNREACHABLE, False)


def test_a_gap_of_which_nothing_is_missing_is_over_when_it_was_asked_and_filled() -> None:
    feed = followed(anchored=30, read=30)
    feed.mind_gap(at(121), EVERY)
    feed.heard(News((), False), at(200))
    gap = the_gap(feed)
    assert (gap.start, gap.end, is_whole(gap)) == (at(30), at(200), True)


def test_a_gap_is_filled_though_something_is_missing_from_before_it() -> None:
    feed = followed(anchored=-60, read=30)
    feed.mind_gap(at(121), EVERY)
    feed.heard(News((), False, lost=(at(-60), at(0))), at(200))
    gaps = [(gap.start, gap.end, gap.cause, is_whole(gap)) for gap in feed.book.take()]
    assert gaps == [(at(30), at(200), Cause.UNREACHABLE, True), (at(-60), at(0), Cause.TOO_OLD, False)]
