"""The calm stage on a real bus: one alert for a burst, none of what is old, in crisis, or told before a restart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from burst_series import town

from alerts.rules.load import load_rules
from alerts.volumes.alert import command
from alerts.volumes.worker import Calm
from alerts.wiring import make_app
from listener.bus.protocol import Message, open_bus
from listener.clock import ManualClock
from listener.model.incidents import Action, Command
from listener.model.records import ALERTS, Alert, Event, Volume, decode, encode
from listener.model.tracks import total_of
from listener.runtime.control import Control
from listener.settings.files import packaged_config
from listener.settings.schema import Settings

START = datetime(2031, 1, 13, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BURST = START + timedelta(days=3, hours=12)
TRACK = "nordvik sykehus"
DAYS = 5.0


@cache
def whole_town() -> list[tuple[datetime, int]]:
    return list(town(1.0, DAYS, interval=MINUTE, start=START))


class VolumesDeployment:
    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(START)
        self.bus = open_bus("embedded:", folder, self.clock, durable=False)
        self.parts = make_app(Settings(), folder, self.bus, self.clock, "alerts")
        self.rules = load_rules(packaged_config() / "rules" / "burst.yaml")
        self.standing: list[str] = []

    def calm(self) -> Calm:
        return Calm(
            self.bus, self.rules, standing=self.standing, clock=self.clock, metrics=self.parts.metrics,
            part=self.parts.health.part("calm"),
        )  # fmt: skip

    def count(self, start: datetime, minutes: int, *, track: str = TRACK, loud: datetime | None = BURST) -> None:
        """Minutes as X counts them, each published five minutes after it began."""
        began = round((start - START) / MINUTE)
        counts = whole_town()[began : began + minutes]
        assert len(counts) == minutes, "more days than the town has"
        for first in range(0, len(counts), 60):
            messages = []
            for at, count in counts[first : first + 60]:
                n = count + 40 if loud is not None and loud <= at < loud + timedelta(minutes=40) else count
                messages.append(
                    Message("volumes", f"x:{track}", encode(Volume(source="x", track=track, minute=at, count=n)))
                )
                self.clock.advance(at + 5 * MINUTE - self.clock.now())
            self.bus.publish(messages)

    def mode(self, action: Action, at: datetime) -> None:
        Control(self.bus).append(Command(action=action, at=at, by="kari", why="prøve", name="Brann, Nordvik"))

    def said(self) -> list[Alert]:
        reader = self.bus.reader(["alerts"])
        records = []
        while got := reader.poll(0.0):
            records += got
        reader.close()
        return [decode(ALERTS, record.value or b"") for record in records]


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[VolumesDeployment]:
    made = VolumesDeployment(tmp_path)
    yield made
    made.bus.close()


def drain(calm: Calm) -> None:
    while calm.step(0.0):
        pass


def fired(deployment: VolumesDeployment) -> list[Alert]:
    return [
        alert for alert in deployment.said() if alert.event is Event.FIRED and alert.at >= START + timedelta(days=2)
    ]


def run(deployment: VolumesDeployment, minutes: int = 4 * 1440) -> None:
    calm = deployment.calm()
    for first in range(0, minutes, 60):
        deployment.count(START + first * MINUTE, min(60, minutes - first))
        drain(calm)
    calm.close()


def test_a_burst_in_calm_is_one_alert_that_proposes_crisis_mode(deployment: VolumesDeployment) -> None:
    run(deployment)
    (alert,) = fired(deployment)
    assert BURST <= alert.at <= BURST + 2 * MINUTE
    assert (alert.incident, alert.rule_type, alert.to, alert.key) == ("calm", "burst", "crisis_team", f"x:{TRACK}")
    assert alert.command["nb"] == f"lyttepost mode crisis --name NAVN --track '{TRACK}' --why GRUNN"
    assert alert.command["en"] == f"lyttepost mode crisis --name NAME --track '{TRACK}' --why REASON"
    assert alert.baseline is not None
    assert alert.count > alert.baseline
    assert abs(alert.first_seen - BURST) <= 5 * MINUTE


def test_a_restart_anywhere_says_the_same_once(deployment: VolumesDeployment, tmp_path: Path) -> None:
    run(deployment)
    whole = deployment.said()
    other = VolumesDeployment(tmp_path / "other")
    for first in range(0, 4 * 1440, 60):
        other.count(START + first * MINUTE, 60)
        if first % 720 == 0 or abs(START + first * MINUTE - BURST) < timedelta(hours=3):
            calm = other.calm()
            drain(calm)
            calm.close()
    calm = other.calm()
    drain(calm)
    calm.close()
    told = other.said()
    other.bus.close()
    assert told == whole


def test_in_crisis_nothing_is_proposed(deployment: VolumesDeployment) -> None:
    deployment.mode(Action.OPEN, BURST - timedelta(minutes=30))
    run(deployment)
    assert fired(deployment) == []


def test_a_past_that_is_asked_for_wakes_nobody(deployment: VolumesDeployment) -> None:
    deployment.count(START, 4 * 1440)
    deployment.clock.advance(timedelta(hours=12))
    calm = deployment.calm()
    drain(calm)
    calm.close()
    assert deployment.said() == []


@pytest.mark.parametrize(
    ("track", "option"),
    [
        ("nordvik brann*", " --track 'nordvik brann*'"),
        ("#nordvik", " --track '#nordvik'"),
        ("@nordviksykehus", " --account @nordviksykehus"),
        ("place:nordvik", " --place nordvik"),
        (total_of(["nordvik", "#nordvik"]), ""),
    ],
)
def test_the_command_can_be_typed_as_it_stands(track: str, option: str) -> None:
    assert command(track, "en") == f"lyttepost mode crisis --name NAME{option} --why REASON"
