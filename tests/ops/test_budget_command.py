"""`lyttepost x budget`, on a service that listens to a fake X and is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine, wait_for

from listener.clock import SystemClock
from tests.fakes.x import FakeX

TOKEN = "a-token-of-no-account"
WHY = ("--why", "a test wants it")


@pytest.fixture
def fake() -> Iterator[FakeX]:
    with FakeX(clock=SystemClock(), bearer=TOKEN, keep_alive=5.0) as fake:
        yield fake


@pytest.fixture
def machine(tmp_path: Path, fake: FakeX) -> Machine:
    more = {
        "LYTTEPOST_X__BASE_URL": fake.url,
        "LYTTEPOST_X__BEARER_TOKEN": TOKEN,
        "LYTTEPOST_X__PRICES__POST": "1",
        "LYTTEPOST_X__PRICES__COUNTS": "0",
        "LYTTEPOST_X__BUDGET__SOFT": "2",
        "LYTTEPOST_X__BUDGET__HARD": "3",
        "LYTTEPOST_X__BUDGET__CEILING": "5",
    }
    return Machine(tmp_path, more)


def look(machine: Machine) -> Any:
    return machine.json("x", "budget")


def reached(found: Any) -> list[str]:
    return [cap["cap"] for cap in found["caps"] if cap["reached"]]


def test_a_listener_that_is_killed_keeps_its_meter_and_a_raise_lets_it_go_on(machine: Machine, fake: FakeX) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    service = machine.start("run", **quiet)
    try:
        words = ("--name", "Brann", "--track", "granvik", "--lookback", "0s", "--no-wait")
        assert machine.run("mode", "crisis", *words, *WHY).returncode == 0
        wait_for(lambda: fake.streams.open)
        for n in range(3):
            fake.post(f"granvik nummer {n}")
        found = wait_for(lambda: (now := look(machine))["this_month"]["posts"] == 3 and now)
        assert found["this_month"]["usd"] == found["today"]["usd"] == 3
        assert found["incidents"] == [{"incident": "brann-0", "name": "Brann", "posts": 3, "usd": 3.0}]
        assert reached(found) == ["soft", "hard"]
        assert found["per_hour"] > 0
        # The listener is asked, and not the settings of the caller's shell, which are the defaults here.
        elsewhere = replace(machine, more={})
        asked = wait_for(lambda: (now := look(elsewhere))["caps_of"] == "listener" and now)
        assert {cap["cap"]: cap["usd"] for cap in asked["caps"]} == {"soft": 2, "hard": 3, "ceiling": 5}
        service.kill()
        service.wait()
        assert look(machine)["this_month"]["usd"] == 3

        service = machine.start("run", **quiet)
        wait_for(lambda: fake.streams.open)
        for n in range(2):
            fake.post(f"granvik igjen {n}")
        wait_for(lambda: reached(look(machine)) == ["soft", "hard", "ceiling"])
        wait_for(lambda: not fake.streams.open)
        (gap,) = (gap for gap in machine.json("gaps") if gap["cause"] == "budget_ceiling")
        assert gap["open"]

        raised = machine.run("x", "budget", "raise", "--to", "20", "--by", "kari", "--why", "det brenner ennå")
        assert raised.returncode == 0, raised.stderr
        assert "hard cap is 20.00 USD (it was 3.00), the ceiling 22.00" in raised.stderr
        wait_for(lambda: fake.streams.open, seconds=10)
        found = look(machine)
        assert reached(found) == ["soft"]
        assert {cap["cap"]: cap["usd"] for cap in found["caps"]} == {"soft": 2, "hard": 20, "ceiling": 22}
        assert (found["raised"]["by"], found["raised"]["to"]) == ("kari", 20)
        assert set(wait_for(lambda: machine.json("alerts"))[0]) >= {"rule"}
    finally:
        service.kill()
        service.wait()
    # The rules in force at the first start, and the raise.
    assert machine.run("alerts", "verify").stdout.splitlines()[0].startswith("decisions: 2 records, chain unbroken")
    said = machine.run("x", "budget").stdout
    assert "20.00" in said
    assert "raised by kari" in said


def test_without_any_spending_it_shows_the_caps(machine: Machine) -> None:
    done = machine.run("x", "budget")
    assert done.returncode == 0, done.stderr
    assert "ceiling  5.00" in done.stdout
    assert "those of the settings here" in done.stderr
    assert "not this month" in done.stdout
    assert "Nothing has been read" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "fix"),
    [
        (("--to", "2"), 3, "set x.budget.hard"),
        (("--to", "nan"), 2, "amount of US dollars"),
        (("--to", "9", "--why", " "), 2, "say why"),
    ],
)
def test_a_raise_that_raises_nothing_is_refused_with_the_fix(
    machine: Machine, words: tuple[str, ...], code: int, fix: str
) -> None:
    why = () if "--why" in words else WHY
    done = machine.run("x", "budget", "raise", *words, *why)
    assert (done.returncode, fix in done.stderr, "Traceback" in done.stderr) == (code, True, False), done.stderr
    assert look(machine)["raised"] is None


def test_help_tells_what_a_raise_does(machine: Machine) -> None:
    said = " ".join(machine.run("x", "budget", "raise", "--help").stdout.split())
    assert "the ceiling moves up with it by as much" in said
    assert "until the end of the month" in said


def test_caps_that_fall_are_a_mistake_with_its_place(machine: Machine, tmp_path: Path) -> None:
    wrong = Machine(tmp_path, {**machine.more, "LYTTEPOST_X__BUDGET__CEILING": "1"})
    done = wrong.run("config", "check")
    assert done.returncode == 4
    assert "soft, hard, ceiling" in done.stderr
