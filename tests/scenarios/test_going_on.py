"""The judging stage goes on after a kill wherever it came: also while it reads again what it must remember."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from harness import START, read_all

from alerts.judging import Judging
from alerts.rules.load import load_rules
from alerts.wiring import make_house
from listener.bus import Bus, Consumer, Message, TopicPartition, open_bus
from listener.clock import ManualClock, SystemClock
from listener.config import packaged_config
from listener.control import Control
from listener.errors import BusError
from listener.mode import Action, Command
from listener.records import Cue, Finding, Kind, Tick, encode
from listener.settings import Settings

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
        self.house = make_house(Settings(), folder, self.bus, self.clock, "alerts")
        opened = Control(self.bus).append(
            Command(action=Action.OPEN, at=START, by="p", why="p", name="Øvelse", exercise=True)
        )
        self.messages = list(findings(opened.incidents[0]))

    def start(self, bus: Bus | None = None) -> Judging:
        return Judging(
            bus or self.bus, load_rules(packaged_config() / "rules"),
            clock=self.clock, metrics=self.house.metrics, part=self.house.health.part("judge"),
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


def test_a_record_that_cannot_be_read_is_told_once_however_often_it_is_met(tmp_path: Path, undisturbed: Stand) -> None:
    stand = Stand(tmp_path / "killed")
    stand.bus.publish(stand.messages)
    for _ in range(3):
        drain(stand.start())
    assert stand.letters() == undisturbed.letters()
    assert len(set(stand.letters())) == len(stand.letters()) == 5


class Failing:
    """A bus that is away for one question in the middle of the work."""

    def __init__(self, bus: Bus, failures: int) -> None:
        self._bus = bus
        self.failures = failures

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus, name)

    def reader(self, topics: Sequence[str], *, start: int = 0) -> Consumer:
        reader = self._bus.reader(topics, start=start)
        if topics != ["control"]:
            return reader
        poll = reader.poll

        def failing(timeout: float, limit: int = 1000) -> object:
            if self.failures and self.armed:
                self.failures -= 1
                raise BusError("away for a moment")
            return poll(timeout, limit)

        reader.poll = failing  # type: ignore[method-assign,assignment]
        return reader

    armed = False


def test_a_bus_that_is_away_in_the_middle_of_a_batch_loses_no_finding(tmp_path: Path, undisturbed: Stand) -> None:
    stand = Stand(tmp_path / "away")
    stand.bus.publish(stand.messages)
    failing = Failing(stand.bus, failures=1)
    judging = stand.start(failing)  # type: ignore[arg-type]
    # The question that fails is the engine's, after the step's own.
    judging._control.refresh()
    original = judging._engine

    def away(incident: str) -> object:
        failing.armed = True
        try:
            return original(incident)
        finally:
            failing.armed = False

    judging._engine = away  # type: ignore[method-assign,assignment]
    with pytest.raises(BusError):
        judging.step(0.0)
    drain(judging)
    assert stand.said() == undisturbed.said()
    assert stand.letters() == undisturbed.letters()


def test_an_incident_that_closed_long_ago_is_judged_to_its_end(tmp_path: Path, undisturbed: Stand) -> None:
    stand = Stand(tmp_path / "late")
    early = ManualClock(START)
    bus = open_bus("embedded:", tmp_path / "late", early, durable=False)
    # Everything was heard within a minute, the incident closed, and only hours later somebody judges it.
    tp = TopicPartition("findings", 0)
    bus.publish(stand.messages)
    Control(bus).append(Command(action=Action.CLOSE, at=START + timedelta(minutes=1), by="p", why="p"))
    assert bus.end_offset(tp) == len(stand.messages)
    drain(stand.start())
    assert stand.said() == undisturbed.said()
