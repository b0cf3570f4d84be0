"""`lyttepost doctor` against a fake X and a house in order, or not: each finding has an id, a level and a mend."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.x import FakeX

ROOT = Path(__file__).parents[2]
LYTTEPOST = (sys.executable, "-c", "import lyttepost; lyttepost.main()")
TOKEN = "a-token-of-no-account"
Env = Mapping[str, str]


@pytest.fixture
def home(tmp_path: Path) -> Env:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    return {
        **clean,
        "PYTHONPATH": str(ROOT),
        "LYTTEPOST_DATA": str(tmp_path / "data"),
        "LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "keys" / "pseudonym.key"),
    }


def of_x(fake: FakeX, env: Env, **more: str) -> Env:
    return {**env, "LYTTEPOST_X__BASE_URL": fake.url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN, **more}


def command(env: Env, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*LYTTEPOST, *args], env=dict(env), capture_output=True, text=True, timeout=60, check=False)


def asked(env: Env, code: int = 0) -> dict[str, dict[str, Any]]:
    done = command(env, "doctor", "--timeout", "3", "--json")
    assert done.returncode == code, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    found = json.loads(done.stdout)
    for finding in found["findings"]:
        assert (finding["level"] == "ok") == (not finding["mend"]), "what is wrong has a mend, what is well needs none"
    return {finding["id"]: finding for finding in found["findings"]}


def test_a_house_in_order_has_nothing_that_failed(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home))
    wanted = ("bus.healthy", "x.token", "x.accepted", "x.clock", "x.plan", "x.limits", "x.rules", "x.connections")
    assert [found[name]["level"] for name in wanted] == ["ok"] * len(wanted)
    assert "1000 rules, 0 of them used" in found["x.plan"]["says"]
    assert "USD a day" in found["x.counts.cost"]["says"]
    assert found["x.address"]["level"] == "warning"
    assert found["run.listener"]["level"] == found["run.alerts"]["level"] == "warning"


def test_asking_changes_nothing(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("foreign_rule", value="katt", tag="naboen")
        env = of_x(fake, home)
        found = asked(env)
        assert len(fake.world.rules) == 1
    assert "1 not ours, left alone" in found["x.rules"]["says"]
    assert found["privacy.key"]["level"] == "warning"
    assert not Path(env["LYTTEPOST_PRIVACY__KEY_FILE"]).exists()


def test_without_a_token_it_says_that_x_is_not_heard(home: Env) -> None:
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
def test_what_keeps_us_out_fails_with_its_mend(home: Env, verb: str, how: dict[str, Any], words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do(verb, **how)
        found = asked(of_x(fake, home), code=1)
    assert found["x.accepted"]["level"] == "failed"
    assert words in found["x.accepted"]["mend"]


@pytest.mark.parametrize(("seconds", "level", "words"), [(12, "warning", "behind"), (-90, "failed", "ahead")])
def test_a_clock_that_is_wrong_is_told(home: Env, seconds: float, level: str, words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("skew", seconds=seconds)
        found = asked(of_x(fake, home), code=int(level == "failed"))
    assert found["x.clock"]["level"] == level
    assert words in found["x.clock"]["says"]
    assert "NTP" in found["x.clock"]["mend"]


@pytest.mark.parametrize(("stuck", "words"), [(1, "it is calm"), (3, "3 open streams")])
def test_streams_that_should_not_be_are_told(home: Env, stuck: int, words: str) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("stuck", count=stuck)
        found = asked(of_x(fake, home))
    assert found["x.connections"]["level"] == "warning"
    assert words in found["x.connections"]["says"]


def test_rules_that_are_not_in_force_are_told(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        env = of_x(fake, home)
        command(env, "mode", "crisis", "--name", "Brann", "--track", "brann", "--why", "meldt", "--no-wait")
        found = asked(env)
    assert found["x.rules"]["level"] == "warning"
    assert "are missing" in found["x.rules"]["says"]
    assert found["x.connections"]["says"] == "an incident is open, but no stream is"


def test_rules_left_over_in_calm_are_told(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("foreign_rule", value='"brann"', tag="lyttepost:0123456789ab")
        found = asked(of_x(fake, home))
    assert "1 are not wanted" in found["x.rules"]["says"]


def test_counting_that_costs_more_than_the_soft_cap_is_a_warning(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home, LYTTEPOST_X__COUNTS__EVERY="1m"))
    assert found["x.counts.cost"]["level"] == "warning"
    assert "x.counts.every" in found["x.counts.cost"]["mend"]


def test_a_bus_that_is_none_fails_and_the_rest_is_looked_at_all_the_same(home: Env) -> None:
    folder = Path(home["LYTTEPOST_DATA"])
    folder.mkdir(parents=True)
    (folder / "bus.sqlite").write_bytes(b"no log at all, " * 400)
    with FakeX(bearer=TOKEN) as fake:
        found = asked(of_x(fake, home), code=1)
    assert found["bus.healthy"]["level"] == "failed"
    assert found["x.accepted"]["level"] == "ok"


def test_a_person_reads_findings_and_mends(home: Env) -> None:
    with FakeX(bearer=TOKEN) as fake:
        fake.do("refuse", status=401)
        done = command(of_x(fake, home), "doctor", "--timeout", "3")
    assert done.returncode == 1
    assert any(line.split()[:2] == ["FAILED", "x.accepted"] for line in done.stdout.splitlines())
    assert "\nx.accepted: set a valid x.bearer_token" in done.stdout
    assert "1 of " in done.stderr
    assert TOKEN not in done.stdout + done.stderr


def test_whoever_runs_is_seen(home: Env, start: Callable[..., subprocess.Popen[str]]) -> None:
    start(home, "run", "--role", "alerts", "--port", "0")
    for _ in range(100):
        if asked(home)["run.alerts"]["level"] == "ok":
            return
    pytest.fail("it was never seen")


@pytest.fixture
def start():  # type: ignore[no-untyped-def]
    started: list[subprocess.Popen[str]] = []

    def begin(env: Env, *args: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [*LYTTEPOST, *args], env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()
