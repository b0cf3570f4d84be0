"""A source ends partition by partition, and not each has something to say of an incident: no alert must wait for it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from rules_support import INCIDENT, START, finding, gap, lookback, rule, tick

from alerts.judge.worker import Judging
from alerts.wiring import make_app
from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import ManualClock
from listener.model.records import Finding, Tick, encode
from listener.settings.schema import Settings

PARTITIONS = 4
RULES = (rule("frequency", num_events=3, timeframe="5m"),)
POSTS = tuple(finding(at) for at in (1, 2, 3))
ENDS = tuple(tick(10, final=True, partition=number) for number in range(PARTITIONS))


@pytest.fixture
def bus(tmp_path: Path) -> Bus:
    return open_bus("embedded:", tmp_path, ManualClock(START), durable=False)


def judged(bus: Bus, folder: Path, *parts: Sequence[Finding | Tick]) -> list[tuple[str, int]]:
    """What is said of `parts`, with a worker of its own for each: event and count."""
    deployment = make_app(
        Settings.model_validate({"bus": {"partitions": PARTITIONS}}), folder, bus, ManualClock(START), "alerts"
    )
    for part in parts:
        bus.publish([Message("findings", _key(said), encode(said), 0) for said in part])
        worker = Judging(
            bus, RULES, clock=ManualClock(START), metrics=deployment.metrics, part=deployment.health.part("judge")
        )
        while worker.step(0.0):
            pass
        worker.close()
    alerts: list[dict[str, Any]] = []
    reader = bus.reader(["alerts"])
    while records := reader.poll(0.0):
        alerts += [json.loads(record.value or b"") for record in records]
    reader.close()
    bus.close()
    return [(alert["event"], alert["count"]) for alert in alerts]


def _key(said: Finding | Tick) -> str:
    return f"{INCIDENT.id}:{said.post_key}" if isinstance(said, Finding) else f"{said.source}:tick"


FIRED = [("fired", 3)]


@pytest.mark.parametrize("before", range(PARTITIONS))
def test_partitions_that_ended_before_the_first_finding_hold_up_nothing(bus: Bus, tmp_path: Path, before: int) -> None:
    assert judged(bus, tmp_path, [*ENDS[:before], *POSTS, *ENDS[before:]]) == FIRED


@pytest.mark.parametrize("order", list(permutations(range(3)))[::2])
def test_whoever_is_killed_in_between_knows_of_them_too(bus: Bus, tmp_path: Path, order: tuple[int, ...]) -> None:
    words = [*(ENDS[number] for number in order), *POSTS, ENDS[3]]
    assert judged(bus, tmp_path, *([word] for word in words)) == FIRED


def test_a_source_that_began_again_is_not_taken_for_one_that_ended(bus: Bus, tmp_path: Path) -> None:
    again = [tick(0.5, partition=number) for number in range(PARTITIONS)]
    early = [tick(-60, final=True, partition=number) for number in range(PARTITIONS)]
    assert judged(bus, tmp_path, [*early, *again, *POSTS, *again, *ENDS[:1]]) == []


def test_what_ended_before_the_first_post_was_said_is_of_another_time(bus: Bus, tmp_path: Path) -> None:
    early = [tick(0, final=True, partition=number) for number in range(3)]
    assert judged(bus, tmp_path, [*early, *POSTS, ENDS[3]]) == []


def test_what_was_said_before_the_incident_waits_for_a_tick_of_today(bus: Bus, tmp_path: Path) -> None:
    assert judged(bus, tmp_path, [*ENDS[:3], lookback(1), lookback(2), lookback(3), ENDS[3]]) == []


def test_it_is_said_while_no_source_is_heard_that_could_close_a_window(bus: Bus, tmp_path: Path) -> None:
    deployment = make_app(Settings(), tmp_path, bus, ManualClock(START), "alerts")
    worker = Judging(
        bus, RULES, clock=ManualClock(START), metrics=deployment.metrics, part=deployment.health.part("judge")
    )
    seen = []
    for said in (finding(1), tick(2), gap(3, None), gap(3, 9), tick(10), tick(11, final=True)):
        bus.publish([Message("findings", _key(said) if isinstance(said, Finding) else "x:tick", encode(said), 0)])
        while worker.step(0.0):
            pass
        seen.append(deployment.metrics.registry.get_sample_value("lyttepost_rules_unheard"))
    worker.close()
    bus.close()
    assert seen == [0, 0, 1, 0, 0, 0]
