"""Recorded posts, played as they were heard: at the speed they came, faster, or as fast as it goes.

What a line says is for the `Parse` of its platform to know. A cursor is `LINES:UNTIL:DIGEST`: how many lines are done,
the time played to (ms), and the digest of the first line, which shows another recording. To go on, the lines before it
are read again but not given: only so are ids seen twice, times and cuts the same as undisturbed.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from listener.clock import Clock
from listener.errors import Corrupt, LyttepostError
from listener.sources.common.reader import LineReader
from listener.sources.common.recorded_lines import Offered, Parse, offered
from listener.sources.contract import Batch, CatchUp, OfferedCounts
from listener.units import format_instant, from_ms

LINES = 1000
"""At full speed a batch ends with the first whole second after so many lines."""
MAX_LINES = 5000
"""And after so many in any case, to bound memory where all lines bear one time."""
BREATH = 0.25
"""Seconds of the clock that a batch holds when played at a speed; a recorded second at least."""

_SOON = 0.001
"""Seconds. What is due within them is due: a clock need not hit an instant exactly."""
_GLANCE = 0.2
"""Seconds that a wait for a pipe may hold up `close`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    lines: int
    until: int | None
    digest: str

    def __str__(self) -> str:
        return f"{self.lines}:{'' if self.until is None else self.until}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Raises Corrupt: it is our own word, from the bus."""
        try:
            lines, until, digest = text.split(":")
            return cls(int(lines), int(until) if until else None, digest)
        except ValueError:
            raise Corrupt("a recording's cursor on the bus is unreadable; was it written by another version?") from None


class RecordedSource:
    """The source `name`, whose lines `parse` reads. A platform that is read from files is this, a parser and a `TYPE`.

    Plays `path` (`-`: standard input; a pipe will do) at `speed`: 60 is a minute a second, None as fast as it goes.
    From a pipe, what has come is given as soon as nothing more comes, so cuts are not repeated there.
    """

    catch_up = CatchUp.REPLAY
    only_exercise = True

    def __init__(self, name: str, parse: Parse, path: str, speed: float | None, clock: Clock) -> None:
        self.name = name
        self._parse = parse
        self._path = path
        self._speed = speed
        self._clock = clock
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._state = "closed"
        self._reset()

    def _reset(self) -> None:
        self.counts = OfferedCounts()
        self._lines = LineReader(self._path, pipes=True)
        self._batches = self._cut()
        self._next: Batch | None = None
        self._resume: Cursor | None = None
        self._digest = ""
        self._anchor: tuple[float, datetime] | None = None
        self._start: datetime | None = None
        self._until: datetime | None = None
        self._flush = False
        self._note: str | None = None

    def open(self, resume: str | None) -> None:
        """Begin, or go on after `resume`; again after `close`, too. Raises ConfigError when it is no recording."""
        self.close()
        cursor = Cursor.parse(resume) if resume else None
        self._reset()
        self._closed.clear()
        self._resume = cursor
        self._lines.open()
        self._state = "resuming" if resume else "playing"
        if self._lines.seekable:
            # A file that is not what it says is reported at once, not when it is first played.
            try:
                self._next = next(self._batches)
            except LyttepostError:
                self.close()
                raise

    def read(self, timeout: float) -> Batch | None:
        with self._lock:
            return self._read(timeout)

    def _read(self, timeout: float) -> Batch | None:
        deadline = self._clock.monotonic() + timeout
        while not self._closed.is_set():
            left = deadline - self._clock.monotonic()
            if self._state == "ended":
                self._clock.wait(max(0.0, left), self._closed)
                return None
            if self._next is None:
                self._next = next(self._batches)
            if self._next is None:
                if left <= 0 or self._flush:
                    self._flush = False
                    return None
                # Waited in vain: what a pipe has brought so far is given, if there is any.
                self._flush = not self._more(left)
                continue
            wait = self._due(self._next) - self._clock.monotonic()
            if wait <= _SOON:
                return self._give(self._next)
            if left <= 0:
                return None
            self._clock.wait(min(wait, left), self._closed)
        return None

    def state(self) -> Mapping[str, Any]:
        return {
            "state": self._state,
            "file": self._path,
            "speed": self._speed or "max",
            "position": format_instant(self._until) if self._until else None,
            "progress": self._lines.progress,
            "read": self.counts.read,
            "posts": self.counts.posts,
            "duplicates": self.counts.duplicates,
            "bad": {str(reason): count for reason, count in self.counts.bad.items()},
            **({"note": self._note} if self._note else {}),
        }

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            self._lines.close()
            self._state = "closed"

    def _give(self, batch: Batch) -> Batch:
        self._next, self._flush = None, False
        self._until = batch.until
        self._state = "ended" if batch.final else "playing"
        self.counts.add(batch)
        return batch

    def _due(self, batch: Batch) -> float:
        """When to give a batch, in the clock's monotonic seconds."""
        if self._speed is None or batch.until is None or self._start is None:
            return self._clock.monotonic()
        if self._anchor is None:
            self._anchor = self._clock.monotonic(), self._start
        began, start = self._anchor
        return began + (batch.until - start).total_seconds() / self._speed

    def _more(self, timeout: float) -> bool:
        """Has a pipe more to give? Waits for it."""
        if self._state == "playing" and not self._lines.seekable:
            self._state = "waiting"
        while not self._lines.ready(min(timeout, _GLANCE)):
            timeout -= _GLANCE
            if timeout <= 0 or self._closed.is_set():
                return False
        return True

    def _cut(self) -> Iterator[Batch | None]:
        """The batches; None where there is nothing to give yet."""
        pile: list[Offered] = []
        until: datetime | None = None
        done = 0
        for line in offered(self._lines, self.name, self._parse):
            if line is None:
                if self._flush and pile:
                    yield self._batch(pile, done, until)
                    pile = []
                yield None
                continue
            if not self._digest:
                self._begin(line)
            if pile and self._ends(len(pile), until, line.at):
                yield self._batch(pile, done, until)
                pile = []
                yield from self._quiet(done, until, line.at)
            pile.append(line)
            done = line.number
            if line.at is not None:
                self._start = self._start or line.at
                until = line.at if until is None else max(until, line.at)
        yield self._batch(pile, done, until, final=True)

    def _begin(self, first: Offered) -> None:
        line = first.line
        self._digest = (hashlib.sha256(line).hexdigest() if isinstance(line, bytes) else line.digest)[:12]
        if self._resume is None:
            return
        if self._resume.digest != self._digest:
            self._resume = None
            self._note = "another recording than before: played from its beginning"
        elif self._resume.until is not None:
            self._start = self._until = from_ms(self._resume.until)

    def _ends(self, lines: int, until: datetime | None, at: datetime | None) -> bool:
        """Does a batch end before a line of that time? Depends on nothing but what stands in the file."""
        if lines >= MAX_LINES:
            return True
        if at is None or until is None or at <= until or (self._speed is None and lines < LINES):
            return False
        return self._slot(at) > self._slot(until)

    def _slot(self, at: datetime) -> int:
        return int(at.timestamp()) // self._width

    @property
    def _width(self) -> int:
        """Recorded seconds that a batch holds."""
        return 1 if self._speed is None else max(1, round(self._speed * BREATH))

    def _batch(self, pile: list[Offered], done: int, until: datetime | None, final: bool = False) -> Batch | None:
        if self._resume is not None:
            given = self._resume.lines
            pile = [line for line in pile if line.number > given]
            if not pile and not final:
                return None
            self._resume = None
        return Batch(
            posts=tuple(post for line in pile for post in line.posts),
            bad=tuple(bad for line in pile for bad in line.bad),
            duplicates=sum(line.duplicates for line in pile),
            until=until,
            cursor=str(Cursor(done, _ms(until), self._digest)),
            final=final,
        )

    def _quiet(self, done: int, until: datetime | None, at: datetime | None) -> Iterator[Batch]:
        """Signs of life for the time in which nobody said anything: windows close, and silence can be reported."""
        if self._speed is None or until is None or at is None:
            return
        for slot in range(self._slot(until) + 1, self._slot(at)):
            mark = datetime.fromtimestamp(slot * self._width, UTC)
            cursor = Cursor(done, _ms(mark), self._digest)
            if self._resume is not None:
                if (done, cursor.until or 0) <= (self._resume.lines, self._resume.until or 0):
                    continue
                self._resume = None
            yield Batch(until=mark, cursor=str(cursor))


def _ms(at: datetime | None) -> int | None:
    """Milliseconds since the epoch, rounded down, so that a sign of life after a post is after its cursor too."""
    return None if at is None else int(at.timestamp() * 1000)
