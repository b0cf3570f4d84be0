"""The pure parts of counting X in calm: queries, minutes, what X answers, bursts, money."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from memory_support import objects_of
from pydantic import ValidationError

from listener.model.tracks import is_total, parse, total_of
from listener.runtime.ops_alerts import OpsAlerts
from listener.settings.schema import Settings
from listener.sources.x.counts import (
    HISTORY,
    QUIET,
    WEEK,
    CountedMinutes,
    Splitting,
    cost_a_day,
    count_queries,
    instant_of,
    is_burst,
    minute_of,
    read_counts,
)
from listener.sources.x.filter_rules import LONGEST
from listener.sources.x.status import UNCOUNTED

NOW = datetime(2031, 2, 3, 12, 0, 30, tzinfo=UTC)


# --- queries and money -----------------------------------------------------------------------------------------------


def test_as_few_queries_as_fit_hold_every_track() -> None:
    tracks = [f"fjordby sykehus {n:03}" for n in range(60)]
    queries = count_queries(tracks)
    assert sorted(track for query in queries for track in query.tracks) == tracks
    assert all(len(query.value) <= LONGEST for query in queries)
    assert len(queries) == -(-sum(len(f'"{track}" OR ') for track in tracks) // LONGEST)


def test_a_place_is_counted_where_it_is_named_and_no_post_twice() -> None:
    (query,) = count_queries(["place:Granvik", "fjordby"])
    assert query.value == '"fjordby" OR "Granvik"'


def test_twenty_tracks_one_by_one_each_minute_cost_fifty_two_thousand_dollars_a_year() -> None:
    assert round(cost_a_day(20, timedelta(minutes=1), 0.005) * 365) == 52_560


def test_all_tracks_in_one_query_every_five_minutes_cost_a_dollar_forty_four_a_day() -> None:
    assert cost_a_day(1, timedelta(minutes=5), 0.005) == pytest.approx(1.44)
    assert cost_a_day(0, timedelta(minutes=5), 0.005) == 0


@pytest.mark.parametrize("every", ["59s", "61m", "0s"])
def test_how_often_is_within_bounds(every: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"x": {"counts": {"every": every}}})


# --- the total's name ------------------------------------------------------------------------------------------------


def test_no_track_can_be_taken_for_a_total() -> None:
    total = total_of(["granvik", "sandnesbrua"])
    assert is_total(total)
    with pytest.raises(ValueError, match=r"\*"):
        parse(total)
    assert not any(map(is_total, ["granvik*", "#granvik", "@granvik", "place:Granvik"]))


def test_the_same_tracks_are_the_same_total_in_any_order_and_others_are_another() -> None:
    assert total_of(["b", "a", "a"]) == total_of(["a", "b"])
    assert total_of(["a", "b"]) != total_of(["a", "b", "c"])


# --- minutes ---------------------------------------------------------------------------------------------------------


def test_of_an_uncounted_week_all_that_x_still_gives_and_has_settled_is_missing() -> None:
    missing = CountedMinutes().missing(NOW)
    assert instant_of(missing.start) == NOW.replace(second=0) - timedelta(days=7) + timedelta(minutes=3)
    assert instant_of(missing.stop) == NOW.replace(second=0) - timedelta(minutes=2)


def test_the_newest_minutes_wait_until_x_has_settled() -> None:
    minutes = CountedMinutes()
    for minute in minutes.missing(NOW):
        minutes.add(minute)
    assert not minutes.missing(NOW)
    assert len(minutes.missing(NOW + timedelta(seconds=29))) == 0
    assert len(minutes.missing(NOW + timedelta(seconds=30))) == 1


@given(st.sets(st.integers(0, WEEK - 10), max_size=50))
def test_what_is_missing_begins_and_ends_with_a_minute_that_is(counted: set[int]) -> None:
    minutes, every = CountedMinutes(), CountedMinutes().missing(NOW)
    for place in counted:
        minutes.add(every.start + place)
    missing = minutes.missing(NOW)
    assert missing.start not in minutes
    assert missing.stop - 1 not in minutes
    assert all(minute in minutes or minute in missing for minute in every)


def test_minutes_older_than_a_week_make_room() -> None:
    minutes, first = CountedMinutes(), minute_of(NOW)
    for minute in range(first, first + 3 * WEEK):
        minutes.add(minute)
    assert first not in minutes
    assert minutes.newest == first + 3 * WEEK - 1
    minutes.add(first)
    assert first + 2 * WEEK in minutes, "an old one that comes late takes no newer one's place"


# --- what X answers --------------------------------------------------------------------------------------------------


def bucket(start: str, end: str, count: object = 1) -> dict[str, object]:
    return {"start": f"2031-02-03T{start}Z", "end": f"2031-02-03T{end}Z", "tweet_count": count}


def test_whole_minutes_are_read_and_parts_of_minutes_are_not() -> None:
    answer = {
        "data": [
            bucket("11:58:30.000", "11:59:00.000", 9),
            bucket("11:59:00.000", "12:00:00.000", 3),
            bucket("12:00:00.000", "12:01:00.000", 0),
            bucket("12:01:00.000", "12:01:20.000", 9),
        ]
    }
    noon = minute_of(NOW)
    assert read_counts(answer) == {noon - 1: 3, noon: 0}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": ["x"]},
        {"data": [{"start": "12:00"}]},
        {"data": [bucket("12:00:00", "12:01:00", "3")]},
        {"data": [bucket("12:00:00", "12:01:00", -1)]},
        {"data": [bucket("12:00:00", "now")]},
    ],
)
def test_what_is_no_page_of_counts_is_refused(answer: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_counts(answer)


# --- bursts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "burst"),
    [
        ([0] * 355, [2] * 5, True),
        ([0] * 355, [1, 2, 1, 2, 3], False),
        ([1] * 355, [4] * 5, True),
        ([1] * 355, [3] * 5, False),
        ([20] * 355, [30] * 5, False),
        ([0] * 200 + [50] * 60 + [0] * 95, [9] * 5, True),
        ([0] * 30, [50] * 5, False),
        ([None] * 300 + [0] * 55, [50] * 5, False),
        ([None] * 200 + [0] * 155, [50] * 5, True),
        ([0] * 355, [50, 50, None, 50, 50], False),
        ([], [], False),
    ],
)
def test_a_burst_is_four_times_the_usual_and_ten_at_least(before: list[int], now: list[int], burst: bool) -> None:
    assert is_burst([*before, *now]) is burst


def counted(splitting: Splitting, start: int, counts: list[int]) -> None:
    for offset, count in enumerate(counts):
        splitting.remember(start + offset, count)
    splitting.judge(len(counts))


def test_a_burst_splits_and_an_hour_of_quiet_joins_again() -> None:
    splitting = Splitting()
    counted(splitting, 1000, [0] * HISTORY)
    assert not splitting.split
    counted(splitting, 1000 + HISTORY, [9] * 5)
    assert splitting.split
    counted(splitting, 1005 + HISTORY, [0] * (QUIET - 1))
    assert splitting.split
    counted(splitting, 1004 + HISTORY + QUIET, [0])
    assert not splitting.split


def test_a_burst_in_the_middle_of_what_came_late_is_seen() -> None:
    splitting = Splitting()
    counted(splitting, 1000, [0] * HISTORY)
    counted(splitting, 1000 + HISTORY, [0] * 15 + [40] * 5 + [0] * 20)
    assert splitting.split


def test_where_nothing_is_counted_nothing_is_quiet() -> None:
    splitting = Splitting(lambda counts: counts[-1] == 7)
    counted(splitting, 1000, [7])
    assert splitting.split
    splitting.judge()
    assert splitting.split


def test_history_is_bounded() -> None:
    splitting = Splitting()
    counted(splitting, 1000, [0] * 3 * (HISTORY + QUIET))
    before = objects_of(splitting)
    counted(splitting, 1000 + 3 * (HISTORY + QUIET), [0] * 10_000)
    assert objects_of(splitting) < 1.5 * before


def test_ops_read_what_is_wrong_in_both_languages() -> None:
    assert OpsAlerts.load().headlines[UNCOUNTED].keys() == {"nb", "en"}
