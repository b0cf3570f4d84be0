"""Retention of the sources whose content may lie for less long than the rest, every ten minutes, in every mode.

Each process does it for the spools of its own folder; for the bus one of them does, by a lease. It is a worker of its
own beside `listener.runtime.housekeeping`, for on a cluster a purge waits until the broker has compacted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from math import nan
from pathlib import Path

from listener.bus.protocol import Bus, Lease
from listener.clock import Clock
from listener.crashpoints import point
from listener.errors import BusError
from listener.model.roles import EXPIRE
from listener.privacy.expiry import Expiry, Limits, expire_spools
from listener.runtime.health import IN_ONE_PIECE, Part
from listener.runtime.metrics import Metrics

log = logging.getLogger(__name__)

TURN_SECONDS = 600.0
RETRY_SECONDS = 60.0
REST_SECONDS = 0.02
LEASE_SECONDS = 1500.0
"""Two turns and a half: who was killed is replaced long before anything is too old."""
TURNS_WITHIN = 180.0
"""Seconds: a cluster may take a minute to compact what was purged."""


class Expiring:
    """The worker. `after` is called after each turn, for views that must let go of what the bus has dropped."""

    name = EXPIRE

    def __init__(
        self,
        bus: Bus,
        limits: Limits,
        lease: Lease,
        *,
        folder: Path,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self._expiry = Expiry(bus, limits, self._rest)
        self._limits = limits
        self._lease = lease
        self._folder = folder
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._after = after
        self._never = threading.Event()
        self._leads = False
        self._due = float("-inf")
        for source, limit in limits.items():
            metrics.content_allowed.labels(source).set(limit.total_seconds())
            metrics.content_oldest.labels(source).set(nan)

    def step(self, timeout: float) -> bool:
        self._part.beat()
        if self._clock.monotonic() < self._due:
            return False
        self._due = self._clock.monotonic() + RETRY_SECONDS
        try:
            # First: it lies here while the bus is away, too.
            with self._part.takes(IN_ONE_PIECE):
                expire_spools(self._folder, self._limits, self._clock.now())
            self._leads = self._lease.renew()
            # On Kafka each purge waits until the broker has compacted what went.
            with self._part.takes(IN_ONE_PIECE):
                gone = self._expiry.expire(self._clock.now()) if self._leads else 0
            if gone:
                log.info("retention: %d records of sources with a limit of their own are removed", gone)
            point("expiry.purged")
            with self._part.takes(IN_ONE_PIECE):
                self._after()
        except BusError as error:
            self._part.problem(str(error))
            return False
        finally:
            self._show()
        self._due = self._clock.monotonic() + TURN_SECONDS
        self._part.problem(None)
        return True

    def close(self) -> None:
        self._expiry.close()
        if self._leads:
            self._lease.release()

    def _rest(self) -> None:
        """Between two pieces of much to read: who has just started has more urgent things to do."""
        self._part.beat()
        self._clock.wait(REST_SECONDS, self._never)

    def _show(self) -> None:
        """Only who looks after the bus knows; elsewhere it is not known."""
        oldest = self._expiry.oldest() if self._leads else {}
        for source in self._limits:
            self._metrics.content_oldest.labels(source).set(oldest[source].timestamp() if source in oldest else nan)
