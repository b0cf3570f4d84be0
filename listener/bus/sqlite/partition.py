"""One partition of the embedded log: a table of its own, in offset order, and how it is purged.

A purge must reach the bytes, and `secure_delete` alone does not get there: it overwrites what is deleted, but where
SQLite's B-tree shifts rows from one page to another, their old place keeps a copy that nobody overwrites. So no row
that has content is ever shifted:

- a table a partition, written only at its end: SQLite begins a new page there and shifts nothing;
- to delete is to empty a row where it is stored, which overwrites it and shifts nothing;
- rows are removed only when empty, and `MARGIN` rows behind the first full one: no page that takes part in the shifting
  then has content (removal shifts rows among three neighbouring pages; a page holds fewer than 400 empty rows).
"""

# ruff: noqa: S608 -- the only thing put into a statement is the partition's own number

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from listener.bus.protocol import Message, Record, TopicPartition
from listener.bus.sqlite.store import Store
from listener.errors import BusError
from listener.model.topics import Retention, TopicSpec
from listener.units import to_ms

MARGIN = 2_000
CHUNK = 5_000
"""Rows deleted in one transaction: a writer waits for no more than these."""
FORGOTTEN = -1
"""The time of an emptied row. Readers do not see it."""


class Topic(NamedTuple):
    """A topic as it was made in this file; `keep_ms` None is for ever."""

    partitions: int
    durable: bool
    compacted: bool
    keep_ms: int | None

    @classmethod
    def of(cls, spec: TopicSpec) -> Topic:
        keep_ms = None if spec.keep is None else round(spec.keep.total_seconds() * 1000)
        return cls(spec.partitions, spec.durable, spec.retention is Retention.COMPACTED, keep_ms)


class Log:
    """`number` is the partition's in this file; `compacted`: only the newest record of each key is kept."""

    def __init__(self, store: Store, number: int, tp: TopicPartition, compacted: bool) -> None:
        self.number = number
        self.tp = tp
        self.compacted = compacted
        self._store = store
        self._table = f"log_{number}"

    def create(self, db: sqlite3.Connection) -> None:
        db.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table}"
            "(id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, key TEXT NOT NULL, value BLOB)"
        )

    @cached_property
    def _select(self) -> str:
        return f"SELECT id, time_ms, key, value FROM {self._table} WHERE time_ms>=0 AND "

    def _record(self, row: tuple[int, int, str, bytes | None]) -> Record:
        return Record(self.tp.topic, self.tp.partition, row[0], row[2], row[3], row[1])

    # --- reading -----------------------------------------------------------------------------------------------

    def read(self, offset: int, limit: int) -> list[Record]:
        topic, partition = self.tp
        rows = self._store.rows(self._select + "id>=? ORDER BY id LIMIT ?", (offset, limit))
        return [Record(topic, partition, id_, key, value, time_ms) for id_, time_ms, key, value in rows]

    def last(self, db: sqlite3.Connection) -> Record | None:
        """Inside a write."""
        row = db.execute(self._select + "1 ORDER BY id DESC LIMIT 1").fetchone()
        return None if row is None else self._record(row)

    def begin(self) -> int:
        row = self._store.row(self._select + "1 ORDER BY id LIMIT 1")
        return self.end() if row is None else int(row[0])

    def end(self) -> int:
        return int(self._store.row("SELECT next FROM parts WHERE id=?", (self.number,))[0])

    def offset_at(self, time: datetime) -> int:
        """The first offset whose time is at or after `time`: times grow with offsets, so by halving."""
        wanted = to_ms(time)
        first, last = self.begin(), self.end()
        while first < last:
            middle = (first + last) // 2
            row = self._store.row(self._select + "id>=? ORDER BY id LIMIT 1", (middle,))
            if row is None or row[1] >= wanted:
                last = middle
            else:
                first = int(row[0]) + 1
        return first

    def summary(self) -> tuple[int, int | None, int | None]:
        """Records, time of the oldest, time of the newest."""
        found = self._store.row(f"SELECT count(*), min(time_ms), max(time_ms) FROM {self._table} WHERE time_ms>=0")
        return found[0], found[1], found[2]

    def count(self, start: int, end: int) -> int:
        """Records from `start` to before `end`."""
        sql = f"SELECT count(*) FROM {self._table} WHERE id>=? AND id<? AND time_ms>=0"
        return int(self._store.row(sql, (start, end))[0])

    # --- writing -----------------------------------------------------------------------------------------------

    def append(self, db: sqlite3.Connection, messages: list[Message], now_ms: int) -> tuple[int, int]:
        """Inside a write. The first one's offset, and their time, which never runs back."""
        start, last_ms = db.execute("SELECT next, last_ms FROM parts WHERE id=?", (self.number,)).fetchone()
        stamp = max(now_ms, last_ms)
        rows = [(offset, stamp, m.key, m.value) for offset, m in enumerate(messages, start)]
        if self.compacted:
            newest = {row[2]: row for row in rows}
            db.executemany(f"DELETE FROM {self._table} WHERE key=?", [(key,) for key in newest])
            rows = list(newest.values())
        db.executemany(f"INSERT INTO {self._table} VALUES(?,?,?,?)", rows)
        db.execute("UPDATE parts SET next=?, last_ms=? WHERE id=?", (start + len(messages), stamp, self.number))
        return start, stamp

    def place(self, db: sqlite3.Connection, records: Sequence[Record], end: int) -> None:
        """Inside a write: append these at their own offsets and times; the next one is to stand at `end`."""
        (start, last_ms) = db.execute("SELECT next, last_ms FROM parts WHERE id=?", (self.number,)).fetchone()
        if records and records[0].offset < start:
            raise BusError(f"{self.tp.topic}/{self.tp.partition}: is at {start} already; does another write to it?")
        rows = [(record.offset, record.time_ms, record.key, record.value) for record in records]
        db.executemany(f"INSERT INTO {self._table} VALUES(?,?,?,?)", rows)
        stamp = max(last_ms, rows[-1][1]) if rows else last_ms
        db.execute("UPDATE parts SET next=?, last_ms=? WHERE id=?", (end, stamp, self.number))

    # --- deleting ----------------------------------------------------------------------------------------------

    def find(self, keys: Iterable[str], db: sqlite3.Connection | None = None, start: int = 0) -> list[int]:
        """Offsets of these keys' records that have content, from `start` on."""
        listed = "key IN (SELECT value FROM json_each(?))"
        sql = f"SELECT id FROM {self._table} WHERE id>=? AND value IS NOT NULL AND {listed}"
        args = (start, json.dumps(list(keys)))
        rows = self._store.rows(sql, args) if db is None else db.execute(sql, args).fetchall()
        return [row[0] for row in rows]

    def empty(self, db: sqlite3.Connection, offsets: Iterable[int]) -> int:
        """Inside a write: overwrite these records' content. The keys stay, as tombstones. How many there were."""
        sql = f"UPDATE {self._table} SET value=NULL WHERE id=? AND value IS NOT NULL"
        return db.executemany(sql, [(offset,) for offset in offsets]).rowcount

    def delete_before(self, offset: int) -> int:
        """Forget whole records, keys too. How many."""
        gone = 0
        while count := self._store.write(lambda db: self._delete_some(db, offset)):
            gone += count
        while self._store.write(self._remove_some):
            pass
        return gone

    def _delete_some(self, db: sqlite3.Connection, offset: int) -> int:
        return db.execute(
            f"UPDATE {self._table} SET time_ms=?, key='', value=NULL WHERE id IN "
            f"(SELECT id FROM {self._table} WHERE id<? AND time_ms>=0 ORDER BY id LIMIT ?)",
            (FORGOTTEN, offset, CHUNK),
        ).rowcount

    def _remove_some(self, db: sqlite3.Connection) -> bool:
        full = db.execute(self._select + "1 ORDER BY id LIMIT 1").fetchone()
        kept = db.execute(
            f"SELECT id FROM {self._table} WHERE id<? ORDER BY id DESC LIMIT 1 OFFSET ?",
            (full[0] if full else 1 << 62, MARGIN),
        ).fetchone()
        if kept is None:
            return False
        gone = db.execute(
            f"DELETE FROM {self._table} WHERE id IN (SELECT id FROM {self._table} WHERE id<? ORDER BY id LIMIT ?)",
            (kept[0], CHUNK),
        ).rowcount
        return gone == CHUNK
