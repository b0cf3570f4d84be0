"""When a stage commits: with what its records caused at once, and what caused nothing together, once a second."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, Message, Record, TopicPartition, open_bus
from listener.clock import ManualClock
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.stage import HOLD_SECONDS, Stage

MENTIONS = TopicPartition("mentions", 0)
WAIT = 0.01


class Stand:
    """A stage that passes on what begins with `say`, and keeps the rest to itself."""

    def __init__(self, bus: Bus, clock: ManualClock) -> None:
        self.bus, self.clock = bus, clock
        metrics, part = Metrics(CollectorRegistry(), "0"), Health(clock).part("annotate")
        self.stage = Stage("annotate", bus, "mentions", self._handle, clock=clock, metrics=metrics, part=part)

    @staticmethod
    def _handle(record: Record) -> list[Message]:
        return [Message("findings", record.key, record.value)] if (record.value or b"").startswith(b"say") else []

    def write(self, *values: bytes) -> None:
        self.bus.publish([Message("mentions", f"x:{number}", value) for number, value in enumerate(values)])

    @property
    def committed(self) -> int:
        commit = self.bus.commits("annotate").get(MENTIONS)
        return 0 if commit is None else commit.offset

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    clock = ManualClock(datetime(2031, 1, 11, tzinfo=UTC))
    with closing(open_bus("embedded:", tmp_path, clock, durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        yield Stand(bus, clock)


def test_what_caused_nothing_is_committed_together_after_a_second(stand: Stand) -> None:
    for _ in range(3):
        stand.write(b"quiet")
        assert stand.stage.step(WAIT)
        assert not stand.stage.step(WAIT)
    assert stand.committed == 0
    stand.pass_time(HOLD_SECONDS)
    assert stand.stage.step(WAIT)
    assert stand.committed == 3
    assert not stand.stage.step(WAIT)


def test_what_caused_something_goes_at_once_with_all_before_it(stand: Stand) -> None:
    stand.write(b"quiet")
    stand.stage.step(WAIT)
    stand.write(b"say this")
    stand.stage.step(WAIT)
    assert stand.committed == 2
    assert [record.value for record in stand.bus.read(TopicPartition("findings", 0), 0, 9)] == [b"say this"]


def test_who_does_not_wait_for_records_leaves_nothing_uncommitted(stand: Stand) -> None:
    stand.write(b"quiet")
    while stand.stage.step(0.0):
        pass
    assert stand.committed == 1


def test_before_it_begins_again_it_commits_what_it_had_done(stand: Stand) -> None:
    stand.write(b"quiet", b"quiet")
    stand.stage.step(WAIT)
    stand.stage.begin_again()
    stand.stage.step(WAIT)
    assert stand.committed == 2
    stand.write(b"say that")
    stand.stage.step(WAIT)
    assert stand.committed == 3


def test_after_a_crash_what_was_not_committed_comes_again_and_causes_the_same(stand: Stand) -> None:
    stand.write(b"quiet")
    stand.stage.step(WAIT)
    again = Stand(stand.bus, stand.clock)
    stand.write(b"say it once")
    again.stage.step(0.0)
    assert again.committed == 2
    assert [record.value for record in stand.bus.read(TopicPartition("findings", 0), 0, 9)] == [b"say it once"]
