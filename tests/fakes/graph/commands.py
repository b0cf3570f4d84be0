"""What can be commanded of every fake host of the Graph API, beside the faults that every platform's routes know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands
from ..platform.faults import ALL

if TYPE_CHECKING:
    from .host import GraphHost, KnownToken


class GraphCommands(Commands):
    _platform: GraphHost

    def error(
        self,
        code: int,
        subcode: int = 0,
        on: str = ALL,
        seconds: float | None = None,
        times: int | None = None,
        status: int = 400,
    ) -> None:
        """Calls get this error of Meta's."""
        self.status(status, on, seconds, times, self._platform.failure(int(code), int(subcode)))

    def limit(self, minutes: float = 5.0, code: int = 80002, told: bool = True) -> None:
        """Calls are limited for so long; `told` in the header. Each call meanwhile makes it a minute longer, and is
        counted in `too_early`."""
        self._platform.limited_until = self._platform.clock.now() + timedelta(minutes=float(minutes))
        self._platform.limit_code, self._platform.limit_is_told = int(code), bool(told)
        self._platform.limited_told = None

    def usage(self, percent: float = 90.0, minutes: float = 0.0, on: str = ALL) -> None:
        """From now on each answer tells that so much of the limit is used, and in how many minutes there is more."""
        self._platform.percent, self._platform.regain, self._platform.usage_on = float(percent), float(minutes), on

    def expire(self, subcode: int = 463) -> None:
        """The token is void: 190 with this subcode."""
        self._platform.void = int(subcode)

    def renew(self, token: str | None = None) -> str:
        """There is a token that does: this one, or the same as before."""
        self._platform.renew(token)
        return self._platform.token

    def lose(self, scope: str) -> None:
        """A permission is taken away: what needs it gets 10."""
        self._change(scopes=self._known.scopes - {scope})

    def grant(self, scope: str) -> None:
        self._change(scopes=self._known.scopes | {scope})

    def kind(self, kind: str = "USER") -> None:
        """The token is of this kind. Of a wrong one every edge is empty, and nothing says so."""
        self._change(kind=kind)

    def hollow(self, on: str = ALL, times: int = 1) -> None:
        """The next pages are empty, and have a next one."""
        self._platform.hollow[on] = int(times)

    def no_next(self, on: str = ALL, times: int = 1) -> None:
        """The next pages say nothing of a next one, though there is more."""
        self._platform.no_next[on] = int(times)

    def serve(self, version: str) -> None:
        """Calls are answered in this version, whichever they ask for."""
        self._platform.served = version

    # -- the webhook -----------------------------------------------------------------------------------------------

    def call_back(self, url: str | None) -> None:
        """From now on this address is called about what happens; None: nobody is."""
        self._platform.caller.url = url

    def mute(self, seconds: float, loses: bool = False) -> None:
        """Nobody is called for so long; what happens meanwhile is told late, or never."""
        self._platform.caller.mute_until = self._in(seconds)
        self._platform.caller.loses = bool(loses)

    def twice(self, count: int = 1) -> None:
        """The next `count` calls are made twice."""
        self._platform.caller.twice = int(count)

    def swap(self, count: int = 2) -> None:
        """The next `count` calls are held, then made the last one first."""
        self._platform.caller.holds = int(count)

    def forge(self, count: int = 1) -> None:
        """The next `count` calls are signed with another secret."""
        self._platform.caller.forges = int(count)

    # -- all of it -------------------------------------------------------------------------------------------------

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; what was said and lost stays so."""
        super().heal(on)
        if on is None:
            self._platform.well()

    @property
    def _known(self) -> KnownToken:
        return self._platform.tokens[self._platform.token]

    def _change(self, **fields: Any) -> None:
        self._platform.tokens[self._platform.token] = replace(self._known, **fields)
