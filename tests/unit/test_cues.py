"""Phrases and posts made comparable; the files themselves are tried out in `test_kinds`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.annotate.cues import fold, pattern

MARKS = "aåæøäÖéÉłŻİſßµ\u00ad ,.!?-–…«»“”\"'’`#@\n\t\u00a0\u200b\ufe0f😀Жя"


@given(st.text(st.sampled_from(MARKS)) | st.text())
def test_a_place_in_the_folded_text_is_the_place_in_the_post_and_one(text: str) -> None:
    folded = fold(text)
    assert len(folded) == len(text) + 2
    assert folded[0] == folded[-1] == " "


@given(st.text(st.sampled_from(MARKS)))
def test_a_letter_is_folded_alike_whatever_stands_beside_it(text: str) -> None:
    assert fold(text) == " " + "".join(fold(char)[1:-1] for char in text) + " "


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Kjøkkenet på ÉN av Fjordbys «kaféer»", " kjøkkenet på en av fjordbys  kafeer  "),
        ("Häst i Östersund", " hæst i østersund "),
        ("Zażółć 😀 – nå…", " zazolc 😀   nå  "),
    ],
)
def test_case_accents_and_punctuation_are_folded_and_norwegian_letters_stay(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("phrase", "written"), [("sykehus", " sykehus "), ("Sykehus*", " sykehus"), ("*posten", "posten ")]
)
def test_a_star_leaves_a_word_open(phrase: str, written: str) -> None:
    assert pattern(phrase) == written
