"""Ranking by people: stories, themes, how they go, what stands for them, and what is set apart. Rows in, rows out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from alerts.register.overview import end_of_hour
from alerts.register.ranking import (
    Counted,
    Registered,
    Selection,
    Whose,
    as_ranked,
    platform_language,
    rank_stories,
    rank_themes,
    set_apart,
)
from listener.model.records import Kind
from listener.units import to_ms

END = datetime(2031, 1, 11, 22, 0, tzinfo=UTC)


def row(number: int, author: str | None = "p_a", *, minutes_ago: int = 5, **more: Any) -> Registered:
    usual: dict[str, Any] = {
        "key": f"brann-0:x:{number}", "part": 0, "offset": number, "incident": "brann-0", "post": f"x:{number}",
        "at": to_ms(END - timedelta(minutes=minutes_ago)), "author": author, "repost": 0, "story": f"s{number}",
        "exercise": 0, "whose": Whose.PUBLIC, "kinds": "wish", "themes": "food", "stance": "neutral", "language": "nb",
        "lang": "no", "exposed": 0, "length": 80,
    }  # fmt: skip
    return Registered(**usual | more)


def test_a_theme_gathers_the_people_of_all_its_stories_once() -> None:
    rows = [row(1, "p_a"), row(2, "p_a"), row(3, "p_b", kinds="wish question"), row(4, "p_c", themes="waiting food")]
    food, waiting = rank_themes(rows, END)
    assert (food.theme, food.people, food.posts, food.kinds) == ("food", 3, 4, {"wish": 3, "question": 1})
    assert (waiting.theme, waiting.people) == ("waiting", 1)


def test_a_post_without_an_author_is_nobodys_and_stands_in_the_register_all_the_same() -> None:
    """What visitors write on Facebook, and what is found by a hashtag: nobody can tell how many people that is."""
    visitors = [row(10 + n, None, post=f"facebook:{n}", story="visited", kinds="question") for n in range(5)]
    rows = [*visitors, row(1, story="said"), row(2, None, post="instagram:2", story="said")]
    said, visited = rank_stories(rows, END)
    assert (said.story, said.people, said.posts, said.authors_known) == ("said", 1, 2, True)
    assert (visited.story, visited.people, visited.posts, visited.authors_known) == ("visited", 0, 5, True)
    assert (visited.kind, visited.kinds) == (Kind.QUESTION, {})
    (food,) = rank_themes(rows, END)
    assert (food.people, food.posts, food.kinds) == (1, 7, {"wish": 1})


def test_the_order_in_which_rows_come_changes_nothing() -> None:
    rows = [row(1, "p_a", story="s"), row(2, "p_b", story="s"), row(3, "p_c"), row(4, "p_d", themes="waiting")]
    first = (rank_themes(rows, END), rank_stories(rows, END))
    assert all((rank_themes(again, END), rank_stories(again, END)) == first for again in permutations(rows))


def test_the_last_hour_is_held_against_the_hour_before() -> None:
    ago = [(0, "p_a"), (59, "p_a"), (59, "p_b"), (60, "p_c"), (119, "p_c"), (120, "p_d"), (-1, "p_e")]
    rows = [row(n, author, minutes_ago=minutes) for n, (minutes, author) in enumerate(ago)]
    (food,) = rank_themes(rows, END)
    assert (food.people, food.trend.last_hour, food.trend.hour_before, food.trend.arrow) == (5, 2, 1, "↑")
    assert food.trend.steps == (1, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 1)


def test_samples_are_different_stories_most_people_first() -> None:
    rows = [
        *(row(n, f"p_{n}", story="many") for n in range(5)),
        *(row(10 + n, f"p_{n}", story="some") for n in range(3)),
        *(row(20 + n, f"p_{n}", story="few") for n in range(2)),
        row(30, story="one"),
    ]
    (food,) = rank_themes(rows, END, samples=3)
    assert [(sample.story, sample.people) for sample in food.samples] == [("many", 5), ("some", 3), ("few", 2)]


@pytest.mark.parametrize("worse", [{"repost": 1}, {"length": 10}, {"length": 900}, {"themes": "waiting food"}])
def test_a_sample_is_rather_what_a_person_wrote_of_it_at_a_length_that_is_read(worse: dict[str, Any]) -> None:
    rows = [*(row(n, f"p_{n}", story="many", **worse) for n in range(5)), row(9, story="good")]
    food = next(theme for theme in rank_themes(rows, END, samples=1) if theme.theme == "food")
    assert [sample.story for sample in food.samples] == ["good"]


def test_what_may_show_a_patient_is_no_sample_unless_more_say_it_than_anything_else() -> None:
    named = [row(1, story="named", exposed=1)]
    others = [row(10 + n, f"p_{n}", story="plain") for n in range(2)]
    (food,) = rank_themes([*named, *others], END)
    assert [sample.story for sample in food.samples] == ["plain"]
    (food,) = rank_themes([*(row(n, f"p_{n}", story="named", exposed=1) for n in range(3)), *others], END)
    assert [(sample.story, sample.exposed) for sample in food.samples] == [("named", True), ("plain", False)]


def test_whether_a_story_may_show_a_patient_is_said_of_the_text_that_stands_for_it() -> None:
    (story,) = rank_stories([row(1, story="s"), row(2, "p_b", story="s", exposed=1, minutes_ago=1)], END)
    assert not story.exposed
    (story,) = rank_stories([row(1, story="s"), row(2, "p_b", story="s", exposed=1, minutes_ago=9)], END)
    assert story.exposed


def test_an_exercise_has_themes_of_its_own() -> None:
    themes = rank_themes([row(1), row(2, "p_b", exercise=1, incident="ovelse-1")], END)
    assert [(theme.exercise, theme.people, theme.incidents) for theme in themes] == [
        (False, 1, ("brann-0",)),
        (True, 1, ("ovelse-1",)),
    ]


def test_a_headlines_rumour_is_ranked_and_its_wish_is_not() -> None:
    headline = row(1, whose=Whose.OFFICIAL_WORDS, kinds="wish rumour media")
    ranked = as_ranked(headline)
    assert (ranked.whose, ranked.kinds) == (Whose.PUBLIC, "rumour media")
    wish = row(2, whose=Whose.OFFICIAL_WORDS, kinds="wish media")
    assert as_ranked(wish) == wish
    assert as_ranked(row(3, whose=Whose.OFFICIAL, kinds="rumour")).whose == Whose.OFFICIAL


def test_what_is_set_apart_is_counted_by_whose_it_is_and_by_the_platforms_language() -> None:
    apart = set_apart(
        [
            row(1),
            row(2, "p_x", whose=Whose.OFFICIAL),
            row(3, "p_x", whose=Whose.OFFICIAL),
            row(4, None, whose=Whose.OFFICIAL_WORDS),
            row(5, "p_b", language="und", lang="fi"),
            row(6, "p_b", language="und", lang="fi-FI"),
            row(7, "p_b", language="und", lang="qme"),
            row(7, "p_b", language="und", lang="qme", incident="flom-7"),
            row(8, language=""),
        ]
    )
    assert (apart.officials, apart.official_words) == (Counted(2, 1), Counted(1, 1))
    assert apart.not_understood == Counted(3, 1)
    assert apart.unread == {"fi": Counted(2, 1), "": Counted(1, 1)}


@pytest.mark.parametrize(
    ("lang", "named"), [("FI", "fi"), ("zh-Hant", "zh"), ("und", ""), ("zxx", ""), ("qht", ""), ("qu", "qu"), ("", "")]
)
def test_a_platforms_mark_that_names_no_language_is_none(lang: str, named: str) -> None:
    assert platform_language(lang) == named


def test_a_selection_leaves_out_officials_closed_incidents_and_what_is_not_understood_unless_asked() -> None:
    rows = [
        row(1),
        row(2, whose=Whose.OFFICIAL),
        row(3, incident="old-1"),
        row(4, language="und", lang="fi"),
        row(5, language=""),
    ]

    def held(**asked: Any) -> list[str]:
        return [each.post for each in rows if Selection(**asked).holds(each)]

    assert held(closed=frozenset({"old-1"})) == ["x:1", "x:5"]
    assert held(officials=True) == ["x:1", "x:2", "x:3", "x:5"]
    assert held(not_understood=True) == ["x:1", "x:3", "x:4", "x:5"]
    assert held(language="fi") == held(language="und") == ["x:4"]
    assert held(language="nb") == ["x:1", "x:3"]
    assert held(kinds=frozenset({Kind.RUMOUR})) == []
    assert held(themes=frozenset({"food"}), incident="old-1") == ["x:3"]
    assert held(since=END) == []


@pytest.mark.parametrize(
    ("ago", "ends_now"),
    [(timedelta(), True), (timedelta(hours=23), True), (timedelta(days=1), False), (-timedelta(days=1), False)],
)
def test_where_nothing_is_live_the_last_hour_is_that_of_the_newest_post(ago: timedelta, ends_now: bool) -> None:
    assert end_of_hour(END, END - ago) == (END if ends_now else END - ago)
