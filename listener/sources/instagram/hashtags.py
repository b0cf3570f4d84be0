"""Which hashtags may be looked at now: thirty in seven days, each spent for a week once it was looked at. Pure.

The account lies in the cursor, so that a restart forgets nothing; a tag that was taken out of the settings stays spent
until its week is over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from listener.settings.instagram import TAGS_A_WEEK

WEEK: Final = timedelta(days=7)


@dataclass(slots=True)
class Spent:
    """A tag that was looked at: first at `at` in its week, under Instagram's `id`, once that is known."""

    at: datetime
    id: str = ""


class TagBudget:
    """`spent` is the memory that outlives us, by tag."""

    def __init__(self, tags: Sequence[str], spent: dict[str, Spent]) -> None:
        self._tags = tuple(tags)
        self._spent = spent

    def allowed(self, now: datetime) -> tuple[str, ...]:
        """Those of the settings that may be looked at, in their order: spent ones, and as many more as are left."""
        self._forget(now)
        left = TAGS_A_WEEK - len(self._spent)
        fresh = [tag for tag in self._tags if tag not in self._spent][: max(0, left)]
        return tuple(tag for tag in self._tags if tag in self._spent or tag in fresh)

    def refused(self, now: datetime) -> tuple[str, ...]:
        """Those that wait until another's week is over."""
        allowed = set(self.allowed(now))
        return tuple(tag for tag in self._tags if tag not in allowed)

    def spend(self, tag: str, now: datetime) -> None:
        """It is asked for, whatever comes of that."""
        self._spent.setdefault(tag, Spent(now))

    def learn(self, tag: str, id_: str) -> None:
        if tag in self._spent:
            self._spent[tag].id = id_

    def id_of(self, tag: str) -> str | None:
        """Instagram's, where it is known."""
        return (self._spent[tag].id or None) if tag in self._spent else None

    def used(self, now: datetime) -> int:
        """Hashtags spent within the last seven days."""
        self._forget(now)
        return len(self._spent)

    def _forget(self, now: datetime) -> None:
        for tag in [tag for tag, spent in self._spent.items() if now - spent.at >= WEEK]:
            del self._spent[tag]
