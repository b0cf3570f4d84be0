"""What can be commanded of a fake host of Bluesky, beside the faults that every platform's routes know.

Verbs about streams meet those that are open now, and answer with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands
from ..platform.streams import End
from ..platform.websocket import BINARY, frame, goodbye, text
from .host import Subscriber, failure

if TYPE_CHECKING:
    from . import FakeBluesky

GARBAGE = '<html><body>upstream error: 0x1f {]"operation":"create"'


class BlueskyCommands(Commands):
    _platform: FakeBluesky

    # -- the open streams ------------------------------------------------------------------------------------------

    def silence(self, seconds: float, loses: bool = False) -> int:
        """Nothing more comes, the socket stays open and pings are answered; what happens meanwhile is late, or lost."""
        return self._each(lambda s: s.reader.hush(float(seconds), loses=loses))

    def close(self, code: int = 1000, reason: str = "server shutting down") -> int:
        """A close frame with this code, and the connection ends."""
        return self._each(lambda s: s.reader.end(End.CLOSE, goodbye(code, reason)))

    def abort(self) -> int:
        """The socket is closed without a close frame: the client sees 1006."""
        return self._each(lambda s: s.reader.end(End.ABORT))

    def cut_streams(self) -> int:
        """A TCP reset."""
        return self._each(lambda s: s.reader.end(End.RESET))

    def too_slow(self) -> int:
        """What a reader is told that is far behind and reads nearly nothing: an error frame, and then a close."""
        last = text(failure("ConsumerTooSlow", "reading below the floor rate; reconnect with cursor=1"))
        return self._each(lambda s: s.reader.end(End.CLOSE, last + goodbye(1008, "ConsumerTooSlow")))

    def garbage_frame(self, content: str = GARBAGE) -> int:
        """A message that is no JSON."""
        return self._each(lambda s: s.reader.interject(text(content.encode())))

    def bad_utf8(self) -> int:
        """A text message whose bytes are no UTF-8: a client by the book closes with 1007, ours takes bytes."""
        return self._each(lambda s: s.reader.interject(text(b'{"kind":"commit","text":"bl\xe5lys \xff\xfe"}')))

    def binary(self) -> int:
        """A message of bytes, where text was promised."""
        return self._each(lambda s: s.reader.interject(frame(BINARY, b"\x28\xb5\x2f\xfd\x00\x01")))

    def huge(self, size: int = 10_000_000) -> int:
        """A message of `size` bytes, JSON but no event."""
        return self._each(lambda s: s.reader.interject(text(b'{"x":"' + b"x" * max(0, int(size) - 8) + b'"}')))

    def half_frame(self) -> int:
        """A frame that says it is longer than it is, and then the socket is closed."""

        def cut(subscriber: Subscriber) -> None:
            subscriber.reader.interject(text(b'{"$type":"message","payload":{"seq":17,"text":"Halve meld"}}')[:-20])
            subscriber.reader.end(End.ABORT)

        return self._each(cut)

    def unknown_kind(self) -> int:
        """A message of a kind that nobody knows yet."""
        payload = b'{"$type":"network.bsky.jetstream.subscribeEvents#weather","seq":1,"did":"did:plc:a"}'
        return self._each(lambda s: s.reader.interject(text(b'{"$type":"message","payload":' + payload + b"}")))

    # -- the next events -------------------------------------------------------------------------------------------

    def twice(self, count: int = 1) -> None:
        """The next `count` events are sent twice."""
        self._platform.twice = int(count)

    def swap(self, count: int = 2) -> None:
        """The next `count` events are held, then sent the last one first: a delete comes before its create."""
        self._platform.held, self._platform.holds = [], int(count)

    def deaf(self, seconds: float) -> None:
        """The host hears nothing of the network for so long, and catches up afterwards."""
        self._platform.deaf_until = self._in(seconds)

    # -- its log ---------------------------------------------------------------------------------------------------

    def keeps(self, seconds: float) -> None:
        """From now on it gives events no older than so long: older cursors are too old."""
        self._platform.log.keeps = float(seconds)

    def renumber(self, first: int = 1) -> None:
        """It lost its numbers: cursors of before are of another log, and may lie in the future."""
        self._platform.log.renumber(int(first))

    def host_clock(self, seconds: float) -> None:
        """Its clock is so much ahead from now on."""
        self._platform.log.skew = float(seconds)

    # -- the network -----------------------------------------------------------------------------------------------

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was sent, lost or closed stays so."""
        super().heal(on)
        if on is None:
            self._platform.well()
            self._each(lambda s: s.reader.speak())

    def _each(self, act: Callable[[Subscriber], Any]) -> int:
        subscribers = self._platform.open
        for subscriber in subscribers:
            act(subscriber)
        return len(subscribers)
