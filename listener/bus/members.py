"""Readers of the embedded log: alone, or as members of a group; and the lease that makes one holder of many.

Times are the machine's monotonic clock, which its processes share and no correction moves.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from listener.bus import Commit, Record, TopicPartition
from listener.errors import Fenced

if TYPE_CHECKING:
    from listener.bus.embedded import EmbeddedBus

BEAT_SECONDS = 0.5
SESSION_SECONDS = 3.0


class PlainReader:
    """Reads all partitions of some topics by itself."""

    group = ""

    def __init__(self, bus: EmbeddedBus, topics: Sequence[str], start: int | datetime | None) -> None:
        self._bus = bus
        self._positions: dict[TopicPartition, int] = {}
        for topic in topics:
            for number in range(bus.partitions(topic)):
                tp = TopicPartition(topic, number)
                if start is None:
                    self._positions[tp] = bus.end_offset(tp)
                else:
                    self._positions[tp] = start if isinstance(start, int) else bus.offset_at(tp, start)

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def committed(self, tp: TopicPartition) -> Commit | None:
        return None

    def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        return _poll(self._bus, self._positions, timeout, limit)

    def close(self) -> None:
        self._positions.clear()


class GroupConsumer:
    """A member of a group. Every change of the membership begins again from what the group committed."""

    def __init__(
        self,
        bus: EmbeddedBus,
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
        self._positions: dict[TopicPartition, int] = {}
        self._generation = -1
        self._beat_at = float("-inf")
        for topic in topics:
            bus.partitions(topic)
        self._epoch = self._join()

    @property
    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset(self._positions)

    def committed(self, tp: TopicPartition) -> Commit | None:
        return self._bus.committed(self.group, tp)

    def position(self, tp: TopicPartition) -> int:
        return self._positions[tp]

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self._positions[tp] = offset

    def poll(self, timeout: float, limit: int = 1000) -> list[Record]:
        """Raises Fenced when another process took this member's name: this one must stop."""
        deadline = time.monotonic() + timeout
        while True:
            self._beat()
            self._follow_generation()
            left = max(0.0, min(deadline - time.monotonic(), BEAT_SECONDS))
            records = _poll(self._bus, self._positions, left, limit)
            if records or time.monotonic() >= deadline:
                return records

    def check_in_transaction(self, db: sqlite3.Connection) -> None:
        """Raise Fenced unless this member still holds what it read; the next poll begins at the committed offsets."""
        row = db.execute("SELECT epoch FROM members WHERE grp=? AND member=?", (self.group, self.member)).fetchone()
        if row is None or row[0] != self._epoch or self._read_generation(db) != self._generation:
            self._generation = -1
            raise Fenced(f"{self.member} lost its place in group {self.group}")

    def close(self) -> None:
        with self._bus.write() as db:
            left = db.execute(
                "DELETE FROM members WHERE grp=? AND member=? AND epoch=?", (self.group, self.member, self._epoch)
            ).rowcount
            if left:
                self._next_generation(db)
        self._positions.clear()

    def _join(self) -> int:
        with self._bus.write() as db:
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
        self._beat_at = now
        with self._bus.write() as db:
            row = db.execute("SELECT epoch FROM members WHERE grp=? AND member=?", (self.group, self.member)).fetchone()
            if row is not None and row[0] != self._epoch:
                raise Fenced(f"another process runs as {self.member} in group {self.group}")
            db.execute("UPDATE members SET beat=? WHERE grp=? AND member=?", (now, self.group, self.member))
            gone = db.execute(
                "DELETE FROM members WHERE grp=? AND member<>? AND NOT (beat BETWEEN ? AND ?)",
                (self.group, self.member, now - SESSION_SECONDS, now),
            ).rowcount
            if gone:
                self._next_generation(db)
        if row is None:
            self._epoch = self._join()

    def _next_generation(self, db: sqlite3.Connection) -> None:
        db.execute("UPDATE groups SET generation=generation+1 WHERE grp=?", (self.group,))

    def _read_generation(self, db: sqlite3.Connection) -> int:
        row = db.execute("SELECT generation FROM groups WHERE grp=?", (self.group,)).fetchone()
        return int(row[0])

    def _follow_generation(self) -> None:
        db = self._bus.db
        if self._read_generation(db) == self._generation:
            return
        with self._bus.write() as db:
            self._generation = self._read_generation(db)
            members = db.execute(
                "SELECT member, topics FROM members WHERE grp=? ORDER BY member", (self.group,)
            ).fetchall()
        mine = _share(self._bus, members, self.member)
        self._positions = {}
        for tp in mine:
            commit = self.committed(tp)
            self._positions[tp] = self._bus.begin_offset(tp) if commit is None else commit.offset
        if self._on_assign:
            self._on_assign(frozenset(mine))


def _share(bus: EmbeddedBus, members: list[tuple[str, str]], me: str) -> list[TopicPartition]:
    """Each topic's partitions dealt round, in order of the members' names."""
    mine = []
    for topic in sorted({topic for _, topics in members for topic in topics.split()}):
        takers = [name for name, topics in members if topic in topics.split()]
        for number in range(bus.partitions(topic)):
            if takers[number % len(takers)] == me:
                mine.append(TopicPartition(topic, number))
    return mine


def _poll(bus: EmbeddedBus, positions: dict[TopicPartition, int], timeout: float, limit: int) -> list[Record]:
    deadline = time.monotonic() + timeout
    while True:
        out: list[Record] = []
        for tp, position in list(positions.items()):
            records = bus.read(tp, position, limit - len(out))
            if records:
                positions[tp] = records[-1].offset + 1
                # The partition that was read goes last, so that a full one starves no other.
                positions[tp] = positions.pop(tp)
                out += records
            if len(out) >= limit:
                break
        left = deadline - time.monotonic()
        if out or left <= 0:
            return out
        bus.wait_for_news(left)


class RowLease:
    """One holder at a time, by a row that the holder keeps fresh."""

    def __init__(self, bus: EmbeddedBus, name: str, holder: str, ttl: float) -> None:
        self._bus = bus
        self._name = name
        self._holder = holder
        self._ttl = ttl

    def renew(self) -> bool:
        now = self._bus.clock.monotonic()
        with self._bus.write() as db:
            row = db.execute("SELECT holder, beat, ttl FROM leases WHERE name=?", (self._name,)).fetchone()
            if row is not None and row[0] != self._holder and 0 <= now - row[1] < row[2]:
                return False
            db.execute("INSERT OR REPLACE INTO leases VALUES(?,?,?,?)", (self._name, self._holder, now, self._ttl))
        return True

    def release(self) -> None:
        with self._bus.write() as db:
            db.execute("DELETE FROM leases WHERE name=? AND holder=?", (self._name, self._holder))
