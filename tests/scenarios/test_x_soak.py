"""An hour of X at its worst: every fault that the fake knows, in an order of the seed's, and `kill -9` among them.

What was said is captured once, or it lies in a recorded gap that X refuses to fill. Two seeds by default, each in a
process of its own; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from listener.model.gaps import Cause
from tests.soak.script import FAULTS, script

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 1 + int(os.environ.get("LYTTEPOST_SEEDS") or 2))
BATCH_SIZE = 2
QUIET = 0.02
"""Share of the hour that may be gaps without a cause in the script: a busy machine looks like a silent X."""
COLUMNS = (
    "seed", "faults", "kills", "offered", "live", "filled", "withdrawn", "in_gaps", "twice", "lost", "gaps",
    "open_gaps", "gap_share", "unexplained_seconds", "most_connects",
)  # fmt: skip


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    with ThreadPoolExecutor(BATCH_SIZE) as pool:
        out = list(pool.map(hour, SEEDS))
    print("\n" + table(out))
    return out


def hour(seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.play", "--seed", str(seed)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def table(outcomes: list[dict[str, Any]]) -> str:
    rows = [COLUMNS, *(tuple(_cell(o[name]) for name in COLUMNS) for o in outcomes)]
    return "\n".join("  ".join(cell.rjust(max(len(r[i]) for r in rows)) for i, cell in enumerate(row)) for row in rows)


def _cell(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


@pytest.mark.long
def test_nothing_is_lost_but_in_gaps_that_x_refuses_to_fill(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["lost"] == 0, f"seed {out['seed']}: {out['lost_posts']}"
        assert out["offered"] == out["live"] + out["filled"] + out["withdrawn"] + out["in_gaps"]
        assert out["refused"] or (out["in_gaps"], out["open_gaps"]) == (0, 0), f"seed {out['seed']}: {out['causes']}"
        assert out["live"] > out["offered"] / 10


@pytest.mark.long
def test_nothing_is_captured_twice(outcomes: list[dict[str, Any]]) -> None:
    assert [out["seed"] for out in outcomes if out["twice"]] == []


@pytest.mark.long
def test_every_gap_has_a_cause_and_none_begins_where_nothing_is_wrong(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert set(out["causes"]) <= set(Cause), f"seed {out['seed']}"
        assert out["unexplained_seconds"] <= QUIET * 3600, f"seed {out['seed']}: {out['unexplained']}"


@pytest.mark.long
def test_the_listener_was_killed_and_kept_within_the_connects_that_x_allows(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["kills"] >= 4, f"seed {out['seed']}"
        assert out["most_connects"] <= 50, f"seed {out['seed']}"


def test_a_seed_is_one_script_with_every_fault_in_an_order_of_its_own() -> None:
    one, same, other = script(1), script(1), script(2)
    assert one == same
    assert {fault.name for fault in one.faults} == FAULTS.keys()
    assert [fault.name for fault in one.faults] != [fault.name for fault in other.faults]
