"""What goes wrong with delivering alerts is reported to ops, as an alert about ourselves, on the path of every alert.

One alert for each fault until somebody acknowledges it. An alert about ops alerts is never made: they would feed
themselves.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

from alerts.notify.plan import digest
from alerts.notify.state import AlertBook
from listener.bus.protocol import Bus, Message
from listener.bus.scan import scan_records
from listener.model.records import Alert
from listener.runtime.ops_alerts import OPS, OpsAlerts


class DeliveryFaults:
    """Collects what ops must know and publishes it when the bus can take it."""

    def __init__(self, bus: Bus, ops: OpsAlerts) -> None:
        self._bus = bus
        self._ops = ops
        self._waiting: deque[Message] = deque()
        self._reported: dict[tuple[str, str], str] = {}
        self._buried: set[str] | None = None

    def report(self, book: AlertBook, what: str, part: str, about: Alert | None, at: datetime) -> None:
        """`part` names what is to be fixed: a route, a rule, a channel; never anything that a post said."""
        if about is not None and (about.rule_type == OPS or about.synthetic):
            return
        still_open = {(state.alert.rule, state.alert.key) for state in book.open()}
        if (what, part) in self._unread(book) or (f"lyttepost.{what}", part) in still_open:
            return
        id_ = digest("ops", what, part, about.id if about else "")
        self._reported[what, part] = id_
        if book.get(id_) is None:
            self._waiting.append(self._ops.message(what, part, at, at, about=about, id_=id_))

    def _unread(self, book: AlertBook) -> set[tuple[str, str]]:
        """Faults that were reported and not read back from the bus yet."""
        return {case for case, id_ in self._reported.items() if book.get(id_) is None}

    def publish(self) -> None:
        """Raises BusError, and then keeps what it has."""
        while self._waiting:
            self._bus.publish([self._waiting[0]])
            self._waiting.popleft()

    def is_new(self, where: str) -> bool:
        """Whether no dead letter names this place yet: a restart reads the same bad record again."""
        if self._buried is None:
            self._buried = {record.key for record in scan_records(self._bus, ["deadletters"])}
        new = where not in self._buried
        self._buried.add(where)
        return new
