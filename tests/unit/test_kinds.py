from __future__ import annotations

from pathlib import Path

import pytest

from alerts.annotate.kinds import KindCues
from listener.errors import ConfigError
from listener.model.records import AuthorClass, Kind
from listener.settings.files import packaged_config


@pytest.fixture(scope="module")
def cues() -> KindCues:
    return KindCues.load(packaged_config() / "cues")


def kinds_of(cues: KindCues, text: str) -> set[str]:
    return {str(cue.kind) for cue in cues.kinds(text)}


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Noen burde sette ut vannflasker ved bussholdeplassen utenfor sykehuset", {"wish"}),
        ("Nokon bør setje opp ei tavle med rom til pårørande", {"wish"}),
        ("Someone should put up a sign at the entrance", {"wish"}),
        ("Vi treng ladarar på venterommet", {"wish"}),
        ("Åpne kantina for pårørende", {"wish"}),
        ("Lat dei få vere i fred", {"wish"}),
        ("Kva om de hengde opp ein plakat på polsk?", {"wish"}),
        ("Why not just use the school bus?", {"wish"}),
        ("Kan dere sende en tolk til fjerde etasje?", {"wish", "question"}),
        ("Could someone bring blankets to the gym?", {"wish", "question"}),
        ("Kan dere si om poliklinikken er åpen?", {"question"}),
        ("lurer på om blodbanken har åpent i kveld", {"question"}),
        ("Kor skal eg levere bror min i morgon?", {"question"}),
        ("Koffor e det så mørkt i gangen?", {"question"}),
        ("Er det sant at tredje etasje er evakuert?", {"question", "rumour"}),
        ("Hvem tror på sånt?", {"other"}),
        ("Ryktet sier at apoteket er tomt", {"rumour"}),
        ("Svogeren min fortalte at de har mistet alle journalene", {"rumour"}),
        ("My neighbour says the whole cellar is under water", {"rumour"}),
        ("Står ved inngangen, folk løper ut", {"eyewitness"}),
        ("Eg sit på venterommet, lyset gjekk no nettopp", {"eyewitness"}),
        ("I can see smoke from my window", {"eyewitness"}),
        ("For en skandale", {"viewpoint"}),
        ("Tusen takk til alle på nattevakt", {"viewpoint"}),
        ("Our thoughts are with everyone on the ward", {"viewpoint"}),
        ("Fjordaposten: Ekstra mannskap er kalt inn. – Vi har oversikt, sier Ola Nes.", {"media"}),
        ("Fjordaposten: Hva vet vi om strømbruddet?", {"media"}),
        ("Hei, jeg er journalist i Radio Fjorden. Ring meg!", {"media"}),
        ("Vannverket: Kok alt drikkevann.", {"media", "wish"}),
        ("Fjordaposten: Ubekreftede opplysninger om flere skadde.", {"media", "rumour"}),
        ("Kurs i førstehjelp ved sykehuset torsdag, påmelding innen fredag", {"other"}),
        ("Laget bør bytte keeper før neste kamp", {"other"}),
        ("Tjuetre tilfeldige ord uten mening", {"other"}),
        ("", {"other"}),
    ],
)
def test_each_kind_is_found_by_its_cues(cues: KindCues, text: str, kinds: set[str]) -> None:
    assert kinds_of(cues, text) == kinds


def test_a_wish_needs_no_question_mark(cues: KindCues) -> None:
    assert "wish" in kinds_of(cues, "kan noen hente ungene på skolen")


def test_hope_for_luck_is_a_viewpoint_and_hope_for_an_act_a_wish(cues: KindCues) -> None:
    assert kinds_of(cues, "Håper alle er uskadd") == {"viewpoint"}
    assert kinds_of(cues, "Håper noen måker foran inngangen") == {"wish"}


def test_a_post_may_voice_several_kinds(cues: KindCues) -> None:
    assert kinds_of(cues, "Dette er pinlig. Sett opp flere busser! Når går neste?") == {"viewpoint", "wish", "question"}


def test_a_question_mark_in_a_link_asks_nothing(cues: KindCues) -> None:
    assert kinds_of(cues, "Bilder her https://avis.example/sak?id=1?") == {"other"}


def test_nothing_is_sought_in_handles_and_links(cues: KindCues) -> None:
    assert kinds_of(cues, "@skandale_no se https://skandale.example/skandale") == {"other"}


def test_a_repost_bears_the_kinds_of_its_text(cues: KindCues) -> None:
    text = "Kan dere sende en tolk?"
    assert kinds_of(cues, f"RT @p_0123456789abcdef: {text}") == kinds_of(cues, text)


def test_every_label_bears_the_words_as_the_post_writes_them(cues: KindCues) -> None:
    cue = next(c for c in cues.kinds("For en SKANDALE!") if c.kind is Kind.VIEWPOINT)
    assert cue.words == ("SKANDALE",)


def test_case_and_accents_do_not_matter_but_norwegian_letters_do(cues: KindCues) -> None:
    assert kinds_of(cues, "BÖR åpnes nå") == kinds_of(cues, "bør åpnes nå") == {"wish"}
    assert kinds_of(cues, "bor åpnes") == {"other"}


@pytest.mark.parametrize("author", [AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY])
def test_the_press_and_public_bodies_are_media_and_ask_nothing(cues: KindCues, author: AuthorClass) -> None:
    found = cues.kinds("Hva skjer nå?", author_class=author)
    assert [cue.kind for cue in found] == [Kind.MEDIA]
    assert found[0].words


def test_other_stands_alone(cues: KindCues) -> None:
    for text in ("Webinar: Når bør du sove?", "Selger to billetter, noen som har lyst?"):
        assert [cue.kind for cue in cues.kinds(text)] == [Kind.OTHER]


def test_the_same_post_gets_the_same_cues_in_the_order_of_kinds(cues: KindCues) -> None:
    text = "Dette er pinlig. Sett opp flere busser! Når går neste? Ryktet sier aldri."
    found = cues.kinds(text)
    assert found == cues.kinds(text)
    order = list(Kind)
    assert [cue.kind for cue in found] == sorted((cue.kind for cue in found), key=order.index)


@pytest.mark.parametrize(
    "text", ["?", "RT @p_0123456789abcdef:", "🙏" * 200, "İıſß" * 40, "a" * 5000, "\n\n?\n", "‹tlf›?"]
)
def test_odd_texts_are_no_error(cues: KindCues, text: str) -> None:
    assert cues.kinds(text)


BAD = [
    ("kind: wishes\n    phrases: [a]", 6, "kind"),
    ("phrases: [a]\n    colour: red", 7, "no such setting"),
    ("phrases: [one, two, ONE]", 6, "is there twice"),
    ("phrases: ['a*b']", 6, "only at an end"),
    ("phrases: ['hei, du']", 6, "punctuation"),
    ("phrases: ['*']", 6, "must be words"),
    ("unless: [nobody]\n    phrases: [a]", 6, "no group is called 'nobody'"),
]


@pytest.mark.parametrize(("body", "line", "says"), BAD)
def test_a_mistake_in_the_cues_is_reported_with_file_and_line(tmp_path: Path, body: str, line: int, says: str) -> None:
    file = tmp_path / "xx.yaml"
    file.write_text(f"language: xx\nfamily: f\ngroups:\n  g:\n    why: w\n    {body}\n")
    with pytest.raises(ConfigError, match=says) as caught:
        KindCues.load(tmp_path)
    assert str(caught.value).startswith(f"{file}:{line}: ")


def test_more_phrases_for_a_group_nobody_has_are_refused(tmp_path: Path) -> None:
    (tmp_path / "xx.yaml").write_text("language: xx\nfamily: f\nmore:\n  g: [a]\n")
    with pytest.raises(ConfigError, match=r"xx\.yaml:4: .*no file of this family"):
        KindCues.load(tmp_path)


def test_a_folder_without_cues_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no cues"):
        KindCues.load(tmp_path)


def test_a_language_adds_phrases_to_its_family(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("language: a\nfamily: f\ngroups:\n  g: {why: w, kind: wish, phrases: [one]}\n")
    (tmp_path / "b.yaml").write_text("language: b\nfamily: f\nmore:\n  g: [two]\n")
    found = KindCues.load(tmp_path)
    assert kinds_of(found, "and two") == kinds_of(found, "one") == {"wish"}
    assert kinds_of(found, "twofold") == {"other"}
