"""What only the bus on Kafka must do: its topics as asked, its cluster away, several deployments on one cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from broker import Cluster, brokers
from bus_support import (
    KEEP,
    PARTITIONS,
    SetClock,
    Site,
    drain,
    eventually,
    everything,
    mentions,
    on_kafka,
)
from kafka import KafkaConsumer
from topics import drop_topics

from listener.bus.kafka.bus import KafkaBus
from listener.bus.kafka.readers import GATHER_SECONDS
from listener.bus.kafka.topics import alter, configs_of, plain, stored
from listener.bus.protocol import Bus, Commit, Consumer, Link, Message, TopicPartition, open_bus
from listener.clock import SystemClock
from listener.errors import BusError, ConfigError, Fenced, Refused
from listener.model.topics import TOPICS, Retention, topic_specs
from listener.settings.kafka import KafkaSettings

SOON = 15.0
"""Within so many seconds anything that asks a cluster that is away must have said so."""


@pytest.fixture
def site(kafka_url: str, tmp_path: Path) -> Iterator[Site]:
    made = on_kafka(kafka_url, tmp_path, None)
    yield made
    drop_topics(made.url)


def opened(site: Site, settings: KafkaSettings | None = None) -> KafkaBus:
    bus = open_bus(site.url, site.folder, SystemClock(), kafka=settings)
    assert isinstance(bus, KafkaBus)
    return bus


def change(bus: KafkaBus, topic: str, **config: str) -> None:
    """What `alter` asked for is there a moment later."""
    name = bus.cluster.name(topic)
    wanted = {key.replace("_", "."): value for key, value in config.items()}
    alter(bus.cluster, {name: wanted})
    assert eventually(lambda: wanted.items() <= configs_of(bus.cluster, [name])[name].items())


# --- topics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "config"),
    [
        ("mentions", {"cleanup_policy": "delete"}),
        ("findings", {"max_compaction_lag_ms": "9223372036854775807"}),
        ("mentions", {"segment_ms": "604800000"}),
        ("findings", {"delete_retention_ms": "1000"}),
        ("presence", {"cleanup_policy": "compact,delete"}),
        ("control", {"cleanup_policy": "compact"}),
        ("alerts", {"retention_bytes": "1000000"}),
        ("control", {"unclean_leader_election_enable": "true"}),
        ("gaps", {"message_timestamp_type": "LogAppendTime"}),
    ],
)
def test_a_topic_that_is_not_as_it_must_be_stops_the_start_with_the_fix(site: Site, bus: KafkaBus, topic, config):
    (key,) = config
    change(bus, topic, **config)
    with pytest.raises(ConfigError) as raised:
        site.open()
    name = bus.cluster.name(topic)
    said = str(raised.value)
    assert f"topic {name}: {key.replace('_', '.')} is {config[key]} instead of" in said
    assert f"kafka-configs.sh --bootstrap-server {bus.cluster.hosts} --alter" in said
    assert f"--entity-name {name} --add-config '{key.replace('_', '.')}=" in said


def test_every_wrong_topic_is_reported_at_once(site: Site, bus: KafkaBus):
    change(bus, "mentions", cleanup_policy="delete")
    change(bus, "findings", cleanup_policy="delete")
    with pytest.raises(ConfigError) as raised:
        site.open()
    assert len(str(raised.value).splitlines()) == 2


def test_a_stricter_topic_is_as_good(site: Site, bus: KafkaBus):
    change(bus, "mentions", max_compaction_lag_ms="1000", segment_ms="1000")
    site.open().close()


def test_another_number_of_partitions_is_refused(bus: KafkaBus):
    with pytest.raises(ConfigError, match=f"set bus.partitions to {PARTITIONS}"):
        bus.ensure(topic_specs(PARTITIONS * 2, KEEP))


def test_too_few_copies_are_refused(site: Site, bus: KafkaBus):
    stricter = opened(site, KafkaSettings(replication=3))
    with pytest.raises(ConfigError, match=r"has 1 copies, bus\.kafka\.replication asks for 3"):
        stricter.ensure(topic_specs(PARTITIONS, KEEP))
    stricter.close()


def test_topics_that_cannot_be_made_are_reported_with_the_command(site: Site):
    greedy = opened(site, KafkaSettings(replication=9))
    with pytest.raises(ConfigError, match=r"control cannot be made.*kafka-topics\.sh.*--replication-factor 9"):
        greedy.ensure([TOPICS["control"]])
    greedy.close()


def test_another_retention_is_applied(bus: KafkaBus):
    name = bus.cluster.name("mentions")
    bus.ensure(topic_specs(PARTITIONS, {**KEEP, Retention.PRIVACY: timedelta(days=3)}))
    days = str(3 * 86_400_000)
    assert eventually(lambda: configs_of(bus.cluster, [name])[name]["retention.ms"] == days)


def test_two_deployments_share_a_cluster_and_nothing_else(kafka_url: str, tmp_path: Path):
    sites = [on_kafka(kafka_url, tmp_path, None) for _ in range(2)]
    one, two = (site.open() for site in sites)
    one.publish(mentions(10))
    mine, other = (bus.consumer(["mentions"], group="stage", member="a") for bus in (one, two))
    assert len(drain(mine, 10)) == 10
    assert other.poll(1) == []
    assert one.lease("listener:x", "one", 30).renew()
    assert two.lease("listener:x", "two", 30).renew()
    assert everything(two, "mentions") == []
    for bus, site in zip((one, two), sites, strict=True):
        bus.close()
        drop_topics(site.url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("kafka:", "host:port"),
        ("kafka://broker", "host:port"),
        ("kafka://broker:9092,", "host:port"),
        ("kafka://broker:9092?prefix=a.b", "prefix"),
        ("kafka://broker:9092?acks=0", "acks"),
    ],
)
def test_an_address_that_cannot_be_is_refused(tmp_path: Path, url: str, said: str):
    with pytest.raises(ConfigError, match=said):
        open_bus(url, tmp_path, SystemClock())


# --- records -----------------------------------------------------------------------------------------------------


def raw(bus: KafkaBus, topic: str) -> list[tuple[bytes, bytes | None]]:
    """Keys and values as any other program sees them."""
    consumer = KafkaConsumer(
        bus.cluster.name(topic),
        bootstrap_servers=bus.cluster.hosts,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        consumer_timeout_ms=1500,
    )
    found = [(record.key, record.value) for record in consumer]
    consumer.close()
    return found


def test_compaction_drops_nothing_but_what_is_purged(site: Site, bus: KafkaBus):
    """A tick bears the key of the one before, and a post that matches a later incident its own once more."""
    for number in range(5):
        bus.publish([Message("mentions", "x:tick", b"%d" % number, 0), Message("mentions", "x:1", b"%d" % number, 0)])
    bus.publish([Message("mentions", "x:2", b"secret", 0)])
    bus.purge([(TopicPartition("mentions", 0), "x:2")])
    left = everything(bus, "mentions")
    for key in ("x:tick", "x:1"):
        assert [r.value for r in left if r.key == key] == [b"0", b"1", b"2", b"3", b"4"]
    assert [r.value for r in left if r.key == "x:2"] == [None]


def test_a_purge_reaches_every_record_of_the_key_and_leaves_the_topic_as_it_was(site: Site, bus: KafkaBus):
    bus.publish([Message("findings", "fire:x:1", b"%d" % n, 2) for n in range(3)])
    bus.publish([Message("findings", "fire:x:1", b"3", 2)])
    assert bus.purge([(TopicPartition("findings", 2), "fire:x:1")]) == 4
    assert all(value is None for _, value in raw(bus, "findings"))
    site.open().close()
    assert bus.purge([(TopicPartition("findings", 2), "fire:x:1")]) == 0


@pytest.mark.parametrize("key", ["x:1", "rss:https://a.example/#b", "x:tick", "", "x:æ#12345678901"])
def test_a_key_comes_back_as_it_was_given(key: str):
    for topic in ("mentions", "alerts"):
        assert plain(topic, stored(topic, key, b"v")) == key
        assert plain(topic, stored(topic, key, None)) == key or key.endswith("#12345678901")


def test_times_go_on_where_they_were_in_another_process_whose_clock_is_behind(site: Site):
    clock = SetClock()
    first = site.open(clock)
    first.publish([Message("control", "i", b"1")])
    first.close()
    behind = SetClock()
    behind.time = clock.time.replace(year=clock.time.year - 1)
    second = site.open(behind)
    second.publish([Message("control", "i", b"2")])
    times = [record.time_ms for record in everything(second, "control")]
    assert times[0] == times[1]
    second.close()


def test_lag_is_of_records_and_not_of_markers(bus: KafkaBus):
    for start in range(0, 50, 10):
        bus.publish(mentions(10, start))
    consumer = bus.consumer(["mentions"], group="stage", member="a")
    records = drain(consumer, 50)
    assert sum(bus.lag("stage").values()) == 50
    with bus.transaction("stage-a") as transaction:
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in records})
    assert sum(bus.lag("stage").values()) == 0


def test_that_nothing_waits_is_asked_in_two_questions(bus: KafkaBus, monkeypatch: pytest.MonkeyPatch):
    """Each process asks it of five groups each second."""
    bus.publish(mentions(6))
    consumer = bus.consumer(["mentions"], group="counted", member="m")
    records = drain(consumer, 6)
    with bus.transaction("counted") as transaction:
        for message in mentions(6):
            transaction.publish(message)
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in sorted(records, key=lambda r: r.offset)})
    records = drain(consumer, 6)
    with bus.transaction("counted") as transaction:
        transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in sorted(records, key=lambda r: r.offset)})
    assert not any(bus.lag("counted").values())
    asked: list[str] = []
    ask = bus.cluster.ask

    def heard(what, *rest):
        asked.append(what)
        return ask(what, *rest)

    monkeypatch.setattr(bus.cluster, "ask", heard)
    assert not any(bus.lag("counted").values())
    assert asked == ["ask for commits", "ask for offsets"]
    # What comes then is counted all the same.
    bus.publish(mentions(2))
    assert sum(bus.lag("counted").values()) == 2
    consumer.close()


def _await_news(reader: Consumer) -> None:
    until = time.monotonic() + SOON
    while not reader.poll(1.0):
        assert time.monotonic() < until


def test_who_reads_alerts_lets_less_gather_than_who_reads_findings(bus: KafkaBus):
    least = {}
    for topic in ("alerts", "findings"):
        reader, took = bus.reader([topic]), []
        for number in range(6):
            # News sets the clock of what gathers, and the next is there at once.
            bus.publish([Message(topic, f"first-{number}", b"{}", 0)])
            _await_news(reader)
            began = time.monotonic()
            bus.publish([Message(topic, f"next-{number}", b"{}", 0)])
            _await_news(reader)
            took.append(time.monotonic() - began)
        reader.close()
        least[topic] = min(took)
    assert least["alerts"] < 0.9 * GATHER_SECONDS <= least["findings"]


def test_tidying_never_takes_what_is_written_at_that_moment(site: Site):
    # The first record of a partition is in danger: nothing there is young enough to be kept, until suddenly it is.
    many = 48
    tidying, writing = opened(site), opened(site)
    specs = [spec for spec in topic_specs(many, KEEP) if spec.name == "mentions"]
    writing.ensure(specs)
    tidying.ensure(specs)
    # A partition that was just made has no leader for a moment, and who asks it then is told so.
    assert eventually(lambda: tidying.healthy() is None and writing.healthy() is None)
    done = threading.Event()

    def tidy() -> None:
        while not done.is_set():
            tidying.retain(SystemClock().now())

    with ThreadPoolExecutor() as pool:
        going = pool.submit(tidy)
        try:
            for number in range(many):
                with writing.transaction("annotate") as transaction:
                    transaction.publish(Message("mentions", "x:1", b"young", number))
        finally:
            done.set()
        going.result()
    assert len(everything(writing, "mentions")) == many
    writing.close()
    tidying.close()


# --- leases and fencing ------------------------------------------------------------------------------------------


def test_who_lost_the_lease_writes_nothing_under_it(site: Site, bus: Bus):
    one, two = bus.lease("listener:x", "one", 0.2), bus.lease("listener:x", "two", 30)
    assert one.renew()
    assert eventually(two.renew)
    with pytest.raises(Fenced), bus.transaction("listen-x") as transaction:
        transaction.hold(one)
        transaction.publish(Message("mentions", "x:1", b"a zombie's"))
    with bus.transaction("listen-x") as transaction:
        transaction.hold(two)
        transaction.publish(Message("mentions", "x:1", b"the holder's"))
    assert [r.value for r in everything(bus, "mentions")] == [b"the holder's"]


def test_the_same_name_after_a_restart_has_the_lease_at_once(site: Site, bus: Bus):
    assert bus.lease("dispatch", "here", 60).renew()
    restarted = site.open()
    assert restarted.lease("dispatch", "here", 60).renew()
    restarted.close()


def test_a_lease_that_nobody_renews_is_kept_until_another_comes(bus: Bus):
    one = bus.lease("listener:x", "one", 0.1)
    assert one.renew()
    time.sleep(0.3)
    with bus.transaction("listen-x") as transaction:
        transaction.hold(one)
        transaction.publish(Message("mentions", "x:1", b"late, and yet the only one"))
    assert one.renew()


# --- a cluster that goes away --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_broker(apache_kafka: None) -> Iterator[Cluster]:
    with brokers(1) as cluster:
        yield cluster


@pytest.fixture
def frail(own_broker: Cluster) -> Iterator[Cluster]:
    """A broker to be killed or paused; it runs again afterwards."""
    yield own_broker
    if own_broker.runs(1):
        own_broker.resume(1)
    else:
        own_broker.start(1)


def within(seconds: float, question) -> object:
    started = time.monotonic()
    try:
        return question()
    except BusError as error:
        return error
    finally:
        assert time.monotonic() - started < seconds


@pytest.mark.parametrize("how", ["kill", "pause"])
def test_a_cluster_that_goes_away_is_reported_soon_and_what_comes_back_goes_on(
    frail: Cluster, tmp_path: Path, how: str
):
    bus = on_kafka(frail.url, tmp_path, None).open()
    bus.publish(mentions(40))
    consumer = bus.consumer(["mentions"], group="stage", member="a")
    records = drain(consumer, 40)
    reader = bus.reader(["control"])
    lease = bus.lease("listener:x", "one", 30)
    assert lease.renew()
    bus.append_after("decisions", lambda last: [Link("a", b"first")])

    def copy() -> None:
        with bus.transaction("stage-a") as transaction:
            for record in records:
                transaction.publish(Message("findings", record.key, record.value))
            transaction.commit(consumer, {r.tp: Commit(r.offset + 1) for r in records})

    def copied() -> bool:
        """What a stage does: it offers its batch again, unless that is another's by now."""
        nonlocal records
        try:
            copy()
        except Fenced:
            records = drain(consumer, 40, 5)
            return False
        except BusError:
            return False
        return True

    getattr(frail, how)(1)
    assert eventually(lambda: "reachable" in str(within(3, bus.healthy)))
    asked = (
        lambda: [within(SOON, lambda: reader.poll(0)), within(SOON, lambda: reader.poll(3))],
        lambda: [within(SOON, lambda: consumer.poll(3)), within(SOON, copy)],
        lambda: [within(SOON, lambda: bus.publish([Message("control", "i", b"lost")]))],
        lambda: [within(SOON, lambda: bus.publish(mentions(2, 100)))],
        lambda: [within(SOON, lambda: bus.append_after("decisions", lambda last: [Link("a", b"lost")]))],
        lambda: [within(SOON, lease.renew), within(SOON, lambda: bus.lag("stage"))],
    )
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [answer for told in pool.map(lambda ask: ask(), asked) for answer in told]
    assert [type(answer) for answer in answers if not isinstance(answer, BusError)] == []
    assert bus.counts.producer_errors.total() > 0
    frail.restart(1) if how == "kill" else frail.resume(1)
    assert eventually(lambda: bus.healthy() is None)
    bus.publish([Message("control", "i", b"after")])
    assert eventually(lambda: [r.value for r in everything(bus, "control")][-1] == b"after")
    assert eventually(copied)
    assert len(everything(bus, "findings")) == 40
    assert eventually(lambda: within(SOON, lease.renew) is True)
    bus.append_after("decisions", lambda last: [Link("a", b"second after " + (last.value if last else b""))])
    chain = [record.value for record in everything(bus, "decisions")]
    assert chain in ([b"first", b"second after first"], [b"first", b"lost", b"second after lost"])
    bus.close()


def test_closing_does_not_hang_though_the_cluster_is_gone(frail: Cluster, tmp_path: Path):
    bus = on_kafka(frail.url, tmp_path, None).open()
    bus.publish(mentions(40))
    consumer = bus.consumer(["mentions"], group="stage", member="a")
    assert drain(consumer, 40)
    assert bus.lease("listener:x", "one", 30).renew()
    frail.kill(1)
    within(SOON, bus.close)
    bus.close()
    with pytest.raises(BusError, match="closed"):
        bus.publish(mentions(1))
    with pytest.raises(BusError, match="closed"):
        consumer.poll(0)


def test_a_cluster_that_is_not_there_is_reported_at_the_start(tmp_path: Path):
    bus = open_bus("kafka://127.0.0.1:9", tmp_path, SystemClock())
    error = within(SOON, lambda: bus.ensure([TOPICS["control"]]))
    assert "kafka 127.0.0.1:9" in str(error)
    bus.close()


def test_a_cluster_without_the_topics_that_were_there_is_refused_until_they_are_given_up(site: Site) -> None:
    site.folder.mkdir()
    bus = site.open()
    bus.close()
    site.open().close()
    drop_topics(site.url)
    with closing(opened(site)) as lost, pytest.raises(Refused, match=r"has no topic .*control.*give-up-history"):
        lost.ensure(topic_specs(PARTITIONS, KEEP))
    with closing(opened(site)) as lost:
        assert lost.topics() == []
    with closing(open_bus(site.url, site.folder, SystemClock(), anew=True)) as anew:
        anew.ensure(topic_specs(PARTITIONS, KEEP))
    site.open().close()


def test_what_another_deployment_had_on_a_cluster_is_not_missed(site: Site, kafka_url: str) -> None:
    site.folder.mkdir()
    site.open().close()
    other = on_kafka(kafka_url, site.folder.parent, None)
    other.open().close()
    drop_topics(other.url)
