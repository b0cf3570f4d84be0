"""What can be commanded of the fake LinkedIn, beside the faults that every platform's routes know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..platform.commands import Commands

if TYPE_CHECKING:
    from . import FakeLinkedIn


class LinkedInCommands(Commands):
    _platform: FakeLinkedIn

    def token(self, token: str) -> None:
        """From now on this is the token: the one before has expired."""
        self._platform.token = token

    def forbid(self, forbidden: bool = True) -> None:
        """The token's member is no administrator of the Page."""
        self._platform.forbidden = bool(forbidden)

    def sunset(self, version: str) -> None:
        """This version of the API and those before it are not served any more."""
        self._platform.sunset = str(version)

    def quota(self, left: int) -> None:
        """So many calls are left today."""
        platform = self._platform
        platform.used[f"{platform.clock.now():%Y-%m-%d}"] = platform.calls - int(left)

    def empty_pages(self, count: int = 2) -> None:
        """The next pages are empty, and each says that there is a next one."""
        self._platform.empty_pages = int(count)

    def repeats(self, on: bool = True) -> None:
        """Whatever page is asked for, the first is given, and there is always a next one."""
        self._platform.repeats = bool(on)

    def shuffle(self, on: bool = True) -> None:
        """Notifications come in no order."""
        self._platform.shuffles = bool(on)

    def deaf_to_time(self, on: bool = True) -> None:
        """The time that is asked for is not kept to: all of 60 days come."""
        self._platform.deaf_to_time = bool(on)

    def twice(self, count: int = 1) -> None:
        """The next notifications come twice, under two numbers."""
        self._platform.page.gives_twice = int(count)

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def heal(self, on: str | None = None) -> None:
        """All faults end, or those that stand on this route; an expired token stays so."""
        super().heal(on)
        if on is None:
            self._platform.well()
