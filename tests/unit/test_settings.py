"""Settings: the file, the environment over it, and a mistake reported with its place and its fix."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import forked
import pytest
import yaml
from pydantic import SecretStr

from listener.errors import ConfigError
from listener.model.records import AuthorClass
from listener.model.schemas import SCHEMAS
from listener.settings.files import (
    DEEPEST,
    ENV_PREFIX,
    MAX_ALIASED,
    SECTIONS,
    RawSettings,
    config_dir,
    data_dir,
    environment,
    load_yaml,
    merge,
    packaged_config,
    parse_yaml,
    raw_settings,
)
from listener.settings.schema import Settings, load_settings, parse_speed
from listener.settings.types import read_secret

ROOT = Path(__file__).resolve().parents[2]
SECRET = "uleseleg-7f3a"


def raw(text: str = "", environ: Mapping[str, str] | None = None) -> RawSettings:
    file = parse_yaml(text, Path("settings.yaml"))
    env, names = environment(environ or {})
    return RawSettings(merge(file.data or {}, env), file, env, Path(), names)


def settings(text: str = "", **environ: str) -> Settings:
    return load_settings(raw(text, {ENV_PREFIX + name: value for name, value in environ.items()}))


def refusal(text: str = "", **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        settings(text, **environ)
    assert caught.value.exit_code == 4
    return str(caught.value).splitlines()


def test_nothing_set_gives_the_defaults() -> None:
    assert settings() == Settings()


def test_the_environment_stands_over_the_file_mapping_by_mapping() -> None:
    found = settings("web: {host: 10.0.0.1, port: 80}\nlanguage: en\n", WEB__PORT="8080")
    assert (found.web.host, found.web.port, found.language) == ("10.0.0.1", 8080, "en")


def test_the_environment_reads_lists_mappings_and_nothing() -> None:
    named = settings(PRIVACY__NAMED_ACCOUNTS__MEDIA="[fjordbyavisa, '@NesTidende']").privacy.named_accounts
    assert named.classes() == {"fjordbyavisa": AuthorClass.MEDIA, "nestidende": AuthorClass.MEDIA}
    assert settings(WEB="{host: '::1', port: 1}").web.host == "::1"
    for nothing in ("null", "~", ""):
        assert settings("x: {bearer_token_file: /a}", X__BEARER_TOKEN_FILE=nothing).x.bearer_token_file is None


@pytest.mark.parametrize("value", ["1:30", "no", "0123", "12345678901234567890", "a: b", "#x", "[half", "{half"])
def test_a_text_in_the_environment_stays_as_it_is_written(value: str) -> None:
    token = settings(X__BEARER_TOKEN=value).x.bearer_token
    assert token is not None
    assert token.get_secret_value() == value


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "web:\n  port: 80\n  prot: 1\n",
            "settings.yaml:3: web.prot: no such setting; remove it or correct the spelling",
        ),
        (
            "\n# a remark\nlangauge: nb\n",
            "settings.yaml:3: langauge: no such setting; remove it or correct the spelling",
        ),
        ("sources:\n  recording:\n    sped: 1\n", "settings.yaml:3: sources.recording.sped: no such setting"),
        ("web:\n  port: 99999\n", "settings.yaml:2: web.port: Input should be less than or equal to 65535"),
        ("report:\n  every: 29m\n", "settings.yaml:2: report.every: must be between 30m and 1d"),
        ("report:\n  every: 25h\n", "settings.yaml:2: report.every: must be between 30m and 1d"),
        ("mode:\n  lookback: 6\n", "settings.yaml:2: mode.lookback: write a duration like 10s, 5m, 6h or 30d"),
        ("mode:\n  lookback: 6x\n", "settings.yaml:2: mode.lookback: '6x' is no duration; write it like 10s"),
        ("mode:\n  lookback: 1:30\n", "settings.yaml:2: mode.lookback: '1:30' is no duration"),
        ("language: nb\nbus: embedded\n", "settings.yaml:2: bus: must be a mapping of settings"),
        ("language: nb\nbus:\n", "settings.yaml:2: bus: must be a mapping of settings"),
        ("x:\n  bearer_token: 123\n", "settings.yaml:2: x.bearer_token: must be text; put it in quotes"),
        (
            "sources: {recording: {speed: fast}}",
            "settings.yaml:1: sources.recording.speed: speed 'fast': write max, or how",
        ),
        ("1: nb\n", "settings.yaml:1: 1: a key must be text; put it in quotes"),
        (
            "privacy:\n  named_accounts:\n    media:\n      - a\n      - 7\n",
            "settings.yaml:5: privacy.named_accounts.media.1: ",
        ),
    ],
)
def test_a_mistake_in_the_file_is_reported_with_its_line(text: str, told: str) -> None:
    (line,) = refusal(text)
    assert line.startswith(told)


def test_all_mistakes_are_reported_at_once() -> None:
    lines = refusal("languge: nb\nweb:\n  port: -1\n", MODE__LOOKBACK="long")
    assert [line.split(": ")[0] for line in sorted(lines)] == [
        "LYTTEPOST_MODE__LOOKBACK",
        "settings.yaml:1",
        "settings.yaml:3",
    ]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BUSS__URL", "embedded:"),
        ("BUSS", "embedded:"),
        ("BUS__URL__MORE", "x"),
        ("_WEB__PORT", "80"),
        ("", "x"),
        ("WEB__PORT", "eighty"),
        ("WEB", "80"),
        ("WEB", "{prot: 80}"),
        ("WEB", "[80]"),
        ("PRIVACY__NAMED_ACCOUNTS__MEDIA", "[a, {b: c}]"),
        ("CONFIG_DIR", "x"),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable_as_it_is_written(variable: str, value: str) -> None:
    (line,) = refusal("web:\n  host: 127.0.0.1\n", **{variable: value})
    assert line.startswith(f"{ENV_PREFIX}{variable}: ")


def test_an_unknown_section_names_every_variable_that_made_it() -> None:
    (line,) = refusal(BUSS__URL="x", BUSS__PARTITIONS="1")
    assert line.startswith("LYTTEPOST_BUSS__PARTITIONS, LYTTEPOST_BUSS__URL: no such setting")


def test_the_file_is_blamed_for_what_only_it_says() -> None:
    (line,) = refusal("web:\n  prot: 1\n", WEB__PORT="80")
    assert line.startswith("settings.yaml:2: web.prot: ")


def test_two_variables_that_contradict_each_other_are_refused() -> None:
    (line,) = refusal(BUS="embedded:", BUS__URL="embedded:")
    assert line == "LYTTEPOST_BUS__URL: a shorter variable of that name is set too; keep one of them"


@pytest.mark.parametrize(("value", "hours"), [("30m", 0.5), ("24h", 24), ("null", None)])
def test_a_report_is_mailed_as_often_as_is_asked_and_by_default_not_at_all(value: str, hours: float | None) -> None:
    every = None if hours is None else timedelta(hours=hours)
    assert settings(f"report: {{every: {value}}}").report.every == settings(REPORT__EVERY=value).report.every == every
    assert settings().report.every is None


@pytest.mark.parametrize("name", ["LYTTEPOST_CONFIG", "LYTTEPOST_DATA", "LYTTEPOST_CRASH", "LYTTEPOST_SEEDS"])
def test_a_variable_that_is_no_setting_is_let_be(name: str) -> None:
    assert environment({name: "x", "PATH": "/bin", "lyttepost_bus": "x"}) == ({}, {})


def test_no_mistake_repeats_a_secret() -> None:
    text = f"x:\n  bearer_token: [{SECRET}]\n  bearer_tokn: {SECRET}\nlanguage: {SECRET}\nweb: {SECRET}\n"
    told = refusal(text, WEB__PORT=SECRET, PRIVACY=SECRET, BUS__URLL=SECRET)
    assert len(told) >= 6
    assert SECRET not in "\n".join(told)


WITH_SECRETS = f"""
x: {{bearer_token: {SECRET}}}
channels:
  email:
    {{host: smtp.example.org, port: 25, user: lyttepost, password_file: /run/smtp, password: &p {SECRET}, passord: *p}}
  webhook:
    {{url: "https://hooks.example.org/{SECRET}", headers: {{Authorization: "Bearer {SECRET}"}}, more: [{SECRET}]}}
"""


def test_no_repr_shows_a_secret() -> None:
    both = raw(WITH_SECRETS, {"LYTTEPOST_CHANNELS__WEBHOOK__SECRET": SECRET})
    for shown in (repr(both), repr(both.file), repr(load_settings(both)), str(load_settings(both))):
        assert SECRET not in shown


def test_settings_shown_as_json_hide_secrets_and_show_the_rest() -> None:
    shown = load_settings(raw(WITH_SECRETS)).model_dump(mode="json")
    assert SECRET not in json.dumps(shown)
    email = shown["channels"]["email"]
    assert email["password"] == email["passord"] == shown["x"]["bearer_token"] == "**********"
    assert (email["host"], email["port"], email["user"], email["password_file"]) == (
        "smtp.example.org",
        25,
        "lyttepost",
        "/run/smtp",
    )


def test_channels_read_their_secrets_all_the_same() -> None:
    assert raw(WITH_SECRETS).get("channels.email")["password"] == SECRET


def test_settings_shown_can_be_written_into_a_file_again() -> None:
    found = settings("mode: {lookback: 90m}\nretention: {content: 2w}\nsources: {recording: {speed: 60}}\n")
    assert found.sources.recording.speed == "60"
    shown = found.model_dump(mode="json")
    assert (shown["mode"]["lookback"], shown["retention"]["content"]) == ("1h30m", "14d")
    assert settings(yaml.safe_dump(shown)) == found


def test_a_secret_comes_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n", encoding="utf-8")
    secret = read_secret(None, tmp_path / "token", "x.bearer_token")
    assert secret == SecretStr(SECRET)
    assert SECRET not in repr(secret)
    assert read_secret(None, None, "x.bearer_token") is None
    assert read_secret(SecretStr("a"), None, "x.bearer_token") == SecretStr("a")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"x\.bearer_token_file: .*token cannot be read \(FileNotFoundError\)"),
        (b" \n", r"x\.bearer_token_file: .*token is empty"),
        (b"\xff\xfe", r"x\.bearer_token_file: .*token cannot be read \(UnicodeDecodeError\)"),
        ("AAAA%2B".encode("utf-16"), r"token cannot be read \(UnicodeDecodeError\); save it as UTF-8"),
        (b"AAAA\nBBBB\n", r"x\.bearer_token_file: .*token holds several lines"),
        (b"AAAA\rBBBB", r"holds several lines"),
        ("AAAA\u2028BBBB".encode(), r"holds several lines"),
        (b"AAAA BBBB", r"holds white space at place 5 of 9"),
        (b"AAAA\x00BBBB", r"holds a character that no such secret has at place 5 of 9"),
        ("AAAÅ".encode(), r"holds a character that no such secret has at place 4 of 4"),
        ("AA\u200bAA".encode(), r"holds a character that no such secret has at place 3 of 5"),
        ("\u201cAAAA\u201d".encode(), r"holds a character that no such secret has at place 1 of 6"),
        (b"Bearer AAAA", r"begins with the word Bearer"),
        (b"\xef\xbb\xbf\r\n", r"x\.bearer_token_file: .*token is empty"),
        (b"A" * 70_000, r"token is too large to be a secret"),
    ],
)
def test_a_secrets_file_that_holds_none_is_reported(tmp_path: Path, content: bytes | None, told: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match=told):
        read_secret(None, tmp_path / "token", "x.bearer_token", header=True)


@pytest.mark.parametrize(
    "content",
    [b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n", f"\u00a0{SECRET}\u200b\n".encode(), f"\n\n\t{SECRET} \n\n".encode()],
)
def test_what_an_editor_puts_around_a_secret_is_taken_off(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    assert read_secret(None, tmp_path / "token", "x.bearer_token", header=True) == SecretStr(SECRET)
    assert read_secret(SecretStr(content.decode()), None, "x.bearer_token", header=True) == SecretStr(SECRET)


def test_a_token_in_the_settings_is_read_as_one_in_a_file() -> None:
    for text in ("", " ", "AAAA\nBBBB", "AAAÅ"):
        with pytest.raises(ConfigError, match=r"^x\.bearer_token ") as caught:
            read_secret(SecretStr(text), None, "x.bearer_token", header=True)
        assert "AAA" not in str(caught.value)


def test_a_folder_in_place_of_a_secrets_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.bearer_token_file: .* is a folder; name the file in it"):
        read_secret(None, tmp_path, "x.bearer_token", header=True)


@pytest.mark.parametrize("name", ["a\0b", "~nobody-of-this-name/token"])
def test_a_path_that_names_no_file_is_reported(name: str) -> None:
    with pytest.raises(ConfigError, match=r"x\.bearer_token_file: .* cannot be read"):
        read_secret(None, Path(name), "x.bearer_token")


def test_a_password_may_hold_what_no_header_holds(tmp_path: Path) -> None:
    (tmp_path / "password").write_bytes("\ufeffblå bær 17\r\n".encode())
    assert read_secret(None, tmp_path / "password", "bus.kafka.sasl.password") == SecretStr("blå bær 17")


def test_a_secret_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.bearer_token and x\.bearer_token_file are both set; keep one") as caught:
        read_secret(SecretStr(SECRET), tmp_path, "x.bearer_token")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("2031-02-03", "2031-02-03"),
        ("0x10", "0x10"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("007", 7),
        ("-3", -3),
        ("1.5", 1.5),
        ("2e3", 2000.0),
        ("'true'", "true"),
    ],
)
def test_yaml_means_what_a_norwegian_reads(text: str, value: Any) -> None:
    found = parse_yaml(f"a: {text}\nlist: [{text}]\n", Path("f")).data
    assert found == {"a": value, "list": [value]}
    assert type(found["a"]) is type(value)


def test_the_language_no_is_no_false() -> None:
    (line,) = refusal("language: no\n")
    assert line == "settings.yaml:1: language: Input should be 'nb' or 'en'"


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("a: 1\nb: [1, 2\n", 3, "expected"),
        ("a: 1\nb:\n\t- 1\n", 3, "cannot start any token"),
        ("a: 1\nb: 2\na: 3\n", 3, "'a' is there twice"),
        ("a:\n  b: 1\n  b: 1\n", 3, "'b' is there twice"),
        ("a: 1\n---\nb: 2\n", 2, "another document"),
        ("a: 1\n? [b]\n: 2\n", 2, "a key must be plain text"),
        ("a: 1\n{b: c}: d\n", 2, "a key must be plain text"),
        ("a: 1\nb: *nobody\n", 2, "undefined alias"),
        ("a: 1\nb: !!int x\n", 2, "is not what its tag says"),
        ("a: 1\nb: !!bool no\n", 2, "is not what its tag says"),
        ("a: 1\nb: !!float x\n", 2, "is not what its tag says"),
        ("a: 1\nb: !!timestamp x\n", 2, "could not determine a constructor"),
        ("a: 1\nb: !!python/object/apply:os.getcwd []\n", 2, "could not determine a constructor"),
        ("a: 1\nb: !secret x\n", 2, "could not determine a constructor"),
        ("å: 1\nb: \x00\n", 2, "control characters are not allowed"),
    ],
)
def test_broken_yaml_is_reported_with_its_line(text: str, line: int, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, Path("tracks.yaml"))
    assert str(caught.value).startswith(f"tracks.yaml:{line}: not valid YAML: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x: 1\na: &a\n  b: *a\n", 3),
        ("a: &a [1, [2, &b [*b]]]\n", 1),
        ("a: " + "[" * 5_000 + "]" * 5_000, 1),
        ("a:\n  " + "[" * DEEPEST + "]" * DEEPEST, 2),
        ("".join("  " * level + "a:\n" for level in range(5_000)), DEEPEST),
        ("a: 1\nb:\n  " + "- " * 5_000 + "x", 3),
        ("{a: " * 5_000, 1),
    ],
)
def test_yaml_without_an_end_is_refused(text: str, line: int) -> None:
    with pytest.raises(ConfigError, match="nested too deeply, or an alias stands in what it names") as caught:
        parse_yaml(text, Path("tracks.yaml"))
    assert str(caught.value).startswith(f"tracks.yaml:{line}: ")


def laughs(lines: int, each: int = 9) -> str:
    """So many lines of aliases, each standing for `each` of the line before."""
    first = "a0: &a0 [" + ", ".join(["lol"] * each) + "]\n"
    return first + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * each)}]\n" for n in range(1, lines))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(laughs(9), 4, id="nine lines"),
        pytest.param(laughs(5_000, 2), 8, id="two each"),
        pytest.param("a: &a {b: 1, c: 2}\nd:\n" + "  - *a\n" * 400, 203, id="one often"),
        pytest.param("a: &a [1, 2]\n? *a\n: 1\nb:\n" + "  - {c: *a}\n" * 400, 337, id="as a key too"),
        pytest.param(f"a: &a {'x' * 400_000}\nb:\n" + "  - *a\n" * 400, 5, id="one long text"),
    ],
)
def test_what_aliases_stand_for_is_bounded_before_it_is_built(text: str, line: int) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ConfigError) as caught:
            parse_yaml(text, Path("rules/x.yaml"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(caught.value).startswith(f"rules/x.yaml:{line}: not valid YAML: the aliases up to *a")
    assert str(caught.value).endswith("stand for more than 1,000 values; write out what is needed")
    assert most < 20 * len(text) + 1_000_000


def test_an_alias_serves() -> None:
    assert parse_yaml("a: &a [1]\nb: *a\n", Path("f")).data == {"a": [1], "b": [1]}
    shared = parse_yaml("a: &a [1, 2, 3]\nb:\n" + "  - *a\n" * (MAX_ALIASED // 4), Path("f")).data["b"]
    assert shared == [[1, 2, 3]] * 250


def test_a_file_that_is_no_configuration_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("a: 1\n" + "# æ\n" * 250_000, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(f"{path}: is larger than 1,000,000 bytes")):
        load_yaml(path)
    path.write_text("a: 1\r\nb: |\r\n  x\r\n  y\r\n", encoding="utf-8")
    assert load_yaml(path).data == {"a": 1, "b": "x\ny\n"}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_sets_nothing(text: str) -> None:
    assert settings(text) == Settings()


def test_a_file_that_is_no_text_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes("language: nb # bokm\u00e5l".encode("latin-1"))
    with pytest.raises(ConfigError, match=rf"{path}: is no UTF-8 text \(byte 19\)"):
        load_yaml(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigError, match=rf"{path}: cannot be read: Is a directory"):
        load_yaml(path)


def test_a_file_written_on_windows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xef\xbb\xbflanguage: en\r\nweb:\r\n  port: 80\r\n")
    assert load_yaml(path).data == {"language": "en", "web": {"port": 80}}


def test_a_missing_file_is_reported_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml: no such file; `lyttepost config init DIR` writes"):
        load_yaml(tmp_path / "settings.yaml")


def test_a_setting_is_found_by_its_path_before_it_is_typed() -> None:
    some = raw("bus: {url: 'embedded:a'}\nmode:\n", {"LYTTEPOST_MODE__LOOKBACK": "1h"})
    assert some.get("bus.url") == "embedded:a"
    assert some.get("mode.lookback") == "1h"
    assert some.get("mode.review_after", "4h") == "4h"
    assert some.get("nothing.of.this") is None


def test_a_section_that_is_none_stops_even_the_switch_which_types_nothing() -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml:2: bus: must be a mapping of settings"):
        raw("\nbus: 'embedded:'\n").get("bus.url", "embedded:")
    with pytest.raises(ConfigError, match="LYTTEPOST_BUS: must be a mapping of settings"):
        raw(environ={"LYTTEPOST_BUS": "embedded:"}).get("bus.url", "embedded:")


def test_the_configuration_is_the_packaged_one_unless_another_is_chosen(tmp_path: Path) -> None:
    assert config_dir({}) == config_dir({"LYTTEPOST_CONFIG": ""}) == packaged_config() == ROOT / "config"
    assert config_dir({"LYTTEPOST_CONFIG": str(tmp_path)}) == tmp_path
    with pytest.raises(ConfigError, match=r"no such folder; `lyttepost config init .*gone` makes it"):
        config_dir({"LYTTEPOST_CONFIG": str(tmp_path / "gone")})


def test_state_goes_where_the_flag_says_else_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LYTTEPOST_DATA", str(tmp_path / "variable"))
    assert data_dir(str(tmp_path / "flag")) == tmp_path / "flag"
    assert data_dir() == tmp_path / "variable"
    monkeypatch.delenv("LYTTEPOST_DATA")
    assert data_dir().name == "lyttepost"


@pytest.mark.parametrize(("text", "speed"), [("max", None), (" max ", None), ("1", 1.0), ("0.5", 0.5), ("60", 60.0)])
def test_a_speed_is_max_or_a_number(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["", "0", "-1", "inf", "nan", "fast", "60x"])
def test_a_speed_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="speed"):
        parse_speed(text)


@dataclass(frozen=True)
class CommandLine:
    folder: Path

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
        env |= {"PYTHONPATH": str(ROOT), "LYTTEPOST_DATA": str(self.folder / "data")}
        env |= {ENV_PREFIX + name: value for name, value in environ.items()}
        return forked.command(words, env, self.folder, timeout=60)


@pytest.fixture
def lyttepost(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def test_show_prints_what_is_in_force_and_no_secret(lyttepost: CommandLine) -> None:
    done = lyttepost("config", "show", X__BEARER_TOKEN=SECRET, CHANNELS__EMAIL__PASSWORD=SECRET, WEB__PORT="80")
    assert done.returncode == 0
    assert json.loads(done.stdout)["web"]["port"] == 80
    assert SECRET not in done.stdout + done.stderr


def test_a_configuration_written_out_is_in_force_when_it_is_chosen(lyttepost: CommandLine) -> None:
    assert lyttepost("config", "init", "mine").returncode == 0
    mine = lyttepost.folder / "mine"
    file = mine / "settings.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("review_after: 4h", "review_after: 7h"), encoding="utf-8")
    assert lyttepost("config", "path", CONFIG="mine").stdout.strip() == "mine"
    done = lyttepost("mode", "crisis", "--name", "Brann", "--why", "røyk", "--no-wait", CONFIG="mine")
    assert (done.returncode, done.stderr) == (0, "Opened: Brann (brann-0)\n")
    (incident,) = json.loads(lyttepost("mode", "--json", CONFIG=str(mine)).stdout)["incidents"]
    assert incident["review_at"][11:13] == f"{(int(incident['opened_at'][11:13]) + 7) % 24:02}"


def test_a_configuration_is_never_written_over_another(lyttepost: CommandLine) -> None:
    (lyttepost.folder / "mine").mkdir()
    (lyttepost.folder / "mine" / "settings.yaml").write_text("language: en\n", encoding="utf-8")
    done = lyttepost("config", "init", "mine")
    assert (done.returncode, done.stdout) == (3, "")
    assert "is not empty; nothing was written" in done.stderr
    assert [path.name for path in (lyttepost.folder / "mine").iterdir()] == ["settings.yaml"]


@pytest.mark.parametrize("words", [("mode",), ("config", "show"), ("config", "path"), ("rules", "check")])
def test_a_configuration_that_is_not_there_exits_4_with_the_fix(lyttepost: CommandLine, words: tuple[str, ...]) -> None:
    done = lyttepost(*words, CONFIG="gone")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "lyttepost: LYTTEPOST_CONFIG=gone: no such folder; `lyttepost config init gone` makes it\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"language: nb\nweb: [1\n", "gone/settings.yaml:3: not valid YAML"),
        (b"- language\n", "gone/settings.yaml:1: must be a mapping of settings"),
        (b"language: \xe5\n", "gone/settings.yaml: is no UTF-8 text (byte 10)"),
        (None, "gone/settings.yaml: no such file; `lyttepost config init DIR` writes a complete set"),
    ],
)
def test_a_broken_file_exits_4_with_its_place(lyttepost: CommandLine, text: bytes | None, told: str) -> None:
    (lyttepost.folder / "gone").mkdir()
    if text is not None:
        (lyttepost.folder / "gone" / "settings.yaml").write_bytes(text)
    for words in (("config", "show"), ("mode",)):
        done = lyttepost(*words, CONFIG="gone")
        assert (done.returncode, done.stdout) == (4, "")
        assert done.stderr.startswith(f"lyttepost: {told}")


def test_an_unknown_variable_exits_4_with_its_name(lyttepost: CommandLine) -> None:
    done = lyttepost("config", "show", BUSS__URL="embedded:")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("lyttepost: LYTTEPOST_BUSS__URL: no such setting")


def test_a_switch_does_not_wait_for_settings_that_it_does_not_need(lyttepost: CommandLine) -> None:
    assert lyttepost("mode", WEB__PORT="eighty").returncode == 0


def test_the_crash_point_of_a_test_is_no_setting(lyttepost: CommandLine) -> None:
    assert lyttepost("config", "show", CRASH="bus.before_commit").returncode == 0


@pytest.mark.parametrize("words", [("config", "schema", "nobody"), ("config",), ("config", "nothing"), ("nothing",)])
def test_a_word_that_is_off_exits_2(lyttepost: CommandLine, words: tuple[str, ...]) -> None:
    done = lyttepost(*words)
    assert done.returncode == 2
    assert done.stdout + done.stderr


def test_every_records_schema_is_printed(lyttepost: CommandLine) -> None:
    unknown = lyttepost("config", "schema", "nobody").stderr
    assert unknown == f"lyttepost: no record is called 'nobody'; known: {', '.join(SCHEMAS)}\n"
    printed = json.loads(lyttepost("config", "schema", "gap").stdout)
    assert {"from", "to", "cause", "v"} <= printed["properties"].keys()


@pytest.fixture
def schema() -> Callable[[str], Any]:
    from typer.testing import CliRunner

    from alerts.commands.config import app

    return lambda name: CliRunner().invoke(app, ["schema", name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_json_with_a_version(schema: Any, name: str) -> None:
    done = schema(name)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["properties"]["v"]["const"] == 1


def test_raw_settings_are_read_once_for_each_folder_and_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, language in (("one", "en"), ("two", "nb")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.yaml").write_text(f"language: {language}\n", encoding="utf-8")
        monkeypatch.setenv("LYTTEPOST_CONFIG", str(tmp_path / name))
        assert raw_settings().get("language") == language
        assert raw_settings() is raw_settings()
        assert raw_settings().folder == tmp_path / name
    monkeypatch.setenv("LYTTEPOST_LANGUAGE", "en")
    assert raw_settings().get("language") == "en"


def test_the_sections_that_a_switch_knows_are_those_of_the_settings() -> None:
    assert frozenset(Settings.model_fields) == SECTIONS
