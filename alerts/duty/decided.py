"""What people decided about duty, as it stands now: swaps, and ways that were tried. A fold of `decisions`."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from alerts.duty.people import People, Place
from alerts.duty.roster import Override
from listener.model.decisions import DecisionsRecord, Stand, Swap, TriedWay, WayConfirmed, WayTest


class Decided:
    """`take` each record of `decisions` once, in order; what is about other things is passed over."""

    def __init__(self, records: Iterable[DecisionsRecord] = ()) -> None:
        self._swaps: list[Swap] = []
        self._tests: dict[str, tuple[WayTest, TriedWay]] = {}
        self._confirmed: dict[str, set[str]] = {}
        for record in records:
            self.take(record)

    def take(self, record: DecisionsRecord) -> bool:
        """Whether it changes who is on duty."""
        if isinstance(record, Swap):
            self._swaps.append(record)
        elif isinstance(record, WayTest):
            self._tests |= {way.code: (record, way) for way in record.ways}
        elif isinstance(record, WayConfirmed):
            self._confirmed.setdefault(record.person, set()).add(record.way.place)
        return isinstance(record, Swap)

    def swaps(self, people: People) -> tuple[tuple[Override, Override], ...]:
        """Those between people who are still there, oldest first: a name that is gone would be nobody."""
        return tuple(
            (_override(swap.overrides[0]), _override(swap.overrides[1]))
            for swap in self._swaps
            if all(half.remove in people for half in swap.overrides)
        )

    def test(self, code: str) -> tuple[WayTest, TriedWay] | None:
        """The newest test message with this code."""
        return self._tests.get(code)

    @property
    def codes(self) -> frozenset[str]:
        """All that were ever given out."""
        return frozenset(self._tests)

    def is_confirmed(self, person: str, place: Place) -> bool:
        """A test message by this way arrived, and the person said so."""
        return place_digest(place) in self._confirmed.get(person, ())

    def ever_confirmed(self, person: str) -> bool:
        return person in self._confirmed


def place_digest(place: Place) -> str:
    """Under which a way is remembered: the ledger needs no more of an address than whether it is still the same."""
    return sha256("\x1f".join(place).encode()).hexdigest()[:32]


def _override(half: Stand) -> Override:
    return Override(start=half.start, end=half.end, remove=half.remove, add=half.add)
