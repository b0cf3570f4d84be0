from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.claims import claim
from alerts.annotate.stories import name_of
from alerts.annotate.story import is_repost, story

Name = Callable[..., str]
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


def by_all_words(text: str, repost_of: str | None = None) -> str:
    return name_of(claim(text), text, repost_of)


namings = pytest.mark.parametrize("name", [story, by_all_words])


@namings
def test_reposts_without_words_of_their_own_are_named_by_what_they_repost(name: Name) -> None:
    assert name("", "x:1") == name("", "x:1") != name("", "x:2")


@namings
def test_what_the_platform_says_of_a_repost_does_not_part_it_from_its_original(name: Name) -> None:
    assert name(f"RT @p_0123456789abcdef: {TEXT}", "123") == name(TEXT)


@namings
def test_short_hashtag_posts_keep_their_hashtags(name: Name) -> None:
    assert name("Følg med #fjellheim") != name("Følg med #havnes")


@namings
@given(text=st.text(max_size=300))
def test_every_text_has_a_story_of_16_hex_digits(name: Name, text: str) -> None:
    found = name(text)
    assert len(found) == 16
    assert int(found, 16) >= 0


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
