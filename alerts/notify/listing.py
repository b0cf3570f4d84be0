"""What a list of alerts shows beside their state: what holds each back, who is paged next, and as which it is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from alerts.notify.duplicates import first_of
from alerts.notify.foresee import MOST_INSTANTS, foresee
from alerts.notify.held import Holding
from alerts.notify.recipients import People
from alerts.notify.silences import SilenceState
from alerts.notify.state import AlertBook, AlertState, Handling
from listener.model.deliveries import Page
from listener.units import format_instant

AHEAD = timedelta(days=1)
"""So far it is foreseen who is paged next."""
LEAST_INSTANTS = 3


class Held(NamedTuple):
    """By which silences and alerts an alert is held back now; by none of either, if it is not."""

    silences: tuple[SilenceState, ...]
    inhibitors: tuple[AlertState, ...]

    @property
    def silenced_until(self) -> datetime | None:
        return max((silence.end for silence in self.silences), default=None)

    def as_json(self) -> dict[str, Any]:
        until = self.silenced_until
        return {
            "silenced_until": format_instant(until) if until else None,
            "silences": [silence.id for silence in self.silences],
            "inhibited_by": [source.id for source in self.inhibitors],
        }


@dataclass(frozen=True)
class Listing:
    """All alerts, and what follows for them from people.yaml at an instant. Without it (`people` is None) neither
    inhibitions nor who is paged next are known."""

    book: AlertBook
    people: People | None
    holding: Holding
    now: datetime
    next: Mapping[str, Page]
    """Open alert → the page that it leads to next, if nobody says a word."""
    foreseen: frozenset[str] = frozenset()
    """The open alerts of which that is known: of those that are not in `next`, nobody is paged so soon."""

    def held(self, state: AlertState) -> Held:
        if not state.is_open:
            return Held((), ())
        about = () if state.alert.synthetic else self.book.silences.about(self.holding.fields(state))
        inhibitors = self.holding.inhibitors(state, self.now)
        return Held(tuple(silence for silence in about if silence.at(self.now)), tuple(inhibitors))

    def coming(self, state: AlertState) -> Page | None:
        held = not state.is_open or self.holding.held(state, self.now)
        return None if held else self.next.get(state.id)

    def sent_with(self, state: AlertState) -> str | None:
        """The alert of another incident whose messages cover this one too."""
        first = first_of(self.book, state) if state.handling is Handling.OPEN else None
        return None if first is None else first.id

    def as_json(self, state: AlertState) -> dict[str, Any]:
        """What `lyttepost alerts --json` prints for it."""
        page = self.coming(state)
        coming = None if page is None else {"person": page.person, "at": format_instant(page.until or page.at)}
        return state.as_json() | {
            "told_as": self.sent_with(state),
            "held": self.held(state).as_json(),
            "next": coming,
        }


def list_alerts(
    book: AlertBook,
    people: People | None,
    wakes: Callable[[str], bool],
    now: datetime,
    ahead: timedelta = AHEAD,
    most: int | None = None,
) -> Listing:
    """`people`: with the rosters in force. `wakes`: whether a channel, by its name, wakes a sleeper. `ahead`: so far it
    is foreseen who is paged next. `most`: so much work at most, in instants times open alerts, for who asks often."""
    holding = Holding(people.inhibit if people else (), book.silences, book.all())
    coming: dict[str, Page] = {}
    waiting: set[str] = set()
    if people is not None:
        waiting = {s.id for s in book.open() if not s.alert.synthetic and not holding.held(s, now)}
        instants = MOST_INSTANTS if most is None else max(LEAST_INSTANTS, most // max(1, len(waiting)))
        last = now
        for page in foresee(book.with_own_pages(), people, wakes, now, now + ahead, instants):
            if isinstance(page, Page):
                last = page.at
                coming = (dict.fromkeys(page.alerts, page) if page.person else {}) | coming
            if coming.keys() >= waiting:
                break
        if most is not None and last < now + ahead / 2:
            waiting &= coming.keys()  # it may have looked no further
    return Listing(book, people, holding, now, coming, frozenset(waiting))
