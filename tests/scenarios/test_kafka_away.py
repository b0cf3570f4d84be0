"""A broker dies while X goes on talking, and the listener is killed in the middle: all that was offered is captured
once, or it lies in a recorded gap."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from broker import Cluster, brokers
from harness import Deployment, until

from listener.units import parse_instant
from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
A_SECOND = 20
"""Posts."""
AWAY_SECONDS = 8.0
"""Stands for ten minutes: what takes long is not the waiting."""


@pytest.fixture(scope="module")
def lone(apache_kafka: None) -> Iterator[Cluster]:
    with brokers(1) as cluster:
        yield cluster


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX(bearer=TOKEN, keep_alive=5.0) as made:
        yield made


class Crowd:
    """Talks without a pause until told to be quiet."""

    def __init__(self, fake: FakeX) -> None:
        self._fake = fake
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._talk)
        self._thread.start()

    def _talk(self) -> None:
        number = 0
        while not self._quiet.wait(1 / A_SECOND):
            number += 1
            self._fake.post(f"det brenner i granvik, post {number}")

    def hush(self) -> None:
        self._quiet.set()
        self._thread.join()


def listening(deploy: Callable[..., Deployment], lone: Cluster, fake: FakeX, crash: str) -> Deployment:
    deployment = deploy("away", settings={
        "BUS__URL": f"{lone.url}?prefix=away{len(crash)}", "X__BASE_URL": fake.url, "X__BEARER_TOKEN": TOKEN
    })  # fmt: skip
    running = deployment.start("--role", "listener", env={"LYTTEPOST_CRASH": crash})
    words = ("--name", "Granvik", "--track", "granvik", "--why", "prøve", "--no-wait", "--lookback", "0s")
    done = deployment.command("mode", "crisis", *words)
    assert done.returncode == 0, done.stderr
    until(lambda: running.metric("lyttepost_source_state", source="x", state="listening") == 1, 40, "X is heard")
    return deployment


def spool(deployment: Deployment) -> Path:
    return deployment.data / "spool-x.jsonl"


def unaccounted(deployment: Deployment, fake: FakeX) -> list[str]:
    """Posts that were offered and are neither captured nor inside a recorded gap."""
    captured = captures(deployment)
    gaps = {gap["id"]: gap for gap in deployment.values("gaps")}.values()
    return [
        post.id
        for post in fake.world.posts.values()
        if not captured[post.id] and not any(_inside(post.published_at, gap) for gap in gaps)
    ]


def _inside(at: datetime, gap: dict[str, str]) -> bool:
    slack = timedelta(seconds=1)
    return parse_instant(gap["from"]) - slack <= at and ("to" not in gap or at <= parse_instant(gap["to"]) + slack)


def captures(deployment: Deployment) -> Counter[str]:
    return Counter(str(value["id"]) for value in deployment.values("mentions", "mention"))


@pytest.mark.long
@pytest.mark.parametrize("killed", [False, True], ids=["it goes on", "it is killed meanwhile"])
def test_what_x_says_while_the_broker_is_dead_is_captured_once_or_in_a_gap(
    deploy: Callable[..., Deployment], lone: Cluster, fake: FakeX, killed: bool
) -> None:
    deployment = listening(deploy, lone, fake, "spool.kept:30" if killed else "")
    running = deployment.running[-1]
    crowd = Crowd(fake)
    try:
        until(lambda: running.metric("lyttepost_mentions_published_total") > A_SECOND, 20, "it hears")
        lone.kill(1)
        dead = len(fake.world.posts)
        until(lambda: running.get("/readyz")[0] == 503, 15, "it says that the bus is away")
        if not killed:
            until(lambda: running.metric("lyttepost_spool_bytes", source="x") > 0, 30, "it keeps what it hears")
            assert "are kept on disk" in running.get("/readyz")[1]
        time.sleep(AWAY_SECONDS)
        if killed:
            assert running.process.wait(90) == -signal.SIGKILL
            assert spool(deployment).stat().st_size
            early = deployment.start("--role", "listener", env={"LYTTEPOST_CRASH": "spool.drained"})
            until(lambda: "waits for the bus" in early.get("/readyz")[1], 30, "it says what it waits for")
            assert early.get("/healthz")[0] == 200
            assert "Traceback" not in early.said
        else:
            assert running.get("/healthz")[0] == 200
        lone.start(1)
        if killed:
            assert early.process.wait(90) == -signal.SIGKILL
            running = deployment.start("--role", "listener")
        until(lambda: not spool(deployment).read_bytes(), 60, "what was kept is on the bus")
        until(lambda: running.metric("lyttepost_source_state", source="x", state="listening") == 1, 40, "X is heard")
    finally:
        crowd.hush()
    until(lambda: not unaccounted(deployment, fake), 60, "all is captured or in a gap", every=0.5)
    until(lambda: running.get("/readyz")[0] == 200, 30, "it is ready again")
    captured = captures(deployment)
    assert set(captured.values()) == {1}
    meanwhile = list(fake.world.posts)[dead : dead + round(AWAY_SECONDS / 2 * A_SECOND)]
    kept = [value for value in deployment.values("mentions", "mention") if value["id"] in meanwhile]
    assert len(kept) > len(meanwhile) / 2
    assert {value["origin"] for value in kept} <= {"live", "gap_fill"}
    causes = {gap["cause"] for gap in deployment.values("gaps")}
    assert "bus_away" not in causes
    assert ("process_down" in causes) == killed
