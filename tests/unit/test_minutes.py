"""Which minutes were heard throughout: told once, a little later, never across a gap, the same after a restart."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from listener.ingest.coverage import Coverage
from listener.model.records import Gap, Heard

NOON = datetime(2031, 2, 3, 12, tzinfo=UTC)
TRACKS = {"brann-0": ("granvik",)}


def at(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def gap(start: float, end: float | None, id_: str = "g") -> Gap:
    return Gap(id=id_, source="x", start=at(start), end=None if end is None else at(end), cause="reset")


def told(heard: Iterable[Heard]) -> list[tuple[float, float]]:
    return [((h.start - NOON).total_seconds() / 60, (h.end - NOON).total_seconds() / 60) for h in heard]


def listening(until: float | None = None, opened: float = 0.0) -> Coverage:
    minutes = Coverage("x")
    minutes.listen_for(TRACKS, at(opened), None if until is None else at(until))
    return minutes


def test_a_minute_is_reported_once_ten_seconds_after_it() -> None:
    minutes = listening()
    steps = [0.2, 0.9, 1.1, 1.5, 2.16, 2.17, 5.0, 5.2]
    before, out = None, []
    for step in steps:
        out.append(told(minutes.heard(before, at(step))))
        before = at(step)
    assert out == [[], [], [], [], [], [(1, 2)], [(2, 4)], [(4, 5)]]


def test_a_restart_reports_the_same_minutes() -> None:
    steps = [1.0, 1.4, 2.3, 3.9, 4.1, 7.7]
    whole, parts = listening(), []
    expected = [told(whole.heard(at(a), at(b))) for a, b in pairwise(steps)]
    for a, b in pairwise(steps):
        parts.append(told(listening().heard(at(a), at(b))))
    assert parts == expected


def test_minutes_that_a_gap_touches_are_not_told() -> None:
    minutes = listening()
    minutes.miss([gap(3.5, 5.2)])
    assert told(minutes.heard(at(1.5), at(9.5))) == [(1, 3), (6, 9)]
    assert told(minutes.heard(at(9.5), at(11.5))) == [(9, 11)]


def test_nothing_is_reported_while_a_gap_lasts_and_two_gaps_leave_what_lies_between() -> None:
    minutes = listening()
    minutes.miss([gap(3.5, None)])
    assert told(minutes.heard(at(1.5), at(9.5))) == [(1, 3)]
    minutes.miss([gap(3.5, 5.0), gap(7.0, 7.5, "h")])
    assert told(minutes.heard(at(3.3), at(9.5))) == [(5, 7), (8, 9)]


def test_gaps_of_before_a_restart_are_recalled() -> None:
    minutes = listening()
    minutes.recall([gap(2.1, 2.2)])
    assert told(minutes.heard(at(2.05), at(4.5))) == [(1, 2), (3, 4)]


def test_what_lies_before_the_incident_is_never_reported() -> None:
    minutes = listening(opened=100.5)
    assert told(minutes.heard(at(10), at(103.5))) == [(101, 103)]


def test_a_recording_of_the_past_is_reported_though_the_incident_is_of_today() -> None:
    minutes = listening(opened=10**6)
    assert told(minutes.heard(at(1.2), at(60.5))) == [(1, 60)]
    assert told(minutes.heard(at(60.5), at(61.5), final=True)) == [(60, 62)]


def test_tracks_that_are_added_are_reported_from_the_next_whole_minute_on() -> None:
    minutes = listening()
    list(minutes.heard(at(1.2), at(5.5)))
    minutes.listen_for({"brann-0": ("granvik", "skolen")}, NOON, at(5.5))
    (heard,) = minutes.heard(at(5.5), at(7.5))
    assert told([heard]) == [(6, 7)]
    assert heard.incidents == {"brann-0": ("granvik", "skolen")}


def test_where_nothing_is_listened_for_nothing_is_reported() -> None:
    minutes = Coverage("x")
    minutes.listen_for({"": ()}, None, None)
    assert told(minutes.heard(at(0), at(9))) == []
