"""One listener process's parts on a bus of its own, in the test's thread: what the supports of the sources share."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, Record, open_bus
from listener.bus.spool import Spool
from listener.clock import Clock
from listener.ingest.context import IngestContext
from listener.ingest.gaps import ledger
from listener.ingest.ingestor import Ingestor
from listener.ingest.worker import LEASE_SECONDS
from listener.model.gaps import is_whole
from listener.model.incidents import Action, Command
from listener.model.records import Gap
from listener.model.topics import topic_specs
from listener.privacy.screen import Screen
from listener.runtime.control import Control
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.sources.contract import LiveSource
from listener.units import parse_instant
from tests.fakes.platform import ScaledClock

OURS = 0.8
"""Of a second of waiting, so much is ours on a machine that has nothing else to do."""
PATIENCE = 6
"""So many times as long at the most."""


class WrongClock(ScaledClock):
    """The platform's time, and how far ours is off it, in seconds."""

    def __init__(self, right: ScaledClock, off: float = 0.0) -> None:
        super().__init__(right.speed)
        self._right = right
        self.off = off

    def now(self) -> datetime:
        return self._right.now() + timedelta(seconds=self.off)


@dataclass
class ListenerDeployment:
    """One listener process's parts, in the test's thread."""

    bus: Bus
    clock: Clock
    source: LiveSource
    reporter: PresenceReporter
    listen: Ingestor
    part: Part
    metrics: Metrics
    spool: Spool | None = None

    @classmethod
    def deploy(
        cls,
        source: LiveSource,
        folder: Path,
        clock: Clock,
        holder: str,
        standing: Sequence[str] = (),
        *,
        durable: bool = False,
        spool: Spool | None = None,
        keep: timedelta | None = None,
    ) -> Self:
        """One that reads this source, on the bus in the folder. `holder`: who it is where the lease is held."""
        bus = open_bus("embedded:", folder, clock, durable=durable)
        bus.ensure(topic_specs(1, {}))
        metrics, health = Metrics(CollectorRegistry(), "0"), Health(clock)
        part = health.part(f"listen-{source.name}")
        reporter = PresenceReporter(bus, holder, ["listener"], clock=clock, metrics=metrics, part=health.part("follow"))
        lease = bus.lease(f"source:{source.name}", holder, LEASE_SECONDS)
        context = IngestContext(
            bus=bus, reporter=reporter, lease=lease, standing=standing, screen=Screen(b"k" * 32, {}), clock=clock,
            metrics=metrics, part=part,
        )  # fmt: skip
        ingestor = Ingestor(source, context, spool=spool, keep=keep)
        return cls(bus, clock, source, reporter, ingestor, part, metrics, spool)

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

    def open_gaps(self) -> list[Gap]:
        """Gaps that last, or of which not all was found afterwards."""
        return [gap for gap in self.gaps() if not is_whole(gap)]

    def causes(self) -> list[str]:
        return [gap.cause for gap in self.gaps()]

    def alerts(self) -> list[tuple[str, str]]:
        return [(v["reason"], v["event"]) for v in self.values("alerts")]

    def metric(self, name: str, **labels: str) -> float:
        """A sample of the source's, as Prometheus would scrape it; fails where there is none."""
        value = self.metrics.registry.get_sample_value(f"lyttepost_{name}", {"source": self.source.name, **labels})
        assert value is not None, f"no sample of {name}{labels}"
        return value

    def metrics_reconnects(self) -> set[str]:
        """The causes by which a connection ended so far."""
        (metric,) = self.metrics.reconnects.collect()
        return {s.labels["cause"] for s in metric.samples if s.name.endswith("_total") and s.value}

    def ticks(self) -> list[datetime]:
        return [parse_instant(v["until"]) for v in self.values("mentions", "tick")]


def inside(at: datetime, gap: Gap) -> bool:
    slack = timedelta(seconds=1)
    return gap.start - slack <= at and (gap.end is None or at <= gap.end + slack)
