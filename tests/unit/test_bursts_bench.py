"""The bench of burst detection: what its points are, that its worlds repeat, and that what is compared works."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.bursts import artime, context
from tests.bench.bursts.__main__ import ranks
from tests.bench.bursts.detectors import Detector, ensemble, robust_z, seasonal_tail, starts
from tests.bench.bursts.scoring import World, total, windows_around
from tests.bench.bursts.worlds import ROWS, Maker

WORLD = World("made up", "plain", np.ones(10_000), [(3_000, 3_499), (6_000, 6_499)])


def test_never_to_speak_is_worth_nothing_and_the_first_row_of_each_window_a_hundred() -> None:
    assert WORLD.score([]).points == 0
    assert WORLD.score([3_000, 6_000]).points == pytest.approx(100)


def test_a_hit_is_worth_the_more_the_earlier_and_counts_once() -> None:
    early, late = WORLD.score([3_010]), WORLD.score([3_490])
    assert 0 < late.raw + 2 < early.raw + 2 < 2
    assert WORLD.score([3_010, 3_200, 3_400]) == early


def test_a_false_row_costs_a_ninth_of_a_hit_at_most_and_less_just_after_a_window() -> None:
    far, near = WORLD.score([2_000]).raw + 2, WORLD.score([3_520]).raw + 2
    assert far == pytest.approx(-0.11)
    assert -0.11 < near < 0


def test_false_rows_within_an_hour_are_one_alarm_and_the_probation_does_not_count() -> None:
    assert WORLD.score([2_000, 2_005, 2_010, 2_500]).false_alarms == 2
    assert WORLD.score([10, 700]).false_alarms == 0
    assert total([WORLD.score([2_000])] * 3).a_week == pytest.approx(2_016 / 10_000)


def test_windows_share_a_tenth_of_the_rows_and_those_that_meet_are_one() -> None:
    assert windows_around([5_000, 2_000], 10_000) == [(1_750, 2_250), (4_750, 5_250)]
    assert windows_around([2_000, 2_300], 10_000) == [(1_750, 2_550)]


def test_worlds_are_the_same_for_the_same_seed_and_their_bursts_can_be_found() -> None:
    first, again = (Maker(7, None).worlds(2) for _ in range(2))
    assert [world.kind for world in first] == ["made up", "quiet"] * 2
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.counts, other.counts)
        assert len(one.counts) == ROWS
        assert one.counts.min() >= 0
        assert all(one.probation < last < ROWS for _, last in one.windows)
    assert first[0].windows
    assert not first[1].windows


@pytest.mark.parametrize("detector", [robust_z, seasonal_tail, ensemble, artime.scores, context.scores])
def test_what_is_compared_finds_a_plain_burst(detector: Detector) -> None:
    counts = np.random.default_rng(3).poisson(5.0, 1_500).astype(float)
    counts[1_200:1_206] += 200
    scores = detector(counts)
    assert len(scores) == len(counts)
    assert 1_195 <= int(np.argmax(scores)) <= 1_215


def test_an_alarm_goes_on_until_three_hours_were_quiet() -> None:
    scores = np.zeros(200)
    scores[[10, 30, 50, 100]] = 1.0
    assert starts(scores, 0.5) == [10, 100]


def test_who_is_best_has_rank_one_and_equals_share() -> None:
    assert ranks({"a": [1.0, 1.0], "b": [0.0, 1.0]}) == {"a": 1.25, "b": 1.75}
