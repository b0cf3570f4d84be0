"""The loudest tracks as metrics: how many posts, what is usual, never more series than fifty a source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isnan

from prometheus_client import CollectorRegistry

from alerts.rules.conditions.burst_detector import Tuning
from alerts.rules.conditions.series import MINUTE, Series
from alerts.volumes.track_metrics import MOST, SECONDS, STILL_SECONDS, TrackMetrics
from listener.runtime.metrics import Metrics

START = datetime(2031, 1, 13, tzinfo=UTC)


def series(*counts: int, start: datetime = START) -> Series:
    made = Series([Tuning()], None)
    for number, count in enumerate(counts):
        at = start + number * MINUTE
        list(made.count(at, count, at + timedelta(minutes=5), crisis=False))
    return made


class Shown:
    def __init__(self) -> None:
        self.metrics = Metrics(CollectorRegistry(), "0")
        self.tracks = TrackMetrics(self.metrics)
        self.now = 0.0

    def show(self, *found: tuple[str, str, Series], later: float = SECONDS) -> None:
        self.now += later
        self.tracks.show(found, self.now)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lyttepost_{name}", labels)

    def names(self) -> set[str]:
        (family,) = self.metrics.track_posts.collect()
        return {sample.labels["track"] for sample in family.samples}


def test_the_mean_of_five_minutes_stands_beside_what_is_usual() -> None:
    shown = Shown()
    shown.show(("x", "brann", series(*[2] * 120, 10, 12, 8, 10, 10)))
    assert shown.value("track_posts_per_minute", source="x", track="brann") == 10
    least, most = (
        shown.value("track_usual_posts_per_minute", source="x", track="brann", bound=bound)
        for bound in ("least", "most")
    )
    assert least is not None
    assert most is not None
    assert 0 <= least < 2 < most < 10
    assert shown.value("tracks_counted", source="x") == 1


def test_what_is_usual_is_unknown_at_first() -> None:
    shown = Shown()
    shown.show(("x", "brann", series(3)))
    usual = shown.value("track_usual_posts_per_minute", source="x", track="brann", bound="most")
    assert usual is not None
    assert isnan(usual)
    assert shown.value("track_posts_per_minute", source="x", track="brann") == 3


def test_of_a_thousand_tracks_fifty_have_series_the_loudest_and_who_falls_behind_has_none() -> None:
    shown, many = Shown(), [("x", f"spor {n}", series(n)) for n in range(1000)]
    shown.show(*many)
    assert shown.names() == {f"spor {n}" for n in range(1000 - MOST, 1000)}
    assert shown.value("tracks_counted", source="x") == 1000
    shown.show(*many[:-MOST], ("x", "ny", series(1)))
    assert shown.names() == {f"spor {n}" for n in range(1000 - 2 * MOST, 1000 - MOST)}
    (usual,) = shown.metrics.track_usual.collect()
    assert len(usual.samples) == 2 * MOST


def test_each_source_has_its_own_tracks() -> None:
    shown = Shown()
    shown.show(("x", "brann", series(1)), ("bluesky", "brann", series(4)))
    assert shown.value("track_posts_per_minute", source="bluesky", track="brann") == 4
    assert shown.value("track_posts_per_minute", source="x", track="brann") == 1


def test_a_track_that_is_not_counted_any_more_is_not_shown_beside_those_that_are() -> None:
    shown = Shown()
    shown.show(("x", "gammel", series(9)), ("x", "brann", series(1, start=START + timedelta(hours=2))))
    assert shown.names() == {"brann"}


def test_of_a_source_that_nobody_counts_nothing_is_shown_until_it_is_counted_again() -> None:
    shown, its = Shown(), series(5)
    shown.show(("x", "brann", its))
    shown.show(("x", "brann", its), later=STILL_SECONDS + 1)
    assert (shown.names(), shown.value("tracks_counted", source="x")) == (set(), 0)
    shown.show(("x", "brann", series(5, 5)))
    assert shown.names() == {"brann"}


def test_it_looks_no_more_often_than_it_must() -> None:
    shown = Shown()
    shown.show(("x", "brann", series(1)))
    shown.show(("x", "brann", series(1, 9)), later=SECONDS / 2)
    assert shown.value("track_posts_per_minute", source="x", track="brann") == 1
