"""What can be commanded of a fake Instagram, beside all that every fake of the Graph API knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..graph import GraphCommands

if TYPE_CHECKING:
    from .gram import FakeInstagram


class InstagramCommands(GraphCommands):
    _platform: FakeInstagram

    def say(self, item: dict[str, Any]) -> Any:
        """What a line of a scenario says."""
        return self._platform.tell(item)

    def restrict(self, by: str) -> None:
        """Comments of this person are not given any more; they are there all the same."""
        self._platform.restricted.add(str(by))

    def delays(self, seconds: float) -> None:
        """What is said is listed so much later."""
        self._platform.listed_after = float(seconds)
