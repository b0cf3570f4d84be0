"""The embedded bus: an append-only log in one SQLite file. No server, several processes of one machine at once.

`store` holds the file and its connections, `partition` one partition, `groups` readers, groups and leases, `news` wakes
readers, `reserve` keeps room.

Groups are kept like Kafka's: members with a heartbeat on the machine's monotonic clock (a wall clock that jumps back
ends nobody's turn), a generation that changes with the membership, and a check of both in the transaction that
commits: who was replaced writes nothing.

Room: `reserve.bin` beside the log is given back when the disk is full, so that what wakes people can still be
written; topics that can wait get `BusFull` (see `listener.bus.sqlite.reserve`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime, timedelta
from pathlib import Path

from listener.bus.history import History
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
from listener.bus.sqlite.groups import GroupConsumer, PlainReader, RowLease, store_commits
from listener.bus.sqlite.partition import Log, Topic
from listener.bus.sqlite.reserve import RESERVE_BYTES, DiskReserve
from listener.bus.sqlite.store import Store
from listener.bus.stats import BusStats
from listener.bus.transaction import CollectedTransaction
from listener.clock import Clock, SystemClock
from listener.errors import BusError, LyttepostError
from listener.model.topics import TOPICS, TopicSpec
from listener.settings.bus_address import embedded_log
from listener.units import to_ms

EmbeddedTransaction = CollectedTransaction[GroupConsumer, RowLease]

PACE_SECONDS = 0.05
"""Of one worker's transactions, from one's beginning to the next, where the clock is the machine's. A transaction costs
the same whatever it holds: at 100 posts a second three posts in it and not one."""


class EmbeddedBus:
    """`url` may name a file; without one the log is `bus.sqlite` in `folder`. `reserve` is in bytes.

    Raises Refused where a log was lost, unless it is to begin `anew` (see `listener.bus.history`).
    """

    def __init__(
        self,
        url: str,
        folder: Path,
        clock: Clock,
        *,
        durable: bool = True,
        reserve: int = RESERVE_BYTES,
        anew: bool = False,
    ) -> None:
        path = embedded_log(url, folder)
        self.clock = clock
        self.room = DiskReserve(path.with_name("reserve.bin"), reserve) if durable else None
        history = History(path, folder) if durable else None
        self.store = Store(path, self.room, durable=durable, history=history, anew=anew)
        self._topics: dict[str, Topic] = {}
        self._logs: dict[TopicPartition, Log] = {}
        self._closed = threading.Event()
        # Where a clock is moved by hand nobody waits: in a replay each wait would be time of its own.
        self._pace = PACE_SECONDS if isinstance(clock, SystemClock) else 0.0
        try:
            self._load()
        except LyttepostError:
            self.store.close()
            raise
        if self.room:
            # Taken at the start: when it is needed it is too late to take it.
            self.room.problem()

    @property
    def counts(self) -> BusStats:
        return self.store.counts

    # --- topics ------------------------------------------------------------------------------------------------

    def ensure(self, specs: Iterable[TopicSpec]) -> None:
        """A topic that is there keeps its number of partitions, which its records are spread by."""
        wanted = [spec for spec in specs if not self._is_as(spec)]
        if wanted:
            self.store.write(lambda db: self._make(db, wanted), full=True)
            self._load()

    def _is_as(self, spec: TopicSpec) -> bool:
        made = self._topics.get(spec.name)
        return made is not None and made[1:] == Topic.of(spec)[1:]

    def _make(self, db: sqlite3.Connection, specs: list[TopicSpec]) -> None:
        for spec in specs:
            partitions, durable, compacted, keep_ms = Topic.of(spec)
            db.execute(
                "INSERT INTO topics VALUES(?,?,?,?,?) ON CONFLICT(name) DO UPDATE SET "
                "durable=excluded.durable, compacted=excluded.compacted, keep_ms=excluded.keep_ms",
                (spec.name, partitions, durable, compacted, keep_ms),
            )
            (made,) = db.execute("SELECT partitions FROM topics WHERE name=?", (spec.name,)).fetchone()
            for number in range(made):
                tp = TopicPartition(spec.name, number)
                db.execute("INSERT OR IGNORE INTO parts(topic, partition) VALUES(?,?)", tp)
                (id_,) = db.execute("SELECT id FROM parts WHERE topic=? AND partition=?", tp).fetchone()
                Log(self.store, id_, tp, compacted).create(db)

    def _load(self) -> None:
        for name, partitions, durable, compacted, keep_ms in self.store.rows(
            "SELECT name, partitions, durable, compacted, keep_ms FROM topics"
        ):
            self._topics[name] = Topic(partitions, bool(durable), bool(compacted), keep_ms)
        for id_, topic, partition in self.store.rows("SELECT id, topic, partition FROM parts"):
            tp = TopicPartition(topic, partition)
            known = self._logs.get(tp)
            if known is None or known.compacted != self._topics[topic].compacted:
                self._logs[tp] = Log(self.store, id_, tp, self._topics[topic].compacted)

    def log(self, tp: TopicPartition) -> Log:
        """Raises BusError when there is no such partition."""
        found = self._logs.get(tp)
        if found is None:
            self._load()
            found = self._logs.get(tp)
        if found is None:
            known = ", ".join(sorted(self._topics)) or "none"
            raise BusError(f"{self.store.path}: no partition {tp.partition} of a topic {tp.topic!r}; topics: {known}")
        return found

    def partitions(self, topic: str) -> int:
        if topic not in self._topics:
            self.log(TopicPartition(topic, 0))
        return self._topics[topic].partitions

    def topics(self) -> list[TopicInfo]:
        self._load()
        out = []
        for name, topic in sorted(self._topics.items()):
            parts = [self.log(TopicPartition(name, number)).summary() for number in range(topic.partitions)]
            oldest = [first for _, first, _ in parts if first is not None]
            newest = [last for _, _, last in parts if last is not None]
            records = sum(count for count, _, _ in parts)
            out.append(TopicInfo(name, topic.partitions, records, min(oldest, default=None), max(newest, default=None)))
        return out

    # --- writing -----------------------------------------------------------------------------------------------

    def publish(self, messages: Sequence[Message]) -> list[int]:
        return self._commit(messages, [])

    @contextmanager
    def transaction(self, writer: str) -> Iterator[EmbeddedTransaction]:
        transaction = EmbeddedTransaction(GroupConsumer, RowLease)
        yield transaction
        began, writes = time.monotonic(), bool(transaction.messages or transaction.commits)
        if writes:
            self._commit(transaction.messages, transaction.commits, transaction.lease)
        transaction.written()
        if writes:
            self._closed.wait(max(0.0, began + self._pace - time.monotonic()))

    def _commit(
        self,
        messages: Sequence[Message],
        commits: list[tuple[GroupConsumer, Mapping[TopicPartition, Commit]]],
        lease: RowLease | None = None,
    ) -> list[int]:
        topics = {message.topic for message in messages}
        essential = all(topic not in TOPICS or TOPICS[topic].essential for topic in topics)
        check_size(messages)
        grouped, places = self._group(messages)

        def work(db: sqlite3.Connection) -> list[int]:
            if lease is not None:
                lease.check_in(db)
            for consumer, offsets in commits:
                consumer.commit_in(db, offsets)
            now_ms = to_ms(self.clock.now())
            starts = {log: log.append(db, group, now_ms)[0] for log, group in grouped.items()}
            return [starts[log] + index for log, index in places]

        return self.store.write(work, full=self._any_durable(topics), essential=essential)

    def _group(self, messages: Sequence[Message]) -> tuple[dict[Log, list[Message]], list[tuple[Log, int]]]:
        """Messages by partition, and where each of them went: partition and place in its group."""
        grouped: dict[Log, list[Message]] = {}
        places = []
        logs = self._logs
        for message in messages:
            topic, number = message.topic, message.partition
            if number is None:
                number = partition_of(message.key, self.partitions(topic))
            tp = TopicPartition(topic, number)
            log = logs.get(tp) or self.log(tp)
            group = grouped.setdefault(log, [])
            places.append((log, len(group)))
            group.append(message)
        return grouped, places

    def _any_durable(self, topics: Iterable[str]) -> bool:
        return any(self._topics[topic].durable for topic in topics)

    def append_after(self, topic: str, make: Callable[[Record | None], Sequence[Link]]) -> list[Record]:
        log = self.log(TopicPartition(topic, 0))

        def work(db: sqlite3.Connection) -> list[Record]:
            links = make(log.last(db))
            first, stamp = log.append(db, [Message(topic, *link, 0) for link in links], to_ms(self.clock.now()))
            return [Record(topic, 0, first + n, *link, stamp) for n, link in enumerate(links)]

        return self.store.write(work, full=self._any_durable([topic]))

    def placing(self) -> AbstractContextManager[EmbeddedBus]:
        return nullcontext(self)

    def place(self, tp: TopicPartition, records: Sequence[Record], end: int) -> None:
        log = self.log(tp)
        self.store.write(lambda db: log.place(db, records, end), essential=False)

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]:
        return self.log(tp).read(offset, limit)

    def consumer(
        self,
        topics: Sequence[str],
        *,
        group: str,
        member: str,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None = None,
    ) -> GroupConsumer:
        return GroupConsumer(self, topics, group, member, on_assign)

    def reader(self, topics: Sequence[str], *, start: int | datetime | None = 0) -> PlainReader:
        return PlainReader(self, topics, start)

    def begin_offset(self, tp: TopicPartition) -> int:
        return self.log(tp).begin()

    def end_offset(self, tp: TopicPartition) -> int:
        return self.log(tp).end()

    def offset_at(self, tp: TopicPartition, time: datetime) -> int:
        return self.log(tp).offset_at(time)

    def committed(self, group: str, tp: TopicPartition) -> Commit | None:
        row = self.store.row("SELECT next, metadata FROM offsets WHERE grp=? AND part=?", (group, self.log(tp).number))
        return None if row is None else Commit(*row)

    def groups(self) -> list[str]:
        return [name for (name,) in self.store.rows("SELECT DISTINCT grp FROM offsets ORDER BY grp")]

    def commits(self, group: str) -> Mapping[TopicPartition, Commit]:
        rows = self.store.rows(
            "SELECT p.topic, p.partition, o.next, o.metadata FROM offsets o JOIN parts p ON p.id=o.part WHERE o.grp=?",
            (group,),
        )
        return {TopicPartition(topic, number): Commit(offset, said) for topic, number, offset, said in rows}

    def put_commits(self, group: str, commits: Mapping[TopicPartition, Commit]) -> None:
        def work(db: sqlite3.Connection) -> None:
            if db.execute("SELECT 1 FROM members WHERE grp=?", (group,)).fetchone():
                raise BusError(f"group {group} cannot be placed; it is at work")
            store_commits(db, group, {self.log(tp).number: commit for tp, commit in commits.items()})

        self.store.write(work, full=True)

    def lag(self, group: str) -> Mapping[TopicPartition, int]:
        commits = self.commits(group)
        read = {
            name
            for (names,) in self.store.rows("SELECT topics FROM members WHERE grp=?", (group,))
            for name in names.split()
        } | {tp.topic for tp in commits}
        tps = [TopicPartition(name, number) for name in sorted(read) for number in range(self.partitions(name))]
        starts = {tp: commits[tp].offset if tp in commits else 0 for tp in tps}
        return {tp: self.log(tp).count(starts[tp], self.end_offset(tp)) for tp in tps}

    # --- deleting ----------------------------------------------------------------------------------------------

    def purge(self, records: Iterable[tuple[TopicPartition, str]]) -> int:
        wanted: dict[Log, set[str]] = defaultdict(set)
        for tp, key in records:
            wanted[self.log(tp)].add(key)
        # The long look comes before the write, which then has only what was published meanwhile to look through.
        ends = {log: log.end() for log in wanted}
        found = {log: log.find(keys) for log, keys in wanted.items()}

        def work(db: sqlite3.Connection) -> int:
            gone = 0
            for log, keys in wanted.items():
                gone += log.empty(db, found[log] + log.find(keys, db, ends[log]))
                tombstones = [Message(log.tp.topic, key, None, log.tp.partition) for key in sorted(keys)]
                log.append(db, tombstones, to_ms(self.clock.now()))
            return gone

        gone = self.store.write(work, full=True) if wanted else 0
        # Also when there are none: a purge that was run before may have left bytes that a reader held on to.
        self.store.truncate()
        return gone

    def retain(self, now: datetime) -> Mapping[str, int]:
        self._load()
        gone: dict[str, int] = {}
        for name, topic in self._topics.items():
            if topic.keep_ms is None:
                continue
            oldest = now - timedelta(milliseconds=topic.keep_ms)
            logs = [self.log(TopicPartition(name, number)) for number in range(topic.partitions)]
            gone[name] = sum(log.delete_before(log.offset_at(oldest)) for log in logs)
        if any(gone.values()):
            self.store.truncate()
        return gone

    # --- leases and health -------------------------------------------------------------------------------------

    def lease(self, name: str, holder: str, ttl: float) -> RowLease:
        return RowLease(self, name, holder, ttl)

    def healthy(self) -> str | None:
        try:
            self.store.write(lambda db: None)
        except LyttepostError as error:
            return str(error)
        return self.store.misplaced() or self.full()

    def full(self) -> str | None:
        return self.room.problem() if self.room else None

    def damage(self) -> list[str]:
        return self.store.damage()

    def close(self) -> None:
        self._closed.set()
        self.store.close()
