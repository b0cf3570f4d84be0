"""The settings of who may look at the board: what contradicts itself or would let anybody in is refused by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.notify.messages import load_messages
from alerts.situation.words import load_words
from listener.errors import ConfigError
from listener.maintenance.preflight import mistakes
from listener.settings.board import BoardSettings, check_exposed
from listener.settings.files import RawSettings, packaged_config, parse_yaml
from listener.settings.schema import Settings, load_settings

OIDC = {
    "issuer": "https://login.example/realms/a/",
    "client_id": "lyttepost",
    "client_secret_file": "/run/secrets/oidc",
    "role_claim": "groups",
    "roles": {"a": "ops"},
}
EVERYWHERE = "0.0.0.0"  # noqa: S104
PROXY = {"addresses": ["10.0.0.0/8"], "user_header": "X-User", "role_header": "X-Role", "roles": {"a": "ops"}}


def test_good_settings_are_taken_as_they_are_written() -> None:
    board = BoardSettings.model_validate({"url": "https://tavle.example/", "oidc": OIDC, "proxy": PROXY})
    assert board.url == "https://tavle.example"
    assert board.oidc is not None
    assert board.oidc.issuer == "https://login.example/realms/a/"
    assert board.proxy is not None
    assert [str(each) for each in board.proxy.networks] == ["10.0.0.0/8"]
    assert BoardSettings.model_validate({"proxy": {"addresses": ["::1"]}}).proxy is not None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"sessions": {"idle": "2h", "longest": "1h"}}, "idle is longer than longest"),
        ({"sessions": {"idle": "1s"}}, "between"),
        ({"proxy": {"addresses": []}}, "at least 1 item"),
        ({"proxy": PROXY | {"addresses": ["10.0.0.1/8"]}}, "no address and no range"),
        ({"proxy": PROXY | {"addresses": ["0.0.0.0/0"]}}, "every address there is"),
        ({"proxy": PROXY | {"addresses": ["::/0"]}}, "every address there is"),
        ({"proxy": PROXY | {"user_header": "X User"}}, "no name of a header"),
        ({"proxy": PROXY | {"user_header": "Cookie"}}, "meaning of its own"),
        ({"proxy": PROXY | {"user_header": "X-Forwarded-For"}}, "meaning of its own"),
        ({"proxy": PROXY | {"role_header": "x-user"}}, "are the same"),
        ({"proxy": PROXY | {"user_header": None}}, "user_header is missing"),
        ({"proxy": PROXY | {"role_header": None}}, "role_header is missing"),
        ({"proxy": PROXY | {"roles": {}}}, "roles is missing"),
        (
            {"proxy": PROXY | {"roles": {"a": "chief"}}},
            "'crisis_team', 'duty_officer', 'ops', 'communications' or 'reader'",
        ),
        ({"oidc": OIDC}, "url is missing"),
        ({"url": "https://a.example", "oidc": OIDC | {"issuer": "http://login.example"}}, "must begin with https"),
        ({"url": "https://a.example", "oidc": OIDC | {"role_claim": None}}, "role_claim is missing"),
        ({"url": "https://a.example", "oidc": OIDC | {"roles": {}}}, "roles is missing"),
        ({"url": "https://a.example/board"}, "leave the path out"),
        ({"url": "http://a.example"}, "must begin with https"),
    ],
)
def test_what_contradicts_itself_or_lets_anybody_in_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        BoardSettings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "exposed"),
    [
        ({}, False),
        ({"host": "::1"}, False),
        ({"host": "localhost"}, False),
        ({"host": EVERYWHERE}, True),
        ({"host": "::"}, True),
        ({"host": "tavle.example"}, True),
        ({"host": EVERYWHERE, "proxy": {"addresses": ["10.0.0.1"]}}, False),
        ({"host": EVERYWHERE, "certificate": {"file": "/a.crt", "key_file": "/a.key"}}, False),
    ],
)  # fmt: skip
def test_only_this_machine_is_served_in_the_clear(given: dict[str, Any], exposed: bool) -> None:
    board = BoardSettings.model_validate(given)
    if exposed:
        with pytest.raises(ConfigError, match=r"^board\.host: .* set board\.certificate, or board\.proxy"):
            check_exposed(board)
    else:
        check_exposed(board)


def raw(text: str) -> RawSettings:
    file = parse_yaml(text, Path("settings.yaml"))
    return RawSettings(file.data, file, {}, Path())


def test_an_exposed_board_a_bad_certificate_and_a_missing_secret_are_told_by_line(tmp_path: Path) -> None:
    text = "\nboard:\n  host: 0.0.0.0\n"
    told = mistakes(raw(text), load_settings(raw(text)), tmp_path)
    assert [line for line in told if line.startswith("settings.yaml:3: board.host: 0.0.0.0 is reached by others")]
    with pytest.raises(ConfigError, match=r"^settings\.yaml:3: board\.host: 0"):
        check_exposed(load_settings(raw(text)).board, raw(text))
    text = (
        "board:\n  url: https://a.example\n  certificate: {file: /nowhere/a, key_file: /nowhere/b}\n  oidc:\n"
        "    issuer: https://b.example\n    client_id: a\n    client_secret_file: /nowhere/c\n    roles: {'*': ops}\n"
    )
    told = mistakes(raw(text), load_settings(raw(text)), tmp_path)
    assert [line.partition(" is no")[0].partition(" and /")[0] for line in told if "board" in line] == [
        "settings.yaml:3: board.certificate: /nowhere/a",
        "settings.yaml:7: board.oidc.client_secret_file: /nowhere/c cannot be read (FileNotFoundError)",
    ]


def test_the_words_of_a_log_in_are_there_in_both_languages() -> None:
    nb, en = (load_words(packaged_config(), load_messages(packaged_config(), each)).texts for each in ("nb", "en"))
    ours = [name for name in nb if name.startswith("login.")]
    assert ours
    assert ours == [name for name in en if name.startswith("login.")]


def test_nothing_set_names_nobody() -> None:
    assert (Settings().board.proxy, Settings().board.oidc, Settings().board.url) == (None, None, None)
