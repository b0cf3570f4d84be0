"""One fast time for several processes, which no busy machine can make go faster than they can live.

The time is a number in a file that all have mapped. The player moves it on (`Hand`), by no more than a few seconds
between two beats of the client: where that gets no processor, time crawls until it does.
"""

from __future__ import annotations

import mmap
import struct
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

SPEED: Final = 120.0
"""At most so many of its seconds pass in a real one."""
STEP: Final = 6.0
"""Seconds that pass fast between two beats."""
START: Final = 5.0
"""Seconds that pass fast while a process starts."""
CRAWL: Final = 2.0
"""Where time waits for a beat, so many seconds pass in a real one: the beat may be waiting for time, too."""
_TURN: Final = 0.005
_HANGS: Final = 90.0
"""Real seconds without a beat after which nobody waits for it any more."""
_TIME, _BEATS = 0, 8


class SharedClock:
    """Has all that a clock of ours needs, and of the fake X's. The file is made by `lay`."""

    def __init__(self, path: Path, start: datetime, speed: float = SPEED) -> None:
        self.speed = speed
        self._start = start
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)

    @staticmethod
    def lay(path: Path) -> None:
        path.write_bytes(bytes(16))

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return float(struct.unpack_from("d", self._map, _TIME)[0])

    def thread_time(self) -> float:
        return time.thread_time()

    def wait(self, seconds: float, until: threading.Event) -> bool:
        deadline = self.monotonic() + seconds
        while (left := deadline - self.monotonic()) > 0:
            if until.wait(min(max(left / self.speed, 0.001), 0.02)):
                return True
        return until.is_set()

    @property
    def beats(self) -> int:
        return int(struct.unpack_from("q", self._map, _BEATS)[0])

    def beat(self) -> None:
        """The client has lived through this moment. Only the client says so."""
        struct.pack_into("q", self._map, _BEATS, self.beats + 1)

    def move(self, seconds: float) -> None:
        struct.pack_into("d", self._map, _TIME, self.monotonic() + seconds)


class Hand:
    """Moves the clock, in a thread of its own. `lives` says whether there is a client to wait for."""

    def __init__(self, clock: SharedClock, lives: Callable[[], bool]) -> None:
        self.hangs = False
        self._clock = clock
        self._lives = lives
        self._left = STEP
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
        self._thread.start()

    def starts(self) -> None:
        """A client is being started."""
        self._left = START

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        last = beat_at = time.monotonic()
        beats = self._clock.beats
        while not self._stop.wait(_TURN):
            now = time.monotonic()
            if self._clock.beats != beats:
                beats, beat_at, self._left = self._clock.beats, now, STEP
            by = (now - last) * self._clock.speed
            last = now
            if self._lives():
                crawled = by * CRAWL / self._clock.speed
                by = max(min(by, self._left), crawled)
                self._left -= min(by, self._left)
                self.hangs = now - beat_at > _HANGS
            else:
                by, beat_at = min(by, STEP), now
            if by > 0:
                self._clock.move(by)
