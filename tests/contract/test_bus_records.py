"""What any bus does with records: their order, times, keys, and how it purges them."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import timedelta

import pytest
from bus_support import PARTITIONS, SetClock, Site, drain, eventually, everything, finish, mentions, said

from listener.bus.protocol import Bus, Link, Message, TopicPartition, partition_of
from listener.errors import BusError

CONTROL = TopicPartition("control", 0)


def test_records_of_a_partition_come_in_the_order_of_their_publishing(bus):
    for start in range(0, 200, 20):
        bus.publish(mentions(20, start))
    records = everything(bus, "mentions")
    assert len(records) == 200
    for number in range(PARTITIONS):
        mine = [r for r in records if r.partition == number]
        assert [r.offset for r in mine] == sorted({r.offset for r in mine})
        assert [int(r.value) for r in mine] == sorted(int(r.value) for r in mine)


def test_a_key_has_one_partition_and_it_is_the_same_on_every_bus(bus):
    bus.publish(mentions(50))
    bus.publish(mentions(50))
    records = everything(bus, "mentions")
    assert all(r.partition == partition_of(r.key, PARTITIONS) for r in records)
    assert {r.partition for r in records} == set(range(PARTITIONS))


def test_a_partition_may_be_named_instead_of_chosen_by_the_key(bus):
    bus.publish([Message("findings", "fire:x:1", b"1", 2), Message("findings", "flood:x:1", b"2", 2)])
    assert [(r.partition, r.key) for r in everything(bus, "findings")] == [(2, "fire:x:1"), (2, "flood:x:1")]


def test_publishing_returns_the_offsets_in_order(bus):
    messages = mentions(30)
    offsets = bus.publish(messages)
    where = {(r.key): (r.partition, r.offset) for r in everything(bus, "mentions")}
    assert [where[m.key] for m in messages] == [
        (partition_of(m.key, PARTITIONS), offset) for m, offset in zip(messages, offsets, strict=True)
    ]


def test_publishing_is_all_or_nothing(bus):
    with pytest.raises(BusError):
        bus.publish([*mentions(3), Message("mentions", "x:9", b"9", PARTITIONS)])
    assert everything(bus, "mentions") == []


def test_a_late_joiner_sees_the_history(site: Site, bus):
    bus.publish(mentions(40))
    late = site.open()
    assert len(everything(late, "mentions")) == 40
    late.close()


def test_a_reader_from_the_end_sees_only_what_comes_after(bus):
    bus.publish([Message("control", "i", b"before")])
    reader = bus.reader(["control"], start=None)
    assert reader.poll(0) == []
    bus.publish([Message("control", "i", b"after")])
    assert [r.value for r in drain(reader, 1)] == [b"after"]


def test_a_reader_takes_no_more_than_asked_and_goes_on_from_there(bus):
    bus.publish([Message("control", "i", str(n).encode()) for n in range(10)])
    reader = bus.reader(["control"])
    first = reader.poll(1, limit=4)
    assert len(first) == 4
    assert reader.position(CONTROL) == 4
    assert [int(r.value) for r in first + drain(reader, 6)] == list(range(10))


def test_a_reader_seeks_by_offset(bus):
    bus.publish([Message("control", "i", str(n).encode()) for n in range(10)])
    reader = bus.reader(["control"], start=None)
    reader.seek(CONTROL, 7)
    assert [r.offset for r in drain(reader, 3)] == [7, 8, 9]


def test_a_reader_starts_at_a_time(site: Site):
    clock = SetClock()
    bus = site.open(clock)
    start = clock.time
    for minute in range(10):
        clock.time = start + timedelta(minutes=minute)
        bus.publish([Message("control", "i", str(minute).encode())])
    assert bus.offset_at(CONTROL, start - timedelta(days=1)) == 0
    assert bus.offset_at(CONTROL, start + timedelta(minutes=4)) == 4
    assert bus.offset_at(CONTROL, start + timedelta(minutes=4, milliseconds=1)) == 5
    assert bus.offset_at(CONTROL, start + timedelta(days=1)) == bus.end_offset(CONTROL) == 10
    reader = bus.reader(["control"], start=start + timedelta(minutes=8))
    assert [r.value for r in drain(reader, 2)] == [b"8", b"9"]
    bus.close()


def test_times_never_run_back_in_a_partition_though_the_clock_does(site: Site):
    clock = SetClock()
    bus = site.open(clock)
    bus.publish([Message("control", "i", b"1")])
    clock.time -= timedelta(hours=1)
    bus.publish([Message("control", "i", b"2")])
    bus.append_after("control", lambda last: [Link("i", b"3")])
    clock.time += timedelta(hours=2)
    bus.publish([Message("control", "i", b"4")])
    times = [r.time_ms for r in everything(bus, "control")]
    assert times == sorted(times)
    assert times[3] - times[0] == 3_600_000
    bus.close()


def test_a_tombstone_is_a_record_without_a_value(bus):
    bus.publish([Message("mentions", "x:1", b"text"), Message("mentions", "x:1", None)])
    assert [r.value for r in everything(bus, "mentions")] == [b"text", None]


def test_an_empty_value_is_no_tombstone(bus):
    bus.publish([Message("mentions", "x:1", b"")])
    assert [r.value for r in everything(bus, "mentions")] == [b""]


def test_a_compacted_topic_keeps_the_newest_of_each_key(site: Site, bus):
    for n in range(5):
        bus.publish([Message("presence", who, f"{who}{n}{i}".encode()) for i in (0, 1) for who in ("a", "b")])
    assert {r.key: r.value for r in everything(bus, "presence")} == {"a": b"a41", "b": b"b41"}
    assert bus.end_offset(TopicPartition("presence", 0)) >= 20
    site.needs_all()
    site.settle(bus, "presence")
    assert eventually(lambda: [r.value for r in everything(bus, "presence") if r.value] == [b"a41", b"b41"])


def test_a_topic_that_is_not_there_is_named_with_those_that_are(bus):
    for refused in (
        lambda: bus.publish([Message("nowhere", "k", b"v")]),
        lambda: bus.reader(["nowhere"]),
        lambda: bus.consumer(["nowhere"], group="g", member="m"),
        lambda: bus.append_after("nowhere", lambda last: [Link("k", b"")]),
        lambda: bus.partitions("nowhere"),
    ):
        with pytest.raises(BusError, match="nowhere"):
            refused()
    with pytest.raises(BusError, match="mentions"):
        bus.publish([Message("nowhere", "k", b"v")])


def test_topics_are_made_once(site: Site, bus):
    bus.publish(mentions(10))
    other = site.open()
    assert other.partitions("mentions") == bus.partitions("mentions") == PARTITIONS
    info = {topic.name: topic for topic in other.topics()}
    assert info["mentions"].records >= 10
    assert info["mentions"].oldest_ms is not None
    assert info["mentions"].oldest_ms <= (info["mentions"].newest_ms or 0)
    assert info["alerts"].records == 0
    assert info["alerts"].newest_ms is None
    other.close()


def test_several_processes_publish_at_once_and_lose_nothing(bus, processes):
    running = [processes("publish", who, 300, 5) for who in "abcd"]
    for process in running:
        finish(process)
    records = everything(bus, "mentions")
    assert Counter(r.key for r in records) == Counter(f"{who}:{n}" for who in "abcd" for n in range(300))
    for who in "abcd":
        for number in range(PARTITIONS):
            mine = [int(r.value) for r in records if r.partition == number and r.key.startswith(who)]
            assert mine == sorted(mine)


def test_a_chain_of_hashes_holds_though_four_processes_append_to_it(bus, processes):
    for process in [processes("chain", who, 50) for who in "abcd"]:
        finish(process)
    records = everything(bus, "decisions")
    assert Counter(r.key for r in records) == dict.fromkeys("abcd", 50)
    before = ""
    for record in records:
        assert record.value.decode().split(" ")[0] == before
        before = hashlib.sha256(record.value).hexdigest()


def test_what_is_appended_after_the_last_record_is_reported(bus):
    (first,) = bus.append_after("decisions", lambda last: [Link("a", b"first" if last is None else b"")])
    (second,) = bus.append_after("decisions", lambda last: [Link("b", b"after " + (last.value if last else b""))])
    assert [first, second] == everything(bus, "decisions")
    assert second.value == b"after first"


def test_several_are_appended_at_once_and_reported_as_they_lie(bus):
    bus.append_after("decisions", lambda last: [Link("a", b"first")])
    more = bus.append_after("decisions", lambda last: [Link(key, (last.value or b"") + b"!") for key in "bcb"])
    assert [(r.key, r.value) for r in more] == [("b", b"first!"), ("c", b"first!"), ("b", b"first!")]
    assert everything(bus, "decisions")[1:] == more


def test_a_link_that_cannot_be_made_appends_nothing(bus):
    with pytest.raises(ZeroDivisionError):
        bus.append_after("decisions", lambda last: [Link("a", b""), Link("a", bytes(1 // 0))])
    assert everything(bus, "decisions") == []
    bus.append_after("decisions", lambda last: [Link("a", b"")])


def test_a_hundred_thousand_records_go_through(bus):
    for start in range(0, 100_000, 1000):
        bus.publish(mentions(1000, start, size=600))
    reader = bus.reader(["mentions"])
    seen: Counter[str] = Counter()
    while batch := reader.poll(0):
        seen.update(r.key for r in batch)
    assert len(seen) == seen.total() == 100_000


def test_purging_leaves_a_tombstone_and_no_byte(site: Site, bus):
    site.needs_all()
    secret = b"Jeg er redd for bestemor"
    bus.publish(mentions(30, size=300))
    bus.publish([Message("mentions", f"x:{n}", secret + b" %d" % n * 200) for n in (3, 4, 5)])
    if site.disk:
        assert site.holds(secret)
    reader = bus.reader(["mentions"], start=None)
    keys = [(TopicPartition("mentions", partition_of(f"x:{n}", PARTITIONS)), f"x:{n}") for n in (3, 4, 5)]
    assert bus.purge(keys) == 6
    assert {(r.key, r.value) for r in drain(reader, 3)} == {(f"x:{n}", None) for n in (3, 4, 5)}
    with_content = {r.key for r in everything(bus, "mentions") if r.value is not None}
    assert with_content == {f"x:{n}" for n in range(30) if n not in (3, 4, 5)}
    if site.disk:
        assert eventually(lambda: not site.holds(secret))


def test_purging_reaches_the_bytes_while_others_read_and_write(site: Site, bus: Bus, processes):
    site.needs_all()
    secret = b"Jeg er redd for bestemor"
    running = [processes("watch", 6), processes("press", 6)]
    for process in running:
        said(process)
    bus.publish([Message("mentions", "x:secret", secret)])
    bus.publish(mentions(200, size=600))
    assert bus.purge([(TopicPartition("mentions", partition_of("x:secret", PARTITIONS)), "x:secret")]) == 1
    if site.disk:
        assert eventually(lambda: not site.holds(secret))


def test_purging_what_is_not_there_still_clears_the_caches(bus):
    tp = TopicPartition("mentions", 1)
    assert bus.purge([(tp, "x:unknown")]) == 0
    assert [(r.tp, r.key, r.value) for r in everything(bus, "mentions")] == [(tp, "x:unknown", None)]


def test_retention_drops_what_is_older_and_nothing_else(site: Site):
    clock = SetClock()
    bus = site.open(clock)
    bus.publish([*mentions(40), Message("alerts", "a", b"kept"), Message("volumes", "v", b"kept")])
    clock.time += timedelta(days=20)
    bus.publish(mentions(40, 40))
    assert sum(bus.retain(clock.time).values()) == 0
    clock.time += timedelta(days=11)
    assert bus.retain(clock.time)["mentions"] >= 40
    assert {r.key for r in everything(bus, "mentions")} == {f"x:{n}" for n in range(40, 80)}
    assert len(everything(bus, "alerts")) == len(everything(bus, "volumes")) == 1
    for number in range(PARTITIONS):
        tp = TopicPartition("mentions", number)
        first = min(r.offset for r in everything(bus, "mentions") if r.tp == tp)
        assert bus.begin_offset(tp) == bus.offset_at(tp, clock.time - timedelta(days=99)) == first
    clock.time += timedelta(days=60)
    bus.retain(clock.time)
    assert everything(bus, "mentions") == []
    end = bus.end_offset(TopicPartition("mentions", 0))
    assert bus.begin_offset(TopicPartition("mentions", 0)) == end > 0
    bus.close()


def test_a_healthy_bus_has_nothing_to_say(bus):
    assert bus.healthy() is None
