"""What can be commanded of the fake YouTube, beside the faults that every platform's routes know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands

if TYPE_CHECKING:
    from . import FakeYoutube


class YoutubeCommands(Commands):
    _platform: FakeYoutube

    # -- what it allows --------------------------------------------------------------------------------------------

    def quota(self, units: int = 0) -> None:
        """A day may cost so much from now on; less than was used: `quotaExceeded` until midnight Pacific."""
        self._platform.units = int(units)

    def used(self, units: int) -> None:
        """Somebody else with the same project uses so many units."""
        self._platform.used += int(units)

    def rate_limit(self, seconds: float = 60.0) -> None:
        """`rateLimitExceeded` for so long."""
        self._platform.limited_until = self._in(seconds)

    def new_key(self, key: str) -> None:
        """The API key is another one."""
        self._platform.key = key

    def expire_tokens(self) -> int:
        """No access token holds any more; how many did."""
        tokens = self._platform.tokens
        count = sum(tokens.values())
        for token in tokens:
            tokens[token] = False
        return count

    def revoke(self) -> None:
        """The owner takes back what was allowed: no token holds, and there are no new ones."""
        self.expire_tokens()
        self._platform.oauth = None

    def disable(self, video: str = "video000001") -> None:
        """Comments of this video are turned off."""
        self._platform.world.disabled.add(video)

    # -- its pages -------------------------------------------------------------------------------------------------

    def empty_pages(self, count: int = 1) -> None:
        """The next `count` pages have nothing on them, and a next page."""
        self._platform.empty_pages = int(count)

    def processing_failure(self, count: int = 1) -> None:
        """The next `count` requests for a further page are answered by 400 `processingFailure`."""
        self._platform.fails_midway = int(count)

    def bad_tokens(self, count: int = 1) -> None:
        """The next `count` tokens of a page are not taken."""
        self._platform.bad_tokens = int(count)

    def repeat(self, count: int = 1) -> None:
        """The next `count` pages have their first threads twice."""
        self._platform.repeats = int(count)

    def shuffle(self, on_pages: bool = True) -> None:
        """The threads of a page come in no order."""
        self._platform.shuffled = bool(on_pages)

    def lift(self, threads: bool = True) -> None:
        """An answer lifts its thread to the top."""
        self._platform.lifts = bool(threads)

    def refuse_ids(self, of_threads: bool = True) -> None:
        """Threads are not given by their ids."""
        self._platform.refuses_ids = bool(of_threads)

    def markup(self, on_texts: bool = True) -> None:
        """Texts come as HTML alone, whatever was asked for."""
        self._platform.markup = bool(on_texts)

    def display_only(self, of_texts: bool = True) -> None:
        """The original text is not given, only what is shown."""
        self._platform.display = bool(of_texts)

    # -- its clock -------------------------------------------------------------------------------------------------

    def host_clock(self, seconds: float) -> None:
        """Its clock is so much ahead: that of what is written from now on, and of its answers."""
        self._platform.world.skew = float(seconds)
        self._platform.faults.skew = float(seconds)

    def lag(self, seconds: float) -> None:
        """What is written from now on is given so late."""
        self._platform.world.lag = float(seconds)

    # -- the people ------------------------------------------------------------------------------------------------

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; a spent quota, a turned-off video and a key stay so."""
        super().heal(on)
        if on is None:
            self._platform.well()
