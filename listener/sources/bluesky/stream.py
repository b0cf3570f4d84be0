"""The stream: one websocket, kept open to one host after another, whose wanted messages go into the inbox.

A connection ends by the host, by the network, or by us: where nothing came for too long, for the network is never still
(hosts went mute with the socket open), and where the source wants to begin elsewhere. Then the next host is asked, from
the place that was read to. Two of our threads read a websocket: the library's own, which answers pings, and this one.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from listener.clock import Clock
from listener.model.gaps import Cause
from listener.sources.bluesky.frames import Failure, Info, Outlook, Place, onward, place_of, read_message
from listener.sources.bluesky.hosts import LARGEST, OVERLAP, WIRE, Rotation, Start, start_at, url_of
from listener.sources.bluesky.inbox import Down, Inbox, Up
from listener.sources.common.fields import Unusable
from listener.sources.common.sieve import Sieve

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 10.0
SILENCE: Final = 20.0
STOP_SECONDS: Final = 0.3
FAILED_SECONDS: Final = 5.0
LEAP: Final = 60_000_000
"""Microseconds. In no minute does the network say nothing: where a replay begins so much later than it was asked to,
something was skipped; where it begins so much earlier, the host's clock is another."""
_NOTE_EVERY: Final = 256
"""Messages after which it is noted how far the stream was read, for a connection whose last message tells nothing."""

_STATUS: Final = {401: Cause.UNAUTHORIZED, 403: Cause.FORBIDDEN, 429: Cause.RATE_LIMITED}


@dataclass(frozen=True)
class End:
    """How a connection ended. `again`: the same host is asked at once, for it was our wish or can be set right."""

    cause: Cause
    why: str | None = None
    again: bool = False


class Stream:
    """Keeps a connection open in a thread of its own, from `start` to `stop`."""

    def __init__(
        self,
        hosts: Sequence[str],
        inbox: Inbox,
        clock: Clock,
        chance: Callable[[], float],
        *,
        version: int = 2,
        silence: float = SILENCE,
    ) -> None:
        self._inbox = inbox
        self._clock = clock
        self._version = version
        self._silence = silence
        self._rotation = Rotation(hosts, chance)
        self._outlook = Outlook(Sieve())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._ws: ClientConnection | None = None
        self._why: End | None = None
        self._since = clock.monotonic()
        self._last: float | None = None
        self._read_from = ""
        self._place: Place | None = None
        self._rewound: Place | None = None
        self._by_time = False
        self.host = ""
        """Which took us in last."""

    def want(self, outlook: Outlook) -> None:
        """From now on this is wanted. What was passed over before is not read again but by `rewind`."""
        self._outlook = outlook

    def start(self, read_from: str, place: Place | None) -> None:
        """Go on where the stream of that host was read to; None: with what comes from now on."""
        self._read_from, self._place, self._by_time, self._rewound = read_from, place, False, None
        self._rotation.begin_with(read_from)
        self._since, self._last = self._clock.monotonic(), None
        # A new event: a former thread that still waits for an answer must stay stopped.
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="bluesky-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close the socket, at once."""
        self._stop.set()
        self._end(End(Cause.CLOSED))
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(STOP_SECONDS)

    def rewind(self, us: int) -> None:
        """Read everything again from that time on, if it was read past it."""
        with self._lock:
            if self._rewound is None or us < self._rewound.us:
                self._rewound = Place(None, us)
        self._end(End(Cause.CLOSED, again=True))

    def leave(self, cause: Cause) -> None:
        """End this connection and ask another host."""
        self._end(End(cause))

    def watch(self) -> None:
        """To be called now and then: a connection that has fallen silent is ended."""
        last = self._last if self._last is not None else self._since
        if self._ws is not None and self._clock.monotonic() - last > self._silence:
            self._end(End(Cause.SILENCE))

    # --- the thread ------------------------------------------------------------------------------------------------

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self._keep_open(stop)
                return
            except Exception as error:
                # Whatever it is, it must not make us deaf without a word.
                log.error("bluesky: the stream's thread failed: %s; it is started again", type(error).__name__)
                self._inbox.say(Down(Cause.RESET))
                if self._clock.wait(FAILED_SECONDS, stop):
                    return

    def _keep_open(self, stop: threading.Event) -> None:
        wait = 0.0
        while not (self._clock.wait(wait, stop) if wait else stop.is_set()):
            with self._lock:
                if self._rewound is not None:
                    if self._place is None or self._rewound.us < self._place.us:
                        self._read_from, self._place = "", self._rewound
                    self._rewound = None
            host = self._rotation.host
            now = int(self._clock.now().timestamp() * 1_000_000)
            start = start_at(host, self._read_from, self._place, now, version=self._version, by_time=self._by_time)
            self._since, self._last, self._why = self._clock.monotonic(), None, None
            end = self._once(start, stop)
            if stop.is_set():
                return
            last, self._last = self._last, None
            heard = 0.0 if last is None else last - self._since
            if end.again and last is not None:
                wait = 0.0
                continue
            if not end.again:
                self._inbox.say(Down(end.cause, end.why))
            wait = self._rotation.ended(heard, stay=end.again)
            log.warning("bluesky: %s: %s; the next in %.1f s", host, end.why or end.cause, wait)

    def _once(self, start: Start, stop: threading.Event) -> End:
        """Connect, and read until the connection ends, whatever ends it. Raises nothing that is not ours."""
        cause, mine = Cause.UNREACHABLE, None
        try:
            with connect(
                url_of(start, self._version),
                compression=None,
                open_timeout=CONNECT_SECONDS,
                close_timeout=STOP_SECONDS,
                # The network is never still: a host that says nothing is left, whatever it answers to pings.
                ping_interval=None,
                max_size=2 * LARGEST,
                max_queue=(1024, 256),
                subprotocols=[Subprotocol("xrpc.v1.json")] if self._version == 2 else None,
                user_agent_header="lyttepost",
                logger=WIRE,
            ) as ws:
                if stop.is_set():
                    return End(Cause.CLOSED)
                self._ws = mine = ws
                cause = Cause.RESET
                self._since = self._clock.monotonic()
                return self._read(ws, start, stop)
        except InvalidStatus as refused:
            return self._why or self._refused(refused)
        except ConnectionClosed as closed:
            return self._why or _closed(closed)
        except (InvalidHandshake, OSError, TimeoutError, EOFError) as error:
            return self._why or End(cause, type(error).__name__)
        finally:
            if mine is not None and self._ws is mine:
                self._ws = None

    def _read(self, ws: ClientConnection, start: Start, stop: threading.Event) -> End:
        inbox, count, begun, cut = self._inbox, 0, False, False
        try:
            while not stop.is_set() and self._rewound is None and self._why is None:
                raw = ws.recv(decode=False)
                at, self._last = self._clock.now(), self._clock.monotonic()
                wanted = self._outlook.wants(raw)
                if not (begun and not wanted):
                    message = _known(raw)
                    if isinstance(message, Failure):
                        cause = Cause.QUEUE_FULL if message.name == "ConsumerTooSlow" else Cause.CLOSED
                        return End(cause, message.name)
                    if isinstance(message, Info):
                        cut = cut or message.name == "OutdatedCursor"
                        continue
                    place = getattr(message, "place", None)
                    if not begun and place is not None:
                        if self._is_another_log(start, place):
                            self._by_time = True
                            return End(Cause.CLOSED, "its numbers are others than before", again=True)
                        inbox.say(self._up(start, place, cut))
                        begun, self._by_time, self.host = True, False, start.host
                        # A number is inclusive: the event that we had last is given again.
                        wanted = wanted and (start.by_time or place.seq is None or place.seq != start.cursor)
                if wanted:
                    inbox.put(start.host, raw, at)
                else:
                    inbox.pass_over(start.host, raw, at)
                count += 1
                if count % _NOTE_EVERY == 0 and begun:
                    self._note(start.host, raw)
            return self._why or End(Cause.CLOSED, again=True)
        finally:
            if begun and inbox.last is not None:
                self._note(*inbox.last)

    def _note(self, host: str, raw: bytes) -> None:
        """So far was it read; what tells no place changes nothing."""
        if (place := place_of(raw)) is not None:
            place = onward(self._place, place) if host == self._read_from else place
            self._read_from, self._place = host, place

    def _is_another_log(self, start: Start, first: Place) -> bool:
        """A host that lost its numbers has other events under them: asked for one of the past it gives another, and
        for one of the future it begins with what comes now."""
        known = self._place
        if start.by_time or start.cursor is None or known is None or first.seq is None:
            return False
        if first.seq == start.cursor:
            return first.us != known.us
        # Behind it, the event itself is gone: it was deleted since, and taken out of the log.
        return first.seq < start.cursor or first.us < known.us

    def _up(self, start: Start, first: Place, cut: bool) -> Up:
        known = self._place
        if start.by_time and start.cursor is not None and known is not None:
            # Version 1 says nothing of a cursor that is too old; and to a host whose clock is behind ours lies ahead.
            late = self._version == 1 and first.us > known.us + LEAP
            adrift = first.us < start.cursor - LEAP
            return Up(start.host, self._clock.now(), first.us, cut=cut or late, adrift=adrift and not cut)
        return Up(start.host, self._clock.now(), first.us, cut=cut)

    def _refused(self, refused: InvalidStatus) -> End:
        status = refused.response.status_code
        name = _error_name(refused.response.body)
        if status == 400 and name == "CursorTooOld" and not self._by_time:
            # By time it is taken, and told where it begins.
            self._by_time = True
            return End(Cause.TOO_OLD, name, again=True)
        if status >= 500:
            return End(Cause.HTTP_5XX, f"HTTP {status}")
        return End(_STATUS.get(status, Cause.REFUSED), f"HTTP {status}{f' {name}' if name else ''}")

    def _end(self, end: End) -> None:
        """From any thread."""
        self._why = self._why or end
        ws = self._ws
        if ws is not None:
            with suppress(OSError):
                ws.socket.shutdown(socket.SHUT_RDWR)


def _known(raw: bytes) -> object | None:
    try:
        return read_message(raw)
    except Unusable:
        return None


def _closed(closed: ConnectionClosed) -> End:
    got = closed.rcvd
    if got is None:
        return End(Cause.RESET, "1006")
    return End(Cause.QUEUE_FULL if got.reason == "ConsumerTooSlow" else Cause.CLOSED, str(int(got.code)))


def _error_name(body: bytes | bytearray | None) -> str:
    """XRPC's own name of the error; nothing else of an answer is told."""
    try:
        found = json.loads(bytes(body or b"")[:4096])
    except ValueError:
        return ""
    name = found.get("error") if isinstance(found, dict) else None
    return name if isinstance(name, str) and name.isalnum() and len(name) < 50 else ""


__all__ = ["LEAP", "OVERLAP", "SILENCE", "Stream"]
