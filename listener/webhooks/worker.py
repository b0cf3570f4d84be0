"""The worker `webhooks`: opens one port for the platforms that call us, while this process listens to any of them.

Which process that is a source's lease decides; so the port follows the leases. Where another process has a source, its
path answers 503 here, or nobody listens at all, and the proxy in front asks the next one. The server turns in a thread
of its own; the bus is touched by none of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import nan
from typing import Final

from listener.clock import Clock
from listener.errors import ConfigError
from listener.model.roles import WEBHOOKS
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.webhooks.application import application
from listener.webhooks.mailbox import MAX_CALLS
from listener.webhooks.webhook import CallOutcome, Webhook
from listener.webserver.server import WebServer, listen

MAX_CONNECTIONS: Final = MAX_CALLS + 64
"""More than there is room for in a mailbox, so that one call too many is told so and is not cut off. What they hold is
bounded by what is read of them at once (`application.READING`) and by the mailbox: less than a hundred megabytes."""
RETRY_SECONDS: Final = 1.0
"""So often is a port tried again that cannot be had: the process that listened before may be about to end."""
LINGER_SECONDS: Final = 2.0
"""So long is the port kept when no source is open: one that is opened anew is closed for a moment."""


class Webhooks:
    """A port that cannot be had is a problem that /readyz shows, and stops nobody: what is said is polled too."""

    name = WEBHOOKS

    def __init__(
        self, webhooks: Sequence[Webhook], *, host: str, port: int, clock: Clock, metrics: Metrics, part: Part
    ) -> None:
        self._webhooks = {webhook.source: webhook for webhook in webhooks}
        self._where = host, port
        self._clock = clock
        self._metrics = metrics
        self._part = part
        self._server: WebServer | None = None
        self._retry_at = self._wanted_at = float("-inf")
        self._listening: set[str] = set()
        self._app = application(self._webhooks, clock, metrics)
        for source in self._webhooks:
            metrics.webhook_called.labels(source).set(nan)
            for outcome in CallOutcome:
                metrics.webhook_calls.labels(source, outcome)

    @property
    def port(self) -> int | None:
        """Where it listens; None while it does not."""
        return None if self._server is None else self._server.port

    def step(self, timeout: float) -> bool:
        """Open or close the port, as the sources of this process are open."""
        self._part.beat()
        listening = {source for source, webhook in self._webhooks.items() if webhook.mailbox.is_open}
        for source in listening - self._listening:
            self._metrics.webhook_called.labels(source).set(self._clock.now().timestamp())
        for source in self._listening - listening:
            self._metrics.webhook_called.labels(source).set(nan)
        self._listening = listening
        if listening:
            self._wanted_at = self._clock.monotonic()
        if self._server is not None and not self._server.alive:
            self._close()
        if listening and self._server is None:
            return self._open()
        if self._server is not None and self._clock.monotonic() - self._wanted_at > LINGER_SECONDS:
            self._close()
            self._part.problem(None)
            return True
        return False

    def _open(self) -> bool:
        if self._clock.monotonic() < self._retry_at:
            return False
        self._retry_at = self._clock.monotonic() + RETRY_SECONDS
        host, port = self._where
        try:
            listening = listen(host, port, "webhooks")
        except ConfigError as error:
            self._part.problem(f"{error}; it is tried again")
            return False
        self._server = WebServer(lambda _: self._app, listening, "webhooks-web", most=MAX_CONNECTIONS)
        self._part.problem(None)
        return True

    def _close(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self) -> None:
        """No call that was not answered is lost: its platform calls again."""
        self._close()
