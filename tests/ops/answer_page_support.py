"""A receiver on a real socket with the page of one step, and whoever opens its link."""

from __future__ import annotations

import http.client
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry

from alerts.notify.followed import FollowedBook
from alerts.notify.links import Links
from alerts.notify.messages import load_all_messages, load_messages
from alerts.notify.plan import digest
from alerts.notify.receiver.answer_page import AnswerPages
from alerts.notify.receiver.worker import Receiver
from alerts.notify.recipients import People
from alerts.register.view import Register
from listener.bus import hashchain
from listener.bus.protocol import Bus, Message, open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock
from listener.errors import BusError
from listener.model.decisions import DECISIONS
from listener.model.deliveries import Delivery, Outcome, Page, PageWhy
from listener.model.records import Cue, Decision, Finding, Kind, Sample, encode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.files import packaged_config
from tests.ops.receiver_support import Turning
from tests.unit.telling_support import alert

NOW = datetime(2031, 3, 2, 2, 14, tzinfo=UTC)
HOSTILE = '<script>alert("Kari")</script>'
PEOPLE: dict[str, Any] = {
    "kari": {"name": "Kari Vakt", "language": "nb", "ways": [{"channel": "sms", "target": "+4740612345"}]},
    "ola": {"name": HOSTILE, "language": "en", "ways": [{"channel": "sms", "target": "+4740612346"}]},
    "per": {"name": "Per Uvedkommende", "ways": [{"channel": "sms", "target": "+4740612347"}]},
}


ASKS = "når åpner dere <b>pårørendetelefonen</b> igjen"
SHOWS_A_PATIENT = "mamma Oddny Granli ligger på sal fire"
SAMPLES = [Sample(key=f"x:{number}", digest="0" * 64) for number in (1, 2, 3)]
"""Of the third nothing is held any more."""


def post(id_: str, text: str, **more: Any) -> Message:
    found = Finding(
        source="x", id=id_, at=NOW - timedelta(minutes=9, seconds=17), captured_at=NOW, incident="brann-4",
        author=f"forfatter-{id_:>012}", text=text, cues=(Cue(kind=Kind.QUESTION, words=("når",)),),
        **{"story": f"{id_:>016}", "language": "nb", **more},
    )  # fmt: skip
    return Message("findings", found.key, encode(found))


class Seen(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    text: str


class AwayBus:
    """A bus that cannot write while `away`."""

    def __init__(self, inner: Bus) -> None:
        self._inner = inner
        self.away = False
        self.goes = threading.Event()
        self.goes.set()
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def append_after(self, *args: Any) -> Any:
        if self.away:
            raise BusError("no room")
        self.goes.wait(10)
        self.writes += 1
        return self._inner.append_after(*args)


class Phone:
    """A receiver with the page of one step about a1 and a2, which went to Kari and to Ola, and who opens its link."""

    def __init__(self, folder: Path, incident: str = "Brann Ullevål", *, texts: bool = False) -> None:
        self.clock = ManualClock(NOW)
        inner: Any = open_bus("embedded:", folder, self.clock, durable=False)
        inner.ensure(topic_specs(1, {}))
        self.bus: Any = AwayBus(inner)
        self.people = dict(PEOPLE)
        config = packaged_config()
        for id_ in ("a1", "a2", "a3"):
            made = alert(
                id_, at=NOW, incident_name=incident, headline={"nb": f"Varsel {id_}", "en": f"Alert {id_}"},
                samples=SAMPLES, tiltakskort="https://sykehus.example/kort/7",
            )  # fmt: skip
            self.bus.publish([Message("alerts", id_, encode(made))])
        self.tokens = {}
        self.links = Links("https://lyttepost.sykehus.example", b"k" * 32, timedelta(days=1))
        for person in ("kari", "ola"):
            named = {"a1": "firing", "a2": "firing"}
            page = Page(id=digest(person), at=NOW, why=PageWhy.STEP, person=person, alerts=named, code="4711")
            hashchain.append(self.bus, "deliveries", page)
            sent = Delivery(
                intent=person, page=page.id, alert="a1", alerts=("a1", "a2"), at=NOW, step=0, channel="sms",
                target=PEOPLE[person]["ways"][0]["target"], outcome=Outcome.SENT,
            )  # fmt: skip
            hashchain.append(self.bus, "deliveries", sent)
            self.tokens[person] = (self.links.to(page) or "").rpartition("/")[2]
        self.bus.publish([post("1", ASKS), post("2", SHOWS_A_PATIENT, patient_exposed=0.97)])
        self.register = Register(self.bus, folder / "register.sqlite")
        self.register.catch_up()
        self.metrics = Metrics(CollectorRegistry(), "0")
        pages = AnswerPages(
            self.bus, self.clock, self.links, lambda: People.model_validate({"people": self.people}),
            load_messages(config, "nb"), load_all_messages(config), FollowedBook(self.bus, self.clock),
            "sentralbordet, 55 00 00 00", self.register.samples, texts,
        )  # fmt: skip
        self.receiver = Receiver(
            self.bus, {}, lambda *_: None, host="127.0.0.1", port=0, clock=self.clock, metrics=self.metrics,
            part=Health(self.clock).part("receiver"), pages=pages,
        )  # fmt: skip
        self._turning = Turning(self.receiver)

    def close(self) -> None:
        self._turning.close()
        self.register.close()
        self.bus.close()

    def get(self, token: str | None = None, method: str = "GET") -> Seen:
        return self._ask(method, token)

    def press(self, token: str | None = None, **fields: str) -> Seen:
        return self._ask("POST", token, urlencode(fields).encode())

    def _ask(self, method: str, token: str | None, body: bytes = b"") -> Seen:
        with closing(http.client.HTTPConnection("127.0.0.1", self.receiver.port, timeout=10)) as connection:
            kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
            connection.request(method, f"/a/{self.tokens['kari'] if token is None else token}", body or None, kind)
            reply = connection.getresponse()
            return Seen(reply.status, reply.headers, reply.read().decode())

    def said(self) -> list[tuple[str, str, str]]:
        words = [each for each in scan(self.bus, DECISIONS) if isinstance(each, Decision)]
        return [(each.kind.value, each.id, each.by) for each in words]

    def counted(self, outcome: str) -> float:
        labels = {"channel": "link", "outcome": outcome}
        return self.metrics.registry.get_sample_value("lyttepost_callbacks_total", labels) or 0.0
