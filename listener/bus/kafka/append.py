"""Appending to a hash chain: each record made from the one before, with none in between, whoever else appends.

All who append to a topic do so under one transactional id, so that beginning fences the others and settles what they
left open; whoever was fenced begins again. While nobody fences us the last record is the one we wrote.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from listener.bus.kafka.cluster import Cluster, Stamps
from listener.bus.kafka.writer import TRANSACTION_SECONDS, Put, Taken, Unsure, Writer
from listener.bus.protocol import Record, TopicPartition
from listener.errors import BusError

APPEND_SECONDS = 30.0
BACKOFF_SECONDS = 0.15
"""Longer than it takes to begin and append once: who was fenced lets the one who did it finish."""
LONGEST_BACKOFF_SECONDS = 2.0
SETTLE_SECONDS = 0.02


class ChainAppender:
    """Thread-safe."""

    def __init__(self, cluster: Cluster, stamps: Stamps, tp: TopicPartition) -> None:
        self._cluster = cluster
        self._stamps = stamps
        self._tp = tp
        self._writer = Writer(cluster, f"append-{tp.topic}")
        self._lock = threading.Lock()
        self._last: Record | None = None

    def append(
        self,
        key: str,
        make: Callable[[Record | None], bytes],
        find_last: Callable[[TopicPartition], Record | None],
    ) -> Record:
        """Raises BusError when it is away, or others append without end; and whatever `make` raises."""
        deadline = time.monotonic() + APPEND_SECONDS
        backoff = BACKOFF_SECONDS
        tried: Record | None = None
        with self._lock:
            while True:
                fresh = not self._writer.began
                if fresh:
                    self._writer.begin()
                    self._await_settled()
                    self._last = find_last(self._tp)
                    if tried and self._last and (tried.key, tried.value) == (self._last.key, self._last.value):
                        return self._last
                tried = self._made(key, make(self._last))
                try:
                    (offset,) = self._writer.write([Put(self._tp, key, tried.value, tried.time_ms)])
                except BusError as error:
                    self._writer.drop()
                    # Fenced, or what the producer knew went out of date: in both cases to be begun anew.
                    if time.monotonic() > deadline or (fresh and not isinstance(error, Taken | Unsure)):
                        raise
                    self._cluster.counts.retries[self._tp.topic] += 1
                    self._cluster.closed.wait(backoff * random.uniform(0.5, 1.5))  # noqa: S311
                    backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
                else:
                    self._last = Record(*self._tp, offset, key, tried.value, tried.time_ms)
                    return self._last

    def _made(self, key: str, value: bytes) -> Record:
        return Record(*self._tp, -1, key, value, self._stamps.take({self._tp})[self._tp])

    def _await_settled(self) -> None:
        """Nobody's open transaction may hide the last record."""
        deadline = time.monotonic() + TRANSACTION_SECONDS * 1.5
        while self._cluster.ends([self._tp]) != self._cluster.ends([self._tp], committed=False):
            if time.monotonic() > deadline:
                raise BusError(f"{self._tp.topic}: a transaction there does not end; who else writes to it?")
            self._cluster.closed.wait(SETTLE_SECONDS)

    def close(self) -> None:
        self._writer.close()
