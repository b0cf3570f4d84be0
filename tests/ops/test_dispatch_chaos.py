"""Channels that fail and a dispatcher that is killed: no alert is lost, and nobody hears the same twice unmarked.

`python -m tests.bench.dispatch_chaos` is the same with a thousand alerts and ten kills.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.dispatch_chaos import PLACES, run
from tests.bench.leftovers import nothing_left


@pytest.mark.long
def test_every_alert_is_answered_or_still_escalates_and_nothing_comes_twice_unmarked(tmp_path: Path) -> None:
    with nothing_left():
        out = run(tmp_path, alerts=40, kills=3)
    assert (out.never_arrived, out.lost, out.twice) == ([], [], [])
    assert out.answered + out.escalating == 40
    # That it was put to the test: all channels were used, some failed, and messages in flight were lost sight of.
    assert set(out.arrived) == set(PLACES)
    assert out.kills == 3
    assert len(out.faults) > 5
    assert out.repeats > 0
