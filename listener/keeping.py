"""Housekeeping: retention each hour, and the gauges that no event moves, each second."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from math import inf, nan
from pathlib import Path

from listener.bus import Bus, TopicPartition
from listener.bus.topics import TopicSpec
from listener.clock import Clock
from listener.health import Part
from listener.metrics import Metrics

GAUGES_SECONDS = 1.0
AGES_SECONDS = 60.0
RETENTION_SECONDS = 3600.0


class Keeping:
    """`forget` is called after each retention, for views that must let go of what the bus has dropped."""

    name = "keeping"

    def __init__(
        self,
        bus: Bus,
        specs: Sequence[TopicSpec],
        groups: Sequence[str],
        *,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        folder: Path,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self._bus = bus
        self._specs = specs
        self._groups = groups
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._folder = folder
        self._forget = forget
        self._due = {self._gauges: 0.0, self._retain: 0.0, self._ages: 0.0}

    def step(self, timeout: float) -> bool:
        self._part.beat()
        every = {self._gauges: GAUGES_SECONDS, self._retain: RETENTION_SECONDS, self._ages: AGES_SECONDS}
        for task, seconds in every.items():
            if self._clock.monotonic() >= self._due[task]:
                task()
                self._due[task] = self._clock.monotonic() + seconds
        return False

    def close(self) -> None:
        pass

    def _retain(self) -> None:
        self._bus.retain(self._clock.now())
        self._forget()

    def _gauges(self) -> None:
        problem = self._bus.healthy()
        self._part.problem(problem)
        self._metrics.bus_full.set(problem is not None)
        for group in self._groups:
            for tp, behind in self._bus.lag(group).items():
                self._metrics.lag.labels(group, tp.topic).set(behind)
        self._metrics.bus_free.set(shutil.disk_usage(self._folder).free)

    def _ages(self) -> None:
        for spec in self._specs:
            # Its first record and no count: a count would read the whole log each minute.
            parts = [TopicPartition(spec.name, number) for number in range(self._bus.partitions(spec.name))]
            first = [record.time_ms for tp in parts for record in self._bus.read(tp, 0, 1)]
            self._metrics.oldest_record.labels(spec.name).set(min(first) / 1000 if first else nan)
            allowed = inf if spec.keep is None else spec.keep.total_seconds()
            self._metrics.retention_allowed.labels(spec.name).set(allowed)
