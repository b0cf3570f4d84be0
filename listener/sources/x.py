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
from listener.records import Gap
from listener.sources import Batch, Counts
from listener.units import format_instant
from listener.x.access import Access
from listener.x.client import REST_SECONDS, Api, Trouble
from listener.x.gapbook import BEFORE, GapBook
from listener.x.intake import MOST_LINES, Down, Intake, Item, Line, Lost, Unreadable, Up
from listener.x.keeper import Confirmed, Failed, RuleKeeper, Told, Wanted
from listener.x.memory import Memory
from listener.x.reading import Read, read_broken, read_line
from listener.x.refill import Refill
from listener.x.search import Searcher
from listener.x.stream import SILENCE, Stream
from listener.x.telling import FATAL_NOTICES, MENDS, REFUSED, SILENT, Notices

AT_ONCE: Final = 1000
"""Items of the stream in one batch."""
TICK_SECONDS: Final = 1.0
SILENT_AFTER: Final = timedelta(seconds=60)
"""So long may a gap last before ops are told."""


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
        self._incidents: dict[str, Incident] = {}
        self._wanted = Wanted(0, ())
        self._followed = False
        self._confirmed: Confirmed | None = None
        self._confirmed_at: datetime | None = None
        self._up_at: datetime | None = None
        self._flowing = False
        self._announced: Cause | None = None
        self._leaving = False
        self._fatal: str | None = None
        self._prepare(Memory())
        self._reconnects: list[str] = []
        self._given: datetime | None = None
        self._given_at = float("-inf")
        self._search_turn = False

    def recall(self, gaps: Sequence[Gap]) -> None:
        self._reset()
        self._book.recall(gap for gap in gaps if gap.cause != Cause.DISK_FULL)

    def open(self, resume: str | None) -> None:
        """Ready to follow. Raises Corrupt when the cursor is none of ours."""
        self._prepare(Memory.parse(resume) if resume else Memory())
        self._given = self._memory.heard

    def _prepare(self, memory: Memory) -> None:
        self._memory = memory
        self._notices = Notices(memory)
        self._refill = Refill(self.name, self._searcher, self._book, memory, reposts=self._reposts)

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str]) -> None:
        real = {incident.id: incident for incident in incidents if not incident.synthetic}
        tracks = tuple(sorted({t for i in real.values() for t in (*i.tracks, *standing)})) if real else ()
        if self._followed and tracks == self._wanted.tracks and real.keys() == self._incidents.keys():
            return
        before, first = self._incidents, not self._followed
        grew = bool(set(tracks) - set(self._wanted.tracks))
        self._incidents, self._followed = real, True
        self._fatal = None
        if first or tracks != self._wanted.tracks:
            self._wanted = Wanted(self._wanted.version + 1, tracks, self._reposts)
            self._keeper.want(self._wanted)
        if not real:
            self._book.end(self._clock.now())
            self._fall_calm()
        self._refill.follow(real, standing)
        if not real:
            return
        if first:
            self._begin_after(self._memory.heard)
        elif grew or not before:
            new = [i.opened_at for key, i in real.items() if key not in before]
            # A change bears no time of its own here; the next one to hear of it came a second later at most.
            self._deaf(min([*new, self._clock.now() - timedelta(seconds=1)]), Cause.RULES_UNCONFIRMED)
        if grew:
            self._confirmed = None

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
            "connected": self._up_at is not None and not self._leaving,
            "heard": None if heard is None else format_instant(heard),
            "rules": 0 if rules is None else len(rules.rules),
            "queue": len(self._intake),
            "unfilled": len(unfilled),
            "looking_back": self._refill.looking_back(),
        }
        if self._up_at is not None:
            told["connected_since"] = format_instant(self._up_at)
        for name in ("refused", "approximate"):
            if rules is not None and (tracks := getattr(rules, name)):
                told[name] = dict(tracks)
        if (lasting := self._book.lasting) is not None:
            told["gap"] = lasting.cause
            told["gap_since"] = format_instant(lasting.start)
        if self._fatal is not None:
            told["problem"] = MENDS[self._fatal]
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
        return (self._search_turn and self._refill.take()) or self._live()

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
        gaps, notices, reconnects = self._book.take(), self._notices.take(), tuple(self._reconnects)
        if not (read.posts or read.bad or gaps or notices or reconnects or due):
            return None
        self._reconnects = []
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
            case Line() | Unreadable():
                self._flowing = self._flowing or self._up_at is not None
                this = read_line(item.raw, self.name) if isinstance(item, Line) else read_broken(item, self.name)
                read.posts += this.posts
                read.bad += this.bad
                if this.disconnect:
                    self._announced = Cause.OPERATIONAL_DISCONNECT
                    self._stream.again(self._announced)
                if this.garbled and self._incidents:
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
            self._keeper.check()

    def _deaf(self, start: datetime, cause: Cause) -> None:
        if self._given is not None and start < self._given and cause is not Cause.RULES_UNCONFIRMED:
            start = self._given
        self._book.begin(start, cause)

    def _begin_after(self, heard: datetime | None) -> None:
        """Nobody listened since the last word on the bus; or ever, for an incident that is newer."""
        opened = min(i.opened_at for i in self._incidents.values())
        if heard is not None and heard >= opened:
            self._book.begin(heard, Cause.PROCESS_DOWN)
        else:
            self._book.begin(opened, Cause.RULES_UNCONFIRMED)
        self._refill.resume()

    def _hear_again(self) -> None:
        """Bytes flow and X has confirmed: the gap is over since the later of the two."""
        if self._book.lasting is None or not self._flowing or self._confirmed is None or self._up_at is None:
            return
        at = max(self._up_at, self._confirmed_at or self._up_at)
        self._refill.fill(self._book.end(at))
        self._notices.over(SILENT, *FATAL_NOTICES.values())

    def _missed(self, start: datetime, end: datetime, cause: Cause) -> None:
        """A stretch that is over already."""
        self._refill.fill(self._book.between(start, end, cause))

    def _fall_calm(self) -> None:
        """Nothing is listened for: no stream, no search, no gap."""
        self._stream.stop()
        self._intake.clear()
        self._up_at, self._flowing, self._confirmed = None, False, None
        self._notices.over(SILENT, REFUSED)

    def _hear_from_keeper(self, told: Told) -> None:
        self._told.append(told)
        self._intake.bell.set()

    def _hear(self, told: Told) -> None:
        if told.version != self._wanted.version:
            return
        if isinstance(told, Failed):
            if told.fatal:
                self._stop_for(told.trouble)
            elif self._incidents and self._fatal is None:
                # Rules of ours may be there from before: better to hear by those than not at all.
                self._stream.start()
            return
        if self._incidents and (since := self._rules_gone_since(told)) is not None:
            # Bytes flowed meanwhile, and ticks with them; but nothing that was said could be among them.
            self._missed(since, told.at, Cause.RULES_MISSING)
        if self._confirmed is None:
            self._confirmed_at = told.at
        self._confirmed = told
        self._memory.checked = (told.at if told.added else told.checked or told.at) if self._incidents else None
        if not self._incidents:
            # X answers to our key. In crisis it must answer the stream too.
            self._notices.over(*FATAL_NOTICES.values())
            return
        if told.refused:
            self._notices.begin(REFUSED, self._clock.now())
        else:
            self._notices.over(REFUSED)
        if told.rules and self._fatal is None:
            self._stream.start()

    def _rules_gone_since(self, told: Confirmed) -> datetime | None:
        """When ours were last there, if X had lost some: here, or while nobody ran."""
        if self._confirmed_at is None and told.added:
            return self._memory.checked
        return told.checked if told.missing else None

    def _stop_for(self, trouble: Trouble) -> None:
        """Only a person can mend this."""
        self._fatal = FATAL_NOTICES[trouble]
        self._stream.stop()
        if self._incidents:
            heard = self._intake.heard if self._flowing else None
            self._deaf(heard or self._clock.now(), Cause(trouble))
        self._up_at, self._flowing = None, False
        self._notices.begin(self._fatal, self._clock.now())

    def _mind_silence(self) -> None:
        gap = self._book.lasting
        if gap is not None and self._incidents and self._clock.now() - gap.start > SILENT_AFTER:
            self._notices.begin(SILENT, gap.start)

    def _word(self) -> str:
        """In the words of `listener.metrics.SourceState`."""
        if self._fatal is not None:
            return "stopped"
        if not self._incidents:
            return "idle"
        return "listening" if self._book.lasting is None else "connecting"
