"""What goes wrong with delivering alerts is reported to ops, as an alert about ourselves, on the path of every alert.

One alert for each fault until somebody acknowledges it. An alert about ops alerts is never made: they would feed
themselves.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime

from alerts.notify.channels.contract import DEFECTS
from alerts.notify.duty import DutyFollower
from alerts.notify.pages import Place
from alerts.notify.plan import digest
from alerts.notify.recipients import People
from alerts.notify.state import AlertBook
from listener.bus.messages import message
from listener.bus.protocol import Bus, Message
from listener.bus.scan import scan_records
from listener.model.deliveries import Delivery, Outcome
from listener.model.records import ALERTS, Alert, Event
from listener.runtime.ops_alerts import OPS, OpsAlerts, rule_of

_DEFECTS = frozenset(reason.value for reason in DEFECTS)


class DeliveryFaults:
    """Collects what ops must know and publishes it when the bus can take it."""

    def __init__(self, bus: Bus, ops: OpsAlerts) -> None:
        self._bus = bus
        self._ops = ops
        self._waiting: deque[Message] = deque()
        self._reported: dict[tuple[str, str], str] = {}
        self._buried: set[str] | None = None
        self._failing: dict[str, set[Place]] = {}
        self._ended: set[str] = set()

    def report(self, book: AlertBook, what: str, part: str, about: Alert | None, at: datetime) -> None:
        """`part` names what is to be fixed: a route, a rule, a channel; never anything that a post said."""
        if about is not None and (about.rule_type == OPS or about.synthetic):
            return
        still_open = {(state.alert.rule, state.alert.key) for state in book.open() if state.resolved is None}
        if (what, part) in self._unread(book) or (rule_of(what), part) in still_open:
            return
        id_ = first = digest("ops", what, part, about.id if about else "")
        times = 0
        while (before := book.get(id_)) is not None and before.resolved is not None:
            times += 1
            id_ = digest(first, str(times))  # it was well meanwhile
        self._reported[what, part] = id_
        if book.get(id_) is None:
            self._waiting.append(self._ops.message(what, part, at, at, about=about, id_=id_))

    def _unread(self, book: AlertBook) -> set[tuple[str, str]]:
        """Faults that were reported and not read back from the bus yet."""
        return {case for case, id_ in self._reported.items() if book.get(id_) is None}

    def follow(self, delivery: Delivery) -> None:
        """What became of a send: a way by which anything is taken fails no longer."""
        place = delivery.channel, delivery.target
        if delivery.outcome is Outcome.SENT:
            for failing in self._failing.values():
                failing.discard(place)
        elif delivery.outcome is Outcome.PERMANENT or delivery.reason in _DEFECTS:
            self._failing.setdefault(f"{delivery.channel}: {delivery.reason}", set()).add(place)

    def end(self, book: AlertBook, people: People, duty: DutyFollower | None, now: datetime) -> None:
        """Resolve what is well again of that which ops were told."""
        self._ended = {id_ for id_ in self._ended if (state := book.get(id_)) is None or state.resolved is None}
        for state in book.about_ourselves():
            if state.id not in self._ended and self._is_over(state.alert, people, duty, now):
                self._ended.add(state.id)
                over = state.alert.model_copy(update={"event": Event.RESOLVED, "at": now})
                self._waiting.append(message(ALERTS, over))

    def _is_over(self, alert: Alert, people: People, duty: DutyFollower | None, now: datetime) -> bool:
        part = alert.key
        match alert.rule.removeprefix(rule_of("")):
            case "people_bad" | "calendar_failed" as what:
                return duty is not None and not duty.stands(what, part, now)
            case "empty_step":
                policy = people.policy(part, alert.severity)
                steps = policy.steps if policy else ()
                return all(any(people.who(name, now) for name in step.to) for step in steps)
            case "unknown_route":
                return people.has_policy(part) or (part in people.routes and not people.holes(part))
            case "contact_failed":
                ways = {(way.channel, way.target) for person in people.people.values() for way in person.ways}
                return self._failing.get(part, set()).isdisjoint(ways)
        return False

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
