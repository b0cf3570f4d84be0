"""Boundary cases of the common types, retyped as tables from ElastAlert 2's own tests/rules_test.py and base_test.py.

Each row names the test it comes from. Where we differ on purpose the row says so; the list with the reasons stands in
`alerts/rules/table.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from rules_support import finding, instant, judge, rule, tick

from alerts.rules.conditions.episodes import doubled
from listener.model.records import Event, Finding

FREQUENCY = [
    # from, num_events, timeframe, query_key, (at, count) of one user, how many fire
    ("test_freq", 59, "1h", None, [(n, 1) for n in range(60)], 1),
    ("test_freq: query_key", 59, "1h", "author", [(n, 1) for n in range(60)], 1),
    ("test_freq: no match", 61, "1h", "author", [(n, 1) for n in range(60)], 0),
    ("test_freq_count", 100, "1h", None, [(0, 75), (900, 10), (1500, 10), (2700, 6)], 1),
    ("test_freq_count: one short", 102, "1h", None, [(0, 75), (900, 10), (1500, 10), (2700, 6)], 0),
    ("test_freq_count: the first leaves", 100, "1h", None, [(0, 75), (2700, 10), (3300, 10), (3900, 6)], 0),
    ("test_freq_count: out of order", 100, "1h", None, [(2700, 10), (3300, 10), (3900, 6), (3600, 75)], 1),
]


@pytest.mark.parametrize(("source", "num_events", "timeframe", "key", "posts", "fires"), FREQUENCY)
def test_frequency(
    source: str, num_events: int, timeframe: str, key: str | None, posts: Sequence[tuple[int, int]], fires: int
) -> None:
    spec = rule("frequency", num_events=num_events, timeframe=timeframe, realert="0s", query_key=key or [])
    findings = [finding(at, count=count, author="qlo") for at, count in posts]
    verdicts = judge(spec, [*findings, tick(max(at for at, _ in posts))])
    assert sum(v.event is Event.FIRED for v in verdicts) == fires, source


def test_frequency_by_user() -> None:
    """test_freq_terms: userB reaches ten at 00:10, userA at 00:25."""
    spec = rule("frequency", num_events=10, timeframe="1h", query_key="author", realert="0s")
    counts = [(60, "A", 1), (60, "B", 5), (600, "A", 8), (600, "B", 5), (1500, "A", 3)]
    verdicts = judge(spec, [*(finding(at, f"{at}{u}", author=u, count=n) for at, u, n in counts), tick(1500)])
    assert [(v.key, v.at) for v in verdicts] == [("B", instant(600)), ("A", instant(1500))]


STEADY = [(float(n), "qlo") for n in range(100)]
DOUBLED = [*STEADY[:50], *(each for n in range(50, 100) for each in ((float(n), "qlo"), (n + 0.001, "qlo")))]
HOLE = [*STEADY[:50], *STEADY[75:]]
BOB = [*STEADY[:50], *(each for n in range(50, 99) for each in ((n + 0.0, "bob"), (n + 0.0, "qlo")))]
QLO = [*STEADY[:50], *(each for n in range(50, 99) for each in ((n + 0.0, "bob"), (n + 0.0, "qlo"), (n + 0.0, "qlo")))]
TEN = {"timeframe": "10s", "threshold_ref": 10, "spike_height": 2}
SPIKES = [
    # from, options, posts, fired
    ("test_spike: constant rate", {**TEN, "spike_type": "both"}, STEADY, 0),
    ("test_spike: double rate", {**TEN, "spike_type": "up"}, DOUBLED, 1),
    ("test_spike: higher", {**TEN, "spike_type": "up", "spike_height": 3}, DOUBLED, 0),
    ("test_spike: downward", {**TEN, "spike_type": "down", "spike_height": 3}, HOLE, 1),
    ("test_spike: threshold_ref", {**TEN, "spike_type": "up", "threshold_ref": 11}, DOUBLED, 0),
    ("test_spike: threshold_cur", {**TEN, "spike_type": "up", "threshold_cur": 30}, DOUBLED, 0),
    (
        "test_spike: threshold_cur alone",
        {"timeframe": "30s", "threshold_cur": 25, "spike_height": 2, "spike_type": "up"}, DOUBLED, 1,
    ),
    ("test_spike_query_key: constant", {**TEN, "spike_type": "both", "query_key": "author"}, STEADY, 0),
    ("test_spike_query_key: another user", {**TEN, "spike_type": "both", "query_key": "author"}, BOB, 0),
    ("test_spike_query_key: the same user", {**TEN, "spike_type": "both", "query_key": "author"}, QLO, 1),
]  # fmt: skip


@pytest.mark.parametrize(("source", "options", "posts", "fires"), SPIKES, ids=[row[0] for row in SPIKES])
def test_spike(source: str, options: dict[str, object], posts: Sequence[tuple[float, str]], fires: int) -> None:
    spec = rule("spike", realert="1h", **options)
    findings = [finding(at, f"p{n}", author=author) for n, (at, author) in enumerate(posts)]
    verdicts = judge(spec, [*findings, tick(max(at for at, _ in posts))])
    assert sum(v.event is Event.FIRED for v in verdicts) == fires


@pytest.mark.parametrize(("last", "reason"), [(20, "spike_up"), (0, "spike_down")])
def test_spike_of_counts(last: int, reason: str) -> None:
    """test_spike_count: 10, 10 and then 20 or none; a count of none is for us a tick."""
    posts = [finding(0, count=10), finding(10, count=10)]
    posts += [finding(20, count=last)] if last else []
    verdicts = judge(rule("spike", **TEN, spike_type="both"), [*posts, tick(20)])
    assert [(v.event, v.reason.value, v.at) for v in verdicts] == [(Event.FIRED, reason, instant(20))]


def _terms(*rows: tuple[int, str, int]) -> list[Finding]:
    return [finding(at * 60, f"{at}{user}", author=user, count=count) for at, user, count in rows]


def test_spike_by_user() -> None:
    """test_spike_terms: userB only, since the windows of userA hold much already; a new user has no windows yet."""
    first = _terms((1, "A", 10), (1, "B", 5), (10, "A", 22), (10, "B", 5))
    third = _terms((25, "A", 25), (25, "B", 27))
    fourth = _terms((27, "A", 10), (27, "B", 12), (27, "C", 100))
    options = {"timeframe": "10m", "spike_height": 2, "spike_type": "up", "query_key": "author", "realert": "0s"}
    spec = rule("spike", threshold_ref=5, **options)
    assert judge(spec, [*first, tick(600)]) == []
    assert [v.key for v in judge(spec, [*first, *third, tick(1500)])] == ["B"]
    records = [*first, *third, *fourth, tick(1620)]
    assert judge(rule("spike", threshold_cur=50, **options), records) == []
    new = rule("spike", threshold_cur=50, alert_on_new_data=True, **options)
    assert [v.key for v in judge(new, records)] == ["C"]
    fifth = _terms((30, "D", 100), (30, "C", 100))
    fired = [v.key for v in judge(new, [*records, *fifth, tick(1800)]) if v.event is Event.FIRED]
    assert fired == ["C", "D"]


FLATLINES = [
    # from, threshold, posts, until, (fired or resolved, at)
    ("test_flatline: one post is no silence before the timeframe", 2, [0], 29, []),
    ("test_flatline: still enough", 2, range(10), 11, []),
    # There a match comes with the next query, at 45, and with each one after it; here it begins once, at its instant.
    ("test_flatline: too few left", 2, range(10), 50, [("fired", 38)]),
    (
        "test_flatline: over and again", 2, [*range(10), *range(50, 60)], 91,
        [("fired", 38), ("resolved", 51), ("fired", 88)],
    ),
    ("test_flatline_no_data", 2, [], 2100, [("fired", 30)]),
    ("test_flatline_count", 1, [0], 29.9, []),
    ("test_flatline_count: none left", 1, [0], 35, [("fired", 30)]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "threshold", "posts", "until", "said"), FLATLINES, ids=[row[0] for row in FLATLINES]
)
def test_flatline(
    source: str, threshold: int, posts: Sequence[int], until: float, said: Sequence[tuple[str, float]]
) -> None:
    spec = rule("flatline", timeframe="30s", threshold=threshold, realert="0s")
    verdicts = judge(spec, [tick(0), *map(finding, posts), tick(until)])
    assert [(v.event.value, v.at) for v in verdicts] == [(event, instant(at)) for event, at in said]


@pytest.mark.parametrize("forget", [False, True], ids=["test_flatline_query_key", "test_flatline_forget_query_key"])
def test_flatline_by_key(forget: bool) -> None:
    """Each key that was seen, once; key3 later, for it was seen later."""
    spec = rule("flatline", timeframe="30s", threshold=1, query_key="author", forget_keys=forget, realert="0s")
    seen = [finding(0, f"a{n}", author=f"key{n}") for n in (1, 2, 3)]
    verdicts = judge(spec, [*seen, finding(20, author="key3"), tick(45), tick(80), tick(300)])
    at = {"key1": 30, "key2": 30, "key3": 50}
    assert {v.key: v.at for v in verdicts} == {key: instant(seconds) for key, seconds in at.items()}
    assert len(verdicts) == 3


EXPONENTS = [
    # test_exponential_realert: seconds since the last wait ended, exponent before → exponent after; realert is 10 s
    (5, 0, 1), (15, 0, 0), (15, 1, 2), (60, 2, 1), (60, 3, 4), (300, 1, 0), (14400, 9, 0), (14400, 10, 9),
    (14400, 11, 12),
]  # fmt: skip


@pytest.mark.parametrize(("past", "before", "after"), EXPONENTS)
def test_exponential_realert(past: int, before: int, after: int) -> None:
    until, exponent = doubled(instant(0), before, instant(past), realert=timedelta(seconds=10), most=timedelta(days=1))
    assert exponent == after
    assert until == instant(past + 10 * 2**after)


def test_exponential_realert_is_never_longer_than_it_says() -> None:
    """base_test's next_alert_time: where the wait would be longer it is cut, and the exponent stops growing."""
    until, exponent = doubled(instant(0), 5, instant(1), realert=timedelta(minutes=1), most=timedelta(minutes=30))
    assert (until, exponent) == (instant(1801), 5)
