"""The times of records: the clock's, never before a time that the partition has already."""

from __future__ import annotations

import threading
from collections.abc import Set

from kafka import OffsetSpec

from listener.bus.kafka.cluster import Cluster
from listener.bus.protocol import TopicPartition
from listener.clock import Clock
from listener.units import to_ms


class Stamps:
    """Thread-safe. Asks for a partition's newest time once; writers on other machines may differ by their clocks."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._lock = threading.Lock()
        self._newest: dict[TopicPartition, int] = {}

    def take(self, tps: Set[TopicPartition]) -> dict[TopicPartition, int]:
        """A time for what is written to these partitions now, in ms."""
        unknown = [tp for tp in tps if tp not in self._newest]
        found = self._cluster.offsets(unknown, OffsetSpec.MAX_TIMESTAMP)
        now = to_ms(self._clock.now())
        with self._lock:
            for tp in tps:
                self._newest[tp] = max(now, self._newest.get(tp, 0), found.get(tp, (0, 0))[1])
            return {tp: self._newest[tp] for tp in tps}
