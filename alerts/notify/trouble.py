"""What goes wrong with sending alerts is reported to ops: as an alert of our own, by the way that every alert takes.

One alert for each trouble until somebody acknowledges it. An alert about ops alerts is never made: they would feed
themselves.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256

from alerts.notify.state import AlertBook
from listener.bus.protocol import Bus, Message
from listener.bus.scan import read_to_end
from listener.model.records import Alert, Event, Severity, encode

OPS = "ops"

HEADLINES: Mapping[str, Mapping[str, str]] = {
    "unknown_route": {
        "nb": "En regel varsler en rute som ikke finnes: {key}. Reserven fikk varselet.",
        "en": "A rule alerts a route that does not exist: {key}. The fallback got the alert.",
    },
    "empty_route": {
        "nb": "Ingen står på ruten {key}. Reserven fikk varselet.",
        "en": "Nobody is on the route {key}. The fallback got the alert.",
    },
    "all_failed": {
        "nb": "Ingen på ruten {key} kunne nås. Reserven fikk varselet.",
        "en": "Nobody on the route {key} could be reached. The fallback got the alert.",
    },
    "contact_failed": {
        "nb": "En kontakt kan ikke nås før noe rettes ({key}).",
        "en": "A contact cannot be reached until something is fixed ({key}).",
    },
    "card_incomplete": {
        "nb": "Et varsel ble sendt ufullstendig ({key}). Rett regelen.",
        "en": "An alert was sent incomplete ({key}). Correct the rule.",
    },
    "unreadable": {
        "nb": "En post på bussen kan ikke leses ({key}). Den kan ha vært et varsel.",
        "en": "A record on the bus cannot be read ({key}). It may have been an alert.",
    },
}


class Desk:
    """Collects what is to be reported and publishes it when the bus can take it."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._waiting: deque[Message] = deque()
        self._said: dict[tuple[str, str], str] = {}
        self._buried: set[str] | None = None

    def tell(self, book: AlertBook, what: str, part: str, about: Alert | None, at: datetime) -> None:
        """`part` names what is to be fixed: a route, a rule, a channel; never anything that a post said."""
        if about is not None and (about.rule_type == OPS or about.synthetic):
            return
        still_open = {(state.alert.rule, state.alert.key) for state in book.open()}
        if (what, part) in self._unread(book) or (f"lyttepost.{what}", part) in still_open:
            return
        id_ = sha256("\x1f".join(("ops", what, part, about.id if about else "")).encode()).hexdigest()[:16]
        self._said[what, part] = id_
        if book.get(id_) is None:
            self._waiting.append(Message("alerts", id_, encode(_alert(id_, what, part, about, at))))

    def _unread(self, book: AlertBook) -> set[tuple[str, str]]:
        """Troubles that were reported and not read back from the bus yet."""
        return {case for case, id_ in self._said.items() if book.get(id_) is None}

    def publish(self) -> None:
        """Raises BusError, and then keeps what it has."""
        while self._waiting:
            self._bus.publish([self._waiting[0]])
            self._waiting.popleft()

    def is_news(self, where: str) -> bool:
        """Whether no dead letter is about this place yet: a restart reads the same bad record again."""
        if self._buried is None:
            reader = self._bus.reader(["deadletters"])
            self._buried = {record.key for record in read_to_end(self._bus, reader, ["deadletters"])}
            reader.close()
        news = where not in self._buried
        self._buried.add(where)
        return news


def _alert(id_: str, what: str, part: str, about: Alert | None, at: datetime) -> Alert:
    return Alert(
        id=id_,
        event=Event.FIRED,
        at=at,
        incident=about.incident if about else "calm",
        incident_name=about.incident_name if about else "Lyttepost",
        exercise=about.exercise if about else False,
        rule=f"lyttepost.{what}",
        rule_type=OPS,
        severity=Severity.WARNING,
        to=OPS,
        key=part,
        key_fields=("source",),
        headline=HEADLINES[what],
        count=1,
        reason=what,
        first_seen=at,
    )
