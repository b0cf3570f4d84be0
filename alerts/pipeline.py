"""The flow, in one readable list: which workers there are, in the order in which a post meets them.

    source ▶ match ▶ privacy ▶ mentions ▶ annotate ▶ findings ▶ rules ▶ alerts ▶ dispatch ▶ person
                                                        └──▶ register

Workers share nothing but the bus. `run` gives each a thread, `replay` and `demo` turn them one after another with a
clock of the recording's own; the workers are the same. The role `alerts` is three: `annotate`, `judge` (rules and
calm) and `dispatch` (with the register, whose texts it sends); each may have processes of its own, as many as it needs.

Why here and not in `lyttepost.py`: commands live in both packages and must wire the same parts, and nothing may import
the entry point.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from alerts.annotate.kinds import KindCues
from alerts.annotate.worker import Annotating
from alerts.judge.reload import Rulebook
from alerts.judge.worker import Judging
from alerts.notify.channels.contract import Channel
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.messages import Messages
from alerts.notify.recipients import People
from alerts.register import Register
from alerts.rules.spec import RuleSpec
from alerts.volumes.worker import Calm
from listener.bus.protocol import Bus
from listener.bus.spool import Spool, path_of
from listener.clock import Clock
from listener.ingest.worker import LEASE_SECONDS, Ingestor
from listener.model.topics import TopicSpec
from listener.privacy.screen import Screen
from listener.runtime.control import with_parts
from listener.runtime.health import Health, Part
from listener.runtime.metrics import Metrics
from listener.runtime.ops_alerts import OpsAlerts
from listener.runtime.presence import PresenceReporter
from listener.runtime.stage import Worker
from listener.settings.schema import Settings
from listener.settings.zone import find_zone
from listener.sources.contract import Batch, Follows, Source

LISTENER, ALERTS = "listener", "alerts"
ANNOTATE, JUDGE, DISPATCH = "annotate", "judge", "dispatch"
Turning = tuple[Worker, Part]


@dataclass(frozen=True)
class House:
    """The parts that the wiring hands out."""

    settings: Settings
    folder: Path
    bus: Bus
    specs: Sequence[TopicSpec]
    clock: Clock
    metrics: Metrics
    health: Health
    process: str


@dataclass(frozen=True)
class Ears:
    """What hearing needs."""

    sources: Sequence[Source]
    screen: Screen
    standing: Sequence[str]
    before: Callable[[Batch], None] = lambda batch: None
    ops: OpsAlerts = field(default_factory=OpsAlerts.load)


@dataclass(frozen=True)
class Wits:
    """What judging and telling need. Without channels nobody is told: a replay reads the alerts itself."""

    rules: Sequence[RuleSpec]
    cues: KindCues
    people: People
    messages: Messages
    channels: Mapping[str, Channel] | None
    rulebook: Rulebook | None = None
    """Where the rules come from, if edits are to come into force."""
    standing: Sequence[str] = ()
    """The tracks that are counted in calm, all together."""
    ops: OpsAlerts = field(default_factory=OpsAlerts.load)


def flow(house: House, roles: Collection[str], ears: Ears | None, wits: Wits | None) -> list[Turning]:
    """The workers of these roles, in the order of the flow."""
    bus, clock, metrics, part = house.bus, house.clock, house.metrics, house.health.part
    me, its_roles = house.process, with_parts(roles)
    turning: list[Turning] = []

    def add(worker: Worker, its: Part) -> None:
        turning.append((worker, its))

    p = part("follow")
    reporter = PresenceReporter(bus, me, sorted(roles), part=p, clock=clock, metrics=metrics)
    add(reporter, p)

    if ears is not None:
        for source in ears.sources:
            p = part(f"listen-{source.name}")
            lease = bus.lease(f"source:{source.name}", me, LEASE_SECONDS)
            add(
                Ingestor(
                    source, bus, reporter, ears.screen, ears.standing, lease=lease, before=ears.before, part=p,
                    clock=clock, metrics=metrics, keep=house.settings.retention.content, ops=ears.ops,
                    spool=spool_of(house, source.name) if isinstance(source, Follows) else None,
                ),
                p,
            )  # fmt: skip

    if wits is not None and ANNOTATE in its_roles:
        p = part("annotate")
        keep = house.settings.retention.content
        add(Annotating(bus, wits.cues, part=p, clock=clock, metrics=metrics, keep=keep, member=me), p)
    if wits is not None and JUDGE in its_roles:
        p = part("judge")
        lateness = house.settings.rules.allowed_lateness
        add(
            Judging(
                bus, wits.rules, reporter=reporter, allowed_lateness=lateness, rulebook=wits.rulebook, part=p,
                clock=clock, metrics=metrics, member=me, ops=wits.ops,
            ),
            p,
        )  # fmt: skip
        p = part("calm")
        add(
            Calm(
                bus, wits.rules, reporter=reporter, rulebook=wits.rulebook, standing=wits.standing, part=p,
                clock=clock, metrics=metrics, member=me, zone=find_zone(house.settings.timezone),
            ),
            p,
        )  # fmt: skip
    if wits is not None and DISPATCH in its_roles:
        p = part("register")
        register = Register(bus, house.folder / "register.sqlite", p)
        add(register, p)
        if wits.channels is not None:
            for channel in wits.channels:
                metrics.add_channel(channel)
            p = part("dispatch")
            add(
                Dispatcher(
                    bus, wits.people, wits.messages, wits.channels, holder=me, texts=register.texts, part=p,
                    reporter=reporter, clock=clock, metrics=metrics, ops=wits.ops,
                ),
                p,
            )  # fmt: skip

    return turning


def spool_of(house: House, source: str) -> Spool:
    """Where a source of today is kept while the bus is away. A recording can be read again."""
    name = house.process.partition("@")[0].partition("-")[2]
    return Spool(path_of(house.folder, source, name), house.settings.bus.kafka.buffer, house.clock)
