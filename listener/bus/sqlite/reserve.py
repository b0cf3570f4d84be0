"""Room on the disk, held in reserve: a file of zeros that is given back when the disk is full.

With the reserve gone or the disk nearly full, what can wait (posts, findings, counts) is refused with `BusFull`, which
the listener records as a gap; gaps, alerts and their handling go on into the room that was held. Once there is room
for twice the reserve again, it is taken back.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

from listener.errors import BusFull
from listener.permissions import open_private

RESERVE_BYTES = 32 << 20
CHECK_SECONDS = 1.0


class DiskReserve:
    """The reserve of `size` bytes beside one log. Thread-safe; any number of processes may share it."""

    def __init__(self, path: Path, size: int = RESERVE_BYTES) -> None:
        self.path = path
        self.size = size
        self._lock = threading.Lock()
        self._checked = float("-inf")
        self._problem: str | None = None

    def check(self) -> None:
        """Raise BusFull when what can wait must wait. Looks at the disk at most once a second."""
        with self._lock:
            if time.monotonic() - self._checked >= CHECK_SECONDS:
                self._checked = time.monotonic()
                self._problem = self._look()
            if self._problem:
                raise BusFull(self._problem)

    def problem(self) -> str | None:
        """The reason why what can wait is refused now, else None."""
        try:
            self.check()
        except BusFull as error:
            return str(error)
        return None

    def give(self) -> None:
        """Give the reserve back to the disk, unless it was given already."""
        with self._lock:
            self._checked = float("-inf")
            with contextlib.suppress(FileNotFoundError):
                self.path.unlink()

    def _look(self) -> str | None:
        folder = self.path.parent
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        free = disk.f_bavail * disk.f_frsize
        if self._held():
            if free < self.size // 8:
                return f"{folder}: only {free >> 20} MiB free beside the reserve; make room on the disk"
            return None
        if free > 2 * self.size:
            self._take()
        elif free < self.size:
            return f"{folder}: {free >> 20} MiB free and the reserve is used; make room on the disk"
        return None

    def _held(self) -> bool:
        try:
            return self.path.lstat().st_size >= self.size
        except OSError:
            return False

    def _take(self) -> None:
        """Another process may be taking it too: the same bytes are taken once."""
        with contextlib.suppress(OSError):
            handle = open_private(self.path, os.O_WRONLY)
            try:
                os.posix_fallocate(handle, 0, self.size)
            except OSError:
                self.path.unlink(missing_ok=True)
            finally:
                os.close(handle)
