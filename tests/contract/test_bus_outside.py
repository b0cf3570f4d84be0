"""What a bus tells from outside its workers: groups, where they stand, how far behind they are, what went wrong."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bus_support import PARTITIONS, SetClock, Site, drain, mentions

from listener.bus.protocol import Bus, Commit, Message, TopicPartition
from listener.errors import BusError
from listener.runtime.lag import Lag, lags

FIRST = TopicPartition("mentions", 0)


def work(bus: Bus, count: int, metadata: str = "") -> None:
    """A group takes in so many records, says so and leaves."""
    consumer = bus.consumer(["mentions"], group="stage", member="stage")
    records = drain(consumer, count)
    ends = {record.tp: record.offset + 1 for record in records}
    with bus.transaction("stage") as transaction:
        transaction.commit(consumer, {tp: Commit(end, metadata) for tp, end in ends.items()})
    consumer.close()


def test_a_group_and_what_it_committed_are_seen_from_outside(bus: Bus) -> None:
    assert bus.groups() == []
    assert bus.commits("stage") == {}
    bus.publish(mentions(40))
    work(bus, 40, "beside")
    assert bus.groups() == ["stage"]
    commits = bus.commits("stage")
    assert {tp.partition for tp in commits} == set(range(PARTITIONS))
    assert {commit.metadata for commit in commits.values()} == {"beside"}


def test_a_group_is_put_where_it_is_to_go_on_with_its_words(bus: Bus) -> None:
    offsets = bus.publish([Message("mentions", "x:1", b"{}", 0) for _ in range(10)])
    bus.put_commits("stage", {FIRST: Commit(offsets[7], '{"n":3}')})
    consumer = bus.consumer(["mentions"], group="stage", member="stage")
    assert [record.offset for record in drain(consumer, 3)] == offsets[7:]
    assert consumer.committed(FIRST) == Commit(offsets[7], '{"n":3}')
    with pytest.raises(BusError, match="at work"):
        bus.put_commits("stage", {FIRST: Commit(0)})
    consumer.close()


def test_lag_is_the_records_of_all_partitions_and_the_age_of_the_oldest(site: Site) -> None:
    clock = SetClock()
    bus = site.open(clock)
    bus.publish(mentions(40))
    work(bus, 40)
    (none,) = lags(bus, ["stage"], clock.now())
    assert none == Lag("stage", "mentions", 0, 0.0)
    bus.publish([Message("mentions", "x:late", b"{}", 2)])
    clock.time += timedelta(seconds=30)
    bus.publish(mentions(9))
    clock.time += timedelta(seconds=12)
    (lag,) = lags(bus, ["stage"], clock.now())
    assert lag == Lag("stage", "mentions", 10, 42.0)
    assert lags(bus, ["nobody"], clock.now()) == []
    bus.close()


def test_rebalances_are_counted(bus: Bus) -> None:
    bus.publish(mentions(8))
    first = bus.consumer(["mentions"], group="stage", member="first")
    drain(first, 8)
    before = bus.counts.rebalances["stage"]
    assert before >= 1
    second = bus.consumer(["mentions"], group="stage", member="second")
    for _ in range(60):
        first.poll(0.1)
        second.poll(0.1)
        if second.assignment and len(first.assignment) < PARTITIONS:
            break
    assert bus.counts.rebalances["stage"] > before
    first.close()
    second.close()


def test_a_reader_comes_to_the_end_though_the_last_records_are_purged(site: Site) -> None:
    clock = SetClock()
    bus = site.open(clock)
    bus.publish([Message("mentions", "x:1", b"{}", 0) for _ in range(5)])
    reader = bus.reader(["mentions"])
    clock.time += timedelta(days=31)
    bus.retain(clock.now())
    assert reader.poll(0.0) == []
    assert reader.position(FIRST) == bus.end_offset(FIRST)
    bus.publish([Message("mentions", "x:2", b"{}", 0)])
    assert [record.key for record in drain(reader, 1)] == ["x:2"]
    reader.close()
    bus.close()
