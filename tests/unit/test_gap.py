"""The answer gap: what people ask about, held against what was published. Rows and entries in, gaps out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.annotate.understanding import Understander
from alerts.register.decisions import Decisions
from alerts.register.gap import Answer, Published, asking, compare, rank_asked, showable, understood
from alerts.register.ranking import NONE_OF_THESE, Registered, Whose, rank_stories
from listener.model.answers import Standing, Verdict
from listener.model.decisions import Answer as Decided
from listener.model.decisions import Status
from listener.settings.files import packaged_config
from listener.sources.common.feeds import Entry
from listener.units import to_ms

END = datetime(2031, 1, 11, 22, 0, tzinfo=UTC)
OPENED = {"brann-0": END - timedelta(hours=3)}


def row(number: int, author: str = "p_a", *, minutes_ago: int = 60, **more: Any) -> Registered:
    usual: dict[str, Any] = {
        "key": f"brann-0:x:{number}", "part": 0, "offset": number, "incident": "brann-0", "post": f"x:{number}",
        "at": to_ms(END - timedelta(minutes=minutes_ago)), "author": author, "repost": 0, "story": f"s{number}",
        "exercise": 0, "whose": Whose.PUBLIC, "kinds": "question", "themes": "access_visiting", "stance": "neutral",
        "language": "nb", "lang": "no", "exposed": 0, "length": 80,
    }  # fmt: skip
    return Registered(**usual | more)


def published(theme: str, minutes_ago: int | None, title: str = "Besøk er stengt") -> Published:
    at = None if minutes_ago is None else END - timedelta(minutes=minutes_ago)
    return Published(Entry("https://nordvik.example/feed", title, "", "", at), frozenset({theme}))


def test_questions_ask_about_all_their_themes_and_wishes_about_those_that_words_can_fulfil() -> None:
    rows = [
        row(1, kinds="question viewpoint", themes="food waiting"),
        row(2, kinds="wish", themes="food relatives_contact information"),
        row(3, kinds="wish", themes="food"),
        row(4, kinds="viewpoint", themes="information"),
        row(5, kinds="wish question", themes="food information"),
    ]
    found = [(each.offset, each.themes) for each in asking(rows)]
    assert found == [(1, "food waiting"), (2, "relatives_contact information"), (5, "food information")]


def test_themes_that_nothing_answers_come_first_and_then_those_of_most_people() -> None:
    rows = [
        *(row(n, f"p_{n}") for n in range(5)),
        *(row(10 + n, f"p_{n}", themes="food") for n in range(2)),
        *(row(20 + n, f"p_{n}", themes="waiting") for n in range(3)),
        *(row(30 + n, f"p_{n}", themes=NONE_OF_THESE) for n in range(9)),
    ]
    gaps = compare(rank_asked(rows, END), [published("access_visiting", 30)], OPENED)
    assert [(gap.asked.theme, gap.asked.people, gap.answer) for gap in gaps] == [
        ("waiting", 3, Answer.NONE),
        ("food", 2, Answer.NONE),
        ("access_visiting", 5, Answer.PERHAPS),
        (NONE_OF_THESE, 9, Answer.NOT_COMPARED),
    ]


@pytest.mark.parametrize(
    ("minutes_ago", "opened", "answer"),
    [
        (59, {}, Answer.PERHAPS),
        (60, {}, Answer.PERHAPS),
        (61, {}, Answer.NONE),
        (179, OPENED, Answer.PERHAPS),
        (180, OPENED, Answer.PERHAPS),
        (181, OPENED, Answer.NONE),
        (None, OPENED, Answer.NONE),
    ],
)
def test_what_was_published_since_the_first_question_or_within_the_incident_answers_perhaps(
    minutes_ago: int | None, opened: dict[str, datetime], answer: Answer
) -> None:
    (gap,) = compare(
        rank_asked([row(1), row(2, minutes_ago=5)], END), [published("access_visiting", minutes_ago)], opened
    )
    assert gap.answer is answer
    assert gap.newest is not None, "it stands beside, whatever it is"


def test_a_question_from_before_the_incident_is_answered_by_what_came_after_it() -> None:
    (gap,) = compare(rank_asked([row(1, minutes_ago=240)], END), [published("access_visiting", 200)], OPENED)
    assert gap.answer is Answer.PERHAPS


def test_beside_it_stands_what_answers_it_else_what_has_no_time_else_the_newest_from_before() -> None:
    asked = rank_asked([row(1)], END)
    old, older = published("access_visiting", 500, "old"), published("access_visiting", 900, "older")
    untimed, new = published("access_visiting", None, "untimed"), published("access_visiting", 20, "new")
    newer, other = published("access_visiting", 10, "newer"), published("food", 1, "other")

    def beside(*those: Published) -> str | None:
        (gap,) = compare(asked, those, OPENED)
        return gap.newest and gap.newest.title

    assert beside(new, untimed, newer, old, other) == "newer"
    assert beside(old, untimed, older) == "untimed"
    assert beside(older, old, other) == "old"
    assert beside(other) is None
    assert beside() is None


def test_where_nothing_could_be_read_nothing_is_called_unanswered() -> None:
    (gap,) = compare(rank_asked([row(1)], END), None, OPENED)
    assert (gap.answer, gap.newest) == (Answer.NOT_COMPARED, None)


def test_what_a_person_answered_or_set_aside_is_answered_until_it_is_new_again() -> None:
    asked = rank_asked([row(1), row(2, themes="food"), row(3, themes="waiting", incident="flom-7")], END)
    about = {"by": "Kari", "incidents": ("brann-0",)}
    given: dict[str, Any] = {"at": END, "verdict": Verdict.FALSE, "words": "Besøk er stengt", **about}
    words: list[Any] = [Decided(theme="access_visiting", **given), Decided(theme="waiting", **given)]

    def answers() -> dict[str, Answer]:
        decisions = Decisions(words)
        gaps = compare(asked, [], OPENED, lambda row: decisions.of_theme(row.theme, row.incidents))
        return {gap.asked.theme: gap.answer for gap in gaps}

    assert answers() == {"food": Answer.NONE, "waiting": Answer.NONE, "access_visiting": Answer.GIVEN}
    assert list(answers())[-1] == "access_visiting", "it comes last"
    words.append(Status(at=END, theme="food", status=Standing.DISMISSED, **about))
    assert answers()["food"] is Answer.GIVEN
    words.append(Status(at=END, theme="access_visiting", status=Standing.NEW, **about))
    assert answers()["access_visiting"] is Answer.NONE


def test_no_sample_may_show_who_a_patient_is_and_none_is_empty() -> None:
    rows = [row(1, exposed=1), *(row(n, f"p_{n}", story="s1") for n in range(2, 6)), *(row(n) for n in range(6, 10))]
    stories = rank_stories(rows, END)
    texts = {story.story: "Kan vi besøke noen?" for story in stories} | {"s7": None}
    told = [replace(story, text=texts[story.story]) for story in stories]
    assert [sample.story for sample in showable(told)] == ["s6", "s8"]


def test_the_samples_of_a_theme_are_those_of_what_asks() -> None:
    rows = [row(1), row(2, kinds="viewpoint"), row(3, kinds="wish")]
    (asked,) = rank_asked(rows, END)
    assert [sample.story for sample in asked.samples] == ["s1"]


def test_entries_are_read_for_what_they_are_about() -> None:
    texts = [
        ("Telefon for pårørende", "Pårørende kan ringe 22 00 00 00 hele natten"),
        ("Parkeringshuset er stengt", "Kjør til Elvegata, der går det buss hvert tiende minutt"),
        ("Ledig stilling", "Vi søker vikarer til sommeren, søknadsfrist 1. mars"),
        ("Информация", "Посещения сегодня закрыты"),
    ]
    entries = [Entry("f", title, text, "", END) for title, text in texts]
    read = understood(entries, Understander.load(packaged_config()))
    assert [each.entry for each in read] == entries
    assert "relatives_contact" in read[0].themes
    assert "transport_parking" in read[1].themes
    assert read[2].themes == read[3].themes == frozenset()
