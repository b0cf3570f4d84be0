"""`lyttepost register learn`: from corrections to a model in force, back again, and gone with the post."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, live_bus
from test_register_decisions_command import decided, fill, finding

from alerts.annotate.corrections import digest_of
from alerts.annotate.learned import LEARNED
from alerts.annotate.story import story
from listener.bus import hashchain
from listener.model.decisions import DECISIONS, Correction
from listener.model.records import DecisionKind, Kind
from tests.corpus.data import CORPUS, posts

PLACES = (
    "bakgården",
    "kantina",
    "kjelleren",
    "garasjen",
    "hagen",
    "kapellet",
    "trappa",
    "resepsjonen",
    "heisen",
    "lobbyen",
)
SENTENCES = ("Zorplet i {} hos dere nå igjen", "Igjen zorplet ved {}, altså")
TEXTS = [sentence.format(place) for place in PLACES for sentence in SENTENCES]
ORDINARY = [post for post in posts(CORPUS / "w25.jsonl") if post.lang == "nb"][:39]
"""What nobody corrected, and is to be taken for what it was."""
UNSEEN = {"id": "1", "text": "Zorplet i garderoben hos dere i dag igjen"}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    fill(
        machine,
        [
            *(finding(20 + number, text, Kind.OTHER) for number, text in enumerate(TEXTS)),
            *(finding(60 + number, post.text, Kind.OTHER) for number, post in enumerate(ORDINARY)),
        ],
    )
    return machine


def correct(machine: Machine, count: int = len(TEXTS)) -> None:
    """As the command writes it, which takes a process each time."""
    with live_bus(machine) as bus:
        for number, text in enumerate(TEXTS[:count]):
            said = Correction(
                at=datetime.now(UTC), by="Kari", post=f"x:10{20 + number}", story=story(text), text=digest_of(text),
                kinds=(Kind.WISH,), themes=("food",),
            )  # fmt: skip
            hashchain.append(bus, DECISIONS.name, said)


def wish(machine: Machine) -> float:
    """The chance that the unseen post is a wish, as this machine reads it now."""
    file = machine.write("unseen.jsonl", [UNSEEN])
    return float(json.loads(machine.run("register", "annotate", file, "--json").stdout)["kinds"]["wish"])


def learn(machine: Machine, *words: str) -> Any:
    return machine.run("register", "learn", "--by", "Kari", *words)


def test_what_was_corrected_is_learned_told_and_can_be_taken_back(machine: Machine) -> None:
    correct(machine)
    before = wish(machine)

    tried = learn(machine, "--dry-run", "--json")
    assert tried.returncode == 0, tried.stderr
    outcome = json.loads(tried.stdout)
    assert outcome["lessons"] == len(TEXTS)
    assert outcome["kinds_after"] > outcome["kinds_before"]
    assert outcome["in_force"] is False
    assert not (machine.data / LEARNED).exists()

    done = learn(machine)
    assert done.returncode == 0, done.stderr
    assert f"kinds       {outcome['kinds_before']:>4} → {outcome['kinds_after']:<4}" in done.stdout
    assert "in force" in done.stderr
    assert wish(machine) > before + 0.1

    assert learn(machine, "--undo").returncode == 0
    assert wish(machine) == before
    said = [each for each in decided(machine) if getattr(each, "kind", None) is DecisionKind.LEARNED]
    assert [(each.by, each.why) for each in said] == [("Kari", "20 corrections"), ("Kari", "taken back")]
    again = learn(machine, "--undo")
    assert again.returncode == 3
    assert "nothing was learned here" in again.stderr


def test_of_a_few_corrections_nothing_is_learned_and_it_says_what_makes_more(machine: Machine) -> None:
    correct(machine, 3)
    done = learn(machine)
    assert done.returncode == 1
    assert (
        "there are 3 corrections to learn from, and it takes 10; `lyttepost register correct` makes more" in done.stderr
    )
    assert not (machine.data / LEARNED).exists()


def test_what_was_learned_goes_with_a_post_that_is_purged(machine: Machine) -> None:
    correct(machine)
    assert learn(machine).returncode == 0
    done = machine.run("privacy", "purge", "x:1008", "--by", "Kari", "--why", "bedt om")
    assert done.returncode == 0, done.stderr
    assert (machine.data / LEARNED).exists(), "that post taught nothing"
    done = machine.run("privacy", "purge", "1025", "--by", "Kari", "--why", "bedt om")
    assert done.returncode == 0, done.stderr
    assert "The model had learned from them: that is removed too" in done.stderr
    assert not (machine.data / LEARNED).exists()
    assert json.loads(learn(machine, "--json").stdout)["lessons"] == len(TEXTS) - 1
