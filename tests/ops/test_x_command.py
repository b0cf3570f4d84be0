"""`lyttepost run` against `lyttepost x fake`, `lyttepost gaps` and `lyttepost x check`: as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import forked
import pytest

from tests.fakes.x import FakeX

ROOT = Path(__file__).parents[2]
LYTTEPOST = (sys.executable, "-c", "import lyttepost; lyttepost.main()")
TOKEN = "a-token-of-no-account"


@pytest.fixture
def home(tmp_path: Path) -> Mapping[str, str]:
    """The environment of a deployment of its own."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    return {
        **clean,
        "PYTHONPATH": str(ROOT),
        "LYTTEPOST_DATA": str(tmp_path / "data"),
        "LYTTEPOST_PRIVACY__KEY_FILE": str(tmp_path / "keys" / "pseudonym.key"),
    }


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command; it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(env: Mapping[str, str], *args: str) -> subprocess.Popen[str]:
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


def command(env: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return forked.command(args, env, Path.cwd(), 60)


def of_x(fake: FakeX, env: Mapping[str, str]) -> dict[str, str]:
    return {**env, "LYTTEPOST_X__BASE_URL": fake.url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN}


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def mentions(env: Mapping[str, str]) -> list[str]:
    lines = command(env, "bus", "read", "mentions", "--json").stdout.splitlines()
    values = [json.loads(line)["value"] for line in lines]
    return [value["id"] for value in values if value["type"] == "mention"]


def test_run_listens_to_x_when_a_token_is_set_and_stops_at_once(
    home: Mapping[str, str], start: Callable[..., subprocess.Popen[str]]
) -> None:
    with FakeX(bearer=TOKEN, keep_alive=1.0) as fake:
        env = of_x(fake, home)
        running = start(env, "run", "--role", "listener", "--port", "0")
        wait_for(lambda: bool(fake.requests("/rules", "GET")))
        done = command(env, "mode", "crisis", "--name", "Brann", "--track", "granvik", "--why", "prøve", "--no-wait")
        assert done.returncode == 0, done.stderr
        wait_for(lambda: bool(fake.streams.open))
        post = fake.post("det brenner i granvik")
        wait_for(lambda: mentions(env) == [post.id])
        wait_for(lambda: json.loads(command(env, "mode", "--json").stdout)["sources"]["x"]["state"] == "listening")
        (gap,) = json.loads(command(env, "gaps", "--json").stdout)
        assert {"source", "from", "to", "cause", "refilled", "open"} <= gap.keys()
        assert (gap["source"], gap["cause"]) == ("x", "rules_unconfirmed")
        assert "x" in command(env, "gaps").stdout
        began = time.monotonic()
        running.send_signal(signal.SIGTERM)
        out, err = running.communicate(timeout=10)
        assert time.monotonic() - began < 5
        assert running.returncode == 0, err
        assert TOKEN not in out + err
        assert not fake.streams.open


def test_the_fake_is_run_by_hand_with_a_scenario(
    home: Mapping[str, str], tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    scenario = tmp_path / "scenario.jsonl"
    scenario.write_text('{"at": 0, "text": "røyk ved granvik"}\n', encoding="utf-8")
    running = start(home, "x", "fake", "--port", "0", "--scenario", str(scenario))
    assert running.stdout is not None
    url = running.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:")
    env = {**home, "LYTTEPOST_X__BASE_URL": url, "LYTTEPOST_X__BEARER_TOKEN": TOKEN}
    done = command(env, "x", "check", "--track", "granvik", "--track", "#brann", "--json")
    assert done.returncode == 0, done.stderr
    assert [t["accepted"] for t in json.loads(done.stdout)["tracks"]] == [True, True]


def test_a_scenario_that_is_none_is_named_with_its_line(home: Mapping[str, str], tmp_path: Path) -> None:
    scenario = tmp_path / "scenario.jsonl"
    scenario.write_text('{"at": 0, "do": "fly"}\n', encoding="utf-8")
    done = command(home, "x", "fake", "--scenario", str(scenario))
    assert done.returncode == 4
    assert "scenario.jsonl:1" in done.stderr


def test_a_track_that_x_refuses_is_reported_and_nothing_is_changed_there(home: Mapping[str, str]) -> None:
    with FakeX(bearer=TOKEN) as fake:
        done = command(of_x(fake, home), "x", "check", "--track", "granvik", "--track", "@name.example.no")
        assert done.returncode == 3
        assert "granvik" in done.stdout
        assert "no name that an X account can have" in done.stdout
        assert not fake.world.rules


def test_check_without_a_token_says_what_is_missing(home: Mapping[str, str]) -> None:
    done = command(home, "x", "check", "--track", "granvik")
    assert done.returncode == 4
    assert "x.bearer_token" in done.stderr


def with_token_file(fake: FakeX, env: Mapping[str, str], path: Path) -> dict[str, str]:
    return {**env, "LYTTEPOST_X__BASE_URL": fake.url, "LYTTEPOST_X__BEARER_TOKEN_FILE": str(path)}


def test_a_token_file_with_a_byte_order_mark_opens_x(home: Mapping[str, str], tmp_path: Path) -> None:
    file = tmp_path / "token.txt"
    file.write_bytes(b"\xef\xbb\xbf" + TOKEN.encode() + b"\r\n")
    with FakeX(bearer=TOKEN) as fake:
        done = command(with_token_file(fake, home, file), "x", "check", "--track", "granvik")
        assert done.returncode == 0, done.stderr
        assert "accepted" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    # doctor goes on to its other questions: the setting is one of those that failed
    [(("x", "check", "--track", "granvik"), 4), (("doctor",), 1), (("run", "--role", "listener"), 4)],
)
def test_a_token_that_is_none_is_a_configuration_error_that_names_its_file(
    home: Mapping[str, str], tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    file = tmp_path / "token.txt"
    file.write_text(f"\u201c{TOKEN}\u201d\n", encoding="utf-8")
    with FakeX(bearer=TOKEN) as fake:
        done = command(with_token_file(fake, home, file), *words)
        assert done.returncode == code, done.stderr
        # doctor names the place where it was set: here, a variable
        setting, said = ("X__BEARER_TOKEN_FILE", done.stdout) if code == 1 else ("x.bearer_token_file", done.stderr)
        assert f"{setting}: {file} holds a character" in said
        assert TOKEN not in done.stdout + done.stderr
        assert fake.requests() == []


def test_no_gap_is_an_empty_list(home: Mapping[str, str]) -> None:
    done = command(home, "gaps", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
