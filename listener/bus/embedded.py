"""The embedded bus: an append-only log in one SQLite file. No server, several processes of one machine at once.

A record's place is one integer, `partition << 40 | offset`, so that the log is clustered by partition and an offset
is found without an index. Write-ahead logging with `synchronous=FULL` for topics that must survive a power cut and
NORMAL for the rest: all of them survive `kill -9`.

Groups are kept like Kafka's: members with a heartbeat on the machine's monotonic clock (a wall clock that jumps back
ends nobody's turn), a generation that changes with the membership, and a check of both in the transaction that
commits: who was replaced writes nothing.

Room: `reserve.bin` beside the log is given back when the disk is full, so that what wakes people can still be
written; topics that can wait get `BusFull` (see `listener.bus.room`).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from listener.bus import Commit, Message, Record, TopicInfo, TopicPartition, partition_of
from listener.bus.members import GroupConsumer, PlainReader, RowLease
from listener.bus.room import Room
from listener.bus.topics import TOPICS, TopicSpec
from listener.clock import Clock
from listener.crash import point
from listener.errors import BusError, BusFull, ConfigError
from listener.units import to_ms

SHIFT = 40
BUSY_SECONDS = 10.0
POLL_SECONDS = 0.05
"""How often another process's records are looked for; our own wake the reader at once."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS topics(
    name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, durable INTEGER NOT NULL, keep_ms INTEGER, compacted INTEGER
);
CREATE TABLE IF NOT EXISTS parts(
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 0,
    first INTEGER NOT NULL DEFAULT 0, last_ms INTEGER NOT NULL DEFAULT 0, UNIQUE(topic, partition)
);
CREATE TABLE IF NOT EXISTS log(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, key TEXT NOT NULL, value BLOB);
CREATE TABLE IF NOT EXISTS offsets(
    grp TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY(grp, part)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS members(
    grp TEXT NOT NULL, member TEXT NOT NULL, epoch INTEGER NOT NULL, topics TEXT NOT NULL, beat REAL NOT NULL,
    PRIMARY KEY(grp, member)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS groups(grp TEXT PRIMARY KEY, generation INTEGER NOT NULL, epochs INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS leases(name TEXT PRIMARY KEY, holder TEXT NOT NULL, beat REAL NOT NULL, ttl REAL NOT NULL);
"""


class EmbeddedBus:
    """`url` may name a file; without one the log is `bus.sqlite` in `folder`."""

    def __init__(self, url: str, folder: Path, clock: Clock, *, durable: bool = True) -> None:
        self.path = Path(url.removeprefix("//")).expanduser() if url.strip("/") else folder / "bus.sqlite"
        self.clock = clock
        self._durable = durable
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._lock = threading.Lock()
        self._wake = threading.Condition()
        self._parts: dict[TopicPartition, int] = {}
        self._names: dict[int, TopicPartition] = {}
        self._counts: dict[str, int] = {}
        self._durable_topics: set[str] = set()
        self._compacted: set[str] = set()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.room = Room(self.path.with_name("reserve.bin")) if durable else None
            with self.write() as db:
                for statement in SCHEMA.split(";"):
                    if statement.strip():
                        db.execute(statement)
        except (OSError, sqlite3.OperationalError) as error:
            raise ConfigError(
                f"{self.path}: the bus cannot be written there: {error}; choose a folder with --data or LYTTEPOST_DATA"
            ) from None
        except sqlite3.DatabaseError as error:
            raise BusError(f"{self.path}: is no log of ours: {error}; move it away or restore it") from None
        self._load()

    # --- connections -------------------------------------------------------------------------------------------

    @property
    def db(self) -> sqlite3.Connection:
        """This thread's connection."""
        connection: sqlite3.Connection | None = getattr(self._local, "db", None)
        if connection is None:
            connection = self._connect()
            self._local.db = connection
            with self._lock:
                self._connections.append(connection)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL" if self._durable else "PRAGMA journal_mode=MEMORY")
        connection.execute("PRAGMA synchronous=" + ("NORMAL" if self._durable else "OFF"))
        connection.execute("PRAGMA secure_delete=ON")
        connection.execute("PRAGMA journal_size_limit=16777216")
        self._local.full = False
        return connection

    @contextmanager
    def write(self, *, full: bool = False) -> Iterator[sqlite3.Connection]:
        """One immediate transaction; `full`: on disk before it returns."""
        db = self.db
        if self._durable and full != self._local.full:
            db.execute("PRAGMA synchronous=" + ("FULL" if full else "NORMAL"))
            self._local.full = full
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            point("bus.before_commit")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        point("bus.after_commit")
        with self._wake:
            self._wake.notify_all()

    def wait_for_news(self, seconds: float) -> None:
        """Until this process published something, or `seconds` are over; other processes' words are polled for."""
        with self._wake:
            self._wake.wait(min(seconds, POLL_SECONDS))

    # --- topics ------------------------------------------------------------------------------------------------

    def ensure(self, specs: Iterable[TopicSpec]) -> None:
        wanted = [spec for spec in specs if not self._known_as(spec)]
        if not wanted:
            return
        with self.write() as db:
            for spec in wanted:
                keep_ms = None if spec.keep is None else int(spec.keep.total_seconds() * 1000)
                db.execute(
                    "INSERT INTO topics VALUES(?,?,?,?,?) ON CONFLICT(name) DO UPDATE SET keep_ms=excluded.keep_ms",
                    (spec.name, spec.partitions, spec.durable, keep_ms, spec.retention == "compacted"),
                )
                (made,) = db.execute("SELECT partitions FROM topics WHERE name=?", (spec.name,)).fetchone()
                for number in range(made):
                    db.execute("INSERT OR IGNORE INTO parts(topic, partition) VALUES(?,?)", (spec.name, number))
        self._load()

    def _known_as(self, spec: TopicSpec) -> bool:
        if TopicPartition(spec.name, 0) not in self._parts:
            return False
        row = self.db.execute("SELECT keep_ms FROM topics WHERE name=?", (spec.name,)).fetchone()
        return row is not None and row[0] == (None if spec.keep is None else int(spec.keep.total_seconds() * 1000))

    def _load(self) -> None:
        for id_, topic, partition in self.db.execute("SELECT id, topic, partition FROM parts"):
            self._parts[TopicPartition(topic, partition)] = id_
            self._names[id_] = TopicPartition(topic, partition)
        for name, count, durable, compacted in self.db.execute(
            "SELECT name, partitions, durable, compacted FROM topics"
        ):
            self._counts[name] = count
            if durable:
                self._durable_topics.add(name)
            if compacted:
                self._compacted.add(name)

    def part(self, tp: TopicPartition) -> int:
        """The integer that stands for a partition in the log."""
        if tp not in self._parts:
            self._load()
        try:
            return self._parts[tp]
        except KeyError:
            raise BusError(
                f"topic {tp.topic!r} has no partition {tp.partition}; known topics: {self._known()}"
            ) from None

    def _known(self) -> str:
        return ", ".join(sorted({tp.topic for tp in self._parts})) or "none"

    def partitions(self, topic: str) -> int:
        self.part(TopicPartition(topic, 0))
        return self._counts[topic]

    def topics(self) -> list[TopicInfo]:
        out = []
        for (name,) in self.db.execute("SELECT name FROM topics ORDER BY rowid").fetchall():
            records, oldest, newest = 0, None, None
            for number in range(self.partitions(name)):
                low, high = self._range(TopicPartition(name, number))
                row = self.db.execute(
                    "SELECT count(*), min(time_ms), max(time_ms) FROM log WHERE id>=? AND id<?", (low, high)
                ).fetchone()
                records += row[0]
                oldest = row[1] if oldest is None else min(oldest, row[1] or oldest)
                newest = row[2] if newest is None else max(newest, row[2] or newest)
            out.append(TopicInfo(name, self.partitions(name), records, oldest, newest))
        return out

    def _range(self, tp: TopicPartition) -> tuple[int, int]:
        part = self.part(tp)
        return part << SHIFT, (part + 1) << SHIFT

    # --- writing -----------------------------------------------------------------------------------------------

    def publish(self, messages: Sequence[Message]) -> list[int]:
        return self._commit(list(messages), [], [])

    @contextmanager
    def transaction(self, writer: str) -> Iterator[EmbeddedTransaction]:
        transaction = EmbeddedTransaction()
        yield transaction
        if transaction.messages or transaction.commits:
            self._commit(transaction.messages, transaction.consumers, transaction.commits)

    def _commit(
        self,
        messages: list[Message],
        consumers: list[GroupConsumer],
        commits: list[tuple[str, TopicPartition, Commit]],
    ) -> list[int]:
        essential = all(m.topic not in TOPICS or TOPICS[m.topic].essential for m in messages)
        if self.room and not essential:
            self.room.check()
        try:
            return self._write_all(messages, consumers, commits)
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise BusError(f"{self.path}: {error}") from None
            if not essential or not self.room or not self.room.give():
                raise BusFull(f"{self.path}: the disk is full; make room, nothing that was written is lost") from None
            return self._write_all(messages, consumers, commits)

    def _write_all(
        self,
        messages: list[Message],
        consumers: list[GroupConsumer],
        commits: list[tuple[str, TopicPartition, Commit]],
    ) -> list[int]:
        with self.write(full=any(m.topic in self._durable_topics for m in messages)) as db:
            for consumer in consumers:
                consumer.check_in_transaction(db)
            offsets = self._append(db, messages)
            db.executemany(
                "INSERT INTO offsets VALUES(?,?,?,?) ON CONFLICT(grp, part) DO UPDATE SET "
                "next=excluded.next, metadata=excluded.metadata",
                [(group, self.part(tp), commit.offset, commit.metadata) for group, tp, commit in commits],
            )
            return offsets

    def _append(self, db: sqlite3.Connection, messages: list[Message]) -> list[int]:
        now_ms = to_ms(self.clock.now())
        grouped: dict[int, list[Message]] = defaultdict(list)
        places: list[tuple[int, int]] = []
        for message in messages:
            count = self.partitions(message.topic) if message.partition is None else 0
            number = partition_of(message.key, count) if message.partition is None else message.partition
            part = self.part(TopicPartition(message.topic, number))
            places.append((part, len(grouped[part])))
            grouped[part].append(message)
        starts: dict[int, int] = {}
        for part, group in grouped.items():
            start, last_ms = db.execute("SELECT next, last_ms FROM parts WHERE id=?", (part,)).fetchone()
            stamp = max(now_ms, last_ms)
            starts[part] = start
            if group[0].topic in self._compacted:
                low = part << SHIFT
                db.executemany(
                    "DELETE FROM log WHERE id>=? AND id<? AND key=?",
                    [(low, low + (1 << SHIFT), key) for key in {m.key for m in group}],
                )
            base = (part << SHIFT) + start
            db.executemany(
                "INSERT INTO log VALUES(?,?,?,?)", [(base + i, stamp, m.key, m.value) for i, m in enumerate(group)]
            )
            db.execute("UPDATE parts SET next=?, last_ms=? WHERE id=?", (start + len(group), stamp, part))
        return [starts[part] + index for part, index in places]

    def append_after(self, topic: str, key: str, make: Callable[[Record | None], bytes]) -> Record:
        tp = TopicPartition(topic, 0)
        try:
            return self._append_after(tp, key, make)
        except sqlite3.OperationalError as error:
            if not _is_full(error):
                raise BusError(f"{self.path}: {error}") from None
            if not self.room or not self.room.give():
                raise BusFull(f"{self.path}: the disk is full, the reserve too; make room") from None
            return self._append_after(tp, key, make)

    def _append_after(self, tp: TopicPartition, key: str, make: Callable[[Record | None], bytes]) -> Record:
        low, high = self._range(tp)
        with self.write(full=tp.topic in self._durable_topics) as db:
            row = db.execute(
                "SELECT id, time_ms, key, value FROM log WHERE id>=? AND id<? ORDER BY id DESC LIMIT 1", (low, high)
            ).fetchone()
            last = None if row is None else self.record(tp, row)
            value = make(last)
            (offset,) = self._append(db, [Message(tp.topic, key, value, tp.partition)])
            (stamp,) = db.execute("SELECT time_ms FROM log WHERE id=?", (low + offset,)).fetchone()
            return Record(tp.topic, tp.partition, offset, key, value, stamp)

    # --- reading -----------------------------------------------------------------------------------------------

    @staticmethod
    def record(tp: TopicPartition, row: tuple[int, int, str, bytes | None]) -> Record:
        return Record(tp.topic, tp.partition, row[0] & ((1 << SHIFT) - 1), row[2], row[3], row[1])

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `offset` on."""
        low, high = self._range(tp)
        rows = self.db.execute(
            "SELECT id, time_ms, key, value FROM log WHERE id>=? AND id<? ORDER BY id LIMIT ?",
            (low + offset, high, limit),
        )
        return [self.record(tp, row) for row in rows]

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
        low, high = self._range(tp)
        row = self.db.execute("SELECT id FROM log WHERE id>=? AND id<? ORDER BY id LIMIT 1", (low, high)).fetchone()
        return self.end_offset(tp) if row is None else int(row[0]) - low

    def end_offset(self, tp: TopicPartition) -> int:
        row = self.db.execute("SELECT next FROM parts WHERE id=?", (self.part(tp),)).fetchone()
        return int(row[0])

    def offset_at(self, tp: TopicPartition, time: datetime) -> int:
        low, high = self._range(tp)
        wanted = to_ms(time)
        first, last = 0, self.end_offset(tp)
        while first < last:
            middle = (first + last) // 2
            row = self.db.execute(
                "SELECT id, time_ms FROM log WHERE id>=? AND id<? ORDER BY id LIMIT 1", (low + middle, high)
            ).fetchone()
            if row is None or row[1] >= wanted:
                last = middle
            else:
                first = int(row[0]) - low + 1
        return first

    def committed(self, group: str, tp: TopicPartition) -> Commit | None:
        row = self.db.execute(
            "SELECT next, metadata FROM offsets WHERE grp=? AND part=?", (group, self.part(tp))
        ).fetchone()
        return None if row is None else Commit(*row)

    def lag(self, group: str) -> Mapping[TopicPartition, int]:
        rows = self.db.execute(
            "SELECT p.topic, p.partition, p.next - o.next FROM offsets o JOIN parts p ON p.id=o.part WHERE o.grp=?",
            (group,),
        )
        return {TopicPartition(topic, number): behind for topic, number, behind in rows}

    # --- forgetting --------------------------------------------------------------------------------------------

    def purge(self, records: Iterable[tuple[TopicPartition, str]]) -> int:
        wanted: dict[TopicPartition, set[str]] = defaultdict(set)
        for tp, key in records:
            wanted[tp].add(key)
        gone = 0
        with self.write(full=True) as db:
            for tp, keys in wanted.items():
                low, high = self._range(tp)
                for key in keys:
                    gone += db.execute("DELETE FROM log WHERE id>=? AND id<? AND key=?", (low, high, key)).rowcount
                self._append(db, [Message(tp.topic, key, None, tp.partition) for key in sorted(keys)])
        self.truncate_wal()
        return gone

    def retain(self, now: datetime) -> Mapping[str, int]:
        gone: dict[str, int] = {}
        rows = self.db.execute("SELECT name, keep_ms FROM topics WHERE keep_ms IS NOT NULL").fetchall()
        for topic, keep_ms in rows:
            for number in range(self.partitions(topic)):
                tp = TopicPartition(topic, number)
                low, _ = self._range(tp)
                until = low + self.offset_at(tp, datetime.fromtimestamp((to_ms(now) - keep_ms) / 1000, now.tzinfo))
                with self.write() as db:
                    count = db.execute("DELETE FROM log WHERE id>=? AND id<?", (low, until)).rowcount
                gone[topic] = gone.get(topic, 0) + count
        if any(gone.values()):
            self.truncate_wal()
        return gone

    def truncate_wal(self, seconds: float = 5.0) -> None:
        """Fold the write-ahead log into the file and empty it, so that deleted bytes are gone from both.

        Raises BusError when readers kept it from happening for `seconds`: the purge is then not proven.
        """
        if not self._durable:
            return
        deadline = time.monotonic() + seconds
        while True:
            (busy, _, _) = self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:
                return
            if time.monotonic() > deadline:
                raise BusError(f"{self.path}: a reader kept the write-ahead log from being emptied; run it once more")
            time.sleep(0.02)

    # --- leases and health -------------------------------------------------------------------------------------

    def lease(self, name: str, holder: str, ttl: float) -> RowLease:
        return RowLease(self, name, holder, ttl)

    def healthy(self) -> str | None:
        try:
            with self.write() as db:
                db.execute("UPDATE groups SET generation=generation WHERE grp=''")
        except (sqlite3.Error, OSError) as error:
            return f"{self.path.name} cannot be written: {error}"
        return self.room.problem() if self.room else None

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
        self._local = threading.local()


class EmbeddedTransaction:
    """Collects; the bus writes it all when the block is left without an exception."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.consumers: list[GroupConsumer] = []
        self.commits: list[tuple[str, TopicPartition, Commit]] = []

    def publish(self, message: Message) -> None:
        self.messages.append(message)

    def commit(self, consumer: GroupConsumer, commits: Mapping[TopicPartition, Commit]) -> None:
        self.consumers.append(consumer)
        self.commits += [(consumer.group, tp, commit) for tp, commit in commits.items()]


def _is_full(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_WRITE)
