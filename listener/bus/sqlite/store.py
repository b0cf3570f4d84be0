"""The file under the embedded bus: a connection for each thread, one writer at a time, SQLite's errors in our words.

Write-ahead logging: readers and the writer do not wait for one another. `full` writes are on disk before they return,
a power cut included; all of them survive `kill -9`.

Opening a log that is there costs one read: a mode switch opens it while a hand is on the keyboard. Only a new file
gets its tables, under the gate, so that two processes may begin at once.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from listener.bus.history import UNREADABLE, History, new_id
from listener.bus.sqlite.gate import Gate
from listener.bus.sqlite.news import News
from listener.bus.sqlite.reserve import DiskReserve
from listener.bus.stats import BusStats
from listener.crashpoints import point
from listener.errors import BusError, BusFull, ConfigError, Corrupt, LyttepostError, Refused
from listener.permissions import create_private, make_folder

T = TypeVar("T")

BUSY_SECONDS = 10.0
CLOSE_SECONDS = 1.0
WAL_BYTES = 64 << 20
"""Readers that never pause keep the write-ahead log from beginning anew; above this size they are waited for."""
WAL_WAIT_SECONDS = 0.25
WAL_KEEP_BYTES = 16 << 20
CHECKPOINT_PAGES = 4_000
"""As much write-ahead log, 16 MB, is folded into the file at a time: four times SQLite's own choice, half the syncs."""
FORMAT = 1
MAX_DAMAGE = 20
RESTORE = "stop, keep a copy, and restore the newest backup"
OURS = 0x4C597470
"""SQLite's application id: "LYtp"."""

IDENTITY = "CREATE TABLE identity(id TEXT PRIMARY KEY, given_up INTEGER NOT NULL) WITHOUT ROWID"
"""This log's id, and those whose history was given up for it. Logs of earlier versions get theirs when opened."""

SCHEMA = (
    """CREATE TABLE topics(
        name TEXT PRIMARY KEY, partitions INTEGER NOT NULL, durable INTEGER NOT NULL, compacted INTEGER NOT NULL,
        keep_ms INTEGER)""",
    """CREATE TABLE parts(
        id INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL, next INTEGER NOT NULL DEFAULT 0,
        last_ms INTEGER NOT NULL DEFAULT 0, UNIQUE(topic, partition))""",
    """CREATE TABLE offsets(
        grp TEXT NOT NULL, part INTEGER NOT NULL, next INTEGER NOT NULL, metadata TEXT NOT NULL,
        PRIMARY KEY(grp, part)) WITHOUT ROWID""",
    """CREATE TABLE members(
        grp TEXT NOT NULL, member TEXT NOT NULL, epoch INTEGER NOT NULL, topics TEXT NOT NULL, beat REAL NOT NULL,
        PRIMARY KEY(grp, member)) WITHOUT ROWID""",
    "CREATE TABLE groups(grp TEXT PRIMARY KEY, generation INTEGER NOT NULL, epochs INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE leases(name TEXT PRIMARY KEY, holder TEXT NOT NULL, beat REAL NOT NULL, ttl REAL NOT NULL)",
    IDENTITY,
    f"PRAGMA application_id={OURS}",
    f"PRAGMA user_version={FORMAT}",
)

WRITTEN = "SELECT coalesce(sum(next), 0) FROM parts"
"""Records ever written, those that are gone since included."""

_FULL = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR_WRITE,
    sqlite3.SQLITE_IOERR_SHMSIZE,
    sqlite3.SQLITE_IOERR_SHMOPEN,
    sqlite3.SQLITE_IOERR_TRUNCATE,
}
_UNUSABLE = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}


class Connection:
    """One thread's connection; it closes when the thread is gone and with it the last hold on this.

    `lock` is held while it is used: closing a connection under a running statement crashes the interpreter.
    """

    def __init__(self, raw: sqlite3.Connection) -> None:
        self.raw = raw
        self.full = False
        self.lock = threading.RLock()

    def __del__(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self.raw.close()


class Store:
    """Thread-safe. `room` is the reserve that is given back when an essential write finds the disk full.

    `history` is what there was before; `anew`: what there was is given up.
    """

    def __init__(
        self, path: Path, room: DiskReserve | None, *, durable: bool, history: History | None = None, anew: bool = False
    ) -> None:
        self.path = path
        self.room = room
        self.news = News(self._written)
        self.counts = BusStats()
        self._durable = durable
        self._history = history
        self._anew = anew
        self._inode: tuple[int, int] | None = None
        self._local = threading.local()
        self._connections: weakref.WeakSet[Connection] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._wal = path.with_name(path.name + "-wal")
        self._wal_tried = 0.0
        self._closed = False
        try:
            make_folder(path.parent)
            self._gate = Gate(path.with_name(path.name + "-gate"))
            # Before SQLite looks at it: beside an empty file it would throw the write-ahead log away.
            self._look_back()
            create_private(path)
        except Refused:
            self.close()
            raise
        except OSError as error:
            # The file that is in the way, which may lie beside the log: "remove it" must never be read as the log.
            beside = Path(error.filename) if isinstance(error.filename, str) else path
            blamed = beside if beside.parent == path.parent else path
            raise ConfigError(_unusable(blamed, error.strerror or str(error))) from None
        try:
            self._open()
        except sqlite3.Error as error:
            self.close()
            raise explain(path, error, opening=True) from None
        except BaseException:
            self.close()
            raise

    def _look_back(self) -> None:
        """Raises Refused when there was a log and its file is missing or empty."""
        history = self._history
        if history is None or not history.is_empty():
            return
        lost = history.lost()
        # Once more: another process may have made it meanwhile, and what it left beside it is no sign of a loss.
        if not history.is_empty():
            return
        if self._anew:
            history.remove_leftovers()
        elif lost is not None:
            raise lost

    def _open(self) -> None:
        try:
            self._check_format()
        except sqlite3.Error as error:
            if not _is_full(error) or self.room is None:
                raise
            self._local = threading.local()
            self.room.give()
            self._check_format()
        found = self.path.stat()
        self._inode = found.st_dev, found.st_ino

    def _check_format(self) -> None:
        db = self._mine().raw
        (found,) = db.execute("PRAGMA user_version").fetchone()
        if found != FORMAT:
            self._make(db)
        if self._history is not None:
            self._identify(db, self._history)

    def _make(self, db: sqlite3.Connection) -> None:
        with self._gate.turn():
            db.execute("PRAGMA journal_mode=WAL")
            if self._durable:
                # On the disk before anything says that there is a log.
                db.execute("PRAGMA synchronous=FULL")
            db.execute("BEGIN IMMEDIATE")
            try:
                (found,) = db.execute("PRAGMA user_version").fetchone()
                if found > FORMAT:
                    raise Refused(f"{self.path}: written by a newer Lyttepost (format {found}); run that one")
                if found == 0:
                    if db.execute("SELECT 1 FROM sqlite_master").fetchone():
                        raise ConfigError(_foreign(self.path))
                    if self._history is not None and not self._anew and (lost := self._history.lost()):
                        raise lost
                    for statement in SCHEMA:
                        db.execute(statement)
                    db.execute("INSERT INTO identity VALUES(?, 0)", (new_id(),))
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            if self._durable:
                db.execute("PRAGMA synchronous=NORMAL")

    def _identify(self, db: sqlite3.Connection, history: History) -> None:
        """Raises Refused when this is another log than what is remembered, unless that is given up."""
        known = history.ids() - {UNREADABLE}
        ids = dict(db.execute("SELECT id, given_up FROM identity").fetchall()) if _has_identity(db) else {}
        if ids and not known <= ids.keys() and not self._anew:
            raise history.another(next(id_ for id_, given_up in ids.items() if not given_up))
        if not ids or not known <= ids.keys():
            try:
                ids = self._write(lambda db: _give_identity(db, known), full=True)
            except sqlite3.OperationalError:
                return  # no room: left to the next who opens it
        point("bus.made")
        history.remember(next(id_ for id_, given_up in ids.items() if not given_up))
        point("bus.remembered")

    @property
    def id(self) -> str:
        """This log's own. Empty for one that is to be thrown away, or was made before there were any."""
        if not self.rows("SELECT 1 FROM sqlite_master WHERE name='identity'"):
            return ""
        return str(self.row("SELECT id FROM identity WHERE NOT given_up")[0])

    def misplaced(self) -> str | None:
        """None, or why what is written goes nowhere: the file was removed or replaced while it is in use."""
        try:
            found = self.path.stat()
        except OSError as error:
            why = error.strerror
        else:
            if self._inode in (None, (found.st_dev, found.st_ino)):
                return None
            why = "another file is in its place"
        return (
            f"{self.path}: was removed or replaced while it is in use ({why}): what is written is lost when this "
            "process ends; stop all processes, and put it back from the newest backup"
        )

    # --- connections -------------------------------------------------------------------------------------------

    def _mine(self) -> Connection:
        """This thread's connection."""
        mine: Connection | None = getattr(self._local, "connection", None)
        if mine is None:
            if self._closed:
                raise BusError(f"{self.path}: the bus is closed")
            mine = Connection(self._connect())
            self._local.connection = mine
            with self._lock:
                self._connections.add(mine)
        return mine

    def _connect(self) -> sqlite3.Connection:
        raw = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        raw.execute("PRAGMA synchronous=" + ("NORMAL" if self._durable else "OFF"))
        raw.execute("PRAGMA secure_delete=ON")
        raw.execute(f"PRAGMA journal_size_limit={WAL_KEEP_BYTES}")
        raw.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        return raw

    def close(self) -> None:
        """Threads that still use the bus get BusError. One that is waiting for its turn keeps its connection."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            connections = list(self._connections)
        self._local = threading.local()
        idle = [connection for connection in connections if connection.lock.acquire(timeout=CLOSE_SECONDS)]
        for connection in idle:
            connection.raw.close()
            connection.lock.release()
        if len(idle) == len(connections):
            self._gate.close()

    @contextlib.contextmanager
    def _using(self) -> Iterator[Connection]:
        mine = self._mine()
        with mine.lock:
            if self._closed:
                raise BusError(f"{self.path}: the bus is closed")
            yield mine

    # --- reading and writing -----------------------------------------------------------------------------------

    def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Any]:
        """What one statement finds. Raises BusError or Corrupt."""
        try:
            with self._using() as mine:
                return mine.raw.execute(sql, args).fetchall()
        except sqlite3.Error as error:
            raise explain(self.path, error) from None

    def row(self, sql: str, args: Sequence[Any] = ()) -> Any:
        """The first of them, or None."""
        found = self.rows(sql, args)
        return found[0] if found else None

    def write(self, work: Callable[[sqlite3.Connection], T], *, full: bool = False, essential: bool = True) -> T:
        """Run `work` in one transaction, all or nothing; `full`: on disk before it returns.

        On a full disk an essential write gets the reserve, and `work` is run once more. Raises BusError, BusFull or
        Corrupt, and whatever `work` raises.
        """
        if self.room and not essential:
            self.room.check()
        try:
            return self._write(work, full)
        except sqlite3.Error as error:
            if not (_is_full(error) and essential and self.room):
                raise self._failed(error) from None
        self.counts.retries["store"] += 1
        # Another process may have given the reserve a moment ago: there is room all the same.
        self.room.give()
        try:
            return self._write(work, full)
        except sqlite3.Error as error:
            raise self._failed(error) from None

    def _failed(self, error: sqlite3.Error) -> LyttepostError:
        ours = explain(self.path, error)
        self.counts.producer_errors[type(ours).__name__] += 1
        return ours

    def _write(self, work: Callable[[sqlite3.Connection], T], full: bool) -> T:
        with self._using() as mine:
            db = mine.raw
            if self._durable and full != mine.full:
                db.execute("PRAGMA synchronous=" + ("FULL" if full else "NORMAL"))
                mine.full = full
            with self._gate.turn():
                db.execute("BEGIN IMMEDIATE")
            try:
                result = work(db)
                (written,) = db.execute(WRITTEN).fetchone()
                point("bus.before_commit")
                db.execute("COMMIT")
            except BaseException:
                _roll_back(db)
                raise
            point("bus.after_commit")
            self.news.tell(written)
            if not full:
                self._bound_wal(db)
        return result

    def _written(self) -> int:
        return int(self.row(WRITTEN)[0])

    def damage(self) -> list[str]:
        """Pages that SQLite finds damaged. It reads the whole file, and nobody waits for it meanwhile."""
        try:
            found = self.rows(f"PRAGMA integrity_check({MAX_DAMAGE})")
        except Corrupt as error:
            return [str(error)]
        return [f"{self.path}: {line}; {RESTORE}" for (said,) in found for line in said.splitlines() if line != "ok"]

    # --- the write-ahead log -----------------------------------------------------------------------------------

    def _bound_wal(self, db: sqlite3.Connection) -> None:
        now = time.monotonic()
        if now - self._wal_tried < 1.0:
            return
        self._wal_tried = now
        with contextlib.suppress(sqlite3.Error, OSError):
            if self._wal.stat().st_size > WAL_BYTES:
                self._truncate_once(db, WAL_WAIT_SECONDS)

    def truncate(self, seconds: float = 5.0) -> None:
        """Fold the write-ahead log into the file and empty it, so that deleted bytes are gone from both.

        Raises BusError when a reader kept it from happening for `seconds`: a purge is then not proven.
        """
        deadline = time.monotonic() + seconds
        try:
            with self._using() as mine:
                while not self._truncate_once(mine.raw, WAL_WAIT_SECONDS):
                    if time.monotonic() > deadline:
                        raise BusError(
                            f"{self.path}: a reader keeps old bytes in {self._wal.name}; stop it and run once more"
                        )
                    time.sleep(0.02)
        except sqlite3.Error as error:
            raise explain(self.path, error) from None

    def _truncate_once(self, db: sqlite3.Connection, seconds: float) -> bool:
        """Writers wait meanwhile, so it is given up soon and tried again."""
        db.execute(f"PRAGMA busy_timeout={round(seconds * 1000)}")
        try:
            (busy, _, _) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            busy = 1
        finally:
            db.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1000)}")
        return not busy


def _has_identity(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE name='identity'").fetchone() is not None


def _give_identity(db: sqlite3.Connection, known: set[str]) -> dict[str, int]:
    """Inside a write. A log of an earlier version takes the id that it is remembered by; ids that a log does not have
    are given up for it."""
    if not _has_identity(db):
        db.execute(IDENTITY)
    if not db.execute("SELECT 1 FROM identity").fetchone():
        db.execute("INSERT INTO identity VALUES(?, 0)", (min(known) if known else new_id(),))
    db.executemany("INSERT OR IGNORE INTO identity VALUES(?, 1)", [(id_,) for id_ in known])
    return dict(db.execute("SELECT id, given_up FROM identity").fetchall())


def _roll_back(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        if db.in_transaction:
            db.execute("ROLLBACK")


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) or 0


def _is_full(error: sqlite3.Error) -> bool:
    return _code(error) in _FULL


def _unusable(path: Path, why: str) -> str:
    return f"{path}: the bus cannot be written there: {why}; choose a folder with --data or LYTTEPOST_DATA"


def _foreign(path: Path) -> str:
    return f"{path}: is no log of ours; move it away, or choose another folder with --data or LYTTEPOST_DATA"


def explain(path: Path, error: sqlite3.Error, *, opening: bool = False) -> LyttepostError:
    """SQLite's error → ours, with what to do."""
    code = _code(error) & 0xFF
    if _is_full(error):
        return BusFull(f"{path}: the disk is full; make room, nothing that was written is lost")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return BusError(f"{path}: another process has kept it locked for {BUSY_SECONDS:.0f} s; is one stopped or hung?")
    if code == sqlite3.SQLITE_NOTADB:
        return ConfigError(_foreign(path))
    if code == sqlite3.SQLITE_CORRUPT:
        return Corrupt(f"{path}: is damaged ({error}); {RESTORE}")
    if code in _UNUSABLE and opening:
        return ConfigError(_unusable(path, str(error)))
    return BusError(f"{path}: {error}")
