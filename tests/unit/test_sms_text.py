"""SMS: how many segments a text is, and how it is made to fit two of them without losing how to answer."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.notify.channels.sms_text import BASIC, EXTENDED, Encoding, answer_in, count, fit, plain

LINK = "https://lytt.sykehus.example/a/3kQ9x-Zt7"
outside = pytest.mark.skipif("LYTTEPOST_EVALUATION_DATA" not in os.environ, reason="LYTTEPOST_EVALUATION_DATA not set")


def test_the_tables_have_the_size_of_the_standard() -> None:
    assert (len(BASIC), len(EXTENDED)) == (127, 10)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM_7, 0, 1),
        ("æøåÆØÅ" + "x" * 154, Encoding.GSM_7, 160, 1),
        ("x" * 161, Encoding.GSM_7, 161, 2),
        ("x" * 306, Encoding.GSM_7, 306, 2),
        ("x" * 307, Encoding.GSM_7, 307, 3),
        ("x" * 152 + "€" + "x" * 153, Encoding.GSM_7, 307, 3),
        ("a · b", Encoding.UCS_2, 5, 1),
        ("č" * 71, Encoding.UCS_2, 71, 2),
        ("č" * 66 + "😜" + "č" * 67, Encoding.UCS_2, 135, 3),
    ],
)
def test_segments_are_counted(text: str, encoding: Encoding, units: int, segments: int) -> None:
    assert count(text) == (encoding, units, segments)


@pytest.mark.evaluation
@outside
def test_segments_are_those_of_the_table() -> None:
    cases = json.loads((Path(os.environ["LYTTEPOST_EVALUATION_DATA"]) / "duty" / "sms_segments.json").read_bytes())
    wrong = {
        case["id"]: tuple(count(case["text"]))
        for case in cases
        if tuple(count(case["text"])) != (case["encoding"], case["units"], case["segments"])
    }
    assert len(cases) > 30
    assert wrong == {}


@pytest.mark.evaluation
@outside
def test_hostile_words_leave_the_mark_first_the_link_whole_and_two_segments() -> None:
    cases = json.loads((Path(os.environ["LYTTEPOST_EVALUATION_DATA"]) / "duty" / "hostile.json").read_bytes())
    for case in cases:
        sent = fit(f"ØVELSE · KRITISK: {case['text']} · 14 spør\n{LINK}")
        assert sent.startswith("ØVELSE - KRITISK:"), case["id"]
        assert sent.endswith(f" {LINK}"), case["id"]
        assert count(sent).segments <= 2, case["id"]
        assert one_line_and_visible(sent), case["id"]


def one_line_and_visible(text: str) -> bool:
    return len(text.splitlines()) <= 1 and not any(unicodedata.category(c)[0] == "C" for c in text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("ØVELSE · «Brann» – 14 spør …", 'ØVELSE - "Brann" - 14 spør ...'),
        ("[Brann Ullevål] 14 spør, ↑ 9 siste 15 min", "[Brann Ullevål] 14 spør, + 9 siste 15 min"),
        ("čáŋđ Ærlig ÆØÅ æøå ñ ü ß é €", "cand Ærlig ÆØÅ æøå ñ ü ß é €"),
        ("a\u030aret rundt, 1½ time", "året rundt, 11/2 time"),
        ("Kari \u202egpj.exe\u202c ulle\u200bvål\ufeff", "Kari gpj.exe ullevål"),
        ("Brann\r\nBcc: alle\x00\x07\x1b[31m\u2028x", "Brann Bcc: alle[31m x"),
        ("🔥🔥 brann 🔥", "brann"),
        ("a\u0301\u0301\u0301\u0301b `c´", "ab 'c'"),
    ],
)
def test_what_forces_ucs_2_is_replaced_by_what_reads_the_same(text: str, sent: str) -> None:
    assert plain(text) == sent
    assert count(sent).encoding is Encoding.GSM_7


def test_letters_of_another_script_stay_and_two_segments_are_two() -> None:
    sent = fit(f"Пожар {'х' * 300}\nSvar 4711")
    assert sent.startswith("Пожар х")
    assert sent.endswith("х... Svar 4711")
    assert count(sent) == (Encoding.UCS_2, 134, 2)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (f"KRITISK: røyk\nSvar OK 4711 eller {LINK}", f"Svar OK 4711 eller {LINK}"),
        (f"KRITISK: røyk {LINK}", LINK),
        (f"KRITISK: røyk 4711 {LINK}", f"4711 {LINK}"),
        ("KRITISK: røyk, 14 spør", ""),
        ("", ""),
    ],
)
def test_how_to_answer_is_found_at_the_end(text: str, answer: str) -> None:
    assert answer_in(text) == answer


def test_a_text_that_fits_is_left_as_it_is_and_its_link_stands_once() -> None:
    assert fit(f"KRITISK: røyk\n{LINK}") == f"KRITISK: røyk {LINK}"
    assert fit("KRITISK: røyk", keep=LINK) == f"KRITISK: røyk {LINK}"


def test_no_room_is_wasted() -> None:
    assert count(fit("x" * 1000 + f"\n{LINK}")) == (Encoding.GSM_7, 306, 2)
    assert count(fit("x" * 1000, segments=1)) == (Encoding.GSM_7, 160, 1)


def test_a_link_longer_than_all_room_is_still_whole() -> None:
    link = "https://lytt.example/" + "a" * 400
    assert fit(f"KRITISK: røyk\n{link}") == link


@given(st.text(max_size=600), st.sampled_from(["", "4711", LINK]), st.integers(1, 3))
def test_whatever_the_text_it_fits_on_one_line_and_ends_with_the_answer(text: str, keep: str, segments: int) -> None:
    sent = fit(f"ØVELSE {text}", segments, keep)
    assert count(sent).segments <= segments
    assert sent.startswith("ØVELSE")
    assert sent.endswith(keep)
    assert one_line_and_visible(sent.replace("\ud800", ""))
