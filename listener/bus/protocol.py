"""The bus: the only thing that stages share. One small protocol, several implementations.

The unit is a **record**: topic, partition, offset, key, value (bytes; None is a tombstone), time in milliseconds
since the epoch. Within a partition offsets grow, not always by one, and times never run back (writers on machines whose
clocks differ may write times that differ by as much; who reads them in order sees none before the last).

The heart is a **transaction**: the records a stage publishes and the offsets it commits become visible together
or not at all. A member of a consumer group that was replaced or timed out is *fenced*: its transaction raises
`Fenced` and writes nothing.

Why a protocol of our own and not Kafka's client with a fake behind it: most hospitals' first machine is one machine,
and a broker that must be woken at night is one more thing that can be down. Why so small: every word here has to mean
the same on SQLite and on Kafka, and `tests/contract` holds both to it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from listener.errors import BusError, ConfigError, TooLarge

if TYPE_CHECKING:
    from pathlib import Path

    from listener.bus.stats import BusStats
    from listener.clock import Clock
    from listener.model.topics import TopicSpec
    from listener.settings.kafka import KafkaSettings

BUSES: Mapping[str, str] = {
    "embedded": "listener.bus.sqlite.bus:EmbeddedBus",
    "kafka": "listener.bus.kafka.bus:KafkaBus",
}
"""URL scheme → class."""


MAX_BYTES = 1_000_000
"""The largest record, key and value together. What Kafka takes by default, less what it puts around it; and the same
on every bus, so that nothing that one has taken is too large for another."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int


METADATA_CHARS = 4_000


class Commit(NamedTuple):
    """Where a group goes on in a partition, with up to `METADATA_CHARS` characters of its own beside it."""

    offset: int
    metadata: str = ""


def check_metadata(commits: Mapping[TopicPartition, Commit]) -> None:
    """Raises BusError when more stands beside one of them than every bus can keep."""
    long = max((len(commit.metadata) for commit in commits.values()), default=0)
    if long > METADATA_CHARS:
        raise BusError(f"{long} characters beside a commit; {METADATA_CHARS} is the most")


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be. Without a partition the key chooses it (`partition_of`)."""

    topic: str
    key: str
    value: bytes | None
    partition: int | None = None


class Link(NamedTuple):
    """A record to be of a hash chain."""

    key: str
    value: bytes


class Record(NamedTuple):
    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    time_ms: int

    @property
    def tp(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)

    @property
    def where(self) -> str:
        return f"{self.topic}/{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class TopicInfo:
    name: str
    partitions: int
    records: int
    """On Kafka at most so many: the offsets between its ends, which compaction and transactions' markers took too."""
    oldest_ms: int | None
    newest_ms: int | None


class Consumer(Protocol):
    """Reads records in partition order; with a group it shares the topics' partitions with the other members."""

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        """Up to `limit` records, waiting at most `timeout` seconds for the first. Assignments change only in here.

        A reader by itself that gets nothing with a `timeout` of 0 has read all that is there, what this process wrote
        included. A cluster that is away raises BusError within seconds.
        """

    @property
    def assignment(self) -> frozenset[TopicPartition]: ...

    def committed(self, tp: TopicPartition) -> Commit | None:
        """What the group last committed there."""

    def position(self, tp: TopicPartition) -> int:
        """The offset that the next poll would give."""

    def seek(self, tp: TopicPartition, offset: int) -> None: ...

    def close(self) -> None:
        """Leave the group, so that others take over at once."""


class UnitOfWork(Protocol):
    """Records that are written together or not at all: to the bus, or to disk while the bus is away."""

    def publish(self, message: Message) -> None: ...

    def on_commit(self, then: Callable[[], None]) -> None:
        """Call this once all of it is written, in the order of asking; never when leaving raises."""


class Transaction(UnitOfWork, Protocol):
    def commit(self, consumer: Consumer, commits: Mapping[TopicPartition, Commit]) -> None:
        """The consumer's group goes on from these offsets, once this transaction is done."""

    def hold(self, lease: Lease) -> None:
        """Only while we hold this lease, the one of its transaction: else leaving raises Fenced and writes nothing."""


class Lease(Protocol):
    """One holder at a time. A holder that did not renew in time has lost it to the next who asks."""

    def renew(self) -> bool:
        """True while we hold it, having got it just now included.

        False at least once when another held it meanwhile, free or not: what we know is out of date.
        """

    def release(self) -> None: ...


class Placer(Protocol):
    """Puts records where they stood on another bus, into partitions that nobody writes to meanwhile."""

    def place(self, tp: TopicPartition, records: Sequence[Record], end: int) -> None:
        """Append these at their own offsets and times; the next one is to stand at `end`. Raises BusError."""


class Bus(Protocol):
    """Safe to use from several threads; consumers and transactions belong to one thread each."""

    @property
    def counts(self) -> BusStats:
        """What went on underneath in this process, for the metrics."""

    def ensure(self, specs: Iterable[TopicSpec]) -> None:
        """Make the topics that are missing. Raises ConfigError with the fix when one there is not as it must be."""

    def partitions(self, topic: str) -> int: ...

    def topics(self) -> list[TopicInfo]: ...

    def publish(self, messages: Sequence[Message]) -> list[int]:
        """All or nothing, durable as the topics ask. The offsets, in order."""

    def transaction(self, writer: str) -> AbstractContextManager[Transaction]:
        """`writer` is the transactional id: one stage instance. Leaving with an exception writes nothing.

        Where a cluster went away in the middle of a commit, so that nobody knows whether it took effect, a transaction
        that commits offsets or holds a lease raises Fenced: to begin again from what the bus says is right either way.
        """

    def append_after(self, topic: str, make: Callable[[Record | None], Sequence[Link]]) -> list[Record]:
        """Append one or more records made from the topic's last one, none in between, all or nothing: for hash chains.

        The topic has one partition, and nothing else may write to it. `make` may be called more than once, when another
        appended first.
        """

    def placing(self) -> AbstractContextManager[Placer]:
        """For copying a bus."""

    def consumer(
        self,
        topics: Sequence[str],
        *,
        group: str,
        member: str,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None = None,
    ) -> Consumer:
        """Join a group. Starts at the committed offset, else the beginning.

        `member` is static: the same name again replaces its former holder at once, and fences it.
        `on_assign` is called inside `poll` with the new assignment, before any record of it; it may seek.
        """

    def reader(self, topics: Sequence[str], *, start: int | datetime | None = 0) -> Consumer:
        """Read by oneself, without a group: from the beginning (0), from a time, or from the end (None)."""

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `offset` on, without waiting."""

    def begin_offset(self, tp: TopicPartition) -> int: ...

    def end_offset(self, tp: TopicPartition) -> int:
        """No record that can be read now stands there or behind; the next one will."""

    def offset_at(self, tp: TopicPartition, time: datetime) -> int:
        """The first offset whose time is at or after `time`; the end when there is none."""

    def groups(self) -> list[str]:
        """Those that have committed anything."""

    def commits(self, group: str) -> Mapping[TopicPartition, Commit]:
        """Where a group goes on, seen from outside it."""

    def put_commits(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        """The group goes on from there. Raises BusError while it has members, who would not know."""

    def lag(self, group: str) -> Mapping[TopicPartition, int]:
        """Records that a group has not committed yet."""

    def purge(self, records: Iterable[tuple[TopicPartition, str]]) -> int:
        """Remove every record of these keys, from the bytes on disk too, and leave a tombstone for caches.

        Returns how many records went. Raises BusError when the bytes could not be overwritten. On Kafka they go when
        the brokers delete the files they have compacted, a second after this returned; followers' within `purge_lag`.
        """

    def retain(self, now: datetime) -> Mapping[str, int]:
        """Drop what is older than each topic's retention; topic → records dropped (on Kafka at most: offsets)."""

    def lease(self, name: str, holder: str, ttl: float) -> Lease: ...

    def healthy(self) -> str | None:
        """None, or the reason why the bus cannot be used now."""

    def full(self) -> str | None:
        """None, or the reason why what can wait is refused for want of room."""

    def damage(self) -> list[str]:
        """What the storage underneath finds damaged, one sentence each. Reads all of it; see
        `listener.bus.integrity`."""

    def close(self) -> None: ...


def is_too_large(message: Message) -> bool:
    # A character is four bytes at most: only a long key need be counted.
    return len(message.value or b"") + 4 * len(message.key) > MAX_BYTES


def check_size(messages: Iterable[Message]) -> None:
    """Raises TooLarge."""
    for message in messages:
        if is_too_large(message):
            size = len(message.value or b"")
            raise TooLarge(f"a record of {size} bytes for {message.topic}; {MAX_BYTES} is the most")


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, the same on every bus, machine and run."""
    return zlib.crc32(key.encode()) % partitions


def open_bus(
    url: str,
    folder: Path,
    clock: Clock,
    *,
    durable: bool = True,
    kafka: KafkaSettings | None = None,
    anew: bool = False,
) -> Bus:
    """`embedded:` → a log in `folder`; `kafka://host:9092,host2:9092` → a cluster, reached as `kafka` says.

    `durable=False` is faster and unsafe: for replays, whose bus is thrown away. `anew`: a log that was there and is
    lost is given up, instead of refused. Raises ConfigError, or Refused where a log was lost.
    """
    from listener.plugins import load
    from listener.settings.bus_address import check_url

    try:
        scheme = check_url(url)
    except ValueError as error:
        raise ConfigError(f"bus.url: {error}") from None
    rest = url.partition(":")[2]
    further: dict[str, object] = {}
    if scheme == "kafka":
        from listener.settings.kafka import KafkaSettings

        further = {"settings": kafka or KafkaSettings()}
    if anew:
        further["anew"] = True
    bus: Bus = load(BUSES[scheme])(rest, folder, clock, durable=durable, **further)
    return bus
