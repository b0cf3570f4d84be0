"""Forgetting on Kafka: a tombstone for each key, and the broker made to compact what lies before it, now.

Readers obey the tombstone at once. The bytes go when the broker rolls the segment that holds them and compacts it,
which by itself takes as long as `bus.kafka.segment` and `purge_lag` say. A purge is wanted sooner: for its duration
the topic is told to roll and compact at once, and an aborted record, which nobody reads, makes the segment roll.
That the records are gone is then seen by reading where they stood. Followers compact by themselves, within the bound.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from listener.bus.kafka.batches import Put
from listener.bus.kafka.cluster import Cluster, Stamps
from listener.bus.kafka.readers import Reader
from listener.bus.kafka.topics import FILES, alter, config_of, plain
from listener.bus.kafka.writer import Writer
from listener.bus.protocol import Record, TopicPartition
from listener.errors import BusError, ConfigError
from listener.model.topics import TOPICS
from listener.units import format_duration

PURGE_SECONDS = 60.0
LOOK_SECONDS = 0.25
ROLL_MS = 10
NOW = {"segment.ms": "1", "max.compaction.lag.ms": "1", "min.cleanable.dirty.ratio": "0"}

Places = Mapping[TopicPartition, Sequence[int]]


def purge(cluster: Cluster, stamps: Stamps, wanted: Mapping[TopicPartition, set[str]]) -> int:
    """How many records with content went. Raises BusError when the broker has not compacted them in time."""
    writer = Writer(cluster, f"purge-{uuid.uuid4().hex}")
    reader = Reader(cluster, {}, key=lambda topic, key: key, isolation_level="read_uncommitted")
    try:
        found: dict[TopicPartition, list[Record]] = {tp: [] for tp in wanted}
        looked = cluster.begins(wanted)
        first = True
        while True:
            ends = cluster.ends(wanted, committed=False)
            new = {tp: list(_of_keys(reader, tp, looked[tp], ends[tp], keys)) for tp, keys in wanted.items()}
            if not first and not any(new.values()):
                break
            # What came while the first tombstones were written is looked for once more.
            _bury(writer, stamps, wanted if first else {}, new)
            for tp, records in new.items():
                found[tp] += records
            looked, first = ends, False
        left = {tp: [record.offset for record in records] for tp, records in found.items() if records}
        if left:
            with _compacting(cluster, {tp.topic for tp in left}):
                _roll(writer, stamps, left)
                _await_gone(cluster, reader, writer, stamps, left)
        return sum(map(len, found.values()))
    finally:
        reader.close()
        writer.close()


def _of_keys(reader: Reader, tp: TopicPartition, start: int, end: int, keys: set[str]) -> Iterator[Record]:
    """Records of these keys that have content, what was never committed included."""
    for record in reader.each(tp, start, end):
        if record.value is not None and plain(tp.topic, record.key) in keys:
            yield record


def _bury(
    writer: Writer,
    stamps: Stamps,
    wanted: Mapping[TopicPartition, set[str]],
    found: Mapping[TopicPartition, Sequence[Record]],
) -> None:
    """A tombstone for each record; and for a key of which there is none, one for the readers' caches."""
    times = stamps.take(found.keys())
    endings = {tp: [record.key for record in records] for tp, records in found.items()}
    for tp, keys in wanted.items():
        endings[tp] += sorted(keys - {plain(tp.topic, key) for key in endings[tp]})
    writer.write([Put(tp, key, None, times[tp]) for tp, keys in endings.items() for key in keys], insist=True)


@contextmanager
def _compacting(cluster: Cluster, topics: set[str]) -> Iterator[None]:
    names = {cluster.name(topic): topic for topic in topics}
    try:
        alter(cluster, dict.fromkeys(names, NOW))
    except ConfigError as error:
        raise _not_yet(cluster, f"we may not alter the topic ({error})") from None
    try:
        yield
    finally:
        usual = {name: config_of(cluster, TOPICS[topic]) for name, topic in names.items()}
        alter(cluster, {name: {key: config.get(key, "0.5") for key in NOW} for name, config in usual.items()})


def _roll(writer: Writer, stamps: Stamps, places: Places) -> None:
    """An aborted tombstone in each partition, later than all before, so that it begins a new segment."""
    times = stamps.take(places.keys())
    writer.abort([Put(tp, "purged", None, times[tp] + ROLL_MS) for tp in places])


def _await_gone(cluster: Cluster, reader: Reader, writer: Writer, stamps: Stamps, places: Places) -> None:
    deadline = time.monotonic() + PURGE_SECONDS
    left = dict(places)
    again = time.monotonic() + PURGE_SECONDS / 4
    while left:
        left = {
            tp: there
            for tp, offsets in left.items()
            if (there := [o for o in offsets if any(reader.each(tp, o, o + 1, 1))])
        }
        if not left:
            break
        if time.monotonic() > deadline:
            raise _not_yet(cluster, "the broker has not compacted them yet; is its cleaner (log.cleaner) running?")
        if time.monotonic() > again:
            _roll(writer, stamps, left)
            again = deadline
        cluster.closed.wait(LOOK_SECONDS)
        cluster.check_open()
    cluster.closed.wait(FILES.total_seconds())


def _not_yet(cluster: Cluster, why: str) -> BusError:
    bound = cluster.settings.segment + cluster.settings.purge_lag
    return BusError(
        f"kafka {cluster.hosts}: the records are gone for every reader, but their bytes are still in the brokers' "
        f"files: {why}. They go within {format_duration(bound)} while posts come in; run once more to prove it"
    )
