"""What can be commanded of a fake Mastodon server, beside the faults that every platform's routes know.

Verbs about streams meet those that are open now, and answer with their number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands
from ..platform.streams import End
from ..platform.websocket import BINARY, frame, goodbye, text
from .server import Subscriber

if TYPE_CHECKING:
    from . import FakeMastodon

GARBAGE = '<html><body>upstream error: 0x1f {]"event":"update"'
NOTIFICATION = (
    b'{"stream":["user","notification"],"event":"notification","payload":"{\\"id\\":\\"4\\",\\"type\\":\\"follow\\"}"}'
)


class MastodonCommands(Commands):
    _platform: FakeMastodon

    # -- the open streams ------------------------------------------------------------------------------------------

    def silence(self, seconds: float, loses: bool = False) -> int:
        """Nothing more comes, the socket stays open and pings are answered; what happens meanwhile is late, or lost, as
        after the restart of the server's Redis."""
        return self._each(lambda s: s.reader.hush(float(seconds), loses=loses))

    def freeze(self) -> int:
        """Nothing more comes, the socket stays open, and nothing is answered."""

        def freeze(subscriber: Subscriber) -> None:
            subscriber.frozen = True
            subscriber.reader.hush(1e9, loses=True)

        return self._each(freeze)

    def close(self, code: int = 1001, reason: str = "") -> int:
        """A close frame with this code, and the connection ends."""
        return self._each(lambda s: s.reader.end(End.CLOSE, goodbye(code, reason)))

    def abort(self) -> int:
        """The socket is closed without a close frame: the client sees 1006."""
        return self._each(lambda s: s.reader.end(End.ABORT))

    def cut_streams(self) -> int:
        """A TCP reset."""
        return self._each(lambda s: s.reader.end(End.RESET))

    def garbage_frame(self, content: str = GARBAGE) -> int:
        """A message that is no JSON."""
        return self._each(lambda s: s.reader.interject(text(content.encode())))

    def bad_utf8(self) -> int:
        """A text message whose bytes are no UTF-8: a client by the book closes with 1007, ours takes bytes."""
        return self._each(lambda s: s.reader.interject(text(b'{"event":"update","payload":"bl\xe5lys \xff\xfe"}')))

    def binary(self) -> int:
        """A message of bytes, where text was promised."""
        return self._each(lambda s: s.reader.interject(frame(BINARY, b"\x28\xb5\x2f\xfd\x00\x01")))

    def huge(self, size: int = 10_000_000) -> int:
        """A message of `size` bytes, JSON but no event."""
        return self._each(lambda s: s.reader.interject(text(b'{"x":"' + b"x" * max(0, int(size) - 8) + b'"}')))

    def half_frame(self) -> int:
        """A frame that says it is longer than it is, and then the socket is closed."""

        def cut(subscriber: Subscriber) -> None:
            subscriber.reader.interject(text(b'{"stream":["hashtag"],"event":"update","payload":"Halve meld"}')[:-20])
            subscriber.reader.end(End.ABORT)

        return self._each(cut)

    def notification(self) -> int:
        """A message of a kind that is none of ours."""
        return self._each(lambda s: s.reader.interject(text(NOTIFICATION)))

    def refuse_feed(self, status: int = 403) -> int:
        """The server says that a feed may not be had."""
        said = b'{"error":"Not authorized to stream","status":%d}' % int(status)
        return self._each(lambda s: s.reader.interject(text(said)))

    # -- the next events -------------------------------------------------------------------------------------------

    def twice(self, count: int = 1) -> None:
        """The next `count` events are sent twice."""
        self._platform.twice = int(count)

    def swap(self, count: int = 2) -> None:
        """The next `count` events are held, then sent the last one first: a delete comes before its create."""
        self._platform.held, self._platform.holds = [], int(count)

    def deaf(self, seconds: float, still: list[str] | None = None) -> None:
        """The server hears nothing of the federation for so long; what it hears then has numbers of before. `still`: of
        these posts it hears nothing until it is told `hears`."""
        self._platform.deaf_until = self._in(seconds)
        self._platform.late = frozenset(still or ())

    def hears(self) -> None:
        """It is deaf no more."""
        self._platform.catch_up()

    # -- who may ask, and for what ---------------------------------------------------------------------------------

    def revoke(self) -> None:
        """The token is no user's any more; streams that are open are closed."""
        self._platform.token = None
        self._each(lambda s: s.reader.end(End.CLOSE, goodbye(1008, "")))

    def restore(self) -> None:
        """The token is good again."""
        from . import TOKEN

        self._platform.token = TOKEN

    def allow(self, calls: int, window: float = 300.0) -> None:
        """So many calls in so many seconds."""
        self._platform.allowed, self._platform.window = int(calls), float(window)

    def close_feed(self, which: str = "hashtags", tells: bool = True) -> None:
        """`hashtags` or `timelines` are answered as if nobody had said anything. `tells`: the server says that it does,
        as it can since 4.5."""
        self._platform.closed = self._platform.closed | {which}
        self._platform.tells_access = bool(tells)

    def stream_at(self, address: str | None = None) -> None:
        """Where it says that it streams; None: where it does."""
        self._platform.streams_at = address

    def subscribe_late(self, seconds: float) -> None:
        """What is subscribed to from now on is sent no sooner than so many seconds later, and nothing says so."""
        self._platform.subscribes_after = float(seconds)

    # -- the federation --------------------------------------------------------------------------------------------

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was sent, lost or closed stays so."""
        super().heal(on)
        if on is None:
            self._platform.catch_up()
            self._platform.well()
            self._each(self._speak)

    @staticmethod
    def _speak(subscriber: Subscriber) -> None:
        subscriber.frozen = False
        subscriber.reader.speak()

    def _each(self, act: Callable[[Subscriber], Any]) -> int:
        subscribers = self._platform.open
        for subscriber in subscribers:
            act(subscriber)
        return len(subscribers)
