"""LinkedIn: what people comment under the posts of the hospital's Page, and posts that mention it; polled.

    follow ──▶ what is due ──▶ Round (page by page, through `Poller`) ──▶ read ──▶ batches

A **round** asks for all notifications since shortly before the last round that went through. They are kept for 60 days,
so that nothing is lost by being late: a gap is the time in which rounds do not go through, and it ends, filled, with
the next that does. A comment is found up to `every` after it was written: until then the source is heard all the same,
and what comes is judged as late. In calm comments are counted and dropped; deletions are told in both.

Each call is one of the day's, which are counted on the bus (`DayQuota`): where they run short rounds come further
apart, and where none is left it is a gap until 00:00 UTC.
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import Gap, Origin, Post
from listener.model.spending import QuotaUse
from listener.sources.common.fields import Unusable
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.placing import Place, places, wanted_of
from listener.sources.common.polling import Ask, Outcome, Poller, answer_to
from listener.sources.common.quota import DayQuota
from listener.sources.common.waiting import first_batch
from listener.sources.contract import BadLine, Batch, Call, CatchUp, OfferedCounts
from listener.sources.linkedin.access import Access
from listener.sources.linkedin.api import ENDPOINT, REACH, Failure, Page, Trouble, ask, read
from listener.sources.linkedin.cursor import Memory
from listener.sources.linkedin.payload import Deleted, read_notification
from listener.sources.linkedin.rounds import Round
from listener.sources.linkedin.status import Status
from listener.units import format_instant

OVERLAP: Final = timedelta(minutes=10)
"""So much further back is asked than was heard: nobody says how late a notification may come."""
LATE: Final = timedelta(seconds=10)
"""For so long may nobody have run without a gap."""
GRACE: Final = timedelta(seconds=60)
TICK_SECONDS: Final = 1.0
CALM_TICK_SECONDS: Final = 20.0
BATCH_SIZE: Final = 500
RESERVE: Final = 20
"""Calls of a day that are left for a switch."""
FIRST_SECONDS: Final = 10.0
LONGEST_SECONDS: Final = 300.0
REFUSED_SECONDS: Final = 3600.0
"""Between two calls where only a person can help."""
LIMITED_SECONDS: Final = 1800.0
KEY_SECONDS: Final = 1.0
KNOWN: Final = 20_000
_PERSON: Final = frozenset({Trouble.UNAUTHORIZED, Trouble.FORBIDDEN, Trouble.VERSION, Trouble.REFUSED})


class LinkedInSource:
    """One organisation's Page. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.RESCAN
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        name: str = "linkedin",
        every: timedelta = timedelta(minutes=5),
        in_calm: timedelta = timedelta(hours=1),
        calls: int = 500,
        chance: Callable[[], float] = random.random,
        answer: Callable[[Ask], Outcome] = answer_to,
    ) -> None:
        """`calls`: that may be made a day. `answer`: what answers a request, in another thread."""
        self.name = name
        self._access = access
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._every_crisis, self._every_calm = every, in_calm
        self._chance = chance
        self._bell = threading.Event()
        self._poller = Poller(name, self._bell.set, answer)
        self._quota = DayQuota(name, calls, "UTC", clock.now())
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._book = GapBook(self.name)
        self._incidents: dict[str, Incident] = {}
        self._over: tuple[Incident, ...] = ()
        self._looked: dict[str, object] = {}
        self._again: set[str] = set()
        self._followed = self._whole = False
        self._round: Round | None = None
        self._ready: deque[Batch] = deque()
        self._known: dict[str, None] = {}
        """Numbers of notifications that were given."""
        self._calls: Counter[Call] = Counter()
        self._told: QuotaUse | None = None
        self._arrived: datetime | None = None
        self._given: datetime | None = None
        self._began = self._key_seen = self._ticked = float("-inf")
        self._wait, self._failures, self._hurried = 0.0, 0, True
        self._cause = Cause.UNREACHABLE
        self._lenient = self._clock.now()
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._status = Status(memory.notices)

    # --- the contract ------------------------------------------------------------------------------------------------

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        # Of those that are over only what was lost for want of room may still be found: all is read again.
        lasts = [g for g in gaps if g.end is None or (g.cause == Cause.BUS_AWAY and not is_whole(g))]
        self._book.recall(gap for gap in lasts if gap.cause != Cause.DISK_FULL)

    def learn_quota(self, use: QuotaUse | None) -> None:
        self._quota.recall(use, self._clock.now())
        self._told = self._quota.use

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        now = self._clock.now()
        self._lenient = now
        if self._memory.alive is not None and now - self._memory.alive > LATE:
            self._book.begin(self._memory.alive, Cause.PROCESS_DOWN)
        heard = self._memory.heard
        if heard is not None and heard < now - REACH:
            if (lost := self._book.between(heard, now - REACH, Cause.TOO_OLD)) is not None:
                self._book.forget(lost.id)
            self._memory.heard = now - REACH
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        before, self._incidents = self._incidents, real
        self._over = tuple(incident for incident in over if not incident.synthetic and incident.closed_at is not None)
        wanted = {id_: wanted_of(incident) for id_, incident in real.items()}
        self._again = {id_ for id_, what in wanted.items() if self._looked.get(id_) != what} | (
            self._again & real.keys()
        )
        self._looked = dict(wanted)
        if not self._followed or real.keys() != before.keys() or self._again:
            # Whatever was said until now is heard for those that were open until now. And somebody acts: perhaps they
            # have just set right what failed.
            self._hurried, self._lenient = True, self._clock.now()
        self._followed = True

    def tend(self) -> None:
        now = self._clock.monotonic()
        if now - self._key_seen >= KEY_SECONDS:
            self._key_seen = now
            if self._access.key.reread():
                self._hurried = True

    def read(self, timeout: float) -> Batch | None:
        batch = first_batch(self._look, timeout, self._clock, self._bell, lambda: self._leaving)
        if batch is not None:
            self.counts.add(batch)
        return batch

    def _look(self) -> Batch | None:
        self.tend()
        return self._next() if self._followed else None

    def state(self) -> Mapping[str, Any]:
        gap, refused = self._book.lasting, self._status.problem
        listens = "listening" if self._incidents else "counting"
        word = "idle" if self._leaving else listens if self._whole and gap is None else "connecting"
        state: dict[str, Any] = {
            "state": "stopped" if refused and not self._leaving else word,
            "heard": None if self._arrived is None else format_instant(self._arrived),
            "every": self._every.total_seconds(),
            "queue": sum(len(batch.posts) for batch in tuple(self._ready)),
            "quota": dict(self._quota.shown()),
            "reach": REACH.total_seconds(),
        }
        if not self._incidents and self._given is not None:
            state["counted"] = format_instant(self._given)
        if gap is not None:
            state |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if problem := refused or self._access.key.fault:
            state["problem"] = problem
        return state

    def close(self) -> None:
        """Let go of the thread; what is under way is left to itself."""
        self._leaving = True
        self._poller.stop()
        self._round = None
        self._bell.set()

    # --- asking ------------------------------------------------------------------------------------------------------

    @property
    def _every(self) -> timedelta:
        return self._every_crisis if self._incidents else self._every_calm

    def _next(self) -> Batch | None:
        self._turn()
        return self._ready.popleft() if self._ready else self._tick()

    def _turn(self) -> None:
        outcome = self._poller.take()
        now = self._clock.now()
        if outcome is not None and self._round is not None:
            found = read(outcome)
            if isinstance(found, Failure) and not found.sent:
                self._fail(found)
            else:
                self._pay(now, answered=isinstance(found, Page))
                if isinstance(found, Failure):
                    self._fail(found)
                elif self._round.take(found):
                    self._ask()
                else:
                    self._end(self._round)
        if self._round is None and not self._poller.busy and self._is_due():
            self._begin(now)
        self._mind_gap(self._clock.now())

    def _is_due(self) -> bool:
        now = self._clock.now()
        if self._quota.left(now) < 1:
            return False
        pace = 0.0 if self._hurried else self._quota.pace(1.0, now, reserve=RESERVE)
        passed = self._clock.monotonic() - self._began
        return self._hurried or passed >= max(self._wait or self._every.total_seconds(), pace)

    def _begin(self, now: datetime) -> None:
        self._hurried, self._began = False, self._clock.monotonic()
        heard = self._memory.heard or now
        since = [heard, *(self._incidents[id_].opened_at for id_ in self._again)]
        since += [
            self._incidents[id_].opened_at - timedelta(seconds=self._incidents[id_].lookback) for id_ in self._again
        ]
        back = max(min(since) - OVERLAP, now - REACH)
        self._round = Round(back, now + OVERLAP, frozenset(self._again))
        self._again = set()
        self._ask()

    def _ask(self) -> None:
        its = self._round
        if its is None:
            return
        if self._quota.left(self._clock.now()) < 1:
            self._fail(Failure(Trouble.LIMITED, Cause.RATE_LIMITED, sent=False))
            return
        self._poller.ask(ask(self._access, its.since, its.until, its.start))

    def _pay(self, now: datetime, *, answered: bool) -> None:
        self._quota.spend(ENDPOINT, 1, now)
        self._calls[Call(ENDPOINT, answered)] += 1
        self._arrived = now

    def _fail(self, failure: Failure) -> None:
        """A round is begun anew, from its first page; what it was to look at once more still is."""
        now = self._clock.now()
        if self._round is not None:
            self._again |= self._round.again & self._incidents.keys()
        self._round = None
        self._cause = failure.cause
        self._failures += 1
        spread = 1 + 0.2 * self._chance()
        self._wait = min(FIRST_SECONDS * 2.0 ** min(self._failures - 1, 20), LONGEST_SECONDS) * spread
        if failure.trouble in _PERSON:
            self._wait = REFUSED_SECONDS * spread
        elif failure.trouble is Trouble.LIMITED and self._quota.is_settled(now):
            self._quota.exhaust(now)
        elif failure.trouble is Trouble.LIMITED:
            self._wait = LIMITED_SECONDS * spread
        self._status.answered(failure, now)

    # --- what came ---------------------------------------------------------------------------------------------------

    def _end(self, its: Round) -> None:
        """All of it is there."""
        now = self._clock.now()
        self._round, self._failures, self._wait, self._cause = None, 0, 0.0, Cause.UNREACHABLE
        self._status.answered(None, now)
        began = its.until - OVERLAP
        heard = self._memory.heard
        lasting, first = self._book.lasting, not self._whole
        live = None if lasting is None else Origin.GAP_FILL
        late = [i for i in self._over if i.closed_at is not None and i.closed_at >= (heard or began)]
        posts, deleted, bad, doubles = self._read(its)
        found: dict[Place, list[Post]] = {}
        for number, post in posts:
            known = number in self._known
            # Of what came before a restart the number is not known any more: then its time tells.
            is_new = not known and (heard is not None and (post.at >= heard or not first))
            fresh = is_new or (first and not known)
            for place in places(
                post.at, post.at, self._incidents, fresh=fresh, again=its.again, late=late, live=live, slack=LATE
            ):
                found.setdefault(place, []).append(post)
            if not self._incidents and is_new:
                found.setdefault((None, None), []).append(post)
            self._known[number] = None
        while len(self._known) > KNOWN:
            del self._known[next(iter(self._known))]
        self._memory.heard, self._whole = began, True
        over = self._book.end(began)
        for gap in self._book.unfilled:
            self._book.filled(gap.id, gap.end, done=True)
        if deleted or bad or doubles:
            self._ready.append(Batch(cursor=str(self._memory), deleted=deleted, bad=bad, duplicates=doubles))
        for (incident, origin), its_posts in found.items():
            fills = over.id if over is not None and origin is Origin.GAP_FILL and incident is None else None
            for start in range(0, len(its_posts), BATCH_SIZE):
                self._ready.append(self._made(its_posts[start : start + BATCH_SIZE], origin, incident, fills))

    def _read(self, its: Round) -> tuple[list[tuple[str, Post]], tuple[str, ...], tuple[BadLine, ...], int]:
        """Posts in the order of their times, what is deleted, what is none, and how much came twice."""
        latest = self._steady.now()
        posts: dict[str, Post] = {}
        deleted: set[str] = set()
        told: dict[str, None] = {}
        bad: list[BadLine] = []
        doubles = 0
        for raw in its.elements:
            try:
                number, found = read_notification(raw, self.name, self._access.organization, latest)
            except Unusable as refused:
                written = json.dumps(raw, ensure_ascii=False, sort_keys=True).encode("utf-8", "replace")
                unread = BadLine.of(refused.reason, f"{self.name}:notification", written)
                if unread.digest not in self._known:
                    bad.append(unread)
                    self._known[unread.digest] = None
                continue
            if isinstance(found, Deleted):
                deleted.add(found.id)
                if number not in self._known:
                    told[found.id] = None
                    self._known[number] = None
            elif number in posts:
                doubles += 1
            else:
                posts[number] = found
        # What was deleted is never given, whatever came before or after its deletion in the answer.
        kept = [(number, post) for number, post in posts.items() if post.id not in deleted]
        doubles += len(posts) - len(kept)
        return sorted(kept, key=lambda each: each[1].at), tuple(told), tuple(bad), doubles

    def _made(self, posts: Sequence[Post], origin: Origin | None, incident: str | None, fills: str | None) -> Batch:
        gaps = {gap.id: gap for gap in self._book.take()}
        if fills is not None and fills not in gaps and (gap := self._book.whole(fills)) is not None:
            gaps[fills] = gap  # told with what was found of it, which is counted
        return Batch(
            posts=tuple(posts), cursor=str(self._memory), origin=origin, incident=incident, fills=fills,
            gaps=tuple(gaps.values()),
        )  # fmt: skip

    def _mind_gap(self, now: datetime) -> None:
        heard = self._memory.heard
        if heard is None:
            # Nothing was heard before: from now on it is to be.
            heard = self._memory.heard = min([now, *(i.opened_at for i in self._incidents.values())])
        # Where the day's calls run short rounds come further apart than they should.
        short = self._failures == 0 and self._quota.pace(1.0, now, reserve=RESERVE) > self._every.total_seconds()
        cause = Cause.RATE_LIMITED if short or self._quota.left(now) < 1 else self._cause
        if self._book.lasting is None and now - max(heard, self._lenient) > self._every + GRACE:
            self._book.begin(heard, cause)
        lasting = self._book.lasting
        since = None if lasting is None else lasting.start
        self._status.mind(self._access, since, now, crisis=bool(self._incidents))

    def _tick(self) -> Batch | None:
        """How far it is heard, now and then; gaps, notices and the account at once."""
        now = self._clock.monotonic()
        due = now - self._ticked >= (TICK_SECONDS if self._incidents else CALM_TICK_SECONDS)
        until = self._steady.now() if self._whole and due and self._book.lasting is None else None
        gaps, notices, calls = self._book.take(), self._status.take(), dict(self._calls)
        quota = self._quota.use if self._quota.use != self._told else None
        if until is None and not gaps and not notices and quota is None:
            return None
        self._calls.clear()
        if quota is not None:
            self._told = quota
        if until is not None:
            self._ticked, self._given, self._memory.alive = now, until, until
        return Batch(
            until=until, cursor=str(self._memory), gaps=gaps, notices=notices, calls=calls, quota=quota,
        )  # fmt: skip
