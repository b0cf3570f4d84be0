"""`frequency`: edges of the window, keys, people instead of posts, late posts, realert, gaps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from memory_support import held_by
from rules_support import INCIDENT, feed, finding, gap, instant, judge, lookback, rule, said, tick

from alerts.rules.engine.engine import Engine
from alerts.rules.report import alert_id
from alerts.rules.verdict import Reason
from listener.model.records import Event, Origin

THREE = rule("frequency", timeframe="60s", num_events=3, realert="0s")


def test_one_less_than_num_events_says_nothing() -> None:
    assert judge(THREE, [finding(0), finding(10), tick(300, final=True)]) == []


def test_num_events_fires_and_resolves_when_the_first_post_leaves_the_window() -> None:
    verdicts = judge(THREE, [finding(0), finding(10), finding(20), tick(300, final=True)])
    assert said(verdicts) == [("fired", 20), ("resolved", 60)]
    assert [v.reason for v in verdicts] == [Reason.NUM_EVENTS, Reason.BELOW_NUM_EVENTS]
    assert verdicts[0].alert_id == verdicts[1].alert_id


@pytest.mark.parametrize(("third", "fires"), [(59.999, True), (60, False), (60.001, False)])
def test_the_window_is_open_at_its_start(third: float, fires: bool) -> None:
    verdicts = judge(THREE, [finding(0), finding(10), finding(third), tick(third)])
    assert bool(verdicts) is fires


def test_a_post_at_the_very_instant_another_leaves_keeps_the_level_up() -> None:
    posts = [finding(0), finding(10), finding(20), finding(60, "a"), tick(69)]
    assert said(judge(THREE, posts)) == [("fired", 20)]


def test_a_level_that_stays_high_fires_once() -> None:
    assert said(judge(THREE, [*(finding(at) for at in range(0, 600, 10)), tick(590)])) == [("fired", 20)]


def test_nothing_is_judged_before_the_watermark_passes_it() -> None:
    records = [finding(0), finding(1), finding(2), tick(11), tick(12)]
    engine = Engine((THREE,))
    counts = [len(feed(engine, record, offset)) for offset, record in enumerate(records)]
    assert counts == [0, 0, 0, 0, 1]


def test_keys_count_by_themselves() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key="story", realert="0s")
    posts = [finding(0, story="a"), finding(1, story="b"), finding(2, story="b"), tick(5)]
    verdicts = judge(spec, posts)
    assert [(v.key, v.key_fields, v.count) for v in verdicts] == [("b", ("story",), 2)]


def test_a_list_as_key_counts_under_each_of_its_entries() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key=["kind", "language"])
    posts = [finding(0, kinds=["wish", "question"], lang="nb"), finding(1, kinds=["question"], lang="nb"), tick(5)]
    assert [v.key for v in judge(spec, posts)] == ["question, nb"]


def test_a_finding_without_the_key_is_not_judged() -> None:
    spec = rule("frequency", timeframe="60s", num_events=1, query_key="place")
    assert judge(spec, [finding(0), tick(5)]) == []


def test_one_loud_account_and_a_thousand_reposts_are_one_author() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, count_by="authors")
    loud = [finding(n / 100, author="a") for n in range(100)]
    reposts = [finding(2 + n / 100, author=f"r{n}", repost_of="p000000.000") for n in range(1000)]
    assert judge(spec, [*loud, *reposts, tick(30)]) == []
    verdicts = judge(spec, [*loud, *reposts, finding(20, author="b"), tick(30)])
    assert [(v.count, v.authors, v.posts, v.reposts) for v in verdicts] == [(2, 1002, 1101, 1000)]


def test_a_platforms_posts_without_an_author_are_nobodys() -> None:
    spec = rule("frequency", timeframe="60s", num_events=3, count_by="authors")
    visitors = [finding(n, f"v{n}", source="facebook") for n in range(9)]
    named = [finding(10 + n, f"k{n}", source="facebook", author=f"p_{n}") for n in range(3)]
    end = tick(50, "facebook")
    assert judge(spec, [*visitors, *named[:2], end]) == []
    (verdict,) = judge(spec, [*visitors, *named, end])
    assert (verdict.count, verdict.authors, verdict.posts) == (3, 3, 12)


def test_without_authors_posts_that_are_no_reposts_count_and_the_verdict_says_so() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, count_by="authors")
    (verdict,) = judge(spec, [finding(0), finding(1, repost_of="p"), finding(2), tick(30)])
    assert (verdict.count, verdict.authors, verdict.reason) == (2, None, Reason.NUM_EVENTS_NO_AUTHORS)


def test_stories_collapse_their_reposts() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, count_by="stories")
    same = [finding(n, story="s") for n in range(9)]
    assert judge(spec, [*same, tick(30)]) == []
    assert said(judge(spec, [*same, finding(20, story="t"), tick(30)])) == [("fired", 20)]


def test_the_same_post_twice_counts_once() -> None:
    assert judge(THREE, [finding(0, "a"), finding(0, "a"), finding(1, "b"), finding(1, "b"), tick(30)]) == []


def test_a_rise_within_realert_is_held_and_says_why() -> None:
    spec = rule("frequency", timeframe="10s", num_events=2, realert="60s")
    posts = [finding(0), finding(1), finding(30), finding(31), finding(61), finding(62), tick(62)]
    verdicts = judge(spec, posts)
    assert said(verdicts) == [("fired", 1), ("resolved", 10), ("suppressed", 31), ("fired", 62)]
    assert verdicts[2].reason is Reason.REALERT


def test_a_held_level_that_outlasts_realert_fires() -> None:
    spec = rule("frequency", timeframe="10s", num_events=2, realert="60s")
    posts = [finding(0), finding(1), *(finding(at) for at in range(50, 70, 2)), tick(69)]
    assert said(judge(spec, posts)) == [("fired", 1), ("resolved", 10), ("suppressed", 52), ("fired", 62)]


def test_lookback_fills_the_window_and_never_fires_by_itself() -> None:
    before = [lookback(0), lookback(1), lookback(2)]
    held = judge(THREE, [*before, tick(5)])
    assert [(v.event, v.reason) for v in held] == [(Event.SUPPRESSED, Reason.LOOKBACK_ONLY)]
    assert said(judge(THREE, [*before, finding(10), tick(15)])) == [("suppressed", 2), ("fired", 10)]


def test_lookback_that_arrives_behind_the_watermark_makes_the_next_live_post_fire() -> None:
    posts = [tick(30), lookback(5), lookback(6), finding(40), tick(45)]
    assert said(judge(THREE, posts)) == [("fired", 40)]


def test_a_gap_filled_post_completes_a_window_of_the_past() -> None:
    late = finding(15, origin=Origin.GAP_FILL)
    verdicts = judge(THREE, [finding(10), finding(20), tick(90), late, tick(100)])
    assert said(verdicts) == [("fired", 20), ("resolved", 70)]
    fired = verdicts[0]
    assert (fired.reason, fired.heard_late) == (Reason.HEARD_LATE, True)
    assert (fired.posted_at, fired.found_at) == (instant(15), instant(16))
    (in_time, _) = judge(THREE, [finding(10), late, finding(20), tick(90)])
    assert (in_time.at, in_time.count, in_time.nth) == (fired.at, fired.count, 1)
    # Which alarm it is of those in order of time, nobody can say of one that was found late: it has an id by its post.
    assert (fired.nth, fired.alert_id) == (None, alert_id(INCIDENT.id, THREE.name, "", instant(20), "x:p00020.000"))


def test_a_late_post_that_lifts_the_standing_level_stays_up() -> None:
    posts = [finding(10), finding(20), tick(30), finding(15), tick(60), tick(71)]
    assert said(judge(THREE, posts)) == [("fired", 20), ("resolved", 70)]


def test_a_late_post_in_a_window_that_was_reported_adds_nothing() -> None:
    posts = [finding(0), finding(1), finding(2), tick(90), finding(1.5, origin=Origin.GAP_FILL), tick(95)]
    assert said(judge(THREE, posts)) == [("fired", 2), ("resolved", 60)]


def test_what_comes_later_than_two_timeframes_no_longer_counts() -> None:
    assert judge(THREE, [finding(10), finding(20), tick(131), finding(11), tick(140)]) == []


def test_a_verdict_carries_the_gaps_of_its_window() -> None:
    records = [gap(-50, -41), gap(-70, -40.5, id="g2"), finding(0), finding(10), finding(19), tick(30)]
    (verdict,) = judge(THREE, records)
    assert [g.id for g in verdict.gaps] == ["g2"]
    (verdict,) = judge(THREE, [finding(0), gap(5, None), finding(10), finding(19), tick(30, "y")])
    assert [g.id for g in verdict.gaps] == ["g1"]


def test_the_spark_samples_and_kinds_show_the_window() -> None:
    spec = rule("frequency", timeframe="60s", num_events=5, realert="0s")
    posts: list[Any] = [
        finding(1, "r1", story="s", repost_of="o", kinds=["rumour"]),
        finding(2, "o", story="s", kinds=["rumour", "question"]),
        finding(30, "t"),
        finding(59, "u"),
        finding(60, "v"),
        tick(60),
    ]
    (verdict,) = judge(spec, posts)
    assert verdict.spark == (2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2)
    assert [sample.key for sample in verdict.samples] == ["x:o", "x:t", "x:u"]
    assert verdict.kinds == {"rumour": 2, "question": 1}
    assert verdict.first_seen == instant(1)


def test_memory_is_bounded_by_windows_and_not_by_keys_ever_seen() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, query_key="story", realert="0s")
    engine = Engine((spec,), allowed_lateness=timedelta())
    for n in range(3000):
        if n == 1000:
            before = held_by(engine)
        engine.finding(finding(n), 2 * n)
        engine.tick(tick(n), 2 * n + 1)
    assert held_by(engine) < 1.05 * before


def test_a_level_that_falls_at_the_very_instant_of_a_post_is_reported_at_once() -> None:
    spec = rule("frequency", timeframe="60s", num_events=2, realert="0s")
    posts = [finding(0, "a"), finding(0, "b"), finding(60, "c"), tick(61)]
    assert said(judge(spec, posts)) == [("fired", 0), ("resolved", 60)]


def test_a_repost_that_names_no_post_is_no_person() -> None:
    spec = rule("frequency", num_events=2, timeframe="5m", count_by="authors")
    posts = [finding(0), finding(30, text="RT @p_aaaaaaaaaaaaaaaa: røyk ved inngangen"), finding(60), tick(100)]
    (fired,) = judge(spec, posts)
    assert fired.event is Event.FIRED
    assert (fired.at, fired.count, fired.posts, fired.reposts) == (instant(60), 2, 3, 1)
