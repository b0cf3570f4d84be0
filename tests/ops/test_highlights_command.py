"""`lyttepost highlights` as people type it, and what `config check` and `doctor` say of its settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from command_support import Machine, live_bus

from listener.bus import hashchain
from listener.model.decisions import DECISIONS
from tests.fakes.publisher import Publisher, publisher, rss
from tests.fakes.x import FakeX
from tests.unit.highlights_support import proposal

BY = ("--by", "kari")


@pytest.fixture
def web() -> Iterator[Publisher]:
    with publisher() as made:
        yield made


def feeds(*addresses: str) -> dict[str, str]:
    return {"LYTTEPOST_HIGHLIGHTS__FEEDS": json.dumps(addresses)}


def test_from_a_feed_to_an_approval_and_back(tmp_path: Path, web: Publisher) -> None:
    now = datetime.now(UTC)
    feed = web.put("/news.xml", rss(("Ny MR-maskin", "", now), ("Åpent hus", "", now)))
    made = Machine(tmp_path, feeds(feed))
    with live_bus(made):
        pass
    assert "There are no highlights" in made.run("highlights").stderr
    done = made.run("highlights", "propose")
    assert (done.returncode, "2 new from 1 feeds" in done.stderr) == (0, True)
    assert done.stdout.startswith("PROPOSED: approve, edit or drop\n")
    assert made.json("highlights", "propose") == []
    first, second = made.json("highlights")
    assert first["stage"] == second["stage"] == "proposed"
    assert (first["length"], first["longest"]) == (len(first["title"]) + 1 + 23, 280)

    done = made.run("highlights", "approve", first["id"][:8], "--at", "2036-01-01T08:00", *BY)
    assert done.returncode == 2, "not within a year"
    assert "Invalid value for --at" in done.stderr
    done = made.run("highlights", "approve", first["id"], *BY)
    assert done.returncode == 0
    assert "a crisis until then holds it" in done.stderr
    assert "No process with the role highlights runs" in done.stderr
    assert "the three other keys are not set" in done.stderr
    assert made.run("highlights", "approve", first["id"], *BY).returncode == 3
    done = made.run("highlights", "edit", first["id"], "--text", "Kortere tekst", *BY)
    assert "13 of 280 as X counts; it is approved as before" in done.stderr
    assert made.run("highlights", "drop", second["id"], *BY).returncode == 0
    assert made.run("highlights", "drop", "nei", *BY).returncode == 2
    listed = made.json("highlights")
    assert [(each["text"], each["stage"], each["by"]) for each in listed] == [("Kortere tekst", "approved", "kari")]
    assert len(made.json("highlights", "--all")) == 2

    assert (
        made.run("mode", "crisis", "--no-wait", "--name", "Prøve", "--exercise", "--why", "øver", *BY).returncode == 0
    )
    done = made.run("highlights")
    assert done.stdout.startswith("HELD: release, edit or drop\n")
    assert "Nothing is published while an incident is open, an exercise neither: Prøve" in done.stderr
    for words in (("approve", first["id"]), ("release", first["id"]), ("propose",)):
        assert made.run("highlights", *words).returncode == 3, words
    assert made.run("mode", "calm", "--no-wait", "--why", "øvd", *BY).returncode == 0
    assert "held for" in made.run("highlights").stdout
    assert made.run("highlights", "release", first["id"], *BY).returncode == 0
    assert made.json("highlights")[0]["stage"] == "approved"
    assert made.run("ledger", "verify").returncode == 0


def test_a_feed_that_fails_hides_nothing_of_the_others(tmp_path: Path, web: Publisher) -> None:
    good = web.put("/news.xml", rss(("Ny MR-maskin", "", datetime.now(UTC))))
    made = Machine(tmp_path, feeds(web.at("/status/503"), good))
    done = made.run("highlights", "propose", "--json")
    assert done.returncode == 1
    assert [each["title"] for each in json.loads(done.stdout)] == ["Ny MR-maskin"]
    assert "1 of 2 feeds not read" in done.stderr


def test_without_feeds_or_a_log_it_says_what_to_do(tmp_path: Path) -> None:
    made = Machine(tmp_path)
    done = made.run("highlights", "propose")
    assert (done.returncode, "highlights.feeds" in done.stderr) == (4, True)
    assert made.run("highlights").returncode == 2


def test_the_keys_are_all_four_and_none_of_them_listens(tmp_path: Path, web: Publisher) -> None:
    some = {"LYTTEPOST_HIGHLIGHTS__CONSUMER_KEY": "en", "LYTTEPOST_HIGHLIGHTS__ACCESS_TOKEN": "to"}
    done = Machine(tmp_path, some).run("config", "check")
    assert (done.returncode, "consumer_secret" in done.stderr) == (4, True)
    assert "is missing, and X wants all four" in done.stderr
    rest = {"LYTTEPOST_HIGHLIGHTS__CONSUMER_SECRET": "tre", "LYTTEPOST_HIGHLIGHTS__ACCESS_TOKEN_SECRET": "fire"}
    done = Machine(tmp_path, {**some, **rest, "LYTTEPOST_X__BEARER_TOKEN": "to"}).run("config", "check")
    assert (done.returncode, "publishing has its own" in done.stderr) == (4, True)
    assert "highlights.feeds" in Machine(tmp_path, {**some, **rest}).run("config", "check").stderr
    short = {**some, **rest, "LYTTEPOST_RETENTION__ARCHIVE": "1d", "LYTTEPOST_RETENTION__CONTENT": "1d"}
    assert "what is forgotten is proposed once more" in Machine(tmp_path, short).run("config", "check").stderr
    shown = Machine(tmp_path, {**some, **rest}).run("config", "show").stdout
    assert "fire" not in shown


@pytest.mark.parametrize(
    ("level", "says"), [("read-write", "publishes as @fjordby_sykehus"), ("read", "not written to")]
)
def test_doctor_reads_the_feeds_and_asks_x_whose_keys_they_are(
    tmp_path: Path, web: Publisher, level: str, says: str
) -> None:
    with FakeX() as fake:
        fake.account.level = level
        keys = {f"LYTTEPOST_HIGHLIGHTS__{name.upper()}": key for name, key in fake.account.settings().items()}
        more = {**keys, **feeds(web.put("/news.xml", rss())), "LYTTEPOST_HIGHLIGHTS__BASE_URL": fake.url}
        made = Machine(tmp_path, more)
        with live_bus(made) as bus:
            hashchain.append(bus, DECISIONS.name, proposal("a"))
        found = {each["id"]: each for each in json.loads(made.run("doctor", "--json").stdout)["findings"]}
    assert says in found["highlights.x"]["says"]
    assert found["highlights.x"]["level"] == ("ok" if level == "read-write" else "failed")
    assert found["highlights.feed"]["level"] == "ok"
    assert found["highlights.runs"]["level"] == "warning"
    assert "hemmelighet" not in json.dumps(found)
