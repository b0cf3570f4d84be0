"""Turns for writing: who waits to write holds the gate meanwhile, so that the busiest writer cannot starve the rest.

SQLite lets one write at a time and the others try again by chance; a writer at full speed is then nearly always first.
Behind the gate the one who waits is next: the busy one finds the gate held and queues like everybody.

A courtesy and no lock: whoever waits longer than `GATE_SECONDS` (its holder may be a stopped process) walks past it.
The file is not the log itself, because closing any handle of a file drops the locks that SQLite has on it.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from listener.permissions import open_private

GATE_SECONDS = 0.5
RETRY_SECONDS = 0.001


class Gate:
    """Shared by the threads of this process, and through its file with other processes."""

    def __init__(self, path: Path) -> None:
        self._handle = open_private(path, os.O_RDWR)
        self._turn = threading.Lock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the gate, or give up holding it after `GATE_SECONDS`."""
        deadline = time.monotonic() + GATE_SECONDS
        if not self._turn.acquire(timeout=GATE_SECONDS):
            yield
            return
        try:
            held = self._lock(deadline)
            try:
                yield
            finally:
                if held:
                    fcntl.flock(self._handle, fcntl.LOCK_UN)
        finally:
            self._turn.release()

    def _lock(self, deadline: float) -> bool:
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    return False
                time.sleep(RETRY_SECONDS)
            else:
                return True

    def close(self) -> None:
        """No turn may be held or asked for any more."""
        os.close(self._handle)
