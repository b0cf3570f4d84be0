"""What people decided, folded; and what a team's words may hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.corrections import digest_of, in_order
from alerts.register.deciding import verdict_of
from alerts.register.decisions import Decisions
from alerts.register.wording import marks, perhaps_quoted, quotes
from listener.errors import UsageError
from listener.model.answers import Standing, Verdict
from listener.model.decisions import Answer, Correction, DecisionsRecord, Note, Status, answered
from listener.model.records import AuthorClass, Decision, DecisionKind, Kind, Mention
from listener.privacy.team_words import masked

T0 = datetime(2031, 2, 3, 21, 0, tzinfo=UTC)
TEXT = "Er det bakterier i vannet"
FIRE, DRILL = ("brann-0",), ("øvelse-1",)


def note(words: str = "meldt til politiet", story: str = "s1", incidents: Sequence[str] = FIRE) -> Note:
    return Note(at=T0, by="Ola", story=story, incidents=tuple(incidents), words=words)


def status(to: Standing) -> Status:
    return Status(at=T0, by="Ola", story="s1", incidents=FIRE, status=to, people=4, posts=6)


def answer(story: str = "s1", theme: str = "", incidents: Sequence[str] = FIRE) -> Answer:
    its = {"story": story, "theme": theme, "incidents": tuple(incidents)}
    return Answer(at=T0, by="Kari", verdict=Verdict.FALSE, words="Vannet er trygt.", people=4, posts=6, **its)


def correction(post: str = "x:1", text: str = TEXT, kind: Kind = Kind.QUESTION) -> Correction:
    return Correction(at=T0, by="Kari", post=post, story="s1", text=digest_of(text), kinds=(kind,))


def purge(id_: str) -> Decision:
    return Decision(kind=DecisionKind.PURGE, id=id_, at=T0, by="Personvernombud", why="krav")


# --- stories and themes ----------------------------------------------------------------------------------------------


def test_a_story_that_nobody_decided_on_is_new() -> None:
    stands = Decisions([note(story="another")]).of_story("s1", FIRE)
    assert (stands.status, stands.answer, stands.said, stands.last) == (Standing.NEW, None, (), None)


def test_a_story_that_was_answered_stands_as_answered_with_its_notes() -> None:
    stands = Decisions([note("a"), answer(), note("b")]).of_story("s1", FIRE)
    assert stands.status is Standing.ANSWERED
    assert stands.answer is not None
    assert stands.answer.words == "Vannet er trygt."
    assert [each.words for each in stands.notes] == ["a", "b"]
    assert [each.type for each in stands.said] == ["note", "answer", "note"]


def test_the_last_word_wins_and_the_answer_is_kept() -> None:
    stands = Decisions([answer(), status(Standing.NEW)]).of_story("s1", FIRE)
    assert stands.status is Standing.NEW
    assert stands.answer is not None
    assert stands.last is not None
    assert stands.last.by == "Ola"


def test_a_word_counts_in_its_own_incidents_only() -> None:
    decisions = Decisions([answer(incidents=DRILL)])
    assert decisions.of_story("s1", FIRE).status is Standing.NEW
    assert decisions.of_story("s1", (*FIRE, *DRILL)).status is Standing.ANSWERED


def test_an_answer_to_a_themes_questions_answers_a_story_that_asks_about_it() -> None:
    decisions = Decisions([answer(story="", theme="water")])
    assert decisions.of_story("s1", FIRE, asks_about=["water"]).status is Standing.ANSWERED
    assert decisions.of_story("s1", FIRE, asks_about=["food"]).status is Standing.NEW
    assert decisions.of_theme("water", FIRE).status is Standing.ANSWERED


def test_an_answer_to_a_story_and_its_theme_is_one_word_of_each() -> None:
    decisions = Decisions([answer(theme="water")])
    assert len(decisions.of_story("s1", FIRE, asks_about=["water"]).said) == 1
    assert decisions.of_story("s2", FIRE, asks_about=["water"]).status is Standing.ANSWERED


def test_the_order_in_which_words_were_said_holds_between_a_story_and_a_theme() -> None:
    words = [answer(story="", theme="water"), status(Standing.NEW)]
    assert Decisions(words).of_story("s1", FIRE, asks_about=["water"]).status is Standing.NEW
    assert Decisions(reversed(words)).of_story("s1", FIRE, asks_about=["water"]).status is Standing.ANSWERED


# --- corrections ------------------------------------------------------------------------------------------------------


def post(id_: str, text: str, *edits: str) -> Mention:
    return Mention(source="x", id=id_, at=T0, captured_at=T0, text=text, edits=edits, incidents={})


def kinds_of(found: Mention, *records: DecisionsRecord) -> tuple[Kind, ...] | None:
    correction = Decisions(records).corrections.of(found)
    return None if correction is None else correction.kinds


def test_the_last_correction_of_a_post_counts() -> None:
    assert kinds_of(post("1", TEXT), correction(), correction(kind=Kind.RUMOUR)) == (Kind.RUMOUR,)
    assert kinds_of(post("1", "it is the post, whatever it says"), correction()) == (Kind.QUESTION,)


@pytest.mark.parametrize(
    "copy", ["er det  bakterier i vannet", "RT @p_abc: Er det bakterier i vannet", "Er det bakterier\ni vannet"]
)
def test_a_word_for_word_copy_is_corrected_too(copy: str) -> None:
    assert kinds_of(post("2", copy), correction()) == (Kind.QUESTION,)


def test_what_only_begins_so_is_no_copy() -> None:
    assert kinds_of(post("2", f"{TEXT} på Nordvik?"), correction()) is None


def test_an_edit_keeps_the_correction_of_what_it_was() -> None:
    assert kinds_of(post("9", "noe annet nå", "1"), correction()) == (Kind.QUESTION,)


@pytest.mark.parametrize("id_", ["x:1", "1"])
def test_what_was_learned_from_a_post_goes_when_it_is_purged(id_: str) -> None:
    assert kinds_of(post("1", TEXT), correction(), purge(id_)) is None
    assert kinds_of(post("2", TEXT), correction(), purge(id_)) is None


def test_what_another_post_of_the_same_words_was_corrected_to_stays() -> None:
    words = correction("x:1"), correction("x:2", kind=Kind.RUMOUR)
    assert kinds_of(post("3", TEXT), *words) == (Kind.RUMOUR,)
    assert kinds_of(post("3", TEXT), *words, purge("x:2")) == (Kind.QUESTION,)


def test_a_correction_names_kinds_in_their_order_and_other_alone() -> None:
    assert in_order((Kind.QUESTION, Kind.WISH, Kind.WISH)) == (Kind.WISH, Kind.QUESTION)
    for wrong in ((), (Kind.OTHER, Kind.WISH)):
        with pytest.raises(ValueError, match=r"one kind|stands alone"):
            in_order(wrong)


# --- what the rules are told -----------------------------------------------------------------------------------------


def test_the_rules_are_told_of_an_answer_in_each_of_its_incidents() -> None:
    told = answered(answer(theme="water", incidents=("brann-0", "flom-7")), 17)
    assert [(each.incident, each.story, each.theme, each.decision) for each in told] == [
        ("brann-0", "s1", "water", 17),
        ("flom-7", "s1", "water", 17),
    ]
    given = told[0].given
    assert given is not None
    assert (given.verdict, given.people, given.posts, given.by) == (Verdict.FALSE, 4, 6, "Kari")


@pytest.mark.parametrize("standing", Standing)
def test_the_rules_are_told_whether_a_status_settles_it(standing: Standing) -> None:
    (told,) = answered(status(standing), 3)
    assert (told.given is not None) == (standing in (Standing.ANSWERED, Standing.DISMISSED))


def test_the_rules_are_told_nothing_of_notes_corrections_and_other_decisions() -> None:
    assert [answered(each, 1) for each in (note(), correction(), purge("x:1"))] == [[], [], []]


# --- words -----------------------------------------------------------------------------------------------------------


def test_what_a_person_writes_is_masked_as_a_post_is() -> None:
    named = {"nordviksykehus": AuthorClass.PUBLIC_BODY}
    said = masked("Ring mor på 412 34 567, se @kari_vakt og @nordviksykehus, ola@eksempel.no", named, T0)
    assert "412" not in said
    assert "kari_vakt" not in said
    assert "ola@" not in said
    assert "@nordviksykehus" in said


POST = "Naboen min sier at alle tre heisene på Nordvik sykehus står og at folk sitter fast"


@pytest.mark.parametrize(
    "words",
    [
        f"Fra et innlegg: {POST}",
        "de skriver «alle tre heisene på Nordvik sykehus står, og at folk» osv.",
        "SITTER FAST: heisene på nordvik sykehus står og at FOLK sitter",
    ],
)
def test_eight_words_of_a_post_in_a_row_are_a_quotation(words: str) -> None:
    assert quotes(words, ["noe annet", POST])


def test_fewer_words_and_words_of_ones_own_are_none() -> None:
    assert not quotes("Heisene på Nordvik sykehus står ikke; driften svarte 21.40", [POST])
    assert not quotes("", [POST])


def test_a_short_post_is_quoted_where_all_of_it_is_there() -> None:
    assert quotes("noen skrev: er vannet trygt nå? Svar gitt.", ["Er vannet trygt nå?"])
    assert not quotes("vannet er trygt nå", ["Er vannet trygt nå?"])
    assert not quotes("takk for det", ["takk", "takk for det"])


@given(
    st.lists(
        st.sampled_from(["er", "vannet", "trygt", "nå", "på", "nordvik", "i", "kveld", "sier", "de"]), max_size=30
    ),
    st.data(),
)
def test_whatever_is_a_quotation_is_found_by_the_marks_of_its_post(post: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(post)))
    words = " ".join(["Noen", "skriver:", *post[start : data.draw(st.integers(start, len(post)))], "osv."])
    text = " ".join(post).capitalize()
    if quotes(words, [text]):
        assert perhaps_quoted(words, [(0, 7, marks("noe helt annet enn det")), (2, 5, marks(text))]) == [(2, 5)]


def test_of_posts_that_say_the_same_one_is_read_and_of_others_with_the_same_run_each() -> None:
    others = [POST, POST.upper(), f"{POST} i natt", "Heisene på Nordvik sykehus går igjen"]
    marked = [(0, number, marks(text)) for number, text in enumerate(others)]
    assert perhaps_quoted(f"Noen skriver: {POST}", marked) == [(0, 0), (0, 2)]
    assert marks("Er det så?") == b""


@pytest.mark.parametrize(("entered", "problem"), [("", "is missing"), (None, "is missing"), ("perhaps", "is none")])
def test_a_verdict_that_is_none_names_its_field_and_those_there_are(entered: str | None, problem: str) -> None:
    with pytest.raises(UsageError, match=rf"^svar: .*{problem}; it is one of true, false, unknown$") as bad:
        verdict_of(entered, "svar")
    assert bad.value.field == "svar"
    assert verdict_of("false", "svar") is Verdict.FALSE
