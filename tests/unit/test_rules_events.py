"""`any` and `new_term`: events, told once, that resolve nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules_samples import SAMPLES
from rules_support import finding, instant, judge, lookback, rule, said, tick

from alerts.rules.judge import IncidentInfo
from alerts.rules.keys import read_key, shown, write_key
from alerts.rules.report import to_alert
from alerts.rules.spec import RuleSpec
from alerts.rules.verdict import Reason
from listener.model.records import Origin

TAGS = rule("new_term", fields="hashtags", num_events=2, timeframe="60s", realert="0s")


def test_any_fires_on_arrival_without_a_tick() -> None:
    verdicts = judge(rule("any", filter={"kind": "eyewitness"}), [finding(5, kinds=["eyewitness"]), finding(6)])
    assert said(verdicts) == [("fired", 5)]
    assert verdicts[0].reason is Reason.MATCHED


def test_any_resolves_nothing() -> None:
    assert said(judge(rule("any"), [finding(0), tick(100_000, final=True)])) == [("fired", 0)]


def test_realert_holds_each_key_by_itself_at_its_exact_edge() -> None:
    spec = rule("any", query_key="author", realert="60s")
    posts = [finding(0, author="a"), finding(1, author="b"), finding(59.9, author="a"), finding(60, author="a")]
    assert said(judge(spec, posts)) == [("fired", 0), ("fired", 1), ("suppressed", 59.9), ("fired", 60)]


def test_any_holds_a_post_from_shortly_before_the_last_alarm_too() -> None:
    posts = [finding(100), finding(50), finding(39)]
    assert said(judge(rule("any", realert="60s"), posts)) == [("fired", 100), ("suppressed", 50), ("fired", 39)]


def test_any_never_fires_for_a_time_before_the_incident() -> None:
    assert judge(rule("any"), [lookback(0)]) == []


def test_any_reports_a_gap_filled_post_as_heard_late() -> None:
    (verdict,) = judge(rule("any"), [tick(4000), finding(5, origin=Origin.GAP_FILL)])
    assert (verdict.reason, verdict.posted_at, verdict.found_at) == (Reason.HEARD_LATE, instant(5), instant(6))


def test_a_term_that_enough_persons_use_is_reported_once() -> None:
    posts = [finding(n, author=f"a{n}", hashtags=("Nytt",)) for n in range(5)]
    verdicts = judge(TAGS, [*posts, tick(500), finding(600, author="z", hashtags=("nytt",)), tick(700)])
    assert [(v.key, v.count, v.reason, v.key_fields) for v in verdicts] == [("nytt", 2, Reason.NEW_TERM, ("hashtags",))]


def test_one_person_makes_no_new_term_and_nor_do_two_too_far_apart() -> None:
    alone = [finding(n, author="a", hashtags=("nytt",)) for n in range(9)]
    assert judge(TAGS, [*alone, tick(30)]) == []
    apart = [finding(0, author="a", hashtags=("nytt",)), finding(60, author="b", hashtags=("nytt",))]
    assert judge(TAGS, [*apart, tick(90)]) == []


def test_a_term_is_new_again_when_terms_window_size_has_passed() -> None:
    spec = rule("new_term", fields="hashtags", timeframe="10s", terms_window_size="60s", realert="0s")
    posts = [finding(at, hashtags=("nytt",)) for at in (0, 59, 61)]
    assert said(judge(spec, [*posts, tick(90)])) == [("fired", 0), ("fired", 61)]


def test_terms_are_learnt_at_the_beginning_and_from_before_it() -> None:
    spec = rule("new_term", fields="hashtags", timeframe="60s", learn="30s", realert="0s")
    posts = [
        lookback(-100, hashtags=("gammelt",)),
        finding(0, hashtags=("fra-start",)),
        finding(29, hashtags=("gammelt", "fra-start")),
        finding(40, hashtags=("gammelt", "fra-start", "nytt")),
        tick(50),
    ]
    verdicts = judge(spec, posts)
    assert [(v.key, v.reason) for v in verdicts] == [
        ("gammelt", Reason.LOOKBACK_ONLY),
        ("fra-start", Reason.LEARNING),
        ("nytt", Reason.NEW_TERM),
    ]


def test_realert_holds_the_whole_rule_and_the_held_term_is_known() -> None:
    spec = rule("new_term", fields="hashtags", timeframe="60s", realert="60s")
    posts = [finding(0, hashtags=("en",)), finding(10, hashtags=("to",)), finding(70, hashtags=("to",)), tick(90)]
    assert said(judge(spec, posts)) == [("fired", 0), ("suppressed", 10)]


def test_query_key_alone_is_what_may_be_new_and_realert_holds_each_term_by_itself() -> None:
    spec = rule("new_term", query_key="hashtags", timeframe="60s", terms_window_size="60s", realert="80s")
    posts = [finding(at, hashtags=tags) for at, tags in ((0, ("en",)), (10, ("to",)), (65, ("en",)), (95, ("to",)))]
    verdicts = judge(spec, [*posts, tick(120)])
    assert [(v.key, v.event.value, v.at) for v in verdicts] == [
        ("en", "fired", instant(0)),
        ("to", "fired", instant(10)),
        ("en", "suppressed", instant(65)),
        ("to", "fired", instant(95)),
    ]


def test_with_both_a_term_is_new_within_each_value_of_query_key_which_realert_holds_too() -> None:
    spec = rule("new_term", query_key="source", fields="hashtags", timeframe="60s", realert="60s")
    posts = [
        finding(0, hashtags=("en",)),
        finding(5, source="b", author="p_b", hashtags=("en",)),
        finding(10, source="b", author="p_b", hashtags=("to",)),
        tick(20),
        tick(20, "b"),
    ]
    assert [(v.key, v.event.value) for v in judge(spec, posts)] == [
        ("x, en", "fired"),
        ("b, en", "fired"),
        ("b, to", "suppressed"),
    ]


def test_a_comma_in_a_value_parts_no_key() -> None:
    spec = rule("new_term", query_key="place", fields="hashtags", timeframe="60s", realert="60s")
    posts = [
        finding(0, place="Nes, Akershus", hashtags=("brann",)),
        finding(5, place="Nes, Innlandet", hashtags=("streik",)),
        finding(10, place="Nes, Innlandet", hashtags=("flom",)),
        tick(20),
    ]
    first, second, third = judge(spec, posts)
    assert [v.event.value for v in (first, second, third)] == ["fired", "fired", "suppressed"]
    assert [shown(v.key, v.key_fields) for v in (first, third)] == ["Nes, Akershus, brann", "Nes, Innlandet, flom"]


def test_two_keys_that_look_alike_stay_two_after_a_restart_too() -> None:
    spec = rule("frequency", query_key=["place", "lang"], timeframe="60s", num_events=2, realert="10m")
    posts = [
        finding(0, place="Nes, no", lang="nb"),
        finding(1, place="Nes", lang="no, nb"),
        finding(2, place="Nes, no", lang="nb"),
        tick(20),
    ]
    (verdict,) = judge(spec, posts)
    assert read_key(verdict.key, spec.query_key) == ("Nes, no", "nb")
    assert shown(verdict.key, spec.query_key) == "Nes, no, nb"


@given(st.lists(st.text(st.sampled_from('a", ')), min_size=2, max_size=4))
def test_a_key_written_and_read_again_is_the_same(values: list[str]) -> None:
    assert read_key(write_key(values), values) == tuple(values)


def test_a_key_of_one_value_is_written_as_it_is() -> None:
    for value in ('"Hei", sa hun', "Nes, Akershus", ""):
        assert write_key([value]) == value
        assert read_key(value, ["place"]) == (value,)


@pytest.mark.parametrize("spelling", ["Ulleva\u030al", "ULLEVA\u030aL", "ullev\u00e5l"])
def test_a_word_in_another_spelling_is_the_same_to_every_rule(spelling: str) -> None:
    """Letters composed or not, in any case: in filters, lists, keys and what is compared."""
    one, other = "Ullev\u00e5l", spelling
    tags = [finding(0, author="a", hashtags=(one,)), finding(1, author="b", hashtags=(other,)), tick(9)]
    places = [finding(0, place=one), finding(1, place=other), tick(9)]
    window = {"timeframe": "60s", "realert": "0s"}
    assert judge(rule("cardinality", cardinality_field="hashtag", max_cardinality=1, **window), tags) == []
    assert len(judge(rule("frequency", query_key="hashtag", num_events=2, **window), tags)) == 1
    assert judge(rule("change", query_key="source", compare_key="place", ignore_null=True, **window), places) == []
    assert judge(rule("whitelist", compare_key="place", whitelist=other, ignore_null=True), places) == []
    assert len(judge(rule("blacklist", compare_key="place", blacklist=other, realert="0s"), places)) == 2
    assert len(judge(rule("any", filter={"place": other}, realert="0s"), places)) == 2
    assert len(judge(rule("any", filter={"sted": other}, realert="0s"), [finding(0, fields={"sted": one})])) == 1


def test_terms_of_several_fields_do_not_meet() -> None:
    spec = rule("new_term", fields=["hashtags", "place"], timeframe="60s", realert="0s")
    verdicts = judge(spec, [finding(0, hashtags=("fjellby",), place="fjellby"), tick(10)])
    assert [v.key for v in verdicts] == ["hashtags: fjellby", "place: fjellby"]


def test_a_late_post_completes_a_new_term_of_the_past() -> None:
    posts = [finding(10, author="a", hashtags=("nytt",)), tick(75), finding(5, author="b", hashtags=("nytt",))]
    (verdict,) = judge(TAGS, posts)
    assert (said([verdict]), verdict.reason) == ([("fired", 10)], Reason.HEARD_LATE)


@pytest.mark.parametrize("spec", [spec for specs in SAMPLES.values() for spec in specs], ids=lambda spec: spec.name)
def test_an_alert_says_whether_its_rule_would_ever_say_that_it_has_passed(spec: RuleSpec) -> None:
    (verdict,) = judge(rule("any"), [finding(0)])
    events = {"any", "blacklist", "whitelist", "new_term", "change"}
    passes = spec.type not in events and not getattr(spec, "forget_keys", False)
    assert to_alert(verdict, spec, IncidentInfo()).resolves is passes
