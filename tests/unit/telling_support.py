"""Alerts, people and book entries for the tests of telling."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from alerts.notify.escalation import Escalation
from alerts.notify.recipients import People
from alerts.notify.sends import Send, Sends
from alerts.notify.state import AlertBook
from listener.bus.protocol import Record
from listener.model.deliveries import Delivery, Outcome
from listener.model.records import Alert, Decision, DecisionKind, Event, encode
from listener.units import to_ms

T0 = datetime(2031, 3, 2, 2, 0, tzinfo=UTC)


def after(**span: float) -> datetime:
    return T0 + timedelta(**span)


def alert(id_: str = "a1", event: Event = Event.FIRED, at: datetime = T0, **more: Any) -> Alert:
    return Alert.model_validate(
        {
            "id": id_,
            "event": event,
            "at": at,
            "incident": "brann-4",
            "incident_name": "Brann, Nordvik sykehus",
            "rule": "many_questions",
            "rule_type": "frequency",
            "headline": {"nb": "Mange spør om {key}", "en": "Many ask about {key}"},
            "count": 27,
            "baseline": 10.0,
            "timeframe_seconds": 300.0,
            "reason": "27 >= 10",
            "first_seen": T0 - timedelta(minutes=12),
            **more,
        }
    )


def people(routes: Mapping[str, list[str]] | None = None, repeat: str = "5m") -> People:
    return People.model_validate(
        {
            "people": {
                "kari": {"name": "Kari", "contacts": [{"channel": "email", "target": "kari@sykehus.example"}]},
                "ola": {"name": "Ola", "contacts": [{"channel": "webhook", "target": "ola"}]},
                "console": {"name": "Konsoll", "contacts": [{"channel": "console"}]},
                "reserve": {"name": "Reserve", "contacts": [{"channel": "webhook", "target": "reserve"}]},
            },
            "routes": {"duty": ["kari", "ola"], "fallback": ["reserve"]} if routes is None else routes,
            "repeat_every": {"critical": repeat, "warning": repeat, "info": "1h"},
            # Each alert by itself: these tests are about single ones.
            "grouping": {"by": ["alert"]},
        }
    )


def due(
    book: AlertBook, who: People, at: datetime, in_flight: Container[str] = (), busy: Mapping[str, int] | None = None
) -> list[Send]:
    """What is to be sent, after all that is to be written down first has been. `busy`: alert → its sends under way."""

    def wakes(channel: str) -> bool:
        return channel in ("sms", "voice")

    escalation = Escalation(book, who, wakes)
    while not (plan := escalation.plan(at)).is_empty:
        for page in plan.pages:
            book.pages.take_page(page)
    return list(Sends(book, who, wakes).due(at, in_flight, busy=busy or {}))


class Log:
    """Records as the bus would number them, taken into a book."""

    def __init__(self) -> None:
        self.book = AlertBook()
        self.records: list[Record] = []

    def add(self, topic: str, value: BaseModel | bytes | None, time: datetime = T0) -> Any:
        raw = encode(value) if isinstance(value, BaseModel) else value
        record = Record(topic, 0, len(self.records), "", raw, to_ms(time))
        self.records.append(record)
        return self.book.apply(record)

    def fired(self, id_: str = "a1", time: datetime = T0, **more: Any) -> None:
        self.add("alerts", alert(id_, **more), time)

    def resolved(self, id_: str = "a1", at: datetime = T0) -> None:
        self.add("alerts", alert(id_, Event.RESOLVED, at), at)

    def decided(self, kind: DecisionKind, by: str = "kari", at: datetime = T0, id_: str = "a1") -> None:
        digest = f"digest {len(self.records)}"
        self.add("decisions", Decision(kind=kind, id=id_, at=at, by=by, why="ja", digest=digest), at)

    def delivery(self, send: Send, at: datetime, outcome: Outcome | None = None, reason: str | None = None) -> None:
        delivery = Delivery(
            intent=send.intent, page=send.page.id, alert=send.lead, alerts=tuple(send.page.alerts), at=at,
            step=send.nth, channel=send.contact.channel, target=send.contact.target, attempt=send.attempt,
            may_repeat=send.may_repeat, outcome=outcome, reason=reason,
        )  # fmt: skip
        self.add("deliveries", delivery, at)
