"""The hospital's Page on Facebook: what people write there is told by calls, and asked for beside them.

    webhook ──▶ Mailbox ──▶ changes ─┐
                                     ├──▶ Known ──▶ batches ──▶ (durable) ──▶ the call is answered
    Asking ──▶ rounds ──▶ findings ──┘

A call comes within seconds, and now and then not at all; so the Page is asked for what is there, and what only an
answer told of is marked as heard late. A **gap** is the time in which the Page could not be asked: it begins with the
last round that came to its end, and ends, filled, with the next full one, which reads every post's comments back to its
beginning. What is deleted is told by calls, which Facebook repeats for 36 hours where they were not answered well; of
what was told of late, and once a day of all that lies on the bus, it is asked whether it is there yet.

In calm everything is given to be counted, and dropped (`listener.ingest.capture`).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock, SteadyClock
from listener.model.gaps import Cause, is_whole
from listener.model.incidents import Incident
from listener.model.records import Gap
from listener.sources.common.gap_tracker import GapBook
from listener.sources.common.graph.answers import CAUSES, Outcome
from listener.sources.common.graph.client import GraphClient
from listener.sources.common.notices import NoticeBook
from listener.sources.common.waiting import first_batch
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.facebook.asking import Asking, Done, Refused
from listener.sources.facebook.cursor import Memory
from listener.sources.facebook.hearing import Hearing, batches_of
from listener.units import format_instant
from listener.webhooks.webhook import Guard, Webhook

TICK_SECONDS: Final = 1.0
CALM_TICK_SECONDS: Final = 20.0
LATE: Final = timedelta(seconds=10)
"""So far behind may we be without a gap: as late as a post may be."""
CALLED_WITHIN: Final = timedelta(seconds=2)
"""A call comes so soon after what it tells of."""
GRACE: Final = timedelta(seconds=45)
"""So much later than a round was due may it come to its end without a gap."""
BEFORE: Final = timedelta(minutes=2)
"""So much further back than a gap began is read: a comment can be there later than its time says."""
SILENT_AFTER: Final = timedelta(minutes=2)
SILENT_IN_CALM: Final = timedelta(hours=3)
"""So long may a gap last before ops are alerted."""
VERIFY_EVERY: Final = timedelta(days=1)
VERIFY_MOST: Final = 100
"""Ids to be verified that are kept over a restart; of all that is held it is asked once a day."""
UNCALLED: Final = 3
"""So many that only answers told of prove that no call comes."""

SILENT: Final = "source_silent"
NOT_CALLED: Final = "webhook_silent"
_NOTICES: Final = {
    Outcome.UNAUTHORIZED: "source_unauthorized",
    Outcome.FORBIDDEN: "source_forbidden",
    Outcome.STOPPED: "source_refused",
}


class FacebookSource:
    """One Page. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    catch_up_deletes = CatchUp.RESCAN
    hears_in_calm = True
    only_exercise = False

    def __init__(
        self,
        page: str,
        client: GraphClient,
        clock: Clock,
        *,
        name: str = "facebook",
        guard: Guard | None = None,
        handle: str | None = None,
        lists: Sequence[str] = ("published_posts", "feed"),
        every: timedelta = timedelta(seconds=30),
        calm_every: timedelta = timedelta(hours=1),
        posts_for: timedelta = timedelta(days=14),
    ) -> None:
        """`guard`: by which calls are known to be Facebook's; None: it calls nobody, and what is said is asked for."""
        self.name = name
        self._page = page
        self._client = client
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._every, self._calm_every, self._handle = every, calm_every, handle
        self._bell = threading.Event()
        self.webhook = Webhook(name, guard, self._bell) if guard is not None else None
        self._asking = Asking(
            page, client, clock, self._bell.set, lists=lists, every=every, calm_every=calm_every, posts_for=posts_for,
            is_known=lambda id_: id_ in self._hearing.known,
        )  # fmt: skip
        self._leaving = True
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._hearing = Hearing(self.name, self._page, self._handle, self._steady)
        self._asking.reset()
        self._book = GapBook(self.name)
        self._missed: tuple[Gap, ...] = ()
        self._incidents: dict[str, Incident] = {}
        self._followed = False
        self._queue: deque[Batch] = deque()
        self._given_out = False
        self._fine = True
        self._sure: datetime | None = None
        """When the last round began that came to its end: all of before is known."""
        self._looked = False
        """A round came to its end since we were opened: what stands below which post is known."""
        self._cause = Cause.PROCESS_DOWN
        self._refusal: str | None = None
        self._ticked = float("-inf")
        self._reconnects: list[str] = []
        self._prepare(Memory())

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._notices = NoticeBook(memory.notices)
        self._given = memory.heard
        self._sure = memory.heard
        self._cursor = str(memory)

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        known = [gap for gap in gaps if gap.cause != Cause.DISK_FULL]
        self._book.recall(known)
        self._missed = tuple(gap for gap in known if gap.end is not None and not is_whole(gap))

    def learn_held(self, ids: Iterable[str]) -> None:
        self._hearing.known.learn_held(id_.partition("@")[0] for id_ in ids)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._client.reopen()
        if self._memory.shut is not None:
            self._client.shut(self._memory.shut)
        self._asking.verify(self._memory.verify)
        if self.webhook is not None:
            self.webhook.mailbox.open()
        self._leaving = False

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        before, real = self._incidents, {i.id: i for i in incidents if not i.synthetic}
        new = [i for i in real.values() if i != before.get(i.id)]
        self._incidents = real
        self._asking.follow(bool(real))
        if not self._followed:
            self._followed = True
            self._begin()
        if new:
            self._look_back(new, before)
        self._hearing.follow(real.values())

    def tend(self) -> None:
        """What is called waits in the mailbox, and nobody is kept waiting by what is asked."""

    def read(self, timeout: float) -> Batch | None:
        if self._given_out:
            # Nobody said what became of what was given last: it may be nowhere.
            self.settle(False)
        batch = first_batch(self._look, timeout, self._clock, self._bell, lambda: self._leaving)
        if batch is not None:
            self.counts.add(batch)
            self._given_out = True
        return batch

    def _look(self) -> Batch | None:
        if self._followed and not self._queue:
            self._turn()
        return self._queue.popleft() if self._queue else None

    def settle(self, durable: bool) -> None:
        self._given_out = False
        self._fine = self._fine and durable
        if not durable:
            self._hearing.known.forget_given()
        if not self._queue:
            if self.webhook is not None:
                self.webhook.mailbox.settle(self._fine)
            self._fine = True

    def state(self) -> Mapping[str, Any]:
        gap = self._book.lasting
        listens = "listening" if self._incidents else "counting"
        word = (
            "idle" if self._leaving or not self._followed else listens if gap is None and self._looked else "connecting"
        )
        heard = max((at for at in (self._asking.heard, self._hearing.called) if at is not None), default=None)
        state: dict[str, Any] = {
            "state": "stopped" if self._refusal is not None else word,
            "connected": gap is None and not self._leaving,
            "heard": None if heard is None else format_instant(heard),
            "every": self._interval.total_seconds(),
            "queue": 0 if self.webhook is None else len(self.webhook.mailbox),
            "called": None if self._hearing.called is None else format_instant(self._hearing.called),
            "uncalled": self._hearing.uncalled,
        }
        if self._memory.heard is not None and not self._incidents:
            state["counted"] = format_instant(self._memory.heard)
        if gap is not None:
            state |= {"gap": gap.cause, "gap_since": format_instant(gap.start)}
        if (until := self._client.shut_until) is not None:
            state["waits_until"] = format_instant(until)
        if self._refusal is not None:
            state["problem"] = self._refusal
        return state

    def close(self) -> None:
        """Whoever calls is to call again, and whoever is asked need not answer; in less than a second."""
        self._leaving = True
        if self.webhook is not None:
            self.webhook.mailbox.close()
        self._client.close()
        self._asking.stop()
        self._bell.set()

    # --- where we are ----------------------------------------------------------------------------------------------

    @property
    def _interval(self) -> timedelta:
        return self._every if self._incidents else self._calm_every

    def _begin(self) -> None:
        """Go on where the bus has us. Where it has nothing, everything since an incident was opened is to be had."""
        now = self._clock.now()
        heard = self._memory.heard
        if heard is None:
            heard = min((i.opened_at for i in self._incidents.values()), default=now)
        self._memory.heard = max(heard, self._memory.heard or heard)
        self._sure = heard
        if self._book.lasting is None and now - heard > LATE:
            self._book.begin(heard, Cause.PROCESS_DOWN)
        lasting = self._book.lasting
        # In calm nothing is to be counted twice: what lies on the bus is known by its id, what was counted is not.
        before = BEFORE if self._incidents else timedelta()
        starts = [gap.start - before for gap in (*self._missed, lasting) if gap is not None]
        self._hearing.floor = min([heard, *starts])
        self._asking.read_back(self._hearing.floor)

    def _look_back(self, new: Sequence[Incident], before: Mapping[str, Incident]) -> None:
        """What was passed over since an incident was opened is read again, and what was said before it."""
        starts = [i.opened_at for i in new if i.id not in before]
        for incident in new:
            since = incident.opened_at - timedelta(seconds=incident.lookback)
            done = self._memory.back.get(incident.id)
            if incident.id in before and incident.tracks != before[incident.id].tracks:
                # Its tracks grew: what they would have found is looked for once more.
                starts.append(incident.opened_at)
                done = None
            if done is None or since < done:
                self._hearing.look_back(incident, since)
                starts.append(since)
        if starts:
            self._hearing.again(min((i.opened_at for i in new), default=self._clock.now()))
            self._asking.read_back(min(starts))

    # --- a turn ----------------------------------------------------------------------------------------------------

    def _turn(self) -> None:
        """All that came, made into batches; the last of them has what the turn found out of ourselves."""
        lasting = self._book.lasting
        if self.webhook is not None:
            self._hearing.take_calls(self.webhook.mailbox, self._asking)
        came = self._asking.turn(self._hearing.floor)
        self._hearing.take_findings(self._asking, is_called=self.webhook is not None, in_gap=lasting is not None)
        if isinstance(came, Done):
            self._round_ended(came)
        elif isinstance(came, Refused):
            self._round_failed(came)
        self._mind_gap()
        self._mind()
        self._mind_held()
        self._give(lasting)

    def _round_ended(self, done: Done) -> None:
        if done.posts == 0 and self._memory.posts:
            # Never is a list empty that was not: a token that may read nothing is answered so.
            self._asking.distrust()
            self._stop(Outcome.UNAUTHORIZED, "lists are empty that had posts: the token is of a wrong kind")
            return
        self._memory.posts, self._looked = self._memory.posts or done.posts > 0, True
        self._refusal = None
        self._notices.over(*_NOTICES.values())
        before, self._sure = self._sure, max(done.at, self._sure or done.at)
        self._cause = Cause.SILENCE
        self._hearing.find_gone(done.gone)
        if done.full:
            self._hearing.looked_back(self._memory.back, done.until)
            self._fill(done)
        elif not done.whole:
            self._asking.read_back((before or done.at) - BEFORE, soon=False)
        elif self._book.lasting is not None:
            # It lasts until all of it was read.
            self._asking.read_back(self._book.lasting.start - BEFORE)

    def _fill(self, done: Done) -> None:
        """A full round came to its end: what lasted is over, and what it reached back to is found."""
        over = [gap for gap in self._missed if gap.end is not None and gap.end <= done.at]
        if self._book.lasting is not None and self._book.lasting.start >= done.until:
            ended = self._book.end(done.at)
            over += [ended] if ended is not None else []
        elif self._book.lasting is not None:
            self._asking.read_back(self._book.lasting.start - BEFORE)
        for gap in over:
            if done.whole and gap.start >= done.until:
                self._book.filled(gap.id, gap.end, done=True)
            else:
                self._book.forget(gap.id)
        self._missed = tuple(gap for gap in self._missed if gap not in over)
        if self._book.lasting is None:
            self._memory.heard = max(self._memory.heard or done.at, done.at)

    def _round_failed(self, refused: Refused) -> None:
        self._reconnects.append(Cause.UNAUTHORIZED if refused.deaf else refused.answer.cause)
        self._cause = refused.answer.cause
        if refused.needs_person:
            why = "it answers for another than the Page" if refused.deaf else refused.answer.why
            self._stop(refused.outcome, why)
        elif refused.outcome is Outcome.RATE_LIMITED:
            self._start_gap(Cause.RATE_LIMITED)
        # What it found so far is known, and must not keep a later round from what lies behind it.
        sure = self._sure or self._clock.now()
        start = sure if self._book.lasting is None else min(sure, self._book.lasting.start)
        self._asking.read_back(start - BEFORE, soon=False)

    def _stop(self, outcome: Outcome, why: str) -> None:
        self._refusal = f"Facebook refuses us: {why}"
        self._start_gap(CAUSES[outcome])
        self._notices.begin(_NOTICES[outcome], self._clock.now())
        if self._book.lasting is not None:
            self._asking.read_back(self._book.lasting.start - BEFORE, soon=False)

    def _start_gap(self, cause: Cause) -> None:
        lasting = self._book.lasting
        self._book.begin((self._sure or self._clock.now()) if lasting is None else lasting.start, cause)

    def _mind_gap(self) -> None:
        if self._book.lasting is None and self._sure is not None:
            every = self._interval
            if self._clock.now() - self._sure > every + max(GRACE, every / 2):
                self._start_gap(self._cause)
                self._asking.read_back(self._sure - BEFORE, soon=False)

    def _mind(self) -> None:
        """Whether there is something that ops must know of."""
        gap = self._book.lasting
        if gap is None:
            self._notices.over(SILENT)
        elif self._clock.now() - gap.start > (SILENT_AFTER if self._incidents else SILENT_IN_CALM):
            self._notices.begin(SILENT, gap.start)
        if self.webhook is not None:
            if self._hearing.uncalled >= UNCALLED:
                self._notices.begin(NOT_CALLED, self._clock.now())
            elif self._hearing.uncalled == 0:
                self._notices.over(NOT_CALLED)

    def _mind_held(self) -> None:
        """Once a day it is asked of all that lies on the bus whether it is there yet: a deletion may not be told."""
        now = self._clock.now()
        if self._memory.verified is None:
            self._memory.verified = now
        elif now - self._memory.verified > VERIFY_EVERY and not self._asking.to_verify:
            self._asking.verify(self._hearing.known.held)
            self._memory.verified = now

    # --- what is given ---------------------------------------------------------------------------------------------

    def _until(self) -> datetime | None:
        """Up to when all was heard; None while that cannot be said."""
        if self._book.lasting is not None or self._sure is None or not self._looked:
            return None
        until = self._sure if self.webhook is None else self._steady.now() - CALLED_WITHIN
        until = max(until, self._memory.heard or until)
        return until if self._given is None or until > self._given else None

    def _give(self, lasting: Gap | None) -> None:
        now = self._clock.monotonic()
        until = self._until()
        due = until is not None and now - self._ticked >= (TICK_SECONDS if self._incidents else CALM_TICK_SECONDS)
        gaps = {gap.id: gap for gap in self._book.take()}
        found = self._hearing.take()
        if lasting is not None and found:
            # Told again, so that what was found of it is counted.
            gaps.setdefault(lasting.id, lasting)
        notices, reconnects, self._reconnects = self._notices.take(), tuple(self._reconnects), []
        told_wait = self._client.take_told_wait()
        if not (found or gaps or notices or reconnects or due or told_wait):
            if self.webhook is not None:
                # Called about nothing that anybody said.
                self.webhook.mailbox.settle(True)
            return
        if until is not None:
            self._memory.heard = self._given = until
            self._ticked = now
        self._memory.shut, self._memory.verify = self._client.shut_until, self._asking.to_verify[:VERIFY_MOST]
        before, self._cursor = self._cursor, str(self._memory)
        last = Batch(
            until=until, cursor=self._cursor, gaps=tuple(gaps.values()), notices=notices, reconnects=reconnects
        )
        self._queue.extend(batches_of(found, before, last, None if lasting is None else lasting.id))
