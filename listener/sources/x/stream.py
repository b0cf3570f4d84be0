"""The stream: one connection to X, kept open as X asks, whose lines go into the intake.

tweepy's `StreamingClient` knows the endpoint, its parameters and the session; two of its methods are overridden,
because of what stock tweepy does in a crisis. `_connect` makes *one* connection, and only enqueues its bytes: tweepy's
own loop connects again at once after a 200 that is closed (450 times a second), ignores `x-rate-limit-reset`, tells
nobody of a revoked key, and ends for good by an exception in a handler. `disconnect` shuts the socket, so that whoever
waits for a byte wakes at once.

A post that comes alone is taken at once. What comes right behind it gathers at the socket for `GATHER` first: to wake
for each of a thousand posts a second, a thread among others, costs three times as much as to read them.
"""

from __future__ import annotations

import logging
import select
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import requests
import tweepy

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.runtime.cancel import CancelScope
from listener.sources.common.buffer import Down, Item, Line, Lost, ReceiveBuffer, Unreadable, Up
from listener.sources.common.line_splitter import Lines, TooLong
from listener.sources.x.access import Access
from listener.sources.x.backoff import Backoff, ConnectLimit, Schedule
from listener.sources.x.client import CONNECT_SECONDS, Api, Trouble, XError, error_of, lead

log = logging.getLogger(__name__)

SILENCE: Final = 21.0
"""Seconds without a byte: X sends one at least every 20."""
CHUNK: Final = 64 * 1024
GATHER: Final = 0.02
"""Seconds between two waits for a byte: what comes meanwhile is read in one go."""
WAITED: Final = 0.0002
"""Seconds. A read that took less had nothing to wait for, and more is there perhaps."""
STOP_SECONDS: Final = 0.5
FAILED_SECONDS: Final = 5.0
UNWATCHED: Final = 10.0
"""Seconds without `watch` after which nobody takes what is read: another process may listen by then."""
TICK_SECONDS: Final = 1.0
"""So often is it said up to when all was heard, where there is nothing else to say."""

_CAUSES: Final[Mapping[Trouble, Cause]] = {
    Trouble.NETWORK: Cause.RESET,
    Trouble.SERVER: Cause.HTTP_5XX,
    Trouble.RATE_LIMITED: Cause.RATE_LIMITED,
    Trouble.TOO_MANY_CONNECTIONS: Cause.TOO_MANY_CONNECTIONS,
    Trouble.NO_RULES: Cause.RULES_UNCONFIRMED,
    Trouble.CAPPED: Cause.USAGE_CAPPED,
    Trouble.OVER_BUDGET: Cause.BUDGET_CEILING,
    Trouble.UNAUTHORIZED: Cause.UNAUTHORIZED,
    Trouble.FORBIDDEN: Cause.FORBIDDEN,
    Trouble.REFUSED: Cause.REFUSED,
}


@dataclass(frozen=True)
class End:
    """How a connection ended. `lived`: seconds between X's 200 and the last byte; None when there was no byte. `why`:
    X's own reason. `at_once`: what X refused of the request is asked for no more."""

    cause: Cause
    trouble: Trouble
    lived: float | None = None
    reset: float | None = None
    why: str | None = None
    at_once: bool = False

    @property
    def schedule(self) -> Schedule:
        if self.trouble is Trouble.NETWORK:
            return Schedule.NETWORK
        return Schedule.LIMITED if self.trouble in (Trouble.RATE_LIMITED, Trouble.CAPPED) else Schedule.HTTP


class Wire(tweepy.StreamingClient):  # type: ignore[misc]
    """One connection, from its making to its end."""

    def __init__(self, access: Access, api: Api, buffer: ReceiveBuffer, clock: Clock, silence: float) -> None:
        super().__init__(api.key.token, chunk_size=CHUNK)
        lead(self.session, access.base_url, call_meter=api.call_meter)
        self._api = api
        self._buffer = buffer
        self._clock = clock
        self._silence = silence
        self._lines = Lines()
        self._scope = CancelScope()
        self._why: Cause | None = None
        self._stopped = threading.Event()
        self._made_at = clock.monotonic()
        self._up_at: float | None = None
        self._last: float | None = None
        self.end = End(Cause.RESET, Trouble.NETWORK)

    def listen(self) -> End:
        """Connect, and read until the connection ends, whatever ends it. Raises nothing."""
        try:
            with self._scope:
                self.filter(**self._api.asked.now())
        except Exception as error:
            # tweepy's words may hold what X sent; its class says enough.
            log.error("x: the stream ended by %s", type(error).__name__)
        finally:
            self.session.close()
        return self.end

    def disconnect(self, why: Cause | None = None) -> None:
        """End it now, from any thread."""
        self._why = self._why or why
        self._stopped.set()
        self._scope.cancel()

    def silent_for(self) -> float:
        """Seconds since X sent a byte, or took us in, or was asked to."""
        since = self._last if self._last is not None else self._up_at if self.up else self._made_at
        return self._clock.monotonic() - (since or 0.0)

    @property
    def up(self) -> bool:
        """X has taken us in."""
        return self._up_at is not None

    def _connect(self, method: str, endpoint: str, **kwargs: Any) -> None:
        url = f"https://api.twitter.com/2/tweets/{endpoint}/stream"
        headers = {
            "Authorization": f"Bearer {self.bearer_token}",
            "User-Agent": self.user_agent,
            # A compressed stream holds posts back until a block is full.
            "Accept-Encoding": "identity",
        }
        cause, trouble, reset, why, at_once = Cause.CLOSED, Trouble.NETWORK, None, None, False
        try:
            with self.session.request(
                method,
                url,
                params=kwargs.get("params"),
                headers=headers,
                timeout=(CONNECT_SECONDS, self._silence + 5),
                stream=True,
                allow_redirects=False,
            ) as response:
                if response.status_code != 200:
                    raise error_of(response)
                self._read(response)
        except XError as error:
            cause, trouble, reset, why = _CAUSES[error.trouble], error.trouble, error.reset, error.why
            at_once = self._api.refuses_field(error)
        except requests.Timeout:
            cause = Cause.SILENCE if self._up_at is not None else Cause.UNREACHABLE
        except requests.RequestException:
            cause = Cause.RESET if self._up_at is not None else Cause.UNREACHABLE
        except Exception as error:
            # urllib3's and the socket's own, and whatever a socket raises that another thread has shut.
            cause = Cause.SILENCE if "Timeout" in type(error).__name__ else Cause.RESET
        half = self._lines.left()
        if half is not None:
            self._buffer.say(Unreadable(self._clock.now(), half.length, half.digest, half=True))
        self.end = End(self._why or cause, trouble, self._lived(), reset, why, at_once)

    def _lived(self) -> float | None:
        return None if self._up_at is None or self._last is None else self._last - self._up_at

    def _read(self, response: requests.Response) -> None:
        if self._stopped.is_set():  # X took in one that nobody wants any more.
            return
        self._api.asked.answered = True
        self._up_at = self._clock.monotonic()
        self._buffer.say(Up(self._clock.now()))
        waiting = select.poll()
        waiting.register(response.raw.fileno(), select.POLLIN)
        while not self._stopped.is_set():
            began = self._clock.monotonic()
            chunk = response.raw.read1(CHUNK)
            if not chunk:
                return
            self._last = self._clock.monotonic()
            at = self._clock.now()
            lines = self._lines.feed(chunk)
            with self._buffer.whole():
                self._buffer.touch(at)
                for line in lines:
                    if isinstance(line, TooLong):
                        self._buffer.say(Unreadable(at, line.length, line.digest, half=False))
                    elif line:
                        self._buffer.line(at, line)
            # Only where all was read: so a reader that the machine holds up never falls behind for it.
            if lines and self._last - began > WAITED and not waiting.poll(0):
                self._clock.wait(GATHER, self._stopped)


class Stream:
    """Keeps a connection open in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        access: Access,
        api: Api,
        buffer: ReceiveBuffer,
        clock: Clock,
        chance: Callable[[], float],
        *,
        silence: float = SILENCE,
    ) -> None:
        self._access = access
        self._api = api
        self._buffer = buffer
        self._clock = clock
        self._chance = chance
        self._silence = silence
        # Outlives each `start`: X counts connects, whatever made us connect.
        self._budget = ConnectLimit()
        self._stop = threading.Event()
        self._wire: Wire | None = None
        self._thread: threading.Thread | None = None
        self._watched = clock.monotonic()
        self.next_at: float | None = None
        """Monotonic time of the next try; None while none is waited for."""

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and not self._stop.is_set()

    def start(self) -> None:
        if self.running:
            return
        self._watched = self._clock.monotonic()
        # A new event: a former thread that still waits for an answer must stay stopped.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="x-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket, at once."""
        self._stop.set()
        wire, thread = self._wire, self._thread
        if wire is not None:
            wire.disconnect()
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_SECONDS)
        self._wire, self._thread, self.next_at = None, None, None

    def retry(self) -> None:
        """At once, where X has not taken us in: what was in the way may be gone."""
        wire = self._wire
        if self.running and not (wire is not None and wire.up):
            self.stop()
            self.start()

    def again(self, why: Cause) -> None:
        """End this connection and make another."""
        wire = self._wire
        if wire is not None:
            wire.disconnect(why)

    def watch(self) -> None:
        """To be called now and then: a connection that has fallen silent is ended."""
        self._watched = self._clock.monotonic()
        wire = self._wire
        if wire is None or not self.running or wire.silent_for() <= self._silence:
            return
        wire.disconnect(Cause.SILENCE)
        if not wire.up and wire.silent_for() > self._silence + CONNECT_SECONDS:
            # Its name is looked up all the time: what waits for that cannot be woken, so it is left behind.
            self._stop.set()
            self._buffer.say(Down(None, Cause.UNREACHABLE))
            self.start()

    def _run(self, stop: threading.Event) -> None:
        while True:
            try:
                self._keep_open(stop)
                return
            except Exception as error:
                # Whatever it is, it must not make us deaf without a word.
                log.error("x: the stream's thread failed: %s; it is started again", type(error).__name__)
                self._buffer.say(Down(self._buffer.heard, Cause.RESET))
                if self._pause(FAILED_SECONDS, stop):
                    return

    def _keep_open(self, stop: threading.Event) -> None:
        backoff = Backoff(self._chance)
        wait = 0.0
        while not self._pause(wait, stop):
            if self._pause(self._budget.wait(self._clock.monotonic()), stop):
                return
            while self._clock.monotonic() - self._watched > UNWATCHED:
                if self._pause(1.0, stop):
                    return
            self._budget.spend(self._clock.monotonic())
            end = self._once(stop)
            if end is None or stop.is_set():
                return
            if end.at_once:
                # Each time there is one field less to be refused.
                wait = 0.0
                continue
            heard = self._buffer.heard if end.lived is not None else None
            self._buffer.say(Down(heard, end.cause, end.why))
            if end.trouble is Trouble.TOO_MANY_CONNECTIONS:
                self._clear_connections()
            until = None if end.reset is None else end.reset - self._clock.now().timestamp()
            wait = backoff.ended(end.schedule, end.lived or 0.0, until)
            reason = f"{end.cause}: {end.why}" if end.why else end.cause
            log.warning("x: %s; connecting again in %.1f s", reason, wait)

    def _once(self, stop: threading.Event) -> End | None:
        wire = Wire(self._access, self._api, self._buffer, self._clock, self._silence)
        if stop.is_set():
            return None
        self._wire = wire
        end = wire.listen()
        if self._wire is wire:
            self._wire = None
        return end

    def _pause(self, seconds: float, stop: threading.Event) -> bool:
        if seconds <= 0:
            return stop.is_set()
        self.next_at = self._clock.monotonic() + seconds
        stopped = self._clock.wait(seconds, stop)
        self.next_at = None
        return stopped

    def _clear_connections(self) -> None:
        try:
            self._api.drop_connections()
        except XError as error:
            log.warning("x: the connections that X counts could not be cleared: %s", error)


class ConnectionState:
    """How well the stream is heard, as what the reader said of its connection is met, in order. Knows no gaps.

    `up_at`: since when X has taken us in. `flowing`: bytes came since. `announced`: why X said that it would end
    it. `given`: up to when all that was heard has been given away."""

    def __init__(self, buffer: ReceiveBuffer, given: datetime | None = None) -> None:
        self._buffer = buffer
        self._given_at = float("-inf")
        self.up_at: datetime | None = None
        self.flowing = False
        self.announced: Cause | None = None
        self.given = given

    def meets(self, item: Item) -> None:
        if self.up_at is not None and isinstance(item, Line | Unreadable | Lost):
            self.flowing = True

    def reaches(self, heard: datetime | None) -> None:
        """All was met that came until then."""
        if self.up_at is not None and heard is not None and heard >= self.up_at:
            self.flowing = True

    def up(self, at: datetime) -> None:
        self.up_at, self.flowing, self.announced = at, False, None

    def down(self) -> datetime | None:
        """The connection is gone. When its last byte came; None when there was none."""
        heard = self._buffer.heard if self.flowing else None
        self.up_at, self.flowing = None, False
        return heard

    def until(self, heard: datetime | None) -> datetime | None:
        """Up to when there is something new to say."""
        return None if heard is None or (self.given is not None and heard <= self.given) else heard

    def is_due(self, now: float) -> bool:
        """`now` is monotonic."""
        return now - self._given_at >= TICK_SECONDS

    def gives(self, until: datetime, now: float) -> None:
        self.given, self._given_at = until, now
