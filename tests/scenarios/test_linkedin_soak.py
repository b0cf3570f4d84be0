"""LinkedIn at its worst: every fault that its fake API knows, in an order of the seed's, and `kill -9` among them.

What was written is captured once, for the API keeps it, and of what was deleted no byte is left. One seed by default,
in a process of its own; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
"""

from __future__ import annotations

from typing import Any

import pytest

from listener.model.gaps import Cause
from tests.soak.linkedin import FAULTS, SPENT, script
from tests.soak.seeds import outcomes_of


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    return outcomes_of("tests.soak.linkedin")


@pytest.mark.long
def test_what_was_written_is_captured_once_and_every_gap_is_filled(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["lost"] == 0, f"seed {out['seed']}: {out['lost_posts']}"
        assert out["offered"] == out["captured"]
        assert (out["in_gaps"], out["open_gaps"]) == (0, 0), f"seed {out['seed']}"
        assert out["twice"] == 0, f"seed {out['seed']}"
        assert out["captured"] > 100
        assert set(out["causes"]) <= set(Cause)


@pytest.mark.long
def test_what_was_deleted_is_in_no_byte_of_the_folder(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["deleted"] > 10
        assert out["left"] == 0, f"seed {out['seed']}"


@pytest.mark.long
def test_the_listener_was_killed_and_edits_were_captured(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["kills"] >= 2, f"seed {out['seed']}"  # one that comes while it is down kills nobody
        assert out["edits"] > 5, f"seed {out['seed']}"


def test_a_seed_is_one_order_of_every_fault_with_the_calls_spent_before_midnight() -> None:
    assert script(1) == script(1)
    assert {fault.name for _, fault in script(1)} == {fault.name for fault in (*FAULTS, SPENT)}
    assert [fault.name for _, fault in script(1)] != [fault.name for _, fault in script(2)]
