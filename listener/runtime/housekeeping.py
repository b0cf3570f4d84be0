"""Housekeeping: retention each hour, and the gauges that no event moves, every ten seconds.

How the bus is and how far groups are behind is asked as often as Prometheus looks: each process asks of every group,
and to ask each second was most of what a quiet house did on a cluster. Where anything is behind, or any part of
the process has a problem, it is asked each second.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import inf, nan
from pathlib import Path

from listener.bus.protocol import Bus, TopicPartition
from listener.clock import Clock
from listener.errors import BusError
from listener.model.roles import HOUSEKEEPING
from listener.model.topics import TopicSpec
from listener.runtime.certificates import ends
from listener.runtime.health import IN_ONE_PIECE, Part
from listener.runtime.lag import lags
from listener.runtime.metrics import Metrics

GAUGES_SECONDS = 10.0
CLOSE_SECONDS = 1.0
LATE_SECONDS = 5.0
"""A group whose oldest record has waited for so long is behind; what is under way is not."""
AGES_SECONDS = 60.0
RETENTION_SECONDS = 3600.0


class Housekeeping:
    """`after_retention` is called after each retention, for views that must let go of what the bus has dropped.
    `certificates`: the name of a setting → its file."""

    name = HOUSEKEEPING

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
        after_retention: Callable[[], None] = lambda: None,
        certificates: Mapping[str, Path] | None = None,
    ) -> None:
        self._bus = bus
        self._specs = specs
        self._groups = groups
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._folder = folder
        self._after_retention = after_retention
        self._certificates = dict(certificates or {})
        self._shown: set[tuple[str, str]] = set()
        self._counted: Counter[tuple[str, str]] = Counter()
        self._done: dict[Callable[[], None], float] = {}
        self._behind = False

    def step(self, timeout: float) -> bool:
        self._part.beat()
        every = {
            self._count: CLOSE_SECONDS,
            self._gauges: CLOSE_SECONDS if self._behind or not self._part.all_well() else GAUGES_SECONDS,
            self._retain: RETENTION_SECONDS,
            self._ages: AGES_SECONDS,
            self._look_at_certificates: AGES_SECONDS,
        }
        for task, seconds in every.items():
            if self._clock.monotonic() >= self._done.get(task, -inf) + seconds:
                task()
                self._done[task] = self._clock.monotonic()
        return False

    def close(self) -> None:
        pass

    def _retain(self) -> None:
        # Where it was not done for long, or a crisis of many posts is over, there is much to overwrite.
        with self._part.takes(IN_ONE_PIECE):
            try:
                self._bus.retain(self._clock.now())
            finally:
                # Of what is kept while the bus is away, too.
                self._after_retention()

    def _gauges(self) -> None:
        problem = self._bus.healthy()
        full = self._bus.full() if problem else None
        away = problem is not None and full is None
        self._metrics.bus_up.set(not away)
        self._metrics.bus_full.set(full is not None)
        self._metrics.bus_free.set(shutil.disk_usage(self._folder).free)
        try:
            self._show_lag(away)
        except BusError as error:
            problem = problem or str(error)
        self._part.problem(problem)

    def _show_lag(self, away: bool) -> None:
        """What cannot be asked for is not known: neither nothing to do nor what it was before."""
        for group, topic in self._shown if away else ():
            self._metrics.lag.labels(group, topic).set(nan)
            self._metrics.lag_seconds.labels(group, topic).set(nan)
        self._behind = False
        for lag in () if away else lags(self._bus, self._groups, self._clock.now()):
            self._shown.add((lag.group, lag.topic))
            self._behind |= lag.seconds > LATE_SECONDS
            self._metrics.lag.labels(lag.group, lag.topic).set(lag.records)
            self._metrics.lag_seconds.labels(lag.group, lag.topic).set(lag.seconds)

    def _count(self) -> None:
        """What the bus has counted since the last time."""
        counts, metrics = self._bus.counts, self._metrics
        for of, counted in (("rebalances", counts.rebalances), ("producer_errors", counts.producer_errors)):
            for name, count in dict(counted).items():
                getattr(metrics, of).labels(name).inc(count - self._counted[of, name])
                self._counted[of, name] = count
        retries = sum(dict(counts.retries).values())
        metrics.bus_retries.inc(retries - self._counted["retries", ""])
        self._counted["retries", ""] = retries

    def _ages(self) -> None:
        for spec in self._specs:
            # Its first record and no count: a count would read the whole log each minute.
            parts = [TopicPartition(spec.name, number) for number in range(self._bus.partitions(spec.name))]
            first = [record.time_ms for tp in parts for record in self._bus.read(tp, 0, 1)]
            self._metrics.oldest_record.labels(spec.name).set(min(first) / 1000 if first else nan)
            allowed = inf if spec.keep is None else spec.keep.total_seconds()
            self._metrics.retention_allowed.labels(spec.name).set(allowed)

    def _look_at_certificates(self) -> None:
        """Read again each time: a renewed one is put in the place of the old."""
        for setting, path in self._certificates.items():
            try:
                end = ends(path).timestamp()
            except (OSError, ValueError):
                end = nan
            self._metrics.credential_ends.labels(setting).set(end)
