"""Groups of which nothing was to be written down: they need not be worked out again until something changes.

In a storm thousands of groups wait for the time to pass, while a few change at each turn of the dispatcher.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from operator import is_

from alerts.notify.groups import last_page
from alerts.notify.plan import AlertGroup
from alerts.notify.state import AlertBook


@dataclass(frozen=True, slots=True)
class Quiet:
    """A group as it was at `at`. Until `until` nothing is to be done as long as all that this followed from is the very
    same. `run`: the start of its run."""

    run: datetime
    at: datetime
    until: datetime
    rests_on: tuple[object, ...]
    """Alerts and pages, compared by identity: what the log gives out of these never changes, but is replaced."""
    times: tuple[object, ...]


class QuietGroups:
    """Those of one book, by one people.yaml."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book
        self._known: dict[str, Quiet] = {}

    def find(self, group: AlertGroup, now: datetime) -> Quiet | None:
        """What is known of a group, where that still holds."""
        known = self._known.get(group.id)
        if known is None or not known.at <= now < known.until:
            return None
        rests_on, times = self.rests_on(group)
        same = len(rests_on) == len(known.rests_on) and all(map(is_, rests_on, known.rests_on))
        return known if same and times == known.times else None

    def keep(self, group: AlertGroup, run: datetime, now: datetime, until: datetime) -> None:
        """Nothing is to be done about it until then, if nothing changes."""
        self._known[group.id] = Quiet(run, now, until, *self.rests_on(group))

    def forget(self, group: AlertGroup) -> None:
        self._known.pop(group.id, None)

    def keep_only(self, groups: Container[str]) -> None:
        """Let go of all groups but these, by their ids."""
        for id_ in [id_ for id_ in self._known if id_ not in groups]:
            del self._known[id_]

    def rests_on(self, group: AlertGroup) -> tuple[tuple[object, ...], tuple[object, ...]]:
        """All alerts and pages that what is to be done about a group follows from, and the instants beside them."""
        its = self._book.pages.run_of(group.id)
        run, pages = its if its is not None else (None, [])
        named = [self._book.get(id_) for each in pages for id_ in each.page.alerts]
        since = [(group.since[state.id], state.id in group.at_once) for state in group.members]
        return (*group.members, None, *pages, None, *named), (run, last_page(self._book, group), *since)
