"""Feeds at their worst: every fault that a fake publisher knows, in an order of the seed's, and `kill -9` among them.

What was published is captured once or lies in a recorded gap of its own feed. One seed by default, in a process of its
own; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
"""

from __future__ import annotations

from typing import Any

import pytest

from listener.model.gaps import Cause
from tests.soak.feeds import FAULTS, script
from tests.soak.seeds import outcomes_of


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    return outcomes_of("tests.soak.feeds")


@pytest.mark.long
def test_what_was_published_is_captured_once_or_lies_in_a_gap_of_its_own_feed(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["lost"] == 0, f"seed {out['seed']}: {out['lost_posts']}"
        assert out["offered"] == out["captured"] + out["in_gaps"]
        assert out["twice"] == 0, f"seed {out['seed']}"
        assert out["captured"] > 100
        assert set(out["causes"]) <= set(Cause)


@pytest.mark.long
def test_the_listener_was_killed_and_edits_were_captured(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["kills"] >= 2, f"seed {out['seed']}"  # one that comes while it is down kills nobody
        assert out["edits"] > 0, f"seed {out['seed']}"


def test_a_seed_is_one_order_of_every_fault() -> None:
    assert script(1) == script(1)
    assert {fault.name for _, fault in script(1)} == {fault.name for fault in FAULTS}
    assert [fault.name for _, fault in script(1)] != [fault.name for _, fault in script(2)]
