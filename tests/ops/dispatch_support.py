"""A dispatcher with its bus and far ends, for the tests of who is told."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from alerts.notify.canary import Ledger
from alerts.notify.channels.console import Console, ConsoleSettings
from alerts.notify.channels.contract import Channel
from alerts.notify.channels.email import Email, SmtpSettings
from alerts.notify.channels.webhook import Webhook, WebhookSettings
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.messages import load_messages
from alerts.notify.recipients import People
from listener.bus.protocol import Bus, Message, Record, open_bus
from listener.clock import ManualClock
from listener.model.deliveries import DELIVERIES, Delivery
from listener.model.records import decode, encode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.files import packaged_config
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhook import FakeWebhook
from tests.unit.telling_support import T0, alert, people

TEXT = "Noen som vet hvor de har kjørt bestemor Oddny fra sykehjemmet?"


class DispatchDeployment:
    """A dispatcher with its bus and far ends, turned by hand; the clock stands until it is moved."""

    def __init__(self, folder: Path, smtp: FakeSmtp, hook: FakeWebhook) -> None:
        self.folder = folder
        self.smtp, self.hook = smtp, hook
        self.clock = ManualClock(T0)
        self.bus: Bus = open_bus("embedded:", folder, self.clock)
        self.bus.ensure(topic_specs(1, {}))
        self.console = io.StringIO()
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.opened: list[Dispatcher] = []

    def channels(self, timeout: float = 5.0) -> dict[str, Channel]:
        mail = {"host": "127.0.0.1", "port": self.smtp.port, "encryption": "none", "from": "l@sykehus.example"}
        return {
            "ledger": Ledger(),
            "console": Console(self.console, ConsoleSettings(texts="always")),
            "email": Email(SmtpSettings.model_validate({**mail, "timeout": timeout})),
            "webhook": Webhook(WebhookSettings.model_validate({"url": self.hook.url, "timeout": timeout})),
        }

    def dispatcher(self, who: People | None = None, holder: str = "one", **more) -> Dispatcher:
        channels = more.pop("channels", None) or self.channels()
        made = Dispatcher(
            self.bus,
            who or people(),
            load_messages(packaged_config(), "nb"),
            channels,
            clock=self.clock,
            metrics=self.metrics,
            part=Health(self.clock).part("dispatch"),
            holder=holder,
            texts=lambda keys: dict.fromkeys(keys, TEXT),
            **more,
        )
        self.opened.append(made)
        return made

    def fire(self, id_: str = "a1", **more) -> None:
        self.bus.publish([Message("alerts", id_, encode(alert(id_, **more)))])

    def records(self, topic: str) -> list[Record]:
        reader = self.bus.reader([topic])
        return reader.poll(0.0, 10_000)

    def deliveries(self) -> list[Delivery]:
        found = (decode(DELIVERIES, record.value or b"") for record in self.records("deliveries"))
        return [each for each in found if isinstance(each, Delivery)]

    def outcomes(self) -> list[tuple[int, str, str, int]]:
        return [(d.step, d.target, d.outcome.value, d.attempt) for d in self.deliveries() if d.outcome]

    def told(self) -> list[str]:
        """Whom a message reached, in order of arrival at each far end."""
        return [mail.to for mail in self.smtp.seen] + [str(call.json["to"]) for call in self.hook.seen]


def turn(dispatcher: Dispatcher, until: Callable[[], object], seconds: float = 8.0) -> None:
    """Turn until it is so; fail when it never is."""
    end = time.monotonic() + seconds
    while not until():
        dispatcher.step(0.02)
        assert time.monotonic() < end, "it never came to that"


def idle(dispatcher: Dispatcher, turns: int = 12) -> None:
    for _ in range(turns):
        dispatcher.step(0.01)


def to(deployment: DispatchDeployment, **span: float) -> None:
    """Move the clock to so long after the start."""
    deployment.clock.advance_to(T0 + timedelta(**span))
