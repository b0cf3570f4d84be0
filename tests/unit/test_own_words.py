"""What fits no theme is gathered by the few words that many people use there and hardly anybody elsewhere."""

from __future__ import annotations

from random import Random

from alerts.register.own_words import Said, own_themes

BUSES = [
    "Når går første nattbuss fra sentrum nå",
    "Nattbussen min stod bare der borte ved brua",
    "Er det satt opp kveldsbuss etter klokka ti",
    "Kveldsbussen til Granlia kom aldri i dag",
    "Noen som vet om nattbuss eller kveldsbuss i helga",
    "Trikken ble full, tok kveldsbuss hjem i stedet",
    "Sjåføren på nattbuss var så hyggelig",
]
OTHERS = [
    "Hvor kan vi pårørende ringe i kveld",
    "Trenger tepper og vann ved hovedinngangen",
    "Er akuttmottaket stengt nå",
    "Takk til alle som jobber i natt",
    "Ventetiden på legevakta er fire timer",
]


def said(texts: list[str], people: str = "p") -> list[Said]:
    return [Said(text, frozenset({f"{people}{n}"})) for n, text in enumerate(texts)]


def elsewhere(times: int = 8) -> list[Said]:
    return said([f"{text} {n}" for n in range(times) for text in OTHERS], "q")


def test_compounds_with_a_part_in_common_are_one_theme_of_all_who_use_them() -> None:
    (theme,) = own_themes(said(BUSES), elsewhere())
    assert (theme.words[:2], theme.people) == (("kveldsbuss", "nattbuss"), 7)
    assert all("kveldsbuss" in BUSES[story] for story in theme.stories)


def test_words_that_are_as_common_elsewhere_are_no_theme() -> None:
    assert own_themes(said(BUSES), said([*BUSES, *BUSES, *BUSES], "q")) == []


def test_one_who_repeats_a_word_is_one_person() -> None:
    loud = [Said(text, frozenset({"loud"})) for text in BUSES]
    assert own_themes([*loud, *said(OTHERS)], elsewhere()) == []


def test_one_story_that_many_pass_on_is_no_theme() -> None:
    passed_on = [Said(BUSES[0], frozenset(f"p{n}" for n in range(40)))]
    assert own_themes(passed_on, elsewhere()) == []


def test_words_that_are_no_news_make_no_theme() -> None:
    assert own_themes(said(BUSES), elsewhere(), but=["nattbuss*", "kveldsbuss*"]) == []
    (theme,) = own_themes(said(BUSES), elsewhere(), but=["nattbuss"])
    assert "nattbuss" not in theme.words


def test_what_belongs_to_nobody_in_particular_is_not_taken_for_words() -> None:
    links = [f"@p_aaaa https://kort.example/nattbuss ‹tlf› {text}" for text in OTHERS + OTHERS[:2]]
    assert own_themes(said(links), elsewhere()) == []


def test_endings_alone_do_not_make_two_words_alike() -> None:
    texts = ["Parkeringen", "Stemningen", "Forklaringen", "Bevilgningen", "Utstillingen", "Demningen"]
    assert own_themes(said([f"{text} {text}" for text in texts]), elsewhere()) == []


def test_the_order_of_stories_changes_neither_words_nor_people() -> None:
    there, rest = said(BUSES), elsewhere()
    first = [(theme.words, theme.people) for theme in own_themes(there, rest)]
    for seed in range(5):
        Random(seed).shuffle(there)
        Random(seed).shuffle(rest)
        assert [(theme.words, theme.people) for theme in own_themes(there, rest)] == first


def test_nothing_is_offered_where_there_is_nothing() -> None:
    assert own_themes([], elsewhere()) == own_themes([], []) == []
