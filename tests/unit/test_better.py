"""The better tier: its file, its pieces, and what it leaves to the default tier."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from understanders import better, default

from alerts.annotate.better import ENCODER
from alerts.annotate.encoder import LAYER, MOST_PIECES, Encoder, Rows, Vocabulary, eight_bits, read, write
from alerts.annotate.understanding import NOTHING, Understander
from listener.errors import ConfigError
from listener.model.records import AuthorClass, Kind
from listener.settings.files import packaged_config

TEXTS = (
    "Kan noen sende ut en melding om hvor pårørende skal møte opp? Vi har ventet i to timer.",
    "Eg står ved hovudinngangen no, og det ryk frå taket på aust-fløya.",
    "Tusen takk til alle som jobber på akutten i natt ❤",
    "Ny kveld, ny quiz på puben. Premie til beste lag.",
    "RT @en_konto: Hørt at legene har reist hjem, stemmer det?? https://example.org/a #sykehuset",
)


@pytest.mark.parametrize(
    ("text", "kind", "theme"),
    [
        ("Er besøkstiden som vanlig i kveld?", Kind.QUESTION, "access_visiting"),
        ("Vær så snill, kan noen komme med tepper til dem som står ute?", Kind.WISH, "supplies_help"),
        ("Tusen takk til den snille sykepleieren på barneavdelingen.", Kind.VIEWPOINT, "staff_praise"),
        ("Naboen min kjenner en som jobber der, og han sier at flere er døde.", Kind.RUMOUR, "death_claims"),
        ("Where can I give blood tonight?", Kind.QUESTION, "blood_donation"),
    ],
)  # fmt: skip
def test_plain_cases_get_their_kind_and_their_theme(text: str, kind: Kind, theme: str) -> None:
    found = better().understand(text)
    assert kind in found.labels
    assert found.themes[0] == theme


@examples(40)
@given(st.text(max_size=300) | st.sampled_from(TEXTS), st.sampled_from(AuthorClass))
def test_whatever_is_read_it_answers_in_the_shape_of_the_default_tier(text: str, author: AuthorClass) -> None:
    found, plain = (tier.understand(text, author_class=author) for tier in (better(), default()))
    assert found == better(another=True).understand(text, author_class=author)
    assert (found.lang, found.story) == (plain.lang, plain.story)
    assert found.kinds.keys() == plain.kinds.keys()
    assert all(0 <= chance <= 1 for chance in (*found.kinds.values(), found.patient_exposed, found.request))
    assert bool(found.themes) == (found.labels != (Kind.OTHER,))
    if author in (AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY) and text.strip():
        assert Kind.MEDIA in found.labels or found.kinds[Kind.OTHER] >= NOTHING


def test_it_says_other_than_the_default_tier() -> None:
    for text in TEXTS:
        said, plain = better().understand(text), default().understand(text)
        assert said.kinds != plain.kinds
        assert said.request != plain.request


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("We have no water and nothing to eat here in the camp, please send help.", True),
        ("I need a tent for my family, we sleep in the street.", True),
        ("The ministry said on Monday that two roads have been opened again.", False),
    ],
)
def test_who_asks_for_help_in_a_disaster_is_told_from_who_reports_of_it(text: str, asks: bool) -> None:
    assert (better().understand(text).request >= 0.5) == asks


@pytest.mark.parametrize("text", ["a" * 100_000, "? " * 50_000, "\ud800\udfff x", "\x00" * 9, "@a " * 9_000, "▁", ""])
def test_huge_and_broken_texts_are_read_as_far_as_a_post_goes(text: str) -> None:
    better().understand(text)


def test_the_same_text_gives_the_same_in_another_process() -> None:
    program = (
        "import sys; from alerts.annotate.better import ENCODER\n"
        "from alerts.annotate.understanding import Understander\n"
        "from listener.settings.files import packaged_config\n"
        "read = Understander.load(packaged_config(), encoder=ENCODER).understand\n"
        "print(repr([read(text) for text in eval(sys.argv[1])]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, repr(TEXTS)], capture_output=True, check=True, encoding="utf-8",
        env={"PYTHONHASHSEED": "7", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(Path(__file__).parents[2])},
    ).stdout.strip()  # fmt: skip
    assert found == repr([better().understand(text) for text in TEXTS])


def test_the_encoder_that_comes_with_the_program_is_small() -> None:
    assert ENCODER.stat().st_size < 26 * 2**20


# --- pieces ----------------------------------------------------------------------------------------------------------

WORDS = Vocabulary(
    ["<s>", "<pad>", "</s>", "<unk>", "▁", "▁query", ":", "▁a", "b", "ab", "▁ab", "http", "@"],
    [0, 0, 0, 0, -3, -3, -3, -4, -4, -5, -6, -2, -2],
    {"Ａ": "a", "\n": " "},
)
PREFIX = [0, 5, 6]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("ab", [10]),  # -6 as a whole, -8 as ▁a and b
        ("abb", [10, 8]),
        ("Ａ\n\n a", [7, 7]),
        ("a ☃", [7, 4, 3]),
        ("@kari http://a.no/kari", [4, 12, 4, 11]),
        ("", [4]),
    ],
)
def test_a_text_is_cut_into_its_most_probable_pieces(text: str, pieces: list[int]) -> None:
    assert WORDS.cut(text) == [*PREFIX, *pieces, 2]


def test_of_a_long_text_the_beginning_is_read() -> None:
    assert WORDS.cut("ab " * 500) == [*PREFIX, *[10] * (MOST_PIECES - 4), 2]


# --- the file --------------------------------------------------------------------------------------------------------


def _encoder(width: int = 64, layers: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    random = np.random.RandomState(1)

    def numbers(*shape: int) -> Any:
        return random.normal(0, 0.1, shape).astype(np.float32)

    shapes = {"qkv": (3 * width, width), "o": (width, width), "up": (2 * width, width), "down": (width, 2 * width)}
    arrays: dict[str, Any] = {
        "scores": numbers(13), "pieces": eight_bits(numbers(13, width)), "places": numbers(MOST_PIECES, width),
        "norm.w": np.ones(width, np.float32), "norm.b": numbers(width),
    }  # fmt: skip
    for layer in range(layers):
        for name in LAYER:
            bias, matrix = shapes.get(name.removesuffix("_b"), (width,))[0], shapes.get(name)
            arrays[f"{layer}.{name}"] = eight_bits(numbers(*matrix)) if matrix else numbers(bias)
    arrays |= {"kinds.look": numbers(width), "kinds.w": numbers(2, width), "kinds.b": numbers(2)}
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *"▁abcdefgh"]
    together = {"kinds": {"labels": ["wish", "other"]}}
    about = {"layers": layers, "attention": 2, "heads": ["kinds"], "one": ["kinds"], "pieces": pieces, "same": {}}
    return {**about, "together": together}, arrays


def test_an_encoder_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "e.bin"
    assert write(path, *_encoder()) == path.stat().st_size
    first = path.read_bytes()
    write(path, *read(path))
    assert path.read_bytes() == first
    found = Encoder.load(path).scores("a cab")
    assert np.exp(found["kinds"]).sum() == pytest.approx(1)
    assert np.array_equal(found["kinds"], Encoder(*_encoder()).scores("a cab")["kinds"])
    assert not np.array_equal(found["kinds"], Encoder(*_encoder()).scores("a bca")["kinds"])


def test_matrices_of_eight_and_of_four_bits_hold_what_was_put_into_them() -> None:
    matrix = np.random.RandomState(2).normal(0, 1, (5, 64)).astype(np.float32)
    assert np.abs(eight_bits(matrix).matrix - matrix).max() < np.abs(matrix).max() / 250
    nibbles = np.arange(16, dtype=np.uint8)
    four = Rows((nibbles | nibbles[::-1] << 4)[None], np.array([[0.5]], np.float16))
    assert four.matrix.tolist() == [[(n - 8) / 2 for n in (*range(16), *range(15, -1, -1))]]


def test_a_file_that_is_off_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "e.bin"
    with pytest.raises(ConfigError, match=r"e\.bin: cannot be read"):
        Encoder.load(path)
    about, arrays = _encoder()
    write(path, about, arrays)
    whole = path.read_bytes()
    for damaged in (b"", b"x" * 40, whole[:-1], whole[:900] + b"!" + whole[901:], whole + b"\0", whole[:20]):
        path.write_bytes(damaged)
        with pytest.raises(ConfigError, match=r"e\.bin"):
            Encoder.load(path)
    write(path, about, {name: array for name, array in arrays.items() if name != "1.qkv"})
    with pytest.raises(ConfigError, match=r"e\.bin: lacks '1\.qkv'"):
        Encoder.load(path)
    write(path, about, arrays)
    with pytest.raises(ConfigError, match=r"e\.bin: lacks 'own'"):
        Understander.load(packaged_config(), encoder=path)
