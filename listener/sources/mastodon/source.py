"""Mastodon: hashtags, and whole timelines where the settings say so, at several servers at once.

    follow ──▶ feeds ──▶ Server (Stream, Reader) ──▶ Inbox ──▶ read ──▶ batches
                         Server …

A server shows only what it knows, so several are heard; a post has one `uri` on all of them, and is given once. Each
has threads, a place and gaps of its own: one that is away, mute or refuses us holds nobody up. The source is heard up
to the least of those servers that are heard; where none is, that is a gap of the whole.

In calm posts of the standing tracks are given too: they are counted, and dropped (`listener.ingest.capture`).
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.notices import NoticeBook
from listener.sources.common.sieve import Sieve
from listener.sources.common.waiting import first_batch
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.cursor import Memory, Seat
from listener.sources.mastodon.feeds import feeds_of
from listener.sources.mastodon.held import Held
from listener.sources.mastodon.jobs import Look
from listener.sources.mastodon.reading import Taken
from listener.sources.mastodon.rest import Rest
from listener.sources.mastodon.server import LATE, Server
from listener.sources.mastodon.stream import SILENCE
from listener.units import format_instant

TICK_SECONDS: Final = 1.0
CALM_TICK_SECONDS: Final = 20.0
"""So often is it said up to when all was heard. In calm nobody waits for it but the counts, by the minute."""
SILENT_AFTER: Final = timedelta(seconds=60)
SILENT_IN_CALM: Final = timedelta(minutes=30)
"""So long may a gap last before ops are alerted. In calm it is filled before anybody misses it."""
PROBE: Final = 120.0
SILENT, SERVER_SILENT, UNAUTHORIZED = "source_silent", "mastodon_server_silent", "mastodon_unauthorized"


def _rest(url: str, clock: Clock) -> Rest:
    return Rest(url, clock)


class MastodonSource:
    """All servers together. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.RESCAN
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        accesses: Sequence[Access],
        clock: Clock,
        *,
        name: str = "mastodon",
        silence: float = SILENCE,
        probe: float = PROBE,
        chance: Callable[[], float] = random.random,
        make: Callable[[str, Clock], Rest] = _rest,
    ) -> None:
        """`make`: what calls the server at an address."""
        self.name = name
        self._clock = clock
        self._bell = threading.Event()
        # Of one server alone the gaps are those of the whole.
        several = len(accesses) > 1
        self._servers = tuple(
            Server(
                name, access, clock, self._bell, chance,
                part=access.name if several else None, silence=silence, probe=probe, make=make,
            )
            for access in accesses
        )  # fmt: skip
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._held = Held()
        for server in self._servers:
            server.reset(self._held)
        # Where there is but one, its book is that of the whole.
        self._book = GapBook(self.name) if len(self._servers) > 1 else self._servers[0].book
        self._gone: list[Gap] = []
        self._missed: tuple[Gap, ...] = ()
        self._incidents: dict[str, Incident] = {}
        self._tracks: frozenset[str] = frozenset()
        self._followed = False
        self._given: datetime | None = None
        self._ticked = float("-inf")
        self._turn = 0
        self._ready: deque[Batch] = deque()
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._cursor = str(memory)
        self._notices = NoticeBook(memory.notices)
        names = {server.name for server in self._servers}
        heard = [seat.heard for name, seat in memory.seats.items() if name in names and seat.heard is not None]
        self._given = max(heard, default=None)

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        known = [gap for gap in gaps if gap.cause != Cause.DISK_FULL]
        parts = {server.name: server.book for server in self._servers} if len(self._servers) > 1 else {}
        self._book.recall(gap for gap in known if gap.part is None)
        for server, book in parts.items():
            book.recall(gap for gap in known if gap.part == server)
        # A server that is not heard any more by the settings: its gap ends, and nobody will fill it.
        over = [gap for gap in known if gap.part is not None and gap.part not in parts and gap.end is None]
        self._gone = [gap.model_copy(update={"end": max(self._clock.now(), gap.start)}) for gap in over]
        # For want of room on our own disk posts were lost: those the servers may still have.
        self._missed = tuple(g for g in known if g.cause == Cause.BUS_AWAY and g.end is not None and not is_whole(g))

    def learn_held(self, ids: Iterable[str]) -> None:
        self._held.learn(ids)

    def learn_aliases(self, aliases: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self._held.learn_aliases(aliases)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        heard = self._given
        late = [i for i in over if not i.synthetic and (heard is None or i.closed_at is None or i.closed_at > heard)]
        tracks = frozenset(t for i in (*real.values(), *late) for t in i.tracks) | frozenset(standing)
        before, grew = self._incidents, bool(tracks - self._tracks)
        again = self._followed and bool(real) and (grew or bool(real.keys() - before.keys()))
        opened = min((i.opened_at for i in (*real.values(), *late)), default=None)
        if again:
            self._held.forget_versions()
            # A change bears no time of its own; the next one to hear of it came a second later at most.
            new = [i.opened_at for key, i in real.items() if key not in before]
            opened = min([*new, self._clock.now() - timedelta(seconds=1)])
        self._incidents, self._tracks = real, tracks
        if not self._followed:
            self._begin(opened)
        self._followed, sieve = True, Sieve(tracks)
        for server in self._servers:
            feeds = feeds_of(tracks, server.timeline)
            looks = self._looks(server, real.values(), standing)
            server.follow(feeds, sieve, opened, looks, again=again)

    def tend(self) -> None:
        if not self._leaving:
            for server in self._servers:
                server.watch()

    def read(self, timeout: float) -> Batch | None:
        batch = first_batch(self._look, timeout, self._clock, self._bell, lambda: self._leaving)
        if batch is not None:
            self.counts.add(batch)
        return batch

    def _look(self) -> Batch | None:
        self.tend()
        return self._next() if self._followed else None

    def state(self) -> Mapping[str, Any]:
        heard = [server for server in self._servers if server.heard_now]
        gap = self._book.lasting
        listens = "listening" if self._incidents else "counting"
        kept_out = [server for server in self._servers if server.kept_out is not None]
        is_shut_out = len(kept_out) == len(self._servers)
        word = "idle" if self._leaving else listens if heard and gap is None else "connecting"
        arrived = max((s.inbox.heard for s in self._servers if s.inbox.heard is not None), default=None)
        state: dict[str, Any] = {
            "state": "stopped" if is_shut_out else word,
            "connected": sum(server.up for server in self._servers),
            "heard": None if arrived is None else format_instant(arrived),
            "queue": sum(len(server.inbox) for server in self._servers),
            "servers": {server.name: server.shown() for server in self._servers},
            "looking_back": sorted({each for server in self._servers for each in server.waiting()}),
        }
        if self._given is not None and not self._incidents:
            state["counted"] = format_instant(self._given)
        if gap is not None:
            state |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if is_shut_out:
            told = "; ".join(f"{server.name}: {server.trouble}" for server in kept_out)
            state["problem"] = f"Mastodon refuses us: {told}"
        return state

    def close(self) -> None:
        """Close the sockets and let go of the threads, in less than a second."""
        self._leaving = True
        self._bell.set()
        closing = [threading.Thread(target=server.stop, daemon=True) for server in self._servers]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()

    # --- where we are ----------------------------------------------------------------------------------------------

    def _begin(self, opened: datetime | None) -> None:
        """Go on where the bus has us. Where it has nothing, everything since an incident was opened is to be had."""
        names = {server.name for server in self._servers}
        for gone in self._memory.seats.keys() - names:
            del self._memory.seats[gone]
        for server in self._servers:
            server.begin(self._memory.seats.setdefault(server.name, Seat()), opened or self._clock.now())
            server.looked = [done for done in self._memory.back if done.split("/")[1:2] == [server.name]]
            if opened is None:
                others = [seat for name, seat in self._memory.seats.items() if name != server.name]
                server.counted = max((at for seat in others for at in seat.instants()), default=None)
            if self._missed:
                server.reread(min(gap.start for gap in self._missed))

    def _looks(self, server: Server, incidents: Iterable[Incident], standing: Sequence[str]) -> list[Look]:
        looks = []
        for incident in incidents:
            since = incident.opened_at - timedelta(seconds=incident.lookback)
            if since < incident.opened_at:
                feeds = sorted(feeds_of((*incident.tracks, *standing), server.timeline))
                what = hashlib.sha256(f"{incident.lookback}|{feeds}".encode()).hexdigest()[:8]
                key = f"{incident.id}/{server.name}/{what}"
                looks += [Look(key, incident.id, feed, since, incident.opened_at) for feed in feeds]
        return looks

    def _next(self) -> Batch | None:
        """What the servers brought, each in its turn; and how far the source is heard."""
        for _ in self._servers:
            if not self._ready:
                self._turn = (self._turn + 1) % len(self._servers)
                self._take(self._servers[self._turn])
            if self._ready:
                return self._ready.popleft()
        return None

    def _take(self, server: Server) -> None:
        """What one server brought: what was looked back for, by incident, and what is said now. The cursor is of the
        last batch alone, for it says that all of it was given."""
        lasting = server.book.lasting
        taken = server.take()
        self._mind_whole(server)
        self._mind()
        if server.unsure():
            server.ask(self._held.of(server.name))
        before = self._cursor
        for incident, posts in taken.before.items():
            if posts and incident in self._incidents:
                batch = Batch(posts=tuple(posts), cursor=before, origin=Origin.LOOKBACK, incident=incident)
                self._ready.append(batch)
        last = self._batch(server, taken, lasting)
        if last is not None:
            self._ready.append(last)

    def _batch(self, server: Server, taken: Taken, lasting: Gap | None) -> Batch | None:
        """`lasting`: the server's gap that lasted when what was taken came."""
        now, until = self._clock.monotonic(), self._until()
        every = TICK_SECONDS if self._incidents else CALM_TICK_SECONDS
        due = until is not None and now - self._ticked >= every
        gaps = {gap.id: gap for gap in (*self._gone, *self._book.take(), *server.book.take())}
        self._gone = []
        if lasting is not None and taken.posts:
            # Told again, so that what was found of it is counted.
            gaps.setdefault(lasting.id, lasting)
        notices, reconnects, server.reconnects = self._notices.take(), tuple(server.reconnects), []
        if not (taken or gaps or notices or reconnects or due):
            return None
        if until is not None:
            self._given, self._ticked = until, now
        self._memory.back = {done for each in self._servers for done in each.looked if self._is_open(done)}
        self._cursor = str(self._memory)
        return Batch(
            posts=tuple(taken.posts),
            bad=tuple(taken.bad),
            duplicates=taken.doubles,
            until=until,
            cursor=self._cursor,
            origin=Origin.GAP_FILL if lasting is not None and taken.posts else None,
            fills=None if lasting is None else lasting.id,
            gaps=tuple(gaps.values()),
            notices=notices,
            reconnects=reconnects,
            deleted=tuple(dict.fromkeys(taken.deleted)),
        )

    def _is_open(self, done: str) -> bool:
        return done.partition("/")[0] in self._incidents

    def _until(self) -> datetime | None:
        """Up to when every server that is heard was heard; None where that is nothing new."""
        heard = [s.seat.heard for s in self._servers if s.heard_now and s.book.lasting is None and s.seat.heard]
        until = min(heard, default=None)
        return None if until is None or (self._given is not None and until <= self._given) else until

    # --- gaps of the whole, and what ops must know -----------------------------------------------------------------

    def _mind_whole(self, server: Server) -> None:
        """Where several are listened to: while none of them is heard, the whole is not."""
        if server.heard_now and self._missed:
            for gap in self._missed:
                self._book.filled(gap.id, gap.end, done=True)
            self._missed = ()
        if self._book is server.book:
            return
        now = self._clock.now()
        if any(each.heard_now and each.book.lasting is None for each in self._servers):
            over = self._book.end(now)
            if over is not None and any(each.heard_now and each.is_whole for each in self._servers):
                self._book.filled(over.id, over.end, done=True)
            elif over is not None:
                self._book.forget(over.id)
        elif self._book.lasting is None and all(each.book.lasting is not None for each in self._servers):
            heard = self._given or max(each.seat.heard or now for each in self._servers)
            if now - heard > LATE:
                self._book.begin(heard, server.cause)

    def _mind(self) -> None:
        """Whether there is something that ops must know of."""
        now, longest = self._clock.now(), SILENT_AFTER if self._incidents else SILENT_IN_CALM
        whole = self._book.lasting
        if whole is None:
            self._notices.over(SILENT)
        elif now - whole.start > longest:
            self._notices.begin(SILENT, whole.start)
        lasting = {s.name: s.book.lasting for s in self._servers if s.book is not self._book}
        silent = {name: gap.start for name, gap in lasting.items() if gap is not None and now - gap.start > longest}
        if silent and whole is None:
            self._notices.begin(SERVER_SILENT, min(silent.values()), {"servers": ", ".join(sorted(silent))})
        elif not any(lasting.values()):
            self._notices.over(SERVER_SILENT, words={"servers": ", ".join(sorted(lasting))})
        refusing = sorted(s.name for s in self._servers if s.kept_out in (Cause.UNAUTHORIZED, Cause.FORBIDDEN))
        if refusing:
            self._notices.begin(UNAUTHORIZED, now, {"servers": ", ".join(refusing)})
        elif all(server.heard_now for server in self._servers):
            self._notices.over(UNAUTHORIZED, words={"servers": ", ".join(s.name for s in self._servers)})
