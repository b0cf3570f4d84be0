"""The judging stage goes on after a kill wherever it came: also while it reads again what it must remember."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from harness import START, read_all

from alerts.judge.worker import Judging
from alerts.rules.load import load_rules
from alerts.wiring import make_app
from listener.bus.protocol import Message, Record, open_bus
from listener.clock import ManualClock, SystemClock
from listener.errors import BusError
from listener.model.incidents import Action, Command
from listener.model.records import Cue, Finding, Kind, Tick, encode
from listener.runtime.control import Control
from listener.runtime.stage import AHEAD, Stage
from listener.settings.files import packaged_config
from listener.settings.schema import Settings

POSTS = 3500
KINDS = (Kind.WISH, Kind.QUESTION, Kind.RUMOUR, Kind.EYEWITNESS, Kind.VIEWPOINT)


def findings(incident: str) -> Iterator[Message]:
    """So many that a restart reads several batches again; among them records that cannot be read."""
    for number in range(POSTS):
        at = START + timedelta(seconds=number / 2)
        finding = Finding(
            source="recording", id=str(number), at=at, captured_at=at, text="x", incident=incident, exercise=True,
            author=f"a{number % 200}", story=f"s{number % 40}", cues=(Cue(kind=KINDS[number // 100 % 5]),),
        )  # fmt: skip
        yield Message("findings", finding.key, encode(finding))
        if number % 100 == 99:
            yield Message("findings", "recording:tick", encode(Tick(source="recording", until=at, partition=0)))
        if number % 700 == 650:
            yield Message("findings", "poison", b"no record")


class Stand:
    """One bus, one judging worker at a time."""

    def __init__(self, folder: Path) -> None:
        self.clock = SystemClock()
        self.bus = open_bus("embedded:", folder, self.clock, durable=False)
        self.app = make_app(Settings(), folder, self.bus, self.clock, "alerts")
        opened = Control(self.bus).append(
            Command(action=Action.OPEN, at=START, by="p", why="p", name="Øvelse", exercise=True)
        )
        self.messages = list(findings(opened.incidents[0]))

    def start(self) -> Judging:
        return Judging(
            self.bus, load_rules(packaged_config() / "rules"),
            clock=self.clock, metrics=self.app.metrics, part=self.app.health.part("judge"),
        )  # fmt: skip

    def said(self) -> list[str]:
        return [(record.value or b"").decode() for record in read_all(self.bus, "alerts")]

    def letters(self) -> list[str]:
        return [json.loads(record.value or b"")["where"] for record in read_all(self.bus, "deadletters")]


def drain(judging: Judging) -> None:
    while judging.step(0.0):
        pass


@pytest.fixture
def undisturbed(tmp_path: Path) -> Stand:
    stand = Stand(tmp_path / "undisturbed")
    stand.bus.publish(stand.messages)
    drain(stand.start())
    return stand


def test_a_kill_in_the_middle_of_remembering_changes_no_alert(tmp_path: Path, undisturbed: Stand) -> None:
    stand = Stand(tmp_path / "killed")
    for part in (stand.messages[:3000], stand.messages[3000:]):
        stand.bus.publish(part)
        for steps in (1, 2, 1, 3):
            killed = stand.start()
            for _ in range(steps):
                killed.step(0.0)
    drain(stand.start())
    assert len(stand.said()) > 20
    assert stand.said() == undisturbed.said()


def test_a_record_that_cannot_be_read_is_reported_once_however_often_it_is_met(
    tmp_path: Path, undisturbed: Stand
) -> None:
    stand = Stand(tmp_path / "killed")
    stand.bus.publish(stand.messages)
    for _ in range(3):
        drain(stand.start())
    assert stand.letters() == undisturbed.letters()
    assert len(set(stand.letters())) == len(stand.letters()) == 5


def test_a_bus_that_is_away_in_the_middle_of_a_batch_loses_no_record(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "away")
    stand.bus.publish([Message("mentions", str(number), b"x") for number in range(30)])
    away = [BusError("away for a moment"), BusError("and again")]

    def handle(record: Record) -> list[Message]:
        if record.offset == 17 and away:
            raise away.pop()
        return [Message("findings", record.key, record.value)]

    part, metrics = stand.app.health.part("stage"), stand.app.metrics
    stage = Stage("stage", stand.bus, "mentions", handle, clock=stand.clock, metrics=metrics, part=part, batch=10)
    stage.step(0.0)
    for _ in range(2):
        with pytest.raises(BusError):
            stage.step(0.0)
    while stage.step(0.0):
        pass
    assert [record.key for record in read_all(stand.bus, "findings")] == [str(number) for number in range(30)]
    assert stand.letters() == []


def test_a_look_ahead_that_fails_stops_no_record(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "look")
    stand.bus.publish([Message("mentions", str(number), b"x") for number in range(AHEAD + 5)])
    seen: list[list[int]] = []

    def look(records: Sequence[Record]) -> None:
        seen.append([record.offset for record in records])
        raise ValueError("one of them is odd")

    def handle(record: Record) -> list[Message]:
        assert record.offset in seen[-1], "worked on before it was looked at"
        return [Message("findings", record.key, record.value)]

    part, metrics = stand.app.health.part("stage"), stand.app.metrics
    stage = Stage("stage", stand.bus, "mentions", handle, clock=stand.clock, metrics=metrics, part=part, look=look)
    stage.step(0.0)
    assert list(map(len, seen)) == [AHEAD, 5]
    assert [record.key for record in read_all(stand.bus, "findings")] == [str(n) for n in range(AHEAD + 5)]
    assert stand.letters() == []


def test_an_incident_that_closed_long_ago_is_judged_to_its_end(tmp_path: Path, undisturbed: Stand) -> None:
    stand = Stand(tmp_path / "late")
    then = stand.clock.now() - timedelta(hours=2)
    bus = open_bus("embedded:", tmp_path / "late", ManualClock(then), durable=False)
    # Everything was heard at once, the incident closed, and only hours later somebody judges it.
    bus.publish(stand.messages)
    Control(bus).append(Command(action=Action.CLOSE, at=then + timedelta(minutes=1), by="p", why="p"))
    bus.close()
    drain(stand.start())
    assert stand.said() == undisturbed.said()


INCIDENTS = 36
"""Some more than fit, which about 28 do; what is read again grows with their square."""


@pytest.mark.long
def test_more_incidents_than_fit_beside_an_offset_do_not_stop_the_judging(tmp_path: Path) -> None:
    stand = Stand(tmp_path / "many")
    control = Control(stand.bus)
    for number in range(INCIDENTS):
        name = f"En hendelse med et langt navn, nummer {number}"
        command = Command(action=Action.OPEN, at=START, by="p", why="p", name=name, exercise=True)
        (incident,) = control.append(command).incidents
        stand.bus.publish(list(islice(findings(incident), 205)))
        drain(stand.start())
    alerts = (alert for alert in map(json.loads, stand.said()) if alert.get("settled") is not False)
    fired = [alert for alert in alerts if alert["event"] == "fired"]
    assert len({alert["incident"] for alert in fired}) == INCIDENTS
    assert len({alert["id"] for alert in fired}) == len(fired)
