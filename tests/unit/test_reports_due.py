"""When a situation report is due: at each slot once, the newest alone, only while its incident is open."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify import reports
from alerts.notify.incident_alerts import notices
from alerts.notify.state import AlertBook
from listener.model.incidents import Action, Command, State, encode_command, fold
from listener.model.records import Alert, Severity
from tests.unit.telling_support import T0, after, alert

EVERY = timedelta(hours=4)


def state_of(*commands: Command) -> State:
    return fold(State(), enumerate(map(encode_command, commands)))


def said(action: Action, at: datetime = T0, **more: Any) -> Command:
    return Command(action=action, at=at, by="Nina", why="røyk", **more)


OPEN = state_of(said(Action.OPEN, name="Brann"))


def due(book: AlertBook, now: datetime, state: State = OPEN, every: timedelta = EVERY) -> list[Alert]:
    """They are taken into the book, as when they were published."""
    found = list(reports.due(book, state, every, now))
    for each in found:
        book.fire(each, now)
    return found


@pytest.mark.parametrize(
    ("hours", "slots"), [((0, 3.99), []), ((4,), [4]), ((4, 4.1, 7.99), [4]), ((4, 8, 12), [4, 8, 12]), ((15,), [12])]
)
def test_each_slot_is_said_once_and_only_the_newest_that_has_come(hours: tuple[float, ...], slots: list[int]) -> None:
    book = AlertBook()
    found = [each for hour in hours for each in due(book, after(hours=hour))]
    assert [each.at for each in found] == [after(hours=slot) for slot in slots]


def test_it_tells_of_all_since_the_last_one_also_after_a_downtime() -> None:
    book = AlertBook()
    found = [due(book, after(hours=hour))[0] for hour in (4, 8, 23)]
    spans = [((each.first_seen - T0) / timedelta(hours=1), (each.at - T0) / timedelta(hours=1)) for each in found]
    assert spans == [(0, 4), (4, 8), (8, 20)]


def test_its_id_is_made_of_the_incident_and_the_slot_alone() -> None:
    (first,) = due(AlertBook(), after(hours=4))
    (again,) = due(AlertBook(), after(hours=4.9))
    (other_interval,) = due(AlertBook(), after(hours=4), every=timedelta(hours=2))
    (later,) = due(AlertBook(), after(hours=8))
    two = state_of(said(Action.OPEN, name="Brann"), said(Action.OPEN, name="Ras"))
    both = due(AlertBook(), after(hours=4), two)
    assert first.id == again.id == other_interval.id
    assert len({first.id, later.id, *(each.id for each in both)}) == 3


def test_another_interval_says_no_slot_that_lies_before_the_last_one() -> None:
    book = AlertBook()
    due(book, after(hours=4))
    assert due(book, after(hours=5), every=timedelta(hours=3)) == []
    assert [each.at for each in due(book, after(hours=6), every=timedelta(hours=3))] == [after(hours=6)]


def test_it_is_a_notice_to_the_crisis_team_and_no_alert() -> None:
    (its,) = due(AlertBook(), after(hours=4), state_of(said(Action.OPEN, name="Prøve", exercise=True)))
    assert (its.rule_type, its.to, its.severity, its.exercise) == ("notice", "crisis_team", Severity.INFO, True)
    book = AlertBook()
    book.fire(its, after(hours=4))
    assert (book.all(), book.open(), [each.id for each in book.notices()]) == ([], [], [its.id])


def test_of_a_closed_or_synthetic_incident_there_is_none() -> None:
    closed = state_of(said(Action.OPEN, name="Brann"), said(Action.CLOSE, after(hours=3)))
    synthetic = state_of(said(Action.OPEN, name="Last", synthetic=True))
    assert due(AlertBook(), after(hours=4), closed) == due(AlertBook(), after(hours=4), synthetic) == []


def test_a_clock_that_was_set_back_before_the_opening_asks_for_none() -> None:
    assert due(AlertBook(), after(hours=-9)) == []


def test_it_is_over_when_a_newer_one_is_due_or_the_incident_was_closed() -> None:
    book = AlertBook()
    (first,) = due(book, after(hours=4))
    state = book.get(first.id)
    assert state is not None
    assert not reports.is_over(state, book)
    book.fire(alert("a1"), after(hours=4))
    assert not reports.is_over(state, book)
    (second,) = due(book, after(hours=8))
    newer = book.get(second.id)
    assert newer is not None
    assert (reports.is_over(state, book), reports.is_over(newer, book)) == (True, False)
    words = [said(Action.OPEN, name="Brann"), said(Action.OPEN, name="Ras")]
    for id_, over in (("ras-1", False), ("brann-0", True)):
        words.append(said(Action.CLOSE, after(hours=8.5), incident=id_))
        for notice in notices(state_of(*words), (), after(hours=8.6)):
            book.fire(notice, after(hours=8.6))
        assert reports.is_over(newer, book) is over


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=20).map(sorted),
    st.integers(30, 1440),
    st.sets(st.integers(0, 19)),
)
def test_whenever_it_looks_and_restarts_the_stretches_meet_and_no_slot_is_said_twice(
    minutes: list[int], every: int, restarts: set[int]
) -> None:
    """A restart reads the book from the log."""
    log: list[tuple[Alert, datetime]] = []
    book = AlertBook()
    for number, minute in enumerate(minutes):
        if number in restarts:
            book = AlertBook()
            for its, at in log:
                book.fire(its, at)
        now = after(minutes=minute)
        log += [(each, now) for each in due(book, now, every=timedelta(minutes=every))]
    assert len({each.id for each, _ in log}) == len(log)
    ends = [T0, *(each.at for each, _ in log)]
    assert [each.first_seen for each, _ in log] == ends[:-1]
    assert all(timedelta() <= now - each.at < timedelta(minutes=every) for each, now in log)
