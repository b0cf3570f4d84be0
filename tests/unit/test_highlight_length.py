"""How long a text is for X: the cases of its own counter, in words of ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.highlights.length import LONGEST, cut, weighted

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 0),
        ("Blodgiver", 9),
        ("æøå ÆØÅ é", 9),
        ("A\u030a", 1),  # composed: Å
        ("“sitat” – og … slik", 20),  # … counts two
        ("東京の病院", 10),
        ("😷", 2),
        ("☺️", 2),
        ("🙋🏽", 2),
        (FAMILY, 2),
        ("👩🏽‍⚕️ og 👨‍⚕️", 8),
        ("🇳🇴", 2),
        ("1️⃣", 2),
        ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", 2),
        ("H🐱☺" + "👨👩👧👦", 13),
        ("Hei http://test.co", 27),
        ("http://test.co", 23),
        ("https://granvik-sykehus.example/" + "x" * 400, 23),
        ("Les (https://granvik-sykehus.example/a).", 30),
        ("https://a.no/1 https://a.no/2", 47),
        ("https://" + "x" * 64 + ".no", 75),
        ("https://" + "å" * 70 + ".no/a", 83),
        ("https://sykehus-på-nett.no/a", 23),
        ("se helsenorge.no", 26),
        ("f.eks. kl. 10.30 o.l. bl.a. m.m.", 32),
        ("post@granvik.no", 15),
        ("@granvik #mittous", 17),
    ],
)
def test_a_text_is_as_long_as_x_counts(text: str, length: int) -> None:
    assert weighted(text) == length


@given(st.text(max_size=400), st.integers(30, LONGEST))
def test_what_is_cut_fits_and_what_fits_is_not_cut(text: str, most: int) -> None:
    found = cut(text, most)
    assert weighted(found) <= most or weighted(text) <= most
    if weighted(text) <= most:
        assert found == text


def test_words_are_kept_whole() -> None:
    assert cut("Kurs i hjertelungeredning, for alle ansatte", 28) == "Kurs i hjertelungeredning…"
    assert cut("Hjertelungeredningskurs", 10) == "Hjertelu…"
