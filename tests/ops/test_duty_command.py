"""`lyttepost duty` as a person and a program meet it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine
from typer.testing import CliRunner

from listener.bus.protocol import open_bus
from listener.bus.scan import scan
from listener.clock import SystemClock
from listener.model.decisions import DECISIONS, Swap, WayTest
from listener.model.deliveries import DELIVERIES, Delivery, Outcome
from lyttepost import app
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.unit.duty_support import table

WEEKLY = """
people:
  kari: {name: Kari Nordmann, language: nb, ways: [{channel: console}, {channel: webhook, target: kari}]}
  ola: {name: Ola, language: en, roles: [crisis_team], ways: [{channel: console}]}
roster:
  duty:
    zone: Europe/Oslo
    layers: [{rotation: {every: 1w, start: "2026-01-05T08:00", people: [kari, ola]}}]
repeat_every: {critical: 5m, warning: 15m, info: 4h}
"""
LATER = ("--from", "2046-01-10T08:00", "--to", "2046-01-20T08:00", "--by", "Kari")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    found = Machine(tmp_path, {"LYTTEPOST_CONFIG": str(tmp_path / "work" / "mine")})
    assert Machine(tmp_path).run("config", "init", "mine").returncode == 0
    (tmp_path / "work" / "mine" / "people.yaml").write_text(WEEKLY, encoding="utf-8")
    return found


@pytest.fixture
def hook() -> Iterator[FakeWebhook]:
    with webhook_server() as fake:
        yield fake


def asked(machine: Machine, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = machine.json("duty", "at", *words)
    return found


# --- the contract ----------------------------------------------------------------------------------------------------


def in_process(monkeypatch: pytest.MonkeyPatch, data: Path, *words: str) -> dict[str, Any]:
    monkeypatch.setenv("LYTTEPOST_DATA", str(data))
    done = CliRunner().invoke(app, ["duty", "at", *words, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_case_of_the_table_is_answered_by_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in table("roster.json"):
        file = tmp_path / f"{case['id'].replace(':', '-')}.yaml"
        file.write_text(json.dumps(case["file"]), encoding="utf-8")
        for question in case["ask"]:
            found = in_process(monkeypatch, tmp_path / "data", question["at"], "--people", str(file))
            assert list(found) == ["at", "roles", "until"]
            assert found["at"] == question["at"]
            if "on" in question:
                assert found["roles"] == {"duty": question["on"]}, (case["id"], question)
            if "until" in question:
                assert found["until"] == question["until"], (case["id"], question)
    assert not (tmp_path / "data").exists(), "nothing but files, and nothing is written"


def test_every_calendar_of_the_table_is_answered_by_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for case in table("calendars.json"):
        (tmp_path / "duty.ics").write_text(case["ics"], encoding="utf-8")
        names = ("kari", "ola", "per")
        people = {name: {"ways": [{"channel": "console"}]} for name in names}
        roster = {"duty": {"zone": case["zone"], "calendar": "duty.ics"}}
        file = tmp_path / "people.yaml"
        file.write_text(json.dumps({"people": people, "roster": roster}), encoding="utf-8")
        questions = case["ask"] + [{"at": shift["from"], "has": shift["who"]} for shift in case["expect"]]
        for question in questions:
            found = in_process(monkeypatch, tmp_path / "data", question["at"], "--people", str(file))["roles"]["duty"]
            assert question.get("has") in (None, *found), (case["id"], question)
            assert found == question.get("on", found), (case["id"], question)


def test_at_says_who_is_on_duty_and_until_when_to_the_letter(machine: Machine) -> None:
    done = machine.run("duty", "at", "2026-06-01T12:00:00Z", "--people", "mine/people.yaml", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        '{"at": "2026-06-01T12:00:00Z", "roles": {"crisis_team": ["ola"], "duty": ["ola"]}, '
        '"until": "2026-06-08T06:00:00Z"}\n'
    )
    assert asked(machine, "2026-06-08T08:00")["roles"]["duty"] == ["kari"], "a time without a zone is the settings'"


def test_what_never_changes_has_no_end_and_an_empty_list_is_an_answer(machine: Machine) -> None:
    (machine.folder / "work" / "empty.yaml").write_text("roster: {duty: {zone: UTC}}\n", encoding="utf-8")
    found = asked(machine, "2026-06-01T12:00:00Z", "--people", "empty.yaml")
    assert found == {"at": "2026-06-01T12:00:00Z", "roles": {"duty": []}, "until": None}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("at", "soon"), 2, "TIME: 'soon' is no time"),
        (("at", "9999-12-31T23:59:59Z"), 2, "is no time"),
        (("at", "2026-06-01T12:00:00Z", "--people", "gone.yaml"), 4, "gone.yaml: no such file"),
        (("--json", "week"), 2, "write them after the command"),
        (("swap", "kari", "per", *LATER), 2, "B: nobody in people.yaml is called 'per'; known: kari, ola"),
        (("swap", "kari", "Kari Nordmann", *LATER), 2, "B: is the same person as A"),
        (("swap", "kari", "ola", "--from", "2046-01-02", "--to", "2046-01-01"), 2, "--to: is not after --from"),
        (("swap", "kari", "ola", "--from", "2016-01-01", "--to", "2016-02-01"), 3, "is over since"),
        (("test", "per"), 2, "PERSON: nobody in people.yaml is called 'per'"),
        (("confirm", "4711"), 2, "no test message has the code '4711'"),
    ],
)
def test_what_cannot_be_is_said_with_its_exit_code(
    machine: Machine, words: tuple[str, ...], code: int, told: str
) -> None:
    done = machine.run("duty", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr


# --- views and swaps -------------------------------------------------------------------------------------------------


def test_now_and_the_week_name_people_and_when_they_change(machine: Machine) -> None:
    now = machine.run("duty")
    assert re.search(
        r"^duty +(Kari Nordmann|Ola) +20\d\d-\d\d-\d\d 08:00:00 CES?T +(Kari Nordmann|Ola)$", now.stdout, re.M
    )
    assert re.search(r"^crisis_team +Ola +further notice$", now.stdout, re.M)
    week = machine.run("duty", "week", "--from", "2026-06-03T08:00")
    assert [line.split("  ") for line in week.stdout.splitlines()[1:]] == [
        ["duty", "2026-06-03 08:00:00 CEST", "2026-06-08 08:00:00 CEST", "Ola"],
        ["duty", "2026-06-08 08:00:00 CEST", "2026-06-10 08:00:00 CEST", "Kari Nordmann"],
    ]


def test_a_swap_is_one_decision_of_two_halves_that_every_view_goes_by(machine: Machine) -> None:
    before = asked(machine, "2046-01-15T12:00:00Z")["roles"]["duty"]
    done = machine.run("duty", "swap", "kari", "ola", *LATER, "--why", "dugnad")
    assert done.returncode == 0, done.stderr
    assert "kari and ola change places from 2046-01-10 08:00:00 CET to 2046-01-20 08:00:00 CET." in done.stderr
    (other,) = {"kari", "ola"} - set(before)
    assert asked(machine, "2046-01-15T12:00:00Z")["roles"]["duty"] == [other]
    week = machine.json("duty", "week", "--from", "2046-01-15T08:00")
    assert week[0]["who"] == [other]
    with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
        (swap,) = scan(bus, DECISIONS)
    assert isinstance(swap, Swap)
    assert [(half.remove, half.add) for half in swap.overrides] == [("kari", "ola"), ("ola", "kari")]
    assert (swap.by, swap.why) == ("Kari", "dugnad")
    assert "decisions: 1 records, chain unbroken" in machine.run("alerts", "verify").stdout
    file = asked(machine, "2046-01-15T12:00:00Z", "--people", "mine/people.yaml")
    assert file["roles"]["duty"] == before, "a file alone knows no swaps"
    machine.run("duty", "swap", "ola", "kari", *LATER)
    assert asked(machine, "2046-01-15T12:00:00Z")["roles"]["duty"] == before, "once more takes it back"


def test_a_swap_of_two_who_are_not_on_duty_then_is_refused(machine: Machine) -> None:
    text = WEEKLY.replace("people: [kari, ola]}}", "people: [kari]}}").replace(
        "  ola:", "  eva: {ways: [{channel: console}]}\n  ola:"
    )
    (machine.folder / "work" / "mine" / "people.yaml").write_text(text, encoding="utf-8")
    done = machine.run("duty", "swap", "eva", "ola", *LATER)
    assert done.returncode == 3
    assert "neither eva nor ola is on duty then" in done.stderr
    assert "decisions: 0 records" in machine.run("alerts", "verify").stdout


def test_who_is_on_duty_is_told_although_the_bus_cannot_be_read(machine: Machine) -> None:
    away = Machine(machine.folder, {**machine.more, "LYTTEPOST_BUS__URL": "kafka://127.0.0.1:9"})
    done = away.run("duty", "at", "2026-06-01T12:00:00Z", "--json")
    assert json.loads(done.stdout)["roles"]["duty"] == ["ola"]
    assert "Swaps are not known, for the bus cannot be read" in done.stderr


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_fails_where_nobody_would_be_woken_and_says_what_to_do(machine: Machine) -> None:
    done = machine.run("duty", "check")
    assert done.returncode == 1
    assert re.search(r"^FAILED +roster\.duty\.deaf +kari, ola cannot be woken", done.stdout, re.M)
    assert "\nroster.duty.deaf: add one of the channels " in done.stdout
    assert "people.tested" in done.stdout
    assert "nobody would be woken: " in done.stderr


def test_check_of_a_file_names_unknown_people_by_line_and_asks_no_bus(machine: Machine) -> None:
    (machine.folder / "work" / "bad.yaml").write_text(WEEKLY.replace("[kari, ola]", "[kari, eva]"), encoding="utf-8")
    done = machine.run("duty", "check", "--people", "bad.yaml")
    assert (done.returncode, done.stdout) == (4, "")
    assert "bad.yaml:8: roster.duty.layers.0.rotation.people.1: names 'eva', who is not among people" in done.stderr
    assert not machine.data.exists()


def test_check_sees_what_a_channel_would_refuse_and_channels_that_there_are_not(machine: Machine) -> None:
    ways = "[{channel: email, target: 'a@x.example, b@x.example'}, {channel: pigeon}, {channel: console, target: x}]"
    text = WEEKLY.replace("[{channel: console}]", ways)
    (machine.folder / "work" / "odd.yaml").write_text(text, encoding="utf-8")
    done = machine.run("duty", "check", "--people", "odd.yaml", "--json")
    assert done.returncode == 1
    found = {finding["id"]: finding for finding in json.loads(done.stdout)}
    assert "more than one address" in found["people.ola.email"]["says"]
    assert "no channel is called 'pigeon'" in found["people.ola.pigeon"]["says"]
    assert "takes no target" in found["people.ola.console"]["says"]


# --- test messages ---------------------------------------------------------------------------------------------------


def test_a_test_message_goes_by_every_way_is_written_down_and_confirmed_by_its_code(
    machine: Machine, hook: FakeWebhook
) -> None:
    home = Machine(machine.folder, {**machine.more, "LYTTEPOST_CHANNELS__WEBHOOK__URL": hook.url})
    done = home.run("duty", "test", "kari", "--by", "Vakt")
    assert done.returncode == 0, done.stderr
    assert "PRØVE fra Lyttepost: kode " in done.stdout, "in the person's language, on the console"
    (call,) = hook.seen
    code = call.json["code"]
    assert (call.json["type"], call.json["to"]) == ("test", "kari")
    assert code not in done.stdout, "each way has a code of its own"
    with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
        deliveries = [one for one in scan(bus, DELIVERIES) if isinstance(one, Delivery)]
        (tried,) = (one for one in scan(bus, DECISIONS) if isinstance(one, WayTest))
    assert [(one.channel, one.outcome) for one in deliveries] == [
        ("console", None),
        ("console", Outcome.SENT),
        ("webhook", None),
        ("webhook", Outcome.SENT),
    ]
    assert {way.code for way in tried.ways} == {one.alert.removeprefix("test:") for one in deliveries}
    assert "never confirmed: kari (webhook)" in home.run("duty", "check").stdout
    assert home.run("duty", "confirm", code, "--by", "kari").returncode == 0
    assert "never confirmed" not in home.run("duty", "check").stdout
    assert home.run("alerts").stderr.endswith("No alert is open.\n"), "a test is no alert"


def test_a_way_that_fails_is_written_down_and_the_others_are_tried(machine: Machine, hook: FakeWebhook) -> None:
    hook.faults.append("500")
    home = Machine(machine.folder, {**machine.more, "LYTTEPOST_CHANNELS__WEBHOOK__URL": hook.url})
    done = home.run("duty", "test", "Kari Nordmann")
    assert done.returncode == 1
    assert "console: sent, with the code " in done.stderr
    assert "webhook: NOT sent: " in done.stderr
    assert "1 of 2 messages to kari could not be sent" in done.stderr
    with closing(open_bus("embedded:", machine.data, SystemClock())) as bus:
        last = [one for one in scan(bus, DELIVERIES) if isinstance(one, Delivery)][-1]
    assert (last.channel, last.outcome) == ("webhook", Outcome.TEMPORARY)


def test_a_channel_that_is_not_set_up_is_told_with_the_setting(machine: Machine) -> None:
    done = machine.run("duty", "test", "kari")
    assert done.returncode == 1
    assert "channels.webhook" in done.stderr
    assert "webhook: NOT sent: no_channel" in done.stderr
