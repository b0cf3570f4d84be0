"""Who is logged in: a private SQLite file in the data folder, so that a restart logs nobody out.

It holds a hash of each token and never a token, so that who reads the file cannot log in by it; and the key of the
tokens that forms hold. A damaged file is moved aside and begun anew: everybody logs in once more.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, TypeVar

from alerts.board.access.roles import BoardRole
from listener.bus.sqlite.view import ViewFile, is_damage
from listener.clock import Clock

NAME = "board-sessions.sqlite"
BUSY_MS = 500
"""It is asked in the web server's thread, where nobody may wait long for a lock."""
NOTED = timedelta(minutes=1)
"""What somebody does is noted at most so often: `idle` is exact to this."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS sessions (
    token BLOB PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, way TEXT NOT NULL, stamp TEXT NOT NULL,
    created REAL NOT NULL, seen REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (id INTEGER PRIMARY KEY CHECK (id = 1), key BLOB NOT NULL);
"""

T = TypeVar("T")


class Session(NamedTuple):
    """`way`: how they logged in. `stamp`: of their account then; empty where they have none."""

    name: str
    role: BoardRole
    way: str
    stamp: str
    created: datetime


class Sessions:
    """For one thread at a time. Raises sqlite3.Error and OSError where the file cannot be used."""

    def __init__(self, folder: Path, clock: Clock, idle: timedelta, longest: timedelta) -> None:
        self._file = ViewFile(folder / NAME, "begun anew: everybody logs in once more")
        self._clock = clock
        self._idle = idle
        self._longest = longest
        self._noted = min(NOTED, idle / 20)
        self._db: sqlite3.Connection | None = None
        self._key = b""

    def begin(self, name: str, role: BoardRole, way: str, stamp: str = "") -> str:
        """The token of a new session: 32 bytes that nobody can guess, and that are nowhere else."""
        token = secrets.token_urlsafe(32)
        now = self._clock.now().timestamp()
        row = (_hash(token), name, role, way, stamp, now, now)

        def write(db: sqlite3.Connection) -> None:
            self._forget_old(db)
            db.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)", row)

        self._do(write)
        return token

    def find(self, token: str, *, active: bool = True) -> Session | None:
        """Whose token it is; None when it is nobody's any more. `active`: somebody is at it now, which is noted."""
        hashed = _hash(token)
        rows = self._do(
            lambda db: db.execute(
                "SELECT name, role, way, stamp, created, seen FROM sessions WHERE token = ?", (hashed,)
            ).fetchall()
        )
        if not rows:
            return None
        name, role, way, stamp, created, seen = rows[0]
        now = self._clock.now().timestamp()
        if self._is_over(created, seen, now):
            self.end(token)
            return None
        if active and now - seen >= self._noted.total_seconds():
            # A full disk must log nobody out.
            with suppress(sqlite3.OperationalError):
                self._do(lambda db: db.execute("UPDATE sessions SET seen = ? WHERE token = ?", (now, hashed)))
        return Session(name, BoardRole(role), way, stamp, datetime.fromtimestamp(created, self._clock.now().tzinfo))

    def end(self, token: str) -> None:
        self._do(lambda db: db.execute("DELETE FROM sessions WHERE token = ?", (_hash(token),)))

    def key(self) -> bytes:
        """The key of what forms hold: the same for every process of this folder."""
        if not self._key or self._file.is_replaced():
            self._key = self._do(_key)
        return self._key

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _is_over(self, created: float, seen: float, now: float) -> bool:
        return now - seen >= self._idle.total_seconds() or now - created >= self._longest.total_seconds()

    def _forget_old(self, db: sqlite3.Connection) -> None:
        now = self._clock.now().timestamp()
        bounds = (now - self._idle.total_seconds(), now - self._longest.total_seconds())
        db.execute("DELETE FROM sessions WHERE seen <= ? OR created <= ?", bounds)

    def _do(self, what: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return what(self._opened())
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self.close()
            self._file.set_aside(error)
        return what(self._opened())

    def _opened(self) -> sqlite3.Connection:
        if self._db is not None and self._file.is_replaced():
            self.close()
        if self._db is None:
            db = self._file.open()
            try:
                db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
                db.executescript(_LAYOUT)
            except BaseException:
                db.close()
                raise
            self._db, self._key = db, b""
        return self._db


def _key(db: sqlite3.Connection) -> bytes:
    db.execute("INSERT OR IGNORE INTO keys VALUES (1, ?)", (secrets.token_bytes(32),))
    return bytes(db.execute("SELECT key FROM keys").fetchone()[0])


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
