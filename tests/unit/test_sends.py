"""Sends as a timeline: at this time, with this told, these are due. Each alert is a group of its own here."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify.recipients import LEDGER, People
from alerts.notify.sends import BACKOFF, Send, SendCause
from listener.model.deliveries import Outcome, PageWhy
from listener.model.records import DecisionKind, Severity
from tests.unit.telling_support import T0, Log, after, due, people


@pytest.fixture
def log() -> Log:
    made = Log()
    made.fired()
    return made


def plan(log: Log, at: datetime, who: People | None = None, in_flight: tuple[str, ...] = ()) -> list[Send]:
    return due(log.book, who or people(), at, in_flight)


def shown(dues: list[Send]) -> list[tuple[str, int, str]]:
    return [(one.contact.person, one.nth, one.cause.value) for one in dues]


def send(log: Log, at: datetime, outcome: Outcome | None = Outcome.SENT, reason: str | None = None) -> list[Send]:
    """Carry out all that is due."""
    dues = plan(log, at)
    for one in dues:
        log.delivery(one, at)
        if outcome:
            log.delivery(one, at, outcome, reason)
    return dues


def test_the_first_step_is_due_when_it_fires_for_everybody_on_the_route(log: Log) -> None:
    assert shown(plan(log, T0)) == [("kari", 0, "first"), ("ola", 0, "first")]


def test_a_step_that_was_sent_is_never_sent_again(log: Log) -> None:
    send(log, T0)
    assert plan(log, after(seconds=299)) == []


def test_the_next_step_comes_at_its_time_and_not_before(log: Log) -> None:
    send(log, T0)
    assert plan(log, after(minutes=5) - timedelta(microseconds=1)) == []
    assert shown(plan(log, after(minutes=5))) == [("kari", 1, "first"), ("ola", 1, "first")]


def test_steps_are_counted_from_the_firing_not_from_the_last_send(log: Log) -> None:
    send(log, after(seconds=100))
    assert shown(plan(log, after(minutes=5)))[0] == ("kari", 1, "first")


def test_after_a_downtime_only_the_newest_step_is_sent(log: Log) -> None:
    send(log, T0)
    assert shown(plan(log, after(minutes=61))) == [("kari", 1, "first"), ("ola", 1, "first")]


@pytest.mark.parametrize("kind", [DecisionKind.ACKNOWLEDGE, DecisionKind.CLOSE])
def test_a_person_ends_it(log: Log, kind: DecisionKind) -> None:
    send(log, T0)
    log.decided(kind)
    assert plan(log, after(days=1)) == []


def test_passing_does_not_end_it(log: Log) -> None:
    send(log, T0)
    log.resolved(at=after(minutes=1))
    assert len(plan(log, after(minutes=5))) == 2


def test_what_is_in_flight_is_not_due(log: Log) -> None:
    first, second = plan(log, T0)
    assert plan(log, T0, in_flight=(first.intent,)) == [second]


def test_an_intent_without_an_outcome_is_sent_again_and_marked(log: Log) -> None:
    send(log, T0, outcome=None)
    again = plan(log, after(seconds=1))
    assert [(one.cause, one.attempt, one.may_repeat) for one in again] == [(SendCause.UNKNOWN_OUTCOME, 2, True)] * 2


def test_a_newer_step_takes_the_place_of_an_unfinished_one(log: Log) -> None:
    send(log, T0, outcome=None)
    assert [(one.nth, one.attempt, one.may_repeat) for one in plan(log, after(minutes=5))] == [(1, 1, False)] * 2


def test_a_temporary_failure_is_tried_again_after_longer_and_longer_pauses(log: Log) -> None:
    at = T0
    for attempt, pause in enumerate(BACKOFF[:3], start=1):
        first = next(one for one in plan(log, at) if one.contact.person == "kari")
        assert (first.attempt, first.may_repeat) == (attempt, False)
        log.delivery(first, at, Outcome.TEMPORARY, "busy 451")
        just_before = plan(log, at + pause - timedelta(microseconds=1))
        assert "kari" not in [one.contact.person for one in just_before]
        at += pause


@pytest.mark.parametrize(("reason", "marked"), [("no_answer", True), ("hung", True), ("busy 451", False)])
def test_a_retry_says_so_where_the_first_try_may_have_arrived(log: Log, reason: str, marked: bool) -> None:
    send(log, T0, Outcome.TEMPORARY, reason)
    assert {one.may_repeat for one in plan(log, after(seconds=5))} == {marked}


def test_once_uncertain_a_step_stays_uncertain(log: Log) -> None:
    send(log, T0, Outcome.TEMPORARY, "no_answer")
    send(log, after(seconds=5), Outcome.TEMPORARY, "busy 451")
    assert {one.may_repeat for one in plan(log, after(seconds=20))} == {True}


def test_a_late_answer_ends_the_retries(log: Log) -> None:
    (kari, _) = send(log, T0, Outcome.TEMPORARY, "hung")
    (again, _) = plan(log, after(seconds=5))
    log.delivery(again, after(seconds=5))
    log.delivery(kari, after(seconds=6), Outcome.SENT)
    log.delivery(again, after(seconds=7), Outcome.TEMPORARY, "busy 451")
    assert "kari" not in [one.contact.person for one in plan(log, after(seconds=60))]


def test_a_permanent_failure_ends_that_contact_for_that_step_only(log: Log) -> None:
    kari, ola = plan(log, T0)
    log.delivery(kari, T0, Outcome.PERMANENT, "bad_target 550")
    log.delivery(ola, T0, Outcome.SENT)
    assert plan(log, after(seconds=200)) == []
    assert [one.contact.person for one in plan(log, after(minutes=5))] == ["kari", "ola"]


def test_the_fallback_is_notified_when_nobody_on_the_route_can_be_reached(log: Log) -> None:
    send(log, T0, Outcome.PERMANENT, "bad_target 550")
    (reserve,) = plan(log, after(seconds=1))
    assert (reserve.contact.person, reserve.nth, reserve.page.why) == ("reserve", 0, PageWhy.LAST_RESORT)


def test_the_fallback_waits_for_a_few_tries_of_what_may_still_work(log: Log) -> None:
    for seconds in (0, 5, 20):
        assert "reserve" not in [one.contact.person for one in send(log, after(seconds=seconds), Outcome.TEMPORARY)]
    assert [one.contact.person for one in plan(log, after(seconds=21))] == ["reserve"]


def test_a_route_known_to_be_dead_has_its_fallback_notified_with_the_next_step_at_once(log: Log) -> None:
    for seconds in (0, 5, 20, 80):
        send(log, after(seconds=seconds), Outcome.TEMPORARY)
    assert [one.contact.person for one in plan(log, after(minutes=5))] == ["kari", "ola", "reserve"]


def test_one_who_was_reached_is_enough(log: Log) -> None:
    kari, ola = plan(log, T0)
    log.delivery(kari, T0, Outcome.SENT)
    log.delivery(ola, T0, Outcome.PERMANENT, "refused 404")
    assert plan(log, after(seconds=1)) == []


def test_when_all_else_fails_there_is_the_console(log: Log) -> None:
    send(log, T0, Outcome.PERMANENT)
    send(log, T0, Outcome.PERMANENT)
    assert [one.contact.channel for one in plan(log, T0)] == ["console"]


@pytest.mark.parametrize("routes", [{"fallback": ["reserve"]}, {"duty": [], "fallback": ["reserve"]}])
def test_a_route_without_anybody_goes_to_the_fallback(log: Log, routes: dict[str, list[str]]) -> None:
    found = [(send.contact.person, send.page.why) for send in plan(log, T0, people(routes))]
    assert found == [("reserve", PageWhy.LAST_RESORT)]


def test_nobody_at_all_is_the_console(log: Log) -> None:
    assert [one.contact.channel for one in plan(log, T0, people({}))] == ["console"]


def test_two_routes_to_one_place_are_one(log: Log) -> None:
    assert [one.contact.person for one in plan(log, T0, people({"duty": ["kari", "kari"]}))] == ["kari"]


def test_a_canary_goes_to_its_receiver_once_and_never_to_a_person() -> None:
    log = Log()
    log.fired(synthetic=True)
    assert [one.contact for one in plan(log, T0)] == [LEDGER]
    log = Log()
    log.fired(synthetic=True)
    who = people({"duty": ["kari"], "canary": ["ola"]})
    (one,) = plan(log, T0, who)
    assert one.contact.person == "ola"
    log.delivery(one, T0, Outcome.SENT)
    assert plan(log, after(hours=3), who) == []
    log = Log()
    log.fired(synthetic=True)
    log.delivery(plan(log, T0, who)[0], T0, Outcome.PERMANENT)
    assert plan(log, T0, who) == []


def test_a_clock_set_back_neither_repeats_a_step_nor_stretches_a_pause(log: Log) -> None:
    send(log, after(minutes=11), Outcome.SENT)
    assert plan(log, T0 - timedelta(hours=1)) == []
    send(log, after(minutes=15), Outcome.TEMPORARY)
    assert [one.attempt for one in plan(log, T0 - timedelta(hours=1))] == [2, 2]


def test_the_most_severe_alert_goes_first(log: Log) -> None:
    log.fired("a2", severity=Severity.CRITICAL)
    assert [one.lead for one in plan(log, T0)] == ["a2", "a2", "a1", "a1"]


Happening = tuple[float, Outcome | None, str | None]
OUTCOMES = st.sampled_from(
    [
        (Outcome.SENT, None),
        (Outcome.TEMPORARY, "busy 451"),
        (Outcome.TEMPORARY, "no_answer"),
        (Outcome.PERMANENT, "bad_target 550"),
        (None, None),
    ]
)


@examples(150)
@given(st.lists(st.tuples(st.floats(0, 400), OUTCOMES), max_size=25))
def test_whatever_fails_no_step_reaches_a_place_twice_unmarked_and_nobody_is_forgotten(
    turns: list[tuple[float, tuple[Outcome | None, str | None]]],
) -> None:
    log = Log()
    log.fired()
    at = T0
    arrived: set[tuple[int, str, str]] = set()
    for wait, (outcome, reason) in turns:
        for one in plan(log, at):
            place = (one.page.id, one.contact.channel, one.contact.target)
            assert place not in arrived or one.may_repeat
            log.delivery(one, at)
            if outcome:
                log.delivery(one, at, outcome, reason)
            if outcome is Outcome.SENT or outcome is None or reason == "no_answer":
                arrived.add(place)
            if outcome is Outcome.SENT:
                assert one.intent not in [d.intent for d in plan(log, at)]
        at += timedelta(seconds=wait)
    (state,) = log.book.open()
    assert "kari" in [one.contact.person for one in plan(log, after(days=2))]
    assert state.alert.id == "a1"


def test_of_two_alerts_the_one_with_fewer_sends_under_way_goes_first_and_a_more_severe_one_before_both(
    log: Log,
) -> None:
    log.fired("a2", after(seconds=1))
    at = after(seconds=2)
    assert [one.lead for one in due(log.book, people(), at)] == ["a1", "a1", "a2", "a2"]
    assert [one.lead for one in due(log.book, people(), at, busy={"a1": 4})] == ["a2", "a2", "a1", "a1"]
    log.fired("a3", after(seconds=1), severity=Severity.CRITICAL)
    busy = {"a1": 4, "a3": 9}
    assert [one.lead for one in due(log.book, people(), at, busy=busy)] == ["a3", "a3", "a2", "a2", "a1", "a1"]
