"""Tracks: how they are written, refused, and kept in config/tracks.yaml."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.errors import ConfigError
from listener.model.tracks import (
    Track,
    TrackKind,
    account_track,
    canonical,
    hashtag_track,
    parse,
    place_track,
    too_common,
)
from listener.settings.files import load_yaml, packaged_config, parse_yaml
from listener.settings.standing_tracks import load_standing


@pytest.mark.parametrize(
    ("written", "track"),
    [
        ("Ullevål  Brann", Track(TrackKind.PHRASE, "ullevål brann")),
        ("ullevål*", Track(TrackKind.PHRASE, "ullevål", prefix=True)),
        ("#MittFUS", Track(TrackKind.HASHTAG, "mittfus")),
        ("#fjord*", Track(TrackKind.HASHTAG, "fjord", prefix=True)),
        ("@FjordbyUnivsyk", Track(TrackKind.ACCOUNT, "fjordbyunivsyk")),
        ("@vakt@sosial.example.no", Track(TrackKind.ACCOUNT, "vakt@sosial.example.no")),
        ("Place:Ullevål", Track(TrackKind.PLACE, "Ullevål")),
        ("113", Track(TrackKind.PHRASE, "113")),
    ],
)
def test_a_track_is_recognised_by_its_sign(written: str, track: Track) -> None:
    assert parse(written) == track


def test_a_track_pasted_with_quotes_and_invisible_characters_is_the_plain_one() -> None:
    assert canonical("\ufeff “Ulleva\u030al\u00a0\n brann” \u200b") == "ullevål brann"


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("!?", "letters or digits"),
        ("🔥", "letters or digits"),
        ("#", "letters or digits"),
        ("@", "letters or digits"),
        ("place:", "letters or digits"),
        ("a", "short"),
        ("ul*", "short"),
        ("brann på ul*", "short"),
        ("ull* brann", "at the end"),
        ("ullevål *", "directly"),
        ("#mitt fus", "one word"),
        ("@fjord*", "no *"),
        ("@fjordby sykehus", "letters a to z"),
        ("@sjukehusæ", "letters a to z"),
        ("place:Ulle*", "no *"),
        ("x" * 201, "longest is 200"),
    ],
)
def test_a_track_that_cannot_serve_is_refused_with_the_fix(written: str, says: str) -> None:
    with pytest.raises(ValueError, match=says.replace("*", r"\*")):
        parse(written)


@given(st.text(max_size=40))
def test_a_canonical_track_stays_as_it_is(text: str) -> None:
    try:
        track = parse(text)
    except ValueError:
        return
    assert parse(str(track)) == track


def test_the_flags_make_tracks_of_bare_names() -> None:
    assert account_track("FjordbyUnivsyk") == account_track("@fjordbyunivsyk") == "@fjordbyunivsyk"
    assert hashtag_track("MittFUS") == hashtag_track("#mittfus") == "#mittfus"
    assert place_track("Nes sykehuspark") == place_track("place:Nes sykehuspark") == "place:Nes sykehuspark"


def test_the_standing_tracks_that_we_ship_are_sound() -> None:
    tracks = load_standing(load_yaml(packaged_config() / "tracks.yaml"))
    assert len(tracks) > 10
    # An account is followed only where the settings name it: yours are not known to us.
    assert {parse(t).kind for t in tracks} == set(TrackKind) - {TrackKind.ACCOUNT}
    assert [canonical(t) for t in tracks] == list(tracks)


def test_an_empty_file_has_no_standing_tracks() -> None:
    assert load_standing(parse_yaml("phrases:\n", Path("t.yaml"))) == ()
    assert load_standing(parse_yaml("", Path("t.yaml"))) == ()


def test_standing_tracks_have_a_bound() -> None:
    text = "phrases:\n" + "".join(f"  - ord{n}\n" for n in range(1_000))
    assert len(load_standing(parse_yaml(text, Path("t.yaml")))) == 1_000
    with pytest.raises(ConfigError, match=r"^t.yaml:1003: hashtags.0: there are more than 1,000 standing tracks"):
        load_standing(parse_yaml(f"{text}hashtags:\n  - en\n", Path("t.yaml")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("phrases:\n  - brann ute\nprases:\n  - x", "t.yaml:3: prases: no such list"),
        ("phrases:\n  - brann ute\n  - BRANN  ute", "t.yaml:3: phrases.1: brann ute is there twice; it is on line 2"),
        ("hashtags:\n  - mittfus\n  - #fus\n", "t.yaml:3: hashtags.1: is empty"),
        ("phrases:\n  - 113\n", "t.yaml:2: phrases.0: must be text"),
        ("phrases: brann\n", "t.yaml:1: phrases: must be a list"),
        ("phrases:\n  - '#brann'\n", "t.yaml:2: phrases.0: '#brann' is no phrase"),
        ("places:\n  - '?'\n", "t.yaml:2: places.0: '\\?': a place needs letters"),
        ("- brann\n", "t.yaml:1: must be a mapping"),
    ],
)
def test_a_fault_in_the_file_is_reported_with_its_line(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_standing(parse_yaml(text, Path("t.yaml")))


def test_a_mode_switch_reads_tracks_without_pydantic() -> None:
    code = "import sys, listener.model.tracks as t; t.parse('ullevål*'); sys.exit('pydantic' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize(
    "track", ["på", "er", "og", "ikkje", "the", "det er", "and the", "of", "i dag og", "for*", "ikk*", "place:på", "22"]
)
def test_what_is_in_every_other_sentence_is_too_common(track: str) -> None:
    assert too_common(canonical(track))


@pytest.mark.parametrize(
    "track",
    [
        "brann",
        "ullevål*",
        "fus",
        "fjordby us",
        "ous ullevål",
        "storsykehuset på nes",
        "#på",
        "@og",
        "place:Nes",
        "røyk*",
    ],
)
def test_what_names_something_is_not(track: str) -> None:
    assert too_common(canonical(track)) is None
