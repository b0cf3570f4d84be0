"""Our listener as a process of its own that lives fast: `python -m tests.soak.listener CLOCK START`.

The parts are those of `lyttepost run --role listener`, put together in the same way, but for two things: their clock is
the one they share with the fake X, and a call to X has failed after one real second, which is two minutes of theirs.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from alerts.pipeline import flow
from alerts.wiring import live_key, make_app, make_listener
from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.ingest.ingestor import Ingestor
from listener.model.roles import LISTENER
from listener.runtime.service import RoleLock, Service, settle_memory
from listener.runtime.stage import Worker
from listener.settings.files import data_dir, raw_settings
from listener.settings.schema import Settings, load_settings
from listener.sources.contract import LiveSource
from listener.sources.x.access import x_access
from listener.sources.x.source import XSource
from tests.soak.clock import SharedClock

CALL_SECONDS = 1.0


class Beating:
    """A worker whose every turn lets time go on."""

    def __init__(self, worker: Worker, clock: SharedClock) -> None:
        self.name = worker.name
        self.close = worker.close
        self._worker = worker
        self._clock = clock

    def step(self, timeout: float) -> bool:
        busy = self._worker.step(timeout)
        self._clock.beat()
        return busy


def live(path: str, start: str, make: Callable[[Settings, SharedClock], LiveSource]) -> None:
    """The listener, until it is told to stop, with one source."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    clock = SharedClock(Path(path), datetime.fromisoformat(start))
    raw, folder = raw_settings(), data_dir(None)
    settings = load_settings(raw)
    lock = RoleLock(folder, LISTENER)
    bus = open_bus(settings.bus.url, folder, clock)
    app = make_app(settings, folder, bus, clock, LISTENER)
    parts = make_listener(app, raw, [make(settings, clock)], live_key(settings, folder))
    turning = flow(app, (LISTENER,), parts, None)
    turning = [(Beating(w, clock) if isinstance(w, Ingestor) else w, part) for w, part in turning]
    # Workers rest in real time between their turns, or they would spin.
    service = Service(turning, SystemClock())
    settle_memory()
    service.obey_signals()
    try:
        service.run()
    finally:
        bus.close()
        lock.release()


def x(settings: Settings, clock: SharedClock) -> LiveSource:
    access = x_access(settings)
    assert access is not None
    return XSource(access, clock, tariff=settings.x.tariff, rest_seconds=CALL_SECONDS)


if __name__ == "__main__":
    live(*sys.argv[1:], x)
