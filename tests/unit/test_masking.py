"""Numbers and addresses go, all else stays as written. All numbers are made up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.no import fodselsnummer

from listener.privacy.folding import Span, fold, replace
from listener.privacy.masking import MaskReason, mask

MISTYPED = "31129912345"


def _with_check_digits(nine: str) -> str | None:
    one = fodselsnummer.calc_check_digit1(nine)
    two = fodselsnummer.calc_check_digit2(nine + one)
    return nine + one + two if len(one + two) == 2 else None


def _some(prefix: str) -> str:
    """The first number with right check digits that begins with these six digits."""
    return next(n for i in range(100, 900) if (n := _with_check_digits(f"{prefix}{i}")))


@pytest.mark.parametrize(
    "number",
    [
        _some("311299"),
        pytest.param(_some("711299"), id="d-number"),
        pytest.param(_some("315299"), id="h-number"),
        pytest.param(_some("317799"), id="synthetic, month + 65"),
        pytest.param(_some("319299"), id="synthetic, month + 80"),
        pytest.param(_some("912345"), id="fh-number"),
        pytest.param(MISTYPED, id="wrong check digits"),
    ],
)
def test_an_identity_number_of_any_kind_is_masked(number: str) -> None:
    assert mask(f"Han heter {number}, haster!") == ("Han heter ‹fnr›, haster!", {MaskReason.NATIONAL_ID: 1})


@pytest.mark.parametrize(
    "written",
    [
        "311299 12345",
        "311299-12345",
        "31.12.99 12345",
        "31 12 99 12345",
        "31/12/99-12345",
        "311299\u00a012345",
        "31 12 99 123 45",
        "311299:12345",
        "311299 – 12345",
        "3112 99 12345",
        "３１１２９９１２３４５",
        "٣١١٢٩٩ ١٢٣٤٥",
        "311\u200b299\u200d12345",
        "𝟑𝟏𝟏𝟐𝟗𝟗𝟏𝟐𝟑𝟒𝟓",
        "3\ufe0f\u20e31129912345",
    ],
)
def test_an_identity_number_is_masked_however_it_is_written(written: str) -> None:
    assert mask(f"fnr {written}.").text == "fnr ‹fnr›."


@pytest.mark.parametrize(
    "written",
    [
        "311299,{}", "311299*{}", "311299={}", "311299~{}", "311299|{}", "311299 + {}", "311299\n{}", "31.12.99, {}",
    ],
)  # fmt: skip
def test_a_number_whose_check_digits_fit_is_masked_whatever_stands_between(written: str) -> None:
    assert mask(f"Han: {written.format(_some('311299')[6:])}!").text == "Han: ‹fnr›!"


def test_words_between_date_and_personal_number_stay() -> None:
    right = _some("311299")
    assert mask(f"født 311299 og så {right[6:]}.").text == "født ‹fnr› og så ‹fnr›."
    assert mask("31.12.1999, personnummer 12345").text == "‹fnr›, personnummer ‹fnr›"
    assert mask("311299 kom det 12345 personer").text == "311299 kom det 12345 personer"


def test_two_together_letters_for_digits_and_links_do_not_hide_a_number() -> None:
    right = _some("311299")
    assert mask(right + right).text == "‹fnr›"
    assert mask(right + "91234567").text == "‹fnr›"
    assert mask(right.replace("1", "l").replace("0", "O")).text == "‹fnr›"
    assert mask(f"https://eksempel.no/p/fnr{right}.pdf").text == "https://eksempel.no/p/fnr‹fnr›.pdf"
    assert mask(f"https://eksempel.no/p/{right[:6]}-{right[6:]}/1").text == "https://eksempel.no/p/‹fnr›/1"
    assert mask("978-82-03-36452-8 og 9788203364525").text == "978-82-03-36452-8 og 9788203364525"


def test_digits_broken_at_other_places_are_an_identity_number_when_the_check_digits_fit() -> None:
    right = _some("311299")
    assert mask(" ".join(right)).text == "‹fnr›"
    assert mask(f"{right[:3]} {right[3:7]} {right[7:]}").text == "‹fnr›"
    assert mask(f"{right[:2]}.{right[2:4]}.19{right[4:6]} {right[6:]}").text == "‹fnr›"
    wrong = f"{right[:3]} {right[3:7]} {right[7:-1]}{(int(right[-1]) + 1) % 10}"
    assert mask(wrong).text == wrong


def test_an_identity_number_beside_another_number_does_not_become_half_a_phone_number() -> None:
    assert mask("22 311299 12345").text == "22 ‹fnr›"
    assert mask("311299 12345 91234567").text == "‹fnr› ‹tlf›"


@pytest.mark.parametrize(
    "written",
    [
        "91234567",
        "91 23 45 67",
        "912 34 567",
        "91\u00a023\u202f45\u200967",
        "91.23.45.67",
        "91-23-45-67",
        "9 1 2 3 4 5 6 7",
        "9123 4567",
        "+4791234567",
        "+47 91 23 45 67",
        "＋47 91 23 45 67",
        "(+47) 91 23 45 67",
        "+47 (0) 22 07 30 00",
        "0047 91234567",
        "00 47 91 23 45 67",
        "47 91 23 45 67",
        "4791234567",
        "9️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣",
        "+46 70 123 45 67",
        "070-123 45 67",
        "0046701234567",
        "+1 (212) 555-2368",
        "+44 (0)20 7946 0958",
        "+48 601 234 567",
    ],
)
def test_a_phone_number_is_masked_however_it_is_written(written: str) -> None:
    assert mask(f"Jeg er {written}, svar!") == ("Jeg er ‹tlf›, svar!", {MaskReason.PHONE: 1})


@pytest.mark.parametrize(
    "written",
    ["93/18/62/11", "486_74_794", "9-318-6211", "93186-211", "93*18*62*11", "93|18|62|11", "93,18,62,11", "93 l8 62 1l",
     "601234567", "601 234 567", "9.3.1.8.6.2.1.1", "931 862 11", "tlf 93 , 18 , 62 , 11", "+47/93186211"],
)  # fmt: skip
def test_a_phone_number_is_masked_whatever_breaks_it(written: str) -> None:
    assert mask(f"Jeg: {written}!").text.removeprefix("Jeg: tlf ") in ("Jeg: ‹tlf›!", "‹tlf›!")


@pytest.mark.parametrize(
    "text",
    [
        "2-1 3-0 1-1 2-2", "2-1, 3-0, 1-1, 2-2", "(4-1) 3-0 1-1 2-2",
        "Buss 20, 21, 31 og 37", "linje 21 31 37 54", "rute 21-31-37-54",
        "45 500 600 kr", "kr 45 500 600", "45500600 kroner", "NOK 45.500.600", "45500600,-", "$ 45500600",
        "sak 2023/12345", "saksnr. 45678912", "ordre 45678912", "faktura nr 45678912", "ref: 45678912",
        "org.nr. 974 760 673", "orgnr 974760673", "974760673",
        "versjon 91.45.30.21", "10.91.45.30.21", "Lotto: 4 18 25 31 34",
        "journalnr 2012/11293-12", "E18, rv4, fv45 og E6", "21 % 31 % 37 % 54 %",
    ],
)  # fmt: skip
def test_what_a_word_or_a_sign_says_is_something_else_stays(text: str) -> None:
    assert mask(text) == (text, {})


def test_a_word_that_announces_a_phone_number_wins() -> None:
    assert mask("saksbehandler, ring 45678912").text == "saksbehandler, ring ‹tlf›"
    assert mask("Vipps 45 500 600").text == "Vipps ‹tlf›"


@pytest.mark.parametrize(
    "written",
    ["ola.viik at eksempel.no", "ola_at_eksempel.no", "ola.viik @eksempel.no", "ola@ eksempel.no",
     "ola alfakroll eksempel.no", "ola|at|eksempel.no", "ola@eksempel . no", "ola_at_eksempel_dot_no",
     "ola.viik at gmail", "ola <at> eksempel.no", "ola krøll-alfa eksempel.no", "ola snabela eksempel.no"],
)  # fmt: skip
def test_an_address_is_masked_whatever_stands_for_its_sign(written: str) -> None:
    assert mask(f"Skriv til {written}, takk").text == "Skriv til ‹e-post›, takk"


@pytest.mark.parametrize(
    "text",
    ["Sier at nrk.no melder", "står i covid-19 at nrk.no", "kl.19 at vg.no", "takk @ola.nordmann, bra", "a vg.no b"],
)
def test_at_is_a_word_of_the_language(text: str) -> None:
    assert mask(text) == (text, {})


def test_a_mistyped_number_is_masked_after_a_word_that_announces_it() -> None:
    assert mask("tlf: 12 34 56 78").text == "tlf: ‹tlf›"
    assert mask("varenummeret er fra 12 34 56 78").text == "varenummeret er fra 12 34 56 78"


@pytest.mark.parametrize(
    "text",
    [
        "Ring 113, 110 eller 112. Legevakt 116117, sentralbord 02800.",
        "1 200 evakuert, 12 000 uten strøm, 1 200 000 kroner, 500 000 000 kr",
        "29.11.2013 kl. 22.30-23.30",
        "29.11.13 18.49",
        "1.3.2024 - 5.3.2024",
        "24.12-26.12 og 24.12 21.30",
        "24 12 2023",
        "kl 2100-2200",
        "2013-2014, 2025–2026",
        "2013-11-29 18:49:59",
        "2013-11-29T18:49:59.123Z",
        "21.30 22.30 23.30",
        "posisjon 59.913912, 10.752245",
        "https://t.co/91234567",
        "https://www.eksempel.no/nyheter/brann/78912345",
        "www.eksempel.no/a/40649527133 og eksempel.no/1.45678912",
        "https://x.com/i/web/status/406495271334719488",
        "id 406495271334719488",
        "https://kart.eksempel.no/@59.9139127,10.7522453,15z",
        "Sier at eksempel.no melder (a) og (b) @ huset",
        "@ola og .@kari og RT@per: hei",
        "svar@ola",
        "Nyheter @ 19.30",
        "News @ 9.30pm",
        "look at this dot, tror at dette punktum gjelder",
        "100% sikkert, 50%20",
        "",
    ],
)
def test_what_is_no_number_of_a_person_stays(text: str) -> None:
    assert mask(text) == (text, {})


@pytest.mark.parametrize(
    "written",
    [
        "ola.hansen@eksempel.no",
        "OLA+vakt@POST.EKSEMPEL.NO",
        "pål@blåbær.no",
        "pa\u030al@bla\u030aba\u0300r.no",
        "o'hara@eksempel.no",
        "ola＠eksempel.no",
        "o\u200bla@eks\u200bempel.no",
        "ola(at)eksempel.no",
        "ola (at) eksempel.no",
        "ola[at]eksempel[dot]no",
        "ola {at} eksempel (dot) no",
        "ola @ eksempel.no",
        "ola at eksempel dot no",
        "ola krøllalfa eksempel punktum no",
        "ola krøllalfa eksempel.no",
        "ola.hansen@sykehus",
        "91234567@eksempel.no",
    ],
)
def test_an_address_is_masked_however_it_is_written(written: str) -> None:
    assert mask(f"Skriv til {written}, takk") == ("Skriv til ‹e-post›, takk", {MaskReason.EMAIL: 1})


def test_an_address_that_was_cut_off_is_masked() -> None:
    assert mask("skriv ola@eks…").text == "skriv ‹e-post›…"
    assert mask("skriv ola@eks...").text == "skriv ‹e-post›..."


def test_numbers_and_addresses_inside_links_are_masked_and_the_link_stays() -> None:
    text = "https://eksempel.no/kart?q=91+23+45+67&m=ola%40eksempel.no&f=91%2023%2045%2067#31129912345"
    assert mask(text).text == "https://eksempel.no/kart?q=‹tlf›&m=‹e-post›&f=‹tlf›#‹fnr›"
    assert mask("https://wa.me/4791234567").text == "https://wa.me/‹tlf›"
    assert mask("mailto:ola@eksempel.no tel:+4791234567").text == "mailto:‹e-post› tel:‹tlf›"


def test_what_is_not_masked_keeps_its_invisible_characters() -> None:
    assert (
        mask("👩\u200d🚒 ved Ulle\u00advål ＡＢＣ tlf 91234567 👍🏽").text
        == "👩\u200d🚒 ved Ulle\u00advål ＡＢＣ tlf ‹tlf› 👍🏽"
    )


def test_each_mask_is_counted() -> None:
    counts = mask("91234567, 22 07 30 00, a@eksempel.no, 311299 12345").counts
    assert counts == {MaskReason.PHONE: 2, MaskReason.EMAIL: 1, MaskReason.NATIONAL_ID: 1}


def test_masking_again_changes_nothing() -> None:
    once = mask("91234567 a@eksempel.no 311299 12345 RT @ola").text
    assert mask(once) == (once, {})


def test_spans_that_overlap_become_one() -> None:
    text = "abcdefgh"
    assert replace(text, fold(text), [Span(4, 7, "y", "two"), Span(2, 5, "x", "one")]) == ("abxh", ["one"])


@given(st.text() | st.text("a9@%420EFB\u200b\ufe0f\uff11²①"))
def test_folding_keeps_the_way_back(text: str) -> None:
    folded = fold(text)
    for i, character in enumerate(folded.text):
        found = [Span(i, i + 1, "", "")]
        shorter, _ = replace(text, folded, found)
        assert len(shorter) < len(text), character


def test_long_runs_of_digits_and_signs_cost_no_more_than_their_length() -> None:
    for hostile in ("22 " * 4000, "a" * 20_000 + "@", "@" * 20_000, "a.-" * 6000, "(at)" * 5000, "http://" * 3000):
        assert len(mask(hostile).text) > 0
