"""`lyttepost register` on a bus with findings, also while others use it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sqlite3
import subprocess
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from command_support import Machine, live_bus, wait_for

from alerts.annotate.story import story
from listener.bus.protocol import Message
from listener.model.records import AuthorClass, Cue, Finding, Kind, encode

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
WATER = "Kan noen komme med vann til skolen i Nordvik"
COATS = "Vi trenger ytterklær til barna ved Nordvik sykehus"
BLAME = "Jeg synes Nordvik sykehus burde ha sagt fra før"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def finding(number: int, text: str, author: str | None, kind: Kind = Kind.WISH, **more: Any) -> Finding:
    at = START + timedelta(seconds=number)
    own = {"incident": "brann-0", "story": story(text, more.get("repost_of")), **more}
    own.setdefault("cues", (Cue(kind=kind),))
    return Finding(source="x", id=f"p{number}", at=at, captured_at=at, text=text, author=author, **own)


def publish(machine: Machine, findings: Sequence[Finding]) -> None:
    with live_bus(machine) as bus:
        bus.publish([Message("findings", each.key, encode(each)) for each in findings])


def some(machine: Machine) -> None:
    publish(
        machine,
        [
            *(finding(n, COATS, "p_loud") for n in range(9)),
            *(finding(20 + n, WATER, f"p_{n}") for n in range(3)),
            finding(30, f"RT @p_0: {WATER}", "p_9", repost_of="p20"),
            finding(40, BLAME, "p_1", Kind.VIEWPOINT, exercise=True),
            finding(50, "Kan dere åpne parkeringen ved elva", "p_2", incident="flom-7"),
            finding(60, "Kan noen svare på denne prøven", "p_3", synthetic=True),
        ],
    )


def test_the_stories_of_a_kind_are_ranked_by_people(machine: Machine) -> None:
    some(machine)
    shown = machine.run("register", "--kind", "wish").stdout
    assert shown.startswith("WISH (ranked by people) · as of ")
    assert "\n   4 people  Kan noen komme med vann" in shown
    assert "4 posts, 1 repost, " in shown
    assert shown.index(WATER) < shown.index(COATS), "four people before nine posts of one"
    assert BLAME not in shown
    assert f"   1 person  ØVELSE {BLAME}" in machine.run("register", "--kind", "viewpoint").stdout
    assert "prøven" not in shown


def themed(number: int, text: str, author: str, *themes: str, **more: Any) -> Finding:
    return finding(number, text, author, **{"themes": themes, "language": "nb", "theme_sure": True, **more})


def test_without_options_themes_come_first_with_people_trend_kinds_and_samples(machine: Machine) -> None:
    publish(
        machine,
        [
            *(themed(900 + n, WATER, f"p_{n}", "supplies_help") for n in range(3)),
            themed(904, COATS, "p_9", "supplies_help"),
            themed(905, BLAME, "p_1", "information", "supplies_help", kind=Kind.VIEWPOINT, exercise=True),
        ],
    )
    shown = machine.run("register").stdout
    heading, first, counted, *rest = shown.splitlines()
    assert heading.startswith("THEMES (ranked by people) · brann-0 · as of ")
    assert re.fullmatch(r"   4 people  utstyr og hjelpende hender  [▁-█]{12} 4 in the last hour, 0 before ↑", first)
    assert counted.strip().startswith("wish 4 · 4 posts, 0 reposts · last ")
    assert [line.strip() for line in rest[:2]] == [f"3× «{WATER}» (wish)", f"1× «{COATS}» (wish)"]
    assert "   1 person  ØVELSE informasjon  " in shown, "an exercise has rows of its own"
    english = Machine(machine.folder, {"LYTTEPOST_LANGUAGE": "en"})
    assert "supplies and helping hands" in english.run("register").stdout


def test_a_theme_is_asked_for_by_its_id_or_its_name(machine: Machine) -> None:
    publish(machine, [themed(1, WATER, "p_1", "supplies_help"), themed(2, BLAME, "p_2", "information")])
    for name in ("supplies_help", "Utstyr og hjelpende hender"):
        shown = machine.run("register", "--theme", name).stdout
        assert shown.startswith("UTSTYR OG HJELPENDE HENDER (ranked by people)")
        assert (WATER in shown, BLAME in shown) == (True, False)
    unknown = machine.run("register", "--theme", "suplies")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "no theme is called 'suplies'; there are: relatives_contact, " in unknown.stderr


def test_json_has_one_object_a_story(machine: Machine) -> None:
    some(machine)
    listed = machine.json("register")
    assert [(entry["kind"], entry["people"], entry["posts"]) for entry in listed] == [
        ("wish", 4, 4),
        ("wish", 1, 9),
        ("viewpoint", 1, 1),
        ("wish", 1, 1),
    ]
    first = listed[0]
    assert first["text"] == WATER
    assert (first["posts"], first["reposts"], first["authors_known"], first["exercise"]) == (4, 1, True, False)
    assert datetime.fromisoformat(first["first_at"]) == START + timedelta(seconds=20)
    assert (first["kinds"], first["incident_names"], len(first["trend"]["steps"])) == ({"wish": 4}, ["brann-0"], 12)
    assert "p_0" not in str(listed), "no pseudonym is told"


def test_a_story_says_on_which_platforms_it_stands(machine: Machine) -> None:
    told = [("x", 3), ("facebook", 2), ("bluesky", 1)]
    said = [
        finding(n, f"{WATER}{'!' * n}", f"p_{source}{n}", cues=(Cue(kind=Kind.WISH),)).model_copy(
            update={"source": source, "id": f"{source[0]}{n}"}
        )
        for source, count in told
        for n in range(count)
    ]
    publish(machine, [*said, themed(90, BLAME, "p_1", "information")])
    one, other = machine.json("register")
    assert (one["people"], one["posts"], one["sources"]) == (6, 6, {"x": 3, "facebook": 2, "bluesky": 1})
    assert other["sources"] == {"x": 1}
    shown = machine.run("register", "--by", "story").stdout
    assert shown.count("x 3, facebook 2, bluesky 1") == 1
    assert "x 1" not in shown, "one platform is not worth a word"
    assert "\n  posts by platform: x 3, facebook 2, bluesky 1\n" in machine.run("register", "show", "f0").stdout
    assert machine.json("register", "show", "f0")["sources"] == one["sources"]


def test_json_by_theme_has_samples(machine: Machine) -> None:
    publish(machine, [themed(n, WATER, f"p_{n}", "supplies_help") for n in range(3)])
    (theme,) = machine.json("register", "--by", "theme")
    assert (theme["theme"], theme["name"], theme["people"]) == ("supplies_help", "utstyr og hjelpende hender", 3)
    assert [(sample["people"], sample["text"]) for sample in theme["samples"]] == [(3, WATER)]


def test_a_text_that_may_show_who_a_patient_is_is_shown_only_if_asked(machine: Machine) -> None:
    named = "Mormor på rom 7 ved Nordvik sykehus trenger vann"
    publish(machine, [themed(1, named, "p_1", "supplies_help", patient_exposed=0.9)])
    for asked in ((), ("--theme", "supplies_help"), ("--json",), ("--csv",)):
        assert named not in machine.run("register", *asked).stdout
    assert "1× (may show who a patient is) (wish)" in machine.run("register").stdout
    (row,) = machine.json("register")
    assert (row["text"], row["exposed"]) == (None, True)
    assert f"«{named} [may show who a patient is]»" in machine.run("register", "--exposed").stdout
    assert machine.json("register", "--exposed")[0]["text"] == named


def on_terminal(machine: Machine, *words: str) -> str:
    """What a command prints where somebody sits before it."""
    ours, its = os.openpty()
    with machine.start(*words, stdout=its, stderr=subprocess.DEVNULL) as process:
        os.close(its)
        shown = b""
        with suppress(OSError):  # how the end of a terminal is told
            while some := os.read(ours, 65_536):
                shown += some
        assert process.wait(30) == 0
    os.close(ours)
    return shown.decode()


def test_on_a_terminal_what_most_likely_shows_no_patient_is_shown_with_a_mark(machine: Machine) -> None:
    perhaps, surely = "Fetteren min jobber på Nordvik, oksygenet var borte", "Mormor på rom 7 ved Nordvik trenger vann"
    publish(
        machine,
        [
            themed(1, perhaps, "p_1", "supplies_help", patient_exposed=0.6),
            themed(2, surely, "p_2", "supplies_help", patient_exposed=0.9),
        ],
    )
    listed = ("register", "--theme", "supplies_help")
    shown = on_terminal(machine, *listed)
    assert f"{perhaps} [may show who a patient is]" in shown
    assert surely not in shown
    assert "(may show who a patient is)" in shown
    piped = machine.run(*listed).stdout + machine.run(*listed, "--json").stdout + machine.run(*listed, "--csv").stdout
    assert perhaps not in piped


def test_it_says_which_tier_spoke_where_the_better_one_is_set(machine: Machine) -> None:
    publish(machine, [themed(1, WATER, "p_1", "supplies_help"), themed(2, COATS, "p_2", "supplies_help")])
    assert "better tier" not in machine.run("register").stdout
    better = Machine(machine.folder, {"LYTTEPOST_UNDERSTANDING__TIER": "better"})
    said = "read by the better tier: 0 posts; 2 wait, with the default tier's word"
    assert said in better.run("register").stdout
    with closing(sqlite3.connect(machine.data / "register.sqlite")) as db:
        db.execute("UPDATE findings SET tier=1 WHERE post='x:p1'")
        db.commit()
    assert "read by the better tier: 1 post; 1 wait" in machine.run("register").stdout
    assert [each["better"] for each in machine.json("register")] == [1, 0]
    assert "  read by the better tier: 1 of 1 posts\n" in better.run("register", "show", "p1").stdout


def test_a_running_service_reads_by_the_better_tier_beside_its_other_work(machine: Machine) -> None:
    better = Machine(machine.folder, {"LYTTEPOST_UNDERSTANDING__TIER": "better"})
    publish(better, [themed(n, f"{WATER}, gruppe {n}", f"p_{n}", "supplies_help") for n in range(3)])
    with better.start("run", "--role", "dispatch", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as service:
        try:
            wait_for(lambda: "read by the better tier: 3 posts\n" in better.run("register").stdout, 60)
        finally:
            service.terminate()


def test_closed_incidents_are_left_out_unless_asked_for_and_open_ones_are_shown_by_name(machine: Machine) -> None:
    for name in ("Brann i nord", "Flom ved elva"):
        assert machine.run("mode", "crisis", "--name", name, "--track", "nordvik", "--why", "prøve").returncode in (
            0,
            5,
        )
    brann, flom = (incident["id"] for incident in machine.json("mode")["incidents"])
    publish(
        machine,
        [
            finding(1, WATER, "p_1", incident=brann),
            finding(1, WATER, "p_1", incident=flom),
            finding(2, COATS, "p_2", incident=flom),
        ],
    )
    assert "in Brann i nord and Flom ved elva" in machine.run("register", "--kind", "wish").stdout
    assert machine.run("mode", "calm", "--incident", flom, "--why", "over").returncode in (0, 5)
    shown = machine.run("register", "--kind", "wish").stdout
    assert (WATER in shown, COATS in shown, "· Brann i nord ·" in shown) == (True, False, True)
    assert COATS in machine.run("register", "--kind", "wish", "--incident", flom).stdout
    assert COATS in machine.run("register", "--kind", "wish", "--all").stdout
    assert machine.run("mode", "calm", "--why", "over").returncode in (0, 5)
    nothing = machine.run("register")
    assert nothing.stdout == ""
    assert "Nothing is registered. 2 incidents are closed and left out: --all shows them too." in nothing.stderr


def test_since_counts_back_by_the_posts_own_time(machine: Machine) -> None:
    publish(machine, [finding(0, COATS, "p_1"), finding(3000, WATER, "p_2")])
    shown = machine.run("register", "--kind", "wish", "--since", "30m").stdout
    assert (WATER in shown, COATS in shown) == (True, False)
    assert machine.run("register", "--since", "soon").returncode == 2


def test_a_language_is_what_the_text_was_read_as(machine: Machine) -> None:
    publish(machine, [themed(1, WATER, "p_1", "food", language="nn"), themed(2, COATS, "p_2", "food")])
    assert [entry["text"] for entry in machine.json("register", "--lang", "nn")] == [WATER]


def test_what_is_in_a_language_that_is_not_read_is_named_and_not_guessed_at(machine: Machine) -> None:
    said = ["Tarvitsemme vettä sairaalaan", "Tarvitsemme peittoja sairaalaan", "xyzzy plugh"]
    langs = ["fi", "fi", "und"]
    publish(
        machine,
        [
            themed(n, text, "p_1", "food", language="und", lang=lang)
            for n, (text, lang) in enumerate(zip(said, langs, strict=True))
        ],
    )
    shown = machine.run("register").stdout
    line = "not understood: 3 posts (1 person) in languages that are not read: Finnish 2, not named 1"
    assert shown.splitlines() == [line]
    assert {entry["text"] for entry in machine.json("register", "--lang", "fi")} == set(said[:2])


def test_newsrooms_and_public_bodies_are_not_ranked_and_it_warns_where_none_is_named(machine: Machine) -> None:
    publish(
        machine,
        [
            finding(1, "Hold avstand til Nordvik sykehus", "p_1", author_class=AuthorClass.PUBLIC_BODY),
            finding(2, "Vi søker sjåfører til Nordvik", "p_2", author_class=AuthorClass.ORGANISATION),
            finding(
                3, "Nordvikposten: Ber om vann til Nordvik", "p_3", cues=(Cue(kind=Kind.WISH), Cue(kind=Kind.MEDIA))
            ),
            finding(4, WATER, "p_4"),
        ],
    )
    assert [entry["text"] for entry in machine.json("register")] == [WATER]
    done = machine.run("register")
    assert (
        "not ranked: 2 posts of newsrooms, public bodies and organisations and 1 post that sound like theirs"
        in done.stdout
    )
    warning = (
        "is empty: newsrooms and public bodies are known by what the platform and their words say only; name them there"
    )
    assert warning in done.stderr
    named = Machine(machine.folder, {"LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__MEDIA": "[nordvikposten]"})
    assert warning not in named.run("register").stderr


FORMULAS = [
    '=HYPERLINK("http://a.example";"vann")',
    "+47 er på vei med vann",
    "-vann til skolen i Nordvik",
    "@nordvik kom med vann",
]


def test_no_cell_of_an_export_is_a_formula(machine: Machine, tmp_path: Path) -> None:
    publish(machine, [finding(n, text, f"p_{n}", story=f"s{n}") for n, text in enumerate([*FORMULAS, WATER])])
    done = machine.run("register", "--csv", "--out", str(tmp_path / "a.csv"))
    assert (done.returncode, done.stdout) == (0, "")
    content = (tmp_path / "a.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    assert [row["text"] for row in rows] == [*(f"'{text}" for text in FORMULAS), WATER]
    assert (rows[0]["people"], rows[0]["kind"], rows[0]["incidents"]) == ("1", "wish", "brann-0")
    assert machine.run("register", "--xlsx", "--out", str(tmp_path / "a.xlsx")).returncode == 0
    sheet = openpyxl.load_workbook(tmp_path / "a.xlsx").active
    heading, *lines = sheet.iter_rows()
    column = [cell.value for cell in heading].index("text")
    assert [(line[column].value, line[column].data_type) for line in lines] == [
        (text, "s") for text in [*FORMULAS, WATER]
    ]
    assert lines[0][0].value == 1
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("a.*")} == {0o600}


def test_an_export_tells_no_pseudonym(machine: Machine) -> None:
    publish(machine, [finding(1, f"@p_{'a' * 16} {WATER}", f"p_{'b' * 16}")])
    shown = machine.run("register", "--csv").stdout
    assert f"'@… {WATER}" in shown
    assert "p_" not in shown


def test_exports_by_theme_have_the_samples(machine: Machine) -> None:
    publish(machine, [themed(1, WATER, "p_1", "supplies_help"), themed(2, COATS, "p_2", "supplies_help")])
    (row,) = csv.DictReader(
        io.StringIO(machine.run("register", "--csv", "--by", "theme").stdout.removeprefix("\ufeff"))
    )
    assert (row["theme"], row["sample 1"], row["sample 2"], row["sample 3"]) == (
        "utstyr og hjelpende hender",
        WATER,
        COATS,
        "",
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [("--json --csv", "choose one"), ("--out a.csv", "choose --csv or --xlsx too"), ("--csv --xlsx", "choose one")],
)
def test_what_cannot_be_written_is_refused(machine: Machine, words: str, why: str) -> None:
    done = machine.run("register", *words.split())
    assert done.returncode == 2
    assert why in done.stderr


def test_a_file_that_cannot_be_written_is_named(machine: Machine, tmp_path: Path) -> None:
    some(machine)
    done = machine.run("register", "--csv", "--out", str(tmp_path / "nowhere" / "a.csv"))
    assert done.returncode == 4
    assert f"{tmp_path}/nowhere/a.csv: cannot be written: No such file or directory" in done.stderr


def test_kind_incident_and_limit_narrow_it(machine: Machine) -> None:
    some(machine)
    assert {entry["kind"] for entry in machine.json("register", "--kind", "viewpoint")} == {"viewpoint"}
    assert [entry["incidents"] for entry in machine.json("register", "--incident", "flom-7")] == [["flom-7"]]
    assert len(machine.json("register", "--kind", "wish", "--limit", "1")) == 1
    assert machine.run("register", "--kind", "smell").returncode == 2
    nothing = machine.run("register", "--incident", "nowhere-1")
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert "no incident has the id 'nowhere-1'" in nothing.stderr


def test_without_authors_it_says_by_what_it_ranks(machine: Machine) -> None:
    publish(machine, [finding(n, WATER, None) for n in range(3)])
    shown = machine.run("register", "--kind", "wish").stdout
    assert shown.startswith("WISH (ranked by posts that are no reposts: no authors are known)")
    assert "\n    3 posts  " in shown


def test_a_text_cannot_command_the_terminal(machine: Machine) -> None:
    publish(machine, [finding(1, "Kan noen \x1b[2J\r\nhjelpe oss her ute", "p_a")])
    shown = machine.run("register").stdout
    assert "\x1b" not in shown
    assert "\r" not in shown
    assert "hjelpe oss her ute" in shown


def test_what_was_purged_is_not_shown(machine: Machine) -> None:
    some(machine)
    assert machine.run("register").returncode == 0
    done = machine.run("privacy", "purge", "p40", "--why", "en ba om det", "--by", "Kari")
    assert done.returncode == 0, done.stderr
    assert machine.json("register", "--kind", "viewpoint") == []
    assert BLAME not in machine.run("register").stdout


def test_several_commands_at_once_end_with_right_counts(machine: Machine) -> None:
    publish(machine, [finding(n, WATER, f"p_{n % 50}") for n in range(20_000)])
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    running = [machine.start("register", "--json", **pipes) for _ in range(3)]
    said = [process.communicate(timeout=60) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert [(entry["people"], entry["posts"]) for entry in machine.json("register")] == [(50, 20_000)]


def test_a_register_that_was_removed_is_built_again(machine: Machine) -> None:
    some(machine)
    before = machine.json("register")
    for path in machine.data.glob("register.sqlite*"):
        path.unlink()
    assert machine.json("register") == before


@pytest.mark.parametrize("at", [0, 6000])
def test_a_damaged_register_is_built_again_and_it_says_so(machine: Machine, at: int) -> None:
    publish(machine, [finding(n, WATER, f"p_{n}") for n in range(500)])
    machine.run("register")
    path = machine.data / "register.sqlite"
    content = bytearray(path.read_bytes())
    content[at : at + 20_000] = b"\xa5" * len(content[at : at + 20_000])
    path.write_bytes(content)
    done = machine.run("register", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["people"] == 500
    assert f"{path}: is damaged" in done.stderr
    assert "moved aside as register.sqlite.damaged, and built anew from the bus" in done.stderr
    assert path.with_name("register.sqlite.damaged").exists()
    again = machine.run("register")
    assert again.stderr.startswith("Nothing runs here")
    assert "damaged" not in again.stderr


def test_where_nothing_was_heard_it_says_so(machine: Machine) -> None:
    done = machine.run("register")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing is registered." in done.stderr
