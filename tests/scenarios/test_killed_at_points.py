"""`kill -9` at each named point loses nothing, doubles nothing, and changes no alert."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Deployment, Outcome, Recording, until
from killing import all_told, assert_as_undisturbed

from listener.crashpoints import POINTS

ONCE = {"bus.made", "bus.remembered"}
"""They are passed when a log is first made, before there is anything to lose: tests/contract/test_bus_history.py."""
ELSEWHERE = ("spool.", "deletions.", "expiry.", "highlights.", "backup.", "restore.")
"""Of the spool: test_kafka_away; of deletions, retention by source, highlights and backups, which no recording tells:
tests/ops/test_deletions.py, test_expiry.py, test_highlights_published.py and test_backup_faults.py there."""

TIMES = {"bus": (20, 45, 70), "capture": (1, 2, 2)}
"""At which time past it each process dies. To those of the bus all come; the recording is captured in two pieces."""


def nothing_left(deployment: Deployment, point: str) -> bool:
    """Whether it comes to the point no more. To those of the bus each process comes every second, whatever there is."""
    return not point.startswith("bus") and deployment.settled() and all_told(deployment)


@pytest.mark.long
@pytest.mark.parametrize("point", sorted(p for p in POINTS if not p.startswith(ELSEWHERE) and p not in ONCE))
def test_a_kill_at_a_named_point_leaves_what_an_undisturbed_run_leaves(
    deploy: Callable[..., Deployment], recording: Recording, undisturbed: tuple[Outcome, Path], point: str
) -> None:
    expected, key = undisturbed
    played = deploy("killed", recording=recording.path, speed="max", key=key)
    running = played.start(env={"LYTTEPOST_CRASH": ""})
    played.exercise()
    running.kill()
    died = 0
    for time_ in TIMES.get(point.partition(".")[0], (1, 2, 5)):
        crashing = played.start(env={"LYTTEPOST_CRASH": f"{point}:{time_}"}, wait=False)
        # A busy machine takes its time to come to the point.
        end = time.monotonic() + (8 if died else 60)
        while crashing.process.poll() is None and time.monotonic() < end and not (died and nothing_left(played, point)):
            time.sleep(0.05)
        if crashing.process.poll() is None:
            crashing.kill()
        else:
            assert crashing.process.returncode == -signal.SIGKILL, crashing.said
            died += 1
    running = played.start()
    played.wait_until_settled()
    until(lambda: all_told(played), 20, "the alerts are told", every=0.3)
    running.kill()
    assert died
    assert_as_undisturbed(played, expected, recording)
