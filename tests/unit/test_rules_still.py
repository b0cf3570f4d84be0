"""A condition that is far from its bound is not judged at each instant, and nothing that is said differs for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from rules_support import INCIDENT, START, finding, rule

from alerts.rules.conditions.bounds import Bounded, Bounds
from alerts.rules.conditions.stages import Gauge, SlowGauge, WindowReading
from alerts.rules.entry import Entry, entry_of
from alerts.rules.judge import RuleContext
from alerts.rules.past import Edges, Past
from alerts.rules.spec import CountBy
from alerts.rules.types.percentage_match import Share
from alerts.rules.types.story import Spread
from alerts.rules.verdict import Verdict


def shares(by: CountBy, most: float | None, least: float | None, enough: int) -> Callable[[], Share]:
    return lambda: Share(by, Bounds(most, least), enough)


def spreads(**options: Any) -> Callable[[], Spread]:
    spec: Any = rule("story", timeframe="2h", **options)
    return lambda: Spread(spec)


GAUGES: dict[str, Callable[[], SlowGauge]] = {
    "above, by posts": shares(CountBy.POSTS, 50.0, None, 3),
    "above, by authors": shares(CountBy.AUTHORS, 60.0, None, 4),
    "above a third, from the first post on": shares(CountBy.POSTS, 33.4, None, 1),
    "below": shares(CountBy.POSTS, None, 20.0, 2),
    "within, by stories": shares(CountBy.STORIES, 80.0, 10.0, 2),
    "a spread": spreads(max_spread=6),
    "a spread of people": spreads(max_spread=5, count_by="authors"),
    "authors": spreads(max_authors=4, max_spread=9),
    "an age": spreads(max_age="10m"),
}

POST = st.tuples(
    st.integers(0, 400),
    st.sampled_from("abcdef"),
    st.booleans(),
    st.integers(1, 3),
    st.sampled_from("st"),
    st.booleans(),
)
"""Seconds after the one before, author, whether it matches, weight, story, whether it is a repost."""


def entries(posts: list[tuple[int, str, bool, int, str, bool]]) -> list[Entry]:
    at, found = 0, []
    for number, (after, author, matches, weight, story, repost) in enumerate(posts):
        at += after
        said = finding(at, f"p{number:04}", author=author, story=story, count=weight, repost_of="0" if repost else None)
        found.append(entry_of(said)._replace(value=matches))
    return found


class Wakeful:
    """The same gauge, which does not say how far it is from its bound."""

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge

    def move(self, entry: Entry, stage: int) -> None:
        self._gauge.move(entry, stage)

    def read(self, known: bool) -> WindowReading:
        return self._gauge.read(known)

    def past(self, edges: Edges) -> Past | None:
        return self._gauge.past(edges)


def said(gauge: Callable[[], Gauge], posts: list[Entry], key: Callable[[Entry], str], lateness: int) -> list[Verdict]:
    """What a judge says of posts in order, the last `lateness` of which come when their turn is over."""
    spec: Any = rule("percentage_match", match_bucket_filter={"kind": ["wish"]}, max_percentage=50, timeframe="20m",
                     realert="5m", query_key=["story"] if key(posts[0]) else [])  # fmt: skip
    context = RuleContext(INCIDENT)
    context.heard = START
    judge, out = Bounded(spec, context, gauge), list[Verdict]()
    late = posts[len(posts) - lateness :] if lateness else []
    for number, entry in enumerate(posts):
        if entry in late:
            continue
        out += judge.judge(entry, key(entry))
        if number % 3 == 0:
            context.watermark = entry.at
            out += judge.advance()
    context.watermark = max(context.watermark or START, posts[-1].at)
    out += judge.advance()
    for entry in late:
        out += judge.late(entry, key(entry))
    for minutes in (5, 19, 21, 45, 90):
        context.watermark = posts[-1].at + timedelta(minutes=minutes)
        out += judge.advance()
    return out


@pytest.mark.parametrize("name", GAUGES)
@examples(60)
@given(posts=st.lists(POST, min_size=1, max_size=40), keyed=st.booleans(), lateness=st.integers(0, 4))
def test_what_is_said_is_the_same_as_if_each_instant_was_judged(
    name: str, posts: list[tuple[int, str, bool, int, str, bool]], keyed: bool, lateness: int
) -> None:
    gauge, found = GAUGES[name], entries(posts)
    late = min(lateness, len(found) - 1)

    def key(entry: Entry) -> str:
        return entry.story if keyed else ""

    assert said(gauge, found, key, late) == said(lambda: Wakeful(gauge()), found, key, late)


@pytest.mark.parametrize("name", GAUGES)
@examples(80)
@given(posts=st.lists(POST, max_size=30), more=st.lists(st.one_of(POST, st.none()), max_size=12))
def test_nothing_is_met_while_no_more_comes_and_leaves_than_it_says(
    name: str, posts: list[tuple[int, str, bool, int, str, bool]], more: list[Any]
) -> None:
    """`None`: the oldest leaves."""
    gauge = GAUGES[name]()
    every = entries([*posts, *(post for post in more if post is not None)])
    window, coming = every[: len(posts)], every[len(posts) :]
    for entry in window:
        gauge.move(entry, 0)
    if gauge.read(True).met is not None:
        return
    still = gauge.still()
    for post in more:
        entry = coming.pop(0) if post is not None else window.pop(0) if window else None
        if entry is None:
            break
        still -= entry.weight
        if still < 0:
            break
        gauge.move(entry, 0 if post is not None else 1)
        if post is not None:
            window.append(entry)
        assert gauge.read(True).met is None
        assert gauge.read(False).met is None


def test_a_gauge_far_from_its_bound_says_so() -> None:
    gauge = shares(CountBy.AUTHORS, 50.0, None, 30)()
    assert gauge.still() == 29
    for number in range(100):
        gauge.move(entry_of(finding(number, author=f"a{number}"))._replace(value=False), 0)
    assert gauge.still() == 49
    assert spreads(max_spread=40)().still() == 40
