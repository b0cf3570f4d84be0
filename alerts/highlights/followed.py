"""The highlights as they stand, kept up with the log: for whoever looks often."""

from __future__ import annotations

from collections.abc import Callable

from alerts.highlights.state import Highlights
from listener.bus.hashchain import Chain
from listener.bus.protocol import Bus, Record
from listener.bus.scan import drain
from listener.model.decisions import DECISIONS
from listener.model.records import BadRecord, decode


class FollowedHighlights:
    """Used by one thread, as long as its bus is open. What cannot be read is passed over: the dispatcher reports it."""

    def __init__(self, bus: Bus, beat: Callable[[], None] = lambda: None) -> None:
        """`beat`: called now and then while much is read."""
        self._reader = bus.reader([DECISIONS.name])
        self._beat = beat
        self._chain = Chain()
        self.highlights = Highlights()

    def read(self, timeout: float = 0.0) -> Highlights:
        """With all that lies on the bus now, waiting at most `timeout` seconds for something new. Raises BusError, and
        Corrupt when the chain is broken. The next call changes what this one gave."""
        for record in self._reader.poll(timeout) if timeout else ():
            self._take(record)
        for record in drain(self._reader, self._beat):
            self._take(record)
        return self.highlights

    def close(self) -> None:
        self._reader.close()

    def _take(self, record: Record) -> None:
        self._chain.follow(record)
        try:
            self.highlights.take(decode(DECISIONS, record.value or b""))
        except BadRecord:
            return
