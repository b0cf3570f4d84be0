"""The worker `receiver`: listens on a port of its own for gateways, and for people who open the link of a message, and
writes down what they tell.

The server turns in a thread of its own and hands each call to the worker's, the only one that touches the bus. It
speaks plain HTTP: a reverse proxy in front of it has the certificate, and shows the world nothing but this.
"""

from __future__ import annotations

from collections.abc import Mapping

from alerts.notify.channels.callbacks import Callbacks
from alerts.notify.followed import FollowedBook
from alerts.notify.receiver.answer_page import AnswerPages
from alerts.notify.receiver.intake import Intake, OnReply
from alerts.notify.receiver.web import application
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import BusError
from listener.model.roles import RECEIVER
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics
from listener.webserver.jobs import Jobs
from listener.webserver.server import WebServer, listen

FOLLOW_SECONDS = 1.0


class Receiver:
    """Listens from the moment it is made until `close`. Raises ConfigError when the port cannot be had."""

    name = RECEIVER

    def __init__(
        self,
        bus: Bus,
        callbacks: Mapping[str, Callbacks],
        on_reply: OnReply,
        *,
        host: str,
        port: int,
        clock: Clock,
        metrics: Metrics,
        part: Part,
        book: FollowedBook | None = None,
        pages: AnswerPages | None = None,
    ) -> None:
        """`book`: what `on_reply` and `pages` look at, kept up with while nobody calls. `pages`: where links are set
        up."""
        self._part = part
        self._book = book
        self._clock = clock
        self._follow_at = clock.monotonic()
        self._intake = Intake(bus, clock, metrics, on_reply)
        self._jobs = Jobs()
        app = application(callbacks, self._intake.take, self._jobs.hand_over, metrics, pages)
        self._server = WebServer(lambda _: app, listen(host, port, "receiver"), "receiver-web")
        self.port = self._server.port

    def step(self, timeout: float) -> bool:
        """Do what one call asks, waiting at most `timeout` seconds for one."""
        self._part.beat()
        if not self._server.alive:
            self._part.problem("it no longer listens; restart the process")
        done = self._jobs.do_one(timeout)
        if done is None:
            self._keep_up()
            return False
        if isinstance(done.error, BusError):
            self._part.problem(str(done.error))
        elif done.error is None and self._server.alive:
            self._part.problem(None)
        return True  # any other error is for the page or the call to tell

    def _keep_up(self) -> None:
        """While nobody calls: what others wrote meanwhile, so that who calls at night does not wait for all of it."""
        now = self._clock.monotonic()
        if now < self._follow_at:
            return
        self._follow_at = now + FOLLOW_SECONDS
        try:
            self._intake.follow()
            if self._book is not None:
                self._book.read()
        except BusError as error:
            self._part.problem(str(error))
        else:
            if self._server.alive:
                self._part.problem(None)

    def close(self) -> None:
        """No call that was not answered is lost: its gateway calls again."""
        self._server.close()
        self._intake.close()
