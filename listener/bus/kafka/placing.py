"""Putting records at given offsets of a partition that nobody else writes to: how a bus is copied onto Kafka.

A broker numbers what it is given, one by one, so offsets are kept by writing something for each: what was dropped from
the beginning is stood for by blanks, which are then dropped again; a hole between records, by a transaction's marker or
by records of an aborted transaction, which take offsets and are read by nobody.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from operator import methodcaller

from listener.bus.kafka.batches import Put
from listener.bus.kafka.cluster import Cluster
from listener.bus.kafka.topics import stored
from listener.bus.kafka.writer import Single, Writer
from listener.bus.protocol import Record, TopicPartition
from listener.errors import BusError

BLANKS = 50_000
SETTLE_SECONDS = 15.0
LOOK_SECONDS = 0.01


class Placer:
    """One thread, in a `with`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._plain = Single(cluster)
        self._marked = Writer(cluster, f"copy-{uuid.uuid4().hex}")

    def __enter__(self) -> Placer:
        return self

    def __exit__(self, *exception: object) -> None:
        self._plain.close()
        self._marked.close()

    def place(self, tp: TopicPartition, records: Sequence[Record], end: int) -> None:
        """Append these at their own offsets and times; the partition then ends at `end`. Raises BusError."""
        at = self._end(tp)
        first = records[0].offset if records else end
        if at == 0 and first > 0:
            at = self._skip(tp, first, records[0].time_ms if records else 0)
        for run, hole in _runs(records, end):
            if run[0].offset != at:
                raise BusError(f"{tp.topic}/{tp.partition}: is at {at} where {run[0].offset} is to stand; who writes?")
            plain, last = (run[:-1], run[-1:]) if hole == 1 else (run, run[:0])
            self._took(tp, self._plain.put_all(list(map(_put, plain))), plain)
            if last:
                self._took(tp, self._marked.write(list(map(_put, last))), last)
            else:
                self._fill(tp, hole, run[-1].time_ms)
            at = run[-1].offset + 1 + hole
            self._settle(tp, at)

    def _skip(self, tp: TopicPartition, offset: int, time_ms: int) -> int:
        left = offset
        while left:
            count = min(left, BLANKS)
            self._plain.put_all([Put(tp, "", None, time_ms)] * count)
            left -= count
        place = {self._cluster.at(tp): offset}
        self._cluster.ask("drop blanks", methodcaller("delete_records", place))
        return self._end(tp)

    def _fill(self, tp: TopicPartition, hole: int, time_ms: int) -> None:
        """A hole of one is left to a marker behind what stands before it; see `place`."""
        while hole > 1:
            # What is left must not be one.
            count = hole if hole <= BLANKS else min(BLANKS, hole - 2)
            self._marked.abort([Put(tp, "", None, time_ms)] * (count - 1))
            hole -= count

    def _took(self, tp: TopicPartition, offsets: Sequence[int], records: Sequence[Record]) -> None:
        if list(offsets) != [record.offset for record in records]:
            raise BusError(f"{tp.topic}/{tp.partition}: records came to stand elsewhere; does another write to it?")

    def _end(self, tp: TopicPartition) -> int:
        return self._cluster.ends([tp], committed=False)[tp]

    def _settle(self, tp: TopicPartition, end: int) -> None:
        """Markers are written a moment after a transaction is over."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (at := self._end(tp)) != end:
            if at > end or time.monotonic() > deadline:
                raise BusError(f"{tp.topic}/{tp.partition}: ends at {at} instead of {end}; does another write to it?")
            self._cluster.closed.wait(LOOK_SECONDS)


def _runs(records: Sequence[Record], end: int) -> Iterator[tuple[Sequence[Record], int]]:
    """Records at consecutive offsets, and how many offsets are free behind them."""
    start = 0
    for n, record in enumerate(records, 1):
        reporter = records[n].offset if n < len(records) else end
        if reporter != record.offset + 1:
            yield records[start:n], reporter - record.offset - 1
            start = n
    if start < len(records):
        yield records[start:], 0


def _put(record: Record) -> Put:
    return Put(record.tp, stored(record.topic, record.key, record.value), record.value, record.time_ms)
