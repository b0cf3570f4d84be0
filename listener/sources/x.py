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
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from listener.clock import Clock
from listener.gaps import Cause
from listener.mode import Incident
from listener.records import Gap, Origin
from listener.sources import BadLine, Batch, Counts, Notice, Reason
from listener.units import format_instant
from listener.x.access import Access
from listener.x.client import REST_SECONDS, Api, Trouble
from listener.x.gapbook import AFTER, BEFORE, GapBook
from listener.x.intake import MOST_LINES, Down, Intake, Item, Line, Lost, Unreadable, Up
from listener.x.keeper import Confirmed, Failed, RuleKeeper, Told, Wanted
from listener.x.memory import Memory
from listener.x.reading import Read, read_line, read_page
from listener.x.rules import Rule, compile_rules
from listener.x.search import Found, Job, Searcher, slices_of
from listener.x.stream import SILENCE, Stream

AT_ONCE: Final = 1000
"""Items of the stream in one batch."""
TICK_SECONDS: Final = 1.0
SILENT_AFTER: Final = timedelta(seconds=60)
"""So long may a gap last before ops are told."""

_FATAL: Final = {Trouble.UNAUTHORIZED: "x_unauthorized", Trouble.FORBIDDEN: "x_forbidden"}
_TOLD: Final = {
    "x_unauthorized": "X does not accept x.bearer_token (HTTP 401): set a valid one and restart",
    "x_forbidden": "X forbids our account this (HTTP 403): see the plan with X",
}


class XSource:
    """One connection to X's filtered stream. Belongs to one thread; `close` may be called from any."""

    only_exercise = False

    def __init__(
        self,
        access: Access,
        clock: Clock,
        *,
        name: str = "x",
        reposts: bool = True,
        chance: Callable[[], float] = random.random,
        rest_seconds: float = REST_SECONDS,
        silence: float = SILENCE,
        most_lines: int = MOST_LINES,
    ) -> None:
        self.name = name
        self._clock = clock
        self._reposts = reposts
        self._intake = Intake(most_lines)
        api = Api(access, rest_seconds)
        self._stream = Stream(access, api, self._intake, clock, chance, silence=silence)
        self._told: deque[Told] = deque()
        self._keeper = RuleKeeper(api, clock, chance, self._hear_from_keeper)
        self._searcher = Searcher(api, clock, self._intake.bell.set)
        self._reset()

    def _reset(self) -> None:
        self.counts = Counts()
        self._book = GapBook(self.name)
        self._memory = Memory()
        self._incidents: dict[str, Incident] = {}
        self._standing: tuple[str, ...] = ()
        self._wanted = Wanted(0, ())
        self._followed = False
        self._confirmed: Confirmed | None = None
        self._confirmed_at: datetime | None = None
        self._up_at: datetime | None = None
        self._flowing = False
        self._announced: Cause | None = None
        self._leaving = False
        self._fatal: str | None = None
        self._notices: list[Notice] = []
        self._reconnects: list[str] = []
        self._given: datetime | None = None
        self._given_at = float("-inf")
        self._search_turn = False

    # --- the contract --------------------------------------------------------------------------------------------

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        self._book.recall(gap for gap in gaps if gap.cause != Cause.DISK_FULL)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._memory = Memory.parse(resume) if resume else Memory()
        self._given = self._memory.heard

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str]) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        tracks = tuple(sorted({t for i in real.values() for t in (*i.tracks, *standing)})) if real else ()
        if self._followed and tracks == self._wanted.tracks and real.keys() == self._incidents.keys():
            return
        before, first = self._incidents, not self._followed
        grew = bool(set(tracks) - set(self._wanted.tracks))
        self._incidents, self._standing, self._followed = real, tuple(standing), True
        self._fatal = None
        if first or tracks != self._wanted.tracks:
            self._wanted = Wanted(self._wanted.version + 1, tracks, self._reposts)
            self._keeper.want(self._wanted)
        if not real:
            self._fall_calm()
            return
        if first:
            self._begin_after(self._memory.heard)
        elif grew or not before:
            new = [i.opened_at for key, i in real.items() if key not in before]
            # A change bears no time of its own here; the next one to hear of it came a second later at most.
            self._deaf(min([*new, self._clock.now() - timedelta(seconds=1)]), Cause.RULES_UNCONFIRMED)
        if grew:
            self._confirmed = None
        for incident in real.values():
            if incident.id not in before:
                self._look_back(incident)
        for gone in before.keys() - real.keys():
            self._searcher.drop(f"back:{gone}")
            self._memory.back.pop(gone, None)
        self._searcher.retry()

    def read(self, timeout: float) -> Batch | None:
        deadline = self._clock.monotonic() + timeout
        while not self._leaving:
            self._stream.watch()
            batch = self._turn()
            if batch is not None:
                self.counts.add(batch)
                return batch
            left = deadline - self._clock.monotonic()
            if left <= 0:
                return None
            if self._clock.wait(min(left, TICK_SECONDS / 4), self._intake.bell):
                self._intake.bell.clear()
        return None

    def state(self) -> Mapping[str, Any]:
        rules = self._confirmed
        heard = self._intake.heard
        unfilled = self._book.unfilled
        told: dict[str, Any] = {
            "state": self._word(),
            "connected": self._up_at is not None,
            "heard": None if heard is None else format_instant(heard),
            "rules": 0 if rules is None else len(rules.rules),
            "queue": len(self._intake),
            "unfilled": len(unfilled),
            "looking_back": sorted(job.name[5:] for job in self._searcher.jobs() if job.lookback),
        }
        if self._up_at is not None:
            told["connected_since"] = format_instant(self._up_at)
        if rules is not None and rules.refused:
            told["refused"] = dict(rules.refused)
        if rules is not None and rules.approximate:
            told["approximate"] = dict(rules.approximate)
        if (lasting := self._book.lasting) is not None:
            told["gap"] = lasting.cause
            told["gap_since"] = format_instant(lasting.start)
        if self._fatal is not None:
            told["problem"] = _TOLD[self._fatal]
        return told

    def close(self) -> None:
        """Close the socket and let go of all threads, in less than a second."""
        self._leaving = True
        self._keeper.stop()
        self._searcher.stop()
        self._stream.stop()
        self._intake.clear()
        self._told.clear()
        self._intake.bell.set()

    # --- what is heard -------------------------------------------------------------------------------------------

    def _turn(self) -> Batch | None:
        """What there is to give now, the stream and search in turn."""
        while self._told:
            self._hear(self._told.popleft())
        self._search_turn = not self._search_turn
        if self._search_turn and (found := self._searcher.take()) is not None:
            return self._found(found)
        return self._live()

    def _live(self) -> Batch | None:
        items, heard = self._intake.take(AT_ONCE)
        read = Read()
        for item in items:
            self._meet(item, read)
        if self._up_at is not None and heard is not None and heard >= self._up_at:
            self._flowing = True
        self._hear_again()
        self._mind_silence()
        until = heard if self._flowing and self._book.lasting is None else None
        if until is not None and self._given is not None and until <= self._given:
            until = None
        now = self._clock.monotonic()
        due = until is not None and now - self._given_at >= TICK_SECONDS
        gaps, notices, reconnects = self._book.take(), tuple(self._notices), tuple(self._reconnects)
        if not (read.posts or read.bad or gaps or notices or reconnects or due):
            return None
        self._notices, self._reconnects = [], []
        if until is not None:
            self._given = self._memory.heard = until
            self._given_at = now
        return Batch(
            posts=tuple(read.posts),
            bad=tuple(read.bad),
            until=until,
            cursor=str(self._memory),
            gaps=gaps,
            notices=notices,
            reconnects=reconnects,
        )

    def _meet(self, item: Item, read: Read) -> None:
        """One thing that the reader said, in its order."""
        match item:
            case Line():
                self._flowing = self._flowing or self._up_at is not None
                this = read_line(item.raw, self.name)
                read.posts += this.posts
                read.bad += this.bad
                if this.disconnect:
                    self._announced = Cause.OPERATIONAL_DISCONNECT
                    self._stream.again(self._announced)
                if this.garbled and self._incidents:
                    self._missed(item.at - BEFORE / 3, item.at, Cause.GARBLED)
            case Unreadable():
                reason = Reason.BROKEN_LINE if item.half else Reason.TOO_LONG
                read.bad.append(BadLine(reason, f"{self.name}:stream", item.length, item.digest))
                if not item.half and self._incidents:
                    self._missed(item.at - BEFORE / 3, item.at, Cause.GARBLED)
            case Lost():
                self._missed(item.start, item.end, Cause.QUEUE_FULL)
            case Up():
                self._up_at, self._flowing, self._announced = item.at, False, None
            case Down():
                self._down(item)

    def _down(self, down: Down) -> None:
        if not self._incidents:
            return
        heard = down.heard or (self._intake.heard if self._flowing else None)
        self._up_at, self._flowing = None, False
        # X may close before we can: why it did, it has said before.
        cause = self._announced or down.cause
        self._reconnects.append(cause)
        gap = self._book.lasting
        self._deaf(heard or (gap.start if gap is not None else self._clock.now()), cause)
        if down.fatal:
            self._stop_for(Trouble(down.cause))
        else:
            # Whoever cut us off may have taken our rules with it.
            self._keeper.check()

    def _deaf(self, start: datetime, cause: Cause) -> None:
        if self._given is not None and start < self._given and cause is not Cause.RULES_UNCONFIRMED:
            start = self._given
        self._book.begin(start, cause)

    def _begin_after(self, heard: datetime | None) -> None:
        """Nobody listened since the last word on the bus; or ever, for an incident that is newer."""
        opened = min(i.opened_at for i in self._incidents.values())
        for gap in self._book.unfilled:
            # Of another crisis, which is over: nobody may search for its posts any more.
            if gap.end is not None and gap.end <= opened:
                self._book.forget(gap.id)
        if heard is not None and heard >= opened:
            self._book.begin(heard, Cause.PROCESS_DOWN)
        else:
            self._book.begin(opened, Cause.RULES_UNCONFIRMED)
        for gap in self._book.unfilled:
            self._fill(gap)

    def _hear_again(self) -> None:
        """Bytes flow and X has confirmed: the gap is over since the later of the two."""
        if self._book.lasting is None or not self._flowing or self._confirmed is None or self._up_at is None:
            return
        at = max(self._up_at, self._confirmed_at or self._up_at)
        gap = self._book.end(at)
        if gap is not None:
            self._fill(gap)
        self._settle("x_silent")

    def _missed(self, start: datetime, end: datetime, cause: Cause) -> None:
        """A stretch that is over already. One that lasts holds it in itself."""
        if self._book.lasting is None:
            self._fill(self._book.between(start, end, cause))

    def _fall_calm(self) -> None:
        """Nothing is listened for: no stream, no search, no gap."""
        self._stream.stop()
        self._intake.clear()
        self._up_at, self._flowing, self._confirmed = None, False, None
        for job in self._searcher.jobs():
            self._searcher.drop(job.name)
        self._book.end(self._clock.now())
        for gap in self._book.unfilled:
            self._book.forget(gap.id)
        self._memory.back.clear()
        self._settle("x_silent")
        self._settle("x_track_refused")

    # --- rules ---------------------------------------------------------------------------------------------------

    def _hear_from_keeper(self, told: Told) -> None:
        self._told.append(told)
        self._intake.bell.set()

    def _hear(self, told: Told) -> None:
        if told.version != self._wanted.version:
            return
        if isinstance(told, Failed):
            if told.fatal:
                self._stop_for(told.trouble)
            elif self._incidents:
                # Rules of ours may be there from before: better to hear by those than not at all.
                self._stream.start()
            return
        self._settle("x_unauthorized")
        self._settle("x_forbidden")
        if told.missing and told.checked is not None and self._incidents:
            self._missed(max(told.checked, self._given or told.checked), told.at, Cause.RULES_MISSING)
        if self._confirmed is None:
            self._confirmed_at = told.at
        self._confirmed = told
        if not self._incidents:
            return
        if told.refused:
            self._raise("x_track_refused")
        else:
            self._settle("x_track_refused")
        if told.rules:
            self._stream.start()

    def _stop_for(self, trouble: Trouble) -> None:
        """Only a person can mend this."""
        self._fatal = _FATAL[trouble]
        self._stream.stop()
        if self._incidents:
            heard = self._intake.heard if self._flowing else None
            self._deaf(heard or self._clock.now(), Cause(trouble))
        self._up_at, self._flowing = None, False
        self._raise(self._fatal)

    # --- search --------------------------------------------------------------------------------------------------

    def _found(self, found: Found) -> Batch:
        read = read_page(found.answer, self.name)
        incident = found.name.removeprefix("back:") if found.lookback else None
        if incident is None:
            self._book.filled(found.name, found.reached, done=found.done)
        elif incident in self._incidents and (found.reached is not None or found.done):
            opened = self._incidents[incident]
            self._memory.back[incident] = _back_to(opened) if found.done else found.reached or opened.opened_at
        return Batch(
            posts=tuple(read.posts),
            bad=tuple(read.bad),
            cursor=str(self._memory),
            origin=Origin.LOOKBACK if found.lookback else Origin.GAP_FILL,
            incident=incident,
            gaps=self._book.take(),
            fills=None if found.lookback else found.name,
        )

    def _fill(self, gap: Gap) -> None:
        if gap.end is None or not self._incidents:
            return
        opened = min(i.opened_at for i in self._incidents.values())
        start = max((gap.refilled_until or gap.start - BEFORE), opened)
        tracks = {t for i in self._incidents.values() for t in (*i.tracks, *self._standing)}
        self._searcher.search(
            Job(gap.id, False, _queries(tracks, self._reposts), slices_of(start, gap.end + AFTER)),
        )

    def _look_back(self, incident: Incident) -> None:
        end = self._memory.back.get(incident.id, incident.opened_at)
        start = _back_to(incident)
        if start >= end:
            return
        queries = _queries((*incident.tracks, *self._standing), self._reposts)
        slices = slices_of(start, end, newest_first=True)
        self._searcher.search(Job(f"back:{incident.id}", True, queries, slices))

    # --- what ops are told ---------------------------------------------------------------------------------------

    def _mind_silence(self) -> None:
        gap = self._book.lasting
        if gap is not None and self._incidents and self._clock.now() - gap.start > SILENT_AFTER:
            self._raise("x_silent", gap.start)

    def _raise(self, what: str, since: datetime | None = None) -> None:
        if what not in self._memory.notices:
            self._memory.notices[what] = at = since or self._clock.now()
            self._notices.append(Notice(what, at))

    def _settle(self, what: str) -> None:
        if (since := self._memory.notices.pop(what, None)) is not None:
            self._notices.append(Notice(what, since, over=True))

    def _word(self) -> str:
        """In the words of `listener.metrics.SourceState`."""
        if self._fatal is not None:
            return "stopped"
        if not self._incidents:
            return "idle"
        return "listening" if self._book.lasting is None else "connecting"


def _back_to(incident: Incident) -> datetime:
    return incident.opened_at - timedelta(seconds=incident.lookback)


def _queries(tracks: Sequence[str] | set[str], reposts: bool) -> tuple[str, ...]:
    """Rules are short enough to be queries too."""
    rules: tuple[Rule, ...] = compile_rules(tracks, reposts=reposts).rules
    return tuple(rule.value for rule in rules)
