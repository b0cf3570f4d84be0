"""What can be commanded of every platform: faults of its routes. A platform adds verbs in a class over `Commands`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .faults import ALL, Fault, FaultKind
from .verbs import BadCommand, Verbs

if TYPE_CHECKING:
    from .platform import Platform


class Commands(Verbs):
    """`on` is a route's name or `all`; `seconds` is for how long a fault stands and `times` how often it is run into:
    without both it stands until `heal`. All times are in seconds of the platform's clock."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(platform.lock)
        self._platform = platform

    def status(
        self,
        status: int = 503,
        on: str = ALL,
        seconds: float | None = None,
        times: int | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Requests get this status, with this body (JSON) and these headers."""
        self._stand(FaultKind.STATUS, on, seconds, times, status=status, body=body, headers=headers or {})

    def delay(self, hold: float, on: str = ALL, seconds: float | None = None, times: int | None = None) -> None:
        """The answer comes `hold` seconds late."""
        self._stand(FaultKind.DELAY, on, seconds, times, hold=hold)

    def hang(self, hold: float = 300.0, on: str = ALL, seconds: float | None = None, times: int | None = None) -> None:
        """No answer, and after `hold` seconds the connection is closed."""
        self._stand(FaultKind.HANG, on, seconds, times, hold=hold)

    def slow(self, hold: float = 30.0, on: str = ALL, seconds: float | None = None, times: int | None = None) -> None:
        """The head of the answer takes `hold` seconds, byte by byte."""
        self._stand(FaultKind.SLOW, on, seconds, times, hold=hold)

    def cut(self, hold: float = 0.0, on: str = ALL, seconds: float | None = None, times: int | None = None) -> None:
        """After half of the body nothing comes, and after `hold` seconds the connection is closed."""
        self._stand(FaultKind.CUT, on, seconds, times, hold=hold)

    def garbage(self, on: str = ALL, seconds: float | None = None, times: int | None = None, size: int = 0) -> None:
        """200, and a body that is no JSON; of `size` bytes, where that is given."""
        self._stand(FaultKind.GARBAGE, on, seconds, times, size=size)

    def reset(self, on: str = ALL, seconds: float | None = None, times: int | None = None) -> None:
        """Requests are answered by a TCP reset."""
        self._stand(FaultKind.RESET, on, seconds, times)

    def skew(self, seconds: float) -> None:
        """The `Date` header is wrong by so much."""
        self._platform.faults.skew = float(seconds)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was sent, lost or closed stays so."""
        self._platform.faults.heal(on)

    def _stand(
        self, kind: FaultKind, on: str, seconds: float | None, times: int | None, hold: float = 0.0, **more: Any
    ) -> None:
        names = [route.name for route in self._platform.table]
        if on not in (ALL, *names):
            raise BadCommand(f"no such route: {on}; there are: {', '.join((ALL, *names))}")
        until = None if seconds is None else self._in(seconds)
        self._platform.faults.add(Fault(kind, on, until, times, float(hold), **more))

    def _in(self, seconds: float) -> datetime:
        return self._platform.clock.now() + timedelta(seconds=float(seconds))
