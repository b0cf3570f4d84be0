"""`kill -9` at any moment loses nothing, doubles nothing, and changes no alert."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable

import pytest
from harness import Deployment, Outcome, Recording, Running, outcome, until

from listener.crashpoints import POINTS

KILLS = 20


@pytest.fixture(scope="module")
def undisturbed(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> tuple[Outcome, Deployment]:
    calm = Deployment(tmp_path_factory.mktemp("undisturbed"), recording.path, speed="max")
    running = calm.start()
    try:
        calm.exercise()
        calm.wait_until_settled()
    finally:
        running.kill()
    return outcome(calm), calm


def assert_as_undisturbed(disturbed: Deployment, expected: Outcome, recording: Recording) -> None:
    found = outcome(disturbed)
    assert sorted(found.mentions) == recording.keys
    assert set(found.mentions.values()) == {1}
    assert found.findings == expected.findings
    assert found.alerts == expected.alerts
    assert found.deadletters == expected.deadletters
    assert set(found.deadletters.values()) == {1}
    assert sum(found.deadletters.values()) == recording.garbage
    assert found.volumes == expected.volumes
    assert_told_once(disturbed)


def assert_told_once(deployment: Deployment) -> None:
    """Every alert that fired was told; what was told twice for one step said so."""
    fired = {a["id"] for a in deployment.values("alerts") if a["event"] == "fired"}
    deliveries = deployment.values("deliveries")
    assert deployment.sent() == fired
    intents = Counter(d["intent"] for d in deliveries if "outcome" not in d and not d["may_repeat"])
    assert set(intents.values()) <= {1}


def all_told(deployment: Deployment) -> bool:
    fired = {a["id"] for a in deployment.values("alerts") if a["event"] == "fired"}
    return fired <= deployment.sent()


@pytest.mark.slow
def test_twenty_kills_at_any_moment_leave_what_an_undisturbed_run_leaves(
    deploy: Callable[..., Deployment], recording: Recording, undisturbed: tuple[Outcome, Deployment]
) -> None:
    rng = random.Random(20)
    expected, calm = undisturbed
    played = deploy("killed", recording=recording.path, speed="600", key=calm.key)
    running = played.start()
    played.exercise()
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.0, 1.4))
        running.kill()
        running = played.start(wait=rng.random() < 0.8)
    running = running if running.port else restart(played, running)
    played.wait_until_settled()
    until(lambda: all_told(played), 20, "the alerts are told", every=0.3)
    running.kill()
    assert_as_undisturbed(played, expected, recording)


def restart(deployment: Deployment, running: Running) -> Running:
    running.kill()
    return deployment.start()


ONCE = {"bus.made", "bus.remembered"}
"""They are passed when a log is first made, before there is anything to lose: tests/contract/test_bus_history.py."""
ELSEWHERE = ("spool.", "deletions.")
"""Of the spool: test_kafka_away; of deletions, which no recording tells: tests/ops/test_deletions.py."""


@pytest.mark.slow
@pytest.mark.parametrize("point", sorted(p for p in POINTS if not p.startswith(ELSEWHERE) and p not in ONCE))
def test_a_kill_at_a_named_point_leaves_what_an_undisturbed_run_leaves(
    deploy: Callable[..., Deployment], recording: Recording, undisturbed: tuple[Outcome, Deployment], point: str
) -> None:
    expected, calm = undisturbed
    played = deploy("killed", recording=recording.path, speed="max", key=calm.key)
    running = played.start(env={"LYTTEPOST_CRASH": ""})
    played.exercise()
    running.kill()
    died = 0
    for time_ in (1, 2, 5) if not point.startswith("bus") else (20, 45, 70):
        crashing = played.start(env={"LYTTEPOST_CRASH": f"{point}:{time_}"}, wait=False)
        try:
            # A busy machine takes its time to come to the point.
            assert crashing.process.wait(8 if died else 60) == -signal.SIGKILL
            died += 1
        except Exception:  # there was nothing left to do that often
            crashing.kill()
    running = played.start()
    played.wait_until_settled()
    until(lambda: all_told(played), 20, "the alerts are told", every=0.3)
    running.kill()
    assert died
    assert_as_undisturbed(played, expected, recording)
