"""The fold: what is open, who answered, who was told."""

from __future__ import annotations

import pytest

from alerts.notify.state import Condition, Handling
from listener.errors import UsageError
from listener.model.deliveries import Outcome
from listener.model.records import Alert, BadRecord, DecisionKind, Event, NewerSchema, Sample
from tests.unit.telling_support import T0, Log, after, alert, due, people


@pytest.fixture
def log() -> Log:
    return Log()


def state(log: Log, id_: str = "a1"):
    found = log.book.get(id_)
    assert found is not None
    return found


def test_an_alert_fires_open_and_counts_from_the_bus_time(log: Log) -> None:
    log.fired(time=after(seconds=40))
    assert (state(log).condition, state(log).handling) == (Condition.FIRING, Handling.OPEN)
    assert state(log).fired_at == after(seconds=40)
    assert log.book.open() == [state(log)]


def test_a_second_fired_of_a_known_id_changes_nothing(log: Log) -> None:
    log.fired()
    before = state(log)
    log.fired(time=after(hours=1), count=99)
    assert state(log) is before


def test_what_was_told_early_is_settled_and_all_else_stays(log: Log) -> None:
    early = [Sample(key="x:1", digest="d1")]
    log.fired(time=after(seconds=1), settled=False, nth=1, count=27, samples=early)
    log.decided(DecisionKind.ACKNOWLEDGE, "kari", after(seconds=5))
    settled = {"settled": True, "nth": 1, "count": 31, "at": after(seconds=-2)}
    log.fired(time=after(seconds=11), **settled, samples=[Sample(key="x:0", digest="d0")])
    found = state(log)
    assert (found.alert.count, found.alert.at, found.alert.settled) == (31, after(seconds=-2), True)
    assert (found.fired_at, found.handling) == (after(seconds=1), Handling.ACKNOWLEDGED)
    assert log.book.all() == [found]
    assert log.book.open() == []
    log.fired("a2", settled=True, nth=1, samples=[Sample(key="x:0", digest="d0")])
    log.fired("a3", settled=True, nth=1, samples=early)
    assert log.book.alike(state(log, "a2")) == [found, state(log, "a2")]
    assert log.book.alike(state(log, "a3")) == [state(log, "a3")]


def test_an_early_word_after_the_settled_one_changes_nothing(log: Log) -> None:
    log.fired(settled=True, nth=1, count=31)
    before = state(log)
    log.fired(settled=False, nth=1, count=27)
    log.fired(settled=True, nth=1, count=99)
    assert state(log) is before


def test_an_early_word_that_is_withdrawn_has_passed_and_waits_for_a_person(log: Log) -> None:
    log.fired(settled=False, nth=1)
    log.resolved()
    assert (state(log).condition, state(log).is_open) == (Condition.RESOLVED, True)


def test_a_suppressed_event_opens_nothing(log: Log) -> None:
    log.add("alerts", alert(event=Event.SUPPRESSED))
    assert log.book.all() == []


def test_resolving_does_not_answer_for_a_person(log: Log) -> None:
    log.fired()
    log.resolved()
    assert (state(log).condition, state(log).handling) == (Condition.RESOLVED, Handling.OPEN)
    assert log.book.open()


def test_the_first_acknowledgement_stands(log: Log) -> None:
    log.fired()
    log.decided(DecisionKind.ACKNOWLEDGE, "kari", after(minutes=1))
    log.decided(DecisionKind.ACKNOWLEDGE, "ola", after(minutes=2))
    handled = state(log).handled
    assert handled is not None
    assert (state(log).handling, handled.by, handled.at) == (Handling.ACKNOWLEDGED, "kari", after(minutes=1))
    assert log.book.open() == []


def test_an_acknowledged_alert_can_be_closed_and_not_the_other_way_round(log: Log) -> None:
    log.fired()
    for kind in (DecisionKind.ACKNOWLEDGE, DecisionKind.CLOSE, DecisionKind.ACKNOWLEDGE):
        log.decided(kind)
    assert state(log).handling is Handling.CLOSED


def test_topics_may_be_read_in_any_order(log: Log) -> None:
    other = Log()
    other.fired()
    (one, _) = due(other.book, people(), T0)
    log.decided(DecisionKind.ACKNOWLEDGE)
    log.delivery(one, T0, Outcome.SENT)
    log.resolved()
    assert log.book.all() == []
    log.fired()
    assert state(log).handling is Handling.ACKNOWLEDGED
    assert state(log).condition is Condition.RESOLVED
    assert state(log).step == 0


def test_decisions_about_other_things_are_passed_over(log: Log) -> None:
    log.decided(DecisionKind.PURGE, id_="x:1")
    log.fired("x:1")
    assert state(log, "x:1").handling is Handling.OPEN


def test_a_note_is_kept_once(log: Log) -> None:
    log.fired()
    log.decided(DecisionKind.NOTE)
    log.book.apply(log.records[-1])
    assert [note.why for note in state(log).notes] == ["ja"]


@pytest.mark.parametrize("topic", ["alerts", "decisions", "deliveries"])
def test_a_bad_record_is_handed_back_and_the_rest_goes_on(log: Log, topic: str) -> None:
    assert isinstance(log.add(topic, b"{}"), BadRecord)
    assert isinstance(log.add(topic, b'{"v":2}'), NewerSchema)
    assert log.add(topic, None) is None
    log.fired()
    assert log.book.open()


def test_an_id_may_be_shortened_while_it_fits_one(log: Log) -> None:
    log.fired("abc1")
    log.fired("abd2")
    assert log.book.find("abc").id == "abc1"
    with pytest.raises(UsageError, match="fits 2"):
        log.book.find("ab")
    for nothing in ("zz", ""):
        with pytest.raises(UsageError, match="lyttepost alerts"):
            log.book.find(nothing)


def test_a_whole_id_is_found_though_another_begins_with_it(log: Log) -> None:
    log.fired("abc")
    log.fired("abcd")
    assert log.book.find("abc").id == "abc"


def test_json_shows_who_was_notified_and_who_answered(log: Log) -> None:
    log.fired()
    for one in due(log.book, people(), T0):
        log.delivery(one, after(seconds=1))
    log.delivery(one, after(seconds=2), Outcome.TEMPORARY, "busy 500")
    log.decided(DecisionKind.ACKNOWLEDGE, "kari", after(minutes=3))
    data = state(log).as_json()
    assert data["handled_by"] == "kari"
    assert [told["outcome"] for told in data["told"]] == ["sending", "temporary_failure"]
    assert data["fired_at"] == "2031-03-02T02:00:00Z"


def test_the_alerts_own_words_are_kept_as_they_fired(log: Log) -> None:
    log.fired()
    log.add("alerts", alert(event=Event.RESOLVED, count=3))
    assert isinstance(state(log).alert, Alert)
    assert state(log).alert.count == 27
