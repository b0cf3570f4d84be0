"""A broker for a bench, and writing to it and reading from it as fast as may be."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.model.topics import Retention, TopicSpec

VARIABLE = "LYTTEPOST_TEST_KAFKA"
IN_FLIGHT = 5_000
JVM = ("-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", "-Xshare:auto")


@contextmanager
def broker_with_pids(settings: Mapping[str, object] | None = None) -> Iterator[tuple[str, list[int]]]:
    """`host:port` of Apache Kafka and its processes: a running one that is named (none known of it), or one of our own
    with room to work, and with these `settings` over those that tests have."""
    if given := os.environ.get(VARIABLE, "").removeprefix("kafka://"):
        yield given, []
        return
    with a_cluster(settings) as cluster:
        yield cluster.bootstrap, cluster.pids()


@contextmanager
def a_cluster(settings: Mapping[str, object] | None = None) -> Iterator[Any]:
    """One broker of our own, with room to work: a `Cluster` of tests/kafka/broker.py."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "kafka"))
    from broker import brokers  # type: ignore[import-not-found]

    with brokers(1, settings, jvm=JVM) as cluster:
        yield cluster


@contextmanager
def a_broker() -> Iterator[str]:
    with broker_with_pids() as (servers, _):
        yield servers


def make_topics(servers: str, topics: Mapping[str, int]) -> None:
    """Name → partitions, as a bus of ours wants them; anybody may use them."""
    with closing(open_bus(f"kafka://{servers}", Path(), SystemClock())) as bus:
        bus.ensure(specs(topics))


def specs(topics: Mapping[str, int]) -> list[TopicSpec]:
    return [TopicSpec(name, "a bench's", "any", Retention.FOREVER, number) for name, number in topics.items()]


def fill(servers: str, topic: str, puts: Iterable[tuple[int, bytes, bytes]]) -> None:
    """Write (partition, key, value)."""
    with closing(
        KafkaProducer(bootstrap_servers=servers, batch_size=256 << 10, linger_ms=20, compression_type="lz4")
    ) as producer:
        waiting = []
        for partition, key, value in puts:
            waiting.append(producer.send(topic, value, key, partition=partition))
            if len(waiting) >= IN_FLIGHT:
                producer.flush()
                for future in waiting:
                    future.get(1)
                waiting = []
        producer.flush()
        for future in waiting:
            future.get(1)


def values(servers: str, topic: str) -> list[bytes]:
    """All that was committed there."""
    with closing(
        KafkaConsumer(
            bootstrap_servers=servers, isolation_level="read_committed", auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
    ) as consumer:  # fmt: skip
        tps = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(tps)
        ends = consumer.end_offsets(tps)
        found: list[bytes] = []
        while any(consumer.position(tp) < ends[tp] for tp in tps):
            for records in consumer.poll(500).values():
                found += [record.value for record in records if record.value is not None]
        return found
