"""What can be commanded of a fake host of Bluesky, beside what every platform's routes and websockets know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..platform.streaming import StreamCommands
from ..platform.streams import End
from ..platform.websocket import goodbye, text
from .host import failure

if TYPE_CHECKING:
    from . import FakeBluesky


class BlueskyCommands(StreamCommands):
    _platform: FakeBluesky
    _garbage = '<html><body>upstream error: 0x1f {]"operation":"create"'
    _not_utf8 = b'{"kind":"commit","text":"bl\xe5lys \xff\xfe"}'
    _cut = b'{"$type":"message","payload":{"seq":17,"text":"Halve meld"}}'

    # -- the open streams ------------------------------------------------------------------------------------------

    def close(self, code: int = 1000, reason: str = "server shutting down") -> int:
        """A close frame with this code, and the connection ends."""
        return super().close(code, reason)

    def too_slow(self) -> int:
        """What a reader is told that is far behind and reads nearly nothing: an error frame, and then a close."""
        last = text(failure("ConsumerTooSlow", "reading below the floor rate; reconnect with cursor=1"))
        return self._each(lambda s: s.reader.end(End.CLOSE, last + goodbye(1008, "ConsumerTooSlow")))

    def unknown_kind(self) -> int:
        """A message of a kind that nobody knows yet."""
        payload = b'{"$type":"network.bsky.jetstream.subscribeEvents#weather","seq":1,"did":"did:plc:a"}'
        return self._each(lambda s: s.reader.interject(text(b'{"$type":"message","payload":' + payload + b"}")))

    # -- the next events -------------------------------------------------------------------------------------------

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
