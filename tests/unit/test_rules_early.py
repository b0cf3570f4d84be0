"""What is told early is never false and never told twice, and is settled as if nobody had told it early."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from rules_streams import LATENESS, Records, later_edits, minutes, run
from rules_support import INCIDENT, answered, finding, gap, instant, judge, lookback, rule, said, settled, tick

from alerts.rules.conditions.early import Arrived, Early
from alerts.rules.conditions.episodes import FiringHistory
from alerts.rules.engine.engine import Engine
from alerts.rules.entry import Entry
from alerts.rules.report import nth_id, to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Reason, Verdict
from listener.model.answers import Answered
from listener.model.records import Event, Finding, Gap, Origin, Tick

SPECS = (
    rule("frequency", name="posts", timeframe="40s", num_events=3, realert="0s"),
    rule("frequency", name="authors", timeframe="60s", num_events=3, count_by="authors", realert="30s"),
    rule("frequency", name="stories", timeframe="30s", num_events=2, count_by="stories", query_key="hashtag"),
    rule("frequency", name="doubled", timeframe="20s", num_events=3, realert="15s", exponential_realert="120s"),
    rule("cardinality", name="values", timeframe="50s", cardinality_field="author", max_cardinality=2, realert="20s"),
    rule(
        "cardinality", name="tags", timeframe="30s", cardinality_field="hashtag", max_cardinality=1,
        query_key="place", realert="0s",
    ),
    rule("story", name="spread", timeframe="60s", max_spread=2, realert="30s"),
    rule("story", name="crowd", timeframe="50s", max_authors=1, max_age="15s", count_by="authors", realert="120s"),
    rule(
        "metric_aggregation", name="highest", timeframe="20s", metric_agg_key="number", metric_agg_type="max",
        max_threshold=60, realert="10s",
    ),
    rule(
        "metric_aggregation", name="total", timeframe="30s", metric_agg_key="number", metric_agg_type="sum",
        max_threshold=150, eager=True, realert="0s",
    ),
    rule(
        "metric_aggregation", name="many", timeframe="40s", metric_agg_key="author", metric_agg_type="value_count",
        max_threshold=3, query_key="kind", realert="60s",
    ),
    rule(
        "metric_aggregation", name="distinct", timeframe="40s", metric_agg_key="number",
        metric_agg_type="cardinality", max_threshold=2, realert="20s", exponential_realert="80s",
    ),
)  # fmt: skip
SOURCES = "xy"


class StandsOver(Early[Any]):
    """Without the third condition."""

    def nothing_stands(self, standing: bool) -> bool:
        return True


class Impatient(Early[Any]):
    """Without the fourth."""

    def past_realert(self, history: FiringHistory | None, at: object) -> bool:
        return True


class Repeating(Early[Any]):
    """Without the fifth."""

    def none_waits(self, key: str) -> bool:
        return True


def engine(specs: Sequence[RuleSpec] = SPECS, partitions: int = 1, early: type[Early[Any]] | None = None) -> Engine:
    def failed(failure: object) -> None:
        raise AssertionError(failure)

    return Engine(
        specs, INCIDENT, allowed_lateness=LATENESS, partitions=partitions, on_failure=failed, early=early
    )  # fmt: skip


def posts(random: Random, number: int = 60) -> list[Finding]:
    """Bursts and lulls in order of time, some at equal instants, some looked up, some edited later."""
    out: list[Finding] = []
    at = 0.0
    for n in range(number):
        at += random.choice([0, 0.3, 1, 2, 3, 8, 15, 40 if random.random() < 0.3 else 4])
        edited = random.choice(out[-10:]) if out and random.random() < 0.1 else None
        out.append(
            finding(
                at, f"p{n:03}", source=random.choice("xxy"), author=random.choice([None, *"abcde"]),
                story=random.choice(["s1", "s2", f"s{n}"]),
                hashtags=random.choice([(), ("brann",), ("brann", "røyk"), ("nytt",)]),
                place=random.choice([None, "Fjellby", "Sjøbu"]), repost_of=random.choice([None, None, "p0"]),
                kinds=random.choice([(), ("wish",), ("wish", "question")]),
                fields={"number": random.choice([0, 0.1, 17.3, 55, 90])},
                origin=Origin.LOOKBACK if at < 60 and random.random() < 0.4 else Origin.LIVE,
                edits=() if edited is None else (*edited.edits, edited.id),
            )
        )  # fmt: skip
    return later_edits(out)


def arriving(random: Random, sent: Iterable[Finding], within: float = 9.0, partitions: int = 1) -> Records:
    """The posts in the order in which they come, each at most so late, and after each some ticks; one source ticks
    seldom, so that the watermark lies far behind."""
    come = sorted(sent, key=lambda f: f.at + timedelta(seconds=random.uniform(0, within)))
    seldom = random.choice([0.1, 0.5, 1.0])
    out: Records = [tick(0, source, partition=n) for source in SOURCES for n in range(partitions)]
    for number, each in enumerate(come):
        out.append(each)
        until = max(f.at for f in come[: number + 1])
        ticking = random.sample(range(partitions), random.randint(1, partitions))
        heard = SOURCES if random.random() < seldom else "x"
        out += [Tick(source=source, until=until, partition=n) for source in heard for n in ticking]
    return out


def ends(partitions: int = 1) -> Records:
    return [tick(100_000, source, partition=n, final=True) for source in SOURCES for n in range(partitions)]


def heard(records: Records, early: type[Early[Any]] | None = None, partitions: int = 1) -> list[Verdict]:
    whole = [*records, *ends(partitions)]
    return run(engine(partitions=partitions, early=early), whole, 0, len(whole))


def in_time(sent: Iterable[Finding]) -> list[Verdict]:
    """The same with all posts there before any time has passed, so that nothing can be told early."""
    return heard(list(sent))


def in_order(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda v: (v.at, v.rule, v.key, v.event, v.alert_id))


def early_words(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts if verdict.settled is False]


def withdrawn(verdicts: Iterable[Verdict], quiet: object = None) -> list[str]:
    return [verdict.alert_id for verdict in verdicts if verdict.reason is Reason.WITHDRAWN]


def told_twice(verdicts: Iterable[Verdict], quiet: object = None) -> list[str]:
    return [id for id, times in Counter(verdict.alert_id for verdict in early_words(verdicts)).items() if times > 1]


def too_soon(verdicts: Iterable[Verdict], quiet: Iterable[Verdict]) -> list[str]:
    """Told, and then settled at a time at which nobody would have been alerted."""
    alarms = {(v.alert_id, v.at) for v in quiet if v.settled}
    return [v.alert_id for v in verdicts if v.settled and v.told_early and (v.alert_id, v.at) not in alarms]


# --- in whatever order ------------------------------------------------------------------------------------------------


@examples(40)
@given(seed=st.integers(0, 2**32), partitions=st.sampled_from([1, 1, 4]))
def test_nothing_is_told_in_vain_or_twice_and_all_is_settled_as_ever(seed: int, partitions: int) -> None:
    random = Random(seed)
    sent = posts(random)
    quiet = in_time(sent)
    said = heard(arriving(random, sent, partitions=partitions), partitions=partitions)
    assert early_words(quiet) == []
    assert in_order(settled(said)) == in_order(quiet)
    assert withdrawn(said) == []
    assert told_twice(said) == []
    _settled_after(said)


def _settled_after(said: Sequence[Verdict]) -> None:
    """Each early word is settled by a later one, of an instant that is not after it."""
    for place, early in enumerate(said):
        if early.settled is False:
            (later,) = (v for v in said[place:] if v.alert_id == early.alert_id and v.settled)
            assert (later.at <= early.at, later.nth, later.told_early) == (True, early.nth, True)


SEEDS = range(6)


def test_most_alarms_are_told_early_and_each_type_tells_some() -> None:
    alarms, early = Counter[str](), Counter[str]()
    for seed in SEEDS:
        random = Random(seed)
        said = heard(arriving(random, posts(random)))
        alarms.update(v.rule for v in said if v.settled)
        early.update(v.rule for v in early_words(said))
    assert {rule for rule in alarms if not early[rule]} == set()
    assert set(alarms) == {spec.name for spec in SPECS}
    assert early.total() > 0.6 * alarms.total(), (early, alarms)


@pytest.mark.parametrize(("early", "found"), [(StandsOver, withdrawn), (Impatient, too_soon), (Repeating, told_twice)])
def test_without_a_condition_alarms_are_false_or_double(
    early: type[Early[Any]], found: Callable[[list[Verdict], list[Verdict]], list[str]]
) -> None:
    """The controls: streams in which each condition is needed, by the very engine that is right with all of them."""
    wrong = 0
    for seed in SEEDS:
        random = Random(seed)
        sent = posts(random)
        records, quiet = arriving(random, sent), in_time(sent)
        assert found(heard(records), quiet) == []
        wrong += len(found(heard(records, early), quiet))
    assert wrong > 5


# --- whatever happens in between ----------------------------------------------------------------------------


def stream(random: Random) -> Records:
    """All at once: two sources, gaps, late posts, edits, repeats.

    No edit is dated before what it edits, as no source dates one: an alarm may have been told by the original, whose
    place in order the edit would then take, and who begins anew would not tell it.
    """
    made = minutes(random, random.choice([0.1, 0.3, 1.5]), wild=random.random() < 0.5, length=random.randint(20, 60))
    times = {record.id: record.at for record in made if isinstance(record, Finding)}
    return [r for r in made if not isinstance(r, Finding) or all(times[edited] <= r.at for edited in r.edits)]


@examples(12)
@given(seed=st.integers(0, 2**32))
def test_killed_at_each_offset_it_says_what_it_would_have_said(seed: int) -> None:
    random = Random(seed)
    records = stream(random) if seed % 2 else arriving(random, posts(random, 24))
    whole = run(engine(), records, 0, len(records))
    worker, before = engine(), list[Verdict]()
    for cut in range(len(records)):
        before += run(worker, records, cut, cut + 1)
        successor = resumed(worker, before, cut + 1, records)
        assert before + run(successor, records, cut + 1, len(records)) == whole


def resumed(
    worker: Engine, before: Sequence[Verdict], cut: int, records: Records, specs: Sequence[RuleSpec] = SPECS
) -> Engine:
    """A successor at the record at `cut`, which has read what it needed of these records again."""
    needed, state = worker.needed(), json.loads(json.dumps(worker.watermarks()))
    successor = engine(specs)
    successor.restore_watermarks(state, committed=cut)
    for verdict in before:
        successor.remember(to_alert(verdict, worker.specs[verdict.rule], INCIDENT))
    assert run(successor, records, cut if needed is None else needed, cut) == []
    return successor


def stood_or_over(before: Sequence[Verdict], after: Sequence[Verdict], left: Iterable[str]) -> None:
    """What was told early before a kill is settled or over after it, and nobody is told of it again."""
    waiting = {v.alert_id for v in early_words(before)} - {v.alert_id for v in before if v.settled}
    waiting -= {v.alert_id for v in withdrawn(before)}
    closing = [v.alert_id for v in after if v.settled or v.reason is Reason.WITHDRAWN] + list(left)
    assert {id: closing.count(id) for id in waiting} == dict.fromkeys(waiting, 1)
    assert waiting.isdisjoint(v.alert_id for v in early_words(after))


@examples(24)
@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.6]))
def test_a_purge_between_the_words_ends_what_it_undoes(seed: int, share: float) -> None:
    random = Random(seed)
    records = [*arriving(random, posts(random, 40)), *ends()]
    cut = _after_an_early_word(random, records)
    worker = engine()
    before = run(worker, records, 0, cut)
    # A purged post is no longer there to be read; its place is.
    left = [tick(0, partition=0) if isinstance(r, Finding) and n < cut and random.random() < share else r
            for n, r in enumerate(records)]  # fmt: skip
    after = run(resumed(worker, before, cut, left), left, cut, len(left))
    stood_or_over(before, after, ())


def _after_an_early_word(random: Random, records: Records) -> int:
    made, places = engine(), [0]
    for offset, record in enumerate(records):
        if early_words(made.feed(record, offset)):
            places.append(offset + 1)
    return random.choice(places)


EDITS: dict[str, Callable[[RuleSpec], RuleSpec | None]] = {
    "removed": lambda spec: None,
    "less sensitive": lambda spec: spec.model_copy(update={"timeframe": timedelta(seconds=1)}),
    "waits": lambda spec: spec.model_copy(update={"eager": False}),
    "joined": lambda spec: spec.model_copy(update={"aggregation": timedelta(seconds=40)}),
    "another key": lambda spec: spec.model_copy(update={"query_key": ("lang",)}) if spec.type != "story" else spec,
    "another type": lambda spec: rule("any", name=spec.name, realert="0s"),
    "as it was": lambda spec: spec,
}


@pytest.mark.parametrize("edit", EDITS)
@examples(8)
@given(seed=st.integers(0, 2**32))
def test_a_rule_edited_between_the_words_ends_what_it_would_not_have_told(edit: str, seed: int) -> None:
    random = Random(seed)
    records = [*arriving(random, posts(random, 40)), *ends()]
    cut = _after_an_early_word(random, records)
    worker = engine()
    before = run(worker, records, 0, cut)
    specs = [new for spec in SPECS if (new := EDITS[edit](spec)) is not None]
    successor = resumed(worker, before, cut, records, specs)
    after, left = list[Verdict](), list[str]()
    for offset in range(cut, len(records)):
        after += successor.feed(records[offset], offset)
        left += [alert.id for alert in successor.take_left()]
    stood_or_over(before, after, left)


# --- one by one -------------------------------------------------------------------------------------------------------

THREE = rule("frequency", timeframe="60s", num_events=3, realert="0s")


def told_by(spec: RuleSpec, records: Iterable[Finding | Tick | Gap | Answered]) -> list[Verdict]:
    made = engine([spec])
    return [verdict for offset, record in enumerate(records) for verdict in made.feed(record, offset)]


def test_it_is_told_with_the_post_that_reaches_it_and_settled_behind_the_watermark() -> None:
    early, late = told_by(THREE, [tick(0), finding(20), finding(21), finding(23), finding(19), tick(40)])
    assert (early.settled, early.count, early.at, early.first_seen) == (False, 3, instant(23), instant(20))
    assert (late.settled, late.count, late.at, late.first_seen) == (True, 3, instant(21), instant(19))
    assert early.alert_id == late.alert_id == nth_id(INCIDENT.id, THREE.name, "", 1)
    assert (early.event, late.event, late.told_early) == (Event.FIRED, Event.FIRED, True)


def test_the_alert_says_so_in_its_record_and_its_headline() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, texts={"nb": "{count:post|poster}", "en": "{posts} posts"})
    early, late = (
        to_alert(v, spec, INCIDENT) for v in told_by(spec, [tick(0), finding(20), finding(21), tick(40)])
    )  # fmt: skip
    assert (early.nth, early.settled, early.headline) == (
        1, False, {"nb": "{at_least} 2 poster", "en": "{at_least} 2 posts"},
    )  # fmt: skip
    assert (late.nth, late.settled, late.headline) == (1, True, {"nb": "2 poster", "en": "2 posts"})


@pytest.mark.parametrize(
    "spec",
    [
        THREE.model_copy(update={"eager": False}),
        THREE.model_copy(update={"aggregation": timedelta(minutes=1)}),
        rule("spike", timeframe="60s", spike_height=2, spike_type="up", realert="0s"),
        rule("new_term", timeframe="60s", fields="hashtag", count_by="posts", num_events=2, realert="0s"),
        rule("cardinality", timeframe="60s", cardinality_field="id", max_cardinality=2, min_cardinality=1),
        rule("metric_aggregation", timeframe="60s", metric_agg_key="n", metric_agg_type="sum", max_threshold=1),
        rule("metric_aggregation", timeframe="60s", metric_agg_key="n", metric_agg_type="avg", max_threshold=0),
        rule("metric_aggregation", timeframe="60s", metric_agg_key="n", metric_agg_type="min", max_threshold=0),
        rule("percentage_match", timeframe="60s", match_bucket_filter={"source": "x"}, max_percentage=50),
    ],
    ids=lambda spec: spec.type,
)
def test_what_late_posts_may_undo_waits_for_them(spec: RuleSpec) -> None:
    records = [tick(0), *(finding(20 + n, hashtags=("brann",), fields={"n": 1}) for n in range(3))]
    assert early_words(told_by(spec, records)) == []
    assert spec.told_early is False


@pytest.mark.parametrize(
    ("type", "more"),
    [
        ("spike", {"spike_height": 2, "spike_type": "up", "timeframe": "60s"}),
        ("frequency", {"num_events": 2, "timeframe": "60s", "aggregation": "5m"}),
        ("cardinality", {"cardinality_field": "place", "min_cardinality": 1, "timeframe": "60s"}),
    ],
)
def test_a_rule_that_cannot_be_eager_may_not_say_that_it_is(type: str, more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="eager: late posts may undo"):
        rule(type, eager=True, **more)


def test_nothing_is_told_early_before_the_first_watermark_or_by_posts_from_before_the_incident() -> None:
    three = [finding(20), finding(21), finding(22)]
    assert early_words(told_by(THREE, three)) == []
    assert early_words(told_by(THREE, [tick(0), *three[:2], lookback(22)])) == []


def test_a_post_with_a_clock_of_its_own_does_not_put_off_the_others() -> None:
    future = finding(4000, "ahead").model_copy(update={"captured_at": instant(19)})
    (early,) = told_by(THREE, [tick(0), future, finding(20), finding(21), finding(22)])
    assert (early.settled, early.at) == (False, instant(22))


def test_what_people_have_answered_is_not_told_early() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key="story", filter={"kind": "rumour"})
    said = [finding(20 + n, f"p{n}", story="s1", kinds=["rumour"]) for n in range(3)]
    assert len(early_words(told_by(spec, [tick(0), *said]))) == 1
    assert early_words(told_by(spec, [tick(0), answered(5, "s1"), *said])) == []


def test_an_answer_that_comes_between_the_words_ends_the_alarm() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key="story", filter={"kind": "rumour"})
    two = [finding(20 + n, f"p{n}", story="s1", kinds=["rumour"]) for n in range(2)]
    early, *after = told_by(spec, [tick(0), *two, answered(15, "s1"), tick(40)])
    assert early.settled is False
    assert [(v.event, v.reason) for v in after] == [
        (Event.SUPPRESSED, Reason.ANSWERED), (Event.RESOLVED, Reason.WITHDRAWN),
    ]  # fmt: skip
    assert after[1].alert_id == early.alert_id


def test_a_withdrawn_alarm_has_used_its_number_up() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key="story", filter={"kind": "rumour"})
    again = [finding(200 + n, f"q{n}", story="s1", kinds=["rumour"]) for n in range(2)]
    records = [
        tick(0), *(finding(20 + n, f"p{n}", story="s1", kinds=["rumour"]) for n in range(2)),
        answered(15, "s1"), tick(40), answered(190, "s1", standing=None), *again, tick(300),
    ]  # fmt: skip
    said = told_by(spec, records)
    assert [(v.nth, v.settled) for v in said if v.nth] == [(1, False), (2, False), (2, True)]


def test_a_late_post_whose_alarm_would_be_the_same_settles_it_and_nobody_is_told_again() -> None:
    missed = finding(18, origin=Origin.GAP_FILL)
    records = [tick(0), finding(15), finding(29), tick(30), finding(31), missed, tick(60)]
    early, *after = told_by(THREE, records)
    assert (early.settled, early.at) == (False, instant(31))
    assert [(v.event, v.alert_id, v.settled) for v in after] == [(Event.FIRED, early.alert_id, True)]


@pytest.mark.parametrize("type", ["frequency", "cardinality"])
def test_a_late_alarm_of_the_past_takes_nothing_back_that_was_told(type: str) -> None:
    """Its `realert` would hold what was told early; that is settled all the same."""
    measured = {"num_events": 3} if type == "frequency" else {"cardinality_field": "id", "max_cardinality": 2}
    spec = rule(type, timeframe="20s", realert="5m", **measured)
    missed = finding(62, "m", origin=Origin.GAP_FILL)
    records = [
        tick(0), finding(60), finding(61), gap(61, 63), tick(91), finding(85), finding(86), finding(87), missed,
        tick(130),
    ]  # fmt: skip
    said = told_by(spec, records)
    fired = [v for v in said if v.event is Event.FIRED]
    assert [(v.at, v.settled, v.nth) for v in fired] == [
        (instant(87), False, 1), (instant(62), None, None), (instant(87), True, 1),
    ]  # fmt: skip
    assert withdrawn(said) == []


def test_what_fired_when_it_was_found_late_is_not_numbered() -> None:
    missed = finding(12, "late", origin=Origin.GAP_FILL)
    verdicts = judge(THREE, [finding(10), finding(11), tick(90), missed, finding(200), finding(201), finding(202),
                             tick(300)])  # fmt: skip
    assert [(v.nth, v.settled) for v in verdicts if v.event is Event.FIRED] == [(None, None), (1, True)]


def test_an_edited_post_counts_early_only_when_its_turn_has_come() -> None:
    first, edit = finding(20, "p1"), finding(22, "p2", edits=("p1",))
    assert early_words(told_by(THREE, [tick(0), first, edit, finding(23)])) == []
    # Its first version is not there: the edit is what counts, once its turn has come.
    (early,) = told_by(THREE, [tick(0), edit, finding(24, "p3"), tick(33), finding(34, "p4")])
    assert (early.settled, early.count) == (False, 3)


def test_where_the_watermark_lies_far_behind_one_is_told_early_and_the_next_when_it_is_settled() -> None:
    spec = rule("frequency", timeframe="10s", num_events=2, realert="0s")
    records = [tick(0), tick(0, "y"), finding(20), finding(21), tick(60), finding(60), finding(61), tick(90, "y"),
               tick(90)]  # fmt: skip
    verdicts = [v for v in told_by(spec, records) if v.event is Event.FIRED]
    assert [(v.at, v.nth, v.settled) for v in verdicts] == [
        (instant(21), 1, False), (instant(21), 1, True), (instant(61), 2, True),
    ]  # fmt: skip


def test_a_key_that_stays_just_below_its_bound_costs_no_more_than_its_posts() -> None:
    """All of a window is looked at once, and then each post that comes to it or leaves it."""
    moved = 0

    class Watched(Early[Any]):
        def window(self, key: str, newest: Entry, current: Iterable[Entry]) -> Arrived[Any]:
            nonlocal moved
            before = self._keys[key].arrived
            found = super().window(key, newest, current)
            if before is None:
                moved += len(found.posts)
            return found

    number, least = 4000, 50
    spec = rule("frequency", timeframe="1h", num_events=least, count_by="authors")
    made = engine([spec], early=Watched)
    verdicts: list[Verdict] = []
    for n in range(number):
        verdicts += made.finding(finding(n / 10, f"p{n}", author=f"a{n % (least - 1)}"), 2 * n)
        verdicts += made.tick(tick(n / 10), 2 * n + 1)
    assert verdicts == []
    assert 0 < moved < number / 10


def test_at_the_end_of_realert_it_is_told_with_the_first_post_after_it() -> None:
    spec = rule("frequency", timeframe="10s", num_events=1, realert="60s")
    records = [tick(0), finding(20), tick(45), finding(50), tick(60), finding(79), finding(80), tick(100)]
    assert said(v for v in told_by(spec, records) if v.event is Event.FIRED) == [
        ("fired", 20), ("fired", 20), ("fired", 80), ("fired", 80),
    ]  # fmt: skip
