"""One server as the source sees it: whether it is heard, up to when, its gaps, and what it brought.

It is **heard** once its stream is open and all that was said before is read by its timelines: the stream is opened
first, then each feed is read from the last post that we know of, so that nothing falls between. From then on all is
heard up to the stream's last sign of life. Where it is not heard for longer than a post may be late, that is a gap of
this server; it ends, filled, when it is heard again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final
from urllib.parse import urlsplit

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.model.records import Gap
from listener.sources.common.fields import LATEST, Raw, Unusable, time_of
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.sieve import Sieve
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.cursor import OVERLAP, Place, Seat
from listener.sources.mastodon.deafness import GRACE, Deafness
from listener.sources.mastodon.feeds import order
from listener.sources.mastodon.frames import Failure, Gone, Said
from listener.sources.mastodon.held import Held
from listener.sources.mastodon.inbox import Down, Frame, Inbox, Item, Missing, Page, Refused, Up
from listener.sources.mastodon.instance import Instance
from listener.sources.mastodon.jobs import Ask, Look, Missed, Probe
from listener.sources.mastodon.payload import alias, id_of
from listener.sources.mastodon.reader import Reader
from listener.sources.mastodon.reading import Reading, Taken
from listener.sources.mastodon.rest import Rest
from listener.sources.mastodon.stream import KEPT_OUT, Stream
from listener.sources.mastodon.unsettled import Unsettled
from listener.units import format_instant

log = logging.getLogger(__name__)

BATCH_SIZE: Final = 500
LATE: Final = timedelta(seconds=10)
"""So long may it be unheard without a gap: as late as a post may be."""
CAUGHT_UP: Final = timedelta(seconds=5)
MAX_ASKED: Final = 1_000
"""Posts on the bus that are asked for one by one after a time in which deletions were not heard."""


@dataclass
class _Wanted:
    """What is asked of it now. `opened`: since when an incident is open; None in calm."""

    feeds: frozenset[str] = frozenset()
    opened: datetime | None = None
    looks: tuple[Look, ...] = ()


class Server:
    """Belongs to the source's thread; `stop` may be called from any. `part`: as its gaps name it."""

    def __init__(
        self,
        source: str,
        access: Access,
        clock: Clock,
        bell: Event,
        chance: Callable[[], float],
        *,
        part: str | None,
        silence: float,
        probe: float,
        make: Callable[[str, Clock], Rest],
    ) -> None:
        self.name = access.name
        self.timeline = access.timeline
        self._clock = clock
        self._probe = probe
        self._source = source
        self._part = part
        self.inbox = Inbox(bell)
        self._stream = Stream(access, lambda: make(access.url, clock), self.inbox, clock, chance, silence=silence)
        self._reader = Reader(lambda: make(access.url, clock), access.key, self.inbox, clock, chance)
        self._domain = urlsplit(access.url).netloc
        self.reset(Held())

    def reset(self, held: Held) -> None:
        """`held`: what all servers share of what is known."""
        self._reading = Reading(self._source, self._domain, held, self._clock)
        self.book = GapBook(self._source, self._part)
        self.seat = Seat()
        self.up = self.heard_now = False
        self.cause: Cause = Cause.PROCESS_DOWN
        self.trouble: str | None = None
        self.kept_out: Cause | None = None
        self.instance: Instance | None = None
        self.reconnects: list[str] = []
        self.looked: list[str] = []
        self._wanted = _Wanted()
        self._running = False
        self._serial = 0
        self._pending: set[str] = set()
        self._whole = True
        self._ahead: dict[str, tuple[str, datetime]] = {}
        self._reread: datetime | None = None
        self.counted: datetime | None = None
        """Of a start in calm: up to when others were heard, so that what a timeline shows of before was counted."""
        self._been: datetime | None = None
        """Up to when it had been heard when we last wished to read again what lies before."""
        self._deafness = Deafness(self._probe, self._clock.monotonic())
        self._unsure = True
        self._looks: dict[str, set[str]] = {}
        self._unsettled = Unsettled()

    # --- what is wanted --------------------------------------------------------------------------------------------

    def recall(self, gaps: Iterable[Gap]) -> None:
        self.book.recall(gaps)

    def begin(self, seat: Seat, since: datetime) -> None:
        """Go on where the bus has us; where it has nothing, `since` on."""
        self.inbox.clear()
        self.seat = seat
        if seat.heard is None:
            seat.heard, self._unsure = since, False
        self._deafness = Deafness(self._probe, self._clock.monotonic())

    def reread(self, since: datetime) -> None:
        """Of that time on posts were lost on our side: they are read once more."""
        self._reread = since

    def follow(
        self, feeds: frozenset[str], sieve: Sieve, opened: datetime | None, looks: Sequence[Look], *, again: bool
    ) -> None:
        """`opened`: since when the first incident is open, None in calm; `again`: what was passed over since then is to
        be read once more; `looks`: what is to be looked back for."""
        new, gone = feeds - self._wanted.feeds, self._wanted.feeds - feeds
        self._wanted, self._reading.sieve = _Wanted(feeds, opened, tuple(looks)), sieve
        for feed in gone:
            self.seat.feeds.pop(feed, None)
            self._ahead.pop(feed, None)
            self._pending.discard(feed)
        if not self._running:
            self._running = True
            self._stream.want(feeds)
            self._reader.start()
            self._stream.start()
        else:
            self._stream.want(feeds)
            since = opened or self._clock.now()
            if again and opened is not None:
                # Also of what was heard in calm: what came since then was counted and dropped. If this connection ends
                # before it is read, the next one is to do it.
                self._reread = min(opened, self._reread or opened)
            for feed in sorted(feeds if again and opened is not None else new):
                if self.up:
                    self._catch_up(Missed(self._serial, feed, None, since), anew=True)
            if self.up:
                self._unsettled.asked(new, self._clock.monotonic(), self._clock.now())
            if gone and self.up and not self._pending:
                self._all_read()
        self._reader.forget(Look)
        self._looks.clear()
        if self.heard_now:
            self._look_back()

    def ask(self, held: Iterable[tuple[str, str]]) -> None:
        """Are these still there? Asked one by one, when nothing else is to be done."""
        self._reader.forget(Ask)
        for number, (uri, name) in enumerate(held):
            if number >= MAX_ASKED:
                break
            self._reader.put(Ask(uri, name))

    def watch(self) -> None:
        if self._running:
            self._stream.watch()
            self._reader.watch()

    def stop(self) -> None:
        self._running = self.up = self.heard_now = False
        self._stream.stop()
        self._reader.stop()

    # --- what it brought -------------------------------------------------------------------------------------------

    def take(self) -> Taken:
        """Some of what waits, understood; and how well it is heard."""
        taken = Taken()
        items, alive = self.inbox.take(BATCH_SIZE)
        for item in items:
            self._meet(item, taken)
        if alive is not None and self.heard_now and not self._pending:
            self.seat.heard = max(alive, self.seat.heard or alive)
            if self._clock.now() - self.seat.heard <= CAUGHT_UP:
                # It came late, but it all came: the connection is the same.
                self._end_gap(self.seat.heard)
        self._mind_gap()
        self._mind_unsettled()
        self._mind_probe()
        self._mind_deafness()
        return taken

    def _meet(self, item: Item, taken: Taken) -> None:
        match item:
            case Up():
                self._begin_connection(item)
            case Down():
                self._end_connection(item)
            case Frame():
                self._hear(item, taken)
            case Page():
                self._read(item, taken)
            case Missing():
                taken.deleted += self._reading.gone(item.job.alias, taken) if isinstance(item.job, Ask) else ()
            case Refused():
                self._is_refused(item)

    def _begin_connection(self, up: Up) -> None:
        self.up, self.instance, self.trouble, self.kept_out = True, up.instance, None, None
        self._reading.domain = up.instance.domain
        self._serial += 1
        self._reader.begin(self._serial)
        self._pending, self._whole, self._ahead = set(), True, {}
        self._deafness.connected()
        heard = self.seat.heard or up.at
        for feed in sorted(self._wanted.feeds):
            anew = feed not in self.seat.feeds or self._reread is not None
            self._catch_up(self._missed_of(feed, heard), anew=anew)
        self._unsettled.asked(self._wanted.feeds, self._clock.monotonic(), self._clock.now())
        if not self._whole:
            self._lose(heard, up.at)
        if not self._pending:
            self._all_read()

    def _lose(self, start: datetime, end: datetime) -> None:
        """What lies between cannot be read, however short it is: that stays a gap."""
        if self.book.lasting is None and (lost := self.book.between(start, end, self.cause)) is not None:
            self.book.forget(lost.id)

    def _missed_of(self, feed: str, heard: datetime) -> Missed:
        """What of a feed was missed. In calm exactly from its last post on, for what is read twice would be counted
        twice; in crisis from some time before, for a post may come late."""
        opened, place = self._wanted.opened, self.seat.feeds.get(feed)
        if self._reread is not None:
            return Missed(self._serial, feed, None, min(heard, self._reread))
        if place is None:
            return Missed(self._serial, feed, None, heard if opened is None else min(heard, opened))
        after = place.last if opened is None else place.anchor
        since = heard if opened is None else min(heard, max(heard - OVERLAP, opened))
        return Missed(self._serial, feed, after or None, since)

    def _catch_up(self, job: Missed, *, anew: bool) -> None:
        """`anew`: of a time in which the feed was not read, or not for what is wanted now."""
        if self.instance is not None and not self.instance.gives(job.feed):
            # What is closed is answered as if nothing had been said.
            self._whole = False
            return
        self.heard_now = False
        self._pending.add(job.feed)
        if anew and self.seat.heard is not None and job.since < self.seat.heard:
            # What is read once more is no gap, if that is done as soon as any other is.
            self._been = max(self.seat.heard, self._been or self.seat.heard)
            self.seat.heard = job.since
        self._reader.put(job)

    def _mind_unsettled(self) -> None:
        """In calm a word or two less are counted; read twice they might be counted twice."""
        if not self.heard_now:
            return
        opened = self._wanted.opened
        for feed, since in sorted(self._unsettled.settled(self._clock.monotonic()).items()):
            if opened is not None and feed in self._wanted.feeds and self.instance and self.instance.gives(feed):
                self._reader.put(Missed(self._serial, feed, None, max(since, opened)))

    def _end_connection(self, down: Down) -> None:
        self.up = self.heard_now = False
        self._reader.begin(0)
        self._unsettled.clear()
        self._pending.clear()
        self._unsure = True
        self.cause, self.trouble = down.cause, down.why
        self.kept_out = down.cause if down.cause in KEPT_OUT else None
        self.reconnects.append(down.cause)

    def _is_refused(self, refused: Refused) -> None:
        log.warning("mastodon: %s: %s; asked again", self.name, refused.why)
        if isinstance(refused.job, Missed) and refused.job.serial == self._serial and self.up:
            self.cause, self.trouble = refused.cause, refused.why
            self.kept_out = refused.cause if refused.cause in KEPT_OUT else None

    def _hear(self, frame: Frame, taken: Taken) -> None:
        message = self._reading.frame(frame.raw, taken)
        match message:
            case Gone():
                taken.deleted += self._reading.gone(alias(self.name, message.id), taken)
            case Failure():
                cause = Cause.FORBIDDEN if message.status in (403, None) else Cause.UNAUTHORIZED
                self._stream.leave(cause, "it refuses a feed")
            case Said():
                self._deafness.brings(str(message.status.get("id")))
                self._reading.status(message.status, self.name, message.feed, taken)
                if message.feed in self._wanted.feeds and not message.edited:
                    self._reach(message.feed, message.status)

    def _reach(self, feed: str, raw: Raw) -> None:
        """So far was a feed read. While what lies before is not read yet, that is remembered apart."""
        try:
            id_, at = id_of(raw), min(time_of(raw, "created_at"), self._clock.now())
        except Unusable:
            return
        if feed in self._pending or not self.up:
            self._keep_ahead(feed, id_, at)
        else:
            self._advance(feed, id_, at)

    def _read(self, page: Page, taken: Taken) -> None:
        job = page.job
        if isinstance(job, Missed | Probe) and (job.serial != self._serial or job.feed not in self._wanted.feeds):
            return
        if isinstance(job, Ask):
            if self._wanted.opened is not None:
                for raw in page.statuses:
                    self._reading.status(raw, self.name, None, taken)
            return
        if isinstance(job, Look):
            self._look(page, job, taken)
            return
        for raw in page.statuses:
            if isinstance(job, Probe):
                self._compare(raw, job.feed, page.at)
            at = _at(raw)
            if self._is_old(job, at):
                self._reading.known(raw, self.name)
                continue
            self._reading.status(raw, self.name, job.feed, taken)
        self._note(job, page)
        if isinstance(job, Missed) and page.ends:
            if page.short:
                self._whole = False
                self._lose(job.since, page.at)
            waited = job.feed in self._pending
            self._pending.discard(job.feed)
            if (ahead := self._ahead.pop(job.feed, None)) is not None:
                self._advance(job.feed, *ahead)
            # Of a feed without any post it is known, too, that it was read.
            self.seat.feeds.setdefault(job.feed, Place.first("", page.at))
            if waited and not self._pending:
                self._all_read()
        elif isinstance(job, Probe):
            self._deafness.probed(page.at)

    def _is_old(self, job: Missed | Probe, at: datetime) -> bool:
        """It was read before, or said before anybody was to listen; in calm, counted before."""
        if self._wanted.opened is None and self.counted is not None and at <= self.counted:
            return True
        return isinstance(job, Missed) and (job.after is None or self._wanted.opened is not None) and at < job.since

    def _note(self, job: Missed | Probe, page: Page) -> None:
        """So far was the feed read by this page: at once where pages come oldest first, else once the last one has."""
        found = []
        for raw in page.statuses:
            try:
                found.append((id_of(raw), min(time_of(raw, "created_at"), page.at)))
            except Unusable:
                continue
        for id_, at in sorted(found, key=lambda each: order(each[0])):
            if isinstance(job, Missed) and job.after is None:
                self._keep_ahead(job.feed, id_, at)
            else:
                self._advance(job.feed, id_, at)

    def _keep_ahead(self, feed: str, id_: str, at: datetime) -> None:
        """So far it is read once all that lies before is."""
        known = self._ahead.get(feed)
        if known is None or order(id_) > order(known[0]):
            self._ahead[feed] = id_, at

    def _advance(self, feed: str, id_: str, at: datetime) -> None:
        place = self.seat.feeds.get(feed)
        if place is None:
            self.seat.feeds[feed] = Place.first(id_, at)
        else:
            place.reach(id_, at)

    def _all_read(self) -> None:
        """The stream is open, and what was missed before it is read: from now on it is heard."""
        now = self._clock.now()
        self.heard_now, self.trouble, self.kept_out, self._reread, self._been = True, None, None, None, None
        self.seat.heard = max(self.seat.heard or now, now)
        self.cause = Cause.RESET
        self._end_gap(now)
        self._deafness.connected(now)
        self._look_back()

    def _end_gap(self, at: datetime) -> None:
        over = self.book.end(at)
        if over is not None and self._whole:
            self.book.filled(over.id, over.end, done=True)
        elif over is not None:
            self.book.forget(over.id)

    @property
    def is_whole(self) -> bool:
        """All that was missed before could be read."""
        return self._whole

    def unsure(self) -> bool:
        """Once after each time in which deletions and edits were not heard."""
        was, self._unsure = self._unsure and self.heard_now, self._unsure and not self.heard_now
        return was

    # --- gaps, and a stream that is deaf ---------------------------------------------------------------------------

    def _mind_gap(self) -> None:
        now, heard = self._clock.now(), self.seat.heard
        if heard is not None and self.book.lasting is None and now - max(heard, self._been or heard) > LATE:
            here = Cause.QUEUE_FULL if len(self.inbox) > BATCH_SIZE else Cause.SILENCE
            self.book.begin(heard, here if self.heard_now else self.cause)

    def _mind_probe(self) -> None:
        """Now and then its timelines are read beside the stream: who hears nothing may be deaf."""
        now = self._clock.monotonic()
        if not self.heard_now or not self._deafness.is_due(now):
            return
        for feed in sorted(self._wanted.feeds):
            place = self.seat.feeds.get(feed)
            if place is not None and place.last and self.instance is not None and self.instance.gives(feed):
                self._reader.put(Probe(self._serial, feed, place.last))

    def _compare(self, raw: Raw, feed: str, at: datetime) -> None:
        """What a probe's page shows with what the stream brought."""
        if feed.startswith("#") and not self._reading.was_met(raw, self.name) and _at(raw) < at - GRACE:
            self._deafness.shows(str(raw.get("id")), self._clock.monotonic())

    def _mind_deafness(self) -> None:
        if not self.heard_now or not self._deafness.is_deaf(self._clock.monotonic()):
            return
        log.warning("mastodon: %s: its timelines show what its stream does not bring", self.name)
        self.book.begin(self._deafness.sure or self._clock.now(), Cause.SILENCE)
        self.heard_now = False
        self._stream.leave(Cause.SILENCE, "its stream is deaf")

    # --- what was said before --------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """The incidents that are not looked back to yet."""
        return sorted({look.incident for look in self._wanted.looks if look.key not in self.looked})

    def _look_back(self) -> None:
        if self._looks or self._reader.waiting(Look):
            return
        for look in self._wanted.looks:
            if look.key in self.looked or look.feed not in self._wanted.feeds:
                continue
            if self.instance is not None and self.instance.gives(look.feed):
                self._looks.setdefault(look.key, set()).add(look.feed)
                self._reader.put(look)

    def _look(self, page: Page, job: Look, taken: Taken) -> None:
        for raw in page.statuses:
            if job.since <= _at(raw) < job.until:
                self._reading.status(raw, self.name, job.feed, taken, before=job)
        left = self._looks.get(job.key)
        if page.ends and left is not None:
            left.discard(job.feed)
            if not left:
                del self._looks[job.key]
                self.looked.append(job.key)

    # --- for people ------------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        gap = self.book.lasting
        shown: dict[str, Any] = {
            "heard": self.heard_now and gap is None,
            "feeds": len(self._wanted.feeds),
            "queue": len(self.inbox),
            "asking": self._reader.waiting(Ask),
        }
        if gap is not None:
            shown |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if self.trouble is not None:
            shown["trouble"] = self.trouble
        return shown


def _at(raw: Raw) -> datetime:
    try:
        return time_of(raw, "created_at")
    except Unusable:
        return LATEST
