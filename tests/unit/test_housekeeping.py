"""How often housekeeping asks the bus: every ten seconds, and each second where anything is wrong or behind."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from listener.bus.protocol import Commit, Message, TopicPartition
from listener.bus.sqlite.bus import EmbeddedBus
from listener.clock import ManualClock
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.housekeeping import GAUGES_SECONDS, Housekeeping
from listener.runtime.metrics import Metrics


class CountedBus(EmbeddedBus):
    """Counts how often it is asked for lag."""

    asked = 0

    def lag(self, group: str) -> Mapping[TopicPartition, int]:
        self.asked += 1
        return super().lag(group)


def test_it_asks_seldom_while_all_is_well_and_each_second_else(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2031, 1, 11, tzinfo=UTC))
    health, metrics = Health(clock), Metrics(CollectorRegistry(), "0")
    with closing(CountedBus("", tmp_path, clock, durable=False)) as bus:
        bus.ensure(topic_specs(1, {}))
        mine, other = health.part("keeping"), health.part("judge", None)
        keeping = Housekeeping(bus, [], ["judge"], clock=clock, metrics=metrics, part=mine, folder=tmp_path)

        def asked_in(seconds: int) -> int:
            before = bus.asked
            for _ in range(seconds):
                keeping.step(0.0)
                clock.advance(timedelta(seconds=1))
            return bus.asked - before

        asked_in(1)
        assert asked_in(20) == 20 / GAUGES_SECONDS
        other.problem("something")
        assert asked_in(5) == 5
        other.problem(None)
        assert asked_in(int(GAUGES_SECONDS)) == 1
        bus.publish([Message("findings", "a", b"{}")])
        bus.put_commits("judge", {TopicPartition("findings", 0): Commit(0)})
        asked_in(int(GAUGES_SECONDS))
        assert asked_in(5) == 5, "the oldest record has waited for longer than five seconds"
        assert metrics.registry.get_sample_value(
            "lyttepost_consumer_lag_records", {"group": "judge", "topic": "findings"}
        )
