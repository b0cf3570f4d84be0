"""Hundreds of forms in which people write numbers, addresses and names: hardly any gets through, and innocents stay."""

from __future__ import annotations

import pytest

from tests.bench.mask_forms import HALVES, Form, forms
from tests.bench.masking import leaks, screen_posts, tally

MOST = {"email": 0.02, "handle": 0.03, "identity": 0.02, "innocent": 0.03, "phone": 0.02}
"""Share of the forms of a kind that may be wrong."""


@pytest.mark.parametrize("seed", [11, 12])
def test_hardly_any_form_gets_through_and_hardly_any_innocent_is_masked(
    seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    made = list(forms(seed, "all", 8))
    found = tally(made, screen_posts([form.text for form in made]))
    with capsys.disabled():
        print("".join(f"\n{kind:10} {bad} of {count}" for kind, (bad, count) in found.items()))
    assert {kind: bad for kind, (bad, count) in found.items() if bad > MOST[kind] * count} == {}
    assert found.keys() == MOST.keys()


def test_unmasked_every_form_would_be_a_leak() -> None:
    made = [form for half in HALVES for form in forms(3, half, 2)]
    untouched = [form for form in made if form.kind != "innocent" and not leaks(form, form.text)]
    assert [form for form in untouched if form.name not in ("{l}\u200b@{d}",)] == []
    assert not any(leaks(form, form.text) for form in made if form.kind == "innocent")


def test_what_is_left_of_a_number_is_read_as_an_eye_reads_it() -> None:
    whole = Form("phone", "", "", "93186211")
    assert leaks(whole, "ring 93/18/62")
    assert leaks(whole, "ring ９３１８６２１１")
    assert leaks(whole, "ring 93 l862 II")
    assert not leaks(whole, "ring 93 18 ‹tlf› 62 11")
    assert not leaks(whole, "ring ‹tlf›")


def test_the_same_seed_makes_the_same_forms_and_the_halves_differ() -> None:
    assert list(forms(5, "held", 2)) == list(forms(5, "held", 2))
    assert {form.name for form in forms(5, "held", 9)} != {form.name for form in forms(5, "tune", 9)}
