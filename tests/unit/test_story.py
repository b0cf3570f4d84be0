from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.story import is_repost, story

TEXT = "Strømmen er borte på hele Fjellheim sykehus, 40 pasienter flyttes til nabobygget i kveld https://t.example/a1"


@pytest.mark.parametrize(
    "copy",
    [
        f"RT @p_0123456789abcdef: {TEXT}",
        f"RT @p_fedcba9876543210: RT @p_0123456789abcdef: {TEXT}",
        "RT @p_0123456789abcdef: Strømmen er borte på hele Fjellheim sykehus, 40 pasienter fly…",
        "RT @p_0123456789abcdef: Strømmen er borte på hele Fjellheim sykehus, 40 pasienter...",
        f"Uff, stakkars folk RT @p_0123456789abcdef: {TEXT}",
        f'"@p_0123456789abcdef: {TEXT}"',
        f"«{TEXT}»",
        f"{TEXT} via @fjellheimposten",
        TEXT.replace("a1", "zz9"),
        TEXT.upper(),
        TEXT.replace("40", "45"),
        TEXT.replace(",", " –") + "!!!",
        f"😢 {TEXT} 🙏",
        f"Så trist: {TEXT}",
        f"{TEXT} Fy så ille!",
        f"#strømbrudd #fjellheim {TEXT}",
        f"{TEXT} #fjellheim #strømbrudd",
        TEXT.replace(" ", "  "),
    ],
)
def test_reposts_and_near_copies_bear_one_story(copy: str) -> None:
    assert story(copy) == story(TEXT)


def test_different_posts_bear_different_stories() -> None:
    texts = [
        TEXT,
        "Strømmen er tilbake på hele Fjellheim sykehus, alle pasienter har det bra",
        "Strømmen er borte på hele Fjellheim skole, alle elever sendes hjem i dag",
        "Tusen takk", "Takk", "#bønn", "🙏", "😢", "https://t.example/a", "https://t.example/b", "",
    ]  # fmt: skip
    assert len({story(text) for text in texts}) == len(texts)


def test_reposts_without_words_of_their_own_are_named_by_what_they_repost() -> None:
    assert story("", "x:1") == story("", "x:1") != story("", "x:2")


def test_what_the_platform_says_of_a_repost_does_not_part_it_from_its_original() -> None:
    assert story(f"RT @p_0123456789abcdef: {TEXT}", "123") == story(TEXT)


def test_short_hashtag_posts_keep_their_hashtags() -> None:
    assert story("Følg med #fjellheim") != story("Følg med #havnes")


@given(st.text(max_size=300))
def test_every_text_has_a_story_of_16_hex_digits(text: str) -> None:
    name = story(text)
    assert len(name) == 16
    assert int(name, 16) >= 0


def test_reposts_are_distinguished_from_posts() -> None:
    assert is_repost("hva som helst", "123")
    assert is_repost("RT @p_0123456789abcdef: hei")
    assert is_repost('"@p_0123456789abcdef: hei"')
    assert not is_repost("Kan dere RT dette?")
    assert not is_repost("@p_0123456789abcdef hei")


@given(st.text(st.sampled_from("aåéİΣß1９ ,.#@:/…ﬁ½\u0301"), min_size=60, max_size=160))
def test_a_long_text_has_the_name_that_a_look_at_all_of_it_gives(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        named = story(text)
        patch.setattr("alerts.annotate.story.HEAD", len(text) * 20)
        assert story(text) == named
