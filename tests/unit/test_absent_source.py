"""A source that nobody listens to any more holds no window of the others: who still listens writes its gap down."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from alerts.rules.engine.watermark import Watermark
from listener.bus.messages import to_every_partition
from listener.bus.protocol import Lease, open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock
from listener.ingest.absent import CALM_SECONDS, LOOK_SECONDS, PATIENCE, Absent
from listener.ingest.gaps import ledger, to_ledger
from listener.ingest.ingestor import ITSELF
from listener.ingest.resume import cursor
from listener.ingest.worker import LEASE_SECONDS
from listener.model.gaps import Cause, open_gap
from listener.model.incidents import Action, Command
from listener.model.records import MENTIONS, Gap, Tick
from listener.model.topics import topic_specs
from listener.runtime.control import Control
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter

START = datetime(2031, 1, 13, tzinfo=UTC)
SOME = timedelta(seconds=LOOK_SECONDS)


class Deployment:
    """A process that listens to `x`, and what others have said on its bus."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.bus = open_bus("embedded:", folder, self.clock, durable=False)
        self.bus.ensure(topic_specs(2, {}))
        metrics, health = Metrics(CollectorRegistry(), "0"), Health(self.clock)
        self.reporter = PresenceReporter(
            self.bus, "one", ["listener"], clock=self.clock, metrics=metrics, part=health.part("follow")
        )
        self.absent = self.worker()
        self.switch(Action.OPEN)

    def worker(self) -> Absent:
        part = Health(self.clock).part("absent")
        return Absent(
            self.bus,
            ["x"],
            lambda source: self.lease(source, "one"),
            reporter=self.reporter,
            clock=self.clock,
            part=part,
        )

    def lease(self, source: str, holder: str) -> Lease:
        return self.bus.lease(f"source:{source}", holder, LEASE_SECONDS)

    def switch(self, action: Action) -> None:
        more = {"add": ("granvik",)} if action is Action.OPEN else {}
        command = Command(action=action, at=self.clock.now(), by="vakt", why="prøve", name="Brann", **more)
        Control(self.bus).append(command)
        self.reporter.step(0.0)

    def says(self, source: str, *, final: bool = False, served: Set[str] = ITSELF) -> datetime:
        tick = Tick(source=source, until=self.clock.now(), cursor=cursor("1", served), final=final)
        self.bus.publish(to_every_partition(MENTIONS, tick, 2))
        return tick.until

    def goes_by(self, seconds: float, *also: str) -> None:
        """Meanwhile `x` is heard, and so are others."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            self.clock.advance(SOME)
            for source in ("x", *also):
                self.says(source)
            self.absent.step(0.0)

    def gaps(self) -> list[Gap]:
        return ledger(self.bus)

    def heard(self) -> datetime | None:
        """Up to when everything is heard, as the rules have it."""
        mark = Watermark(timedelta())
        for found in scan(self.bus, MENTIONS):
            if isinstance(found, Tick):
                mark.tick(found)
            elif isinstance(found, Gap):
                mark.gap(found)
        return mark.value


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.absent.close()
    made.reporter.close()
    made.bus.close()


def test_a_source_that_was_switched_off_holds_no_window_for_long(deployment: Deployment) -> None:
    last = deployment.says("bluesky")
    deployment.absent.step(0.0)
    deployment.goes_by(PATIENCE - LOOK_SECONDS)
    assert (deployment.gaps(), deployment.heard()) == ([], last), "it may be started anew"
    deployment.goes_by(3 * PATIENCE)
    (gap,) = deployment.gaps()
    assert (gap.source, gap.start, gap.end, gap.cause) == ("bluesky", last, None, Cause.PROCESS_DOWN)
    assert deployment.heard() == deployment.clock.now()


def test_of_one_that_missed_a_part_alone_it_is_said_when_nobody_listens_to_it_any_more(deployment: Deployment) -> None:
    last = deployment.says("feeds")
    deployment.bus.publish([to_ledger(open_gap("feeds", last, Cause.UNREACHABLE, "Fjellbyposten"))])
    deployment.goes_by(3 * PATIENCE)
    assert [(gap.part, gap.cause) for gap in deployment.gaps() if gap.part is None] == [(None, Cause.PROCESS_DOWN)]


def test_a_process_that_is_started_later_knows_it_too(deployment: Deployment) -> None:
    last = deployment.says("bluesky")
    deployment.absent.close()
    deployment.clock.advance(timedelta(hours=1))
    deployment.absent = deployment.worker()
    deployment.goes_by(PATIENCE + 2 * LOOK_SECONDS)
    assert [gap.start for gap in deployment.gaps()] == [last]


def test_one_that_is_heard_has_a_gap_or_a_listener_or_has_ended_is_left_alone(deployment: Deployment) -> None:
    deployment.says("recording", served={"brann"})
    deployment.says("ended", final=True)
    deployment.says("busy")
    assert deployment.bus.lease("source:busy", "two", 3600.0).renew()
    deployment.goes_by(3 * PATIENCE, "bluesky")
    assert deployment.gaps() == []


def test_a_listener_that_comes_back_knows_that_what_it_knew_is_out_of_date(deployment: Deployment) -> None:
    theirs = deployment.lease("bluesky", "two")
    assert theirs.renew()
    deployment.says("bluesky")
    deployment.goes_by(2 * PATIENCE)
    assert [gap.end for gap in deployment.gaps()] == [None]
    assert [theirs.renew(), theirs.renew()] == [False, True]


def test_it_dies_once_more_and_is_told_once_more(deployment: Deployment) -> None:
    deployment.says("bluesky")
    deployment.goes_by(2 * PATIENCE)
    (gap,) = deployment.gaps()
    over = gap.model_copy(update={"end": deployment.clock.now()})
    deployment.bus.publish([to_ledger(over), *to_every_partition(MENTIONS, over, 2)])
    last = deployment.says("bluesky")
    deployment.goes_by(2 * PATIENCE)
    assert [(gap.start, gap.end) for gap in deployment.gaps()] == [(over.start, over.end), (last, None)]
    assert deployment.heard() == deployment.clock.now()


def test_when_nobody_waits_for_it_any_more_its_gap_ends(deployment: Deployment) -> None:
    deployment.says("bluesky")
    deployment.goes_by(2 * PATIENCE)
    deployment.switch(Action.CLOSE)
    deployment.goes_by(PATIENCE)
    assert [gap.end for gap in deployment.gaps()] == [None]
    deployment.goes_by(2 * CALM_SECONDS)
    (gap,) = deployment.gaps()
    assert gap.end is not None
    assert gap.refilled_until is None
