"""Whether anybody wrote records to the embedded log since a reader looked: one look for all readers of a process.

A record that another process wrote is seen within `POLL_SECONDS`; our own wake the readers at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

POLL_SECONDS = 0.05


class News:
    """Thread-safe. `count` asks the log how many records were ever written to it, and raises what that raises."""

    def __init__(self, count: Callable[[], int]) -> None:
        self.written = 0
        """Records ever written to the log, by whomever, as far as this process knows. It never goes back."""
        self._count = count
        self._wake = threading.Condition()
        self._looked = float("-inf")
        self._somebody_looks = False

    def look(self) -> None:
        """Learn of what other processes wrote."""
        self._looked = time.monotonic()
        self.tell(self._count())

    def tell(self, written: int) -> None:
        """Wake who waits, if there is more than was known."""
        with self._wake:
            if written > self.written:
                self.written = written
                self._wake.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Until `written` is no longer `seen`, or `seconds` are over. Of all threads that wait, one looks."""
        deadline = time.monotonic() + seconds
        with self._wake:
            try:
                while self.written == seen and (left := deadline - time.monotonic()) > 0:
                    if self._somebody_looks:
                        self._wake.wait(left)
                    else:
                        self._look_in_time(seen, deadline)
            finally:
                if not self._somebody_looks:
                    # Whoever waits on takes it over.
                    self._wake.notify()

    def _look_in_time(self, seen: int, deadline: float) -> None:
        self._somebody_looks = True
        try:
            while self.written == seen and (now := time.monotonic()) < deadline:
                due = self._looked + POLL_SECONDS
                if now < due:
                    self._wake.wait(min(due, deadline) - now)
                    continue
                # The others go on meanwhile.
                self._wake.release()
                try:
                    self.look()
                finally:
                    self._wake.acquire()
        finally:
            self._somebody_looks = False
