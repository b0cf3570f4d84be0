"""`lyttepost config check` refuses channels and contacts that could never send, and doubts what nobody would hear."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_support import Machine
from gateway_support import settings_of
from pydantic import ValidationError

from listener.settings.files import packaged_config
from listener.settings.schema import Settings

Check = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks the shipped configuration with these channels, this contact of a person's, and this receiver."""
    machine = Machine(tmp_path, {"LYTTEPOST_CONFIG": str(tmp_path / "config")})
    shutil.copytree(packaged_config(), tmp_path / "config")

    def run(channels: dict[str, Any], contact: dict[str, str] | None = None, receiver: str = "null") -> Any:
        settings, people = tmp_path / "config" / "settings.yaml", tmp_path / "config" / "people.yaml"
        text = settings.read_text("utf-8").replace("\nchannels: {}", f"\nchannels: {json.dumps(channels)}")
        settings.write_text(text.replace("receiver: null", f"receiver: {receiver}"), "utf-8")
        if contact:
            written = people.read_text("utf-8").replace("- {channel: console}", f"- {json.dumps(contact)}")
            people.write_text(written, "utf-8")
        return machine.run("config", "check")

    return run


APPRISE = {"apprise": {"services": {"vakt": "json://localhost/hemmelig"}}}


def test_a_service_that_is_set_up_passes_and_another_is_refused_with_its_line(check: Check) -> None:
    done = check(APPRISE, {"channel": "apprise", "target": "kari"})
    assert done.returncode == 4
    assert re.search(r"people\.yaml:\d+: people\.console\.ways\.0\.target: channels\.apprise in", done.stderr)
    assert "hemmelig" not in done.stderr


def test_a_service_that_is_set_up_passes(check: Check) -> None:
    done = check(APPRISE, {"channel": "apprise", "target": "vakt"})
    assert (done.returncode, done.stdout[-18:]) == (0, "no mistakes found\n")


def test_a_landline_takes_no_sms(check: Check, tmp_path: Path) -> None:
    sms = settings_of("Twilio", tmp_path, "https://gateway.example/send")
    done = check({"sms": sms}, {"channel": "sms", "target": "+4721000000"})
    assert done.returncode == 4
    assert re.search(r"people\.yaml:\d+: people\.console\.ways\.0\.target: takes no SMS: a landline", done.stderr)
    assert "21000000" not in done.stderr


def test_a_gateway_that_could_never_send_is_refused_with_its_place(check: Check, tmp_path: Path) -> None:
    sms = settings_of("Twilio", tmp_path, "https://gateway.example/send", body={"form": {"To": "{to}"}})
    done = check({"sms": sms})
    assert done.returncode == 4
    assert "channels.sms: body: names no {text}" in done.stderr
    assert "Traceback" not in done.stderr


def test_receipts_that_nobody_would_hear_are_doubted(check: Check, tmp_path: Path) -> None:
    sms = settings_of("Twilio", tmp_path, "https://gateway.example/send")
    done = check({"sms": sms}, {"channel": "sms", "target": "40612345"})
    assert done.returncode == 0
    assert "channels.sms: has receipt or reply, and nobody listens for it: set receiver" in done.stderr


def test_a_receiver_with_a_gateway_that_calls_is_no_doubt(check: Check, tmp_path: Path) -> None:
    sms = settings_of("Twilio", tmp_path, "https://gateway.example/send")
    done = check({"sms": sms}, {"channel": "sms", "target": "40612345"}, "{port: 9470}")
    assert done.returncode == 0
    assert "nobody listens" not in done.stderr
    assert "no gateway would call" not in done.stderr


def test_a_receiver_that_nobody_would_call_is_doubted(check: Check) -> None:
    done = check({}, receiver="{port: 9470}")
    assert done.returncode == 0
    assert "receiver: is set, and no channel has receipt or reply" in done.stderr


MAIL = {"email": {"host": "smtp.example.org", "from": "lyttepost@example.org"}}


@pytest.mark.parametrize(
    ("contact", "doubted"),
    [({"channel": "console"}, True), ({"channel": "email", "target": "kari@sykehus.example"}, False)],
)
def test_a_report_that_nobody_would_be_mailed_is_doubted(
    check: Check, tmp_path: Path, contact: dict[str, str], doubted: bool
) -> None:
    settings = tmp_path / "config" / "settings.yaml"
    text = settings.read_text("utf-8").replace("report:\n", "report:\n  every: 4h\n", 1)
    settings.write_text(text.replace("  every: null\n\ncanary", "\ncanary"), "utf-8")
    done = check(MAIL, contact)
    assert done.returncode == 0
    assert ("report.every: is set, and nobody on the route crisis_team" in done.stderr) is doubted


def test_a_key_of_links_that_cannot_sign_is_refused_with_its_file_and_links_alone_are_a_reason_to_listen(
    check: Check, tmp_path: Path
) -> None:
    key = tmp_path / "links.key"
    receiver = f"{{links: {{url: 'https://lyttepost.sykehus.example', key_file: {key}}}}}"
    key.write_text("kort\n", encoding="utf-8")
    refused = check({}, receiver=receiver)
    assert refused.returncode == 4
    assert f"receiver.links.key_file: {key} holds 4 bytes, 16 are needed" in refused.stderr
    key.write_text("0123456789abcdef\n", encoding="utf-8")
    fine = check({}, receiver=receiver)
    assert fine.returncode == 0
    assert "receiver" not in fine.stderr


@pytest.mark.parametrize("receiver", [{"port": 99999}, {"host": "a b"}, {"prot": 1}, "yes", {"port": True}])
def test_a_receiver_that_could_not_listen_is_refused(receiver: object) -> None:
    with pytest.raises(ValidationError, match="receiver"):
        Settings.model_validate({"receiver": receiver})
