"""Instagram at its worst: every fault that its fake knows, in an order of the seed's, and `kill -9` among them.

What was said is captured once, lies in a recorded gap, or is a mention that nobody was told of; not one call is made
before the time that Meta tells; and of comments that were deleted no byte is left. One seed by default, in a process of
its own; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
"""

from __future__ import annotations

from typing import Any

import pytest

from listener.model.gaps import Cause
from tests.soak.instagram import FAULTS, MENDED, script
from tests.soak.seeds import outcomes_of


@pytest.fixture(scope="module")
def outcomes() -> list[dict[str, Any]]:
    return outcomes_of("tests.soak.instagram")


@pytest.mark.long
def test_what_was_said_is_captured_once_or_lies_in_a_recorded_gap_or_was_told_to_nobody(
    outcomes: list[dict[str, Any]],
) -> None:
    for out in outcomes:
        assert out["lost"] == 0, f"seed {out['seed']}: {out['lost_posts']}"
        assert out["offered"] == out["captured"] + out["in_gaps"] + out["untold"]
        assert out["twice"] == 0, f"seed {out['seed']}"
        assert out["captured"] > 200
        assert set(out["causes"]) <= set(Cause)


@pytest.mark.long
def test_not_one_call_comes_before_the_time_told_and_no_picture_is_asked_for(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["kills"] >= 4, f"seed {out['seed']}"
        assert out["too_early"] == 0, f"seed {out['seed']}"
        assert out["pictures"] == 0


@pytest.mark.long
def test_of_comments_that_were_deleted_no_byte_is_in_the_folder(outcomes: list[dict[str, Any]]) -> None:
    for out in outcomes:
        assert out["deleted"] > 10
        assert out["left"] == 0, f"seed {out['seed']}: {out['left_posts']}"


def test_a_seed_of_instagram_is_one_order_of_every_fault() -> None:
    assert script(1) == script(1)
    assert {fault.name for _, fault in script(1)} == {fault.name for fault in FAULTS} >= MENDED.keys()
    assert [fault.name for _, fault in script(1)] != [fault.name for _, fault in script(2)]
