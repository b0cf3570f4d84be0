"""A platform that streams its events over websockets, and what can be commanded of its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from threading import RLock
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from .commands import Commands
from .platform import Platform
from .scenario import Step
from .streams import End, StreamReader
from .times import Clock
from .web import Handler
from .websocket import BINARY, PING, WebSocket, frame, goodbye, text


class Subscriber(Protocol):
    """One open websocket; a platform knows more of it."""

    reader: StreamReader


S = TypeVar("S", bound=Subscriber)


class StreamingPlatform(Platform, Generic[S]):
    """Over it a platform puts each of its subscribers into `_open` and then has `_serve` write to it. `pings` are sent
    each so many seconds of the clock."""

    def __init__(
        self,
        *,
        clock: Clock | None,
        port: int,
        scenario: Path | str | Iterable[Step] | None,
        lock: RLock,
        pings: float,
    ) -> None:
        self.pings = pings
        self._open: list[S] = []
        self.well()
        super().__init__(clock=clock, port=port, scenario=scenario, lock=lock)

    def well(self) -> None:
        """Nothing goes wrong from now on."""
        self.twice = self.holds = 0
        self.held: list[Any] = []

    @property
    def open(self) -> list[S]:
        with self.lock:
            return list(self._open)

    def wake(self) -> None:
        for subscriber in self.open:
            subscriber.reader.end(End.CLOSE)

    def _due(self, event: Any) -> list[Any]:
        """What is sent now that this happened: it, it twice, or nothing until as many as are held are there, and then
        the last one first."""
        if self.holds:
            self.held.append(event)
            if len(self.held) < self.holds:
                return []
            events, self.held, self.holds = self.held[::-1], [], 0
            return events
        events = [event] * (2 if self.twice else 1)
        self.twice -= bool(self.twice)
        return events

    def _serve(
        self,
        handler: Handler,
        socket: WebSocket,
        subscriber: S,
        is_read: Callable[[], bool],
        subprotocol: str | None = None,
    ) -> None:
        """Write to the subscriber until its connection ends."""
        how = End.GONE
        try:
            socket.accept(subprotocol)
            how = subscriber.reader.serve(
                handler.connection.sendall, is_read, self.stopping, keep_alive=frame(PING, b""), every=self.pings
            )
        finally:
            with self.lock:
                if subscriber in self._open:
                    self._open.remove(subscriber)
            if how is End.RESET:
                handler.reset()


class StreamCommands(Commands):
    """Verbs about streams meet those that are open now, and answer with their number."""

    _platform: StreamingPlatform[Any]
    _garbage: ClassVar[str]
    """No JSON, though a word of the platform's is in it."""
    _not_utf8: ClassVar[bytes]
    """A message as the platform's are, but for two bytes."""
    _cut: ClassVar[bytes]
    """A message of the platform's, whose last twenty bytes are not sent."""

    # -- the open streams ------------------------------------------------------------------------------------------

    def silence(self, seconds: float, loses: bool = False) -> int:
        """Nothing more comes, the socket stays open and pings are answered; what happens meanwhile is late, or lost."""
        return self._each(lambda s: s.reader.hush(float(seconds), loses=loses))

    def close(self, code: int = 1001, reason: str = "") -> int:
        """A close frame with this code, and the connection ends."""
        return self._each(lambda s: s.reader.end(End.CLOSE, goodbye(code, reason)))

    def abort(self) -> int:
        """The socket is closed without a close frame: the client sees 1006."""
        return self._each(lambda s: s.reader.end(End.ABORT))

    def cut_streams(self) -> int:
        """A TCP reset."""
        return self._each(lambda s: s.reader.end(End.RESET))

    def garbage_frame(self, content: str | None = None) -> int:
        """A message that is no JSON."""
        said = text((self._garbage if content is None else content).encode())
        return self._each(lambda s: s.reader.interject(said))

    def bad_utf8(self) -> int:
        """A text message whose bytes are no UTF-8: a client by the book closes with 1007, ours takes bytes."""
        return self._each(lambda s: s.reader.interject(text(self._not_utf8)))

    def binary(self) -> int:
        """A message of bytes, where text was promised."""
        return self._each(lambda s: s.reader.interject(frame(BINARY, b"\x28\xb5\x2f\xfd\x00\x01")))

    def huge(self, size: int = 10_000_000) -> int:
        """A message of `size` bytes, JSON but no event."""
        return self._each(lambda s: s.reader.interject(text(b'{"x":"' + b"x" * max(0, int(size) - 8) + b'"}')))

    def half_frame(self) -> int:
        """A frame that says it is longer than it is, and then the socket is closed."""

        def cut(subscriber: Subscriber) -> None:
            subscriber.reader.interject(text(self._cut)[:-20])
            subscriber.reader.end(End.ABORT)

        return self._each(cut)

    # -- the next events -------------------------------------------------------------------------------------------

    def twice(self, count: int = 1) -> None:
        """The next `count` events are sent twice."""
        self._platform.twice = int(count)

    def swap(self, count: int = 2) -> None:
        """The next `count` events are held, then sent the last one first: a delete comes before its create."""
        self._platform.held, self._platform.holds = [], int(count)

    # -- all of it -------------------------------------------------------------------------------------------------

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was sent, lost or closed stays so."""
        super().heal(on)
        if on is None:
            self._platform.well()
            self._each(lambda s: s.reader.speak())

    def _each(self, act: Callable[[Any], Any]) -> int:
        subscribers = self._platform.open
        for subscriber in subscribers:
            act(subscriber)
        return len(subscribers)
