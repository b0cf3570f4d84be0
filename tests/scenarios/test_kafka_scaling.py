"""However many workers share a recording, and whoever of them dies at whatever point, the alerts are the same.

One recording is captured once, with its ticks, a poison record among it; its mentions are then played into several
deployments on one broker, four partitions each: one annotator; four; four that are joined in the middle of the work,
one of which is killed at each named point and started again, and so is the rules worker; and one that is frozen for
longer than a group waits, and comes back as a zombie. The shipped rules judge it.
"""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from harness import TRACK, Deployment, Recording, Running, read_all, until
from spread import PARTITIONS, Spread, ended, ready, said, twice
from topics import drop_topics

from alerts.app import ListenerParts
from alerts.pipeline import flow
from alerts.wiring import make_app, make_listener
from listener.bus.protocol import Message, Record, open_bus
from listener.clock import SystemClock
from listener.model.incidents import Action, Command
from listener.model.roles import LISTENER
from listener.runtime.control import Control
from listener.settings.files import raw_settings
from listener.settings.schema import Settings
from listener.sources.common.recorded_source import RecordedSource
from listener.sources.recording.parser import posts_in

POINTS = ("stage.before_publish", "bus.before_commit", "bus.after_commit", "stage.after_publish")
"""Where a worker of a stage can die."""
POISON = Message("mentions", "recording:poison", b"no record", 2)
SESSION = 6.0
"""Seconds after which a group goes on without a member that is silent."""


@pytest.fixture(scope="module")
def captured(tmp_path_factory: pytest.TempPathFactory, recording: Recording) -> list[Record]:
    """`control` and `mentions` of one incident that heard the recording, in the order of each partition."""
    folder, clock = tmp_path_factory.mktemp("captured"), SystemClock()
    bus = open_bus("embedded:", folder, clock, durable=False)
    settings = Settings.model_validate({"bus": {"partitions": PARTITIONS}})
    app = make_app(settings, folder, bus, clock, LISTENER)
    Control(bus).append(
        Command(action=Action.OPEN, at=clock.now(), by="p", why="p", name="Øvelse", add=(TRACK,), exercise=True)
    )
    source = RecordedSource("recording", posts_in, str(recording.path), None, clock)
    made = make_listener(app, raw_settings(), [source], b"k" * 32)
    turning = flow(app, (LISTENER,), ListenerParts([source], made.screen, made.standing), None)
    quiet = 0
    while quiet < 3:
        quiet = 0 if any(worker.step(0.0) for worker, _ in turning) else quiet + 1
    records = [*read_all(bus, "control"), *read_all(bus, "mentions")]
    for worker, _ in turning:
        worker.close()
    bus.close()
    return records


class Played(Spread):
    """A deployment whose mentions are written by the test, piece by piece."""

    def __init__(self, url: str, name: str, home: Path, deploy: Callable[..., Deployment], records: Sequence[Record]):
        (home / name).mkdir()
        prefix = f"scaling-{name}-{uuid.uuid4().hex[:6]}"
        super().__init__(home / name, f"{url}?prefix={prefix}", lambda **more: deploy(name, **more), shipped=True)
        self.bus.publish([message(r) for r in records if r.topic == "control"])
        # All partitions side by side, each in its order.
        self.left = [message(r) for r in sorted(records, key=lambda r: r.offset) if r.topic == "mentions"]
        self.left.insert(len(self.left) // 3, POISON)

    def write(self, share: float = 1.0) -> None:
        """The next of what is left: so much of it."""
        count = round(len(self.left) * share)
        self.bus.publish(self.left[:count])
        del self.left[:count]

    def alerts(self) -> list[dict[str, Any]]:
        return self.values("alerts", "alert")

    def findings(self) -> Counter[str]:
        found = self.values("findings", "finding")
        return Counter(f"{f['incident']}:{f['source']}:{f['id']}" for f in found)

    def check_once(self) -> None:
        assert set(self.findings().values()) == {1}
        assert twice((a["id"], a["event"], a.get("settled")) for a in self.alerts()) == 0
        letters = [json.loads(record.value or b"") for record in self.records("deadletters")]
        assert [(letter["stage"], letter["length"]) for letter in letters] == [("annotate", len(POISON.value or b""))]


def message(record: Record) -> Message:
    return Message(record.topic, record.key, record.value, record.partition)


@pytest.fixture
def played(
    kafka_url: str, tmp_path: Path, deploy: Callable[..., Deployment], captured: list[Record]
) -> Iterator[Callable[[str], Played]]:
    """Make a deployment that hears what was captured; its topics go with the test."""
    made: list[Played] = []

    def make(name: str) -> Played:
        made.append(Played(kafka_url, name, tmp_path, deploy, captured))
        return made[-1]

    yield make
    for each in made:
        each.close()
        drop_topics(each.url)


@dataclass(frozen=True)
class Expected:
    """What one annotator and one rules worker make of it, and nobody disturbs them."""

    alerts: Counter[str]
    findings: Counter[str]


@pytest.fixture(scope="module")
def by_one(kafka_url: str, tmp_path_factory: pytest.TempPathFactory, captured: list[Record]) -> Expected:
    home, made = tmp_path_factory.mktemp("by-one"), list[Deployment]()

    def deploy(name: str, **more: Any) -> Deployment:
        made.append(Deployment(home / f"{name}-processes", **more))
        return made[-1]

    one = Played(kafka_url, "one", home, deploy, captured)
    try:
        whole(one, 1)
        return Expected(said(one.alerts()), one.findings())
    finally:
        for running in made[0].running:
            running.kill()
        one.close()
        drop_topics(one.url)


def annotators(spread: Played, count: int) -> list[Running]:
    return [spread.start("annotate", str(number)) for number in range(1, count + 1)]


def whole(spread: Played, count: int) -> None:
    """Undisturbed, to the end."""
    workers = [*annotators(spread, count), spread.start("judge")]
    spread.write()
    ready(workers)
    spread.wait_until_judged()
    spread.check_once()
    for worker in workers:
        worker.kill()


@pytest.mark.long
def test_the_alerts_are_the_same_however_many_annotate_and_whoever_is_killed(
    by_one: Expected, played: Callable[[str], Played]
) -> None:
    four, killed = played("four"), played("killed")
    whole(four, 4)

    workers = [killed.start("annotate", "1")]
    killed.write(0.2)
    workers += [*(killed.start("annotate", str(number)) for number in (2, 3, 4)), killed.start("judge")]
    ready(workers)
    killed.wait_until_judged()
    for point in POINTS:
        workers[0].kill()
        workers[-1].kill()
        env = {"LYTTEPOST_CRASH": point}
        workers[0], workers[-1] = killed.start("annotate", "1", env=env), killed.start("judge", env=env)
        # Piece by piece: which partitions they get, and when, is the group's affair.
        until(
            lambda: killed.write(0.03) or (ended(workers[0]) and ended(workers[-1])), 120, f"both die at {point}", 0.3
        )
        assert [worker.process.returncode for worker in workers[::4]] == [-signal.SIGKILL] * 2
    killed.write()
    ready([killed.start("annotate", "1"), killed.start("judge")])
    killed.wait_until_judged()
    killed.check_once()
    assert by_one.alerts.total() > 20
    assert said(four.alerts()) == by_one.alerts
    assert said(killed.alerts()) == by_one.alerts
    assert by_one.findings == four.findings() == killed.findings()


@pytest.mark.long
def test_who_is_frozen_at_work_and_thawed_after_its_place_is_taken_writes_nothing_twice(
    by_one: Expected, played: Callable[[str], Played]
) -> None:
    frozen = played("thawed")
    workers = [*annotators(frozen, 2), frozen.start("judge", "1"), frozen.start("judge", "2")]
    ready(workers)
    # Each judge: which of them has the incident is not ours to know.
    for worker in (workers[0], *workers[2:]):
        frozen.write(0.4)
        until(lambda: frozen.lag() > 0, 5, "there is work", every=0.0)
        freeze(worker)
        frozen.wait_until_judged()
        thaw(worker)
    frozen.write()
    frozen.wait_until_judged()
    frozen.check_once()
    assert all(worker.process.poll() is None for worker in workers)
    assert said(frozen.alerts()) == by_one.alerts
    assert frozen.findings() == by_one.findings


def freeze(worker: Running) -> None:
    os.kill(worker.process.pid, signal.SIGSTOP)
    time.sleep(SESSION + 1)


def thaw(worker: Running) -> None:
    os.kill(worker.process.pid, signal.SIGCONT)
