"""Who is paged, when and by what: timelines on a simulated clock, through the dispatcher itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify.escalation import Escalation
from alerts.notify.recipients import People
from alerts.notify.sends import Sends
from alerts.notify.state import AlertBook
from listener.errors import UsageError
from listener.model.deliveries import Page, PageWhy
from tests.unit.escalation_support import at, event, fire, minute, pages, people, run
from tests.unit.telling_support import T0, alert


def test_each_step_comes_at_its_time_and_a_round_follows_until_somebody_answers() -> None:
    lines = run(people(), [fire(0), event(16, "ack", alert="a1", by="A")], until=40)
    assert pages(lines) == [
        (0, "A", "sms"), (5, "B", "sms"), (5, "B", "email"), (10, "C", "sms"), (15, "A", "sms"),
    ]  # fmt: skip


def test_a_step_whose_waking_ways_are_refused_is_followed_by_the_next_at_once() -> None:
    refused = event(0, "channel", channel="sms", target="A", answers="reject")
    lines = run(people(), [refused, fire(0)], until=9)
    assert pages(lines) == [(0, "B", "sms"), (0, "B", "email")]


def test_what_was_taken_and_then_could_not_be_delivered_counts_as_refused() -> None:
    lines = run(people(), [event(0, "channel", channel="sms", target="A", answers="undelivered"), fire(0)], until=4)
    assert [line["to"] for line in lines if line["do"] == "page"] == ["A", "B", "B"]


def test_when_nobody_can_be_reached_the_last_resort_is_called_down_to_the_console() -> None:
    nobody = [event(0, "channel", channel=channel, answers="reject") for channel in ("sms", "email")]
    lines = run(people(), [*nobody, fire(0)], until=1)
    assert pages(lines) == [(0, "console", "console")]
    assert "all_failed" in [line["what"] for line in lines if line["do"] == "trouble"]


def test_everybody_with_the_role_is_called_before_ops_when_the_roster_has_nobody() -> None:
    policy = people(
        people={
            "on": {"roles": ["duty"], "ways": [{"channel": "sms", "target": "on"}]},
            "op": {"roles": ["ops"], "ways": [{"channel": "sms", "target": "op"}]},
        },
        roster={"duty": {"zone": "UTC", "layers": []}},
        policies={"crisis": {"steps": [{"to": ["duty"]}], "repeat_every": "15m"}},
    )
    lines = run(policy, [fire(0)], until=1)
    assert pages(lines) == [(0, "on", "sms")]
    assert [line["what"] for line in lines if line["do"] == "trouble"] == ["empty_step", "all_failed"]
    refused = event(0, "channel", channel="sms", target="on", answers="reject")
    assert pages(run(policy, [refused, fire(0)], until=1)) == [(0, "op", "sms")]


def test_a_new_occurrence_pages_although_the_old_one_was_acknowledged() -> None:
    lines = run(people(), [fire(0), event(1, "ack", alert="a1", by="A"), fire(7, "a2")], until=8)
    assert pages(lines) == [(0, "A", "sms"), (7, "A", "sms")]


def test_an_answer_covers_only_what_its_page_named() -> None:
    lines = run(people(), [fire(0), fire(0.5, "a2"), event(1, "ack", alerts=["a1"], by="A")], until=6)
    assert [(minute(line), line["alerts"]) for line in lines if line["do"] == "page"] == [
        (0, {"a1": "firing"}), (5, {"a2": "firing"}),
    ]  # fmt: skip


def test_who_acknowledged_what_fell_open_again_is_paged_with_the_first_step() -> None:
    lines = run(people(ack_timeout="30m"), [fire(0), event(6, "ack", alert="a1", by="B")], until=37)
    assert [(minute(line), line["was"]) for line in lines if line["do"] == "unacknowledged"] == [(36, "B")]
    assert {(m, who) for m, who, _ in pages(lines) if m > 6} == {(36, "A"), (36, "B")}


def test_what_is_resolved_never_falls_open_again() -> None:
    happens = [fire(0), event(1, "ack", alert="a1", by="A"), event(2, "resolve", alert="a1")]
    assert pages(run(people(ack_timeout="30m"), happens, until=90)) == [(0, "A", "sms")]


def test_a_silence_that_does_not_name_what_is_critical_holds_back_only_the_rest() -> None:
    silence = event(0, "silence", silence="s", match={"source": "x"}, by="A", **{"from": at(0), "to": at(60)})
    critical = fire(1, fields={"source": "x"})
    warning = fire(1, "w", rule="w", severity="warning", fields={"source": "x"})
    assert [
        line["alerts"] for line in run(people(), [silence, critical, warning], until=2) if line["do"] == "page"
    ] == [{"a1": "firing"}]


def test_what_came_and_passed_under_a_silence_is_told_at_its_end_as_one_alert_that_answers_for_all() -> None:
    silence = event(0, "silence", silence="s", match={"rule": "r"}, by="A", **{"from": at(0), "to": at(60)})
    happens = [silence, fire(1), fire(2, "a2"), event(5, "resolve", alert="a1"), event(6, "resolve", alert="a2")]
    lines = run(people(), happens, until=61)
    (page,) = [line for line in lines if line["do"] == "page"]
    assert (minute(page), page["to"]) == (60, "A")
    (ended,) = page["alerts"]
    assert ended not in ("a1", "a2")
    answered = run(people(), [*happens, event(61, "ack", alert=ended, by="A")], until=200)
    assert [minute(line) for line in answered if line["do"] == "page"] == [60]


def test_a_silence_that_is_lifted_is_over_at_once() -> None:
    silence = event(0, "silence", silence="s", match={"rule": "r"}, by="A", **{"from": at(0), "to": at(60)})
    assert pages(run(people(), [silence, fire(1), event(3, "unsilence", silence="s")], until=4)) == [(3, "A", "sms")]


def test_alerts_that_would_inhibit_each_other_do_not_vanish() -> None:
    both = [{"source": {"rule": "r"}, "target": {"rule": "q"}}, {"source": {"rule": "q"}, "target": {"rule": "r"}}]
    lines = run(people(inhibit=both), [fire(0), fire(0, "a2", rule="q")], until=30)
    assert pages(lines), "somebody must be told"
    alike = [{"source": {"severity": "critical"}, "target": {"severity": "critical"}}]
    assert len(pages(run(people(inhibit=alike), [fire(0), fire(0, "a2", rule="q")], until=1))) == 2


def test_a_warning_holds_nothing_critical_back() -> None:
    inhibit = [{"source": {"rule": "q"}, "target": {"rule": "r"}}]
    happens = [fire(0, "w", rule="q", severity="warning"), fire(1)]
    assert (1, "A", "sms") in pages(run(people(inhibit=inhibit), happens, until=2))


def test_what_is_held_back_stands_on_the_card_of_what_holds_it() -> None:
    inhibit = [{"source": {"rule": "q"}, "target": {"rule": "r"}}]
    lines = run(people(inhibit=inhibit), [fire(0), fire(0, "cause", rule="q")], until=1)
    assert [(line["alerts"], line["held"]) for line in lines if line["do"] == "page"] == [({"cause": "firing"}, ["a1"])]


def test_an_exercise_and_the_real_thing_are_never_one_page() -> None:
    lines = run(people(), [fire(0), fire(0, "a2", exercise=True)], until=1)
    assert sorted((tuple(line["alerts"]), tuple(line["marks"])) for line in lines if line["do"] == "page") == [
        (("a1",), ()), (("a2",), ("exercise",)),
    ]  # fmt: skip


def test_colleagues_who_were_called_hear_who_has_it_by_a_way_that_does_not_wake() -> None:
    lines = run(people(), [fire(0), event(6, "ack", alert="a1", by="A")], until=7)
    assert [(line["what"], line["to"]) for line in lines if line["do"] == "notice"] == [("acknowledged", "B")]


def test_a_restart_sends_nothing_again_and_forgets_no_step() -> None:
    happens = [fire(0), *(event(m, "restart") for m in (0, 1, 5, 9))]
    assert pages(run(people(), happens, until=11)) == pages(run(people(), [fire(0)], until=11))


ALERTS = st.sampled_from(["a1", "a2", "a3"])
EVENT = st.one_of(
    st.tuples(st.just("fire"), ALERTS),
    st.tuples(st.just("resolve"), ALERTS),
    st.tuples(st.just("ack"), ALERTS),
    st.tuples(st.just("close"), ALERTS),
    st.tuples(st.just("restart"), st.none()),
    st.tuples(st.just("silence"), ALERTS),
    st.tuples(st.just("channel"), st.sampled_from(["reject", "temporary", "no_answer", "accept"])),
)


def made(minutes: float, what: str, about: Any, number: int) -> dict[str, Any]:
    if what == "fire":
        return fire(minutes, about, rule=f"rule-{about}")
    if what == "silence":
        match = {"rule": f"rule-{about}"}
        return event(
            minutes, what, silence=f"s{number}", match=match, by="A", **{"from": at(minutes), "to": at(minutes + 20)}
        )
    if what == "channel":
        return event(minutes, what, channel="sms", answers=about)
    return event(minutes, what, **({"alert": about} if about else {}), **({"by": "B"} if what == "ack" else {}))


@examples(40)
@given(st.lists(st.tuples(st.integers(0, 40), EVENT), max_size=10))
def test_whatever_happens_no_alert_is_lost_and_nobody_is_told_twice_for_one_step(
    happenings: list[tuple[int, tuple[str, Any]]],
) -> None:
    events = [made(minutes, what, about, n) for n, (minutes, (what, about)) in enumerate(happenings)]
    lines = run(people(), events, until=120)
    told: Counter[tuple[Any, ...]] = Counter()
    for line in lines:
        first = line["do"] == "page" and line["why"] == "step" and "may_repeat" not in line["marks"]
        if first and line["outcome"] in ("accept", "no_answer"):
            for alert in line["alerts"]:
                told[alert, line["round"], line["step"], line["to"], line["by"], run_of(events, line)] += 1
    assert not [case for case, times in told.items() if times > 1]
    last = max((minutes for minutes, _ in happenings), default=0)
    for alert in ("a1", "a2", "a3"):
        fired = [minutes for minutes, (what, about) in happenings if what == "fire" and about == alert]
        answered = any(what in ("ack", "close") and about == alert for _, (what, about) in happenings)
        if fired and not answered:
            # Everything else is over by then: whoever stands in the newest round is told of it.
            late = [line for line in lines if line["do"] == "page" and minute(line) > last + 20]
            covered = any(line["alerts"].keys() - {"a1", "a2", "a3"} for line in late)
            assert covered or any(alert in line["alerts"] for line in late), alert


def run_of(events: list[dict[str, Any]], line: dict[str, Any]) -> int:
    """Runs end with a word: how many were said by then."""
    return sum(1 for each in events if each["do"] in ("ack", "close", "silence") and each["at"] <= line["at"]) + sum(
        1 for each in events if each["do"] == "silence" and at_end(each) <= line["at"]
    )


def at_end(silence: dict[str, Any]) -> str:
    return str(silence["to"])


@pytest.mark.parametrize("minutes", [0, 3])
def test_ops_hear_of_a_policy_that_there_is_not_and_somebody_is_called(minutes: float) -> None:
    lines = run(people(), [fire(minutes, policy="nobody_knows")], until=5)
    assert pages(lines)[0] == (minutes, "console", "console")
    assert [line["what"] for line in lines if line["do"] == "trouble"] == ["unknown_route"]


def test_a_silence_over_when_it_was_said_changes_nothing() -> None:
    over = event(6, "silence", silence="s", match={"rule": "r"}, by="A", **{"from": at(1), "to": at(5)})
    assert pages(run(people(), [fire(0), over], until=20)) == pages(run(people(), [fire(0)], until=20))


def test_what_came_under_one_silence_and_passed_under_the_next_is_told_as_one_alert() -> None:
    first = event(0, "silence", silence="s1", match={"rule": "r"}, by="A", **{"from": at(0), "to": at(10)})
    second = event(1, "silence", silence="s2", match={"rule": "r"}, by="A", **{"from": at(5), "to": at(20)})
    lines = run(people(), [first, second, fire(2), event(12, "resolve", alert="a1")], until=21)
    assert [(minute(line), "a1" in line["alerts"]) for line in lines if line["do"] == "page"] == [(20, False)]


def test_who_was_called_hears_that_it_passed_though_another_alert_holds_it_back() -> None:
    inhibit = [{"source": {"rule": "q"}, "target": {"rule": "r"}}]
    lines = run(
        people(inhibit=inhibit), [fire(0), fire(2, "cause", rule="q"), event(4, "resolve", alert="a1")], until=6
    )
    assert [(minute(line), line["what"], line["to"], line["alerts"]) for line in lines if line["do"] == "notice"] == [
        (4, "resolved", "A", {"a1": "resolved"})
    ]


def test_nobody_hears_that_somebody_has_what_fell_open_again() -> None:
    lines = run(people(ack_timeout="10m"), [fire(0), event(1, "ack", alert="a1", by="A")], until=20)
    assert (16, "B", "email") in pages(lines)
    assert not [line for line in lines if line["do"] == "notice"]


def test_an_answer_to_what_there_is_not_yet_is_none() -> None:
    lines = run(people(), [event(0, "ack", alert="a1", by="A"), fire(1)], until=2)
    assert pages(lines) == [(1, "A", "sms")]


@pytest.mark.parametrize("wrong", [{"at": 5}, {"at": "0001-01-01T00:00:00Z"}, {"alert": ""}])
def test_an_event_at_no_time_of_ours_or_of_no_alert_is_refused_with_its_line(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"events:2: fire\.(at|alert): "):
        run(people(), [fire(0), {**fire(0, "a2"), **wrong}], until=1)


def test_who_had_what_fell_open_again_hears_of_it_though_others_have_answered_since() -> None:
    first = [fire(0), event(1, "ack", alert="a1", by="C"), fire(6, "a2"), event(7, "ack", alert="a2", by="B")]
    assert (11, "C", "sms") in pages(run(people(ack_timeout="10m"), first, until=12))
    joins = [*first, event(8, "note", alert="a1", by="C"), fire(12, "a3"), event(13, "ack", alert="a3", by="B")]
    lines = run(people(ack_timeout="10m"), [*joins, fire(17.5, "a4")], until=18.5)
    assert {(line["to"], line["why"]) for line in lines if line["do"] == "page" and minute(line) == 18} >= {
        ("A", "changed"), ("C", "changed"),
    }  # fmt: skip


def test_what_a_silence_held_back_is_told_at_its_end_without_waiting_for_others() -> None:
    policy = people(grouping={"by": ["rule"], "wait": "30s", "interval": "5m"})
    silence = event(0, "silence", silence="s", match={"rule": "r"}, by="A", **{"from": at(0), "to": at(60)})
    lines = run(policy, [silence, fire(1), event(5, "resolve", alert="a1")], until=61)
    assert pages(lines) == [(60, "A", "sms")]


def test_the_next_step_comes_at_once_too_when_a_page_kept_until_morning_is_refused_then() -> None:
    sleeps = {"warning": {"from": "22:00", "to": "03:02"}}
    policy = people()
    policy["people"]["A"]["quiet"] = sleeps
    refused = event(0, "channel", channel="sms", target="A", answers="reject")
    lines = run(policy, [refused, fire(0, severity="warning")], until=4)
    assert pages(lines) == [(2, "B", "sms"), (2, "B", "email")]


def test_pages_that_were_refused_do_not_count_for_the_brake() -> None:
    refused = event(0, "channel", channel="sms", target="A", answers="reject", until=at(2))
    happens = [refused, *(fire(n * 0.5, f"a{n}", rule=f"r{n}") for n in range(3)), fire(3, "a3", rule="r3")]
    lines = run(people(brake={"pages": 2, "within": "10m"}), happens, until=3)
    assert (3, "A", "sms") in pages(lines)
    assert not [line for line in lines if line["do"] == "deferred" and line["to"] == "A"]


def test_an_empty_step_is_passed_at_once_though_who_had_the_alert_is_told_with_it() -> None:
    policy = people(ack_timeout="10m", roster={"none": {"zone": "UTC", "layers": []}})
    policy["policies"]["crisis"]["steps"][0]["to"] = ["none"]
    lines = run(policy, [fire(0), event(1, "ack", alert="a1", by="C")], until=12)
    assert {(m, who) for m, who, _ in pages(lines) if m > 1} == {(11, "C"), (11, "B")}


def test_whose_page_was_not_written_before_a_crash_is_paged_all_the_same() -> None:
    """The pages of a step are written one by one, and a process may be killed between two of them."""
    policy = people(policies={"crisis": {"steps": [{"to": ["A", "B", "C"]}], "repeat_every": "15m"}})
    who, book = People.model_validate(policy, context={"scripted": True}), AlertBook()
    book.fire(alert("a1", to="crisis", severity="critical"), T0)

    def planned() -> list[str]:
        return [page.person for page in Escalation(book, who, lambda _: True).plan(T0).pages]

    assert planned() == ["A", "B", "C"]
    first = Escalation(book, who, lambda _: True).plan(T0).pages[0]
    book.pages.take_page(first)
    assert planned() == ["B", "C"]
    again = Escalation(book, who, lambda _: True)
    for _ in range(2):
        book.pages.take_page(again.plan(T0).pages[0])
    assert again.plan(T0).pages == []


def test_what_cannot_pass_stays_acknowledged() -> None:
    happens = [fire(0, resolves=False), event(1, "ack", alert="a1", by="A")]
    assert pages(run(people(ack_timeout="30m"), happens, until=200)) == [(0, "A", "sms")]


def braked(lines: list[dict[str, Any]]) -> list[str]:
    """The alerts of which A heard later only."""
    return [id_ for line in lines if line["do"] == "deferred" and line["to"] == "A" for id_ in line["alerts"]]


def test_what_is_less_severe_holds_back_nothing_critical() -> None:
    brake = people(brake={"pages": 2, "within": "10m"})
    lesser = [
        fire(n, f"i{n}", rule=f"r{n}", severity=severity) for n, severity in enumerate(("info", "warning", "info"))
    ]
    lines = run(brake, [*lesser, fire(3), fire(3.5, "a2", rule="q")], until=4)
    assert braked(lines) == ["i2"]
    assert {(3, "A", "sms"), (3.5, "A", "sms")} <= set(pages(lines))
    graver = run(brake, [fire(0), fire(1, "a2", rule="q"), fire(2, "w", rule="w", severity="warning")], until=3)
    assert braked(graver) == ["w"], "the other way round it does"


def test_an_exercise_never_holds_back_the_real_thing() -> None:
    brake = people(brake={"pages": 2, "within": "10m"})
    exercise = [fire(n, f"e{n}", rule=f"r{n}", exercise=True) for n in range(2)]
    lines = run(brake, [*exercise, fire(2), fire(3, "e3", rule="r3", exercise=True)], until=4)
    assert braked(lines) == ["e3"]
    assert (2, "A", "sms") in pages(lines)


def test_a_colleague_with_mail_alone_does_not_hide_that_nobody_of_the_step_was_woken() -> None:
    policy = people(
        people={
            "A": {"ways": [{"channel": "sms", "target": "A"}]},
            "M": {"ways": [{"channel": "email", "target": "m@x.example"}]},
            "C": {"ways": [{"channel": "sms", "target": "C"}]},
        },
        policies={"crisis": {"steps": [{"to": ["A", "M"]}, {"after": "10m", "to": ["C"]}], "repeat_every": "15m"}},
    )
    refused = event(0, "channel", channel="sms", target="A", answers="reject")
    assert (0, "C", "sms") in pages(run(policy, [refused, fire(0)], until=1))
    assert (0, "C", "sms") not in pages(run(policy, [fire(0)], until=1))


def test_a_step_of_mail_alone_keeps_its_time_unless_its_mails_are_refused() -> None:
    policy = people(
        policies={"crisis": {"steps": [{"to": ["M"]}, {"after": "10m", "to": ["C"]}], "repeat_every": "15m"}}
    )
    policy["people"]["M"] = {"ways": [{"channel": "email", "target": "m@x.example"}]}
    assert pages(run(policy, [fire(0)], until=9)) == [(0, "M", "email")]
    refused = event(0, "channel", channel="email", answers="reject")
    assert pages(run(policy, [refused, fire(0)], until=9)) == [(0, "C", "sms")]


def test_who_stands_in_two_steps_of_one_moment_is_told_the_second_time_that_it_may_be_a_repeat() -> None:
    policy = people()
    policy["policies"]["crisis"]["steps"][0]["to"] = ["B"]
    refused = event(0, "channel", channel="sms", target="B", answers="reject")
    lines = [line for line in run(policy, [refused, fire(0)], until=1) if line["do"] == "page"]
    mails = [line for line in lines if line["by"] == "email"]
    assert [(line["step"], line["marks"]) for line in mails] == [(0, []), (1, ["may_repeat"])]


def test_no_two_pages_that_can_still_be_answered_have_one_code() -> None:
    who, book = People.model_validate(people(), context={"scripted": True}), AlertBook()
    for number in range(600):
        book.fire(alert(f"a{number}", rule=f"r{number}", to="crisis", severity="critical"), T0)
    escalation = Escalation(book, who, lambda _: True)
    planned = escalation.plan(T0).pages
    for page in planned:
        book.pages.take_page(page)
    planned += escalation.plan(T0.replace(minute=T0.minute + 6)).pages
    codes = [page.code for page in planned]
    assert len(codes) == len(set(codes)) == 1200
    assert all(len(code) == 4 for code in codes)


def silence(minutes: float, id_: str, until: float, match: dict[str, str]) -> dict[str, Any]:
    return event(minutes, "silence", silence=id_, match=match, by="b", **{"from": at(minutes), "to": at(until)})


@pytest.mark.parametrize(
    ("match", "told"),
    [({"rule": "r"}, [105]), ({"rule": "r", "source": "x"}, [45, 105])],
)
def test_whoever_prolonged_a_silence_is_not_told_that_the_first_one_ends(
    match: dict[str, str], told: list[float]
) -> None:
    happens = [silence(0, "first", 60, {"rule": "r"}), fire(1), silence(2, "longer", 120, match)]
    lines = run(people(), happens, until=119)
    assert [minute(line) for line in lines if line["do"] == "notice"] == told


def test_no_notice_rings_at_a_bedside() -> None:
    who = People.model_validate(people(), context={"scripted": True})
    sends = Sends(AlertBook(), who, lambda channel: channel == "sms")
    page = Page(id="p", at=T0, why=PageWhy.NOTICE, what="incident", person="A", gently=True)
    assert sends.contacts(page) == ()
    assert [way.channel for way in sends.contacts(page.model_copy(update={"person": "B"}))] == ["email"]
