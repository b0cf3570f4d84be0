"""The worker `receiver`: listens on a port of its own for gateways, and for people who open the link of a message, and
writes down what they tell.

The server turns in a thread of its own and hands each call to the worker's, the only one that touches the bus. A
connection has a deadline, and there is room for so many, so that a client that dawdles costs the others nothing. It
speaks plain HTTP: a reverse proxy in front of it has the certificate, and shows the world nothing but this.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from queue import Empty, Full, Queue
from typing import Any, TypeVar

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from alerts.notify.channels.callbacks import Callbacks
from alerts.notify.receiver.answer_page import AnswerPages
from alerts.notify.receiver.followed import FollowedBook
from alerts.notify.receiver.intake import Intake, OnReply
from alerts.notify.receiver.web import NotBegun, application
from listener.bus.protocol import Bus
from listener.clock import Clock
from listener.errors import BusError, ConfigError, Corrupt
from listener.model.roles import RECEIVER
from listener.runtime.health import Part
from listener.runtime.metrics import Metrics

MAX_CONNECTIONS = 64
MAX_WAITING = 256
"""Calls that wait for the bus."""
DEADLINE_SECONDS = 15.0
"""Of a connection, from its first byte to its last."""
TAKE_SECONDS = 5.0
"""How long a gateway waits for its call to be written down."""
HEAD = 16 * 1024
"""Bytes of a call's head, its address included."""
STOP_SECONDS = 2.0
FOLLOW_SECONDS = 1.0


T = TypeVar("T")


class _Connection(H11Protocol):
    """A connection with a deadline: uvicorn has none for who sends its head byte by byte. When there are too many, the
    oldest makes room."""

    deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.deadline = self.loop.call_later(DEADLINE_SECONDS, transport.abort)
        if len(self.connections) > MAX_CONNECTIONS:
            mine = (each for each in self.connections if isinstance(each, _Connection) and each.deadline)
            oldest = min(mine, key=lambda each: each.deadline.when() if each.deadline else 0.0)
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        super().connection_lost(exc)


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
        self._jobs: Queue[tuple[Callable[[], Any], Future[Any]]] = Queue(MAX_WAITING)
        listening = _listen(host, port)
        self.port: int = listening.getsockname()[1]
        config = uvicorn.Config(
            application(callbacks, self._intake.take, self._hand_over, metrics, pages),
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            # Its log names addresses, and a token is part of ours.
            log_level=logging.CRITICAL + 1,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=5,
            timeout_graceful_shutdown=1,
            h11_max_incomplete_event_size=HEAD,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(listening,), name="receiver-web", daemon=True)
        self._thread.start()

    def step(self, timeout: float) -> bool:
        """Do what one call asks, waiting at most `timeout` seconds for one."""
        self._part.beat()
        if not self._thread.is_alive():
            self._part.problem("it no longer listens; restart the process")
        try:
            job, done = self._jobs.get(timeout=timeout) if timeout > 0 else self._jobs.get_nowait()
        except Empty:
            self._keep_up()
            return False
        if not done.set_running_or_notify_cancel():
            return True  # nobody waits for it any more, and was told so
        try:
            answer = job()
        except Exception as error:
            done.set_exception(error)
            if isinstance(error, BusError):
                self._part.problem(str(error))
            elif isinstance(error, Corrupt):
                raise
            return True  # any other is for the page or the call to tell
        done.set_result(answer)
        if self._thread.is_alive():
            self._part.problem(None)
        return True

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
            if self._thread.is_alive():
                self._part.problem(None)

    def close(self) -> None:
        """No call that was not answered is lost: its gateway calls again."""
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS)
        self._intake.close()

    async def _hand_over(self, job: Callable[[], T]) -> T:
        done: Future[T] = Future()
        try:
            self._jobs.put_nowait((job, done))
        except Full:
            raise NotBegun from None
        waiting = asyncio.wrap_future(done)
        waiting.add_done_callback(_noticed)
        try:
            # Shielded: what is under way is written down although nobody waits any more.
            return await asyncio.wait_for(asyncio.shield(waiting), TAKE_SECONDS)
        except TimeoutError:
            if done.cancel():
                raise NotBegun from None
            raise

    def _serve(self, listening: socket.socket) -> None:
        try:
            self._server.run(sockets=[listening])
        finally:
            listening.close()


def _noticed(done: asyncio.Future[Any]) -> None:
    """Its error is the worker's to tell, also when the gateway waits no more."""
    if not done.cancelled():
        done.exception()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = "stop the program that has it (`ss -ltnp` names it), or set another receiver.host or receiver.port"
        raise ConfigError(f"receiver.host, receiver.port: cannot listen on {host} port {port}: {why}; {fix}") from None
