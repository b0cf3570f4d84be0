"""The board's page of highlights: what is held and since when, what is done there, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from board_support import World, board_world
from command_support import wait_for

from listener.bus import hashchain
from listener.model.decisions import DECISIONS
from listener.model.highlights import HighlightWord, Word
from listener.model.incidents import Action, Command
from listener.runtime.control import Control
from tests.unit.highlights_support import proposal


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with board_world(tmp_path) as made:
        yield made


def approved(world: World, id_: str, *, epoch: int = -1) -> None:
    now = datetime.now(UTC)
    hashchain.append(world.bus, DECISIONS.name, proposal(id_, at=now - timedelta(hours=2)))
    said = HighlightWord(id=id_, at=now, by="kari", revision=1, word=Word.APPROVE, epoch=epoch)
    hashchain.append(world.bus, DECISIONS.name, said)


def page(world: World, role: str = "crisis_team", language: str = "nb") -> str:
    return world.ask(f"/highlights?lang={language}", role).text


def form(world: World, id_: str, what: str, role: str = "crisis_team", **more: str) -> str:
    (seen,) = set(re.findall(rf'action="/highlights/{id_}/{what}".*?name="revision" value="(\d+)"', page(world)))
    return world.ask(f"/highlights/{id_}/{what}", role, {"revision": seen, **more}).text


def test_held_in_a_crisis_released_edited_and_dropped_afterwards(world: World) -> None:
    for each in ("a", "b", "c"):
        approved(world, each)
    hashchain.append(world.bus, DECISIONS.name, proposal("d", at=datetime.now(UTC)))
    incident = world.open("Brann")
    shown = page(world)
    assert "Alt holdes tilbake så lenge en hendelse er åpen: Brann." in shown
    assert re.search(r'id="title-held">Holdt tilbake <span class="number">3</span>', shown)
    assert "/highlights/a/release" not in shown
    assert "/highlights/d/approve" not in shown
    wait_for(lambda: "3 egne saker holdes tilbake." in world.ask("/").text)
    assert "Teksten er endret" in form(world, "a", "edit", text="Sak a, endret")
    refused = world.ask("/highlights/a/release", "crisis_team", {"revision": "3"}).text
    assert "så lenge en hendelse er åpen" in refused
    Control(world.bus).append(
        Command(action=Action.CLOSE, at=datetime.now(UTC), by="vakt", why="slukket", incident=incident)
    )
    wait_for(lambda: "3 egne saker venter" in world.ask("/").text)
    assert "Frigitt. Publiseres" in form(world, "a", "release")
    assert "Forkastet." in form(world, "b", "drop")
    assert "Godkjent. Publiseres" in form(world, "d", "approve", when="")
    shown = page(world, language="en")
    assert re.search(r'id="title-held">Held <span class="number">1</span>', shown)
    assert re.search(r'id="title-approved">Approved <span class="number">2</span>', shown)
    assert "Sak a, endret" in shown
    assert "a crisis was opened" in shown
    assert world.newest("decisions")["by"] == "Kari"


def test_what_somebody_else_changed_meanwhile_is_not_decided_on(world: World) -> None:
    hashchain.append(world.bus, DECISIONS.name, proposal("a", at=datetime.now(UTC)))
    page(world)
    form(world, "a", "edit", text="Ny tekst")
    assert "endret av" in world.ask("/highlights/a/approve", "crisis_team", {"revision": "1"}).text


@pytest.mark.parametrize(
    ("role", "may"),
    [("crisis_team", True), ("communications", True), ("duty_officer", False), ("ops", False), ("reader", False)],
)
def test_who_may_decide_on_it(world: World, role: str, may: bool) -> None:
    hashchain.append(world.bus, DECISIONS.name, proposal("a", at=datetime.now(UTC)))
    wait_for(lambda: "Sak a" in page(world, role))
    assert ("/highlights/a/approve" in page(world, role)) == may
    answer = world.ask("/highlights/a/drop", role, {"revision": "1"})
    assert answer.status == (200 if may else 403)
    assert ("dropped" if may else "proposed") in {"dropped" if "Forkastet." in answer.text else "proposed"}


def test_a_form_that_is_none_of_ours_changes_nothing(world: World) -> None:
    hashchain.append(world.bus, DECISIONS.name, proposal("a", at=datetime.now(UTC)))
    answer = world.ask("/highlights/a/drop", "crisis_team", {"revision": "1"}, token="feil")
    assert answer.status == 403
    assert world.newest("decisions")["type"] == "highlight"
    assert world.ask("/highlights/a/steal", "crisis_team", {"revision": "1"}).status == 404
    assert (
        "Her står det ingenting" in world.ask("/highlights/a/edit", "crisis_team", {"revision": "1", "text": " "}).text
    )


def test_markup_in_a_title_is_text(world: World) -> None:
    made = proposal("a", text="<script>alert(1)</script>", at=datetime.now(UTC), title='"><img src=x>')
    hashchain.append(world.bus, DECISIONS.name, made)
    shown = page(world)
    assert "&lt;script&gt;" in shown
    assert "<img" not in shown
    assert "<script>alert" not in shown
