"""What people answered alerts nobody again, unless it grows many times over; the same after a restart and a shuffle."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from rules_streams import LATENESS, minutes
from rules_support import INCIDENT, answered, finding, instant, judge, lookback, rule, settled, tick

from alerts.rules.answers import Answers, outgrown
from alerts.rules.bearing import bearing_of
from alerts.rules.engine.engine import Engine
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Verdict
from listener.model.answers import Answered, AnswerGiven, Standing
from listener.model.records import ALERTS, Finding, Gap, Kind, Origin, Tick, decode, encode

Stream = Sequence[Finding | Tick | Gap | Answered]

SPREADS = rule("frequency", filter={"kind": ["rumour"]}, query_key="story", num_events=3, timeframe="60s", realert="0s")
LIVES = rule(
    "story", name="lives", filter={"kind": ["rumour"]}, count_by="authors", max_age="20s", timeframe="60s", realert="0s"
)
ASKED = rule(
    "frequency", name="asked", filter={"kind": ["question"]}, num_events=3, timeframe="60s", count_by="authors",
    realert="0s",
)  # fmt: skip
OF_THEME = rule(
    "frequency", name="theme", filter={"kind": ["question"]}, query_key="main_theme", num_events=3, timeframe="60s",
    realert="0s",
)  # fmt: skip


def rumour(at: float, story: str = "s1", **more: Any) -> Finding:
    return finding(at, kinds=["rumour"], story=story, author=f"a{at}", **more)


def question(at: float, theme: str = "water", **more: Any) -> Finding:
    return finding(at, kinds=["question"], themes=(theme,), author=f"a{at}", **more)


def heard(*records: Finding | Answered) -> Stream:
    """Each record, the watermark right behind it, and all that follows from time going by."""
    out: list[Finding | Tick | Answered] = []
    for record in records:
        out += [record, Tick(source="x", until=record.at)]
    return [*out, tick(10_000)]


def told(verdicts: Iterable[Verdict]) -> list[tuple[str, str]]:
    return [(verdict.event.value, verdict.reason.value) for verdict in verdicts]


FIRES, FALLS = ("fired", "num_events"), ("resolved", "below_num_events")
HELD, OVER = ("suppressed", "answered"), ("resolved", "answered_over")


# --- a story ---------------------------------------------------------------------------------------------------------


def test_a_rumour_that_was_answered_is_held_however_often_it_rises_again() -> None:
    spread = [rumour(n) for n in range(3)], [rumour(200 + n) for n in range(4)], [rumour(400 + n) for n in range(4)]
    verdicts = judge(SPREADS, heard(*spread[0], answered(100, "s1"), *spread[1], *spread[2]))
    assert told(verdicts) == [FIRES, FALLS, HELD, HELD]
    assert all(verdict.answer is not None for verdict in verdicts[2:])


@pytest.mark.parametrize("standing", [Standing.ANSWERED, Standing.DISMISSED])
def test_what_stands_is_over_with_the_answer(standing: Standing) -> None:
    said = answered(3, "s1", standing=standing)
    verdicts = judge(SPREADS, heard(*(rumour(n) for n in range(3)), said, *(rumour(4 + n) for n in range(5))))
    assert told(verdicts) == [FIRES, OVER, HELD]
    assert verdicts[1].alert_id == verdicts[0].alert_id
    assert verdicts[0].answer is None
    assert verdicts[1].answer is not None


def test_another_story_is_not_held() -> None:
    assert told(judge(SPREADS, heard(answered(0, "s2"), *(rumour(1 + n) for n in range(3))))) == [FIRES, FALLS]


def test_what_is_taken_back_fires_again() -> None:
    back = answered(50, "s1", standing=None)
    verdicts = judge(SPREADS, heard(answered(0, "s1"), *(rumour(1 + n) for n in range(3)), back, rumour(51)))
    assert told(verdicts) == [HELD, FIRES, FALLS]


def test_an_answer_counts_from_its_own_time_on() -> None:
    """Posts of before it, which the watermark passes later, are judged without it."""
    early = [rumour(n) for n in range(3)]
    assert told(judge(SPREADS, [*early, answered(5, "s1"), tick(10_000)])) == [FIRES, FALLS]
    assert told(judge(SPREADS, [*early, answered(1, "s1"), tick(10_000)])) == [HELD]


def test_it_fires_once_there_are_five_times_as_many_and_the_card_tells_of_the_answer() -> None:
    crowd = [rumour(1 + n / 10) for n in range(25)]
    verdicts = judge(SPREADS, heard(answered(0, "s1", posts=5), *crowd))
    assert told(verdicts) == [HELD, FIRES, FALLS]
    assert verdicts[1].count == 25
    assert verdicts[1].answer is not None
    assert verdicts[1].answer.by == "Kari"


def test_of_few_it_must_be_ten_more() -> None:
    """One post was answered: six are more than five times as many, and yet no crowd."""
    assert told(judge(SPREADS, heard(answered(0, "s1", posts=1), *(rumour(1 + n) for n in range(10))))) == [HELD]
    many = [rumour(1 + n) for n in range(11)]
    assert told(judge(SPREADS, heard(answered(0, "s1", posts=1), *many))) == [HELD, FIRES, FALLS]


@pytest.mark.parametrize(("before", "count", "fires"), [(2, 11, False), (2, 12, True), (4, 19, False), (4, 20, True)])
def test_many_times_over_is_five_times_and_ten_more(before: int, count: int, fires: bool) -> None:
    given = [AnswerGiven(at=instant(0), by="Kari", people=before, posts=before * 7)]
    assert outgrown(given, count, people=True) is fires


def test_the_story_rule_is_held_too() -> None:
    alive = [rumour(at) for at in (1, 10, 25, 30)]
    assert told(judge(LIVES, heard(*alive))) == [("fired", "max_passed"), ("resolved", "within_bounds")]
    assert told(judge(LIVES, heard(answered(0, "s1"), *alive))) == [HELD]
    assert told(judge(LIVES, heard(*alive, answered(31, "s1"), rumour(32)))) == [("fired", "max_passed"), OVER, HELD]
    crowd = [rumour(1), rumour(22), *(rumour(23 + n / 10) for n in range(25))]
    assert told(judge(LIVES, heard(answered(0, "s1", people=4), *crowd)))[:2] == [HELD, ("fired", "max_passed")]


def test_a_rule_that_fires_on_arrival_is_held_by_its_key() -> None:
    each = rule("any", query_key="story", filter={"kind": ["rumour"]}, realert="0s")
    assert told(judge(each, heard(rumour(1), answered(2, "s1"), rumour(3), rumour(4, "s2")))) == [
        ("fired", "matched"),
        HELD,
        ("fired", "matched"),
    ]


def test_a_late_post_of_what_was_answered_alerts_nobody() -> None:
    before = [rumour(10), rumour(11)]
    late = rumour(12, origin=Origin.GAP_FILL)
    assert told(judge(SPREADS, [*before, tick(40), late, tick(10_000)])) == [("fired", "heard_late"), FALLS]
    assert told(judge(SPREADS, [answered(5, "s1"), *before, tick(40), late, tick(10_000)])) == [HELD]
    assert told(judge(SPREADS, [answered(5, "s1"), *before, tick(100), late, tick(10_000)])) == [HELD]


def test_posts_from_before_the_incident_are_held_for_that_reason() -> None:
    early = [lookback(n, kinds=["rumour"], story="s1") for n in range(3)]
    assert told(judge(SPREADS, heard(answered(0, "s1"), *early))) == [("suppressed", "lookback_only")]


# --- a theme's questions ---------------------------------------------------------------------------------------------


def test_questions_about_an_answered_theme_are_held_under_the_theme() -> None:
    asked = [question(1 + n) for n in range(3)]
    assert told(judge(OF_THEME, heard(*asked))) == [FIRES, FALLS]
    assert told(judge(OF_THEME, heard(answered(0, theme="water"), *asked))) == [HELD]
    assert told(judge(OF_THEME, heard(answered(0, theme="food"), *asked))) == [FIRES, FALLS]


def test_a_theme_is_not_held_where_more_than_questions_are_counted() -> None:
    """People who ask were answered; those who wish for something were not."""
    every = rule("frequency", query_key="main_theme", num_events=3, timeframe="60s", realert="0s")
    wishes = [finding(1 + n, kinds=["wish"], themes=("water",)) for n in range(3)]
    assert told(judge(every, heard(answered(0, theme="water"), *wishes))) == [FIRES, FALLS]


def test_answered_questions_are_too_little_where_all_are_counted_together() -> None:
    said = answered(0, theme="water")
    assert told(judge(ASKED, heard(said, *(question(1 + n) for n in range(6))))) == [HELD]
    two_others = [question(10, "food"), question(11, "food")]
    assert told(judge(ASKED, heard(said, *(question(1 + n) for n in range(6)), *two_others))) == [HELD]
    three_others = [*two_others, question(12, "waiting")]
    verdicts = judge(ASKED, heard(said, *(question(1 + n) for n in range(6)), *three_others))
    assert told(verdicts) == [HELD, FIRES, FALLS]
    assert verdicts[1].count == 9


def test_all_questions_together_fire_when_they_grow_many_times_over() -> None:
    said = answered(0, theme="water", people=3)
    crowd = [question(1 + n) for n in range(15)]
    assert told(judge(ASKED, heard(said, *crowd))) == [HELD, FIRES, FALLS]


def test_a_rumour_about_the_theme_carries_no_answer_to_its_questions() -> None:
    answers = Answers()
    answers.take(answered(0, theme="water"))
    assert answers.carried("s9", (Kind.QUESTION,), ("water",), instant(1)) is not None
    assert answers.carried("s9", (Kind.RUMOUR,), ("water",), instant(1)) is None
    assert answers.carried("s9", (Kind.QUESTION,), ("water",), instant(-1)) is None


def test_the_last_word_counts_of_a_story_and_its_theme() -> None:
    answers = Answers()
    for word in (answered(0, theme="water"), answered(5, "s1", standing=None)):
        answers.take(word)
        answers.take(word)
    assert answers.carried("s1", (Kind.QUESTION,), ("water",), instant(4)) is not None
    assert answers.carried("s1", (Kind.QUESTION,), ("water",), instant(5)) is None
    assert answers.carried("s2", (Kind.QUESTION,), ("water",), instant(5)) is not None
    assert [given.by for given in answers.standing(instant(9))] == ["Kari"]


def test_where_a_key_has_several_parts_the_story_is_found_in_it() -> None:
    spec = rule("frequency", query_key=["source", "story"], num_events=3, timeframe="60s")
    answers = Answers()
    answers.take(answered(0, "s1"))
    assert answers.of_key(bearing_of(spec), "x, s1", instant(1)) is not None
    assert answers.of_key(bearing_of(spec), "s1, x", instant(1)) is None


# --- whatever comes --------------------------------------------------------------------------------------------------

SPECS = (
    SPREADS,
    LIVES,
    ASKED,
    OF_THEME,
    rule("frequency", name="realerts", query_key="story", num_events=2, timeframe="40s", realert="90s"),
    rule("frequency", name="joined", query_key="story", num_events=2, timeframe="40s", aggregation="60s"),
    rule("story", name="wide", max_spread=3, timeframe="60s", realert="30s"),
    rule("cardinality", name="many", query_key="story", cardinality_field="author", max_cardinality=2, timeframe="60s"),
    rule("any", name="each", query_key="story", realert="20s"),
)


@st.composite
def answered_streams(draw: st.DrawFn) -> list[Finding | Tick | Gap | Answered]:
    """Some minutes of rumours and questions, with people's words between them."""
    random = Random(draw(st.integers(0, 2**32)))
    density = draw(st.sampled_from([0.1, 0.3, 1.5]))
    wild = draw(st.booleans())
    kinds = {(): ("rumour",), ("wish",): ("question",), ("wish", "question"): ("rumour", "question")}
    out: list[Finding | Tick | Gap | Answered] = []
    newest = 0.0
    for record in minutes(random, density, wild=wild, length=draw(st.integers(20, 140))):
        if isinstance(record, Finding):
            its = kinds[tuple(kind.value for kind in record.kinds)]
            again = finding(0, record.id, kinds=its)
            record = record.model_copy(update={"cues": again.cues, "themes": (random.choice(["water", "food"]),)})
            newest = max(newest, (record.at - instant(0)).total_seconds())
        out.append(record)
        if random.random() < 0.1:
            story, theme = random.choice([("s1", ""), ("s2", ""), ("", "water"), ("s1", "food")])
            standing = random.choice([Standing.ANSWERED, Standing.ANSWERED, Standing.DISMISSED, None])
            at = newest + random.choice([-5, 0, 0, 4])
            out.append(
                answered(at, story, theme, number=len(out), standing=standing, people=1, posts=random.choice([0, 1]))
            )
    return out


def engine(specs: Sequence[RuleSpec] = SPECS) -> Engine:
    def failed(failure: object) -> None:
        raise AssertionError(failure)

    return Engine(specs, INCIDENT, allowed_lateness=LATENESS, on_failure=failed)


def run(made: Engine, records: Stream, start: int, stop: int) -> list[Verdict]:
    return [verdict for offset in range(start, stop) for verdict in made.feed(records[offset], offset)]


@examples(300)
@given(answered_streams(), st.data())
def test_a_restart_anywhere_changes_no_verdict(records: Stream, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(records)))
    second = data.draw(st.integers(first, len(records)))
    whole = run(engine(), records, 0, len(records))
    answers = [record for record in records if isinstance(record, Answered)]

    said: list[Verdict] = []
    worker, position = engine(), 0
    for cut in (first, second, len(records)):
        said += run(worker, records, position, cut)
        needed, state = worker.needed(), json.loads(json.dumps(worker.watermarks()))
        worker = engine()
        worker.restore_watermarks(state, cut, answers)
        for verdict in said:
            worker.remember(decode(ALERTS, encode(to_alert(verdict, worker.specs[verdict.rule], INCIDENT))))
        position = cut if needed is None else needed
    assert said == whole


@examples(150)
@given(answered_streams(), st.integers(0, 2**32))
def test_a_shuffle_within_the_lateness_changes_no_verdict(records: Stream, seed: int) -> None:
    waits = [spec for spec in SPECS if spec.type != "any"]
    findings = {f.post_key: f for f in records if isinstance(f, Finding) and not f.edits}.values()
    answers = [record for record in records if isinstance(record, Answered)]
    random = Random(seed)

    def judged(spread: float) -> list[Verdict]:
        come = sorted(findings, key=lambda f: f.at + timedelta(seconds=random.uniform(0, spread)))
        made, out = engine(waits), []
        # A person's word is there when the posts of its time are: long before the watermark comes to it.
        for offset, record in enumerate([*answers, *come]):
            out += made.feed(record, 2 * offset)
            if isinstance(record, Finding):
                out += made.tick(Tick(source="x", until=record.at - timedelta(seconds=spread)), 2 * offset + 1)
        out += made.tick(tick(100_000), 2 * (len(answers) + len(come)))
        # What one tick settles comes rule by rule, and how much that is depends on how late the ticks are.
        return sorted(settled(out), key=lambda verdict: (verdict.rule, verdict.key))

    assert judged(9.0) == judged(0.0)
