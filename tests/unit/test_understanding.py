"""What a text voices: the same everywhere, whatever it is; each reason stands in the text; files are checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from understanders import default

from alerts.annotate.cues import fold
from alerts.annotate.features import MAX_CHARS, cue_hashes, features, features_of, spread, tokenize
from alerts.annotate.persons import Persons
from alerts.annotate.themes import Themes
from alerts.annotate.understanding import NOTHING, WEIGHTS, Reader, Understander, ends
from alerts.annotate.weights import BLOCKS, Bank, Block, Lookup, quantized, read, write
from alerts.annotate.words import load_words
from listener.errors import ConfigError
from listener.model.records import AuthorClass, Kind, Stance
from listener.settings.files import packaged_config

TEXTS = (
    "Kan noen sende ut en melding om hvor pårørende skal møte opp? Vi har ventet i to timer.",
    "Eg står ved hovudinngangen no, og det ryk frå taket på aust-fløya.",
    "Tusen takk til alle som jobber på akutten i natt ❤",
    "Ny kveld, ny quiz på puben. Premie til beste lag.",
    "RT @en_konto: Hørt at legene har reist hjem, stemmer det?? https://example.org/a #sykehuset",
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Er besøkstiden som vanlig i kveld?", Kind.QUESTION),
        ("Vær så snill, sett opp flere benker ved inngangen til poliklinikken.", Kind.WISH),
        ("Tusen takk til den snille sykepleieren på barneavdelingen, du var fantastisk.", Kind.VIEWPOINT),
        ("Dette er en skandale. Ledelsen på sykehuset bør skamme seg.", Kind.VIEWPOINT),
        ("Naboen min kjenner en som jobber der, og han sier at flere er døde, men det holdes skjult.", Kind.RUMOUR),
        ("Står i resepsjonen nå, og alarmen går. Vi blir bedt om å gå ut.", Kind.EYEWITNESS),
        ("Fjordavisa: Sykehuset bekrefter at en brann er slukket, opplyser pressevakten.", Kind.MEDIA),
        ("Noen som vil være med på fotballkamp på lørdag?", Kind.OTHER),
    ],
)
def test_plain_cases_get_their_kind(text: str, kind: Kind) -> None:
    found = default().understand(text)
    assert kind in found.labels
    assert found.kinds.keys() == set(Kind)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("Jeg håper noen kan fortelle oss hva som har skjedd på sykehuset i dag.", "nb"),
        ("Eg vonar nokon kan fortelja oss kva som har hendt på sjukehuset i dag.", "nn"),
        ("Jeg håber, at nogen kan fortælle os, hvad der er sket på hospitalet i dag.", "da"),
        ("Jag hoppas att någon kan berätta för oss vad som har hänt på sjukhuset idag.", "sv"),
        ("I hope somebody can tell us what has happened at the hospital today.", "en"),
        ("Mam nadzieję, że ktoś powie nam, co się dzisiaj stało w szpitalu.", "und"),
        ("Ich hoffe, dass uns jemand sagen kann, was heute im Krankenhaus passiert ist.", "und"),
        ("Надеюсь, кто-нибудь скажет нам, что случилось в больнице.", "und"),
        ("🙏🙏🙏 112", "und"),
        ("", "und"),
    ],
)
def test_the_language_is_told_and_one_that_is_not_ours_is_named_so(text: str, lang: str) -> None:
    assert default().understand(text).lang == lang


def test_other_stands_alone_and_has_no_theme() -> None:
    for text in (*TEXTS, "", "…", "a"):
        found = default().understand(text)
        assert found.labels
        assert len(set(found.labels)) == len(found.labels)
        if Kind.OTHER in found.labels:
            assert found.labels == (Kind.OTHER,)
            assert found.themes == ()
        else:
            assert 1 <= len(found.themes) <= 3


@pytest.mark.parametrize("author", [AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY])
@pytest.mark.parametrize("text", ["Hvor mange er skadet?", "", *TEXTS])
def test_what_the_account_is_comes_before_what_its_words_say(author: AuthorClass, text: str) -> None:
    found = default().understand(text, author_class=author)
    if text and found.kinds[Kind.OTHER] < NOTHING:
        assert Kind.MEDIA in found.labels
        assert found.cues[found.labels.index(Kind.MEDIA)].words[0] == f"author: {author}"
    assert Kind.QUESTION not in found.labels


@examples(150)
@given(st.text(max_size=300) | st.sampled_from(TEXTS))
def test_whatever_is_read_gives_chances_and_reasons_that_stand_in_it(text: str) -> None:
    found = default().understand(text)
    assert found == default(another=True).understand(text)
    assert all(0 <= chance <= 1 for chance in (*found.kinds.values(), found.patient_exposed, found.request))
    for cue in found.cues:
        assert all(words in text for words in cue.words)


@pytest.mark.parametrize("text", ["a" * 100_000, "? " * 50_000, "\ud800\udfff x", "\x00" * 9, "İİİ ı", "@a " * 9_000])
def test_huge_and_broken_texts_are_read_as_far_as_a_post_goes(text: str) -> None:
    default().understand(text)
    assert len(tokenize(text).text) <= MAX_CHARS


def test_the_same_text_gives_the_same_in_another_process() -> None:
    program = (
        "import sys; from alerts.annotate.understanding import Understander\n"
        "from listener.settings.files import packaged_config\n"
        "read = Understander.load(packaged_config()).understand\n"
        "print(repr([read(text) for text in eval(sys.argv[1])]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, repr(TEXTS)], capture_output=True, check=True, encoding="utf-8",
        env={"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(Path(__file__).parents[2])},
    ).stdout.strip()  # fmt: skip
    assert found == repr([default().understand(text) for text in TEXTS])


def test_a_text_that_comes_again_is_understood_as_by_one_who_never_read_it() -> None:
    lines = (packaged_config() / "demo" / "crisis.jsonl").read_text(encoding="utf-8").splitlines()
    # Half of them do: which come again is all the same.
    texts = [raw.get("data", raw)["text"] for raw in map(json.loads, lines)][::2]
    kept, repost = Understander.load(packaged_config()), {"repost_of": "1"}
    before = [kept.understand(text) for text in texts]
    for author, more in ((AuthorClass.MEDIA, {}), (AuthorClass.UNKNOWN, repost), (AuthorClass.UNKNOWN, {})):
        fresh = Understander.load(packaged_config())
        again = [kept.understand(text, author_class=author, **more) for text in texts]
        assert again == [fresh.understand(text, author_class=author, **more) for text in texts]
    assert again == before
    assert len(set(texts)) < len(texts), "none comes again"


@examples(40)
@given(st.lists(st.text(max_size=80) | st.sampled_from((*TEXTS, "", "a" * 9_000)), max_size=9), st.booleans())
def test_texts_that_are_read_ahead_are_understood_as_one_by_one(texts: list[str], named: bool) -> None:
    whose = [AuthorClass.MEDIA if named and number % 2 else AuthorClass.PERSON for number in range(len(texts))]
    many, alone = default(another=True), default()
    many.read_ahead(zip(texts, whose, strict=True))
    for text, class_ in zip(texts, whose, strict=True):
        assert many.understand(text, author_class=class_) == alone.understand(text, author_class=class_)


def test_more_texts_than_are_kept_are_understood_all_the_same() -> None:
    texts = [f"{text} {number}" for number in range(250) for text in TEXTS]
    many = Understander.load(packaged_config())
    many.read_ahead((text, AuthorClass.PERSON) for text in texts)
    for text in (texts[0], texts[-1]):
        assert many.understand(text, author_class=AuthorClass.PERSON) == default().understand(
            text, author_class=AuthorClass.PERSON
        )


def test_hashes_stay_what_they_were() -> None:
    """A file of weights knows features by them: whoever changes them raises `features.VERSION` and trains anew."""
    found = features(tokenize("Hvor er Kari? Vi venter 12 stk @a http://b.no"), ["a.b"])
    sums = [int(hashes.astype(np.uint64).sum()) for hashes in found]
    assert sums == [156341774864, 94478334288, 146347756]


def test_a_word_speaks_for_itself_and_with_its_neighbours() -> None:
    counts = [0, 1, 0, 2, 3, 0]
    weights = [10, *(1, 10, 7), *(1, 0, 2, 3, 4)]  # each text's words, then its pairs
    sums = spread(counts, np.array([weights], np.int8).T)
    assert sums[:, 0].tolist() == [20, 2 + 7, 20 + 7, 2 + 3, 3 + 4, 4 + 4]


@examples(60)
@given(st.lists(st.text(max_size=60) | st.sampled_from((*TEXTS, "", "a", "a b")), max_size=12))
def test_a_text_has_the_same_features_whatever_stands_beside_it(texts: list[str]) -> None:
    tokens = [tokenize(text) for text in texts]
    names = [["a.b", "c"][: number % 3] for number in range(len(texts))]
    together = features_of(tokens, names)
    for found, own, cues in zip(together, tokens, names, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(found, features(own, cues), strict=True))


def test_whoever_is_named_by_handle_or_number_is_not_known_by_it() -> None:
    one = features(tokenize("@kari_77 ring 22 11 00 33, se https://a.no/kari"))
    two = features(tokenize("@per_olsen ring 45 67 89 12, se https://b.org/x"))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


# --- the files -----------------------------------------------------------------------------------------------


def _banks() -> dict[str, Bank]:
    keys = np.array([3, 9, 2**32 - 1], np.uint32)
    weights, scale = quantized(np.array([[1.0, -2.0], [0.5, 0.0], [0.0, 4.0]]))
    return {"b": Bank(("x", "y"), np.zeros(2), dict.fromkeys(BLOCKS, Block(keys, weights, scale)), {"slope": [1, 2]})}


def test_weights_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    assert write(path, _banks()) == path.stat().st_size
    first = path.read_bytes()
    banks = read(path)
    write(path, banks)
    assert path.read_bytes() == first
    block = banks["b"].blocks["letters"]
    assert block.keys.tolist() == [3, 9, 2**32 - 1]
    assert block.weights.tolist() == _banks()["b"].blocks["letters"].weights.tolist()
    assert banks["b"].about == {"slope": [1, 2]}


def test_a_file_of_weights_that_is_off_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "w.bin"
    with pytest.raises(ConfigError, match=r"w\.bin: cannot be read"):
        read(path)
    write(path, _banks())
    whole = path.read_bytes()
    for damaged in (b"", b"x" * 40, whole[:-1], whole[:60] + b"!" + whole[61:], whole + b"\0", whole[:20]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"w\.bin"):
            read(path)
    path.write_bytes(whole)
    with pytest.raises(ConfigError, match="lacks kinds, language"):
        Understander.load(packaged_config(), path)


def test_weights_for_other_features_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.bin"
    monkeypatch.setattr("alerts.annotate.weights.VERSION", 99)
    write(path, _banks())
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="features 99"):
        read(path)


def test_the_weights_that_come_with_the_program_are_a_few_megabytes() -> None:
    assert WEIGHTS.stat().st_size < 7 * 2**20


@given(st.sets(st.integers(1, 2**32 - 1), max_size=60), st.lists(st.integers(0, 2**32 - 1), max_size=60))
def test_each_hash_is_found_where_it_stands(keys: set[int], others: list[int]) -> None:
    rising = np.array(sorted(keys), np.uint32)
    asked = np.array([*keys, *others], np.uint32)
    rows = Lookup(rising).rows(asked)
    for hash_, row in zip(asked.tolist(), rows.tolist(), strict=True):
        assert row == (sorted(keys).index(hash_) if hash_ in keys else len(keys))


def test_words_of_liking_count_for_the_stance_and_for_no_kind_and_theme() -> None:
    banks, hashes = read(WEIGHTS), cue_hashes(["word: good", "word: bad"])
    assert np.isin(hashes, banks["stance"].blocks["cues"].keys).all()
    for bank in ("kinds", "themes", "patient_exposed"):
        assert not np.isin(hashes, banks[bank].blocks["cues"].keys).any()


@pytest.mark.parametrize(
    ("text", "stance"),
    [
        ("Skuespillerne er glitrende, og musikken er både leken og klok.", Stance.POSITIVE),
        ("Handlingen er dessverre forutsigbar, og dialogen blir påtatt og langtekkelig.", Stance.NEGATIVE),
    ],
)
def test_a_review_is_read_by_how_it_likes(text: str, stance: Stance) -> None:
    assert default().understand(text).stance is stance


def test_every_theme_of_the_model_has_words_for_people() -> None:
    assert set(read(WEIGHTS)["themes"].heads) <= Reader.load(packaged_config()).themes.themes.keys()


@pytest.mark.parametrize(
    ("a", "b", "themes"),
    [
        (
            "De hørte ikke på meg i det hele tatt på poliklinikken.",
            "Vi ventet i fem timer på legevakta.",
            ("treatment_quality", "waiting"),
        ),
        ("Heisen har vært ødelagt i hele vinter.", "Direktøren må gå.", ("facilities", "leadership_politics")),
        (
            "Det ryker fra taket på sykehuset.",
            "De flytter pasienter ut på plenen.",
            ("safety_cause", "evacuation_transfer"),
        ),
        (
            "Tusen takk til den snille sykepleieren.",
            "Systemet er nede og de skriver på papir.",
            ("staff_praise", "it_systems"),
        ),
    ],
)
def test_of_two_themes_the_one_that_is_named_first_is_the_main_one(a: str, b: str, themes: tuple[str, str]) -> None:
    assert default().understand(f"{a} {b}").themes[:2] == themes
    assert default().understand(f"{b} {a}").themes[:2] == themes[::-1]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Ingen har sagt noe", None),
        ("Ingen har sagt noe …", None),
        ("Kl. 7: heisen står", ("Kl.", "heisen står")),
        ("Røyk! Mye.\nHva nå?", ("Røyk!", "Hva nå?")),
        ("! ?", None),
        ("", None),
    ],
)
def test_a_text_has_a_first_and_a_last_sentence(text: str, parts: tuple[str, str] | None) -> None:
    assert ends(text) == parts


def test_a_theme_of_the_house_is_known_by_its_phrases(tmp_path: Path) -> None:
    path = tmp_path / "themes.yaml"
    path.write_text("themes:\n  helipad:\n    about: Noise of the helipad.\n    phrases: [helikopterstøy*]\n")
    (tmp_path / "cues").symlink_to(packaged_config() / "cues")
    found = Understander.load(tmp_path).understand("Gjør noe med helikopterstøyen på sykehuset, vær så snill!")
    assert found.themes[0] == "helipad"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("themes: {}\n", "themes"),
        ("themes:\n  a:\n    about: b\n    phrase: [c]\n", "phrase"),
        ("themes:\n  a:\n    about: b\n    phrases: ['!']\n", r"themes\.a\.phrases\.0"),
        ("themes:\n  a:\n    about: b\n    phrases: [c*d]\n", r"themes\.a\.phrases\.0"),
    ],
)
def test_a_file_of_themes_that_is_off_is_refused_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "themes.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=where):
        Themes.load(path)


@pytest.mark.parametrize("author", [AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY])
def test_a_course_is_no_news_though_a_hospital_offers_it(author: AuthorClass) -> None:
    course = "Velkommen til gratis kurs i ammehjelp torsdag kl. 18 i kantina. Ingen påmelding."
    assert default().understand(course, author_class=author).labels == (Kind.OTHER,)


# --- words and persons -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "texts",
    [
        ("Sykebilen kom fort.", "Ambulansen kom fort", "Karetka!", "the ambulance is late"),
        ("Hele taket lekker", "dach przecieka", "the ceiling is wet", "Taket läcker"),
    ],
)
def test_words_of_several_languages_mean_the_same(texts: tuple[str, ...]) -> None:
    words = load_words(packaged_config())
    first, *others = (words.counts(fold(text)).keys() for text in texts)
    assert all(first & other for other in others)


@pytest.mark.parametrize(
    ("text", "signs", "none_of"),
    [
        ("Tante Solveig (81) ligger på intensiven.", {"name", "kin", "age", "no staff and health"}, {"staff"}),
        ("mamma solveig ligger på rom 4", {"name", "kin and health"}, {"full"}),
        ("Mannen min Zbysk er innlagt.", {"kin and health"}, {"staff"}),
        ("Takk til sykepleier Kari Moen!", {"name", "full", "staff", "staff alone"}, {"no staff and health"}),
        ("Presten i Vik er lagt inn.", {"role at place and health"}, {"name"}),
        ("Hun heter Kari.", {"called"}, {"role"}),
        ("Vi kjørte forbi Vik i går.", {"capitals"}, {"name"}),
        ("Det er stille her i natt.", {"nobody"}, {"name", "role", "capitals"}),
        ("Stein faller ned på veien.", {"nobody"}, {"name"}),
    ],
)
def test_signs_of_a_named_patient_are_seen(text: str, signs: set[str], none_of: set[str]) -> None:
    found = Persons.load(packaged_config()).signs(tokenize(text))
    assert signs <= found
    assert not none_of & found


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ("Bestefar Torleif, 83, ligger på hjerteavdelingen etter infarktet i går.", True),
        ("Synnøve Dahl (45) fra Vik er kritisk skadd, opplyser familien.", True),
        ("Broren min ligger på respirator etter fallet.", False),
        ("Takk til sykepleier Synnøve, som holdt hodet kaldt på jobb i natt.", False),
    ],
)
def test_a_named_patient_is_told_from_named_staff_and_kin_without_a_name(text: str, exposed: bool) -> None:
    assert (default().understand(text).patient_exposed >= 0.5) is exposed


@pytest.mark.parametrize(
    ("file", "text", "where"),
    [
        ("words.yaml", "words: {}\n", "words"),
        ("words.yaml", "words:\n  a: [b*c]\n", r"words\.a\.0"),
        ("words.yaml", "words:\n  a: b\n", r"words\.a"),
        ("persons.yaml", "first_names: [a]\nkin: []\n", "persons.yaml"),
        ("persons.yaml", "names: [a]\n", "names"),
    ],
)
def test_a_file_of_words_or_persons_that_is_off_is_refused_with_its_place(
    tmp_path: Path, file: str, text: str, where: str
) -> None:
    (tmp_path / file).write_text(text)
    (tmp_path / "cues").symlink_to(packaged_config() / "cues")
    with pytest.raises(ConfigError, match=where):
        Reader.load(tmp_path)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("before", ["RT @p_0123456789abcdef: ", "RT @nordvik: RT @p_0123456789abcdef: "])
def test_a_repost_is_understood_as_what_it_reposts(text: str, before: str) -> None:
    if text.strip():
        repost, own = default().understand(before + text), default().understand(text)
        assert (repost.kinds, repost.themes, repost.lang) == (own.kinds, own.themes, own.lang)
