"""Readers of the embedded log: alone, or as members of a group; and the lease that makes one holder of many.

Times are the machine's monotonic clock, which its processes share and no correction moves.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from listener.bus.protocol import Commit, Record, TopicPartition
from listener.errors import BusError, Fenced

if TYPE_CHECKING:
    from listener.bus.sqlite.partition import Log
    from listener.bus.sqlite.store import Store
    from listener.bus.stats import BusStats
    from listener.clock import Clock

BEAT_SECONDS = 1.0
SESSION_SECONDS = 3.0
STALE = -1
"""No generation: the assignment must be made anew."""
NEVER = -1
"""No number of records: not all that is there was read yet."""


class Partitions(Protocol):
    """What readers ask of the log that they read."""

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def counts(self) -> BusStats: ...

    def log(self, tp: TopicPartition) -> Log: ...

    def committed(self, group: str, tp: TopicPartition) -> Commit | None: ...

    def partitions(self, topic: str) -> int: ...

    def read(self, tp: TopicPartition, offset: int, limit: int) -> list[Record]: ...

    def begin_offset(self, tp: TopicPartition) -> int: ...

    def end_offset(self, tp: TopicPartition) -> int: ...

    def offset_at(self, tp: TopicPartition, time: datetime) -> int: ...


class Positions:
    """Where a reader stands in each of its partitions."""

    def __init__(self, bus: Partitions, at: Mapping[TopicPartition, int]) -> None:
        self._bus = bus
        self._at = dict(at)
        self._read_at = NEVER

    @property
    def partitions(self) -> frozenset[TopicPartition]:
        return frozenset(self._at)

    def __getitem__(self, tp: TopicPartition) -> int:
        return self._at[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        if tp not in self._at:
            raise BusError(f"{tp.topic}/{tp.partition} is not read here")
        self._at[tp] = offset
        self._read_at = NEVER

    def poll(self, timeout: float, limit: int) -> list[Record]:
        """Up to `limit` records, waiting at most `timeout` seconds for the first."""
        news = self._bus.store.news
        deadline = time.monotonic() + timeout
        if timeout <= 0:
            news.look()
        while True:
            # Who has read all, and nothing was written since, need not ask each partition again.
            if self._read_at != news.written:
                seen = news.written
                if records := self._read(limit):
                    self._read_at = NEVER
                    return records
                self._read_at = seen
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            news.wait(self._read_at, left)

    def _read(self, limit: int) -> list[Record]:
        out: list[Record] = []
        for tp, position in list(self._at.items()):
            records = self._bus.read(tp, position, limit - len(out))
            if not records and (end := self._bus.end_offset(tp)) > position:
                # What was written since is there now; else all up to the end was forgotten.
                records = self._bus.read(tp, position, limit - len(out))
                self._at[tp] = max(position, end)
            if records:
                # The partition that was read goes last, so that a full one starves no other.
                del self._at[tp]
                self._at[tp] = records[-1].offset + 1
                out += records
            if len(out) >= limit:
                break
        return out


class PlainReader:
    """Reads all partitions of some topics by itself."""

    def __init__(self, bus: Partitions, topics: Sequence[str], start: int | datetime | None) -> None:
        self._bus = bus
        at: dict[TopicPartition, int] = {}
        for topic in topics:
            for number in range(bus.partitions(topic)):
                tp = TopicPartition(topic, number)
                if start is None:
                    at[tp] = bus.end_offset(tp)
                else:
                    at[tp] = start if isinstance(start, int) else bus.offset_at(tp, start)
        self._positions = Positions(bus, at)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._positions.partitions

    def committed(self, tp: TopicPartition) -> Commit | None:
        return None

    def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions.seek(tp, offset)

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        return self._positions.poll(timeout, limit)

    def close(self) -> None:
        self._positions = Positions(self._bus, {})


class GroupConsumer:
    """A member of a group. Every change of the membership begins again from what the group committed.

    Who was fenced does so too, at its next poll; the batch at hand is another's then.
    """

    def __init__(
        self,
        bus: Partitions,
        topics: Sequence[str],
        group: str,
        member: str,
        on_assign: Callable[[frozenset[TopicPartition]], None] | None,
    ) -> None:
        self._bus = bus
        self._topics = tuple(topics)
        self.group = group
        self.member = member
        self._on_assign = on_assign
        self._positions = Positions(bus, {})
        self._generation = STALE
        self._beat_at = float("-inf")
        for topic in topics:
            bus.partitions(topic)
        self._epoch = bus.store.write(self._join)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return self._positions.partitions

    def committed(self, tp: TopicPartition) -> Commit | None:
        return self._bus.committed(self.group, tp)

    def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions.seek(tp, offset)

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        """Raises Fenced when another process took this member's name: this one must stop."""
        deadline = time.monotonic() + timeout
        while True:
            self._beat()
            self._follow_generation()
            left = max(0.0, min(deadline - time.monotonic(), BEAT_SECONDS))
            records = self._positions.poll(left, limit)
            if records or time.monotonic() >= deadline:
                return records

    def commit_in(self, db: sqlite3.Connection, commits: Mapping[TopicPartition, Commit]) -> None:
        """Inside a write: the group goes on from here. Raises Fenced unless this member still holds what it read."""
        row = db.execute(
            "SELECT m.epoch, g.generation FROM members m JOIN groups g ON g.grp=m.grp WHERE m.grp=? AND m.member=?",
            (self.group, self.member),
        ).fetchone()
        if row != (self._epoch, self._generation) or not commits.keys() <= self._positions.partitions:
            self._generation = STALE
            raise Fenced(f"{self.member} lost its place in group {self.group}")
        store_commits(db, self.group, {self._bus.log(tp).number: commit for tp, commit in commits.items()})
        now = self._bus.clock.monotonic()
        db.execute("UPDATE members SET beat=? WHERE grp=? AND member=?", (now, self.group, self.member))

    def close(self) -> None:
        self._positions = Positions(self._bus, {})
        self._generation = STALE
        self._bus.store.write(self._leave)

    def _leave(self, db: sqlite3.Connection) -> None:
        mine = (self.group, self.member, self._epoch)
        if db.execute("DELETE FROM members WHERE grp=? AND member=? AND epoch=?", mine).rowcount:
            self._next_generation(db)

    def _join(self, db: sqlite3.Connection) -> int:
        db.execute("INSERT OR IGNORE INTO groups VALUES(?,0,0)", (self.group,))
        (epoch,) = db.execute(
            "UPDATE groups SET epochs=epochs+1, generation=generation+1 WHERE grp=? RETURNING epochs", (self.group,)
        ).fetchone()
        db.execute(
            "INSERT OR REPLACE INTO members VALUES(?,?,?,?,?)",
            (self.group, self.member, epoch, " ".join(self._topics), self._bus.clock.monotonic()),
        )
        return int(epoch)

    def _beat(self) -> None:
        now = self._bus.clock.monotonic()
        if now - self._beat_at < BEAT_SECONDS:
            return
        self._epoch = self._bus.store.write(self._keep_alive)
        self._beat_at = now

    def _keep_alive(self, db: sqlite3.Connection) -> int:
        """Say that we are there, take out who is not; join again if somebody took us out. Our epoch."""
        now = self._bus.clock.monotonic()
        me = (self.group, self.member)
        row = db.execute("SELECT epoch FROM members WHERE grp=? AND member=?", me).fetchone()
        if row is None:
            return self._join(db)
        if row[0] != self._epoch:
            self._generation = STALE
            raise Fenced(f"another process runs as {self.member} in group {self.group}")
        db.execute("UPDATE members SET beat=? WHERE grp=? AND member=?", (now, *me))
        gone = db.execute(
            "DELETE FROM members WHERE grp=? AND member<>? AND NOT (beat BETWEEN ? AND ?)",
            (*me, now - SESSION_SECONDS, now),
        ).rowcount
        if gone:
            self._next_generation(db)
        return self._epoch

    def _next_generation(self, db: sqlite3.Connection) -> None:
        db.execute("UPDATE groups SET generation=generation+1 WHERE grp=?", (self.group,))

    def _follow_generation(self) -> None:
        store = self._bus.store
        (generation,) = store.row("SELECT generation FROM groups WHERE grp=?", (self.group,))
        if generation == self._generation:
            return
        rows = store.rows(
            "SELECT g.generation, m.member, m.topics FROM groups g JOIN members m ON m.grp=g.grp WHERE g.grp=? "
            "ORDER BY m.member",
            (self.group,),
        )
        mine = _share(self._bus, [(member, topics.split()) for _, member, topics in rows], self.member)
        positions = {}
        for tp in mine:
            commit = self.committed(tp)
            positions[tp] = self._bus.begin_offset(tp) if commit is None else commit.offset
        self._positions = Positions(self._bus, positions)
        if self._on_assign:
            self._on_assign(frozenset(mine))
        self._bus.counts.rebalances[self.group] += 1
        # Last, so that an assignment whose handling failed is made again.
        self._generation = rows[0][0] if rows else STALE


def store_commits(db: sqlite3.Connection, group: str, commits: Mapping[int, Commit]) -> None:
    """Inside a write; by the partitions' numbers in the file."""
    db.executemany(
        "INSERT INTO offsets VALUES(?,?,?,?) ON CONFLICT(grp, part) DO UPDATE SET "
        "next=excluded.next, metadata=excluded.metadata",
        [(group, number, commit.offset, commit.metadata) for number, commit in commits.items()],
    )


def _share(bus: Partitions, members: list[tuple[str, list[str]]], me: str) -> list[TopicPartition]:
    """Each topic's partitions dealt round, in order of the members' names."""
    mine = []
    for topic in sorted({topic for _, topics in members for topic in topics}):
        takers = [name for name, topics in members if topic in topics]
        for number in range(bus.partitions(topic)):
            if takers[number % len(takers)] == me:
                mine.append(TopicPartition(topic, number))
    return mine


class RowLease:
    """One holder at a time, by a row that the holder keeps fresh. `ttl` is in seconds."""

    def __init__(self, bus: Partitions, name: str, holder: str, ttl: float) -> None:
        self._bus = bus
        self._name = name
        self._holder = holder
        self._ttl = ttl
        self._held = False

    def renew(self) -> bool:
        self._held = self._bus.store.write(self._renew)
        return self._held

    def _renew(self, db: sqlite3.Connection) -> bool:
        now = self._bus.clock.monotonic()
        row = db.execute("SELECT holder, beat, ttl FROM leases WHERE name=?", (self._name,)).fetchone()
        if self._held and (row is None or row[0] != self._holder):
            return False
        if row is not None and row[0] != self._holder and 0 <= now - row[1] < row[2]:
            return False
        db.execute("INSERT OR REPLACE INTO leases VALUES(?,?,?,?)", (self._name, self._holder, now, self._ttl))
        return True

    def check_in(self, db: sqlite3.Connection) -> None:
        """Inside a write: raises Fenced when another holds it, or nobody. A holder that is late is one all the same
        until another came."""
        row = db.execute("SELECT holder FROM leases WHERE name=?", (self._name,)).fetchone()
        if row is None or row[0] != self._holder:
            raise Fenced(f"{self._holder} lost the lease {self._name}")

    def release(self) -> None:
        self._held = False
        mine = (self._name, self._holder)
        self._bus.store.write(lambda db: db.execute("DELETE FROM leases WHERE name=? AND holder=?", mine))
