"""The register: the crisis team's record of viewpoints and wishes, ranked by people and not by posts.

A SQLite view of `findings`, rebuilt from the bus at will. It holds which post voiced what, and where on the bus the
finding lies; texts stay on the bus alone and are joined when shown, so that purge and retention there are enough. The
position in each partition is kept in the same transaction as the rows: whoever brings it up to date, the running
service or the command that reads it, nothing is counted twice.

It is what *people* voice: what hospitals, police and newsrooms ask of the public is left out of the ranking, and so are
reposts of it. Of a post that was edited the newest version counts, in whatever order they came. Where a recording has
no authors, posts that are no reposts stand in for people, and each row says so. A story that several open incidents
heard, as standing tracks make it, is one row that names them; an exercise and a real incident are never in one row.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import TypeVar

from alerts.annotate.story import NAMED_REPOST, is_repost
from listener.bus.protocol import Bus, Record, TopicPartition
from listener.bus.sqlite.view import ViewFile, connect, is_damage
from listener.errors import BusError, ConfigError
from listener.model.records import FINDINGS, AuthorClass, BadRecord, Finding, Kind, decode
from listener.model.roles import REGISTER
from listener.runtime.health import Part
from listener.units import from_ms, to_ms

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS findings(
    key TEXT PRIMARY KEY, part INTEGER NOT NULL, offset INTEGER NOT NULL, incident TEXT NOT NULL, post TEXT NOT NULL,
    at INTEGER NOT NULL, author TEXT, repost INTEGER NOT NULL, story TEXT NOT NULL, exercise INTEGER NOT NULL,
    official INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_post ON findings(post);
CREATE TABLE IF NOT EXISTS kinds(kind TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS edited(key TEXT NOT NULL, newer TEXT NOT NULL, PRIMARY KEY(key, newer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS positions(part INTEGER PRIMARY KEY, next INTEGER NOT NULL, last TEXT NOT NULL);
"""
VERSION = 4
"""Of the view. Another version is dropped and built anew."""
TABLES = ("findings", "kinds", "edited", "positions")
DROP = "".join(f"DROP TABLE IF EXISTS {table};" for table in TABLES)
EMPTY = "".join(f"DELETE FROM {table};" for table in TABLES)  # noqa: S608 -- names of our own

OFFICIAL = frozenset({AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY})

RANKED = """
SELECT group_concat(DISTINCT f.incident), f.story, f.exercise,
       count(DISTINCT coalesce(f.author, CASE WHEN f.repost THEN NULL ELSE f.post END)) AS people,
       count(DISTINCT f.post) AS posts, count(DISTINCT CASE WHEN f.repost THEN f.post END), min(f.at), max(f.at),
       count(f.author)
FROM kinds k JOIN findings f ON f.key = k.key
WHERE k.kind = ? AND (? = '' OR f.incident = ?) AND (k.kind = 'media' OR NOT f.official)
AND f.key NOT IN (SELECT key FROM edited)
GROUP BY f.exercise, f.story ORDER BY people DESC, posts DESC, min(f.at) LIMIT ?
"""

FIRST = """
SELECT f.key, f.part, f.offset FROM kinds k JOIN findings f ON f.key = k.key
WHERE k.kind = ? AND (? = '' OR f.incident = ?) AND f.story = ? AND f.exercise = ?
AND f.key NOT IN (SELECT key FROM edited)
ORDER BY f.repost, f.at LIMIT 1
"""


@dataclass(frozen=True)
class RegisterRow:
    """One story that people voice. `text` is as the first of them put it, masked; None when it was purged.

    `incidents` are those that heard it: one post that several heard is one post.
    """

    kind: Kind
    incidents: tuple[str, ...]
    exercise: bool
    story: str
    people: int
    posts: int
    reposts: int
    first_at: datetime
    last_at: datetime
    text: str | None
    authors_known: bool
    """False: there are no authors, and `people` counts posts that are no reposts."""


class Register:
    """One view file on one bus."""

    name = REGISTER

    def __init__(self, bus: Bus, path: Path | str, part: Part | None = None) -> None:
        self._bus = bus
        self._path = path
        self._part = part
        self._file = ViewFile(Path(path))
        self._damaged: sqlite3.Error | None = None
        self._builds = 0
        self._db = self._open()
        self._reader = bus.reader(["findings"])
        self._taken: dict[int, int] = {}
        self._safely(self._seek)

    # --- the file ----------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        """A damaged view is moved aside first. Raises ConfigError."""
        for last in (False, True):
            db = None
            try:
                db = self._file.open()
                _make(db)
                return db
            except (sqlite3.Error, OSError) as error:
                if db is not None:
                    db.close()
                if last or not isinstance(error, sqlite3.Error) or not is_damage(error):
                    raise ConfigError(f"{self._path}: the register cannot be written: {error}") from None
                self._file.set_aside(error)
        raise AssertionError

    def _safely(self, work: Callable[[], T]) -> T:
        """On a view that is damaged or gone it is begun anew, caught up, and the work is done once more."""
        if self._damaged is None and not self._file.is_replaced():
            try:
                return work()
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                self._damaged = error
        with suppress(sqlite3.Error):
            self._db.close()
        if self._damaged is not None:
            self._file.set_aside(self._damaged)
        self._db, self._damaged = self._open(), None
        self._builds += 1
        self._seek()
        while records := self._reader.poll(0.0, 5000):
            if self._part is not None:
                self._part.beat()
            self._take(records)
        return work()

    # --- keeping up --------------------------------------------------------------------------------------------

    def step(self, timeout: float) -> bool:
        if self._part is not None:
            self._part.beat()
        records = self._reader.poll(timeout, 5000)
        builds = self._builds
        # Once it was begun anew, these are in it already, and some of them may have been purged since.
        self._safely(lambda: self._take(records) if records and self._builds == builds else None)
        if self._part is not None:
            self._part.problem(None)
        return bool(records)

    def catch_up(self) -> None:
        """Until the end of the bus as it is now."""
        while self.step(0.0):
            pass

    def close(self) -> None:
        self._db.close()

    def scrub(self) -> None:
        """Make the bytes of deleted rows go, from the file and its write-ahead log. May be called from any thread.

        SQLite overwrites what is deleted, but not the copies that its B-tree left where it moved rows from page to
        page: the file is written anew from what is left. Raises BusError when others keep it from happening.
        """
        with closing(connect(self._file.path)) as db:
            try:
                db.execute("PRAGMA temp_store=MEMORY")
                db.execute("VACUUM")
                # Waits for whoever reads, as long as the connection waits for locks.
                (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.OperationalError as error:
                raise BusError(
                    f"{self._file.path}: what was deleted could not be overwritten: {error}; run once more"
                ) from None
        if busy:
            raise BusError(f"{self._file.path}: a reader keeps old bytes in its -wal; stop it and run once more")

    def _seek(self) -> None:
        """To where the view is. A view of another bus begins anew."""
        positions = {part: (offset, last) for part, offset, last in self._db.execute("SELECT * FROM positions")}
        for tp in self._reader.assignment:
            position, last = positions.get(tp.partition, (0, ""))
            if not self._is_of_this_bus(tp, position, last):
                self._db.executescript(EMPTY)
                self._seek()
                return
            self._reader.seek(tp, position)
            self._taken[tp.partition] = position
        self.release()

    def _is_of_this_bus(self, tp: TopicPartition, position: int, last: str) -> bool:
        """The last record taken is where it was. One that was purged or dropped since cannot show it."""
        if position > self._bus.end_offset(tp):
            return False
        found = self._bus.read(tp, position - 1, 1) if position else []
        return not found or found[0].offset != position - 1 or _mark(found[0]) == last

    def release(self) -> None:
        """Let go of what the bus has dropped, down to the bytes. May be called from any thread."""
        try:
            self._release()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            # Its own thread begins it anew, at its next step.
            self._damaged = error

    def _release(self) -> None:
        if self._file.is_replaced():
            return
        dropped = False
        with closing(connect(self._file.path)) as db:
            for tp in self._reader.assignment:
                gone = (tp.partition, self._bus.begin_offset(tp))
                old = "SELECT key FROM findings WHERE part=? AND offset<?"
                if db.execute(f"{old} LIMIT 1", gone).fetchone() is not None:
                    db.execute(f"DELETE FROM kinds WHERE key IN ({old})", gone)  # noqa: S608
                    db.execute(f"DELETE FROM edited WHERE newer IN ({old})", gone)  # noqa: S608
                    db.execute("DELETE FROM findings WHERE part=? AND offset<?", gone)
                    dropped = True
        if dropped:
            self.scrub()

    def _take(self, records: Sequence[Record]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if not self._is_ours(records):
                self._db.execute("ROLLBACK")
                self._seek()
                return
            for record in records:
                self._row(record)
            self._db.executemany(
                "INSERT OR REPLACE INTO positions VALUES(?,?,?)",
                [
                    (part, record.offset + 1, _mark(record))
                    for part, record in {record.partition: record for record in records}.items()
                ],
            )
            self._db.execute("COMMIT")
            self._taken.update({record.partition: record.offset + 1 for record in records})
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._seek()
            raise

    def _is_ours(self, records: Sequence[Record]) -> bool:
        """Nobody else has moved the view on, or begun it anew, since these were read."""
        stored = dict(self._db.execute("SELECT part, next FROM positions"))
        parts = {record.partition for record in records}
        return all(stored.get(part, 0) == self._taken.get(part, 0) for part in parts)

    def _row(self, record: Record) -> None:
        if record.value is None:
            self._db.execute("DELETE FROM kinds WHERE key=?", (record.key,))
            self._db.execute("DELETE FROM edited WHERE newer=?", (record.key,))
            self._db.execute("DELETE FROM findings WHERE key=?", (record.key,))
            return
        try:
            finding = decode(FINDINGS, record.value)
        except BadRecord:
            return  # the rules' stage has made a dead letter of it
        if not isinstance(finding, Finding) or finding.synthetic:
            return
        inserted = self._db.execute(
            "INSERT OR IGNORE INTO findings VALUES(?,?,?,?,?,?,?,?,?,?,?)",
            (
                finding.key,
                record.partition,
                record.offset,
                finding.incident,
                finding.post_key,
                to_ms(finding.at),
                finding.author,
                # As numbers: for each bool, and each enumeration below, sqlite3 would go and look for an adapter.
                int(is_repost(finding.text, finding.repost_of)),
                finding.story,
                int(finding.exercise),
                int(is_official(finding)),
            ),
        ).rowcount
        if inserted:
            self._db.executemany(
                "INSERT OR IGNORE INTO kinds VALUES(?,?)", [(cue.kind.value, finding.key) for cue in finding.cues]
            )
            earlier = [f"{finding.incident}:{finding.source}:{each}" for each in finding.edits]
            self._db.executemany("INSERT OR IGNORE INTO edited VALUES(?,?)", [(key, finding.key) for key in earlier])

    # --- reading -----------------------------------------------------------------------------------------------

    def top(self, kind: Kind, *, incident: str = "", limit: int = 20) -> list[RegisterRow]:
        """The stories that most people voice, most first."""
        return self._safely(lambda: self._top(kind, incident, limit))

    def _top(self, kind: Kind, incident: str, limit: int) -> list[RegisterRow]:
        rows = self._db.execute(RANKED, (kind, incident, incident, limit)).fetchall()
        return [self._entry(kind, incident, row) for row in rows]

    def _entry(self, kind: Kind, incident: str, row: Sequence[object]) -> RegisterRow:
        incidents, story, exercise, people, posts, reposts, first, last, authors = row
        found = self._db.execute(FIRST, (kind, incident, incident, story, exercise))
        key, part, offset = found.fetchone()
        return RegisterRow(
            kind=kind,
            incidents=tuple(sorted(str(incidents).split(","))),
            exercise=bool(exercise),
            story=str(story),
            people=int(str(people)),
            posts=int(str(posts)),
            reposts=int(str(reposts)),
            first_at=from_ms(int(str(first))),
            last_at=from_ms(int(str(last))),
            text=self._text(key, part, offset),
            authors_known=bool(authors),
        )

    def counts(self, incident: str = "") -> Mapping[str, int]:
        """Kind → posts."""
        return self._safely(lambda: self._counts(incident))

    def _counts(self, incident: str) -> Mapping[str, int]:
        rows = self._db.execute(
            "SELECT k.kind, count(DISTINCT f.post) FROM kinds k JOIN findings f ON f.key=k.key "
            "WHERE (?='' OR f.incident=?) AND f.key NOT IN (SELECT key FROM edited) GROUP BY 1",
            (incident, incident),
        )
        return dict(rows.fetchall())

    def authors_known(self) -> bool:
        """False when there are findings and none has an author."""
        findings, authors = self._db.execute("SELECT count(*), count(author) FROM findings").fetchone()
        return bool(authors) or not findings

    def texts(self, posts: Iterable[str]) -> Mapping[str, str]:
        """`source:id` → the post's masked text, from the bus; those that were purged are missing.

        May be called from any thread.
        """
        found: dict[str, str] = {}
        if self._file.is_replaced():
            return found
        try:
            with closing(connect(self._file.path)) as db:
                for post in posts:
                    row = db.execute("SELECT key, part, offset FROM findings WHERE post=? LIMIT 1", (post,)).fetchone()
                    text = None if row is None else self._text(*row)
                    if text is not None:
                        found[post] = text
        except sqlite3.Error as error:
            # An alert goes out without them rather than not at all.
            if not is_damage(error):
                raise
            self._damaged = error
        return found

    def _text(self, key: str, part: int, offset: int) -> str | None:
        finding = self._finding(key, part, offset)
        return None if finding is None else finding.text

    def _finding(self, key: str, part: int, offset: int) -> Finding | None:
        for record in self._bus.read(TopicPartition("findings", part), offset, 1):
            if record.offset == offset and record.key == key and record.value is not None:
                try:
                    found = decode(FINDINGS, record.value)
                except BadRecord:
                    return None
                return found if isinstance(found, Finding) else None
        return None


def _make(db: sqlite3.Connection) -> None:
    """The tables, once; those of another version are dropped."""
    db.execute("BEGIN EXCLUSIVE")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    for statement in (SCHEMA if version == VERSION else DROP + SCHEMA).split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version={VERSION}")
    db.execute("COMMIT")


def is_official(finding: Finding) -> bool:
    """Said by a newsroom or a public body, or the repost of one: only such accounts keep their name in a text."""
    return finding.author_class in OFFICIAL or NAMED_REPOST.match(finding.text) is not None


def _mark(record: Record) -> str:
    """What distinguishes a record from one at the same place of another bus, without the post's id."""
    return blake2b(f"{record.time_ms}:{record.key}".encode(), digest_size=12).hexdigest()
