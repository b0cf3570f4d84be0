"""The alerts as they stand, kept up with the log: for who looks often, and must not read all of it each time."""

from __future__ import annotations

from collections.abc import Callable

from alerts.duty.decided import Decided
from alerts.notify.state import TOPICS, AlertBook, read
from listener.bus.protocol import Bus
from listener.bus.scan import drain
from listener.clock import Clock
from listener.model.decisions import AboutDuty
from listener.model.records import BadRecord
from listener.units import from_ms


class FollowedBook:
    """Used by one thread, as long as its bus is open. What cannot be read is passed over: the dispatcher reports it."""

    def __init__(self, bus: Bus, clock: Clock, beat: Callable[[], None] = lambda: None) -> None:
        """`beat`: called now and then while much is read."""
        self._book = AlertBook()
        self._clock = clock
        self._beat = beat
        self._reader = bus.reader(TOPICS)
        self.taken = 0
        """Records so far."""
        self.decided = Decided()
        """What people decided about duty; as new as the last `read`."""

    def read(self) -> AlertBook:
        """With all that lies on the bus now. Raises BusError. The next call changes what this one gave."""
        for record in drain(self._reader, self._beat):
            self.taken += 1
            try:
                said = read(record)
            except BadRecord:
                continue
            if said is not None:
                self._book.take(said, from_ms(record.time_ms))
            if isinstance(said, AboutDuty):
                self.decided.take(said)
        # Nobody here does anything with what is new.
        self._book.said.clear()
        self._book.passed.clear()
        self._book.forget(self._clock.now())
        return self._book
