"""`lyttepost doctor` against a fake X and a deployment in order, or not: each finding has an id, a level and a fix."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from command_support import Machine, wait_for

from alerts.duty.decided import place_digest
from alerts.duty.people import Place
from listener.bus import hashchain
from listener.bus.protocol import Message, open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock, SystemClock
from listener.model.decisions import DECISIONS, TriedWay, WayConfirmed, WayTest
from listener.model.topics import topic_specs
from listener.settings.schema import Settings
from tests.fakes.x import FakeX
from tests.ops.test_prometheus import free_port

TOKEN = "a-token-of-no-account"


@pytest.fixture
def home(tmp_path: Path) -> Machine:
    return Machine(tmp_path, {"LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "keys" / "pseudonym.key")})


def of_x(fake: FakeX, home: Machine, **more: str) -> Machine:
    to_it: Mapping[str, str] = {"LYTTEPOST_X__BASE_URL": fake.url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN}
    return replace(home, more={**home.more, **to_it, **more})


def asked(home: Machine, code: int = 0) -> dict[str, dict[str, Any]]:
    done = home.run("doctor", "--timeout", "3", "--json")
    assert done.returncode == code, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    for finding in found["findings"]:
        assert (finding["level"] == "ok") == (not finding["mend"]), "what is wrong has a fix, what is well needs none"
    return {finding["id"]: finding for finding in found["findings"]}


def test_a_deployment_in_order_has_nothing_that_failed(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home))
    wanted = ("bus.healthy", "x.token", "x.accepted", "x.clock", "x.plan", "x.limits", "x.rules", "x.connections")
    assert [found[name]["level"] for name in wanted] == ["ok"] * len(wanted)
    assert "1000 rules, 0 of them used" in found["x.plan"]["says"]
    assert "USD a day" in found["x.counts.cost"]["says"]
    assert found["x.address"]["level"] == "warning"
    assert found["run.listener"]["level"] == found["run.alerts"]["level"] == "warning"


CHECKS = ("config.settings", "data.private", "disk.space", "bus.integrity", "retention.kept")


def test_it_looks_at_settings_disk_records_and_retention(home: Machine) -> None:
    home.run("mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "meldt", "--no-wait")
    found = asked(home)
    assert {name: found[name]["level"] for name in CHECKS} == dict.fromkeys(CHECKS, "ok")
    examples = {name: found[name]["says"] for name in ("config.tracks", "config.people", "routes.console")}
    assert [found[name]["level"] for name in examples] == ["warning"] * 3
    assert "fjordby universitetssykehus" in examples["config.tracks"]
    assert "nobody is in it but the console" in examples["config.people"]
    assert "duty" in examples["routes.console"]


def test_a_check_of_the_shipped_example_warns_of_it_and_one_of_a_real_configuration_does_not(home: Machine) -> None:
    shipped = home.run("config", "check")
    assert shipped.returncode == 0
    for warned in (
        "standing tracks are the shipped example's, such as 'fjordby",
        "people.yaml is the shipped example: nobody is in it but the console",
        "alerts lead to the console of `lyttepost run` alone, and wake nobody",
        "is empty: newsrooms and public bodies are known by what the platform and their words say only",
    ):
        assert warned in shipped.stderr
    ours = own_configuration(home, 25)
    ours = replace(ours, more={**ours.more, "LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__MEDIA": "[granvik_avis]"})
    done = ours.run("config", "check")
    assert (done.returncode, done.stderr) == (0, "")


def test_it_says_whether_anybody_would_notice_that_no_alert_can_be_sent(home: Machine) -> None:
    found = asked(home)
    for name, words in (("canary", "no canary has arrived yet"), ("deadman", "no service outside this site is pinged")):
        assert found[name]["level"] == "warning"
        assert words in found[name]["says"]
    assert found["mode.review"]["level"] == "ok"
    home.run("mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "x", "--review-after", "1s", "--no-wait")
    pinged = {**home.more, "LYTTEPOST_DEADMAN__URL": "https://hc-ping.example/hemmelig"}
    off = replace(home, more={**pinged, "LYTTEPOST_CANARY__EVERY": "null"})
    sleep(1)
    said = off.run("doctor", "--json", "--timeout", "2").stdout
    found = {each["id"]: each for each in json.loads(said)["findings"]}
    assert (found["deadman"]["level"], found["deadman"]["says"]) == (
        "ok", "an outside service is pinged every 1m",
    )  # fmt: skip
    assert "hemmelig" not in said + off.run("config", "show").stdout
    assert "nothing proves that an alert would be sent" in found["canary"]["says"]
    assert found["mode.review"]["level"] == "warning"
    assert "Brann (brann-0)" in found["mode.review"]["says"]
    assert "mode review" in found["mode.review"]["mend"]


def own_configuration(home: Machine, port: int) -> Machine:
    """With people, a channel and tracks of its own."""
    assert home.run("config", "init", "mine").returncode == 0
    mine = home.folder / "work" / "mine"
    (mine / "tracks.yaml").write_text("# Ours.\nphrases: [granvik sykehus]\n", encoding="utf-8")
    (mine / "people.yaml").write_text(
        "people: {kari: {name: Kari, contacts: [{channel: email, target: kari@granvik-sykehus.no}]}}\n"
        "routes: {duty: [kari], crisis_team: [kari], ops: [kari], fallback: [kari]}\n"
        "repeat_every: {critical: 5m, warning: 15m, info: 4h}\n",
        encoding="utf-8",
    )
    email = f"{{host: 127.0.0.1, port: {port}, encryption: none, from: lyttepost@granvik-sykehus.no}}"
    return replace(home, more={**home.more, "LYTTEPOST_CONFIG": str(mine), "LYTTEPOST_CHANNELS__EMAIL": email})


def test_a_configuration_of_ones_own_is_told_apart_and_its_server_is_reached(home: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        found = asked(own_configuration(home, server.getsockname()[1]))
    names = ("config.tracks", "config.people", "routes.console", "channels.email")
    assert {name: found[name]["level"] for name in names} == dict.fromkeys(names, "ok")


def test_it_says_who_would_be_paged_by_which_ways_and_which_were_never_confirmed(home: Machine) -> None:
    ours = own_configuration(home, 9)
    people = home.folder / "work" / "mine" / "people.yaml"
    people.write_text(
        "people:\n"
        "  kari: {name: Kari, roles: [duty], ways: [{channel: email, target: kari@granvik-sykehus.no}]}\n"
        "  ola: {name: Ola, ways: [{channel: email, target: ola@granvik-sykehus.no}]}\n"
        "policies:\n"
        "  quick: {steps: [{to: [duty]}, {after: 5m, to: [ola]}], repeat_every: 15m}\n"
        "  slow: {steps: [{to: [ola]}], repeat_every: 4h}\n"
        "routes: {duty: [{severity: [critical], policy: quick}, {policy: slow}]}\n"
        "grouping: {wait: {warning: 30s}}\n",
        encoding="utf-8",
    )
    found = asked(ours, code=1)
    critical, warned = found["alert.duty.critical"], found["alert.duty.warning"]
    assert critical["says"].startswith(
        "Kari at once by email; Ola after 5m by email; then again every 15m until somebody answers. But "
    )
    assert "none of these ways wakes a sleeper" in critical["says"]
    assert critical["says"].endswith("never confirmed by a test message: Kari (email), Ola (email)")
    assert warned["says"] == (
        "Ola after 30s by email; then again every 4h until somebody answers. "
        "But never confirmed by a test message: Ola (email)"
    )
    assert "alert.canary.critical" not in found
    # A rule names it, people.yaml does not.
    assert "people.yaml has no such route or policy" in found["alert.crisis_team.critical"]["says"]


def test_a_way_that_was_confirmed_is_known_however_its_number_is_spelled(home: Machine) -> None:
    ours = own_configuration(home, 9)
    (home.folder / "work" / "mine" / "people.yaml").write_text(
        "people: {kari: {name: Kari, ways: [{channel: sms, target: 406 12 345}]}}\n"
        "policies: {quick: {steps: [{to: [kari]}], repeat_every: 15m}}\n"
        "routes: {duty: [{policy: quick}]}\n",
        encoding="utf-8",
    )
    assert "never confirmed by a test message: Kari (sms)" in asked(ours, code=1)["alert.duty.warning"]["says"]
    with closing(open_bus("embedded:", ours.data, SystemClock())) as bus:
        way = TriedWay(code="1234", channel="sms", place=place_digest(Place("sms", "406 12 345")))
        said = WayConfirmed(at=SystemClock().now(), by="kari", person="kari", way=way)
        hashchain.append(bus, DECISIONS.name, said)
    assert asked(ours, code=1)["alert.duty.warning"]["level"] == "ok"


def test_a_password_that_would_go_in_the_clear_is_doubted(home: Machine) -> None:
    ours = own_configuration(home, 25)
    email = "{host: mail.granvik.example, from: a@b.example, encryption: none, user: l, password: hemmelig}"
    ours = replace(ours, more={**ours.more, "LYTTEPOST_CHANNELS__EMAIL": email})
    done = ours.run("config", "check")
    assert done.returncode == 0
    assert "LYTTEPOST_CHANNELS__EMAIL: none sends the password in the clear; write starttls or tls" in done.stderr
    assert "hemmelig" not in done.stdout + done.stderr
    loopback = {**ours.more, "LYTTEPOST_CHANNELS__EMAIL": email.replace("mail.granvik.example", "127.0.0.1")}
    assert "in the clear" not in replace(ours, more=loopback).run("config", "check").stderr
    found = json.loads(ours.run("doctor", "--json", "--timeout", "2").stdout)["findings"]
    (channel,) = (each for each in found if each["id"] == "channels.email.settings")
    assert channel["level"] == "warning"
    assert "in the clear" in channel["says"]


def test_a_channel_that_nobody_answers_fails(home: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found = asked(own_configuration(home, port), code=1)
    assert found["channels.email"]["level"] == "failed"
    assert str(port) in found["channels.email"]["says"]


def test_damaged_pages_are_found(home: Machine) -> None:
    with closing(open_bus("embedded:", home.data, SystemClock())) as bus:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        bus.publish([Message("mentions", f"x:{n}", b'{"text": "' + b"granvik " * 200 + b'"}') for n in range(200)])
    file = home.data / "bus.sqlite"
    with closing(sqlite3.connect(file)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = db.execute("PRAGMA page_size").fetchone()
    raw = bytearray(file.read_bytes())
    at = raw.index(b"x:100") // page * page
    raw[at : at + page // 2] = b"\xa5" * (page // 2)
    file.write_bytes(raw)
    found = asked(home, code=1)
    assert found["bus.integrity"]["level"] == "failed"
    assert "restore the newest backup" in found["bus.integrity"]["mend"]


def test_what_is_kept_too_long_is_found(home: Machine) -> None:
    with closing(open_bus("embedded:", home.data, ManualClock(datetime.now(UTC) - timedelta(days=40)))) as bus:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        bus.publish([Message("mentions", "x:1", b"{}")])
    found = asked(home, code=1)
    assert found["retention.kept"]["level"] == "failed"
    assert "mentions" in found["retention.kept"]["says"]


def test_settings_that_contradict_each_other_fail_and_name_the_place(home: Machine) -> None:
    both = {"LYTTEPOST_X__BEARER_TOKEN": TOKEN, "LYTTEPOST_X__BEARER_TOKEN_FILE": str(home.folder / "none")}
    found = asked(replace(home, more={**home.more, **both}), code=1)
    assert found["config.settings"]["level"] == "failed"
    assert "LYTTEPOST_X__BEARER_TOKEN" in found["config.settings"]["says"]


def test_a_disk_smaller_than_the_buffer_is_told(home: Machine) -> None:
    away = {"LYTTEPOST_BUS__URL": "kafka://127.0.0.1:9", "LYTTEPOST_BUS__KAFKA__BUFFER": "1000GB"}
    found = asked(replace(home, more={**home.more, **away}), code=1)
    assert found["bus.healthy"]["level"] == "failed"
    assert "less than bus.kafka.buffer" in found["disk.space"]["says"]


def test_asking_changes_nothing(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("foreign_rule", value="katt", tag="naboen")
        deployment = of_x(fake, home)
        found = asked(deployment)
        assert len(fake.world.rules) == 1
    assert "1 not ours, left alone" in found["x.rules"]["says"]
    assert found["privacy.key"]["level"] == "warning"
    assert not Path(deployment.more["LYTTEPOST_PRIVACY__KEY_FILE"]).exists()


def test_without_a_token_it_says_that_x_is_not_heard(home: Machine) -> None:
    found = asked(home)
    assert found["x.token"]["level"] == "warning"
    assert not [name for name in found if name.startswith("x.") and name != "x.token"]


@pytest.mark.parametrize(
    ("verb", "how", "words"),
    [
        ("refuse", {"status": 401}, "x.bearer_token"),
        ("refuse", {"status": 403}, "plan"),
        ("refuse", {"status": 503}, "status page"),
        ("limit", {"on": "all"}, "quarter of an hour"),
        ("drop", {"on": "rest"}, "x.base_url"),
        ("hang", {"on": "rest"}, "x.base_url"),
    ],
)
def test_what_keeps_us_out_fails_with_its_mend(home: Machine, verb: str, how: dict[str, Any], words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do(verb, **how)
        found = asked(of_x(fake, home), code=1)
    assert found["x.accepted"]["level"] == "failed"
    assert words in found["x.accepted"]["mend"]


@pytest.mark.parametrize(("seconds", "level", "words"), [(12, "warning", "behind"), (-90, "failed", "ahead")])
def test_a_clock_that_is_wrong_is_told(home: Machine, seconds: float, level: str, words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("skew", seconds=seconds)
        found = asked(of_x(fake, home), code=int(level == "failed"))
    assert found["x.clock"]["level"] == level
    assert words in found["x.clock"]["says"]
    assert "NTP" in found["x.clock"]["mend"]


@pytest.mark.parametrize(("stuck", "words"), [(1, "it is calm"), (3, "3 open streams")])
def test_streams_that_should_not_be_are_told(home: Machine, stuck: int, words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("stuck", count=stuck)
        found = asked(of_x(fake, home))
    assert found["x.connections"]["level"] == "warning"
    assert words in found["x.connections"]["says"]


def test_rules_that_are_not_in_force_are_told(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        deployment = of_x(fake, home)
        deployment.run("mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "meldt", "--no-wait")
        found = asked(deployment)
    assert found["x.rules"]["level"] == "warning"
    assert "are missing" in found["x.rules"]["says"]
    assert found["x.connections"]["says"] == "an incident is open, but no stream is"


def test_rules_left_over_in_calm_are_told(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("foreign_rule", value='"brann"', tag="lyttepost:0123456789ab")
        found = asked(of_x(fake, home))
    assert "1 are not wanted" in found["x.rules"]["says"]


def test_counting_that_costs_more_than_the_soft_cap_is_a_warning(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home, LYTTEPOST_X__COUNTS__EVERY="1m"))
    assert found["x.counts.cost"]["level"] == "warning"
    assert "x.counts.every" in found["x.counts.cost"]["mend"]


def test_a_bus_that_is_none_fails_and_the_rest_is_looked_at_all_the_same(home: Machine) -> None:
    folder = home.data
    folder.mkdir(parents=True)
    (folder / "bus.sqlite").write_bytes(b"no log at all, " * 400)
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home), code=1)
    assert found["bus.healthy"]["level"] == "failed"
    assert found["x.accepted"]["level"] == "ok"


def test_a_person_reads_findings_and_mends(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("refuse", status=401)
        done = of_x(fake, home).run("doctor", "--timeout", "3")
    assert done.returncode == 1
    assert any(line.split()[:2] == ["FAILED", "x.accepted"] for line in done.stdout.splitlines())
    assert "\nx.accepted: set a valid x.bearer_token" in done.stdout
    assert "1 of " in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_whoever_runs_is_seen(home: Machine) -> None:
    with home.start("run", "--role", "alerts", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            wait_for(lambda: asked(home)["run.alerts"]["level"] == "ok")
        finally:
            running.kill()


def test_it_names_who_never_confirmed_a_test_message(home: Machine) -> None:
    mine = own_configuration(home, 9)
    found = asked(mine, code=1)["people.tested"]
    assert found["level"] == "warning"
    assert found["says"].startswith("kari: never confirmed a test message")
    mine.run("duty", "test", "kari", "--by", "vakt")
    with closing(open_bus("embedded:", mine.data, SystemClock())) as bus:
        (tried,) = (one for one in scan(bus, DECISIONS) if isinstance(one, WayTest))
    assert mine.run("duty", "confirm", tried.ways[0].code, "--by", "kari").returncode == 0
    assert asked(mine, code=1)["people.tested"]["level"] == "ok"


def test_it_says_whether_an_alert_can_be_acknowledged_on_a_phone(home: Machine) -> None:
    alone = asked(home)["answers"]
    assert (alone["level"], "at a terminal alone" in alone["says"]) == ("warning", True)
    key, port = home.folder / "links.key", free_port()
    key.write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    links = {"URL": f"http://127.0.0.1:{port}", "KEY_FILE": str(key)}
    more = {f"LYTTEPOST_RECEIVER__LINKS__{name}": value for name, value in links.items()}
    ours = replace(home, more={**home.more, **more, "LYTTEPOST_RECEIVER__PORT": str(port)})
    away = asked(ours)["answers"]
    assert (away["level"], "does not lead to the page" in away["says"]) == ("warning", True)
    process = ours.start("run", "--role", "alerts", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        assert "runs on" in process.stdout.readline()
        assert asked(ours)["answers"]["level"] == "ok"
    finally:
        process.terminate()
        process.communicate(timeout=20)
