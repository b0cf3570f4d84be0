"""Listener, two annotators and two rules workers on three brokers, under load; one of each kind and a broker are killed
and started again. All that was offered is captured, nothing is there twice, and every alert is the one that an
undisturbed run gives: `cast.py` says what that means.

`LYTTEPOST_SEEDS=20` runs so many and prints a table; `LYTTEPOST_RATE` is posts a second.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from broker import Cluster
from cast import RATE, Cast, Played, play
from harness import Deployment

SEEDS = int(os.environ.get("LYTTEPOST_SEEDS", "1"))
LOAD_SECONDS = 13.0
KILLS_WITHIN = 8.0


@dataclass(frozen=True)
class Blow:
    """Who is killed when, and how long it stays dead. Seconds since the load began."""

    at: float
    whom: str
    number: int
    dead: float

    def __str__(self) -> str:
        return f"{self.whom}{self.number}@{self.at:.1f}+{self.dead:.1f}"


def blows(seed: int) -> list[Blow]:
    rng = random.Random(1000 + seed)
    of = {"listener": 1, "annotate": 2, "judge": 2, "broker": 3}
    whom = [(who, rng.randint(1, count)) for who, count in of.items()]
    return sorted(
        (Blow(rng.uniform(1.0, KILLS_WITHIN), who, n, rng.uniform(0.0, 2.0)) for who, n in whom), key=lambda b: b.at
    )


def strike(cast: Cast, blow: Blow) -> None:
    """Kill it now; it is started again in a thread of its own."""
    if blow.whom == "broker":
        cast.cluster.kill(blow.number)
    else:
        cast.players[blow.whom, blow.number].kill()
    cast.raise_later(blow.dead, blow.whom, blow.number)


def struck_all(cast: Cast, plan: Sequence[Blow]) -> str:
    """Each at its second of the load."""
    start = time.monotonic()
    for blow in plan:
        time.sleep(max(0.0, start + blow.at - time.monotonic()))
        strike(cast, blow)
    time.sleep(max(0.0, start + LOAD_SECONDS - time.monotonic()))
    return f"killed at second+dead for: {' '.join(map(str, plan))}"


@pytest.mark.long
def test_whoever_is_killed_all_is_captured_once_and_every_alert_is_as_undisturbed(
    three_brokers: Cluster, tmp_path: Path, deploy: Callable[..., Deployment], capsys: pytest.CaptureFixture[str]
) -> None:
    first = int(os.environ.get("LYTTEPOST_FIRST_SEED", "1"))
    table: list[Played] = []
    for seed in range(first, first + SEEDS):
        table.append(
            play(
                seed, three_brokers, tmp_path / str(seed), deploy, lambda cast, seed=seed: struck_all(cast, blows(seed))
            )
        )
        with capsys.disabled():
            print(*([Played.HEAD] if seed == first else []), table[-1], sep="\n", flush=True)
    assert all(played.offered > LOAD_SECONDS * RATE / 2 for played in table)
    assert all(played.alerts > 100 for played in table), "the rules say little: they would show little"
    assert [p for p in table if p.missing or p.twice or p.differing or p.deadletters or p.lag] == []
