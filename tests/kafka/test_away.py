"""The bus goes away: the process says so within seconds, and is ready again by itself when it is back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from broker import Cluster, brokers
from prometheus_client import CollectorRegistry

from listener.bus.protocol import Bus, Commit, Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.errors import BusError
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.housekeeping import Housekeeping
from listener.runtime.metrics import Metrics
from listener.runtime.presence import PresenceReporter
from listener.runtime.service import Service
from listener.runtime.stage import Stage
from listener.settings.kafka import KafkaSettings


@pytest.fixture(scope="module")
def lone(apache_kafka: None) -> Iterator[Cluster]:
    """One broker, to be killed."""
    with brokers(1) as cluster:
        yield cluster


@pytest.fixture
def bus(lone: Cluster, tmp_path: Path) -> Iterator[Bus]:
    with closing(open_bus(f"{lone.url}?prefix=away", tmp_path, SystemClock())) as opened:
        opened.ensure(topic_specs(2, {}))
        yield opened


def until(happened: Callable[[], bool], seconds: float, what: Callable[[], object]) -> float:
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < seconds, what()
        time.sleep(0.05)
    return time.monotonic() - began


def test_readiness_and_metrics_follow_a_broker_that_is_killed_and_comes_back(
    lone: Cluster, bus: Bus, tmp_path: Path
) -> None:
    clock = SystemClock()
    metrics, health = Metrics(CollectorRegistry(), "1"), Health(clock)
    follow, keep, work = health.part("follow"), health.part("keeping"), health.part("stage")
    stage = Stage("stage", bus, "mentions", lambda record: (), clock=clock, metrics=metrics, part=work)
    reporter = PresenceReporter(bus, "a", ["listener"], clock=clock, metrics=metrics, part=follow)
    keeping = Housekeeping(bus, topic_specs(2, {}), ["stage"], clock=clock, metrics=metrics, part=keep, folder=tmp_path)
    service = Service([(stage, work), (reporter, follow), (keeping, keep)], clock)
    thread = threading.Thread(target=service.run)
    thread.start()

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"lyttepost_{name}", labels)

    def errors() -> float:
        found = (sample for family in metrics.producer_errors.collect() for sample in family.samples)
        return sum(sample.value for sample in found)

    try:
        until(lambda: health.ready()[0], 20, health.ready)
        bus.publish([Message("mentions", "x:1", b"{}")])
        until(lambda: value("stage_records_total", stage="stage") == 1, 10, health.ready)
        assert value("bus_up") == 1
        until(lambda: (value("bus_rebalances_total", group="stage") or 0) >= 1, 5, health.ready)
        lone.kill(1)
        until(lambda: not health.ready()[0], 20, health.ready)
        until(lambda: value("bus_up") == 0, 20, health.ready)
        until(lambda: "no answer" in (health.ready()[1]["keeping"] or ""), 20, health.ready)
        assert health.alive()[0]
        with pytest.raises(BusError):
            # Where it wrote before: of a new partition it would have to ask for the newest time first.
            bus.publish([Message("mentions", "x:1", b"{}")])
        until(lambda: errors() > 0, 5, health.ready)
        lone.start(1)
        until(lambda: health.ready()[0], 30, health.ready)
        assert value("bus_up") == 1
        bus.publish([Message("mentions", "x:2", b"{}")])
        until(lambda: value("stage_records_total", stage="stage") == 2, 20, health.ready)
        until(lambda: value("consumer_lag_records", group="stage", topic="mentions") == 0, 20, health.ready)
    finally:
        service.stop()
        thread.join(10)


@pytest.mark.long
def test_who_coordinates_a_group_is_found_anew_whichever_broker_dies(three_brokers: Cluster, tmp_path: Path) -> None:
    """kafka-python would go on asking the dead one; that it is not there is known to the cluster within seconds."""
    url, kafka = f"{three_brokers.url}?prefix=coordinator", KafkaSettings(replication=3)
    with closing(open_bus(url, tmp_path, SystemClock(), kafka=kafka)) as bus:
        bus.ensure(topic_specs(2, {}))
        committed = {TopicPartition("mentions", 0): Commit(0)}
        bus.put_commits("stage", committed)

        def answers() -> bool:
            try:
                return bus.commits("stage") == committed
            except BusError:
                return False

        for number in (1, 2, 3):
            until(answers, 30, lambda: "the group has committed")
            three_brokers.kill(number)
            until(answers, 45, lambda number=number: f"nobody coordinates the group without broker {number}")
            three_brokers.start(number)
