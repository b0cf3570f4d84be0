"""The engine: the watermark, failing rules, canaries, modes, ids, and the alert that a verdict becomes."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest
from rules_support import INCIDENT, finding, gap, instant, judge, rule, said, tick

from alerts.rules.conditions.window import Window
from alerts.rules.engine.engine import Engine, RuleFailed
from alerts.rules.judge import IncidentInfo
from alerts.rules.report import to_alert
from alerts.rules.texts import spell
from alerts.rules.verdict import REASONS, Reason
from listener.model.incidents import Mode
from listener.model.records import ALERTS, Finding, Gap, Tick, decode, encode

ONE = rule("frequency", name="one", timeframe="60s", num_events=1, realert="0s")


def mark(*records: Finding | Tick | Gap, **options: object) -> float | None:
    engine = Engine((ONE,), **{"allowed_lateness": timedelta(seconds=10), **options})  # type: ignore[arg-type]
    for offset, record in enumerate(records):
        engine.feed(record, offset)
    return None if engine.watermark is None else (engine.watermark - instant(0)).total_seconds()


def test_the_watermark_is_the_least_tick_less_the_lateness() -> None:
    assert mark() is None
    assert mark(tick(90, "x", partition=1), tick(100, "x", partition=0), tick(95, "y", partition=0)) == 80


def test_the_watermark_never_runs_back() -> None:
    assert mark(tick(100), tick(50), tick(20, "y")) == 90


def test_a_source_in_an_open_gap_does_not_hold_the_watermark() -> None:
    assert mark(tick(50, "x"), tick(100, "y"), gap(50, None, "x")) == 90
    assert mark(tick(50, "x"), gap(50, None, "x"), gap(50, 60, "x"), tick(100, "y")) == 40


def test_one_that_misses_a_part_of_it_goes_on_and_holds_the_watermark() -> None:
    part = gap(50, None, "x").model_copy(update={"part": "Fjellbyposten"})
    assert mark(tick(60, "x"), part, tick(100, "y")) == 50
    assert mark(tick(50, "x"), part) == 40


def test_what_the_hospital_says_itself_raises_no_alert_and_fills_no_window() -> None:
    two = rule("frequency", name="two", timeframe="60s", num_events=2, realert="0s")
    any_ = rule("any", name="any")
    own = [finding(at, author_class="own", kinds=("rumour",)) for at in (1, 2, 3)]
    assert judge((ONE, two, any_), [*own, tick(100)]) == []
    others = [finding(4, author_class="public_body"), tick(100)]
    assert {verdict.rule for verdict in judge((ONE, two, any_), [*own, *others])} == {"one", "any"}


def test_a_gap_that_another_partition_reports_again_stays_closed() -> None:
    assert mark(tick(50, "x"), gap(50, None, "x"), gap(50, 60, "x"), gap(50, None, "x"), tick(100, "y")) == 40


def test_a_final_tick_no_longer_holds_the_watermark_and_the_last_one_ends_all_waiting() -> None:
    assert mark(tick(50, "x", final=True), tick(100, "y")) == 90
    assert mark(tick(50, "x", final=True), tick(100, "y", final=True)) == 100


def test_a_source_is_heard_when_all_its_partitions_have_ticked() -> None:
    assert mark(tick(50, partition=0), partitions=2) is None
    assert mark(tick(50, partition=0), tick(60, partition=1), partitions=2) == 40
    assert mark(tick(50), partitions=2) == 40


def test_a_rule_that_raises_keeps_its_neighbours_running_and_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[RuleFailed] = []
    bad = rule("frequency", name="bad", timeframe="60s", num_events=1, query_key="nummer", realert="0s")
    engine = Engine((bad, ONE), allowed_lateness=timedelta(), on_failure=failures.append)

    class Awkward:
        def __str__(self) -> str:
            raise RuntimeError("secret words")

    awkward = finding(0).model_copy(update={"fields": {"nummer": Awkward()}})
    assert engine.finding(awkward, 0) == []
    assert [v.rule for v in engine.tick(tick(1), 1)] == ["one"]
    assert failures == [RuleFailed("bad", "RuntimeError")]
    engine.finding(finding(2, fields={"nummer": 7}), 2)
    assert [(v.rule, v.key) for v in engine.tick(tick(3), 3)] == [("bad", "7")]


def test_a_rule_that_raises_while_time_passes_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[RuleFailed] = []
    engine = Engine((ONE,), allowed_lateness=timedelta(), on_failure=failures.append)
    engine.finding(finding(0), 0)
    assert said(engine.tick(tick(1), 1)) == [("fired", 0)]
    with monkeypatch.context() as broken:
        broken.setattr(Window, "expire", None)
        assert engine.tick(tick(61), 2) == []
    assert failures == [RuleFailed("one", "TypeError")]
    assert said(engine.tick(tick(63), 3)) == [("resolved", 60)]


THREE = rule("frequency", name="three", timeframe="60s", num_events=3, realert="0s")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
@pytest.mark.parametrize("late", [False, True], ids=["in time", "late"])
def test_a_post_and_its_edits_count_once_however_they_come(order: tuple[int, ...], late: bool) -> None:
    versions = (finding(1, "a"), finding(5, "b", edits=("a",)), finding(9, "c", edits=("a", "b")))
    first = [tick(20)] if late else []
    came = [*first, *(versions[n] for n in order), tick(30), finding(31, "d"), tick(35)]
    assert judge(THREE, came) == []
    (verdict,) = judge(THREE, [*came, finding(36, "e"), tick(40)])
    assert (verdict.count, verdict.posts) == (3, 3)


def test_of_versions_that_come_in_any_order_the_first_one_counts_while_there_is_time() -> None:
    edit, post = finding(5, "b", edits=("a",)), finding(1, "a")
    at_the_first = [("fired", 1.0), ("resolved", 61.0)]
    assert said(judge(ONE, [edit, post, tick(70)])) == said(judge(ONE, [post, edit, tick(70)])) == at_the_first


def test_an_edit_counts_for_a_rule_that_did_not_want_the_post_before() -> None:
    threats = rule("any", name="threats", filter={"kind": "rumour"}, realert="0s")
    records = [finding(1, "a"), tick(2), finding(3, "b", edits=("a",), kinds=["rumour"]), tick(4)]
    assert [(v.rule, v.at) for v in judge((ONE, threats), records)] == [("one", instant(1)), ("threats", instant(3))]
    again = [*records, finding(5, "c", edits=("a", "b"), kinds=["rumour"]), tick(6)]
    assert len(judge((ONE, threats), again)) == 2


def test_an_edit_long_after_the_post_has_left_all_windows_is_said_anew() -> None:
    verdicts = judge(ONE, [finding(0, "a"), tick(1000), finding(1001, "b", edits=("a",)), tick(1010)])
    assert said(verdicts) == [("fired", 0), ("resolved", 60), ("fired", 1001)]


def test_a_canary_is_judged_in_its_own_incident_only() -> None:
    real, canary = finding(0), finding(1, synthetic=True)
    assert [v.posts for v in judge(rule("any"), [real, canary])] == [1]
    engine = Engine((rule("any"),), IncidentInfo("canary", synthetic=True))
    assert [len(engine.finding(each, offset)) for offset, each in enumerate((real, canary))] == [0, 1]


def test_a_rule_is_judged_in_its_modes_only() -> None:
    calm = rule("any", modes=["calm"])
    assert judge(calm, [finding(0)]) == []
    assert len(judge(calm, [finding(0)], mode=Mode.CALM)) == 1


def test_the_alert_id_is_made_of_the_record_that_completed_the_condition() -> None:
    (verdict,) = judge(ONE.model_copy(update={"eager": False}), [finding(0, "77"), tick(1)])
    parts = "\x1f".join(("brann-1", "one", "", "2026-03-29T00:30:00Z", "x:77"))
    assert verdict.alert_id == hashlib.sha256(parts.encode()).hexdigest()[:16]


def test_the_alert_id_of_what_may_be_told_early_is_made_of_the_alarms_number() -> None:
    first, second = (v for v in judge(ONE, [finding(0, "77"), tick(1), finding(200, "78"), tick(201)]) if v.nth)
    for number, verdict in enumerate((first, second), 1):
        parts = "\x1f".join(("brann-1", "one", "", f"#{number}"))
        assert verdict.alert_id == hashlib.sha256(parts.encode()).hexdigest()[:16]
        assert (verdict.nth, verdict.settled) == (number, True)


def test_what_a_far_tick_reveals_is_reported_in_the_order_in_which_it_happened() -> None:
    spec = rule("frequency", timeframe="10s", num_events=1, query_key="story", realert="0s")
    verdicts = judge(spec, [finding(0, story="a"), finding(30, story="b"), tick(100)])
    assert said(verdicts) == [("fired", 0), ("resolved", 10), ("fired", 30), ("resolved", 40)]


def test_an_alert_holds_headlines_in_both_languages_and_no_text_of_a_post() -> None:
    spec = rule(
        "frequency", timeframe="90m", num_events=2, count_by="authors", query_key="story", severity="critical",
        to="press", tiltakskort="https://kort.example/7",
        texts={"nb": "{count} av {authors} på {timeframe}: {key} {{x}}", "en": "{count} of {authors} in {timeframe}"},
    )  # fmt: skip
    (verdict,) = judge(spec, [finding(0, story="s"), finding(1, story="s"), tick(2)])
    incident = IncidentInfo(INCIDENT.id, INCIDENT.name, exercise=True)
    alert = to_alert(verdict, spec, incident)
    assert alert.headline == {
        "nb": "2 av ukjent antall på 90 minutter: s {x}",
        "en": "2 of an unknown number of in 90 minutes",
    }
    assert (alert.severity, alert.to, alert.exercise, alert.timeframe_seconds) == ("critical", "press", True, 5400)
    assert b"text of" not in encode(alert)
    assert decode(ALERTS, encode(alert)) == alert


def test_a_headline_has_the_word_for_one_and_for_many_and_leaves_the_theme_to_the_card() -> None:
    texts = {"nb": "{count:innlegg|innlegg} av {authors:person|personer}: {theme}", "en": "{posts:post|posts}: {theme}"}
    posts = [finding(0, author="a", themes=("food", "waiting")), finding(1, author="b"), tick(2)]
    said = []
    for number in (1, 2):
        spec = rule("frequency", timeframe="10m", num_events=number, texts=texts)
        said.append(to_alert(judge(spec, posts)[0], spec, INCIDENT).headline)
    assert said == [
        {"nb": "1 innlegg av 1 person: {theme}", "en": "1 post: {theme}"},
        {"nb": "2 innlegg av 2 personer: {theme}", "en": "2 posts: {theme}"},
    ]


def test_an_alert_counts_its_posts_by_main_theme_the_most_first() -> None:
    spec = rule("frequency", timeframe="10m", num_events=4)
    said = [("waiting",), ("food", "waiting"), (), ("food",)]
    (verdict,) = judge(spec, [*(finding(n, themes=themes) for n, themes in enumerate(said)), tick(5)])
    assert list(to_alert(verdict, spec, INCIDENT).themes.items()) == [("food", 2), ("waiting", 1)]


def test_a_rule_without_texts_still_has_a_headline() -> None:
    (verdict,) = judge(ONE, [finding(0), tick(1)])
    assert to_alert(verdict, ONE, INCIDENT).headline == {"nb": "one: 1", "en": "one: 1"}


@pytest.mark.parametrize(
    ("seconds", "nb", "en"),
    [(60, "1 minutt", "1 minute"), (5400, "90 minutter", "90 minutes"), (7200, "2 timer", "2 hours"),
     (45, "45 sekunder", "45 seconds"), (86400, "1 døgn", "1 day")],
)  # fmt: skip
def test_lengths_of_time_are_spelt(seconds: int, nb: str, en: str) -> None:
    assert (spell(timedelta(seconds=seconds), "nb"), spell(timedelta(seconds=seconds), "en")) == (nb, en)


def test_every_reason_can_be_looked_up() -> None:
    assert set(REASONS) == set(Reason)
