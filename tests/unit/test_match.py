"""Matching: words, letters and signs as Norwegians write them."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.ingest.matcher import Matcher, handles_in
from listener.model.hashtags import hashtags_in
from listener.model.letters import fold
from listener.model.records import Author, Post, Quoted


def post(text: str, **more: Any) -> Post:
    return Post(source="test", id="1", at=datetime(2026, 3, 1, tzinfo=UTC), text=text, **more)


def hits(track: str, text: str, **more: Any) -> bool:
    return bool(Matcher({"i": [track]}).match(post(text, **more)))


@pytest.mark.parametrize(
    "text",
    [
        "Ullevål brann",
        "ULLEVÅL   BRANN!",
        "det er ullevål\nbrann nå",
        "på Ullevål, brann i kjelleren",
        "#Ullevål-brann",
        "🔥ullevål🔥brann🔥",
        "RT @noen: ullevål brann",
        unicodedata.normalize("NFD", "Ullevål brann"),
        "Ulle\u00advål\u00a0brann",
        "Ullevål\u200bbrann",
        "𝗨𝗹𝗹𝗲𝘃å𝗹 brann",
        "Укра ullevål brann їна",
    ],
)
def test_a_phrase_is_its_words_side_by_side(text: str) -> None:
    assert hits("ullevål brann", text)


@pytest.mark.parametrize(
    "text",
    [
        "Ullevålbrannen",
        "Ullevålbrann",
        "ullevål_brann",
        "ullevål er i brann",
        "brann ullevål",
        "ulleval brann",
        "ullevaal brann",
        "ullevål brannen",
        "xullevål brann",
        "ullevål brann2",
        "ullevål brannø",
        "øullevål brann",
        "",
    ],
)
def test_a_phrase_is_not_found_in_other_words(text: str) -> None:
    assert not hits("ullevål brann", text)


@pytest.mark.parametrize(
    ("track", "quoted", "heard"),
    [
        ("ullevål brann", Quoted(text="Nå: Ullevål, brann!"), True),
        ("ullevål*", Quoted(text="Ullevålbrannen"), True),
        ("#nes", Quoted(text="Se her", hashtags=("Nes",)), True),
        ("#nes", Quoted(text="Se #Nes"), True),
        ("@fjordbysyk", Quoted(text="spør @FjordbySyk"), True),
        ("@fjordbysyk", Quoted(text="spør dem", handles=("fjordbysyk",)), True),
        ("place:Nes", Quoted(text="her", place="Nes, Fjordby"), True),
        ("place:Nes", Quoted(text="ute på Nes"), True),
        ("se dette nå", Quoted(text="nå"), False),
        ("dette nes", Quoted(text="nes"), False),
        ("granvik", Quoted(text="Ullevål"), False),
    ],
)
def test_what_a_post_quotes_is_matched_with_it(track: str, quoted: Quoted, heard: bool) -> None:
    assert hits(track, "Se dette", quoted=quoted) is heard
    assert not hits(track, "Se dette")


def test_compounds_are_found_only_by_a_beginning() -> None:
    assert hits("ullevål*", "Ullevålbrannen sprer seg")
    assert hits("ullevål*", "#ullevålbrannen")
    assert hits("ullevål*", "Ullevål.")
    assert hits("brann på ulle*", "Brann på Ullevål")
    assert not hits("ullevål*", "NyUllevål")
    assert not hits("ullevål*", "ulleval sykehus")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("én", "en"),
        ("Müller", "muller"),
        ("Łódź", "lodz"),
        ("kafé", "KAFÉ"),
        ("Malmö", "malmø"),
        ("räddning", "ræddning"),
        ("Strauß", "strauss"),
        ("Čáhput", "cahput"),
        ("ÅPEN", "a\u030apen"),
        ("ǿre", "øre"),
    ],
)
def test_accents_and_case_do_not_matter(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("måle", "male"), ("bør", "bor"), ("vær", "var"), ("vær", "vaer"), ("å", "aa"), ("lås", "løs")]
)
def test_norwegian_letters_are_letters_of_their_own(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=60))
def test_folding_is_the_same_however_the_letters_are_composed(text: str) -> None:
    once = fold(text)
    assert fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFC", text)) == once
    assert "  " not in once
    assert once == once.strip()


@given(st.text(max_size=40), st.text(st.sampled_from(" .,!#@-/🔥'«»\n"), min_size=1, max_size=5))
def test_what_stands_around_a_word_never_hides_it(before: str, mark: str) -> None:
    assert hits("røyk", f"{before}{mark}Røyk{mark}{before}")


def test_a_hashtag_is_not_the_word_without_its_sign() -> None:
    assert hits("#mittfus", "Takk! #MittFUS")
    assert hits("#mittfus", "takk", hashtags=("MittFUS",))
    assert hits("#mitt*", "takk #mittfus")
    assert not hits("#mittfus", "mittfus er fint")
    assert not hits("#mittfus", "#mittfus2")
    assert not hits("#mittfus", "side#mittfus")


def test_an_account_is_found_as_author_and_wherever_it_is_named() -> None:
    account = "@fjordbyunivsyk"
    assert hits(account, "Vi er i beredskap", author=Author(id="1", handle="FjordbyUnivsyk"))
    assert hits(account, "Hva skjer, @FjordbyUnivsyk?")
    assert hits(account, ".@fjordbyunivsyk svar oss")
    assert hits(account, "RT @FjordbyUnivsyk: Vi er i beredskap")
    assert hits(account, "svar uten navn", handles={"fjordbyunivsyk": "77"})
    assert not hits(account, "fjordbyunivsyk")
    assert not hits(account, "@fjordbyunivsyk2")
    assert not hits(account, "post@fjordbyunivsyk.example.no")


def test_a_place_is_found_in_the_text_and_in_the_posts_own_place() -> None:
    assert hits("place:Ullevål", "Står ved Ullevål nå")
    assert hits("place:Ullevål", "her", place="Ullevål, Oslo")
    assert hits("place:Nes sykehuspark", "her", place="Nes sykehuspark, Fjordby")
    assert not hits("ullevål", "her", place="Ullevål, Oslo")
    assert not hits("place:Ullevål", "her", place="Ullevålsveien")


def test_incidents_get_their_own_tracks_in_the_order_given() -> None:
    matcher = Matcher({"b": ["røyk", "brann", "place:Nes", "ullevål"], "a": ["Brann", "brann*"], "c": ["flom"]})
    found = matcher.match(post("Brann og røyk på Nes, brannbil på vei"))
    assert list(found.items()) == [("b", ("røyk", "brann", "place:Nes")), ("a", ("brann", "brann*"))]


def test_nothing_is_found_without_tracks_or_incidents() -> None:
    assert Matcher({}).match(post("brann")) == {}
    assert Matcher({"i": []}).match(post("brann")) == {}


def test_one_bad_track_does_not_make_us_deaf() -> None:
    matcher = Matcher({"i": ["?!", "brann"]})
    assert matcher.refused == ("?!",)
    assert matcher.match(post("brann")) == {"i": ("brann",)}


def test_signs_of_a_text_cannot_pass_for_ours() -> None:
    assert not hits("place:Ullevål", "\x1fUllevåls\x1f")
    assert not hits("#brann", "# brann")
    assert not hits("@brann", "@ brann")


def test_ten_thousand_tracks_are_found_each() -> None:
    tracks = [f"ord{n} gate" for n in range(10_000)]
    matcher = Matcher({"i": tracks})
    assert matcher.match(post("Ord7 gate og ord9999 gate")) == {"i": ("ord7 gate", "ord9999 gate")}


def test_handles_and_hashtags_are_read_from_a_text() -> None:
    assert handles_in("@Kari og @ola.example.no, post@x.no") == ("kari", "ola", "ola.example.no")
    assert hashtags_in("#Brann i #ullevål, R&#39;en, nr.#2 #Brann") == ("Brann", "ullevål", "2")
