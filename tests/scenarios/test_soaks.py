"""Each source at its worst: every fault that its fake platform knows, in an order of the seed's, and kills among them.

What was said is captured once or lies in a recorded gap, and of what was deleted no byte is left. One seed of each by
default, in a process of its own; `LYTTEPOST_SEEDS=20` plays so many and prints what became of each (`pytest -s`).
X's is longer, and has a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import pytest

from listener.model.gaps import Cause
from tests.soak.seeds import outcomes_of


@dataclass(frozen=True)
class Soak:
    """`least`: what must have happened so often, or the trial proves nothing. `most`: what may happen no oftener,
    beside what may not at any source. `beside`: what is played out of order."""

    least: Mapping[str, int]
    most: Mapping[str, int] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


ALL_FILLED = {"in_gaps": 0, "open_gaps": 0}
"""The platform keeps what was said, so that every gap is filled."""
SOAKS: Mapping[str, Soak] = {
    # What was deleted in a gap that no host keeps stays.
    "bluesky": Soak({"captured": 100, "deleted": 10, "kills": 3, "edits": 5}, {"unheard": 9}),
    # One that comes while it is down kills nobody.
    "facebook": Soak({"captured": 100, "deleted": 10, "kills": 2, "edits": 5}),
    # A feed tells of nothing that was deleted.
    "feeds": Soak({"captured": 100, "kills": 2, "edits": 1}),
    # Mentions that nobody was told of cannot be found; not one call comes before the time told, and no picture is asked
    # for.
    "instagram": Soak({"captured": 200, "deleted": 10, "kills": 4}, {"too_early": 0, "pictures": 0}),
    "linkedin": Soak({"captured": 100, "deleted": 10, "kills": 2, "edits": 5}, ALL_FILLED, ("SPENT",)),
    "mastodon": Soak({"captured": 100, "deleted": 10, "kills": 3, "edits": 5}),
    "youtube": Soak({"captured": 100, "deleted": 10, "kills": 2, "edits": 5}, ALL_FILLED, ("SPENT",)),
}
AT_ONCE = 3
BY_SOURCE = pytest.mark.parametrize("source", SOAKS)


Played = Mapping[str, "Future[list[dict[str, Any]]]"]


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Iterator[Played]:
    """What becomes of the sources whose tests were chosen: each waits most of its time, so some are played at once."""
    here = [item for item in request.session.items if item.path == request.path and isinstance(item, pytest.Function)]
    chosen = dict.fromkeys(item.callspec.params["source"] for item in here if item.get_closest_marker("long"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {source: pool.submit(outcomes_of, f"tests.soak.{source}") for source in chosen}


@pytest.mark.long
@BY_SOURCE
def test_what_was_said_is_captured_once_or_lies_in_a_recorded_gap(source: str, played: Played) -> None:
    for out in played[source].result():
        assert out["lost"] == 0, f"seed {out['seed']}: {out['lost_posts']}"
        assert out["offered"] == out["captured"] + out["in_gaps"] + out.get("untold", 0)
        assert out["twice"] == 0, f"seed {out['seed']}"
        assert set(out["causes"]) <= set(Cause)


@pytest.mark.long
@BY_SOURCE
def test_what_was_deleted_is_in_no_byte_of_the_folder(source: str, played: Played) -> None:
    for out in played[source].result():
        assert out["left"] == 0, f"seed {out['seed']}: {out.get('left_posts')}"


@pytest.mark.long
@BY_SOURCE
def test_enough_of_everything_happened(source: str, played: Played) -> None:
    its = SOAKS[source]
    for out in played[source].result():
        for what, least in its.least.items():
            assert out[what] >= least, f"seed {out['seed']}: {what}"
        for what, most in its.most.items():
            assert out[what] <= most, f"seed {out['seed']}: {what}"


@BY_SOURCE
def test_a_seed_is_one_order_of_every_fault(source: str) -> None:
    soak = import_module(f"tests.soak.{source}")
    faults = (*soak.FAULTS, *(getattr(soak, name) for name in SOAKS[source].beside))
    assert soak.script(1) == soak.script(1)
    assert {fault.name for _, fault in soak.script(1)} == {fault.name for fault in faults}
    assert [fault.name for _, fault in soak.script(1)] != [fault.name for _, fault in soak.script(2)]
