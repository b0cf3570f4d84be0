"""`cardinality`, `percentage_match`, `metric_aggregation`: a measure of a window passes a bound, and is within again.

Cases named `EA …` are those of ElastAlert 2's own `tests/rules_test.py`, with the name of the test each comes from.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from memory_support import held_by
from rules_support import INCIDENT, feed, finding, gap, instant, judge, lookback, rule, rules, said, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Reason
from listener.errors import ConfigError
from listener.model.records import Event, Finding, Gap, Origin, Tick

Records = Sequence[Finding | Tick | Gap]
Said = list[tuple[str, float]]
MINUTE = 60


def users(at: float, *names: str, **more: Any) -> list[Finding]:
    """One finding for each name, all within a second."""
    return [finding(at + n / 100, f"{at}-{n}-{name}", author=name, **more) for n, name in enumerate(names)]


def distinct(**options: Any) -> RuleSpec:
    return rule("cardinality", **{"cardinality_field": "author", "timeframe": "10m", "realert": "0s", **options})


FOUR = ("bill", "coach", "zoey", "louis")

CARDINALITY: dict[str, tuple[RuleSpec, Records, Said]] = {
    "EA test_cardinality_max: as many as allowed, and one of them again": (
        distinct(max_cardinality=4),
        [*users(0, *FOUR), *users(1, "coach"), tick(60)],
        [],
    ),
    "EA test_cardinality_max: the next unique triggers; 15 minutes later others do not": (
        distinct(max_cardinality=4),
        [*users(0, *FOUR), *users(1, "coach"), *users(2, "francis"), *users(902, "nick", "ro", "ellis"), tick(903)],
        [("fired", 2), ("resolved", 600)],
    ),
    "EA test_cardinality_min: at the edge of the timeframe and not with the post after it": (
        distinct(min_cardinality=4),
        [*users(0, "foo", "bar"), tick(1), *users(300, "faz", "fuz", "fiz"), tick(301), *users(900, "faz"), tick(901)],
        [("fired", 600.01)],
    ),
    "EA test_cardinality_qk: once for the level, not once for each value": (
        distinct(max_cardinality=2, cardinality_field="foo", query_key="author"),
        [*users(0, "foo", "bar", "baz", fields={"foo": "x"}),
         *(finding(300 + n, author="baz", fields={"foo": value}) for n, value in enumerate(("faz", "fuz", "fiz"))),
         tick(310)],
        [("fired", 301)],
    ),
    "EA test_cardinality_nested_cardinality_field: a finding without the field adds nothing": (
        distinct(max_cardinality=4),
        [*users(0, "1", "2", "3", "4"), *users(1, "4"), finding(2), tick(60)],
        [],
    ),
    "a value leaves at the exact edge of the window": (
        distinct(max_cardinality=1),
        [*users(0, "a"), *users(600, "b"), tick(601)],
        [],
    ),
    "and stands until then": (
        distinct(max_cardinality=1),
        [*users(0, "a"), *users(599.99, "b"), tick(700)],
        [("fired", 599.99), ("resolved", 600)],
    ),
    "several values of one finding": (
        distinct(max_cardinality=2, cardinality_field="hashtag"),
        [finding(0, hashtags=("a", "b", "A")), finding(1, hashtags=("c",)), tick(10)],
        [("fired", 1)],
    ),
    "keys by themselves": (
        distinct(max_cardinality=1, query_key="place"),
        [*users(0, "a", "b", place="F"), *users(1, "a", place="D"), *users(2, "b", place="D"), tick(10)],
        [("fired", 0.01), ("fired", 2)],
    ),
    "too few from an empty start: told when a timeframe was heard": (
        distinct(min_cardinality=1),
        [tick(0), tick(599), tick(601)],
        [("fired", 600)],
    ),
    "ticks alone, however far apart, tell it once and at the same instant": (
        distinct(min_cardinality=1),
        [tick(0), tick(100_000), tick(200_000)],
        [("fired", 600)],
    ),
    "too few resolve when they are enough": (
        distinct(min_cardinality=2),
        [tick(0), tick(700), *users(800, "a", "b"), tick(801)],
        [("fired", 600), ("resolved", 800.01)],
    ),
    "one value more than the least is no alarm, one less is": (
        distinct(min_cardinality=2),
        [tick(0), *users(500, "a", "b"), tick(1099.99), tick(1101)],
        [("fired", 1100)],
    ),
    "a key is held to its minimum once it was seen for a timeframe, and forgotten after two of silence": (
        distinct(min_cardinality=1, query_key="place"),
        [tick(0), *users(2000, "a", place="F"), tick(2599), tick(9000)],
        [("fired", 2600), ("resolved", 3200)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "records", "wanted"), CARDINALITY.values(), ids=CARDINALITY)
def test_cardinality(spec: RuleSpec, records: Records, wanted: Said) -> None:
    assert said(judge(spec, records)) == wanted


def test_the_night_in_which_clocks_are_set_is_no_hour_longer() -> None:
    spec = distinct(min_cardinality=1, timeframe="2h")
    assert said(judge(spec, [tick(0), finding(10, author="a"), tick(8000)])) == [("fired", 7210)]


def test_a_key_that_is_forgotten_says_so() -> None:
    spec = distinct(min_cardinality=1, query_key="place")
    verdicts = judge(spec, [tick(0), *users(2000, "a", place="F"), tick(9000)])
    assert [v.reason for v in verdicts] == [Reason.MIN_PASSED, Reason.KEY_FORGOTTEN]


def share(**options: Any) -> RuleSpec:
    more = {"match_bucket_filter": {"kind": "wish"}, "timeframe": "5m", "realert": "0s", **options}
    return rule("percentage_match", **more)


def crowd(match: int, other: int, at: float = 1000) -> list[Finding | Tick]:
    """So many that match and so many that do not, in a window that was heard throughout."""
    found = [finding(at, "match", kinds=["wish"], count=match)] if match else []
    return [tick(0), *found, *([finding(at, "other", count=other)] if other else []), tick(at + 1)]


@pytest.mark.parametrize(
    ("match", "other", "reason"),
    [
        (25, 75, None),  # EA test_percentage_match: percentage_violation(25) is False
        (50, 50, None),  # … (50) is False
        (75, 25, None),  # … (75) is False
        (249, 751, Reason.MIN_PASSED),  # … (24.9) is True
        (751, 249, Reason.MAX_PASSED),  # … (75.1) is True
        (0, 0, None),  # EA test_percentage_match: create_percentage_match_agg(0, 0)
        (26, 74, None),  # … (26, 74)
        (74, 26, None),  # … (74, 26)
        (24, 76, Reason.MIN_PASSED),  # … (24, 76)
        (76, 24, Reason.MAX_PASSED),  # … (76, 24)
        # EA (None, 100) is an aggregation that has no answer; with us none of a hundred is a share, of 0 %.
        (0, 100, Reason.MIN_PASSED),
    ],
)
def test_what_is_exactly_at_a_percentage_is_within(match: int, other: int, reason: Reason | None) -> None:
    verdicts = judge(share(min_percentage=25, max_percentage=75), crowd(match, other))
    assert [v.reason for v in verdicts] == ([reason] if reason else [])


def test_a_share_of_too_few_is_no_share() -> None:
    spec = share(max_percentage=50, min_denominator=10)
    assert judge(spec, crowd(9, 0)) == []
    assert said(judge(spec, crowd(10, 0))) == [("fired", 1000)]


def test_the_count_is_those_that_match_and_the_baseline_what_is_allowed() -> None:
    (fired,) = judge(share(max_percentage=40), crowd(9, 11))
    assert (fired.count, fired.posts, fired.baseline) == (9, 20, 8.0)


SHARES: dict[str, tuple[RuleSpec, Records, Said]] = {
    "a share rises and falls": (
        share(max_percentage=50),
        [finding(0), finding(10, kinds=["wish"]), finding(20, kinds=["wish"]), finding(30), tick(40)],
        [("fired", 20), ("resolved", 30)],
    ),
    "it rises at the very edge at which others leave": (
        share(max_percentage=50),
        [finding(0), finding(10, kinds=["wish"]), tick(299), tick(301)],
        [("fired", 300)],
    ),
    "posts of one instant count together, whatever their order": (
        share(max_percentage=50),
        [finding(5, "a", kinds=["wish"]), finding(5, "b"), tick(10)],
        [],
    ),
    "one account's forty wishes are one person's": (
        share(max_percentage=50, count_by="authors"),
        [*(finding(n, author="loud", kinds=["wish"]) for n in range(40)), finding(41, author="b"), tick(50)],
        [("fired", 0), ("resolved", 41)],
    ),
    "reposts do not raise a share of people": (
        share(max_percentage=50, count_by="authors"),
        [finding(0, author="a"), finding(0, "w", author="b", kinds=["wish"]),
         *(finding(n, author=f"r{n}", kinds=["wish"], repost_of="w") for n in range(1, 40)), tick(50)],
        [],
    ),
    "keys by themselves": (
        share(max_percentage=50, query_key="language"),
        [finding(0, lang="nb"), finding(1, lang="en", kinds=["wish"]), tick(5)],
        [("fired", 1)],
    ),
    "too low is told of a window that was heard throughout only": (
        share(min_percentage=50),
        [finding(0), tick(299), tick(310)],
        [],
    ),
    "too low, after a timeframe": (
        share(min_percentage=50),
        [tick(0), finding(301), tick(310), finding(320, "w", kinds=["wish"]), tick(330)],
        [("fired", 301), ("resolved", 320)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "records", "wanted"), SHARES.values(), ids=SHARES)
def test_percentage_match(spec: RuleSpec, records: Records, wanted: Said) -> None:
    assert said(judge(spec, records)) == wanted


def metric(type: str, **options: Any) -> RuleSpec:
    more = {"metric_agg_key": "cpu_pct", "metric_agg_type": type, "buffer_time": "5m", "realert": "0s", **options}
    return rule("metric_aggregation", **more)


def numbers(at: float, *values: object, **more: Any) -> list[Finding]:
    return [finding(at + n, fields={"cpu_pct": value}, **more) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, None),  # EA test_metric_aggregation: crossed_thresholds(None) is False
        (0.09, Reason.MIN_PASSED),  # … (0.09) is True
        (0.10, None),  # … (0.10) is False
        (0.79, None),  # … (0.79) is False
        (0.81, Reason.MAX_PASSED),  # … (0.81) is True
        (0.5, None),  # EA test_metric_aggregation: check_matches … 0.5
        (0.05, Reason.MIN_PASSED),  # … 0.05
        (0.95, Reason.MAX_PASSED),  # … 0.95
        ("much", None),  # unlike ElastAlert, what is no number is left aside
        ("nan", None),
        (float("inf"), None),
        (True, None),
    ],
)
def test_what_is_exactly_at_a_threshold_is_within(value: object, reason: Reason | None) -> None:
    spec = metric("avg", min_threshold=0.1, max_threshold=0.8)
    verdicts = judge(spec, [tick(0), *numbers(1000, value), tick(1001)])
    assert [v.reason for v in verdicts] == ([reason] if reason else [])


METRICS: dict[str, tuple[RuleSpec, Records, Said]] = {
    "EA test_metric_aggregation_complex_query_key": (
        metric("avg", max_threshold=0.8, query_key=["source", "language"]),
        [*numbers(0, 0.91, lang="a"), *numbers(1, 0.95, lang="b"), *numbers(2, 0.89, lang="c"), tick(10)],
        [("fired", 0), ("fired", 1), ("fired", 2)],
    ),
    "EA test_metric_aggregation_complex_query_key_bucket_interval: one level, no buckets": (
        metric("avg", max_threshold=0.8),
        [*numbers(0, 0.91, 0.89, 0.78, 0.85, 0.86), tick(10)],
        [("fired", 0)],
    ),
    "min falls with the lowest and rises when it leaves": (
        metric("min", min_threshold=5),
        [tick(0), *numbers(400, 7, 3, 9), tick(1000)],
        [("fired", 401), ("resolved", 701)],
    ),
    "max": (metric("max", max_threshold=5), [*numbers(0, 5, 6, 4), tick(1000)], [("fired", 1), ("resolved", 301)]),
    "avg": (metric("avg", max_threshold=5), [*numbers(0, 4, 7, 3), tick(10)], [("fired", 1), ("resolved", 2)]),
    "sum": (metric("sum", max_threshold=10), [*numbers(0, 5, 5, 0.1), tick(1000)], [("fired", 2), ("resolved", 300)]),
    "a sum of nothing is nothing": (metric("sum", min_threshold=1), [tick(0), tick(400)], [("fired", 300)]),
    "an average of nothing is no value": (metric("avg", min_threshold=1), [tick(0), tick(400)], []),
    "value_count": (
        metric("value_count", max_threshold=2),
        [*numbers(0, "a", "a", None, ["a", "b"]), tick(5)],
        [("fired", 3)],
    ),
    "cardinality": (
        metric("cardinality", max_threshold=2),
        [*numbers(0, "a", "a", "b", ["a", "c"]), tick(5)],
        [("fired", 3)],
    ),
    "a finding that stands for several weighs as many": (
        metric("avg", max_threshold=5),
        [*numbers(0, 4, count=3), *numbers(1, 8), tick(5), *numbers(6, 9), tick(7)],
        [("fired", 6)],
    ),
    "a number leaves at the exact edge": (
        metric("max", max_threshold=5, min_threshold=1),
        [tick(0), *numbers(300, 6), *numbers(600, 3), tick(600)],
        [("fired", 300), ("resolved", 600)],
    ),
    "from too high to too low in one step": (
        metric("max", max_threshold=5, min_threshold=3),
        [tick(0), *numbers(300, 6), *numbers(600, 1), tick(600)],
        [("fired", 300), ("resolved", 600), ("fired", 600)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "records", "wanted"), METRICS.values(), ids=METRICS)
def test_metric_aggregation(spec: RuleSpec, records: Records, wanted: Said) -> None:
    assert said(judge(spec, records)) == wanted


def test_sums_leave_nothing_behind() -> None:
    spec = metric("sum", min_threshold=0)
    records = [tick(0), *numbers(400, 0.1, 0.2, 0.3, 1e16, -1e16 / 3, 1e-300), tick(5000)]
    assert [v for v in judge(spec, records) if v.at >= instant(706)] == []


LOW = {
    "min_cardinality": distinct(min_cardinality=2, timeframe="60s"),
    "min_percentage": share(min_percentage=50, timeframe="60s"),
    "min_threshold": metric("min", min_threshold=5, buffer_time="60s"),
}


def low(at: float) -> Finding:
    """Too little by each of the three."""
    return finding(at, author="a", fields={"cpu_pct": 1})


@pytest.mark.parametrize("spec", LOW.values(), ids=LOW)
def test_too_little_over_a_gap_is_held_and_reported_when_the_gap_has_left_the_window(spec: RuleSpec) -> None:
    good = finding(35, author="b", fields={"cpu_pct": 9}, kinds=["wish"]), finding(36, author="a", kinds=["wish"])
    records = [tick(0), *good, gap(60, None), gap(60, 90), *map(low, range(95, 200, 10)), tick(200)]
    verdicts = judge(spec, records)
    assert [(v.event, v.reason) for v in verdicts] == [
        (Event.SUPPRESSED, Reason.GAP),
        (Event.FIRED, Reason.MIN_PASSED),
    ]
    assert verdicts[1].at == instant(150)


@pytest.mark.parametrize("spec", LOW.values(), ids=LOW)
def test_too_little_while_a_gap_lasts_never_fires(spec: RuleSpec) -> None:
    records = [tick(0), tick(0, "y"), gap(0, None, "y"), *map(low, range(0, 4000, 30)), tick(4000)]
    assert {(v.event, v.reason) for v in judge(spec, records)} <= {(Event.SUPPRESSED, Reason.GAP)}


def test_a_gap_of_a_source_that_the_rule_does_not_listen_to_is_none() -> None:
    spec = distinct(min_cardinality=1, timeframe="60s", filter={"source": "x"})
    assert said(judge(spec, [tick(0), gap(10, None, "y"), tick(100)])) == [("fired", 60)]


def test_too_much_is_reported_over_a_gap_as_well() -> None:
    records = [tick(0), gap(5, None, "y"), *users(10, "a", "b", "c"), tick(11)]
    (fired,) = judge(distinct(max_cardinality=2), records)
    assert (fired.reason, [g.id for g in fired.gaps]) == (Reason.MAX_PASSED, ["g1"])


def test_lookback_fills_windows_and_never_fires_by_itself() -> None:
    before = [lookback(n, author=f"a{n}") for n in range(4)]
    held = judge(distinct(max_cardinality=3), [*before, tick(10)])
    assert [(v.event, v.reason) for v in held] == [(Event.SUPPRESSED, Reason.LOOKBACK_ONLY)]
    assert said(judge(distinct(max_cardinality=3), [*before, finding(10, author="a0"), tick(15)])) == [
        ("suppressed", 3),
        ("fired", 10),
    ]


def test_a_gap_filled_post_completes_a_window_of_the_past_and_says_that_it_is_over() -> None:
    late = finding(15, author="c", origin=Origin.GAP_FILL)
    records = [*users(10, "a"), *users(20, "b"), tick(612), late, tick(710)]
    verdicts = judge(distinct(max_cardinality=2), records)
    assert said(verdicts) == [("fired", 20), ("resolved", 610)]
    assert (verdicts[0].reason, verdicts[0].posted_at) == (Reason.HEARD_LATE, instant(15))


def test_a_late_post_withdraws_nothing() -> None:
    spec = share(max_percentage=50)
    records = [finding(0, kinds=["wish"]), tick(10), finding(5, origin=Origin.GAP_FILL), tick(20)]
    verdicts = judge(spec, records)
    assert said(verdicts)[0] == ("fired", 0)
    assert [v.event for v in verdicts] == [Event.FIRED, Event.RESOLVED]


def test_realert_holds_a_second_rise_and_fires_when_it_has_passed() -> None:
    spec = distinct(max_cardinality=1, timeframe="10s", realert="60s")
    records = [*users(0, "a", "b"), *users(50, "a", "b"), *(finding(at, author=str(at)) for at in range(52, 70, 2))]
    verdicts = judge(spec, [*records, tick(69)])
    assert said(verdicts)[:3] == [("fired", 0.01), ("resolved", 10), ("suppressed", 50.01)]
    assert verdicts[2].reason is Reason.REALERT
    assert said(verdicts)[3] == ("fired", 60.01)


def test_a_restart_in_the_middle_of_a_silence_neither_repeats_nor_forgets_it() -> None:
    spec = distinct(min_cardinality=1)
    records: list[Finding | Tick | Gap] = [tick(0), tick(650), tick(5000), *users(6000, "a"), tick(6001)]
    first = Engine((spec,), INCIDENT, allowed_lateness=timedelta())
    before = [v for offset, record in enumerate(records[:3]) for v in feed(first, record, offset)]
    assert said(before) == [("fired", 600)]
    state, needed = first.watermarks(), first.needed()
    second = Engine((spec,), INCIDENT, allowed_lateness=timedelta())
    second.restore_watermarks(state, committed=3)
    second.remember(to_alert(before[0], spec, INCIDENT))
    start = 3 if needed is None else needed
    after = [v for offset in range(start, 5) for v in feed(second, records[offset], offset)]
    assert said(after) == [("resolved", 6000)]
    assert after[0].alert_id == before[0].alert_id


@pytest.mark.parametrize("type", ["cardinality", "percentage_match", "metric_aggregation"])
def test_memory_is_bounded_by_windows_and_not_by_keys_ever_seen(type: str) -> None:
    specs = {
        "cardinality": distinct(max_cardinality=3, min_cardinality=1, query_key="story", timeframe="60s"),
        "percentage_match": share(max_percentage=50, query_key="story", timeframe="60s"),
        "metric_aggregation": metric("sum", min_threshold=0.5, query_key="story", buffer_time="60s"),
    }
    engine = Engine((specs[type],))
    for n in range(2000):
        if n == 1000:
            before = held_by(engine)
        engine.finding(finding(n), 2 * n)
        engine.tick(tick(n), 2 * n + 1)
    assert held_by(engine) < 1.05 * before


HEAD = "name: a\nwhy: because a test wants it\ntimeframe: 5m\n"
CARD = HEAD + "type: cardinality\ncardinality_field: author\n"
SHARE = HEAD + "type: percentage_match\nmatch_bucket_filter: {kind: wish}\n"
METRIC = HEAD + "type: metric_aggregation\nmetric_agg_key: author\nmetric_agg_type: value_count\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CARD, "max_cardinality: it or min_cardinality must be set"),
        (CARD + "max_cardinality: 2\nmin_cardinality: 3\n", "min_cardinality: must not be greater"),
        (CARD + "max_cardinality: '2'\n", "max_cardinality"),
        (CARD + "min_cardinality: 0\n", "min_cardinality"),
        (CARD + "max_cardinality: 2\ncount_by: authors\n", "count_by: cardinality measures what a field says"),
        (CARD.replace("author", "text") + "max_cardinality: 2\n", "'text' may not be used"),
        (SHARE, "max_percentage: it or min_percentage must be set"),
        (SHARE + "max_percentage: 101\n", "max_percentage"),
        (SHARE + "max_percentage: .nan\n", "max_percentage"),
        (SHARE + "max_percentage: 50\nmin_denominator: 0\n", "min_denominator"),
        (SHARE.replace("wish", "whish") + "max_percentage: 5\n", "match_bucket_filter: kind can never be 'whish'"),
        (SHARE.replace("kind: wish", "") + "max_percentage: 5\n", "match_bucket_filter"),
        (SHARE + "max_percentage: 50\nbuffer_time: 5m\n", "buffer_time: no such setting"),
        (METRIC, "max_threshold: it or min_threshold must be set"),
        (METRIC.replace("value_count", "median") + "max_threshold: 3\n", "metric_agg_type"),
        (METRIC + "max_threshold: 3\nbucket_interval: 1m\n", "bucket_interval: no such setting"),
        (METRIC.replace("timeframe: 5m", "timeframe: {minutes: 5}") + "max_threshold: 3\n", "write it like 5m"),
    ],
)
def test_what_is_wrong_in_a_file_is_reported(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(tmp_path, text)
    assert words in str(caught.value)
