"""`flatline` and `spike`: levels that time alone can bring."""

from __future__ import annotations

from datetime import timedelta

import pytest
from rules_support import finding, gap, instant, judge, lookback, rule, said, tick

from alerts.rules.verdict import Reason
from listener.model.records import Event, Finding, Gap, Origin, Tick

QUIET = rule("flatline", timeframe="30s", threshold=2, realert="0s")
SPIKE = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="both", realert="0s")
Records = list[Finding | Tick | Gap]


def posts(*times: float, **more: object) -> Records:
    return [finding(at, f"p{at}{more.get('source', '')}{more.get('author', '')}", **more) for at in times]


# --- flatline ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("until", "fires"), [(59.999, False), (60, True), (60.001, True)])
def test_silence_is_reported_at_the_very_instant_at_which_too_few_are_left(until: float, fires: bool) -> None:
    verdicts = judge(QUIET, [tick(0), *posts(0, 10, 30, 31), tick(until)])
    assert said(verdicts) == ([("fired", 60.0)] if fires else [])


def test_as_many_as_the_threshold_are_not_too_few() -> None:
    assert judge(QUIET, [tick(0), *posts(*range(0, 300, 15)), tick(299)]) == []


def test_silence_resolves_when_the_threshold_is_reached_again_and_counts_what_there_is() -> None:
    verdicts = judge(QUIET, [tick(0), *posts(0, 5, 40, 41), tick(60)])
    assert said(verdicts) == [("fired", 30.0), ("resolved", 41.0)]
    assert [(v.reason, v.count, v.baseline) for v in verdicts] == [
        (Reason.FLATLINE, 1, 2.0),
        (Reason.FLATLINE_OVER, 2, 2.0),
    ]
    assert verdicts[0].alert_id == verdicts[1].alert_id
    assert verdicts[0].first_seen == instant(0)


def test_an_empty_start_is_silence_after_one_timeframe_of_hearing() -> None:
    assert judge(QUIET, [tick(0), tick(29.9)]) == []
    assert said(judge(QUIET, [tick(0), tick(30)])) == [("fired", 30)]


def test_ticks_without_posts_fire_once() -> None:
    assert said(judge(QUIET, [tick(at) for at in range(0, 600, 7)])) == [("fired", 30)]


def test_each_key_falls_silent_by_itself_and_an_unseen_key_never() -> None:
    spec = rule("flatline", timeframe="30s", threshold=1, query_key="source", realert="0s")
    records = [*posts(0, source="x"), *posts(5, 20, source="y"), tick(100), tick(100, "y")]
    assert [(v.key, v.at) for v in judge(spec, records)] == [("x", instant(30)), ("y", instant(50))]


def test_a_key_that_is_forgotten_is_reported_once_and_again_when_it_was_seen_again() -> None:
    spec = rule("flatline", timeframe="30s", threshold=1, query_key="author", forget_keys=True, realert="0s")
    records = [*posts(0, author="a"), tick(500), *posts(510, author="a"), tick(900)]
    assert said(judge(spec, records)) == [("fired", 30.0), ("fired", 540.0)]


@pytest.mark.parametrize("closes", [35, 61, 95])
def test_over_a_gap_silence_is_held_once_and_fires_when_the_gap_has_left_the_window(closes: float) -> None:
    records: Records = [tick(0), tick(0, "y"), *posts(1, 2), gap(20, None), *(tick(at, "y") for at in range(21, 90, 3))]
    records += [gap(20, closes), *(tick(at, source) for at in range(90, 200, 3) for source in "xy")]
    verdicts = judge(QUIET, records)
    assert [(v.event, v.reason) for v in verdicts] == [
        (Event.SUPPRESSED, Reason.GAP),
        (Event.FIRED, Reason.FLATLINE),
    ]
    assert said(verdicts)[1] == ("fired", closes + 30)


def test_a_gap_after_which_all_is_well_is_reported_and_no_more() -> None:
    records = [tick(0), tick(0, "y"), *posts(1, 2), gap(20, 70), *posts(71, 72, 90, 95), tick(99), tick(99, "y")]
    verdicts = judge(QUIET, records)
    assert [(v.event, v.reason) for v in verdicts] == [(Event.SUPPRESSED, Reason.GAP)]


def test_a_gap_of_a_source_that_the_rule_does_not_listen_to_holds_nothing() -> None:
    spec = rule("flatline", timeframe="30s", threshold=1, realert="0s", filter={"source": "y"})
    assert said(judge(spec, [tick(0, "y"), gap(10, None, "x"), tick(40, "y")])) == [("fired", 30)]


def test_a_keys_gap_is_its_own_sources() -> None:
    spec = rule("flatline", timeframe="30s", threshold=1, query_key="source", realert="0s")
    records = [*posts(0, source="x"), *posts(0, source="y"), gap(10, None, "x"), tick(50, "y")]
    assert [(v.key, v.reason) for v in judge(spec, records)] == [("x", Reason.GAP), ("y", Reason.FLATLINE)]


def test_lookback_fills_the_window_of_silence_and_never_falls_silent_by_itself() -> None:
    spec = rule("flatline", timeframe="30s", threshold=1, query_key="author", realert="0s")
    verdicts = judge(spec, [tick(0), lookback(-20, author="a"), finding(1, author="b"), tick(29)])
    assert [(v.key, v.reason) for v in verdicts] == [("a", Reason.LOOKBACK_ONLY)]
    assert judge(QUIET, [tick(0), lookback(20), lookback(21), tick(49)]) == []


def test_a_post_that_is_found_late_ends_a_silence_and_takes_no_alert_back() -> None:
    late = [finding(50, "l1", origin=Origin.GAP_FILL), finding(51, "l2", origin=Origin.GAP_FILL)]
    verdicts = judge(QUIET, [tick(0), *posts(1, 2), tick(60), *late, tick(70)])
    assert said(verdicts) == [("fired", 31.0), ("resolved", 60.0)]


def test_silence_over_the_hour_that_the_clock_skips_is_as_long_as_any() -> None:
    """START is half an hour before clocks in Europe go from 02:00 to 03:00; event time knows nothing of it."""
    spec = rule("flatline", timeframe="1h", threshold=1, realert="0s")
    assert said(judge(spec, [tick(0), finding(600), tick(9000)])) == [("fired", 4200.0)]


def test_silence_within_realert_is_held_and_fires_on_time_without_a_post() -> None:
    spec = rule("flatline", timeframe="10s", threshold=1, realert="60s")
    verdicts = judge(spec, [tick(0), finding(20), tick(200)])
    assert said(verdicts) == [("fired", 10), ("resolved", 20), ("suppressed", 30), ("fired", 70)]


@pytest.mark.parametrize("count_by", ["authors", "stories"])
def test_one_loud_account_does_not_hide_a_silence(count_by: str) -> None:
    spec = rule("flatline", timeframe="30s", threshold=2, realert="0s", count_by=count_by)
    records = [tick(0), *(finding(at, author="a", story="s") for at in range(60)), tick(59)]
    assert said(judge(spec, records)) == [("fired", 30)]


# --- spike ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("more", "fires"), [(7, False), (8, True)])
def test_a_spike_is_as_many_times_the_timeframe_directly_before(more: int, fires: bool) -> None:
    spec = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="up", realert="0s")
    verdicts = judge(spec, [*posts(0, 8, 9, 10, 11), *posts(*(21 + n / 10 for n in range(more))), tick(22)])
    assert bool(verdicts) is fires
    if fires:
        assert [(v.reason, v.count, v.baseline, v.at) for v in verdicts] == [
            (Reason.SPIKE_UP, 8, 4.0, instant(21.7)),
        ]


@pytest.mark.parametrize(("first", "fires"), [(10, False), (10.001, True)])
def test_a_post_leaves_the_reference_at_its_exact_edge(first: float, fires: bool) -> None:
    """At 30 the reference is (10, 20]."""
    spec = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="up", realert="0s")
    verdicts = judge(spec, [*posts(0, first, 11, 12, 13), *posts(*[30 - n / 100 for n in range(8)][::-1]), tick(30)])
    assert (instant(30) in [v.at for v in verdicts if v.event is Event.FIRED]) is fires


@pytest.mark.parametrize(("kept", "fires"), [(3, False), (2, True)])
def test_a_spike_downwards_comes_with_time_and_not_with_a_post(kept: int, fires: bool) -> None:
    spec = rule("spike", timeframe="10s", threshold_ref=5, spike_height=2, spike_type="down", realert="0s")
    verdicts = judge(spec, [tick(0), *posts(1, 12, 13, 14, 15, 16), *posts(*(24 + n for n in range(kept))), tick(26.5)])
    assert [(v.event, v.reason) for v in verdicts] == ([(Event.FIRED, Reason.SPIKE_DOWN)] if fires else [])


def test_thresholds_silence_small_numbers() -> None:
    records = [*posts(0, 8, 9, 10, 11), *posts(*(21 + n / 10 for n in range(9))), tick(22)]
    base = {"timeframe": "10s", "spike_height": 2, "spike_type": "up", "realert": "0s"}
    assert said(judge(rule("spike", **base, threshold_ref=4, threshold_cur=9), records)) == [("fired", 21.8)]
    assert judge(rule("spike", **base, threshold_ref=5), records) == []
    assert judge(rule("spike", **base, threshold_cur=10), records) == []


def test_nothing_and_nothing_is_no_spike() -> None:
    spec = rule("spike", timeframe="10s", spike_height=2, spike_type="both", realert="0s")
    assert judge(spec, [tick(0), tick(500)]) == []


def test_over_a_gap_a_spike_downwards_is_held_and_one_upwards_is_not() -> None:
    down: Records = [tick(0), tick(0, "y"), *posts(1, 12, 13, 14, 15), gap(18, None), tick(25, "y"), tick(26, "y")]
    verdicts = judge(SPIKE, down)
    assert [(v.event, v.reason) for v in verdicts] == [(Event.SUPPRESSED, Reason.GAP)]
    up = [tick(0), tick(0, "y"), *posts(0, 8, 9, 10, 11), gap(15, 16)]
    up += [*posts(*(21 + n / 10 for n in range(8))), tick(22), tick(22, "y")]
    spec = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="up", realert="0s")
    assert [v.reason for v in judge(spec, up)] == [Reason.SPIKE_UP]


def test_lookback_is_a_baseline_and_no_spike() -> None:
    spec = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="up", realert="0s")
    before = [lookback(at, f"l{at}") for at in (-20, -12, -11, -10, -9)]
    assert judge(spec, [*before, *posts(*(1 + n / 10 for n in range(7))), tick(2)]) == []
    assert said(judge(spec, [*before, *posts(*(1 + n / 10 for n in range(8))), tick(2)])) == [("fired", 1.7)]
    only = [lookback(1 + n / 10, f"m{n}") for n in range(8)]
    assert [v.reason for v in judge(spec, [*before, *only, tick(2)])] == [Reason.LOOKBACK_ONLY]


def test_a_gap_filled_post_completes_a_spike_of_the_past() -> None:
    spec = rule("spike", timeframe="10s", threshold_ref=4, spike_height=2, spike_type="up", realert="0s")
    late = finding(21.35, "late", origin=Origin.GAP_FILL)
    verdicts = judge(spec, [*posts(0, 8, 9, 10, 11), *posts(*(21 + n / 10 for n in range(7))), tick(33), late])
    assert [(v.event, v.reason, v.heard_late) for v in verdicts] == [
        (Event.FIRED, Reason.HEARD_LATE, True),
        (Event.RESOLVED, Reason.SPIKE_OVER, False),
    ]


def test_2400_reposts_are_no_spike_where_authors_count() -> None:
    spec = rule("spike", timeframe="10s", threshold_ref=2, spike_height=2, spike_type="up", count_by="authors")
    records: Records = [*posts(0, 11, author="a"), *posts(12, author="b"), *posts(21, author="c")]
    records += [finding(21 + n / 500, f"r{n}", author=f"r{n}", repost_of="p21c") for n in range(2400)]
    assert judge(spec, [*records, tick(26)]) == []


def test_posts_behind_the_watermark_by_less_than_the_lateness_change_nothing() -> None:
    ordered = [*posts(0, 8, 9, 10, 11), *posts(*(21 + n / 10 for n in range(8)))]
    mixed = [ordered[n] for n in (3, 0, 9, 2, 1, 4, 12, 7, 5, 6, 11, 8, 10)]
    late = timedelta(seconds=10)
    assert judge(SPIKE, [*mixed, tick(32)], allowed_lateness=late) == judge(SPIKE, [*ordered, tick(22)])
