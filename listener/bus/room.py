"""Room on the disk, held in reserve: a file of zeros that is given back when the disk is full.

With the reserve gone or the disk nearly full, what can wait (posts, findings, counts) is refused with `BusFull`, which
the listener records as a gap; gaps, alerts and their handling go on into the room that was held. Once there is room
for twice the reserve again, it is taken back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from pathlib import Path

from listener.errors import BusFull

RESERVE_BYTES = 32 << 20
LOW_BYTES = 4 << 20
CHECK_SECONDS = 1.0


class Room:
    """The reserve beside one log. Thread-safe."""

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

    def give(self) -> bool:
        """Give the reserve back to the disk; False when it was given already."""
        with self._lock:
            self._checked = float("-inf")
            try:
                self.path.unlink()
            except FileNotFoundError:
                return False
            return True

    def _look(self) -> str | None:
        free = shutil.disk_usage(self.path.parent).free
        if not self.path.exists():
            if free > 2 * self.size:
                self._take()
                return None
            if free < self.size:
                return f"{self.path.parent}: {free >> 20} MiB free and the reserve is used; make room on the disk"
            return None
        if free < LOW_BYTES:
            return f"{self.path.parent}: only {free >> 20} MiB free beside the reserve; make room on the disk"
        return None

    def _take(self) -> None:
        with contextlib.suppress(OSError):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.posix_fallocate(handle, 0, self.size)
            finally:
                os.close(handle)
