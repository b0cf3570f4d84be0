"""`lyttepost register` on a bus with findings, also while others use it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine

from alerts.annotate.story import story
from listener.bus.protocol import Message, open_bus
from listener.clock import SystemClock
from listener.model.records import Cue, Finding, Kind, encode
from listener.model.topics import TOPICS

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
    cues = (Cue(kind=kind),)
    return Finding(source="x", id=f"p{number}", at=at, captured_at=at, text=text, author=author, cues=cues, **own)


def publish(machine: Machine, findings: Sequence[Finding]) -> None:
    machine.data.mkdir(exist_ok=True)
    with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
        bus.ensure([TOPICS["findings"]])
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


def test_wishes_and_viewpoints_are_ranked_by_people(machine: Machine) -> None:
    some(machine)
    shown = machine.run("register").stdout
    wishes, viewpoints = shown.split("VIEWPOINT (ranked by people)")
    assert wishes.startswith("WISH (ranked by people)\n   4 people  Kan noen komme med vann")
    assert "4 posts, 1 repost, " in wishes
    assert wishes.index(WATER) < wishes.index(COATS), "four people before nine posts of one"
    assert f"   1 person  ØVELSE {BLAME}" in viewpoints
    assert "prøven" not in shown


def test_json_has_one_object_an_entry(machine: Machine) -> None:
    some(machine)
    listed = machine.json("register")
    assert [(entry["kind"], entry["people"]) for entry in listed] == [
        ("wish", 4),
        ("wish", 1),
        ("wish", 1),
        ("viewpoint", 1),
    ]
    first = listed[0]
    assert first["text"] == WATER
    assert (first["posts"], first["reposts"], first["authors_known"], first["exercise"]) == (4, 1, True, False)
    assert datetime.fromisoformat(first["first_at"]) == START + timedelta(seconds=20)


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
    shown = machine.run("register").stdout
    assert shown.startswith("WISH (ranked by posts that are no reposts: no authors are known)\n    3 posts  ")


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
    assert again.stderr.count("\n") == 1


def test_where_nothing_was_heard_it_says_so(machine: Machine) -> None:
    done = machine.run("register")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Nothing is registered." in done.stderr
