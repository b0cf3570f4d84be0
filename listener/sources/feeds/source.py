"""Newsrooms, public bodies and the hospital itself, as far as they publish feeds (RSS, Atom), each read now and then.

    follow ──▶ Poll (one a feed) ──▶ Reading (what of it is news) ──▶ batches

Feeds are read beside each other, so that one that hangs keeps none waiting, and each has gaps of its own, which name it
(`Gap.part`). A **gap** is the time from when a feed was read last until it is read again, once that is longer than it
should be; what the feed still holds then is found, and what came and went meanwhile is lost, and stays one. A time in
which nobody ran is one gap of them all.

**Old news never fires.** An entry counts by when it was published first: what lies before an incident is looked back
to, and no further than the incident says; of what was there when a feed was read first, nothing is counted in
calm. An entry is found up to `every` after it was published: until then the source is heard all the same, and what
comes is judged as late.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin, Post
from listener.runtime.download import LIMITS, Limits
from listener.settings.listened_feeds import FeedsSettings
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.notices import NoticeBook
from listener.sources.common.placing import Place, places, wanted_of
from listener.sources.common.waiting import first_batch
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.feeds.cursor import Memory
from listener.sources.feeds.followed import Followed
from listener.sources.feeds.reading import MINUTE, Item, News
from listener.units import format_instant

TICK_SECONDS: Final = 1.0
CALM_TICK_SECONDS: Final = 20.0
LATE: Final = timedelta(seconds=10)
"""For so long may nobody have run without a gap."""
UNREAD: Final = "feeds_unread"
UNREAD_AFTER: Final = timedelta(minutes=10)
UNREAD_IN_CALM: Final = timedelta(hours=6)
"""So long may a feed's gap last before ops are told."""


class FeedsSource:
    """Every feed of the settings. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        settings: FeedsSettings,
        clock: Clock,
        *,
        name: str = "feeds",
        limits: Limits = LIMITS,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._limits = limits
        self._chance = chance
        self._bell = threading.Event()
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._held: tuple[str, ...] = ()
        self._recalled: tuple[Gap, ...] = ()
        self._book = GapBook(self.name)
        self._feeds: tuple[Followed, ...] = ()
        self._incidents: dict[str, Incident] = {}
        self._looked: dict[str, object] = {}
        """Incident → for what was looked at all that the feeds hold."""
        self._over: tuple[Incident, ...] = ()
        self._followed = False
        self._round_done = False
        self._ready: deque[Batch] = deque()
        self._ticked = float("-inf")
        self._given: datetime | None = None
        self._changed: dict[str, Gap] = {}
        self._memory = Memory()
        self._told: str | None = None
        """The last cursor that was given."""
        self._notices = NoticeBook(self._memory.notices)

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        # Of those that are over only what was lost for want of room may still be found: all is read again.
        lasts = [g for g in gaps if g.end is None or (g.cause == Cause.BUS_AWAY and not is_whole(g))]
        self._recalled = tuple(gap for gap in lasts if gap.cause != Cause.DISK_FULL)
        self._book.recall(gap for gap in self._recalled if gap.part is None)

    def learn_held(self, ids: Iterable[str]) -> None:
        held = tuple(ids)
        if self._leaving:
            self._held = held
        for feed in () if self._leaving else self._feeds:
            feed.reading.hold(held)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._memory = Memory.parse(resume) if resume else Memory()
        self._told = resume
        self._notices = NoticeBook(self._memory.notices)
        now = self._clock.now()
        self._feeds = tuple(
            Followed(self.name, feed, self._memory, self._recalled, self._held, now, self._clock, self._bell,
                     limits=self._limits, chance=self._chance)
            for feed in self._settings.read
        )  # fmt: skip
        self._held = ()
        named = {feed.name for feed in self._feeds}
        self._memory.feeds = {name: its for name, its in self._memory.feeds.items() if name in named}
        for gap in self._recalled:
            # Of a feed that is not read any more nothing is missed from now on.
            if gap.part is not None and gap.part not in named and gap.end is None:
                book = GapBook(self.name, gap.part)
                book.recall([gap])
                book.end(now)
                self._changed.update((each.id, each) for each in book.take())
        if self._memory.alive is not None and now - self._memory.alive > LATE:
            self._book.begin(self._memory.alive, Cause.PROCESS_DOWN)
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        before, self._incidents = self._incidents, real
        self._over = tuple(incident for incident in over if not incident.synthetic and incident.closed_at is not None)
        wanted = {id_: wanted_of(incident) for id_, incident in real.items()}
        again = {id_ for id_, what in wanted.items() if self._looked.get(id_) != what}
        self._looked = dict(wanted)
        switched = not self._followed or real.keys() != before.keys()
        self._followed = True
        for feed in self._feeds:
            feed.look_back_for(again, real.keys())
            if switched or again:
                # Whatever was published until now is heard for those that were open until now.
                feed.hurry(self._clock.now())

    def tend(self) -> None:
        """Nothing comes that must be held: a feed keeps it."""

    def read(self, timeout: float) -> Batch | None:
        batch = first_batch(self._look, timeout, self._clock, self._bell, lambda: self._leaving)
        if batch is not None:
            self.counts.add(batch)
        return batch

    def _look(self) -> Batch | None:
        return self._next() if self._followed else None

    def state(self) -> Mapping[str, Any]:
        deaf = [feed for feed in self._feeds if feed.book.lasting is not None]
        heard = [feed.read_at for feed in self._feeds if feed.read_at is not None]
        listens = "listening" if self._incidents else "counting"
        away = not self._round_done or self._book.lasting is not None or len(deaf) == len(self._feeds)
        state: dict[str, Any] = {
            "state": "idle" if self._leaving else "connecting" if away else listens,
            "feeds": len(self._feeds),
            "unread": [feed.name for feed in deaf],
            "heard": format_instant(max(heard)) if heard else None,
            "every": self._every.total_seconds(),
            "queue": sum(len(batch.posts) for batch in tuple(self._ready)),
        }
        lasting = self._book.lasting or next((feed.book.lasting for feed in deaf), None)
        if lasting is not None:
            state |= {"gap": lasting.cause, "gap_since": format_instant(lasting.start)}
        if not self._incidents and self._given is not None:
            state["counted"] = format_instant(self._given)
        return state

    def close(self) -> None:
        """Let go of every thread; what is under way is left to itself."""
        self._leaving = True
        for feed in self._feeds:
            feed.poll.stop()
        self._bell.set()

    # --- what comes ------------------------------------------------------------------------------------------------

    def _next(self) -> Batch | None:
        if not self._ready:
            for feed in self._feeds:
                self._turn(feed)
            self._end_of_round()
            self._mind()
        return self._ready.popleft() if self._ready else self._tick()

    @property
    def _every(self) -> timedelta:
        return self._settings.every if self._incidents else self._settings.in_calm

    def _turn(self, feed: Followed) -> None:
        asked = feed.turn(self._every)
        if asked is not None and asked.news is not None:
            self._take(feed, asked.news, asked.at)
        feed.mind_gap(self._clock.now(), self._every)
        self._changed.update((gap.id, gap) for gap in feed.book.take())

    def _take(self, feed: Followed, news: News, asked: datetime) -> None:
        """What one document holds → batches."""
        again, feed.again = frozenset(feed.again), set()
        lasting = feed.book.lasting or self._book.lasting
        origin = None if lasting is None else Origin.GAP_FILL
        # Closed since it was read the last time: what was published until then is theirs.
        late = [i for i in self._over if i.closed_at is not None and i.closed_at >= (feed.before or asked)]
        found: dict[Place, list[Post]] = {}
        for item in news.items:
            for place in self._places(item, item.fresh or news.scanned, again, late, origin):
                found.setdefault(place, []).append(item.post)
        feed.heard(news, asked)
        told = {gap.id: gap for gap in feed.book.take()}
        self._changed.update(told)
        # As it is by now: told once more as it was, it would last again.
        filled = None if lasting is None else told.get(lasting.id, lasting)
        for left, ((incident, how), posts) in zip(reversed(range(len(found))), found.items(), strict=True):
            if left == 0:
                # With the last of it: who is killed before that must read the document again.
                self._told = str(self._memory)
            fills = filled if how is Origin.GAP_FILL else None
            if fills is not None:
                # Told with what was found of it, which is counted.
                self._changed.setdefault(fills.id, fills)
            self._ready.append(self._made(posts, how, incident, None if fills is None else fills.id))

    def _places(
        self, item: Item, fresh: bool, again: frozenset[str], late: Sequence[Incident], live: Origin | None
    ) -> Iterable[Place]:
        # Changed since, it says something new, however old it is.
        said = item.post.at if item.is_edit else item.first
        yield from places(
            said, item.post.at, self._incidents, fresh=fresh, again=again, late=late, live=live, slack=MINUTE
        )
        if not self._incidents and item.fresh:
            yield None, None  # in calm: counted, and dropped

    def _made(self, posts: Sequence[Post], origin: Origin | None, incident: str | None, fills: str | None) -> Batch:
        return Batch(
            posts=tuple(posts),
            cursor=self._told,
            origin=origin,
            incident=incident,
            fills=fills,
            gaps=self._take_gaps(),
        )

    def _take_gaps(self) -> tuple[Gap, ...]:
        self._changed.update((gap.id, gap) for gap in self._book.take())
        gaps, self._changed = tuple(self._changed.values()), {}
        return gaps

    def _end_of_round(self) -> None:
        """Each feed was asked once, and was read or has a gap of its own."""
        if all(feed.was_asked for feed in self._feeds):
            self._round_done = True
            if (over := self._book.end(self._clock.now())) is not None:
                self._book.filled(over.id, over.end, done=True)
            for gap in self._book.unfilled:
                # What was missed then lies in the gaps of single feeds, or was found.
                self._book.filled(gap.id, gap.end, done=True)

    def _mind(self) -> None:
        """Whether there is something that ops must know of."""
        longest = UNREAD_AFTER if self._incidents else UNREAD_IN_CALM
        now = self._clock.now()
        lasting = [(feed.name, feed.book.lasting) for feed in self._feeds]
        unread = {name: gap for name, gap in lasting if gap is not None}
        long = [gap.start for gap in unread.values() if now - gap.start > longest]
        if not unread:
            self._notices.over(UNREAD)
        elif long:
            self._notices.begin(UNREAD, min(long), {"feeds": ", ".join(unread)})

    def _tick(self) -> Batch | None:
        """How far it is heard, now and then; gaps and notices at once."""
        now = self._clock.monotonic()
        due = now - self._ticked >= (TICK_SECONDS if self._incidents else CALM_TICK_SECONDS)
        until = self._steady.now() if self._round_done and due else None
        gaps, notices = self._take_gaps(), self._notices.take()
        if until is None and not gaps and not notices:
            return None
        if until is not None:
            self._ticked, self._given, self._memory.alive = now, until, until
        self._told = str(self._memory)
        return Batch(until=until, cursor=self._told, gaps=gaps, notices=notices)
