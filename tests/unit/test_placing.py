"""For whom what a poll has found is given: news to those that were open, what was said before to look back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from listener.model.incidents import Incident
from listener.model.records import Origin
from listener.sources.common.placing import places, wanted_of

NOON = datetime(2031, 3, 2, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def incident(id_: str, opened: float, closed: float | None = None, lookback: float = 60) -> Incident:
    return Incident(
        id=id_, name=id_, tracks=("granvik",), opened_at=at(opened), opened_by="vakt", why="prøve", review_at=at(600),
        lookback=lookback * 60, closed_at=None if closed is None else at(closed),
    )  # fmt: skip


OPEN = {"a": incident("a", 0), "b": incident("b", 90)}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (100, [(None, None)]),
        (90, [(None, None)]),
        (60, [("a", None), ("b", Origin.LOOKBACK)]),
        (10, [("a", None)]),
        (-30, [("a", Origin.LOOKBACK)]),
        (-61, []),
    ],
)
def test_each_incident_is_given_it_as_what_it_is_to_that_one(said: float, found: list[object]) -> None:
    assert list(places(at(said), at(said), OPEN, fresh=True)) == found


def test_what_is_known_is_given_to_those_alone_that_look_again() -> None:
    assert list(places(at(100), at(100), OPEN, fresh=False)) == []
    assert list(places(at(100), at(100), OPEN, fresh=False, again={"b"})) == [("b", None)]
    assert list(places(at(60), at(60), OPEN, fresh=False, again={"b"})) == [("b", Origin.LOOKBACK)]


def test_what_was_said_before_one_was_closed_is_its_own() -> None:
    late = (incident("c", -60, closed=100),)
    assert list(places(at(95), at(95), {}, fresh=True, late=late)) == [("c", Origin.GAP_FILL)]
    assert list(places(at(101), at(101), {}, fresh=True, late=late)) == []
    assert list(places(at(95), at(95), {}, fresh=False, late=late)) == []


def test_a_time_is_as_exact_as_the_platform_tells_it() -> None:
    assert list(places(at(-0.5), at(-0.5), {"a": OPEN["a"]}, fresh=True, slack=timedelta(minutes=1))) == [(None, None)]


def test_of_old_news_that_were_changed_the_words_of_now_are_looked_back_to() -> None:
    assert list(places(at(-500), at(30), {"a": OPEN["a"]}, fresh=True)) == [("a", Origin.LOOKBACK)]


def test_other_tracks_or_a_longer_lookback_are_something_else_to_look_for() -> None:
    assert wanted_of(incident("a", 0)) == wanted_of(incident("a", 5))
    assert wanted_of(incident("a", 0)) != wanted_of(incident("a", 0, lookback=61))
