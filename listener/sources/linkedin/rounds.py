"""One round of asking: every page of the notifications since a time, one call after another. Knows no clock.

Nothing of a round is given before all of it is there: a deletion may stand on the last page, and what it deletes on the
first. A round that fails is begun anew, from its first page.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from listener.sources.common.fields import as_id
from listener.sources.linkedin.api import PER_PAGE, Page

EMPTY: Final = 3
"""So many empty pages in a row end a round, though each says that there is a next one."""
MAX_ELEMENTS: Final = 50_000


@dataclass
class Round:
    """`since`, `until`: of what it asks for. `elements`: what came so far."""

    since: datetime
    until: datetime
    again: frozenset[str]
    """Incidents for which all that it finds is looked at once more."""
    start: int = 0
    elements: list[Any] = field(default_factory=list)
    _numbers: set[str] = field(default_factory=set)
    _empty: int = 0

    def take(self, page: Page) -> bool:
        """Whether there is another page to ask for."""
        numbers = {number for each in page.elements if (number := _number(each)) is not None}
        new = numbers - self._numbers
        self._numbers |= numbers
        self.elements += page.elements
        self.start += len(page.elements) or PER_PAGE
        self._empty = 0 if page.elements else self._empty + 1
        if page.elements and numbers and not new:
            return False  # the same page again: where we begin is not kept to
        return page.more and self._empty < EMPTY and len(self.elements) < MAX_ELEMENTS


def _number(raw: Any) -> str | None:
    return as_id(raw.get("notificationId")) if isinstance(raw, dict) else None
