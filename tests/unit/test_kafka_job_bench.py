"""The bench's own judgement of who is right, and that our program is: no Kafka needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import pytest

from listener.bus.protocol import Bus, Message, open_bus
from listener.clock import SystemClock
from tests.bench.kafka_job.broker import specs
from tests.bench.kafka_job.data import (
    BYTES,
    OUT_OF_ORDER,
    PARTITIONS,
    Due,
    Put,
    Score,
    due,
    phrases,
    posts,
    score,
    threshold,
)
from tests.bench.kafka_job.measure import measured
from tests.bench.kafka_job.programs.ours import Job

SAID = phrases(20)


def post(at: str, text: str) -> bytes:
    return json.dumps({"id": "1", "at": at, "text": text}).encode()


def test_a_minute_counts_what_was_said_in_it_and_the_threshold_itself_is_enough() -> None:
    said = ["kø nordby", "brann"]
    values = [
        post("2031-01-11T19:00:00.000Z", "Kø Nordby, og brann!"),
        post("2031-01-11T19:00:59.999Z", "lang kø nordby 🙏"),
        post("2031-01-11T19:01:00.000Z", "kø nordby"),
        post("2031-01-11T19:00:30.000Z", "brannen, kø i nordby, køa nordby, ubrann"),
    ]
    minute = int(datetime.fromisoformat("2031-01-11T19:00:00Z").timestamp())
    assert due(values, said, 2) == {Due("kø nordby", minute)}
    assert due(values, said, 1) == {Due("kø nordby", minute), Due("kø nordby", minute + 60), Due("brann", minute)}


def test_an_alert_sent_twice_is_wrong_once_and_one_not_due_is_wrong() -> None:
    right = {Due("a", 0), Due("b", 0), Due("c", 0)}
    told = [Due("a", 0), Due("a", 0), Due("b", 0), Due("b", 60)]
    assert score(told, right) == Score(right=2, wrong=2, missing=1)


def test_the_posts_are_the_same_for_a_seed_and_of_the_size_and_disorder_that_is_said() -> None:
    made = list(posts(3_000, SAID, 7))
    assert made == list(posts(3_000, SAID, 7)) != list(posts(3_000, SAID, 8))
    assert {len(put.value) for put in made} == {BYTES}
    newest: Counter[int] = Counter()
    behind = 0.0
    for put in made:
        at = datetime.fromisoformat(json.loads(put.value)["at"]).timestamp()
        behind = max(behind, newest[put.partition] - at)
        newest[put.partition] = max(newest[put.partition], at)  # type: ignore[assignment]
    assert 0.5 < behind <= OUT_OF_ORDER


def test_ten_thousand_phrases_differ_and_begin_with_the_fewer() -> None:
    assert len(set(phrases(10_000))) == 10_000
    assert phrases(10_000)[:20] == SAID


@pytest.fixture(scope="module")
def made() -> list[Put]:
    return list(posts(20_000, SAID))


@pytest.fixture(scope="module")
def right(made: list[Put]) -> set[Due]:
    return due((put.value for put in made), SAID, threshold(len(SAID)))


@pytest.fixture
def bus(tmp_path: Path, made: list[Put]) -> Iterator[Bus]:
    """The posts lie there, and are given one partition after the other, by the thousand."""
    with closing(open_bus("embedded:", tmp_path, SystemClock(), durable=False)) as opened:
        opened.ensure(specs({"posts": PARTITIONS, "told": 1}))
        opened.publish([Message("posts", put.key.decode(), put.value, put.partition) for put in made])
        yield opened


def work(bus: Bus, until: int) -> Job:
    """Whoever is killed commits what is in the middle of its minutes, and does not close."""
    job = Job(bus, "posts", "told", SAID, threshold(len(SAID)))
    seen = -1
    while seen != sum(job.next.values()) and sum(job.next.values()) < until:
        seen = sum(job.next.values())
        job.step(0.0)
        job.commit()
    return job


def told(bus: Bus) -> list[Due]:
    reader = bus.reader(["told"])
    found = [json.loads(record.value or b"{}") for record in reader.poll(0.0, 10_000)]
    reader.close()
    return [Due(alert["phrase"], alert["minute"]) for alert in found]


@pytest.mark.parametrize("kills", [0, 4])
def test_our_alerts_are_right_whatever_the_partitions_order_and_the_kills(
    bus: Bus, made: list[Put], right: set[Due], kills: int
) -> None:
    for kill in range(1, kills + 1):
        work(bus, len(made) * kill // (kills + 1))
    job = work(bus, len(made) + 1)
    assert job.late == 0
    assert score(told(bus), right) == Score(len(right), 0, 0)
    assert len(right) > 20


# --- what a peer leaves behind ----------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[2]
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    sys.exit(0) if sys.argv[2] == "leaves" else time.sleep(600)
os.setsid()
if os.fork():
    time.sleep(600)
with open(sys.argv[1], "a") as file:
    print(os.getpid(), os.getppid(), file=file)
time.sleep(600)
"""
"""A peer that ends, or not, and leaves children in a session of their own."""

BENCH = """
import subprocess, sys, time
from tests.bench.leftovers import nothing_left
with nothing_left():
    subprocess.Popen([sys.executable, "-c", sys.argv[1], sys.argv[2], "stays"])
    while not open(sys.argv[2], "a+").tell():
        time.sleep(0.02)
    print("started", flush=True)
    if sys.argv[3] == "error":
        raise KeyError("the bench is wrong")
    time.sleep(600 if sys.argv[3] == "killed" else 0)
"""


def left(listed: Path) -> list[int]:
    """Of those that were started, who still runs."""
    return [pid for pid in map(int, listed.read_text().split()) if runs(pid)]


def runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def listed(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "pids"
    path.touch()
    yield path
    for pid in left(path):
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("end", ["over", "error", "killed"])
def test_whatever_a_bench_started_ends_with_it(listed: Path, end: str) -> None:
    command = [sys.executable, "-c", BENCH, STUBBORN, str(listed), end]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bench:
        assert bench.stdout
        assert bench.stdout.readline() == "started\n"
        assert end != "killed" or left(listed)
        if end == "killed":
            bench.kill()
    deadline = time.monotonic() + 20
    while left(listed):
        assert time.monotonic() < deadline, "it has outlived its bench"
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize("way", ["leaves", "stays"])
def test_no_process_of_a_peer_outlives_its_measurement(listed: Path, way: str) -> None:
    cost = measured([sys.executable, "-c", STUBBORN, str(listed), way], os.environ, 3.0)
    assert ("did not end" in cost.problem) == (way == "stays")
    assert left(listed) == []
