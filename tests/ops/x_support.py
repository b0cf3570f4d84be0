"""The real listener on a bus of its own, against a fake X: what was offered, what was captured, what was missed."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, Record, open_bus
from listener.bus.spool import Spool
from listener.clock import Clock, SystemClock
from listener.ingest.context import IngestContext
from listener.ingest.gaps import ledger
from listener.ingest.ingestor import Ingestor
from listener.ingest.worker import LEASE_SECONDS
from listener.model.incidents import Action, Command
from listener.model.records import Gap
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.sources.x.access import Access
from listener.sources.x.source import XSource
from listener.units import parse_instant
from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
OURS = 0.8
"""Of a second of waiting, so much is ours on a machine that has nothing else to do."""
PATIENCE = 6
"""So many times as long at the most."""
SPEED = 60.0
"""The fake and the listener live so much faster than the test."""


@dataclass
class XListener:
    """One listener process's parts, in the test's thread."""

    bus: Bus
    clock: Clock
    source: XSource
    reporter: PresenceReporter
    listen: Ingestor
    part: Part
    metrics: Metrics
    spool: Spool | None = None

    def turn(self) -> None:
        self.reporter.step(0.0)
        self.listen.step(0.01)

    def turn_for(self, seconds: float) -> None:
        """Real seconds."""
        self.turn_until(lambda: False, seconds, required=False)

    def turn_until(self, condition: Callable[[], bool], seconds: float = 10.0, *, required: bool = True) -> None:
        """What is required gets its seconds of the processor too, where others have that: a week of counts is work."""
        deadline, ours = time.monotonic() + seconds, time.process_time() + OURS * seconds
        last = deadline + (PATIENCE - 1) * seconds if required else deadline
        while not condition():
            now = time.monotonic()
            if now > deadline and (time.process_time() > ours or now > last):
                assert not required, f"not within {seconds} s; {dict(self.source.state())}"
                return
            self.turn()

    def switch(self, action: Action, *tracks: str, name: str = "Brann", **more: Any) -> str:
        """Opens or changes an incident; its id."""
        command = Command(
            action=action, at=self.clock.now(), by="vakt", why="prøve", name=name, add=tracks, review_after=3600, **more
        )
        return "".join(Control(self.bus).append(command).incidents)

    def open(self, *tracks: str, name: str = "Brann", lookback: float = 0.0) -> str:
        return self.switch(Action.OPEN, *tracks, name=name, lookback=lookback)

    @property
    def state(self) -> Mapping[str, Any]:
        return self.source.state()

    def hears(self) -> bool:
        return self.state["state"] == "listening"

    def die(self) -> None:
        """As after a kill: nothing more is said or published, the socket is gone and no file is held."""
        self.source.close()
        if self.spool is not None:
            self.spool.close()

    def records(self, topic: str) -> list[Record]:
        reader = self.bus.reader([topic])
        out = list(itertools.chain.from_iterable(iter(lambda: reader.poll(0.0, 5000), [])))
        reader.close()
        return out

    def values(self, topic: str, type_: str | None = None) -> list[dict[str, Any]]:
        values = [json.loads(r.value) for r in self.records(topic) if r.value is not None]
        return [v for v in values if type_ is None or v["type"] == type_]

    def captured(self) -> Counter[str]:
        return Counter(v["id"] for v in self.values("mentions", "mention"))

    def origins(self) -> dict[str, str]:
        return {v["id"]: v["origin"] for v in self.values("mentions", "mention")}

    def gaps(self) -> list[Gap]:
        return ledger(self.bus)

    def causes(self) -> list[str]:
        return [gap.cause for gap in self.gaps()]

    def alerts(self) -> list[tuple[str, str]]:
        return [(v["reason"], v["event"]) for v in self.values("alerts")]

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the source's, as Prometheus would scrape it; fails where there is none."""
        value = self.metrics.registry.get_sample_value(f"lyttepost_{name}", {"source": "x", **labels})
        assert value is not None, f"no sample of {name}{labels}"
        return value

    def metrics_reconnects(self) -> set[str]:
        """The causes by which a connection ended so far."""
        (metric,) = self.metrics.reconnects.collect()
        return {s.labels["cause"] for s in metric.samples if s.name.endswith("_total") and s.value}

    def ticks(self) -> list[datetime]:
        return [parse_instant(v["until"]) for v in self.values("mentions", "tick")]


@dataclass
class Town:
    """A fake X, a folder, and the listeners that came and went on it."""

    fake: FakeX
    folder: Path
    clock: Clock
    deployments: list[XListener] = field(default_factory=list)

    def deployment(
        self,
        holder: str = "listener@test",
        standing: Sequence[str] = (),
        *,
        durable: bool = False,
        spool: Spool | None = None,
        keep: timedelta | None = None,
        **more: Any,
    ) -> XListener:
        bus = open_bus("embedded:", self.folder, self.clock, durable=durable)
        bus.ensure(topic_specs(1, {}))
        metrics, health = Metrics(CollectorRegistry(), "0"), Health(self.clock)
        part = health.part("listen-x")
        reporter = PresenceReporter(
            bus, holder, ["listener"], clock=self.clock, metrics=metrics, part=health.part("follow")
        )
        access = more.pop("access", Access(self.fake.url, TOKEN))
        source = XSource(access, self.clock, **{"chance": random.Random(1).random, **more})
        context = IngestContext(
            bus=bus, reporter=reporter, lease=bus.lease("source:x", holder, LEASE_SECONDS), standing=standing,
            screen=Screen(b"k" * 32, {}), clock=self.clock, metrics=metrics, part=part,
        )  # fmt: skip
        listen = Ingestor(source, context, spool=spool, keep=keep)
        deployment = XListener(bus, self.clock, source, reporter, listen, part, metrics, spool)
        self.deployments.append(deployment)
        return deployment

    @contextmanager
    def deaf(self, deployment: XListener, how: Callable[[], Any] | None = None) -> Iterator[None]:
        """The stream breaks (`how`, else by a reset) and X takes nobody in until the end of the `with`: what is
        published meanwhile lies in the gap, however slow this machine is."""
        self.fake.do("refuse", status=503, on="stream")
        (how or (lambda: self.fake.do("reset")))()
        deployment.turn_until(lambda: not deployment.hears(), 20)
        yield
        self.fake.do("heal", on="stream")

    def lost(self, deployment: XListener) -> list[str]:
        """Posts that matched a rule or not, were published while the incident was open, and are neither captured nor
        inside a recorded gap."""
        captured, gaps = deployment.captured(), deployment.gaps()
        return [
            post.id
            for post in self.fake.world.posts.values()
            if captured[post.id] == 0 and not any(inside(post.published_at, gap) for gap in gaps)
        ]


def inside(at: datetime, gap: Gap) -> bool:
    slack = timedelta(seconds=1)
    return gap.start - slack <= at and (gap.end is None or at <= gap.end + slack)


@contextmanager
def town(folder: Path, clock: Clock | None = None, **more: Any) -> Iterator[Town]:
    clock = clock or SystemClock()
    # Keep-alives often: a test machine that is busy for a moment must not look like a silent X.
    with FakeX(clock=clock, bearer=TOKEN, keep_alive=5.0, **more) as fake:
        here = Town(fake, folder, clock)
        try:
            yield here
        finally:
            for deployment in here.deployments:
                deployment.die()
                deployment.bus.close()
