"""Appending to a hash chain: each record made from the one before, with none in between, whoever else appends.

All who append to a topic do so under one transactional id, so that beginning fences the others and settles what they
left open; whoever was fenced begins again. While nobody fences us the last record is the one we wrote.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from listener.bus.kafka.batches import Put
from listener.bus.kafka.cluster import Cluster, Stamps
from listener.bus.kafka.writer import TRANSACTION_SECONDS, Taken, Unsure, Writer
from listener.bus.protocol import Link, Record, TopicPartition
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
        make: Callable[[Record | None], Sequence[Link]],
        find_last: Callable[[TopicPartition], Record | None],
    ) -> list[Record]:
        """Raises BusError when it is away, or others append without end; and whatever `make` raises."""
        deadline = time.monotonic() + APPEND_SECONDS
        backoff = BACKOFF_SECONDS
        tried: list[Record] = []
        with self._lock:
            while True:
                fresh = not self._writer.began
                if fresh:
                    self._writer.begin()
                    self._await_settled()
                    self._last = find_last(self._tp)
                    if tried and self._last and tried[-1][3:5] == self._last[3:5]:
                        first = self._last.offset - len(tried) + 1
                        return self._at(tried, range(first, self._last.offset + 1))
                tried = self._made(make(self._last))
                try:
                    offsets = self._writer.write([Put(self._tp, each.key, each.value, each.time_ms) for each in tried])
                except BusError as error:
                    self._writer.drop()
                    # Fenced, or what the producer knew went out of date: in both cases to be begun anew.
                    if time.monotonic() > deadline or (fresh and not isinstance(error, Taken | Unsure)):
                        raise
                    self._cluster.counts.retries[self._tp.topic] += 1
                    self._cluster.closed.wait(backoff * random.uniform(0.5, 1.5))  # noqa: S311
                    backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)
                else:
                    written = self._at(tried, offsets)
                    self._last = written[-1]
                    return written

    def _made(self, links: Sequence[Link]) -> list[Record]:
        stamp = self._stamps.take({self._tp})[self._tp]
        return [Record(*self._tp, -1, *link, stamp) for link in links]

    @staticmethod
    def _at(made: Sequence[Record], offsets: Iterable[int]) -> list[Record]:
        return [
            Record(*each.tp, offset, each.key, each.value, each.time_ms)
            for each, offset in zip(made, offsets, strict=True)
        ]

    def _await_settled(self) -> None:
        """Nobody's open transaction may hide the last record."""
        deadline = time.monotonic() + TRANSACTION_SECONDS * 1.5
        while self._cluster.ends([self._tp]) != self._cluster.ends([self._tp], committed=False):
            if time.monotonic() > deadline:
                raise BusError(f"{self._tp.topic}: a transaction there does not end; who else writes to it?")
            self._cluster.closed.wait(SETTLE_SECONDS)

    def close(self) -> None:
        self._writer.close()
