"""The harness itself: brokers start, serve, fail and come back as told, and none outlives its test."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker import Cluster, brokers
from choice import Kind, choose
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic
from shared import shared, shared_folder, shared_stand_in
from stand_in import program, stand_in

HERE = Path(__file__).parent
PATIENCE = 60.0


def eventually(happened: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(0.05)
    return happened()


def alive(pid: int) -> bool:
    """Zombies are dead: whoever adopts them may never look."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def topic(bootstrap: str, name: str, copies: int = 1) -> Iterator[KafkaProducer]:
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=copies)])
        with closing(KafkaProducer(bootstrap_servers=bootstrap, request_timeout_ms=2000)) as producer:
            yield producer
        admin.delete_topics([name])


def put(producer: KafkaProducer, name: str, *values: bytes) -> None:
    for value in values:
        producer.send(name, value, partition=0).get(PATIENCE)


def values(bootstrap: str, name: str, count: int) -> list[bytes]:
    options: dict[str, Any] = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    found: list[bytes] = []
    deadline = time.monotonic() + PATIENCE
    with closing(KafkaConsumer(name, bootstrap_servers=bootstrap, **options)) as consumer:
        while len(found) < count and time.monotonic() < deadline:
            found += [record.value for batch in consumer.poll(200).values() for record in batch]
    return found


def test_one_broker_serves_and_shows_its_files(kafka_cluster: Cluster) -> None:
    with topic(kafka_cluster.bootstrap, "smoke") as producer:
        put(producer, "smoke", b"one", b"two")
        assert values(kafka_cluster.bootstrap, "smoke", 2) == [b"one", b"two"]
        segments = (kafka_cluster.folder(1) / "smoke-0").glob("*.log")
        assert b"two" in b"".join(path.read_bytes() for path in segments)


def test_three_brokers_go_on_when_one_is_killed(three_brokers: Cluster) -> None:
    bootstrap = three_brokers.bootstrap
    with topic(bootstrap, "hardy", copies=3) as producer:
        put(producer, "hardy", b"all")
        three_brokers.kill(1)
        assert len(three_brokers.pids()) == 2
        put(producer, "hardy", b"without the first")
        assert values(bootstrap, "hardy", 2) == [b"all", b"without the first"]
        three_brokers.restart(1)
    assert len(three_brokers.pids()) == 3


def test_none_is_left_though_the_tests_are_killed(apache_kafka: None) -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
from broker import brokers
with brokers(1) as cluster:
    cluster.pause(1)  # the hardest to be rid of
    print(*cluster.pids(), flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pids = [int(word) for word in process.stdout.readline().split()]
        assert pids
        assert all(map(alive, pids))
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not any(map(alive, pids)))


def test_a_broker_with_a_wrong_setting_says_which(apache_kafka: None) -> None:
    with (
        pytest.raises(RuntimeError, match=r"(?s)could not be formatted.*num\.io\.threads"),
        brokers(1, {"num.io.threads": 0}),
    ):
        pass


needs_stand_in = pytest.mark.skipif(program() is None, reason="noida-db is not installed")


@needs_stand_in
def test_what_stands_in_is_alive_and_speaks_kafka() -> None:
    with stand_in() as address, topic(address, "smoke") as producer:
        put(producer, "smoke", b"one")
        assert values(address, "smoke", 1) == [b"one"]


@pytest.mark.parametrize(
    ("environ", "lacking", "has_stand_in", "kind", "must"),
    [
        ({}, None, True, Kind.APACHE, False),
        ({}, "no java", True, Kind.STAND_IN, False),
        ({}, "no java", False, Kind.NONE, False),
        ({"CI": "true"}, None, True, Kind.APACHE, True),
        ({"CI": "true"}, "no java", True, Kind.NONE, True),
        ({"CI": "false"}, "no java", True, Kind.STAND_IN, False),
        ({"LYTTEPOST_TEST_KAFKA": "kafka:9092"}, "no java", True, Kind.GIVEN, False),
    ],
)
def test_off_ci_something_stands_in_and_on_ci_nothing_does(
    environ: dict[str, str], lacking: str | None, has_stand_in: bool, kind: Kind, must: bool
) -> None:
    choice = choose(environ, lacking, has_stand_in)
    assert (choice.kind, choice.must) == (kind, must)
    if kind in (Kind.STAND_IN, Kind.NONE):
        assert "no java" in choice.says


def listens(address: str) -> bool:
    host, _, port = address.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError:
        return False
    return True


@needs_stand_in
def test_all_workers_of_a_run_share_one_that_ends_with_the_run() -> None:
    with shared_folder() as folder, ThreadPoolExecutor(3) as workers:
        (address,) = set(workers.map(shared_stand_in, [folder] * 3))
        with topic(address, "smoke") as producer:
            put(producer, "smoke", b"one")
            assert values(address, "smoke", 1) == [b"one"]
    assert eventually(lambda: not listens(address))


@needs_stand_in
def test_what_is_shared_ends_with_a_run_that_is_killed() -> None:
    script = f"""
import sys, time
sys.path.insert(0, {str(HERE)!r})
from shared import shared, shared_folder, shared_stand_in
with shared_folder() as folder:
    print(folder, shared_stand_in(folder), flush=True)
    time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        folder, address = process.stdout.readline().split()
        assert listens(address)
        process.send_signal(signal.SIGKILL)
    assert eventually(lambda: not listens(address))
    shutil.rmtree(folder)


def test_one_that_does_not_start_says_why_to_each_worker() -> None:
    with shared_folder() as folder:
        for _ in range(2):
            with pytest.raises(RuntimeError, match="KeyError: 'none'"):
                shared(folder, "none")


@needs_stand_in
def test_the_header_says_what_stands_in(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", __file__],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "kafka: noida-db stands in" in done.stdout
    assert "apt-get install" in done.stdout
