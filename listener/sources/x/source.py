"""X, heard without gaps: the filtered stream while an incident is open, and search for what the stream could not give.

    follow ──▶ RuleKeeper (rules at X) ──▶ Stream ──▶ Intake ──▶ read ──▶ batches
                                                      Searcher ──▶ read     (gaps and lookbacks, in the background)

Three threads talk to X: one keeps the rules, one reads the stream, one searches. None of them knows more than its own
task; what they say comes together in `read`, in the one thread that this source belongs to. There every moment is
either *heard* (bytes flow, and X has confirmed our rules) or part of a gap that begins with the last byte before it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.model.incidents import Incident
from listener.model.records import Gap, Volume
from listener.settings.prices import DEFAULT, Tariff
from listener.sources.common.buffer import MAX_LINES, Down, Item, Line, Lost, ReceiveBuffer, Unreadable, Up
from listener.sources.common.gap_tracker import BEFORE, GapBook
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.sources.x.access import Access
from listener.sources.x.backfill import Refill
from listener.sources.x.client import DENIED, REST_SECONDS, Api, Trouble
from listener.sources.x.counter import EVERY, Counter
from listener.sources.x.counts import Burst, is_burst
from listener.sources.x.cursor import Memory
from listener.sources.x.deletion_check import DeletionCheck
from listener.sources.x.reading import Read, read_broken, read_line
from listener.sources.x.refusals import REFUSALS, Part, Refusal, Refusals
from listener.sources.x.rule_sync import Confirmed, Failed, RuleResult, RuleSync, Wanted
from listener.sources.x.search import REACH, Searcher
from listener.sources.x.status import REFUSED, SILENT, SPENT, Notices, shown
from listener.sources.x.storage import Storage
from listener.sources.x.stream import SILENCE, TICK_SECONDS, ConnectionState, Stream

BATCH_SIZE: Final = 1000
"""Items of the stream in one batch."""
KEY_SECONDS: Final = 1.0
"""So often is it looked whether the token's file has changed."""


class XSource:
    """One connection to X's filtered stream. Belongs to one thread; `close` may be called from any."""

    catch_up = CatchUp.RESCAN
    only_exercise = False

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        name: str = "x",
        reposts: bool = True,
        tariff: Tariff = DEFAULT,
        count_every: timedelta = EVERY,
        burst: Burst = is_burst,
        chance: Callable[[], float] = random.random,
        rest_seconds: float = REST_SECONDS,
        silence: float = SILENCE,
        by_lookup: bool = False,
        most_lines: int = MAX_LINES,
    ) -> None:
        self.name = name
        self.tariff = tariff
        self._clock = clock
        self._reposts = reposts
        self._buffer = ReceiveBuffer(most_lines)
        api = Api(access, rest_seconds)
        self._call_meter, self._key, self._asked = api.call_meter, api.key, api.asked
        self._key_seen = clock.monotonic()
        self._stream = Stream(access, api, self._buffer, clock, chance, silence=silence)
        self._rule_results: deque[RuleResult] = deque()
        self._rule_sync = RuleSync(api, clock, chance, self._rules_answered)
        self._searcher = Searcher(api, clock, self._buffer.bell.set)
        self._counter = Counter(
            api, clock, chance, self._buffer.bell.set, source=name, every=count_every, reposts=reposts, burst=burst
        )
        storage = Storage(access.base_url)
        self._deletions = DeletionCheck(api, storage, clock, chance, self._buffer.bell.set, by_lookup=by_lookup)
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._book = GapBook(self.name)
        self._incidents: dict[str, Incident] = {}
        self._wanted = Wanted(0, ())
        self._followed = False
        self._confirmed: Confirmed | None = None
        self._confirmed_at: datetime | None = None
        self._connection = ConnectionState(self._buffer)
        self._leaving = False
        self._refusals = Refusals()
        self._call_meter.shut = False
        self._patient_from: datetime | None = None
        self._prepare(Memory())
        self._reconnects: list[str] = []
        self._search_turn = False

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        self._counter.reset()
        self._book.recall(gap for gap in gaps if gap.cause != Cause.DISK_FULL)

    def learn_counts(self, volumes: Iterable[Volume]) -> None:
        self._counter.learn(volumes)

    def ask_about(self, held: Callable[[], Iterable[str]]) -> None:
        self._deletions.ask_about(held)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._connection = ConnectionState(self._buffer, self._memory.heard)
        self._deletions.start(self._memory)

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._notices = Notices(memory)
        self._refill = Refill(self.name, self._searcher, self._book, memory, reposts=self._reposts)

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        tracks = tuple(sorted({t for i in real.values() for t in (*i.tracks, *standing)})) if real else ()
        self._counter.follow(standing, crisis=bool(real))
        if self._followed and tracks == self._wanted.tracks and _looked_back(real) == _looked_back(self._incidents):
            return
        before, first = self._incidents, not self._followed
        grew = bool(set(tracks) - set(self._wanted.tracks))
        self._incidents, self._followed = real, True
        if first or tracks != self._wanted.tracks:
            self._wanted = Wanted(self._wanted.version + 1, tracks, self._reposts)
            self._rule_sync.want(self._wanted)
        self._refill.follow(real, [incident for incident in over if not incident.synthetic], standing)
        if first:
            self._refill.resume()
        if not real:
            self._fall_calm()
        elif not first and (grew or not before):
            new = [i.opened_at for key, i in real.items() if key not in before]
            # A change bears no time of its own here; the next one to hear of it came a second later at most.
            self._deaf(min([*new, self._clock.now() - timedelta(seconds=1)]), Cause.RULES_UNCONFIRMED)
        if grew:
            self._confirmed = None
        if self._refusals:
            # Somebody acts: perhaps they have just set right what X refused.
            self._retry()

    def halt(self, halted: bool) -> None:
        now = self._clock.now()
        self._call_meter.shut = halted
        self._book.because = Cause.BUDGET_CEILING if halted else None
        if halted:
            heard = self._connection.down()
            if self._incidents:
                # Whatever made us deaf until now, from now on it is the money.
                self._refill.fill(self._book.end(now))
                self._deaf(heard or now, Cause.BUDGET_CEILING)
            self._stream.stop()
            self._refusals.over(Part.STREAM)
            return
        self._patient_from = now
        self._searcher.retry()
        self._counter.retry()
        if self._confirmed is not None and self._confirmed.rules:
            self._start_stream()

    def tend(self) -> None:
        self._stream.watch()
        if self._clock.monotonic() - self._key_seen >= KEY_SECONDS:
            self._key_seen = self._clock.monotonic()
            if self._key.reread():
                self._retry()
        while self._rule_results:
            self._take_rules(self._rule_results.popleft())

    def read(self, timeout: float) -> Batch | None:
        deadline = self._clock.monotonic() + timeout
        while not self._leaving:
            self.tend()
            batch = self._turn()
            if batch is not None:
                self.counts.add(batch)
                return batch
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return None
            if self._clock.wait(min(left, TICK_SECONDS / 4), self._buffer.bell):
                self._buffer.bell.clear()
        return None

    def state(self) -> Mapping[str, Any]:
        """With what it may cost and how far it can look back: whoever switches asks the running listener for both."""
        return {**self._state(), "caps": self.tariff.budget.model_dump(), "reach": REACH.total_seconds()}

    def _state(self) -> Mapping[str, Any]:
        return shown(
            crisis=bool(self._incidents),
            up_at=None if self._leaving else self._connection.up_at,
            heard=self._buffer.heard,
            queue=len(self._buffer),
            unfilled=len(self._book.unfilled),
            looking_back=self._refill.looking_back(),
            rules=self._confirmed,
            gap=self._book.lasting,
            problem=self._problem(),
            stopped=self._call_meter.shut or self._is_kept_out(),
            counter=self._counter,
            dropped=self._asked.dropped,
            deletions=self._deletions,
        )

    def close(self) -> None:
        """Close the socket and let go of all threads, in less than a second."""
        self._leaving = True
        self._rule_sync.stop()
        self._searcher.stop()
        self._counter.stop()
        self._deletions.stop()
        self._stream.stop()
        self._buffer.clear()
        self._rule_results.clear()
        self._buffer.bell.set()

    # --- what is heard -------------------------------------------------------------------------------------------

    def _turn(self) -> Batch | None:
        """What there is to give now, the stream and search in turn; counts can wait for both."""
        self._mind_counts()
        self._search_turn = not self._search_turn
        found = (self._search_turn and self._refill.take()) or self._live() or self._counter.take(self._memory)
        return found or self._deletions.take()

    def _live(self) -> Batch | None:
        items, heard = self._buffer.take(BATCH_SIZE)
        read = Read()
        for item in items:
            self._meet(item, read)
        self._connection.reaches(heard)
        self._hear_again()
        self._mind()
        until = self._connection.until(heard) if self._connection.flowing and self._book.lasting is None else None
        now = self._clock.monotonic()
        due = until is not None and self._connection.is_due(now)
        gaps, notices, calls = self._book.take(), self._notices.take(), self._call_meter.take()
        reconnects, self._reconnects = tuple(self._reconnects), []
        if not (read.posts or read.bad or gaps or notices or reconnects or calls or due):
            return None
        if until is not None:
            self._memory.heard = until
            self._connection.gives(until, now)
        return Batch(
            posts=tuple(read.posts),
            bad=tuple(read.bad),
            until=until,
            cursor=str(self._memory),
            gaps=gaps,
            notices=notices,
            reconnects=reconnects,
            calls=calls,
        )

    def _meet(self, item: Item, read: Read) -> None:
        """One thing that the reader said, in its order."""
        self._connection.meets(item)
        # What begins here is no part of a gap that was over before it.
        self._hear_again()
        match item:
            case Line() | Unreadable():
                this = read_line(item.raw, self.name) if isinstance(item, Line) else read_broken(item, self.name)
                read.add(this)
                if this.disconnect:
                    self._connection.announced = Cause.OPERATIONAL_DISCONNECT
                    self._stream.again(self._connection.announced)
                if this.garbled and self._incidents:
                    self._refill.missed(item.at - BEFORE / 3, item.at, Cause.GARBLED)
            case Lost():
                self._refill.missed(item.start, item.end, Cause.QUEUE_FULL)
            case Up() if not self._call_meter.shut:
                self._connection.up(item.at)
                self._let_in(Part.STREAM)
            case Down():
                self._down(item)

    def _down(self, down: Down) -> None:
        if not self._incidents:
            return
        last = self._connection.down()
        # X may close before we can: why it did, it has said before.
        cause = self._connection.announced or down.cause
        self._reconnects.append(cause)
        self._deaf(down.heard or last or self._clock.now(), cause)
        trouble = _TROUBLES.get(down.cause, Trouble.NETWORK)
        self._refusals.failed(Part.STREAM, trouble, down.why, self._clock.now())
        if trouble not in DENIED:
            self._rule_sync.check()

    def _deaf(self, start: datetime, cause: Cause) -> None:
        given = self._connection.given
        if given is not None and start < given and cause is not Cause.RULES_UNCONFIRMED:
            start = given
        self._book.begin(start, cause)

    def _hear_again(self) -> None:
        """Bytes flow and X has confirmed: the gap is over since the later of the two."""
        up_at = self._connection.up_at
        if self._book.lasting is None or not self._connection.flowing or self._confirmed is None or up_at is None:
            return
        if self._call_meter.shut:  # What is still in the queue was said before the stream was stopped.
            return
        self._refill.fill(self._book.end(max(up_at, self._confirmed_at or up_at)))
        self._notices.over(SILENT)

    def _fall_calm(self) -> None:
        """Nothing is listened for: no stream, no lookback, and no gap from now on."""
        self._refill.calm(self._clock.now(), self._connection.given if len(self._buffer) else None)
        self._stream.stop()
        self._refusals.over(Part.STREAM)
        self._buffer.clear()
        self._connection.down()
        self._confirmed = None
        self._notices.over(SILENT, REFUSED)

    def _rules_answered(self, result: RuleResult) -> None:
        self._rule_results.append(result)
        self._buffer.bell.set()

    def _take_rules(self, result: RuleResult) -> None:
        if result.version != self._wanted.version:
            return
        if isinstance(result, Failed):
            self._refusals.failed(Part.RULES, result.trouble, result.why, self._clock.now())
            if self._incidents:
                # Rules of ours may be there from before: better to hear by those than not at all.
                self._start_stream()
            return
        self._let_in(Part.RULES)
        since = result.gone_since(self._memory.checked, first=self._confirmed_at is None)
        if self._incidents and since is not None:
            # Bytes flowed meanwhile, and ticks with them; but nothing that was said could be among them.
            self._refill.missed(since, result.at, Cause.RULES_MISSING)
        if self._confirmed is None:
            self._confirmed_at = result.at
        self._confirmed = result
        self._memory.checked = (result.at if result.added else result.checked or result.at) if self._incidents else None
        if not self._incidents:
            return
        self._notices.mind_rules(result, self._clock.now())
        if result.rules:
            self._start_stream()

    def _start_stream(self) -> None:
        if not self._call_meter.shut:
            self._stream.start()

    # --- what X refuses --------------------------------------------------------------------------------------------

    def _let_in(self, part: Part) -> None:
        """X has answered. If it had refused, what waits for the others is asked for at once too."""
        if self._refusals.over(part):
            self._retry()

    def _retry(self) -> None:
        self._rule_sync.retry()
        self._stream.retry()
        self._searcher.retry()
        self._counter.retry()
        self._deletions.retry()

    def _refused(self) -> list[Refusal]:
        """All that X refuses of what is asked of it now."""
        return [*self._refusals, *([] if self._incidents else self._counter.refusal())]

    def _is_kept_out(self) -> bool:
        """Not heard, in crisis, or not counted, in calm, because of that."""
        return bool(self._refused()) and not (self._incidents and self._is_heard())

    def _is_heard(self) -> bool:
        return self._connection.flowing and self._book.lasting is None and self._confirmed is not None

    def _problem(self) -> str | None:
        if self._call_meter.shut:
            return SPENT
        return self._key.fault or next(map(str, self._refused()), None)

    def _mind(self) -> None:
        """Whether there is something that ops must know of."""
        now = self._clock.now()
        well = self._is_heard() if self._incidents else self._confirmed is not None and self._counter.well
        self._notices.mind_refusals(self._refused(), now, well=well)
        self._notices.mind_fields(self._asked, now)
        if self._incidents and not self._call_meter.shut:
            self._notices.mind_silence(self._book.lasting, now, patient_from=self._patient_from)
        self._notices.mind_search(self._refill.refused, now)
        self._notices.mind_deletions(self._deletions.late_since(), holds=self._deletions.holds)

    def _mind_counts(self) -> None:
        if self._incidents or self._call_meter.shut:
            return
        self._counter.others = self._refill.minutes()
        self._notices.mind_counts(self._counter)


_TROUBLES: Final = {Cause(trouble): trouble for trouble in REFUSALS}


def _looked_back(incidents: Mapping[str, Incident]) -> Mapping[str, float]:
    return {key: incident.lookback for key, incident in incidents.items()}
