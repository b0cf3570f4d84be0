"""Absurd values of options and variables: usage, told in a line with exit code 2, and never a fault of ours."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from listener.bus.protocol import open_bus
from listener.clock import SystemClock
from listener.crashpoints import CrashPoint
from listener.errors import UsageError
from listener.model.incidents import Presence
from listener.model.topics import topic_specs
from listener.runtime.control import say_presence
from listener.settings.files import packaged_config
from listener.settings.schema import Settings
from lyttepost import app

HUGE = "99999999999999999999"
LONG = "999999999d"

ABSURD = [
    *(f"register --limit {value}" for value in (HUGE, "0", "-1", "1.5", "ten", "1e3")),
    "register --incident nobody",
    "register --kind nothing",
    *(f"deadletters --since {value}" for value in (LONG, f"{HUGE}d", "-1h", "1", "yesterday", "")),
    "deadletters redrive --why x",
    "deadletters redrive --reason nothing --why x",
    *(f"rules backtest --rules RULES --since {value}" for value in (LONG, f"{HUGE}h", "-1d", "5")),
    *(f"volumes score FILE --interval {value}" for value in (LONG, f"{HUGE}s", "0s", "-5m", "5")),
    *(f"mode crisis --name a --why x --lookback {value}" for value in (LONG, f"{HUGE}h", "-1h", "6")),
    *(f"mode crisis --name a --why x --review-after {value}" for value in (LONG, f"{HUGE}h", "-1h", "6")),
    "mode calm --why x --incident nobody",
    "mode change --why x --incident nobody --add-track brann",
    "mode change --why x --incident= --add-track brann",
    *(f"mode crisis --name {nothing} --why x --track brann" for nothing in ("\u200b", "\u2060\ufeff")),
    *(f"mode crisis --name a --why x --{kind} {'x' * 201}" for kind in ("track", "place")),
    *(f"run --port {value}" for value in (HUGE, "-1", "65536", "http")),
    "run --role boss",
    "run --name a/b",
    *(f"doctor --timeout {value}" for value in ("0", "-1", "61", "1e300", "nan", "inf", "soon")),
    *(f"x budget raise --why x --to {value}" for value in ("0", "-1", "nan", "inf", "1e300", HUGE, "much")),
    *(f"x fake --port {value}" for value in (HUGE, "-1", "65536")),
    "x check --track a",
    *(f"demo --speed {value}" for value in ("0", "-1", "nan", "1e300", "fast")),
    *(f"replay FILE --track brann --speed {value}" for value in ("0", "-1", "nan", "1e300", "fast")),
    "replay FILE --track a",
    *(
        f"bus read control --from {value}"
        for value in ("yesterday", "2031-01-01", "2031-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00", HUGE)
    ),
    "bus read nothing",
    "bus copy --from embedded: --to embedded:",
    "bus copy --from embedded:/nowhere/bus.sqlite --to embedded:",
    "bus copy --from kafkaa://a --to embedded:",
    "bus copy --from embedded: --to kafka://a:0",
    "gaps --source nobody",
    "alerts show nobody",
    "alerts ack nobody",
    "rules export --incident nobody",
    "config schema nobody",
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LYTTEPOST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LYTTEPOST_X__BEARER_TOKEN", "a-token-of-no-account")
    monkeypatch.setenv("LYTTEPOST_X__BASE_URL", "http://127.0.0.1:9")
    (tmp_path / "file.csv").write_text("timestamp,value\n2031-01-01T00:00:00Z,1\n", encoding="utf-8")
    return tmp_path


def called(words: str, home: Path) -> Result:
    rules = Path(__file__).resolve().parents[2] / "config" / "rules"
    filled = words.replace("FILE", str(home / "file.csv")).replace("RULES", str(rules))
    return CliRunner().invoke(app, filled.split(" "))


@pytest.mark.parametrize("words", ABSURD)
def test_an_absurd_value_is_usage(home: Path, words: str) -> None:
    done = called(words, home)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 2, done.output
    assert done.output.strip()


@pytest.mark.parametrize("value", ["~nobody-here/a", f"/{'a' * 300}", "/dev/null", "/dev/null/a"])
@pytest.mark.parametrize("name", ["LYTTEPOST_CONFIG", "LYTTEPOST_DATA"])
@pytest.mark.parametrize("words", ["mode", "config check", "alerts", "doctor --timeout 1"])
def test_a_folder_that_can_be_none_is_configuration(
    home: Path, monkeypatch: pytest.MonkeyPatch, words: str, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    done = called(words, home)
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.exit_code == 4 or words.startswith("doctor")
    assert any(told in done.output for told in (name, value)), done.output


@pytest.mark.parametrize(
    "words", ["rules check --rules PIPE", "rules run --rules PIPE --findings x",
              "rules run --rules RULES --findings PIPE", "volumes score PIPE"]
)  # fmt: skip
def test_a_pipe_where_a_file_should_be_is_configuration_and_not_waited_for(home: Path, words: str) -> None:
    os.mkfifo(home / "pipe")
    rules = packaged_config() / "rules"
    done = called(words.replace("PIPE", str(home / "pipe")).replace("RULES", str(rules)), home)
    assert done.exit_code == 4, done.output
    assert "no regular file" in done.output


def test_a_configuration_is_not_written_where_a_file_is(home: Path) -> None:
    done = called("config init FILE", home)
    assert done.exit_code == 3
    assert "cannot be written" in done.output


def test_dropping_a_track_that_is_not_there_names_those_that_are(home: Path) -> None:
    called("mode crisis --name a --track brann --why x --no-wait", home)
    done = called("mode change --incident a-0 --drop-track bran --why x --no-wait", home)
    assert done.exit_code == 0
    assert "'bran' is none of its tracks: brann" in done.stderr


def test_config_check_finds_and_reports_what_type_and_file_say(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = called("config check", home)
    # Nobody is named, and tracks, people and routes are the shipped example's.
    assert (done.exit_code, done.stderr.count("\n")) == (0, 4)
    assert "named_accounts: is empty: newsrooms and public bodies are known by " in done.stderr
    assert done.stdout.endswith("no mistakes found\n")
    monkeypatch.setenv("LYTTEPOST_X__BEARER_TOKEN_FILE", str(home))
    monkeypatch.setenv("LYTTEPOST_SOURCES__RECORDING__PATH", str(home))
    done = called("config check", home)
    assert (done.exit_code, done.stdout) == (4, "")
    for name in ("LYTTEPOST_X__BEARER_TOKEN", "LYTTEPOST_SOURCES__RECORDING__PATH"):
        assert f"{name}: " in done.stderr


def test_content_that_goes_before_a_rule_has_looked_at_it_is_doubted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LYTTEPOST_RETENTION__CONTENT", "1h")
    done = called("config check", home)
    assert done.exit_code == 0
    assert "LYTTEPOST_RETENTION__CONTENT: is kept for 1h, but the rule " in done.stderr


def test_commands_that_show_what_processes_bring_say_that_none_runs(home: Path) -> None:
    with closing(open_bus("embedded:", home / "data", SystemClock())) as bus:
        bus.ensure(topic_specs(1, Settings().retention.keep()))
        for words in ("alerts", "register", "gaps"):
            assert "Nothing runs here: start `lyttepost run`" in called(words, home).stderr
            assert "Nothing runs here" not in called(f"{words} --json", home).stdout
        there = Presence(process="a", roles=("listener",), host="h", pid=1, epoch=-1, at=SystemClock().now())
        say_presence(bus, there)
        assert "No process with the role alerts runs" in called("gaps", home).stderr
        say_presence(bus, replace(there, roles=("listener", "alerts"), at=SystemClock().now()))
        assert "runs" not in called("alerts", home).stderr


@pytest.mark.parametrize(
    "words", ["bus read control --from 0001-01-01T00:00:00Z", "bus read control --from 9999-12-31T23:59:59Z"]
)
def test_an_instant_far_away_is_an_instant(home: Path, words: str) -> None:
    called("mode", home)
    assert called(words, home).exit_code == 0


@pytest.mark.parametrize(
    "spec",
    [
        "bus.before_comit",
        "bus.before_commit:",
        "bus.before_commit:0",
        "bus.before_commit:x",
        "bus.before_commit:-1",
        ":",
        f"bus.before_commit:{HUGE}",
    ],
)
def test_a_crash_point_that_is_none_is_usage(spec: str) -> None:
    with pytest.raises(UsageError, match="LYTTEPOST_CRASH="):
        CrashPoint(spec)
