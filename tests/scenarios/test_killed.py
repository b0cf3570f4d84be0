"""`kill -9` at any moment loses nothing, doubles nothing, and changes no alert."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Deployment, Outcome, Recording, Running, until
from killing import all_told, assert_as_undisturbed

KILLS = 20


@pytest.mark.long
def test_twenty_kills_at_any_moment_leave_what_an_undisturbed_run_leaves(
    deploy: Callable[..., Deployment], recording: Recording, undisturbed: tuple[Outcome, Path]
) -> None:
    rng = random.Random(20)
    expected, key = undisturbed
    played = deploy("killed", recording=recording.path, speed="600", key=key)
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
