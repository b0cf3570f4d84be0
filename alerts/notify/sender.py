"""The threads that send: a few for each channel, so that one that is slow or dead delays no other.

Threads cannot be stopped from outside. One that does not come back within the limit is reported as hung, its send as
uncertain, and it keeps its place until it returns; when all places of a channel are taken by hung ones, the channel is
`STUCK`, which is said at once and counted as a failure, so that the next people are notified. Threads never outnumber
channels times `workers`, and none holds up the end of the process.
"""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from queue import Empty, SimpleQueue

from alerts.notify.channels.contract import Channel, ChannelError, Deliver, FailureReason
from alerts.notify.sends import Send
from listener.clock import Clock

log = logging.getLogger(__name__)

WORKERS = 4
LIMIT_SECONDS = 45.0
"""Longer than `channels.LONGEST_SEND`."""

Prepare = Callable[[Channel], tuple[Deliver, tuple[str, ...]]]
"""Makes the card and the message; gives what hands it over, and what the card lacked. Raises ChannelError."""


class Capacity(StrEnum):
    FREE = "free"
    FULL = "full"
    STUCK = "stuck"
    MISSING = "missing"
    """The channel is not set up."""


@dataclass(frozen=True)
class Result:
    """What became of a send; without an error it was delivered. `late`: it had been reported as hung before. `ids`:
    what the provider calls it."""

    due: Send
    error: ChannelError | None
    problems: tuple[str, ...] = ()
    late: bool = False
    ids: tuple[str, ...] = ()


class _Running:
    def __init__(self, due: Send, started: float) -> None:
        self.due = due
        self.started = started
        self.hung = False


class SenderPool:
    """Used by one thread, the dispatcher's. `clock.monotonic` measures how long a send takes."""

    def __init__(
        self, channels: Mapping[str, Channel], clock: Clock, *, workers: int = WORKERS, limit: float = LIMIT_SECONDS
    ) -> None:
        self._channels = channels
        self._clock = clock
        self._workers = workers
        self._limit = limit
        self._lanes: dict[str, SimpleQueue[tuple[_Running, Prepare] | None]] = {}
        self._threads: dict[str, int] = dict.fromkeys(channels, 0)
        self._running: dict[str, list[_Running]] = {name: [] for name in channels}
        self._done: SimpleQueue[tuple[_Running, Result]] = SimpleQueue()

    def add(self, channels: Mapping[str, Channel]) -> None:
        """Channels that people.yaml names since it was edited."""
        self._channels = {**self._channels, **channels}
        for name in channels:
            self._threads.setdefault(name, 0)
            self._running.setdefault(name, [])

    def room(self, channel: str, besides: int = 0) -> Capacity:
        """`besides`: sends that are about to be put there."""
        if channel not in self._channels:
            return Capacity.MISSING
        running = self._running[channel]
        if len(running) + besides < self._workers:
            return Capacity.FREE
        stuck = len(running) >= self._workers and all(one.hung for one in running)
        return Capacity.STUCK if stuck else Capacity.FULL

    @property
    def busy(self) -> bool:
        """Whether any send may still come back in time."""
        return any(not one.hung for running in self._running.values() for one in running)

    def put(self, due: Send, prepare: Prepare) -> None:
        """Start a send; the channel must have room."""
        name = due.contact.channel
        running = _Running(due, self._clock.monotonic())
        lane = self._lanes.setdefault(name, SimpleQueue())
        if self._threads[name] <= len(self._running[name]):
            label = f"send-{name}-{self._threads[name] + 1}"
            threading.Thread(target=self._work, args=(name, lane), name=label, daemon=True).start()
            self._threads[name] += 1
        self._running[name].append(running)
        lane.put((running, prepare))

    def results(self, timeout: float = 0.0) -> list[Result]:
        """What came back, and what did not in time, waiting at most `timeout` seconds for the first."""
        out: list[Result] = []
        try:
            while True:
                wait = timeout if not out else 0.0
                running, result = self._done.get(timeout=wait) if wait > 0 else self._done.get_nowait()
                self._running[running.due.contact.channel].remove(running)
                out.append(replace(result, late=running.hung))
        except Empty:
            pass
        return out + self._hung()

    def close(self) -> None:
        """Let idle threads end; those in a send are left alone."""
        for name, lane in self._lanes.items():
            for _ in range(self._threads[name]):
                lane.put(None)

    def _hung(self) -> list[Result]:
        out = []
        for running in (one for lane in self._running.values() for one in lane):
            if not running.hung and self._clock.monotonic() - running.started > self._limit:
                running.hung = True
                out.append(Result(running.due, ChannelError(FailureReason.HUNG, permanent=False)))
        return out

    def _work(self, name: str, lane: SimpleQueue[tuple[_Running, Prepare] | None]) -> None:
        while (job := lane.get()) is not None:
            running, prepare = job
            self._done.put((running, self._try(running.due, prepare, self._channels[name])))

    def _try(self, due: Send, prepare: Prepare, channel: Channel) -> Result:
        """A channel's defect must end neither its thread nor the alert."""
        try:
            deliver, problems = prepare(channel)
        except ChannelError as error:
            return Result(due, error)
        except Exception as error:
            # Nothing has left, and the same again would fail the same.
            return Result(due, _defect(due, error, FailureReason.DEFECT))
        try:
            ids = deliver()
        except ChannelError as error:
            return Result(due, error, problems)
        except Exception as error:
            return Result(due, _defect(due, error, FailureReason.DEFECT_IN_SENDING), problems)
        return Result(due, None, problems, ids=ids)


def _defect(due: Send, error: Exception, reason: FailureReason) -> ChannelError:
    """Logged by its name and place: its words may hold a secret."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
    log.error("dispatch: %s on the channel %s: %s; report it", reason.value, due.contact.channel, where)
    return ChannelError(reason, permanent=reason is FailureReason.DEFECT)
