"""A ping to a service outside this site that calls somebody when it no longer comes (healthchecks.io and the like).

Sent by the process that holds the dispatcher's lease, and only while it can say that all is well: every part of it is
ready, and the newest canary is fresh. A ping that fails is counted and logged, and nothing more: the service itself is
the alarm, and an alert that the alerting is in doubt would be sent by what is in doubt.

The address is a secret: whoever knows it can keep the service quiet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from functools import partial

from urllib3.util import Url

from alerts.notify.channels import http
from alerts.notify.channels.addresses import web_address
from alerts.notify.channels.contract import ChannelError
from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.roles import DEADMAN
from listener.runtime.cancel import within
from listener.runtime.health import Part
from listener.runtime.logs import Outage
from listener.runtime.metrics import Metrics
from listener.settings.deadman import DeadManSettings

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 3.0
"""For each read or write: short enough that a far end that hangs does not hold up the end of the process."""
WHOLE_SECONDS = 4 * TIMEOUT_SECONDS + 1
"""For a ping, and for the look-up of its name, which nothing else ends: while no name is found, alerts are to go on."""
RETRY_SECONDS = 30.0


class Ping(StrEnum):
    """What became of a ping that was due."""

    SENT = "sent"
    FAILED = "failed"
    WITHHELD = "withheld"
    """We cannot say that all is well."""


def address(settings: DeadManSettings) -> Url | None:
    """Where to ping, read from its file anew each time; None where no service is set up. Raises ConfigError."""
    text = settings.address()
    try:
        return None if text is None else web_address(text)
    except ValueError as error:
        raise ConfigError(f"deadman.url: {error}") from None


class DeadMan:
    """The worker. `leads`: whether this process sends the alerts. `trouble`: None, or why all is not well.
    `seconds`: real ones, for a whole ping."""

    name = DEADMAN

    def __init__(
        self,
        settings: DeadManSettings,
        *,
        leads: Callable[[], bool],
        trouble: Callable[[], str | None],
        clock: Clock,
        metrics: Metrics,
        part: Part,
        seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._settings = settings
        self._leads = leads
        self._trouble = trouble
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._due = clock.monotonic()
        self._every = settings.every.total_seconds()
        self._failing = Outage("the ping to the outside dead-man service", clock, each_reason=True)
        self._withheld = False

    def step(self, timeout: float) -> bool:
        """Never says that it cannot do its job: then it would hold back its own pings for ever."""
        self._part.beat()
        if not self._leads() or self._clock.monotonic() < self._due:
            return False
        outcome = self._ping()
        self._metrics.deadman_pings.labels(outcome).inc()
        wait = self._every if outcome is Ping.SENT else min(self._every, RETRY_SECONDS)
        self._due = self._clock.monotonic() + wait
        return True

    def close(self) -> None:
        pass

    def _ping(self) -> Ping:
        why = self._trouble()
        if why and not self._withheld:
            # Once: the reason may hold a number that grows.
            log.warning("the outside dead-man service is not pinged: %s", why)
        self._withheld = why is not None
        if why:
            return Ping.WITHHELD
        try:
            where = address(self._settings)
            if where is None:
                return Ping.WITHHELD
            within(self._seconds, partial(http.post, where, b"", {}, timeout=TIMEOUT_SECONDS), "deadman-ping")
        except TimeoutError:
            self._failing.lasts("no answer in time")
            return Ping.FAILED
        except ChannelError as error:
            self._failing.lasts(error.word)
            return Ping.FAILED
        except ConfigError as error:
            self._failing.lasts(str(error))
            return Ping.FAILED
        self._failing.look()
        self._metrics.deadman_sent.set(self._clock.now().timestamp())
        return Ping.SENT
