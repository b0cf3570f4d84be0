"""Transactions in one step: what is written is there once and in full, or not at all, whatever becomes of an answer."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from broker import Cluster, brokers
from kafka import TopicPartition as KafkaPartition
from kafka.admin import KafkaAdminClient
from kafka.protocol.producer import ProduceResponse
from kafka.structs import ConsumerGroupMetadata
from lossy import END_TXN, INIT_PRODUCER_ID, PRODUCE, TXN_OFFSET_COMMIT, LossyWay, a_lossy_broker

from listener.bus.kafka.batches import BATCH_BYTES, Put
from listener.bus.kafka.bus import KafkaBus
from listener.bus.kafka.members import Member
from listener.bus.kafka.transactions import GroupCommit, TransactionalProducer
from listener.bus.kafka.writer import DELIVERY_SECONDS, SteppedProducer, Taken, Unsure, Writer
from listener.bus.protocol import Commit, Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.errors import BusError
from listener.model.topics import topic_specs
from listener.settings.kafka import KafkaSettings

PARTITIONS = 2
PLACES = [TopicPartition("findings", number) for number in range(PARTITIONS)]
DUPLICATE_SEQUENCE_NUMBER = 46
PREFERRED = 0
"""The kind of an election: whoever stands first among the copies leads."""


@pytest.fixture(scope="module")
def lossy(apache_kafka: None) -> Iterator[tuple[Cluster, LossyWay]]:
    with a_lossy_broker() as made:
        yield made


@pytest.fixture
def way(lossy: tuple[Cluster, LossyWay]) -> Iterator[LossyWay]:
    yield lossy[1]
    lossy[1].swallow()


def opened(url: str, folder: Path, copies: int = 1) -> KafkaBus:
    kafka = KafkaSettings(replication=copies)
    made = open_bus(f"{url}?prefix=t{uuid4().hex[:8]}", folder, SystemClock(), kafka=kafka)
    assert isinstance(made, KafkaBus)
    made.ensure(topic_specs(PARTITIONS, {}))
    return made


@pytest.fixture
def bus(lossy: tuple[Cluster, LossyWay], way: LossyWay, tmp_path: Path) -> Iterator[KafkaBus]:
    with closing(opened(lossy[0].url, tmp_path)) as made:
        yield made


@pytest.fixture
def writer(bus: KafkaBus) -> Iterator[Writer]:
    with closing(Writer(bus.cluster, "a")) as made:
        yield made


def puts(count: int, start: int = 0, size: int = 20) -> list[Put]:
    now = round(time.time() * 1000)
    return [Put(PLACES[n % PARTITIONS], f"k{n}", b"%d " % n * size, now) for n in range(start, start + count)]


def keys(bus: KafkaBus) -> list[str]:
    """Of all that is committed, by partition."""
    return [record.key for place in PLACES for record in bus.read(place, 0, 10_000)]


def in_order(written: list[Put]) -> list[str]:
    return [put.key for place in PLACES for put in written if put.tp == place]


def heard_some(bus: KafkaBus) -> tuple[Member, dict[TopicPartition, Commit]]:
    """A member of the group `g` that has read the first records of a partition, and what it has to commit for them."""
    bus.publish([Message("mentions", "x:1", b"1", 0), Message("mentions", "x:2", b"2", 0)])
    consumer = bus.consumer(["mentions"], group="g", member="m")
    while not (records := consumer.poll(1)):
        pass
    return consumer, {records[-1].tp: Commit(records[-1].offset + 1)}


def offsets_of(bus: KafkaBus, written: list[Put], offsets: list[int]) -> None:
    """Each record stands where we were told."""
    found = {(record.tp, record.offset): record.key for place in PLACES for record in bus.read(place, 0, 10_000)}
    assert [found.get((put.tp, offset)) for put, offset in zip(written, offsets, strict=True)] == [
        put.key for put in written
    ]


def test_a_cluster_of_today_takes_it_in_one_step(writer: Writer, bus: KafkaBus, way: LossyWay) -> None:
    written = puts(10)
    writer.write(written)
    assert isinstance(writer._producer, TransactionalProducer)
    del way.seen[:]
    offsets_of(bus, written[:5], writer.write(written[:5]))
    asked = [key for key in way.seen if key in {PRODUCE, 24, 25, TXN_OFFSET_COMMIT, END_TXN}]
    assert asked == [PRODUCE, END_TXN]


def test_more_than_one_batch_of_a_partition_stays_in_order(writer: Writer, bus: KafkaBus) -> None:
    written = [
        Put(PLACES[n % 3 == 0], f"k{n}", bytes([n]) * (BATCH_BYTES // 3), round(time.time() * 1000)) for n in range(24)
    ]
    offsets_of(bus, written, writer.write(written))
    assert keys(bus) == in_order(written)


@pytest.mark.parametrize("lost", [INIT_PRODUCER_ID, PRODUCE, END_TXN])
def test_a_lost_answer_is_asked_for_again_and_nothing_is_there_twice(
    writer: Writer, bus: KafkaBus, way: LossyWay, lost: int
) -> None:
    for start in (0, 10, 20):
        if lost == INIT_PRODUCER_ID:
            writer.drop()
        way.lose(lost)
        before = way.seen.count(lost)
        written = puts(10, start)
        offsets_of(bus, written, writer.write(written))
        assert way.seen.count(lost) > before + 1
    assert keys(bus) == in_order(puts(30))


def test_the_lost_answer_to_one_of_several_batches_does_not_shift_the_next(
    writer: Writer, bus: KafkaBus, way: LossyWay
) -> None:
    written = [Put(PLACES[0], f"k{n}", bytes([n]) * (BATCH_BYTES // 2), 10**12) for n in range(8)]
    for _ in range(3):
        way.lose(PRODUCE)
    offsets_of(bus, written, writer.write(written))
    assert keys(bus) == in_order(written)


def test_the_lost_answer_to_offsets_is_asked_for_again(bus: KafkaBus, way: LossyWay) -> None:
    consumer, commit = heard_some(bus)
    way.lose(TXN_OFFSET_COMMIT)
    with bus.transaction("g-m") as transaction:
        transaction.publish(Message("findings", "x:1", b"1", 0))
        transaction.commit(consumer, commit)
    assert {place: consumer.committed(place) for place in commit} == commit
    assert keys(bus) == ["x:1"]


def test_what_the_broker_calls_a_duplicate_without_its_place_is_given_up(
    writer: Writer, bus: KafkaBus, way: LossyWay
) -> None:
    """It is written, and nobody can say where: so it is taken back, and the caller may write it again."""
    writer.write(puts(2))

    def duplicate(answer: bytes) -> bytes:
        found = ProduceResponse.decode(answer, version=12, header=True)
        for topic in found.responses:
            for partition in topic.partition_responses:
                partition.error_code, partition.base_offset = DUPLICATE_SEQUENCE_NUMBER, -1
        return bytes(found.encode(header=True))

    way.change(PRODUCE, duplicate)
    with pytest.raises(BusError, match="DuplicateSequenceNumberError") as raised:
        writer.write(puts(2, 2))
    assert not isinstance(raised.value, Taken | Unsure)
    writer.write(puts(2, 4))
    assert keys(bus) == ["k0", "k4", "k1", "k5"]


def test_what_is_aborted_is_read_by_nobody_and_the_next_goes_on(writer: Writer, bus: KafkaBus) -> None:
    for start in (0, 10):
        writer.abort(puts(5, start + 5))
        writer.write(puts(5, start))
    assert sorted(keys(bus)) == sorted(put.key for start in (0, 10) for put in puts(5, start))


def test_who_was_fenced_learns_it_and_has_written_nothing(writer: Writer, bus: KafkaBus) -> None:
    writer.write(puts(2))
    with closing(Writer(bus.cluster, "a")) as other:
        other.begin()
        with pytest.raises(Taken):
            writer.write(puts(2, 2))
        other.write(puts(2, 4))
    assert keys(bus) == ["k0", "k4", "k1", "k5"]


def test_whose_commit_was_not_answered_before_another_took_over_does_not_say_that_nothing_was_written(
    writer: Writer, bus: KafkaBus, way: LossyWay
) -> None:
    writer.write(puts(2))
    with closing(Writer(bus.cluster, "a")) as other:
        way.lose(END_TXN, meanwhile=other.begin)
        with pytest.raises(Unsure):
            writer.write(puts(2, 2))
        other.write(puts(2, 4))
    assert keys(bus) == ["k0", "k2", "k4", "k1", "k3", "k5"]


def test_a_commit_that_nobody_answers_is_unsure_within_its_time(writer: Writer, bus: KafkaBus, way: LossyWay) -> None:
    writer.write(puts(2))
    way.swallow(END_TXN)
    began = time.monotonic()
    with pytest.raises(Unsure):
        writer.write(puts(2, 2))
    assert time.monotonic() - began < 2 * DELIVERY_SECONDS
    assert not writer.began
    way.swallow()
    # What it left open ends with the next beginning, and not when its time is up.
    writer.write(puts(2, 4))
    assert keys(bus) == ["k0", "k4", "k1", "k5"]


def test_records_that_nobody_takes_are_given_up_within_their_time(writer: Writer, bus: KafkaBus, way: LossyWay) -> None:
    writer.write(puts(2))
    way.swallow(PRODUCE)
    began = time.monotonic()
    with pytest.raises(BusError) as raised:
        writer.write(puts(2, 2))
    assert time.monotonic() - began < 2 * DELIVERY_SECONDS
    assert not isinstance(raised.value, Taken | Unsure)
    way.swallow()
    writer.write(puts(2, 4))
    assert keys(bus) == ["k0", "k4", "k1", "k5"]


def test_a_connection_that_broke_while_nothing_was_asked_is_made_anew(
    writer: Writer, bus: KafkaBus, lossy: tuple[Cluster, LossyWay]
) -> None:
    writer.write(puts(2))
    lossy[0].restart(1)
    writer.write(puts(2, 2), insist=True)
    assert keys(bus) == ["k0", "k2", "k1", "k3"]


def test_any_thread_may_write_one_after_another(writer: Writer, bus: KafkaBus) -> None:
    threads = [threading.Thread(target=writer.write, args=[puts(5, start)]) for start in range(0, 50, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(keys(bus)) == sorted(put.key for put in puts(50))


def test_a_writer_that_nobody_closed_leaves_no_connection(bus: KafkaBus) -> None:
    writer = Writer(bus.cluster, "a")
    writer.begin()
    client = writer._producer._client
    sockets = [each.transport._sock for each in client._manager._conns.values()]
    assert sockets
    del writer, client
    assert all(each.fileno() == -1 for each in sockets)


def move(admin: KafkaAdminClient, topics: list[str]) -> None:
    """Let another broker lead each of their partitions, without anybody going away."""
    found = {topic["name"]: topic["partitions"] for topic in admin.describe_topics(topics)}
    wanted = {
        KafkaPartition(name, each["partition_index"]): [*each["replica_nodes"][1:], each["replica_nodes"][0]]
        for name, its in found.items()
        for each in its
    }
    assert set(admin.alter_partition_reassignments(wanted).values()) == {None}
    places = {name: [each["partition_index"] for each in its] for name, its in found.items()}
    until = time.monotonic() + 30
    while time.monotonic() < until:
        admin.elect_leaders(PREFERRED, places, raise_errors=False)
        leaders = {
            KafkaPartition(topic["name"], each["partition_index"]): each["leader_id"]
            for topic in admin.describe_topics(topics)
            for each in topic["partitions"]
        }
        if all(leaders[tp] == its[0] for tp, its in wanted.items()):
            return
        time.sleep(0.2)
    raise AssertionError(f"{leaders} is not {wanted}")


def test_leaders_and_coordinators_that_moved_are_found_anew(three_brokers: Cluster, tmp_path: Path) -> None:
    """Nobody hears of it: the write takes a moment longer."""
    with closing(opened(three_brokers.url, tmp_path, copies=3)) as bus, closing(Writer(bus.cluster, "a")) as writer:
        _consumer, commit = heard_some(bus)
        writer.write(puts(4))
        admin = KafkaAdminClient(bootstrap_servers=three_brokers.bootstrap)
        with closing(admin):
            for start, topics in enumerate([[bus.cluster.name("findings")], ["__transaction_state"]], 1):
                move(admin, topics)
                written = puts(4, 4 * start)
                offsets_of(bus, written, writer.write(written))
            # A group whose coordinator moves may have to join it again: so only its offsets, as one outside it.
            outside = ConsumerGroupMetadata(bus.cluster.name("h"))
            its = [GroupCommit(outside, commit, lambda tp: None)]
            writer.write(puts(4, 12), its)
            move(admin, ["__consumer_offsets"])
            writer.write(puts(4, 16), its)
        assert bus.commits("h") == commit
        assert keys(bus) == in_order(puts(20))


def test_a_leader_that_is_killed_is_replaced_while_we_write(three_brokers: Cluster, tmp_path: Path) -> None:
    """What was said to be written is there once, what was said to be not is not there; of the rest one is true."""
    with closing(opened(three_brokers.url, tmp_path, copies=3)) as bus, closing(Writer(bus.cluster, "a")) as writer:
        done, unsure, refused = [], [], []
        for victim in (1, 2, 3):
            killing = threading.Timer(0.05, three_brokers.kill, [victim])
            killing.start()
            for start in range(100 * victim, 100 * victim + 20, 2):
                try:
                    writer.write(puts(2, start))
                except Unsure:
                    unsure.append(start)
                except BusError:
                    refused.append(start)
                else:
                    done.append(start)
            killing.join()
            three_brokers.start(victim)
            until = time.monotonic() + 30
            while bus.healthy() is not None:
                assert time.monotonic() < until
        there = Counter(keys(bus))
        assert set(there.values()) == {1}
        assert len(done) > 15
        pairs = {start: {f"k{start}", f"k{start + 1}"} <= there.keys() for start in (*done, *unsure, *refused)}
        assert all(pairs[start] for start in done)
        assert not any(pairs[start] for start in refused)
        assert there.total() == 2 * sum(pairs.values())


def test_kcat_reads_what_was_committed_and_only_that(bus: KafkaBus, writer: Writer, lossy) -> None:
    kcat = shutil.which("kcat")
    if kcat is None:
        pytest.skip("kcat is not here; on Debian: apt-get install kcat")
    written = puts(500)
    writer.abort(puts(5, 1000))
    writer.write(written)
    writer.write([Put(PLACES[0], "empty", b"", written[0].time_ms), Put(PLACES[0], "gone", None, written[0].time_ms)])
    writer.abort(puts(5, 2000))
    name = bus.cluster.name("findings")
    done = subprocess.run(
        [
            *(kcat, "-C", "-e", "-q", "-b", lossy[0].bootstrap, "-t", name, "-f", "%p %k %S %T\\n"),
            *("-X", "isolation.level=read_committed"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = [(put.tp.partition, put.key, len(put.value or b""), put.time_ms) for put in written]
    expected += [(0, "empty", 0, written[0].time_ms), (0, "gone", -1, written[0].time_ms)]
    found = [line.split() for line in done.stdout.splitlines()]
    assert sorted((int(p), key, int(size), int(at)) for p, key, size, at in found) == sorted(expected)


@pytest.fixture(scope="module")
def older(apache_kafka: None) -> Iterator[Cluster]:
    """A cluster that was upgraded from one before, and not told that it may."""
    with brokers(1) as cluster:
        admin = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        assert admin.update_features({"transaction.version": ("SAFE_DOWNGRADE", 1)}) == {"transaction.version": "OK"}
        admin.close()
        yield cluster


def test_an_older_cluster_takes_it_in_steps(older: Cluster, tmp_path: Path) -> None:
    with closing(opened(older.url, tmp_path)) as bus, closing(Writer(bus.cluster, "a")) as writer:
        deadline = time.monotonic() + 20
        while True:
            # What the controller decided the broker hears of a moment later.
            bus.cluster.takes_steps = False
            writer.begin()
            if isinstance(writer._producer, SteppedProducer):
                break
            assert time.monotonic() < deadline
            writer.drop()
        written = puts(10)
        offsets_of(bus, written, writer.write(written))
        writer.abort(puts(5, 50))
        consumer, commit = heard_some(bus)
        writer.write(puts(2, 10), [GroupCommit(consumer.place, commit, consumer.await_settled)])
        assert {place: consumer.committed(place) for place in commit} == commit
        assert keys(bus) == in_order(puts(12))
