"""A platform that calls us: a small source that keeps the contract, its worker on a bus, and the port."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from listener.bus.protocol import open_bus
from listener.bus.scan import scan_records
from listener.bus.spool import Spool, path_of
from listener.clock import SystemClock
from listener.ingest.context import IngestContext
from listener.ingest.ingestor import Ingestor
from listener.ingest.worker import LEASE_SECONDS
from listener.model.incidents import Action, Command, Incident
from listener.model.records import Gap, Post
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.sources.common.json import read_json
from listener.sources.contract import BadLine, Batch, CatchUp, DropReason, OfferedCounts
from listener.webhooks.meta import MetaGuard, signature_of
from listener.webhooks.webhook import Webhook
from listener.webhooks.worker import Webhooks

TRACK = "granvik"
SECRET, TOKEN = SecretStr("app-hemmelighet"), SecretStr("et-ord-vi-valgte")


class Town:
    """A platform that calls with `[{"id", "text"}, …]`."""

    name = "town"
    catch_up = CatchUp.NONE
    only_exercise = False

    def __init__(self) -> None:
        self.counts = OfferedCounts()
        self.bell = threading.Event()
        self.webhook: Webhook | None = Webhook(self.name, MetaGuard(SECRET, TOKEN), self.bell)

    @property
    def hears_in_calm(self) -> bool:
        return True

    def open(self, resume: str | None) -> None:
        assert self.webhook is not None
        self.webhook.mailbox.open()

    def recall(self, gaps: Sequence[Gap]) -> None:
        pass

    def follow(self, incidents: Sequence[Incident], standing: Sequence[str], over: Sequence[Incident] = ()) -> None:
        pass

    def tend(self) -> None:
        pass

    def read(self, timeout: float) -> Batch | None:
        assert self.webhook is not None
        self.bell.wait(timeout)
        self.bell.clear()
        call = self.webhook.mailbox.take()
        now = datetime.now(UTC)
        if call is None:
            return None
        try:
            posts = tuple(Post(source=self.name, id=i["id"], at=now, text=i["text"]) for i in read_json(call.body))
        except (ValueError, KeyError, TypeError):
            digest = hashlib.sha256(call.body).hexdigest()
            bad = BadLine(DropReason.BAD_JSON, "town:webhook", len(call.body), digest)
            return Batch(bad=(bad,), until=now, cursor="{}")
        return Batch(posts=posts, until=now, cursor="{}")

    def settle(self, durable: bool) -> None:
        assert self.webhook is not None
        self.webhook.mailbox.settle(durable)

    def state(self) -> Mapping[str, Any]:
        return {"state": "listening"}

    def close(self) -> None:
        assert self.webhook is not None
        self.webhook.mailbox.close()
        self.bell.set()


class Machine:
    """One process that listens to the town, its workers turned by threads as the service turns them."""

    def __init__(self, folder: Path, name: str = "one", port: int = 0, *, spool: int | None = 1 << 24) -> None:
        clock = SystemClock()
        self.folder = folder
        self.bus = open_bus("embedded:", folder, clock, durable=False)
        self.bus.ensure(topic_specs(1, {}))
        self.metrics, self.health = Metrics(CollectorRegistry(), "0"), Health(clock)
        self.reporter = PresenceReporter(
            self.bus, name, ["listener"], clock=clock, metrics=self.metrics, part=self.health.part("follow")
        )
        self.source = Town()
        context = IngestContext(
            bus=self.bus, reporter=self.reporter, lease=self.bus.lease("source:town", name, LEASE_SECONDS),
            screen=Screen(b"k" * 32, {}), standing=(TRACK,), clock=clock, metrics=self.metrics,
            part=self.health.part("listen-town"),
        )  # fmt: skip
        kept = None if spool is None else Spool(path_of(folder, "town", name), spool, clock)
        self.worker = Ingestor(self.source, context, spool=kept)
        assert self.source.webhook is not None
        self.part = self.health.part("webhooks")
        self.webhooks = Webhooks(
            [self.source.webhook], host="127.0.0.1", port=port, clock=clock, metrics=self.metrics, part=self.part
        )
        self.paused, self.rests = threading.Event(), threading.Event()
        self.stopping = threading.Event()
        self.failures: list[BaseException] = []
        self._threads = [threading.Thread(target=self._turn, args=(w,), daemon=True) for w in (0, 1, 2)]
        for thread in self._threads:
            thread.start()

    def _turn(self, which: int) -> None:
        while not self.stopping.is_set():
            try:
                if which:
                    (self.webhooks.step if which == 1 else self.reporter.step)(0.0)
                    time.sleep(0.01)
                elif self.paused.is_set():
                    self.rests.set()
                    time.sleep(0.01)
                else:
                    self.worker.step(0.02)
            except Exception as error:  # as the service does: it is tried again
                self.failures.append(error)
                time.sleep(0.05)

    def pause(self) -> None:
        """The worker takes nothing, until `paused` is cleared."""
        self.paused.set()
        self.until(self.rests.is_set, "it pauses")

    def stop(self) -> None:
        if self.stopping.is_set():
            return
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        self.webhooks.close()
        self.worker.close()
        self.bus.close()

    def switch(self, action: Action) -> None:
        command = Command(
            action=action, at=datetime.now(UTC), by="vakt", why="prøve", name="Brann", review_after=3600, lookback=0.0,
            add=(TRACK,) if action is Action.OPEN else (),
        )  # fmt: skip
        Control(self.bus).append(command)
        self.until(lambda: bool(self.worker._capture.open) is (action is Action.OPEN), "followed")

    def until(self, condition: Any, what: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}; {self.failures[-3:]}"
            time.sleep(0.01)

    def up(self) -> Machine:
        self.until(lambda: self.webhooks.port is not None, "the port")
        return self

    def values(self, type_: str = "mention") -> list[dict[str, Any]]:
        found = [json.loads(record.value) for record in scan_records(self.bus, ["mentions"]) if record.value]
        return [value for value in found if value["type"] == type_]

    def ids(self) -> list[str]:
        return [value["id"] for value in self.values()]

    def count(self, outcome: str) -> float:
        name = "lyttepost_webhook_calls_total"
        return self.metrics.registry.get_sample_value(name, {"source": "town", "outcome": outcome}) or 0.0

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, port: int = 0
    ) -> tuple[int, bytes]:
        status, content, _ = self._answer(method, path, body, headers, port)
        return status, content

    def _answer(
        self, method: str, path: str, body: Any, headers: Mapping[str, str] | None, port: int
    ) -> tuple[int, bytes, str | None]:
        """Its status, its body, and its `Retry-After`."""
        its = port or self.webhooks.port
        assert its is not None
        connection = http.client.HTTPConnection("127.0.0.1", its, timeout=20)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers["Retry-After"]
        finally:
            connection.close()

    def call(self, *ids: str, text: str = f"brann i {TRACK}", port: int = 0) -> int:
        """The platform tells of these, signed as it does."""
        return self.send(json.dumps([{"id": id_, "text": text} for id_ in ids]).encode(), port=port)

    def call_for(self, id_: str) -> tuple[int, str | None]:
        """The platform tells of this one: the status of the answer, and when to try again."""
        body = json.dumps([{"id": id_, "text": f"brann i {TRACK}"}]).encode()
        signed = {"X-Hub-Signature-256": signature_of(body, SECRET)}
        status, _, again = self._answer("POST", "/town", body, signed, 0)
        return status, again

    def send(self, body: bytes, signature: str | None = None, port: int = 0) -> int:
        told = signature if signature is not None else signature_of(body, SECRET)
        return self.ask("POST", "/town", body, {"X-Hub-Signature-256": told}, port)[0]
