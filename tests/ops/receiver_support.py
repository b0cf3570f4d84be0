"""A receiver that is turned by a thread of its own, as the service turns it."""

from __future__ import annotations

import threading

from alerts.notify.receiver.worker import Receiver


class Turning:
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._turn, daemon=True)
        self._thread.start()

    def _turn(self) -> None:
        while not self._stop.is_set():
            self._receiver.step(0.05)

    def close(self) -> None:
        """The receiver, too."""
        self._stop.set()
        self._thread.join()
        self._receiver.close()
