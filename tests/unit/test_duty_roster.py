"""Who is on duty: hand-overs on the wall, windows, overrides, temporary schedules, swaps; and until when."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from duty_support import (
    NAMES,
    OSLO,
    ZONES,
    at,
    instants,
    people,
    roster,
    rosters,
    rotation,
    table,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.duty.layers import Every, Rotation
from alerts.duty.people import Person, named
from alerts.duty.roster import Roster, on_duty, swapped, turns, who, with_swaps
from alerts.duty.wall import clock_changes, first, last, wall_of
from listener.settings.zone import find_zone

WEEKLY = rotation("1w", "2026-01-05T08:00", "kari", "ola")
MONDAY = at("2026-06-01T06:00:00Z")
"""08:00 in Oslo; Ola's week begins."""


def on(found: Roster, when: str | datetime) -> list[str]:
    return sorted(found.at(at(when) if isinstance(when, str) else when))


# --- the tables ------------------------------------------------------------------------------------------------------


def test_every_case_of_the_table_has_the_people_and_the_end_that_it_should() -> None:
    asked = 0
    for case in table("roster.json"):
        everybody = named({key: Person.model_validate(value) for key, value in case["file"]["people"].items()})
        duty = {role: Roster.model_validate(value) for role, value in case["file"]["roster"].items()}
        for question in case["ask"]:
            found = on_duty(duty, everybody, at(question["at"]))
            if "on" in question:
                assert list(found.roles["duty"]) == question["on"], (case["id"], question)
            if "until" in question:
                assert found.until == at(question["until"]), (case["id"], question)
            asked += 1
    assert asked > 200


def test_hand_overs_of_the_table_fall_where_they_should() -> None:
    for case in (each for each in table("roster.json") if "handovers" in each):
        (layer,) = (duty := Roster.model_validate(case["file"]["roster"]["duty"])).layers
        its = layer.rotation
        assert its is not None
        wanted = [at(each) for each in case["handovers"]]
        turn = its.turn(wanted[0], duty.tz)
        found = [its.handover(number, duty.tz) for number in range(turn, turn + 2 * len(wanted))]
        assert list(dict.fromkeys(found))[: len(wanted)] == wanted, case["id"]


# --- wall time -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wall", "first_one", "last_one"),
    [
        ("2026-01-05T08:00", "2026-01-05T07:00:00Z", "2026-01-05T07:00:00Z"),
        ("2026-03-29T02:00", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ("2026-03-29T02:59", "2026-03-29T01:00:00Z", "2026-03-29T01:00:00Z"),
        ("2026-10-25T02:30", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        ("2026-10-25T03:00", "2026-10-25T02:00:00Z", "2026-10-25T02:00:00Z"),
    ],
)
def test_a_wall_time_that_comes_twice_is_the_first_and_one_that_never_comes_the_first_after(
    wall: str, first_one: str, last_one: str
) -> None:
    naive, zone = datetime.fromisoformat(wall), find_zone(OSLO)
    assert (first(naive, zone), last(naive, zone)) == (at(first_one), at(last_one))


@given(instants, st.sampled_from(ZONES))
def test_every_instant_is_found_again_by_what_the_wall_shows(instant: datetime, name: str) -> None:
    zone = find_zone(name)
    wall = wall_of(instant, zone)
    assert instant in (first(wall, zone), last(wall, zone))
    assert first(wall, zone) <= last(wall, zone)


def test_clocks_are_set_twice_a_year() -> None:
    found = clock_changes(find_zone(OSLO), at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"))
    assert found == [at("2026-03-29T01:00:00Z"), at("2026-10-25T01:00:00Z")]


# --- rotations and windows -------------------------------------------------------------------------------------------


def test_the_first_person_stands_at_the_start_and_the_order_goes_on_before_it() -> None:
    daily = roster(rotation("1d", "2026-06-10T08:00", *NAMES))
    assert [on(daily, f"2026-06-{day:02}T12:00:00Z") for day in (8, 9, 10, 11)] == [["ola"], ["per"], ["kari"], ["ola"]]


def test_a_month_too_short_hands_over_on_its_last_day_and_the_next_one_on_the_day_again() -> None:
    its = Rotation.model_validate({"every": "1mo", "start": "2026-01-31T08:00", "people": ["kari"]})
    found = [its.handover(number, find_zone("UTC")).date().isoformat() for number in range(4)]
    assert found == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]


def test_two_layers_meet_on_the_autumn_night_with_two_people_rather_than_nobody() -> None:
    nights = roster(
        {"from": "20:00", "to": "02:30", "who": "kari"},
        {"from": "02:30", "to": "20:00", "who": "ola"},
    )
    assert [on(nights, f"2026-10-25T0{hour}:45:00Z") for hour in (0, 1)] == [["kari", "ola"], ["ola"]]
    assert on(nights, "2026-10-25T01:15:00Z") == ["kari", "ola"]


@pytest.mark.parametrize(
    ("layer", "where"),
    [
        ({"who": "kari", "from": "8"}, "from"),
        ({"who": "kari", "days": []}, "days"),
        ({"who": "kari", "days": ["monday"]}, "days"),
        ({}, "layers"),
        ({"who": "kari", **WEEKLY}, "layers"),
        (rotation("0d", "2026-01-05T08:00"), "every"),
        (rotation("1y", "2026-01-05T08:00"), "every"),
        (rotation("400d", "2026-01-05T08:00"), "every"),
        (rotation("1d", "soon"), "start"),
        (rotation("1d", "1815-06-18T08:00"), "start"),
    ],
)
def test_a_layer_that_means_nothing_is_refused_at_its_place(layer: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as error:
        roster(layer)
    assert where in str(error.value.errors()[0]["loc"])


# --- overrides, temporary schedules, swaps ---------------------------------------------------------------------------

WEEK = {"from": "2026-06-01T08:00", "to": "2026-06-08T08:00"}
WEDNESDAY = {"from": "2026-06-03T08:00", "to": "2026-06-04T08:00"}


def test_an_override_may_override_another_and_the_later_written_wins() -> None:
    found = roster(
        WEEKLY, overrides=[{**WEEK, "remove": "ola", "add": "kari"}, {**WEDNESDAY, "remove": "kari", "add": "per"}]
    )
    assert on(found, "2026-06-02T12:00:00Z") == ["kari"]
    assert on(found, "2026-06-03T12:00:00Z") == ["per"]
    taken_back = roster(WEEKLY, overrides=[{**WEEK, "add": "per"}, {**WEDNESDAY, "remove": "per"}])
    assert on(taken_back, "2026-06-03T12:00:00Z") == ["ola"]


def test_who_is_replaced_must_stand_there_for_the_other_to_come() -> None:
    found = roster(WEEKLY, overrides=[{**WEEK, "remove": "kari", "add": "per"}])
    assert on(found, MONDAY) == ["ola"]


def test_a_swap_written_as_two_overrides_counts_at_once() -> None:
    both = {"from": "2026-05-25T08:00", "to": "2026-06-08T08:00"}
    found = roster(
        WEEKLY, overrides=[{**both, "remove": "kari", "add": "ola"}, {**both, "remove": "ola", "add": "kari"}]
    )
    assert on(found, "2026-05-27T12:00:00Z") == ["ola"]
    assert on(found, MONDAY) == ["kari"]
    assert on(found, "2026-06-09T12:00:00Z") == ["kari"], "from then on as ever"


def test_a_temporary_schedule_replaces_all_and_its_gaps_are_gaps_but_a_swap_counts_in_it() -> None:
    christmas = {
        "from": "2026-06-01T08:00",
        "to": "2026-06-03T08:00",
        "shifts": [{"from": "2026-06-01T08:00", "to": "2026-06-02T08:00", "who": "per"}],
    }
    found = roster(WEEKLY, temporary=[christmas], overrides=[{**WEEK, "add": "kari"}])
    assert [on(found, f"2026-06-0{day}T12:00:00Z") for day in (1, 2, 3)] == [["per"], [], ["kari", "ola"]]
    swap = swapped("per", "kari", at("2026-06-01T00:00:00Z"), at("2026-06-05T00:00:00Z"))
    assert on(found.with_swaps([swap]), MONDAY) == ["kari"]


def test_of_two_temporary_schedules_the_later_written_counts() -> None:
    first_one = {**WEEK, "shifts": [{**WEEK, "who": "per"}]}
    found = roster(WEEKLY, temporary=[first_one, {**WEDNESDAY, "shifts": [{**WEDNESDAY, "who": "kari"}]}])
    assert [on(found, f"2026-06-0{day}T12:00:00Z") for day in (2, 3, 4)] == [["per"], ["kari"], ["per"]]


def test_the_same_swap_once_more_takes_it_back() -> None:
    swap = swapped("kari", "ola", MONDAY, MONDAY + timedelta(days=1))
    duty = {"duty": roster(WEEKLY)}
    assert on(with_swaps(duty, [swap])["duty"], MONDAY) == ["kari"]
    assert on(with_swaps(duty, [swap, swap])["duty"], MONDAY) == ["ola"]


# --- names and roles -------------------------------------------------------------------------------------------------


def test_a_name_is_a_person_else_the_roster_of_a_role_else_everybody_who_has_it() -> None:
    everybody = people("kari", "ola", per={"roles": ["ops", "duty"], "ways": [{"channel": "console"}]})
    duty = {"duty": roster(WEEKLY)}
    assert who("kari", duty, everybody, MONDAY) == ("kari",)
    assert who("duty", duty, everybody, MONDAY) == ("ola",)
    assert who("ops", duty, everybody, MONDAY) == ("per",)
    assert who("nobody", duty, everybody, MONDAY) == ()
    assert on_duty(duty, everybody, MONDAY).roles == {"duty": ("ola",), "ops": ("per",)}


# --- until -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layer",
    [
        {"who": "kari"},
        {"who": "kari", "from": "08:00", "to": "08:00"},
        rotation("1d", "2026-01-05T08:00", "kari", "kari"),
    ],
)
def test_what_never_changes_has_no_end(layer: dict[str, Any]) -> None:
    assert roster(layer).until(MONDAY) is None


def test_what_others_hide_is_no_change() -> None:
    found = roster({"who": "kari"}, {"who": "kari", "days": ["mon"], "from": "08:00", "to": "16:00"})
    assert found.until(MONDAY) is None


def test_a_change_far_ahead_is_found() -> None:
    found = roster({"who": "kari"}, overrides=[{"from": "2070-01-01T00:00Z", "to": "2070-01-02T00:00Z", "add": "ola"}])
    assert found.until(MONDAY) == at("2070-01-01T00:00:00Z")
    rare = roster(rotation("1w", "2026-01-05T08:00", *["kari"] * 99, "ola"))
    assert rare.until(MONDAY) == at("2027-11-29T07:00:00Z")
    rarer = roster(rotation("1mo", "2026-01-05T08:00", *["kari"] * 99, "ola"))
    assert rarer.until(MONDAY) == at("2034-04-05T06:00:00Z")


@given(rosters, instants, st.integers(1, 10_000))
def test_the_answer_holds_until_it_says_and_changes_then(found: Roster, instant: datetime, part: int) -> None:
    standing, until = found.at(instant), found.until(instant)
    end = until or instant + timedelta(days=900)
    between = instant + (end - instant) * part / 10_001
    assert found.at(between.replace(microsecond=0) if between.replace(microsecond=0) > instant else instant) == standing
    if until is not None:
        assert until > instant
        assert found.at(until) != standing
        assert found.at(until - timedelta(microseconds=1)) == standing


@given(rosters, instants, st.integers(1, 60))
def test_at_every_instant_there_is_somebody_or_a_gap_that_is_told(found: Roster, start: datetime, days: int) -> None:
    end = start + timedelta(days=days)
    told = list(turns(found, start, end))
    assert (told[0].start, told[-1].end) == (start, end)
    assert all(one.end == two.start and one.who != two.who for one, two in pairwise(told))
    step = (end - start) / 97
    for number in range(97):
        instant = start + number * step
        (turn,) = [each for each in told if each.start <= instant < each.end]
        assert set(turn.who) == found.at(instant)


@given(rosters, instants, st.data())
def test_a_swap_changes_two_people_for_a_time_and_nothing_else(found: Roster, start: datetime, data: Any) -> None:
    end = start + timedelta(hours=data.draw(st.integers(1, 500)))
    after = found.with_swaps([swapped("kari", "ola", start, end)])
    change = {"kari": "ola", "ola": "kari", "per": "per"}
    for part in range(10):
        instant = start + (end - start) * part / 10
        assert after.at(instant) == {change[name] for name in found.at(instant)}
    assert after.at(end) == found.at(end)
    assert after.at(start - timedelta(seconds=1)) == found.at(start - timedelta(seconds=1))


def test_months_are_about_as_long_as_they_are() -> None:
    every = Every(timedelta(0), 1)
    far = datetime(2526, 1, 1)  # noqa: DTZ001
    assert abs(every.about(far - datetime(2026, 1, 1)) - 6000) <= 1  # noqa: DTZ001
