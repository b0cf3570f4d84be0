"""One feed as it is followed: its poll, what is known of it, and its gaps."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.model.records import Gap
from listener.runtime.download import UNKNOWN, DownloadError, Limits, NotModified, host_of
from listener.settings.listened_feeds import ListenedFeed
from listener.sources.common.feeds import AHEAD, Feed, believed, read_feed
from listener.sources.common.gap_tracker import GapBook
from listener.sources.feeds.cursor import FeedMemory, Memory
from listener.sources.feeds.poll import GivenUp, NoAnswer, Poll
from listener.sources.feeds.reading import News, Reading

log = logging.getLogger(__name__)

GRACE: Final = timedelta(seconds=60)
"""So much later than it should be may a feed be read without a gap: a question may take as long."""
_CAUSES: Final = {401: Cause.UNAUTHORIZED, 403: Cause.FORBIDDEN, 429: Cause.RATE_LIMITED}


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question asked `at`; None where nothing new did."""

    at: datetime
    news: News | None


class Followed:
    """Belongs to the source's thread. `read_at`: when it was asked the last time that it answered; `before`: the time
    before that."""

    def __init__(
        self,
        source: str,
        feed: ListenedFeed,
        memory: Memory,
        gaps: Iterable[Gap],
        held: Iterable[str],
        now: datetime,
        clock: Clock,
        bell: threading.Event,
        *,
        limits: Limits,
        chance: Callable[[], float],
    ) -> None:
        self.name = feed.name
        self.book = GapBook(source, feed.name)
        self.book.recall(gap for gap in gaps if gap.part == feed.name)
        self.reading = Reading(source, feed, memory.feeds.setdefault(feed.name, FeedMemory()))
        self.reading.hold(held)
        self.poll: Poll[Feed] = Poll(feed.name, self._ask, clock, bell, chance=chance)
        self.again: set[str] = set()
        """Incidents for which all that it holds is looked at once more."""
        self.was_asked = False
        self.before: datetime | None = None
        self._feed = feed
        self._limits = limits
        self._inside = (host_of(feed.url),) if feed.inside else ()
        self._validators = UNKNOWN
        self._cause = Cause.UNREACHABLE
        self._failing = False
        self._clock = clock
        self._since = self._lenient = now

    @property
    def read_at(self) -> datetime | None:
        return self.reading.memory.read

    def hurry(self, now: datetime) -> None:
        """It is read at once; until it is, it may be as late as if it had been read now."""
        self._lenient = now
        self.poll.hurry()

    def look_back_for(self, incidents: Set[str], open_: Set[str]) -> None:
        self.again = {each for each in (*self.again, *incidents) if each in open_}

    def turn(self, every: timedelta) -> Answered | None:
        """What came of the last question, if there was one; else it is asked where that is due."""
        asked = self.poll.turn(every.total_seconds())
        if asked is None:
            return None
        found = asked.gave
        if found is not None and found.unchanged and self.again:
            self.poll.hurry()  # what it holds was not wanted yet when it was asked
            return None
        self.was_asked = True
        if found is None:
            self._failed(asked.error)
            return Answered(asked.at, None)
        if found.unchanged:
            self.before = self.read_at
            self.reading.unchanged(asked.at)
            self._well(asked.at, lost=None)
            return Answered(asked.at, None)
        self.before = self.read_at
        self._validators = UNKNOWN if found.broken else found.validators
        return Answered(asked.at, self.reading.read(found, asked.at, asked.until or asked.at))

    def heard(self, news: News, asked: datetime) -> None:
        """It was read: a gap that lasted is over, and filled but for what came and went."""
        self._well(asked, news.lost, blank=news.blank)

    def mind_gap(self, now: datetime, every: timedelta) -> None:
        """Not read for longer than it should be."""
        read = self.read_at or self._since
        if self.book.lasting is None and now - max(read, self._lenient) > every + GRACE:
            self.book.begin(read, self._cause)

    def _ask(self, given_up: GivenUp) -> Feed:
        # Where it is looked at once more, what it holds is wanted, new or not.
        known = UNKNOWN if self.again else self._validators
        try:
            found = read_feed(self._feed.url, self._limits, known, pages=False, inside=self._inside, given_up=given_up)
        except NotModified:
            return Feed(self._feed.url, unchanged=True)
        return believed(found, self._clock.now() + AHEAD)

    def _well(self, asked: datetime, lost: tuple[datetime, datetime] | None, *, blank: bool = False) -> None:
        if self._failing:
            self._failing = False
            log.info("feed %s: is read again", self.name)
        self._cause = Cause.UNREACHABLE
        lasting = self.book.lasting
        reaches = lasting is not None and lost is not None and lost[1] > lasting.start
        if lost is not None and reaches:
            # What is missing may be older than the gap: it was empty or cut off when it was read before that.
            self.book.begin(lost[0], self._cause)
        over = self.book.end(max(asked, lost[1]) if lost is not None and reaches else asked)
        if blank and over is not None:
            self.book.forget(over.id)  # nothing was found of it, for nothing was there
        if lost is not None:
            missed = over if reaches else self.book.between(*lost, Cause.TOO_OLD)
            if missed is not None:
                self.book.forget(missed.id)
        for gap in self.book.unfilled:
            self.book.filled(gap.id, gap.end, done=True)

    def _failed(self, error: Exception | None) -> None:
        self._validators = UNKNOWN
        if not self._failing:
            self._failing = True
            log.warning("feed %s: %s", self.name, error if isinstance(error, DownloadError | NoAnswer) else type(error))
        match error:
            case DownloadError(status=200):
                self._cause = Cause.GARBLED
            case DownloadError(status=status) if status:
                self._cause = _CAUSES.get(status, Cause.HTTP_5XX if status >= 500 else Cause.REFUSED)
                if error.after is not None:
                    self.poll.rest(min(error.after, 3600.0))
            case NoAnswer():
                self._cause = Cause.SILENCE
            case DownloadError():
                self._cause = Cause.UNREACHABLE
            case _:
                self._cause = Cause.GARBLED
