"""A view: an SQLite file that holds nothing of its own. A damaged one is moved aside and built anew from the bus.

What was moved aside is kept for a day, for whoever wants to know what became of it; a purge wipes it at once.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from listener.errors import ConfigError
from listener.permissions import create_private

log = logging.getLogger(__name__)

ASIDE = ".damaged"
KEEP_ASIDE = timedelta(days=1)
BUSY_SECONDS = 10.0
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def is_damage(error: sqlite3.Error) -> bool:
    """The file is no longer what SQLite wrote, in contrast to one that is busy or may not be read."""
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _DAMAGE


def connect(path: Path) -> sqlite3.Connection:
    """Deletes overwrite. May be used from another thread than it was made in, by one at a time."""
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA secure_delete=ON")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


class ViewFile:
    """Where a view lies, and which file it was when it was opened."""

    def __init__(self, path: Path, then: str = "built anew from the bus") -> None:
        """`then`: what becomes of a damaged one, for the log."""
        self.path = path
        self._then = then
        self._inode: tuple[int, int] | None = None

    def open(self) -> sqlite3.Connection:
        """Makes it when it is missing. Raises ConfigError for a folder in its place, OSError, sqlite3.Error."""
        if self.path.is_dir():
            raise ConfigError(f"{self.path}: is a folder where a file of ours belongs; move it away, and start again")
        create_private(self.path)
        self._inode = self._found()
        db = connect(self.path)
        try:
            db.execute("PRAGMA journal_mode=WAL")
        except BaseException:
            db.close()
            raise
        return db

    def is_replaced(self) -> bool:
        """Somebody removed it, or moved it aside and began another, since it was opened."""
        return self._inode is not None and self._found() != self._inode

    def set_aside(self, why: sqlite3.Error) -> None:
        """Close it before. Nothing is done when another process did so before us."""
        if self.is_replaced():
            return
        aside = self.path.with_name(self.path.name + ASIDE)
        # First what belongs to it: a new file beside them would take them for its own.
        for ending in ("-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + ending).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            self.path.replace(aside)
            os.utime(aside)
        log.error("%s: is damaged (%s); moved aside as %s, and %s", self.path, why, aside.name, self._then)

    def _found(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino


def wipe_aside(folder: Path, before: datetime | None = None) -> None:
    """Overwrite and remove what was moved aside in a data folder, all of it or what lies there since `before`."""
    for path in folder.glob(f"*{ASIDE}"):
        with suppress(FileNotFoundError):
            if before is not None and path.stat().st_mtime >= before.timestamp():
                continue
            with path.open("r+b") as file:
                file.write(bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
