"""A rule that is slow is told to ops and worked on in small batches: nobody restarts the judge for it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from rules_support import INCIDENT, START, finding, rule

from alerts.judge.worker import Judging
from alerts.wiring import make_app
from listener.bus.protocol import Bus, Message, TopicPartition, open_bus
from listener.clock import ManualClock
from listener.model.records import encode
from listener.runtime.health import TURNS_WITHIN
from listener.settings.schema import Settings

POSTS = 600
BEFORE_EACH_LOOK = 0.04
"""Seconds: a rule that takes as long over each post would keep a batch of 600 busy for longer than a part may be."""


class Slow(ManualClock):
    """Whoever looks at it has worked for a while."""

    pace = BEFORE_EACH_LOOK

    def monotonic(self) -> float:
        self._monotonic += self.pace
        return self._monotonic


def test_a_slow_rule_is_reported_and_slowed_and_nobody_kills_the_judge_for_it(tmp_path: Path) -> None:
    clock = Slow(START)
    bus = open_bus("embedded:", tmp_path, ManualClock(START), durable=False)
    deployment = make_app(Settings(), tmp_path, bus, clock, "alerts")
    part = deployment.health.part("judge")
    bus.publish([Message("findings", f"{INCIDENT.id}:x:{n}", encode(finding(n, f"p{n}")), 0) for n in range(POSTS)])
    judge = Judging(
        bus, (rule("frequency", num_events=3, timeframe="5m"),), clock=clock, metrics=deployment.metrics, part=part
    )
    commits: list[int] = []
    began = clock.monotonic()
    while judge.step(0.0):
        assert deployment.health.alive()[0]
        commits.append(_committed(bus))
        if len(commits) == 1:
            assert clock.monotonic() - began > TURNS_WITHIN, "the batch was no burden"
    assert commits[-1] == POSTS
    judge.close()
    assert _told(bus) == [("fired", "frequency")]


def test_batches_shrink_while_the_work_is_slow_and_grow_again(tmp_path: Path) -> None:
    clock = Slow(START)
    bus = open_bus("embedded:", tmp_path, ManualClock(START), durable=False)
    deployment = make_app(Settings(), tmp_path, bus, clock, "alerts")
    posts = [Message("findings", f"{INCIDENT.id}:x:{n}", encode(finding(n, f"p{n}")), 0) for n in range(4000)]
    bus.publish(posts)
    judge = Judging(
        bus, (rule("frequency", num_events=3, timeframe="5m"),), clock=clock, metrics=deployment.metrics,
        part=deployment.health.part("judge"),
    )  # fmt: skip
    commits = [0]
    while judge.step(0.0):
        commits.append(_committed(bus))
        if len(commits) == 12:
            clock.pace = 0.0
    sizes = [after - before for before, after in pairwise(commits)]
    assert sizes[0] == 1000
    assert max(sizes[1:11]) < 50
    assert sizes[12] > sizes[11]
    assert sum(sizes) == 4000
    judge.close()


def _committed(bus: Bus) -> int:
    commit = bus.commits("judge").get(TopicPartition("findings", 0))
    return 0 if commit is None else commit.offset


def _told(bus: Bus) -> list[tuple[str, str]]:
    reader = bus.reader(["alerts"])
    alerts = [json.loads(record.value or b"") for record in reader.poll(0.0)]
    reader.close()
    return [(alert["event"], alert["key"]) for alert in alerts if alert["rule"] == "lyttepost.rule_failed"]
