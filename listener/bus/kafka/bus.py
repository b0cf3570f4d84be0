"""The bus on Apache Kafka. Partitions, groups, transactions, fencing and compaction are Kafka's own.

`client` is what we need of kafka-python beyond its interface, `cluster` is the connection, `topics` makes and checks
topics and says what keys compaction sees, `writer` writes, of `batches` and in `transactions` that go over
`protocol_client` where the cluster is of today, `readers` and `members` read, `lease` makes one holder of
many, `append` appends to hash chains, `placing` copies a bus onto Kafka, `groups` shows and places groups from outside,
`purge` deletes.

What is Kafka's way and not the embedded bus's: markers of transactions take offsets too, so that a partition's records
do not stand at consecutive ones; counts that would need reading a whole topic are the offsets between its ends;
purged content goes when the broker has compacted its segment. See `listener.bus.protocol`.
"""

from __future__ import annotations

import threading
import time
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from operator import methodcaller
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kafka import OffsetSpec

from listener.bus.history import ClusterHistory
from listener.bus.kafka import groups
from listener.bus.kafka import topics as making
from listener.bus.kafka.append import ChainAppender
from listener.bus.kafka.batches import Put
from listener.bus.kafka.cluster import Cluster, Stamps
from listener.bus.kafka.lease import KafkaLease
from listener.bus.kafka.members import Member
from listener.bus.kafka.placing import Placer
from listener.bus.kafka.purge import purge
from listener.bus.kafka.readers import GATHER_FEW_SECONDS, GATHER_SECONDS, Reader
from listener.bus.kafka.topics import stored
from listener.bus.kafka.transactions import GroupCommit
from listener.bus.kafka.writer import Single, Taken, Unsure, Writer
from listener.bus.protocol import (
    Commit,
    Link,
    Message,
    Record,
    TopicInfo,
    TopicPartition,
    check_size,
    partition_of,
)
from listener.bus.stats import BusStats
from listener.bus.transaction import CollectedTransaction
from listener.clock import Clock
from listener.errors import BusError, Fenced, LyttepostError, Refused
from listener.model.topics import TopicSpec
from listener.units import to_ms

if TYPE_CHECKING:
    from listener.settings.kafka import KafkaSettings

KafkaTransaction = CollectedTransaction[Member, KafkaLease]
R = TypeVar("R", bound=Reader)

LOOK_MS = 10
HEALTH_SECONDS = 2.0
FIRST = "control"
"""The topic that is kept for ever: where it is missing, all is lost."""
_FEW = frozenset({"control", "alerts", "decisions", "deliveries"})
"""Topics on which little is written, for which people wait."""
PACE_SECONDS = 0.1
"""Of one worker's transactions, from one's beginning to the next. Shorter costs more processor time than it saves."""


class KafkaBus:
    """`rest` is `//host:9092,host2:9092?prefix=…`. Every write is durable.

    `folder` is where it is remembered that there was one (see `listener.bus.history`); `anew`: that is given up.
    """

    def __init__(
        self, rest: str, folder: Path, clock: Clock, *, durable: bool, settings: KafkaSettings, anew: bool = False
    ) -> None:
        self.clock = clock
        self.cluster = Cluster(rest, settings)
        self._history = ClusterHistory(self.cluster.prefix, folder)
        self._anew = anew
        self._stamps = Stamps(self.cluster, clock)
        self._single = Single(self.cluster)
        self._many = Writer(self.cluster, f"publish-{uuid.uuid4().hex}")
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._looker: Reader | None = None
        self._lag = groups.Lag(self.cluster)
        self._writers: dict[str, Writer] = {}
        self._chains: dict[str, ChainAppender] = {}
        self._partitions: dict[str, int] = {}
        self._specs: dict[str, TopicSpec] = {}
        self._readers: weakref.WeakSet[Reader | KafkaLease] = weakref.WeakSet()
        self._groups: dict[str, set[str]] = {}
        self._probe: Future[str | None] | None = None

    @property
    def counts(self) -> BusStats:
        return self.cluster.counts

    # --- topics ------------------------------------------------------------------------------------------------

    def ensure(self, specs: Iterable[TopicSpec]) -> None:
        """Make what is missing. Raises ConfigError with the fix when a topic is not as it must be.

        Raises Refused when the commands are gone that this data folder has known.
        """
        specs = list(specs)
        made = making.ensure(self.cluster, specs, self._lost)
        if FIRST in made:
            self._history.remember()
        self._partitions |= made
        self._specs |= {spec.name: spec for spec in specs}

    def _lost(self, topic: str) -> Refused | None:
        if topic != FIRST or self._anew or not self._history.is_remembered():
            return None
        return self._history.lost(self.cluster.name(topic), self.cluster.hosts)

    def partitions(self, topic: str) -> int:
        if topic not in self._partitions:
            self._partitions = making.found(self.cluster)
        if topic not in self._partitions:
            known = ", ".join(sorted(self._partitions)) or "none"
            raise BusError(f"kafka {self.cluster.hosts}: no topic {topic!r}; topics: {known}")
        return self._partitions[topic]

    def topics(self) -> list[TopicInfo]:
        self._partitions = making.found(self.cluster)
        return [making.info(self.cluster, name, self._tps([name]), self.read) for name in sorted(self._partitions)]

    def _tps(self, topics: Iterable[str]) -> list[TopicPartition]:
        return [TopicPartition(topic, number) for topic in topics for number in range(self.partitions(topic))]

    def _check(self, tp: TopicPartition) -> None:
        if not 0 <= tp.partition < self.partitions(tp.topic):
            raise BusError(f"kafka {self.cluster.hosts}: topic {tp.topic} has no partition {tp.partition}")

    # --- writing -----------------------------------------------------------------------------------------------

    def publish(self, messages: Sequence[Message]) -> list[int]:
        puts = self._puts(messages)
        if not puts:
            return []
        if len(puts) == 1:
            return [self._single.put(puts[0])]
        try:
            return self._many.write(puts, insist=True)
        except Taken as error:
            # Nobody else writes under this name: the broker's patience was over, and nothing was written.
            raise BusError(str(error)) from None

    @contextmanager
    def transaction(self, writer: str) -> Iterator[KafkaTransaction]:
        transaction = KafkaTransaction(Member, KafkaLease)
        yield transaction
        began, writes = time.monotonic(), bool(transaction.messages or transaction.commits)
        if writes:
            self._commit(writer, transaction)
        transaction.written()
        if writes:
            # A transaction costs the same whatever it holds: let posts gather for the next one.
            self.cluster.closed.wait(max(0.0, began + PACE_SECONDS - time.monotonic()))

    def _commit(self, writer: str, transaction: KafkaTransaction) -> None:
        lease = transaction.lease
        if lease is not None:
            lease.check()
        for member, commits in transaction.commits:
            if not commits.keys() <= member.assignment:
                member.fence(by_namesake=False)
                raise Fenced(f"{member.member} lost its place in group {member.group}")
        groups = [GroupCommit(m.place, commits, m.await_settled) for m, commits in transaction.commits if commits]
        under = self._under(writer, transaction)
        try:
            under.write(self._puts(transaction.messages), groups, insist=lease is None)
        except (Taken, Unsure) as error:
            by_namesake = isinstance(error, Taken) and error.by_namesake
            for member, _ in transaction.commits:
                member.fence(by_namesake=by_namesake)
            if lease is not None:
                lease.lost()
            if isinstance(error, Unsure) and (groups or lease is not None):
                # What the log says is then what happened; to begin again from it is right either way.
                raise Fenced(str(error)) from None
            raise

    def _under(self, name: str, transaction: KafkaTransaction) -> Writer:
        """Under whose transactional id: the one that Kafka fences together with what the transaction rests on."""
        if transaction.lease is not None:
            return transaction.lease.writer
        if len(transaction.commits) == 1:
            return transaction.commits[0][0].writer
        with self._lock:
            return self._writers.get(name) or self._writers.setdefault(name, Writer(self.cluster, name))

    def _puts(self, messages: Sequence[Message]) -> list[Put]:
        check_size(messages)
        places = []
        for message in messages:
            number = message.partition
            if number is None:
                number = partition_of(message.key, self.partitions(message.topic))
            places.append(TopicPartition(message.topic, number))
        for tp in set(places):
            self._check(tp)
        times = self._stamps.take(set(places))
        return [
            Put(tp, stored(tp.topic, m.key, m.value), m.value, times[tp])
            for tp, m in zip(places, messages, strict=True)
        ]

    def append_after(self, topic: str, make: Callable[[Record | None], Sequence[Link]]) -> list[Record]:
        tp = TopicPartition(topic, 0)
        self._check(tp)
        with self._lock:
            chain = self._chains.get(topic) or self._chains.setdefault(
                topic, ChainAppender(self.cluster, self._stamps, tp)
            )
        return chain.append(make, self.last)

    def placing(self) -> Placer:
        return Placer(self.cluster)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]:
        end = self.end_offset(tp)
        # Elsewhere it need not be asked: who wants what was dropped is given what comes after.
        start = offset if offset > 0 else self.begin_offset(tp)
        with self._looking:
            return list(islice(self._look().each(tp, start, end, limit), limit))

    def _look(self) -> Reader:
        if self._looker is None:
            self._looker = self._opened(Reader(self.cluster, {}, fetch_max_wait_ms=LOOK_MS))
        return self._looker

    def last(self, tp: TopicPartition) -> Record | None:
        """The last record there. Markers of transactions may stand behind it."""
        begin, end = self.begin_offset(tp), self.end_offset(tp)
        step = 8
        start = end
        while start > begin:
            start = max(begin, start - step)
            if records := self.read(tp, start, step * 2):
                while more := self.read(tp, records[-1].offset + 1, step * 2):
                    records = more
                return records[-1]
            step *= 8
        return None

    def consumer(
        self,
        topics: Sequence[str],
        *,
        group: str,
        member: str,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None = None,
    ) -> Member:
        for topic in topics:
            self.partitions(topic)
        self._groups.setdefault(group, set()).update(topics)
        return self._opened(Member(self.cluster, topics, group, member, on_assign))

    def reader(self, topics: Sequence[str], *, start: int | datetime | None = 0) -> Reader:
        tps = self._tps(topics)
        if start is None:
            positions = self.cluster.ends(tps)
        elif isinstance(start, datetime):
            positions = self._offsets_at(tps, start)
        else:
            positions = {tp: max(start, begin) for tp, begin in self.cluster.begins(tps).items()}
        gather = GATHER_FEW_SECONDS if _FEW.issuperset(topics) else GATHER_SECONDS
        return self._opened(Reader(self.cluster, positions, gather=gather))

    def _opened(self, reader: R) -> R:
        self._readers.add(reader)
        return reader

    def begin_offset(self, tp: TopicPartition) -> int:
        self._check(tp)
        return self.cluster.begins([tp])[tp]

    def end_offset(self, tp: TopicPartition) -> int:
        self._check(tp)
        return self.cluster.ends([tp])[tp]

    def offset_at(self, tp: TopicPartition, time: datetime) -> int:
        self._check(tp)
        return self._offsets_at([tp], time)[tp]

    def _offsets_at(self, tps: list[TopicPartition], time: datetime) -> dict[TopicPartition, int]:
        # The ends first: where nothing is so late, what is written meanwhile stands behind them and counts as later.
        ends = self.cluster.ends(tps)
        found = self.cluster.offsets(tps, max(0, to_ms(time)))
        return {tp: ends[tp] if found[tp][0] < 0 else found[tp][0] for tp in tps}

    def groups(self) -> list[str]:
        return groups.names(self.cluster)

    def commits(self, group: str) -> Mapping[TopicPartition, Commit]:
        return groups.commits(self.cluster, group)

    def put_commits(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        groups.put(self.cluster, group, commits)

    def lag(self, group: str) -> Mapping[TopicPartition, int]:
        places = self.commits(group)
        topics = {tp.topic for tp in places} | self._groups.get(group, set())
        with self._looking:
            return self._lag.of(places, self._tps(sorted(topics)), self._look)

    # --- deleting ----------------------------------------------------------------------------------------------

    def purge(self, records: Iterable[tuple[TopicPartition, str]]) -> int:
        wanted: dict[TopicPartition, set[str]] = {}
        for tp, key in records:
            self._check(tp)
            wanted.setdefault(tp, set()).add(key)
        return purge(self.cluster, self._stamps, wanted) if wanted else 0

    def retain(self, now: datetime) -> Mapping[str, int]:
        """The broker drops whole segments by itself; this drops to the record."""
        gone: dict[str, int] = {}
        for name, spec in self._specs.items():
            if spec.keep is None:
                continue
            tps = self._tps([name])
            begins, until = self.cluster.begins(tps), self._offsets_at(tps, now - spec.keep)
            drop = {self.cluster.at(tp): until[tp] for tp in tps if until[tp] > begins[tp]}
            if drop:
                self.cluster.ask("drop what is too old", methodcaller("delete_records", drop))
            gone[name] = sum(max(0, until[tp] - begins[tp]) for tp in tps)
        return gone

    # --- leases and health -------------------------------------------------------------------------------------

    def lease(self, name: str, holder: str, ttl: float) -> KafkaLease:
        found = KafkaLease(self.cluster, self.clock, name, holder, ttl)
        self._readers.add(found)
        return found

    def healthy(self) -> str | None:
        """Whether every partition has a leader that answers. A broker that is frozen holds up only the question."""
        with self._lock:
            if self._probe is None or self._probe.done():
                self._probe = Future()
                threading.Thread(target=self._ask_all, args=[self._probe], name="kafka-health", daemon=True).start()
            probe = self._probe
        try:
            return probe.result(HEALTH_SECONDS)
        except TimeoutError:
            return f"kafka {self.cluster.hosts}: no answer in {HEALTH_SECONDS:.0f} s; are the brokers up and reachable?"

    def _ask_all(self, probe: Future[str | None]) -> None:
        try:
            self.cluster.offsets(self._tps(self._partitions or making.found(self.cluster)), OffsetSpec.LATEST)
        except Exception as error:
            probe.set_result(str(error) if isinstance(error, LyttepostError) else type(error).__name__)
        else:
            probe.set_result(None)

    def full(self) -> str | None:
        """Its room is its administrators' care."""
        return None

    def damage(self) -> list[str]:
        """Brokers and clients check the sum of every batch as they read it: what is damaged cannot be read."""
        return []

    def close(self) -> None:
        if self.cluster.closed.is_set():
            return
        for reader in list(self._readers):
            try:
                reader.close()
            except LyttepostError:
                continue
        writing: list[Writer | ChainAppender | Single] = [*self._writers.values(), *self._chains.values()]
        for writer in (*writing, self._many, self._single):
            writer.close()
        self.cluster.close()
