"""The stream of one server: a websocket, kept open, on which all feeds are subscribed to.

A connection ends by the server, by the network, or by us: where nothing was heard for too long, not even an answer to
our pings, and where the timelines show that the stream is deaf though it answers (as streams were after a server's
Redis had restarted). Two of our threads read a websocket: the library's own, which answers pings, and this one.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.sources.mastodon.access import Access
from listener.sources.mastodon.feeds import subscription
from listener.sources.mastodon.inbox import Down, Inbox, Up
from listener.sources.mastodon.instance import PATH, Instance, Unfit, read_instance
from listener.sources.mastodon.rest import LONGEST_WAIT, CallError, Rest
from listener.sources.mastodon.wire import open_stream

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 10.0
SILENCE: Final = 30.0
PING_SECONDS: Final = 3.0
"""Between two of our pings: up to the answer of the last one everything was heard."""
LOOK_SECONDS: Final = 0.05
"""Real seconds after which a reader that waits looks about."""
STOP_SECONDS: Final = 0.3
FAILED_SECONDS: Final = 5.0
KNOWN_SECONDS: Final = 3600.0
"""So long is what a server says of itself believed."""
PROVEN: Final = 30.0
"""Seconds that a connection must have been heard for its end to count as the first."""
_FIRST: Final = 1.0
_LONGEST: Final = 60.0
_JITTER: Final = 0.3
KEPT_OUT: Final = frozenset({Cause.REFUSED, Cause.UNAUTHORIZED, Cause.FORBIDDEN})


@dataclass(frozen=True)
class End:
    """How a connection ended. `wait`: seconds that the server asked us to wait."""

    cause: Cause
    why: str
    wait: float = 0.0


class Stream:
    """Keeps a connection open in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        access: Access,
        make: Callable[[], Rest],
        inbox: Inbox,
        clock: Clock,
        chance: Callable[[], float],
        *,
        silence: float = SILENCE,
    ) -> None:
        self._access = access
        self._make = make
        self._inbox = inbox
        self._clock = clock
        self._chance = chance
        self._silence = silence
        self._feeds: frozenset[str] = frozenset()
        self._sending = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._rest: Rest | None = None
        self._ws: ClientConnection | None = None
        self._why: End | None = None
        self._since = clock.monotonic()
        self._last: float | None = None
        self._failures = 0
        self._instance: tuple[float, Instance] | None = None

    def want(self, feeds: frozenset[str]) -> None:
        """From now on these are subscribed to."""
        with self._sending:
            before, self._feeds = self._feeds, feeds
            ws = self._ws
            if ws is None:
                return
            with suppress(ConnectionClosed, OSError):
                for feed in sorted(feeds - before):
                    ws.send(json.dumps(subscription(feed)))
                for feed in sorted(before - feeds):
                    ws.send(json.dumps(subscription(feed, "unsubscribe")))

    def start(self) -> None:
        self._since, self._last = self._clock.monotonic(), None
        # A new event: a former thread that still waits for an answer must stay stopped.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="mastodon-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket, at once."""
        self._stop.set()
        if self._rest is not None:
            self._rest.abandon()
        self._end(End(Cause.CLOSED, "by us"))
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_SECONDS)

    def leave(self, cause: Cause, why: str) -> None:
        """End this connection and make another."""
        self._end(End(cause, why))

    def watch(self) -> None:
        """To be called now and then: a connection that is mute is ended, a thread whose call never ends is left."""
        if self._thread is not None and self._rest is not None and self._rest.is_stuck:
            self._stop.set()
            self._rest.abandon()
            self._rest = None
            self._inbox.say(Down(Cause.UNREACHABLE, "its answer does not end"))
            self.start()
            return
        last = self._last if self._last is not None else self._since
        if self._ws is not None and self._clock.monotonic() - last > self._silence:
            self._end(End(Cause.SILENCE, "it is mute"))

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        rest = self._rest = self._make()
        try:
            while not stop.is_set():
                try:
                    self._keep_open(rest, stop)
                except Exception as error:
                    # Whatever it is, it must not make us deaf without a word.
                    log.error("mastodon: the stream's thread failed: %s; it goes on", type(error).__name__)
                    self._inbox.say(Down(Cause.RESET, type(error).__name__))
                    self._clock.wait(FAILED_SECONDS, stop)
        finally:
            rest.close()

    def _keep_open(self, rest: Rest, stop: threading.Event) -> None:
        wait = 0.0
        while not (self._clock.wait(wait, stop) if wait else stop.is_set()):
            self._since, self._last, self._why = self._clock.monotonic(), None, None
            end = self._once(rest, stop)
            if stop.is_set():
                return
            self._inbox.say(Down(end.cause, end.why))
            wait = self._pause(end, 0.0 if self._last is None else self._last - self._since)
            log.warning("mastodon: %s: %s; again in %.1f s", self._access.name, end.why, wait)

    def _pause(self, end: End, heard: float) -> float:
        if heard >= PROVEN:
            self._failures = 0
        self._failures += 1
        if end.cause in KEPT_OUT:
            self._instance = None
        if end.wait:
            return min(end.wait, LONGEST_WAIT) + self._chance()
        if end.cause in KEPT_OUT:
            return _LONGEST * (1 - _JITTER * self._chance())
        if self._failures == 1:
            return 0.25 * self._chance()
        return min(_FIRST * 2.0 ** min(self._failures - 2, 10), _LONGEST) * (1 - _JITTER * self._chance())

    def _once(self, rest: Rest, stop: threading.Event) -> End:
        """Connect, and read until the connection ends, whatever ends it. Raises nothing that is not ours."""
        mine = None
        try:
            self._access.key.reread()
            token = self._access.key.token
            instance = self._ask(rest, token)
            if stop.is_set():
                return End(Cause.CLOSED, "by us")
            with open_stream(instance.streaming, token, CONNECT_SECONDS) as ws:
                with self._sending:
                    if stop.is_set():
                        return End(Cause.CLOSED, "by us")
                    for feed in sorted(self._feeds):
                        ws.send(json.dumps(subscription(feed)))
                    self._ws = mine = ws
                self._since = self._clock.monotonic()
                return self._read(ws, instance, stop)
        except CallError as refused:
            return self._why or End(refused.cause, refused.why, refused.wait)
        except Unfit as unfit:
            return End(Cause.REFUSED, str(unfit))
        finally:
            if mine is not None and self._ws is mine:
                self._ws = None

    def _ask(self, rest: Rest, token: str) -> Instance:
        """What it says of itself, read first: where it streams, and which feeds are closed."""
        now = self._clock.monotonic()
        if self._instance is None or now - self._instance[0] > KNOWN_SECONDS:
            self._instance = now, read_instance(rest.get(PATH, {}, token), self._access.url)
        return self._instance[1]

    def _read(self, ws: ClientConnection, instance: Instance, stop: threading.Event) -> End:
        """It is up once it has answered a ping: then it has met what was subscribed to before."""
        clock, up, answered = self._clock, False, False
        waiter, asked, pinged = ws.ping(), clock.now(), clock.monotonic()
        while not stop.is_set() and self._why is None:
            raw: bytes | None = None
            with suppress(TimeoutError):
                raw = ws.recv(timeout=LOOK_SECONDS, decode=False)
            now = clock.monotonic()
            if raw is not None:
                self._last = now
                if not self._inbox.frame(clock.now(), raw):
                    return End(Cause.QUEUE_FULL, "more came than can be taken in", wait=PING_SECONDS)
            if waiter.is_set() and not answered:
                self._last = now
                if not up:
                    self._inbox.say(Up(clock.now(), instance))
                elif raw is None:
                    # Nothing waits to be read: all that was said before we asked has been.
                    self._inbox.alive(asked)
                up = answered = True
            if answered and now - pinged >= PING_SECONDS:
                waiter, asked, pinged, answered = ws.ping(), clock.now(), now, False
        return self._why or End(Cause.CLOSED, "by us")

    def _end(self, end: End) -> None:
        """From any thread."""
        self._why = self._why or end
        ws = self._ws
        if ws is not None:
            with suppress(OSError):
                ws.socket.shutdown(socket.SHUT_RDWR)
