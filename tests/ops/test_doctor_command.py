"""`lyttepost doctor` against a fake X and a house in order, or not: each finding has an id, a level and a mend."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, wait_for

from tests.fakes.x import FakeX

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
        assert (finding["level"] == "ok") == (not finding["mend"]), "what is wrong has a mend, what is well needs none"
    return {finding["id"]: finding for finding in found["findings"]}


def test_a_house_in_order_has_nothing_that_failed(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home))
    wanted = ("bus.healthy", "x.token", "x.accepted", "x.clock", "x.plan", "x.limits", "x.rules", "x.connections")
    assert [found[name]["level"] for name in wanted] == ["ok"] * len(wanted)
    assert "1000 rules, 0 of them used" in found["x.plan"]["says"]
    assert "USD a day" in found["x.counts.cost"]["says"]
    assert found["x.address"]["level"] == "warning"
    assert found["run.listener"]["level"] == found["run.alerts"]["level"] == "warning"


def test_asking_changes_nothing(home: Machine) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("foreign_rule", value="katt", tag="naboen")
        house = of_x(fake, home)
        found = asked(house)
        assert len(fake.world.rules) == 1
    assert "1 not ours, left alone" in found["x.rules"]["says"]
    assert found["privacy.key"]["level"] == "warning"
    assert not Path(house.more["LYTTEPOST_PRIVACY__KEY_FILE"]).exists()


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
        house = of_x(fake, home)
        house.run("mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "meldt", "--no-wait")
        found = asked(house)
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
