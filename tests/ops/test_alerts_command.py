"""`lyttepost alerts` on what a real run left behind."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, crisis, live_bus, wait_for

WHY = ("--why", "a test wants it")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """`lyttepost run` heard a recording to its end, under an exercise, and was stopped."""
    folder = tmp_path_factory.mktemp("alerts")
    path = Machine(folder).write("brann.jsonl", crisis())
    recording = {
        "LYTTEPOST_SOURCES__RECORDING__PATH": str(folder / "work" / path),
        "LYTTEPOST_SOURCES__RECORDING__SPEED": "max",
    }
    machine = Machine(folder, recording)
    service = machine.start("run", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        opened = machine.run(
            "mode", "crisis", "--name", "Brann, Nordvik", "--track", "nordvik*", "--exercise", "--no-wait", *WHY
        )
        assert opened.returncode == 0, opened.stderr
        # Five quiet minutes after the last post all has passed, and each alert was told.
        wait_for(lambda: any(a["condition"] == "resolved" and a["told"] for a in machine.json("alerts")))
        wait_for(lambda: all(a["told"] and a["told"][0]["outcome"] == "sent" for a in machine.json("alerts")))
        service.send_signal(signal.SIGTERM)
        assert service.wait(10) == 0
    finally:
        service.kill()
        service.wait()
    return machine


@pytest.fixture
def machine(filled: Machine, tmp_path: Path) -> Machine:
    """A copy to work on."""
    shutil.copytree(filled.data, tmp_path / "data", ignore=shutil.ignore_patterns("reserve*", "*.lock"))
    return Machine(tmp_path)


def the(machine: Machine, rule: str) -> dict[str, Any]:
    return next(alert for alert in machine.json("alerts", "--all") if alert["rule"] == rule)


def test_the_list_shows_what_nobody_has_acknowledged(machine: Machine) -> None:
    listed = machine.run("alerts")
    assert listed.returncode == 0
    head, *rows = listed.stdout.splitlines()
    assert head.split() == ["ID", "FIRED", "SEVERITY", "RULE", "COUNT", "CONDITION", "HANDLING", "NEXT", "INCIDENT"]
    assert len(rows) == len(machine.json("alerts"))
    assert all("ØVELSE Brann, Nordvik" in row for row in rows)
    assert any("eyewitness" in row and "critical" in row for row in rows)


def test_json_holds_no_text_of_anybody(machine: Machine) -> None:
    said = json.dumps(machine.json("alerts", "--all"), ensure_ascii=False)
    for raw in crisis():
        assert raw["text"] not in said


def test_one_alert_is_shown_with_its_posts_when_nothing_runs(machine: Machine) -> None:
    alert = the(machine, "eyewitness")
    shown = machine.run("alerts", "show", alert["id"][:6])
    assert shown.returncode == 0
    assert shown.stdout.startswith("ØVELSE · OVER · [Brann, Nordvik] 3 øyenvitner skriver fra stedet\n")
    assert "«Jeg står utenfor Nordvik sykehus og ser flammer fra taket»" in shown.stdout
    assert "Varslet: Konsoll (skjerm)" in shown.stdout
    told = machine.json("alerts", "show", alert["id"])
    assert told["pages"][0]["ways"][0]["outcome"] == "sent"
    # Whoever comes next comes now, for nothing runs: the instant is no part of the alert.
    changing = {"next": None}
    assert {**told, **changing} == {**alert, **changing, "pages": told["pages"]}
    assert [row.split()[:1] for row in shown.stdout.splitlines() if row.startswith("PAGED")] == [["PAGED"]]


def test_options_may_stand_before_the_word_too(machine: Machine) -> None:
    id_ = the(machine, "eyewitness")["id"]
    elsewhere = Machine(machine.folder, {"LYTTEPOST_DATA": str(machine.folder / "empty")})
    shown = elsewhere.run("alerts", "--data", str(machine.data), "--json", "show", id_)
    assert json.loads(shown.stdout)["id"] == id_


def test_an_acknowledgement_is_kept_and_a_second_one_is_told_of_the_first(machine: Machine) -> None:
    alert = the(machine, "eyewitness")
    first = machine.run("alerts", "ack", alert["id"][:6], "--by", "Kari", "--why", "jeg ringer brannvesenet")
    assert first.returncode == 0
    assert f"{alert['id']} is acknowledged: Kari, " in first.stderr
    second = machine.run("alerts", "ack", alert["id"], "--by", "Ola")
    assert second.returncode == 0
    assert "was acknowledged already: Kari, " in second.stderr
    assert alert["id"] not in [each["id"] for each in machine.json("alerts")]
    kept = the(machine, "eyewitness")
    assert (kept["handling"], kept["handled_by"], kept["handled_why"]) == (
        "acknowledged",
        "Kari",
        "jeg ringer brannvesenet",
    )
    assert "acknowledged by Kari" in machine.run("alerts", "--all").stdout
    assert "kvittert av Kari" in machine.run("alerts", "show", alert["id"]).stdout


def test_without_a_name_it_is_the_user_at_the_keyboard(machine: Machine) -> None:
    machine.run("alerts", "ack", the(machine, "eyewitness")["id"])
    assert the(machine, "eyewitness")["handled_by"] == pwd.getpwuid(os.getuid()).pw_name


@pytest.mark.parametrize("words", [("show", "nonesuch"), ("ack", "nonesuch", "--by", "Kari"), ("ack", "")])
def test_an_unknown_id_is_a_matter_of_usage(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine.run("alerts", *words)
    assert done.returncode == 2
    assert "no alert begins with" in done.stderr
    assert machine.json("alerts") == machine.json("alerts", "--all")


def test_a_damaged_register_does_not_hide_an_alert(machine: Machine) -> None:
    id_ = the(machine, "eyewitness")["id"]
    for path in machine.data.glob("register.sqlite*"):
        path.unlink()
    (machine.data / "register.sqlite").write_bytes(b"no database, but some text that is long enough" * 40)
    shown = machine.run("alerts", "show", id_)
    assert shown.returncode == 0
    assert "3 øyenvitner skriver fra stedet" in shown.stdout
    assert "moved aside as register.sqlite.damaged, and built anew" in shown.stderr


def test_both_chains_are_followed_to_their_ends(machine: Machine) -> None:
    machine.run("alerts", "ack", the(machine, "eyewitness")["id"], "--by", "Kari")
    proven = machine.run("alerts", "verify")
    assert proven.returncode == 0
    assert "decisions: 2 records, chain unbroken" in proven.stdout, "this one, and the rules found at the start"
    assert "deliveries: " in proven.stdout


def test_a_changed_word_breaks_the_chain(machine: Machine) -> None:
    machine.run("alerts", "ack", the(machine, "eyewitness")["id"], "--by", "Kari")
    assert rewrite(machine.data / "bus.sqlite", '"Kari"', '"Olga"') == 1
    proven = machine.run("alerts", "verify")
    assert proven.returncode == 1
    assert "decisions" in proven.stderr


def rewrite(path: Path, old: str, new: str) -> int:
    """Change a decision behind our back. Returns how many records were changed."""
    changed = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall():
            if "value" in [column[1] for column in db.execute(f"PRAGMA table_info({table})")]:
                text = "CAST(value AS TEXT)"
                changed += db.execute(
                    f"UPDATE {table} SET value=CAST(replace({text}, ?, ?) AS BLOB)"  # noqa: S608
                    f' WHERE instr({text}, ?) AND instr({text}, \'"type":"decision"\')',
                    (old, new, old),
                ).rowcount
    return changed


def test_where_nothing_has_happened_it_says_so(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    done = machine.run("alerts")
    assert (done.returncode, done.stdout) == (2, "")
    assert "holds no log" in done.stderr
    assert not machine.data.exists(), "to look makes nothing"
    with live_bus(machine):
        pass
    done = machine.run("alerts")
    assert (done.returncode, done.stdout) == (0, "")
    assert "No alert is open" in done.stderr
    assert machine.json("alerts") == []
