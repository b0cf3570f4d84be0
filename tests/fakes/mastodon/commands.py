"""What can be commanded of a fake Mastodon server, beside what every platform's routes and websockets know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..platform.streaming import StreamCommands
from ..platform.streams import End
from ..platform.websocket import goodbye, text
from .server import Subscriber

if TYPE_CHECKING:
    from . import FakeMastodon

NOTIFICATION = (
    b'{"stream":["user","notification"],"event":"notification","payload":"{\\"id\\":\\"4\\",\\"type\\":\\"follow\\"}"}'
)


class MastodonCommands(StreamCommands):
    _platform: FakeMastodon
    _garbage = '<html><body>upstream error: 0x1f {]"event":"update"'
    _not_utf8 = b'{"event":"update","payload":"bl\xe5lys \xff\xfe"}'
    _cut = b'{"stream":["hashtag"],"event":"update","payload":"Halve meld"}'

    # -- the open streams ------------------------------------------------------------------------------------------

    def freeze(self) -> int:
        """Nothing more comes, the socket stays open, and nothing is answered."""

        def freeze(subscriber: Subscriber) -> None:
            subscriber.frozen = True
            subscriber.reader.hush(1e9, loses=True)

        return self._each(freeze)

    def notification(self) -> int:
        """A message of a kind that is none of ours."""
        return self._each(lambda s: s.reader.interject(text(NOTIFICATION)))

    def refuse_feed(self, status: int = 403) -> int:
        """The server says that a feed may not be had."""
        said = b'{"error":"Not authorized to stream","status":%d}' % int(status)
        return self._each(lambda s: s.reader.interject(text(said)))

    # -- the next events -------------------------------------------------------------------------------------------

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

    # -- all of it -------------------------------------------------------------------------------------------------

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was sent, lost or closed stays so."""
        if on is None:
            self._platform.catch_up()
            for subscriber in self._platform.open:
                subscriber.frozen = False
        super().heal(on)
