"""Bluesky, heard whole: every post of the network comes, in calm and crisis, and what is wanted of it is given.

    follow ──▶ Sieve ──▶ Stream (one host after another) ──▶ Inbox ──▶ read ──▶ batches

Nothing has to be searched for: a host keeps what was said for hours and gives it again from a cursor on. So whatever
made us deaf, we go on where we were, and a **gap** is the time in which we are behind: it begins where we were heard up
to, once that is longer ago than a post may be late, and ends, filled, when we have caught up. Only what the host does
not keep any more stays one.

In calm posts of the standing tracks are given too: they are counted, and dropped (`listener.ingest.capture`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin
from listener.sources.bluesky.cursor import Memory
from listener.sources.bluesky.deletions import Held
from listener.sources.bluesky.frames import Outlook, Place, onward, place_of
from listener.sources.bluesky.inbox import MOST, Down, Inbox, Up
from listener.sources.bluesky.lookback import Lookback
from listener.sources.bluesky.reading import AHEAD, Found, Reading, instant_of, microseconds_of
from listener.sources.bluesky.stream import SILENCE, Stream
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.notices import NoticeBook
from listener.sources.common.sieve import Sieve
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.units import format_instant

BATCH_SIZE: Final = 500
TICK_SECONDS: Final = 1.0
CALM_TICK_SECONDS: Final = 20.0
"""So often is it said up to when all was heard. In calm nobody waits for it but the counts, by the minute."""
LATE: Final = timedelta(seconds=10)
"""So far behind may we be without a gap: as late as a post may be."""
CAUGHT_UP: Final = timedelta(seconds=5)
SILENT_AFTER: Final = timedelta(seconds=60)
SILENT_IN_CALM: Final = timedelta(minutes=30)
"""So long may a gap last before ops are alerted. In calm it is filled before anybody misses it."""
SILENT: Final = "source_silent"
BEHIND_SECONDS: Final = 60.0
"""So long has a host to bring us nearer to now. One that does not is behind itself, or its clock is."""
NEARER: Final = timedelta(seconds=20)
_KEPT_OUT: Final = frozenset({Cause.REFUSED, Cause.UNAUTHORIZED, Cause.FORBIDDEN})


class BlueskySource:
    """All hosts of Jetstream, one at a time. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.REPLAY
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        hosts: Sequence[str],
        clock: Clock,
        *,
        name: str = "bluesky",
        version: int = 2,
        accounts: Mapping[str, str] | None = None,
        silence: float = SILENCE,
        chance: Callable[[], float] = random.random,
        most: int = MOST,
    ) -> None:
        """`accounts`: handle → DID, of accounts that are known by name: a post names its author by DID alone."""
        self.name = name
        self._clock = clock
        # What caps a host's time must not run back when our own clock is set back: no window would end for as long.
        self._steady = SteadyClock(clock)
        self._dids = {handle.lower(): did for handle, did in (accounts or {}).items()}
        self._handles = {did: handle for handle, did in self._dids.items()}
        self._inbox = Inbox(most)
        self._stream = Stream(hosts, self._inbox, clock, chance, version=version, silence=silence)
        self._lookback = Lookback(
            name, hosts, clock, chance, version=version, silence=silence, dids=self._dids.values()
        )
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._book = GapBook(self.name)
        self._held = Held()
        self._reading = Reading(self.name, self._handles, self._held, self._steady)
        self._missed: tuple[Gap, ...] = ()
        self._incidents: dict[str, Incident] = {}
        self._tracks: frozenset[str] = frozenset()
        self._sieve = Sieve()
        self._followed = self._back_turn = False
        self._is_up = False
        self._cause = Cause.PROCESS_DOWN
        self._refusal: str | None = None
        self._heard: datetime | None = None
        self._given: datetime | None = None
        self._been: datetime | None = None
        """Up to when it had been heard when we last wished to read again what lies before."""
        self._ticked = float("-inf")
        self._behind: tuple[float, timedelta] | None = None
        self._seen: tuple[str, bytes] | None = None
        self._reconnects: list[str] = []
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory, self._host = memory, memory.host
        self._lookback.open(memory, self._reading)
        self._notices = NoticeBook(memory.notices)
        self._heard = None if memory.place is None else instant_of(memory.place)
        self._given = self._heard

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        known = [gap for gap in gaps if gap.cause != Cause.DISK_FULL]
        self._book.recall(known)
        # For want of room on our own disk posts were lost: those a host may still have.
        self._missed = tuple(g for g in known if g.cause == Cause.BUS_AWAY and g.end is not None and not is_whole(g))

    def learn_held(self, ids: Iterable[str]) -> None:
        self._held.learn(ids)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._inbox.open()
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        heard = self._heard
        late = [i for i in over if not i.synthetic and (heard is None or i.closed_at is None or i.closed_at > heard)]
        tracks = frozenset(t for i in (*real.values(), *late) for t in i.tracks) | frozenset(standing)
        before, first, grew = self._incidents, not self._followed, bool(tracks - self._tracks)
        self._incidents, self._tracks, self._followed = real, tracks, True
        self._sieve = Sieve(tracks, self._dids.values())
        self._stream.want(Outlook(self._sieve, self._dids.values()))
        if first:
            self._begin()
        elif real and (grew or real.keys() - before.keys()):
            # What was passed over since it was opened is read again. A change bears no time of its own; the next one to
            # hear of it came a second later at most.
            self._been = heard
            new = [i.opened_at for key, i in real.items() if key not in before]
            self._stream.rewind(microseconds_of(min([*new, self._clock.now() - timedelta(seconds=1)])))
        self._lookback.follow(real, standing)

    def tend(self) -> None:
        if not self._leaving:
            self._stream.watch()
            self._lookback.watch()

    def read(self, timeout: float) -> Batch | None:
        deadline = self._clock.monotonic() + timeout
        while not self._leaving:
            self.tend()
            batch = self._next() if self._followed else None
            if batch is not None:
                self.counts.add(batch)
                return batch
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return None
            self._clock.wait(min(left, TICK_SECONDS / 4), self._inbox.bell)
        return None

    def state(self) -> Mapping[str, Any]:
        gap, heard, arrived = self._book.lasting, self._heard, self._inbox.heard
        listens = "listening" if self._incidents else "counting"
        word = "idle" if self._leaving else listens if self._is_up and gap is None else "connecting"
        state: dict[str, Any] = {
            "state": "stopped" if self._refusal and not self._is_up else word,
            "connected": self._is_up,
            "host": self._stream.host,
            "heard": None if arrived is None else format_instant(arrived),
            "queue": len(self._inbox),
            "seen": self._inbox.seen,
            "looking_back": self._lookback.waiting(),
        }
        if heard is not None:
            state["behind"] = round(max(0.0, (self._clock.now() - heard).total_seconds()), 1)
            if not self._incidents:
                state["counted"] = format_instant(heard)
        if gap is not None:
            state |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if self._refusal and not self._is_up:
            state["problem"] = self._refusal
        return state

    def close(self) -> None:
        """Close the socket and let go of the thread, in less than a second."""
        self._leaving = True
        self._inbox.close()
        self._lookback.stop()
        self._stream.stop()
        self._is_up = False

    # --- where we are ----------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Go on where the bus has us. Where it has nothing, everything since an incident was opened is to be had."""
        place = self._memory.place
        if place is None:
            since = min((i.opened_at for i in self._incidents.values()), default=self._clock.now())
            self._heard, place = since, Place(None, microseconds_of(since))
        if self._missed:
            earliest = microseconds_of(min(gap.start for gap in self._missed))
            if earliest < place.us:
                place, self._memory.host = Place(None, earliest), ""
                self._heard = instant_of(place)
        self._stream.start(self._memory.host, place)

    def _next(self) -> Batch | None:
        """What comes now and what was said before, in turn."""
        self._back_turn = not self._back_turn
        return (self._back_turn and self._lookback.take()) or self._turn() or self._lookback.take()

    def _turn(self) -> Batch | None:
        self._mind_gap()
        lasting = self._book.lasting
        taken = self._inbox.take(BATCH_SIZE)
        found = Found()
        for item in taken.items:
            match item:
                case Up():
                    self._up(item)
                case Down():
                    self._down(item)
                case bytes():
                    self._meet(item, found)
        if taken.last is not None and taken.last is not self._seen:
            self._seen = taken.last
            host, raw = taken.last
            if (place := place_of(raw)) is not None:
                self._reach(host, place)
        self._catch_up()
        self._mind()
        return self._batch(found, lasting)

    def _batch(self, found: Found, lasting: Gap | None) -> Batch | None:
        """`lasting`: the gap that lasted when what was found came."""
        now = self._clock.monotonic()
        until = self._heard if self._is_up and self._book.lasting is None else None
        if until is not None and self._given is not None and until <= self._given:
            until = None
        every = TICK_SECONDS if self._incidents else CALM_TICK_SECONDS
        due = until is not None and now - self._ticked >= every
        gaps = {gap.id: gap for gap in self._book.take()}
        if lasting is not None and found.posts:
            # Told again, so that what was found of it is counted.
            gaps.setdefault(lasting.id, lasting)
        notices, reconnects, self._reconnects = self._notices.take(), tuple(self._reconnects), []
        if not (found or gaps or notices or reconnects or due):
            return None
        if until is not None:
            self._given, self._ticked = until, now
        return Batch(
            posts=tuple(found.posts),
            bad=tuple(found.bad),
            duplicates=found.doubles,
            until=until,
            cursor=str(self._memory),
            origin=Origin.GAP_FILL if lasting is not None and found.posts else None,
            fills=None if lasting is None else lasting.id,
            gaps=tuple(gaps.values()),
            notices=notices,
            reconnects=reconnects,
            deleted=tuple(dict.fromkeys(found.deleted)),
        )

    def _meet(self, raw: bytes, found: Found) -> None:
        """One message, in its order."""
        if (place := self._reading.take(raw, self._sieve, found)) is not None:
            self._reach(self._host, place)

    def _reach(self, host: str, place: Place) -> None:
        self._memory.place = place if host != self._memory.host else onward(self._memory.place, place)
        self._memory.host = host
        self._heard = min(instant_of(self._memory.place), self._steady.now() + AHEAD)

    # --- gaps ------------------------------------------------------------------------------------------------------

    def _up(self, up: Up) -> None:
        self._is_up, self._refusal, self._behind, self._host = True, None, None, up.host
        begins = instant_of(Place(None, up.begins))
        if up.adrift:
            begins = up.at
        if (up.cut or up.adrift) and self._heard is not None and self._heard < begins:
            # What lies before it the host does not give: that stays a gap.
            lasting = self._book.lasting
            if lasting is not None:
                self._book.end(begins)
                self._book.filled(lasting.id, self._heard, done=False)
                self._book.forget(lasting.id)
            elif (lost := self._book.between(self._heard, begins, Cause.TOO_OLD)) is not None:
                self._book.forget(lost.id)
            self._heard = begins

    def _down(self, down: Down) -> None:
        self._is_up = False
        self._cause = down.cause
        self._reconnects.append(down.cause)
        self._refusal = f"Bluesky refuses us: {down.why}" if down.cause in _KEPT_OUT else None

    def _mind_gap(self) -> None:
        now, heard = self._clock.now(), self._heard
        if heard is None:
            return
        if self._book.lasting is None and now - max(heard, self._been or heard) > LATE:
            here = Cause.QUEUE_FULL if len(self._inbox) else Cause.SILENCE
            self._book.begin(max(heard, self._given or heard), here if self._is_up else self._cause)
        if self._book.lasting is not None and self._is_up:
            self._mind_host(now - heard)

    def _mind_host(self, behind: timedelta) -> None:
        """A host that does not bring us nearer to now, minute by minute, is left for the next."""
        since, before = self._behind or (self._clock.monotonic(), behind)
        if self._behind is None:
            self._behind = since, before
        elif self._clock.monotonic() - since >= BEHIND_SECONDS:
            self._behind = None
            if before - behind < NEARER:
                self._stream.leave(Cause.BEHIND)

    def _catch_up(self) -> None:
        """Heard again up to now: the gap is over, and all of it was found."""
        heard = self._heard
        if heard is None or not self._is_up or self._clock.now() - heard > CAUGHT_UP:
            return
        self._cause = Cause.RESET
        again = [gap for gap in self._missed if gap.end is not None and gap.end <= heard]
        self._missed = tuple(gap for gap in self._missed if gap not in again)
        if (over := self._book.end(heard)) is not None:
            self._behind = None
            again.append(over)
        for gap in again:
            self._book.filled(gap.id, gap.end, done=True)

    def _mind(self) -> None:
        """Whether there is something that ops must know of."""
        gap = self._book.lasting
        longest = SILENT_AFTER if self._incidents else SILENT_IN_CALM
        if gap is None:
            self._notices.over(SILENT)
        elif self._clock.now() - gap.start > longest:
            self._notices.begin(SILENT, gap.start)
