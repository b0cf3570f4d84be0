"""`lyttepost report` as a person calls it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_support import Machine, live_bus

from alerts.annotate.story import story
from listener.bus.protocol import Message
from listener.model.incidents import Action, Command, encode_command
from listener.model.records import Cue, Finding, Kind, encode

WATER = "Kan noen komme med vann til skolen i Nordvik"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    now = datetime.now(UTC).replace(microsecond=0)
    opened = Command(action=Action.OPEN, at=now - timedelta(hours=2), by="Kari", why="brann", name="Brann *Nordvik*")
    with live_bus(made) as bus:
        bus.publish([Message("control", "incident", encode_command(opened))])
        for number in range(4):
            at = now - timedelta(minutes=5 + number)
            finding = Finding(
                source="x", id=f"p{number}", at=at, captured_at=at, text=WATER, author=f"a{number}",
                incident="brann-nordvik-0", story=story(WATER, None), cues=(Cue(kind=Kind.WISH),),
                themes=("supplies_help",), language="nb", theme_sure=True,
            )  # fmt: skip
            bus.publish([Message("findings", finding.key, encode(finding))])
    return made


def test_without_a_file_it_prints_markdown_in_the_settings_language(machine: Machine) -> None:
    done = machine.run("report")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Situasjonsrapport: Brann \\*Nordvik\\*\n")
    assert "4 personer har skrevet 4 innlegg" in done.stdout
    assert "utstyr og hjelpende hender" in done.stdout
    assert WATER not in done.stdout


def test_html_goes_to_a_file_that_only_its_owner_may_read(machine: Machine) -> None:
    done = machine.run("report", "--since", "30m", "--lang", "en", "--out", "r.html")
    assert (done.returncode, done.stdout) == (0, "")
    assert "Written to r.html" in done.stderr
    path = machine.folder / "work" / "r.html"
    assert path.stat().st_mode & 0o077 == 0
    html = path.read_text(encoding="utf-8")
    assert '<html lang="en">' in html
    assert "supplies and helping hands" in html
    assert WATER not in html


def test_markdown_goes_to_a_file_too(machine: Machine) -> None:
    assert machine.run("report", "--out", "r.md").returncode == 0
    assert (machine.folder / "work" / "r.md").read_text(encoding="utf-8").startswith("# Situasjonsrapport")


def test_for_programs_it_is_json_without_a_post(machine: Machine) -> None:
    done = machine.run("report", "--json", "--incident", "brann-nordvik-0")
    found = json.loads(done.stdout)
    assert found["where"] == "Brann *Nordvik*"
    ids = [each["id"] for each in found["sections"]]
    assert ids == ["incidents", "loud", "voices", "rumours", "changes", "answers", "alerts", "unknown"]
    assert WATER not in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "9d"), "at most 7 days"),
        (("--since", "0m"), "--since"),
        (("--out", "r.pdf"), ".html or .md"),
        (("--out", "r.md", "--json"), "without --json"),
        (("--incident", "flom-9"), "no incident has the id 'flom-9'"),
        (("--lang", "de"), "--lang"),
    ],
)
def test_what_cannot_be_is_refused(machine: Machine, words: tuple[str, ...], says: str) -> None:
    done = machine.run("report", *words)
    assert done.returncode == 2
    assert says in done.stderr
