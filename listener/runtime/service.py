"""A process that runs: one thread a worker, one lock a role, stopped within five seconds by SIGTERM.

A worker that raises is tried again after a second, loudly: it is shown at `/readyz` and logged by its class and
place, never by its words, which could be somebody's post. Our own corruption, or another process in our place, stops
the process; and so does a worker that hangs, for whatever supervises it starts it again, and what it held is taken up.
"""

from __future__ import annotations

import fcntl
import gc
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import FrameType

from listener.clock import Clock
from listener.errors import BusError, ConfigError, Corrupt, Fenced, LyttepostError, Refused
from listener.permissions import make_folder, open_private
from listener.runtime.health import Part
from listener.runtime.logs import SETTLED_SECONDS, Outage, reason_of
from listener.runtime.stage import Worker

log = logging.getLogger(__name__)

TURN_SECONDS = 0.2
STOP_SECONDS = 4.0
WAITED_SECONDS = 0.05
REST_SECONDS = 0.2
"""A worker that had nothing to do, and did not wait for it, rests so long: such workers go by the time alone."""
RETRY_SECONDS = 1.0
LOOK_SECONDS = 0.5
HANGS_SECONDS = 120.0
"""A worker that is stuck for so long hangs. It is counted by looks, so that a process that was frozen is not ended."""
SWITCH_SECONDS = 0.001
"""A thread that computes lets another one in after so long: who answers at a port asks a dozen times, between its reads
and writes, and would wait five milliseconds at each."""
STARTS_SECONDS = 60.0
"""Who has been there for longer is not starting."""


def settle_memory() -> None:
    """What is wired stays to the end, and what posts make is seldom in circles: looking for garbage costs a tenth."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5000, 20, 20)


class RoleLock:
    """One process a role and data folder. The lock is the operating system's and ends with the process."""

    def __init__(self, folder: Path, role: str) -> None:
        self._path = folder / f"{role}.lock"
        try:
            make_folder(folder)
            self._file = os.fdopen(open_private(self._path, os.O_RDWR), "r+", encoding="ascii", errors="replace")
        except OSError as error:
            raise ConfigError(
                f"{error.filename or folder}: cannot be written: {error.strerror}; "
                "choose a folder with --data or LYTTEPOST_DATA"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            pid = self._file.read().strip() or "unknown"
            self._file.close()
            raise Refused(
                f"a process with the role {role} runs already on {folder} (process {pid}); stop it or choose --data"
            ) from None
        # The lock holds without it: a full disk must not keep alerts from being sent.
        with suppress(OSError):
            self._file.truncate(0)
            self._file.write(str(os.getpid()))
            self._file.flush()

    def release(self) -> None:
        with suppress(OSError):
            self._file.close()


def locked_roles(folder: Path) -> list[str]:
    """The roles that processes on this data folder have now."""
    found = []
    for path in sorted(folder.glob("*.lock")):
        with suppress(Refused, ConfigError):
            RoleLock(folder, path.stem).release()
            continue
        found.append(path.stem)
    return found


def starting_roles(folder: Path, now: datetime) -> list[str]:
    """The roles of processes that live there and began just now, as their lock files say. No lock is tried: who starts
    at that instant would be refused."""
    found = []
    for path in sorted(folder.glob("*.lock")):
        try:
            age = now.timestamp() - path.stat().st_mtime
            os.kill(int(path.read_text("ascii")), 0)
        except (OSError, ValueError, OverflowError):
            continue
        if abs(age) <= STARTS_SECONDS:
            found.append(path.stem.partition("-")[0])
    return found


class Service:
    """Turns the workers until it is stopped."""

    def __init__(
        self, workers: Sequence[tuple[Worker, Part]], clock: Clock, *, bus_is_well: Callable[[], bool] = lambda: True
    ) -> None:
        """`bus_is_well`: asked before the log says that the bus works again."""
        self._workers = workers
        self._clock = clock
        self._stop = threading.Event()
        self._fatal: LyttepostError | None = None
        self.left_behind: list[str] = []
        """The workers that did not end when the service did."""
        self._failed: set[str] = set()
        self._failing: dict[str, Outage] = {}
        self._bus_fails = Outage("the bus", clock, settled=SETTLED_SECONDS, well=bus_is_well)

    def obey_signals(self) -> None:
        """From now on SIGTERM and SIGINT stop it in order. To be said before the process shows itself to anybody."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def run(self) -> None:
        """Turn the worker until the service stops. Raises what made a worker unable to go on."""
        sys.setswitchinterval(min(SWITCH_SECONDS, sys.getswitchinterval()))
        threads = [
            threading.Thread(target=self._turn, args=pair, name=pair[0].name, daemon=True) for pair in self._workers
        ]
        for thread in threads:
            thread.start()
        looks: dict[str, int] = {}
        while not self._stop.wait(LOOK_SECONDS):
            self._bus_fails.look()
            for _, part in self._workers:
                # Of each by itself: several that are slow one after the other hang as little as one that is.
                looks[part.name] = looks.get(part.name, 0) + 1 if part.stuck() else 0
                if looks[part.name] * LOOK_SECONDS >= HANGS_SECONDS:
                    self._give_up(part, threads)
                    break
        deadline = self._clock.monotonic() + STOP_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        for thread in threads:
            if thread.is_alive():
                self.left_behind.append(thread.name)
                log.error("%s did not stop in time; what it held is taken up at the next start", thread.name)
        if self._fatal is not None:
            raise self._fatal

    def stop(self) -> None:
        self._stop.set()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()

    def _give_up(self, part: Part, threads: Sequence[threading.Thread]) -> None:
        """End the process, and log where each worker is: by files and lines alone."""
        frames = sys._current_frames()
        for thread in threads:
            if frame := frames.get(thread.ident or 0):
                places = [f"{Path(at.filename).name}:{at.lineno}" for at in traceback.extract_stack(frame)]
                log.error("%s is at %s", thread.name, " ".join(reversed(places)))
        self._fatal = LyttepostError(f"{part.name} hangs: {part.stuck()}; the process ends, to be started again")
        self._stop.set()

    def _turn(self, worker: Worker, part: Part) -> None:
        try:
            while not self._stop.is_set():
                self._step(worker, part)
        except LyttepostError as error:
            part.problem(str(error))
            self._fatal = self._fatal or error
            self._stop.set()
        finally:
            try:
                worker.close()
            except Exception as error:
                log.error("%s could not be closed: %s", worker.name, type(error).__name__)

    def _step(self, worker: Worker, part: Part) -> None:
        started = self._clock.monotonic()
        try:
            busy = worker.step(TURN_SECONDS)
        except (Corrupt, Fenced):
            raise
        except Exception as error:
            reason = reason_of(error)
            if isinstance(error, BusError):
                # All of them suffer from it at once: one voice speaks for them.
                self._bus_fails.lasts(reason)
            else:
                self._failing.setdefault(worker.name, Outage(worker.name, self._clock, each_reason=True)).lasts(reason)
            self._failed.add(worker.name)
            part.problem(f"failed: {reason}; it is tried again")
            self._clock.wait(RETRY_SECONDS, self._stop)
            return
        if worker.name in self._failed:
            self._failed.discard(worker.name)
            if (part.reason or "").startswith("failed: "):
                part.problem(None)
            if worker.name in self._failing:
                self._failing[worker.name].look()
        took = self._clock.monotonic() - started
        if not busy and took < WAITED_SECONDS:
            self._clock.wait(REST_SECONDS - took, self._stop)
