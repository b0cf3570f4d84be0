"""Posts that come late cost no more than their number, and are judged as if each walked through all that is kept."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from random import Random

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from memory_support import objects_of
from rules_naive import naive
from rules_samples import SAMPLES
from rules_streams import Records, engine_of, minutes, run, told
from rules_support import INCIDENT, finding, instant, rule, tick

from alerts.rules.conditions.episodes import Episode, Stretches
from alerts.rules.engine.engine import Engine
from alerts.rules.spec import RuleSpec
from alerts.rules.steps import Steps
from listener.model.records import Finding, Origin, Tick

WINDOWED = [type for type in SAMPLES if type not in ("any", "blacklist", "whitelist", "change")]
MORE: dict[str, tuple[RuleSpec, ...]] = {
    "spike": (
        rule("spike", name="tenth", timeframe="20s", spike_height=1.1, spike_type="up", threshold_ref=2, realert="0s"),
        rule("spike", name="people", timeframe="10s", spike_height=1.5, spike_type="both", count_by="authors"),
        rule("spike", name="keys", timeframe="30s", spike_height=2, spike_type="up", query_key="kind", realert="30s"),
    ),
    "metric_aggregation": tuple(
        rule(
            "metric_aggregation", name=kind, metric_agg_key="number", metric_agg_type=kind, max_threshold=most,
            timeframe=timeframe, realert=realert,
        )
        for kind, most, timeframe, realert in (
            ("sum", 60.3, "20s", "0s"), ("min", 17.2, "10s", "30s"), ("max", 55, "20s", "0s"),
            ("avg", 17.3, "30s", "5s"), ("cardinality", 2, "20s", "0s"), ("value_count", 2, "10s", "60s"),
        )
    ),
    "percentage_match": (
        rule(
            "percentage_match", name="thirds", match_bucket_filter={"kind": "wish"}, max_percentage=33.333333333333336,
            timeframe="20s", realert="0s",
        ),
        rule(
            "percentage_match", name="authors", match_bucket_filter={"kind": "wish"}, max_percentage=40,
            query_key="kind", min_denominator=2, count_by="authors", timeframe="60s", realert="40s",
            exponential_realert="160s",
        ),
        rule(
            "percentage_match", name="stories", match_bucket_filter={"kind": "question"}, max_percentage=10.5,
            count_by="stories", timeframe="10s", query_key="author", aggregation="30s",
        ),
    ),
    "story": (
        rule("story", name="aged", max_age="8s", max_spread=3, timeframe="20s", realert="0s"),
        rule("story", name="told", max_spread=1, count_by="authors", timeframe="30s", realert="10s"),
    ),
    "new_term": (rule("new_term", name="posts", fields="place", num_events=4, timeframe="15s", count_by="posts"),),
}  # fmt: skip


def filled(random: Random) -> Records:
    """Some minutes of which much is found late: one by one, or all of a gap in whatever order."""
    whole = minutes(random, random.choice([0.1, 0.3, 1.5]), wild=True, length=random.randint(30, 160))
    out: Records = []
    held: list[Finding] = []
    share = random.choice([0.0, 0.3, 0.7])
    for record in whole:
        if isinstance(record, Finding) and record.origin is not Origin.LOOKBACK and random.random() < share:
            held.append(record.model_copy(update={"origin": Origin.GAP_FILL, "count": random.choice([1, 1, 2, 5])}))
        else:
            out.append(record)
        if random.random() < 0.03:
            order = random.choice(["theirs", "backwards", "any"])
            held.sort(key=lambda post: post.at, reverse=order == "backwards")
            if order == "any":
                random.shuffle(held)
            out += held
            held = []
    return [*out, *held, tick(2_000), tick(2_000, "y")]


@pytest.mark.parametrize("type", WINDOWED)
@examples(10)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_late_posts_are_judged_as_the_plain_way_judges_them(type: str, seed: int, data: st.DataObject) -> None:
    specs = (*SAMPLES[type], *MORE.get(type, ()))
    records = filled(Random(seed))
    plain = run(naive(engine_of(specs)), records, 0, len(records))
    worker = engine_of(specs)
    cut = data.draw(st.integers(0, len(records)))
    before = run(worker, records, 0, cut)
    needed, state = worker.needed(), json.loads(json.dumps(worker.watermarks()))
    assert before + run(worker, records, cut, len(records)) == plain

    successor = engine_of(specs)
    successor.restore_watermarks(state, committed=cut)
    told(successor, before, successor.remember)
    assert run(successor, records, cut if needed is None else needed, cut) == []
    assert run(successor, records, cut, len(records)) == plain[len(before) :]


def test_the_streams_bring_late_alarms_of_every_type() -> None:
    """The comparison is no good where late posts say nothing."""
    late: set[str] = set()
    for type in WINDOWED:
        for seed in range(8):
            records = filled(Random(seed))
            engine = engine_of((*SAMPLES[type], *MORE.get(type, ())))
            if any(verdict.heard_late for verdict in run(engine, records, 0, len(records))):
                late.add(type)
                break
    assert late == set(WINDOWED) - {"flatline"} | (late & {"flatline"})


# --- cost ----------------------------------------------------------------------------------------------------------

HOUR = 3600
COSTLY: tuple[RuleSpec, ...] = (
    rule("percentage_match", name="near", match_bucket_filter={"kind": "wish"}, max_percentage=50, timeframe="1h"),
    rule("frequency", name="many", num_events=10**6, timeframe="1h", count_by="authors"),
    rule("frequency", name="held", num_events=3, timeframe="1h", realert="12h"),
    rule("spike", name="spike", spike_height=3, spike_type="both", timeframe="30m", realert="2h"),
    rule("cardinality", name="values", cardinality_field="author", max_cardinality=400, timeframe="1h", realert="2h"),
    rule("metric_aggregation", name="mean", metric_agg_key="n", metric_agg_type="avg", max_threshold=3, timeframe="1h"),
    rule("metric_aggregation", name="low", metric_agg_key="n", metric_agg_type="min", max_threshold=3, timeframe="1h"),
    rule("story", name="wide", max_spread=10**6, max_age="59m", timeframe="1h"),
    rule("new_term", name="term", fields="hashtag", num_events=3, timeframe="1h"),
    rule("flatline", name="quiet", threshold=5, timeframe="1h"),
    rule("change", name="moves", compare_key="place", query_key="hashtag", ignore_null=True, timeframe="1h"),
    rule("any", name="each", realert="1s", query_key="hashtag"),
)


def _posts(number: int, origin: Origin) -> Iterator[Finding]:
    for n in range(number):
        yield finding(
            n * HOUR / number, f"p{n}", origin=origin, author=f"a{n % 2}", story="s", hashtags=("brann",),
            kinds=["wish"] if n % 2 else ["question"], fields={"n": n % 6}, place=f"sted {n % 2}",
        )  # fmt: skip


def _cost(spec: RuleSpec, number: int, origin: Origin = Origin.GAP_FILL) -> float:
    """Seconds of the processor for posts that all come when their hour has been heard."""
    engine = Engine((spec,), INCIDENT)
    for at in (*range(0, HOUR, 10), HOUR + 9.9):
        engine.tick(Tick(source="x", until=instant(at)), int(at))
    posts = list(_posts(number, origin))
    began = time.process_time()
    for offset, post in enumerate(posts):
        engine.finding(post, HOUR * 2 + offset)
    return time.process_time() - began


@pytest.mark.parametrize("origin", [Origin.GAP_FILL, Origin.LOOKBACK])
@pytest.mark.parametrize("spec", COSTLY, ids=lambda spec: spec.name)
def test_eight_times_as_many_late_posts_cost_far_less_than_their_square(spec: RuleSpec, origin: Origin) -> None:
    """They cost 64 times as much where each walks through all others. Tried thrice: machines are busy."""
    for _ in range(3):
        times = _cost(spec, 1600, origin) / _cost(spec, 200, origin)
        if times < 24:
            return
    pytest.fail(f"{spec.type}: {times:.0f} times")


# --- the parts -----------------------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(-3, 3)), max_size=400),
    st.lists(st.tuples(st.integers(-1, 301), st.integers(-4, 9)), max_size=30),
    st.integers(0, 2**32),
)
@examples(200)
def test_steps_find_what_a_walk_finds(steps: list[tuple[int, int]], asked: list[tuple[int, int]], seed: int) -> None:
    random, number, done = Random(seed), Steps(), []
    for step in steps:
        number.add(instant(step[0]), step[1])
        done.append(step)
        if asked and random.random() < 0.2:
            since, bound = random.choice(asked)
            level = {at: sum(delta for when, delta in done if when <= at) for at in (since, *(s[0] for s in done))}
            walk = sorted(at for at in level if at >= since)
            over = next((instant(at) for at in walk if level[at] > bound), None)
            under = next((instant(at) for at in walk if level[at] <= bound), None)
            assert number.above(instant(since), bound) == over
            assert number.not_above(instant(since), bound) == under
            assert number.at(instant(since)) == level[since]


def test_steps_that_nobody_asks_about_are_forgotten() -> None:
    number = Steps()
    for n in range(20_000):
        if n == 2_000:
            before = objects_of(number)
        number.edge = instant(n - 100)
        number.add(instant(n), 1)
        number.add(instant(n + 50), -1)
        assert number.above(instant(n), 0) == instant(n)
    assert objects_of(number) < 2 * before
    assert number.at(instant(19_999)) == 50


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=30), st.integers(-5, 90))
def test_stretches_are_those_of_the_episodes(lengths: list[tuple[int, int]], at: int) -> None:
    made = Stretches(timedelta(seconds=5))
    for begin, length in lengths:
        made.add(Episode(instant(begin), "id", instant(begin), instant(begin + length)))
    until = at
    while any(begin - 5 < until < begin + length for begin, length in lengths):
        until = max(begin + length for begin, length in lengths if begin - 5 < until < begin + length)
    found = made.until(instant(at))
    assert (found is None) == (until == at)
    assert found is None or found >= instant(until)
