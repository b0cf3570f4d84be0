"""Which texts are one story: near copies are, and nothing that differs in the facts."""

from __future__ import annotations

from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.claims import claim
from alerts.annotate.near import Relation, relation, slips
from alerts.annotate.stories import Stories, grouped, name_of
from tests.corpus.data import CORPUS, pairs

PAIRS = pairs(CORPUS / "stories.jsonl")
TEXTS = sorted({text for pair in PAIRS for text in (pair.a, pair.b)})
TEXT = "Besøk er forbudt på Lia sykehus fra mandag"


def joined(one: str, other: str) -> bool:
    stories = Stories()
    return stories.add("1", one) == stories.add("2", other)


@pytest.mark.parametrize(
    "copy",
    [
        f"Har dere sett dette? {TEXT}",
        f"Så på Facebook at {TEXT.lower()} 😢",
        f"Uff da, {TEXT.lower()}",
        f"{TEXT}. Jeg synes det er leit, men forståelig nok, og så får vi bare håpe at det ikke varer så lenge",
        f"{TEXT}, og jeg som skulle dit med ungene",
        f"«{TEXT}» – kan dette virkelig stemme?",
        f"{TEXT} Mvh Terje",
        f"Hørt at {TEXT.lower()}, stemmer det?",
        "Besøk er forbdut på Lia sykehus fra mandag",
        "Besøk erforbudt på Lia sykehsu fra mandag",
        "Besok er forbudt paa Lia sykehus fra mandag",
        "Besøk er jo forbudt på Lia sjukehus fra mandag da",
        "RT @p_0123456789abcdef: Besøk er forbudt på Lia sykehus fr…",
        "Besøk er forbudt på Lia sykehus fra ma",
        "…er forbudt på Lia sykehus fra mandag",
    ],
)
def test_near_copies_join(copy: str) -> None:
    assert joined(TEXT, copy)
    assert joined(copy, TEXT)


@pytest.mark.parametrize(
    "other",
    [
        "Besøk er tillatt på Lia sykehus fra mandag",
        "Besøk er ikke forbudt på Lia sykehus fra mandag",
        "Besøk er forbudt på Moen sykehus fra mandag",
        "Besøk er forbudt på Lid sykehus fra mandag",
        "Besøk er forbudt på Lia sykehjem fra mandag",
        "Besøk er forbudt på Lia sykehus fra onsdag",
        "Er besøk forbudt på Lia sykehus fra mandag?",
        f"{TEXT}?",
        f"Det stemmer ikke at {TEXT.lower()}",
        f"Sykehuset avkrefter at {TEXT.lower()}",
        f"{TEXT}. Dette er usant!",
        f"{TEXT}, men bare for barn",
        "Jeg skulle gjerne ha besøkt mor på Lia, men slipper ikke inn",
    ],
)
def test_what_differs_in_the_facts_never_joins(other: str) -> None:
    assert not joined(TEXT, other)
    assert not joined(other, TEXT)


@pytest.mark.parametrize(
    ("one", "other"), [("12", "21"), ("3", "13"), ("100", "1000"), ("tre", "fire"), ("20:15", "20:45")]
)
def test_a_number_is_never_another_one_mistyped(one: str, other: str) -> None:
    assert not joined(
        f"Alle som var i rom {one} på Lia må teste seg", f"Alle som var i rom {other} på Lia må teste seg"
    )
    assert not joined(f"Bussen til Lia sykehus går nå klokka {one}", f"Bussen til Lia sykehus går nå klokka {other}")


def test_what_two_comments_have_in_common_by_chance_sets_no_claim_against_itself() -> None:
    asked, said = "Hva tenker dere om det? Jeg synes det er leit", "Jeg skulle dit, altså hva skal vi gjøre da om det"
    assert relation(claim(f"{TEXT}. {asked}"), claim(f"{said}. {TEXT}")) is not Relation.DIFFERS
    assert relation(claim(f"{TEXT}. {asked}"), claim(f"{TEXT} – {said}")) is not Relation.DIFFERS


def test_a_text_that_was_cut_does_not_make_one_story_of_two() -> None:
    five, seven = f"{TEXT} klokka 5", f"{TEXT} klokka 7"
    for order in permutations([five, seven, "Besøk er forbudt på Lia sykehus fra man…"]):
        stories = Stories()
        names = {text: stories.add(text, text) for text in order}
        assert names[five] != names[seven]
        assert len(set(names.values())) == 2


@pytest.mark.parametrize("same", [True, False])
def test_the_pairs_of_the_corpus_are_told_apart(same: bool) -> None:
    given = [pair for pair in PAIRS if pair.same is same]
    right = sum(joined(pair.a, pair.b) is same for pair in given)
    assert right >= 0.97 * len(given), f"{right} of {len(given)}"


@given(st.randoms(use_true_random=False))
def test_the_stories_of_a_file_do_not_depend_on_its_order(random: Random) -> None:
    texts = random.sample(TEXTS, 60)
    names = grouped((text, None) for text in texts)
    random.shuffle(texts)
    assert grouped((text, None) for text in texts) == names
    assert set(names) == {name_of(claim(text), text) for text in texts}


@given(st.randoms(use_true_random=False))
def test_pairs_are_the_same_stories_in_whatever_order_posts_arrive(random: Random) -> None:
    claims = {pair.a: pair.b for pair in random.sample([pair for pair in PAIRS if pair.same], 12)}
    posts = [*claims, *claims.values()]
    random.shuffle(posts)
    stories = Stories()
    names = {text: stories.add(text, text) for text in posts}
    assert {one: names[one] == names[other] for one, other in claims.items()} == {
        one: joined(one, other) for one, other in claims.items()
    }
    assert len({names[one] for one in claims}) == len(claims)


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS))
def test_two_texts_stand_to_each_other_the_same_way_round(one: str, other: str) -> None:
    assert relation(claim(one), claim(other)) is relation(claim(other), claim(one))


@given(st.text(max_size=120), st.text(max_size=120))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    assert relation(claim(one), claim(other)) is relation(claim(other), claim(one))
    assert relation(claim(one), claim(one)) is Relation.SAME


def test_slips_are_counted() -> None:
    words = [("vann", "vann"), ("vann", "van"), ("vann", "vnan"), ("vann", "venn"), ("legevakta", "lgevkta")]
    assert [slips(one, other) for one, other in words] == [0, 1, 1, 1, 2]
    assert slips("brann", "flom") == 3


OTHER = "Noe helt annet skjer på torget i byen nå"


def test_a_post_that_is_forgotten_draws_no_other_into_its_story() -> None:
    stories = Stories(most=1)
    first = stories.add("1", TEXT)
    assert stories.story(f"Uff da, {TEXT.lower()}") == first
    stories.add("2", OTHER)
    assert list(stories.wordings) == [name_of(claim(OTHER), OTHER)]
    assert stories.story(f"Uff da, {TEXT.lower()}") != first
    assert stories.story(TEXT) == first, "word for word the same needs no memory"


def test_what_several_posts_say_is_remembered_until_the_last_of_them_is_forgotten() -> None:
    stories = Stories(most=2)
    first = stories.add("1", TEXT)
    stories.add("2", f"{TEXT}!")
    stories.add("3", OTHER)
    assert stories.story(f"Uff da, {TEXT.lower()}") == first
    stories.add("4", OTHER)
    assert stories.story(f"Uff da, {TEXT.lower()}") != first


def test_only_the_newest_posts_are_remembered() -> None:
    stories = Stories(most=3)
    first = stories.add("1", TEXT)
    for n in range(2, 5):
        stories.add(str(n), f"Noe helt annet skjer på gate nummer {n} i byen")
    assert len(stories) == 3
    assert stories.story(f"Uff da, {TEXT.lower()}") != first


def test_a_post_that_comes_twice_keeps_its_story() -> None:
    stories = Stories()
    stories.add("1", TEXT)
    copy = f"Uff da, {TEXT.lower()}"
    assert stories.add("2", copy) == stories.add("2", copy)
    assert len(stories) == 2


def test_a_story_that_was_decided_elsewhere_is_taken_over() -> None:
    stories = Stories()
    stories.add("1", TEXT, story="0123456789abcdef")
    assert stories.add("2", f"Uff da, {TEXT.lower()}") == "0123456789abcdef"


def test_of_too_many_texts_the_same_are_grouped_in_whatever_order() -> None:
    texts = [(text, None) for text in TEXTS]
    some = grouped(texts, most=20)
    assert len(some) == 20
    assert grouped(reversed(texts), most=20) == some
