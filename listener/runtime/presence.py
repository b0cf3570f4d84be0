"""Following the mode within a second, and saying so each second on `presence`."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.model.incidents import Mode, Presence, State
from listener.model.roles import FOLLOW
from listener.runtime.control import Control, say_presence
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics

SAY_SECONDS = 1.0
TURN_SECONDS = 0.1
"""While a worker has not applied what was read, it is asked so often."""


class PresenceReporter:
    """Folds `control` for one process. Workers read `state` and report which epoch they have applied."""

    name = FOLLOW

    def __init__(
        self, bus: Bus, process: str, roles: Sequence[str], *, clock: Clock, metrics: Metrics, part: Part
    ) -> None:
        self._bus = bus
        self._process = process
        self._roles = tuple(roles)
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._control = Control(bus)
        self._applied: dict[str, int] = {}
        self._sources: dict[str, Mapping[str, Any]] = {}
        self._said: tuple[int, float] = (-2, float("-inf"))
        self.state: State = self._control.refresh()
        self._show()

    def joins(self, worker: str) -> None:
        """This worker must apply an epoch before the process says that it follows."""
        self._applied[worker] = -1

    def applied(self, worker: str, epoch: int) -> None:
        self._applied[worker] = epoch

    def source(self, name: str, state: Mapping[str, Any]) -> None:
        """How a source of this process is."""
        self._sources[name] = dict(state)

    def step(self, timeout: float) -> bool:
        self._part.beat()
        before = self.state.epoch
        behind = self._said[0] < before or before > min(self._applied.values(), default=before)
        self.state = self._control.refresh(min(timeout, TURN_SECONDS) if behind else timeout)
        if self.state.epoch != before:
            self._show()
        epoch = min([self.state.epoch, *self._applied.values()])
        now = self._clock.monotonic()
        if epoch != self._said[0] or now - self._said[1] >= SAY_SECONDS:
            self._say(epoch)
            self._said = epoch, now
        return self.state.epoch != before

    def close(self) -> None:
        self._say(self._said[0], leaving=True)

    def _say(self, epoch: int, *, leaving: bool = False) -> None:
        say_presence(
            self._bus,
            Presence(
                process=self._process,
                roles=self._roles,
                host=socket.gethostname(),
                pid=os.getpid(),
                epoch=epoch,
                at=self._clock.now(),
                sources=dict(self._sources),
                leaving=leaving,
            ),
        )

    def _show(self) -> None:
        self._metrics.crisis.set(self.state.mode is Mode.CRISIS)
        self._metrics.control_epoch.set(self.state.epoch)
        for exercise in (True, False):
            its = [i for i in self.state.open if i.exercise is exercise]
            label = str(exercise).lower()
            self._metrics.incidents_open.labels(label).set(len(its))
            due = min((i.review_at.timestamp() for i in its if i.review_after), default=nan)
            self._metrics.review_due.labels(label).set(due)
