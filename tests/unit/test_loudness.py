"""How loud it is against what is usual: what was not heard is unknown, and a crisis teaches nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from alerts.notify.messages import load_messages
from alerts.situation.graph import draw
from alerts.situation.loudness import KEPT, OF_TODAY, STEP, Crises, Loudness, Step, step_of
from alerts.situation.words import Words, load_words
from listener.model.records import Gap, Heard, Volume
from listener.settings.files import packaged_config

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NOW = datetime(2031, 3, 2, 22, 0, tzinfo=UTC)
OSLO = ZoneInfo("Europe/Oslo")


@pytest.fixture(scope="module")
def words() -> Words:
    return load_words(packaged_config(), load_messages(packaged_config(), "nb"))


def counted(loudness: Loudness, start: datetime, end: datetime, a_minute: int, track: str = "brann") -> None:
    minute = start
    while minute < end:
        loudness.take(Volume(source="x", track=track, minute=minute, count=a_minute))
        minute += MINUTE


def test_a_step_is_whole_only_when_each_of_its_minutes_was_heard() -> None:
    loudness = Loudness(OSLO, Crises())
    counted(loudness, NOW, NOW + 4 * MINUTE, 1)
    (found,) = loudness.tracks(NOW + 4 * MINUTE, HOUR)
    assert found.steps[-1] == Step(NOW, 4, False, None)
    counted(loudness, NOW + 4 * MINUTE, NOW + STEP, 1)
    assert loudness.tracks(NOW + 4 * MINUTE, HOUR)[0].steps[-1].whole


def test_what_nobody_heard_is_unknown_and_what_was_heard_without_a_post_is_none() -> None:
    loudness = Loudness(OSLO, Crises())
    counted(loudness, NOW - HOUR, NOW - 30 * MINUTE, 2)
    loudness.take(Heard(source="x", start=NOW - 10 * MINUTE, end=NOW, incidents={"brann-0": ("brann",)}))
    steps = {step.at: step.posts for step in loudness.tracks(NOW, HOUR)[0].steps}
    assert steps[NOW - 35 * MINUTE] == 10
    assert steps[NOW - 20 * MINUTE] is None
    assert steps[NOW - 10 * MINUTE] == 0


def test_the_order_of_what_comes_changes_nothing() -> None:
    records = [Volume(source="x", track="brann", minute=NOW - n * MINUTE, count=n % 4) for n in range(1, 180)]
    one, other = Loudness(OSLO, Crises()), Loudness(OSLO, Crises())
    for record in records:
        one.take(record)
    for record in reversed(records):
        other.take(record)
    assert one.tracks(NOW, 2 * HOUR) == other.tracks(NOW, 2 * HOUR)


@pytest.mark.parametrize("how", ["by the log", "by what was listened for"])
def test_a_crisis_does_not_become_what_is_usual(how: str) -> None:
    crises = Crises()
    if how == "by the log":
        crises.set([(NOW, None)])
    quiet, loud = Loudness(OSLO, Crises()), Loudness(OSLO, crises)
    for loudness in (quiet, loud):
        counted(loudness, NOW - 20 * HOUR, NOW, 1)
    counted(loud, NOW, NOW + 3 * HOUR, 40)
    if how != "by the log":
        loud.take(Heard(source="x", start=NOW, end=NOW + 3 * HOUR, incidents={"brann-0": ("brann",)}))
    after = NOW + 3 * HOUR
    (usual,) = (found.steps[-1].usual for found in loud.tracks(after, HOUR))
    assert usual is not None
    assert usual[1] < 15, "five a step are usual, with some room; two hundred are not"
    assert loud.tracks(after, HOUR)[0].steps[-2].posts == 200


def test_nothing_is_said_of_what_is_usual_until_enough_was_heard() -> None:
    loudness = Loudness(OSLO, Crises())
    counted(loudness, NOW - 30 * MINUTE, NOW, 1)
    assert {step.usual for step in loudness.tracks(NOW, HOUR)[0].steps} == {None}


def test_a_graph_of_today_ends_now_and_one_of_a_recording_where_that_ends() -> None:
    loudness = Loudness(OSLO, Crises())
    assert loudness.end(NOW) == NOW
    counted(loudness, NOW - HOUR, NOW - 40 * MINUTE, 1)
    assert loudness.end(NOW) == NOW, "the listener may be deaf: that has to be seen"
    assert loudness.end(NOW + OF_TODAY) == NOW - 41 * MINUTE
    counted(loudness, NOW + 2000 * HOUR, NOW + 2000 * HOUR + MINUTE, 1)
    assert loudness.end(NOW) == NOW + 2000 * HOUR


def test_what_is_old_is_let_go_of() -> None:
    loudness = Loudness(OSLO, Crises())
    counted(loudness, NOW - 3 * KEPT, NOW - 3 * KEPT + HOUR, 1)
    counted(loudness, NOW - HOUR, NOW, 1)
    loudness.tracks(NOW, HOUR)
    assert len(loudness._series["x", "brann"].heard) <= KEPT / STEP


@pytest.mark.parametrize("offset", [0, 5.5, 5.75])
def test_steps_begin_at_whole_fives_of_the_clock(offset: float) -> None:
    at = datetime(2031, 3, 2, 22, 7, 31, 5, tzinfo=timezone(timedelta(hours=offset)))
    assert step_of(at) == at.replace(minute=5, second=0, microsecond=0)


def test_incidents_that_overlap_are_one_stretch() -> None:
    crises = Crises()
    crises.set([(NOW + HOUR, NOW + 3 * HOUR), (NOW, NOW + 2 * HOUR), (NOW + 5 * HOUR, None)])
    assert [crises(NOW + n * HOUR) for n in range(-1, 8)] == [False, True, True, True, False, False, True, True, True]


def test_what_was_not_heard_is_shaded_and_never_a_zero(words: Words) -> None:
    steps = [Step(NOW + n * STEP, 3, True, (0.0, 5.0)) for n in range(24)]
    steps[4] = steps[4]._replace(posts=None, whole=False)
    gap = Gap(id="g", source="x", start=NOW + 10 * STEP, end=NOW + 12 * STEP, cause="unreachable")
    graph = draw("Alle", steps, [gap], words, NOW + 24 * STEP)
    each = graph.width / 24
    assert [(round(shade.x / each), round(shade.width / each)) for shade in graph.unknown] == [(4, 1), (10, 2)]
    assert "Skravert" in graph.summary
    assert [hour.posts for hour in graph.hours] == ["minst 33", "36"]


def test_a_gap_that_was_filled_is_none_and_the_newest_steps_are_only_not_yet_there(words: Words) -> None:
    steps = [Step(NOW + n * STEP, 3 if n < 22 else None, n < 22, None) for n in range(24)]
    filled = NOW + 12 * STEP
    gap = Gap(id="g", source="x", start=NOW, end=filled, cause="reset", refilled=2, refilled_until=filled)
    assert draw("Alle", steps, [gap], words, NOW + 24 * STEP).unknown == []


def test_what_is_more_than_usual_is_marked_and_one_post_is_no_tower(words: Words) -> None:
    steps = [Step(NOW, 9, True, (0.0, 4.0)), Step(NOW + STEP, 1, True, (0.0, 4.0))]
    graph = draw("Alle", steps, [], words, NOW)
    assert [bar.loud for bar in graph.bars] == [True, False]
    assert graph.band
    low = draw("Alle", [Step(NOW, 1, True, None)], [], words, NOW)
    assert low.bars[0].height < low.height / 2
    assert low.band == ""
