"""What can be commanded of the fake Facebook, beside what every fake host of the Graph API knows."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from ..graph.commands import GraphCommands
from ..platform.verbs import BadCommand

if TYPE_CHECKING:
    from .host import FakeFacebook


class FacebookCommands(GraphCommands):
    _platform: FakeFacebook

    def call(self, url: str, token: str, patient: bool = False) -> None:
        """The webhook's address is entered, with the word of the handshake: from now on each change is told to it.
        `patient`: the handshake is tried until somebody answers it."""
        if patient:
            self._platform.caller.entered = url, token
        elif not self._platform.caller.shake_hands(url, token):
            raise BadCommand(f"{url} does not answer the handshake")

    def untold(self, count: int = 1) -> None:
        """The next changes are told by no call."""
        self._platform.caller.skips = int(count)

    def gather(self, seconds: float) -> None:
        """What happens meanwhile is told afterwards, by one call."""
        self._platform.caller.gathers_until = self._platform.clock.now() + timedelta(seconds=float(seconds))

    def swap(self, count: int = 1) -> None:
        """What is gathered next is told in another order."""
        self._platform.caller.swaps = int(count)

    def garbage_call(self, body: str = '{"object": "page", "entry": [{', count: int = 1) -> None:
        """Calls whose signature is right, and whose body is none."""
        for _ in range(int(count)):
            self._platform.caller.send(body.encode("utf-8", "surrogatepass"))

    def huge_call(self, size: int = 10_000_000) -> None:
        """A call of so many bytes."""
        self._platform.caller.send(b" " * int(size))

    def vanish(self) -> None:
        """Lists are empty with 200, though nothing says that the token is of a wrong kind."""
        self._platform.vanished = True

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was said and lost stays so."""
        super().heal(on)
        if on is None:
            self._platform.vanished = False
