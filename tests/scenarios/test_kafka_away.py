"""A broker dies while X goes on talking, and the listener is killed in the middle: all that was offered is captured
once, or it lies in a recorded gap."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest
from broker import Cluster, brokers
from crowd import A_SECOND, TOKEN, Crowd, captures, spool, unaccounted
from harness import Deployment, until

from tests.fakes.x import FakeX

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
