"""Alerts about ourselves: their texts stand with the other messages, and every role makes them alike."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alerts.notify.messages import load_messages
from listener.errors import ConfigError
from listener.model.records import ALERTS, Severity, decode
from listener.runtime.ops_alerts import LANGUAGES, OPS_ALERTS, OpsAlerts
from listener.settings.files import packaged_config
from tests.unit.telling_support import alert

AT = datetime(2031, 3, 2, 2, 0, tzinfo=UTC)
MONEY = dict.fromkeys(OPS_ALERTS["budget_hard"].braces.split(), "9")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(packaged_config() / "messages", tmp_path / "messages")
    return tmp_path


def edit(folder: Path, old: str, new: str) -> None:
    path = folder / "messages" / "en.yaml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.parametrize("what", list(OPS_ALERTS))
def test_every_alert_about_ourselves_has_a_text_in_both_languages(what: str) -> None:
    texts = OpsAlerts.load().headlines[what]
    assert texts.keys() == set(LANGUAGES)
    named = [set(re.findall(r"\{(\w+)\}", text)) for text in texts.values()]
    assert named[0] == named[1]


def test_a_deployments_own_words_are_in_the_record(folder: Path) -> None:
    edit(folder, "The disk is full: new posts are not taken in. Make room.", "Disk full on {key}. Call 4711.")
    message = OpsAlerts.load(folder).message("disk_full", "x", AT, AT)
    assert decode(ALERTS, message.value or b"").headline == {
        "nb": "Disken er full: nye innlegg blir ikke tatt imot. Frigjør plass.",
        "en": "Disk full on {key}. Call 4711.",
    }


def test_a_configuration_of_an_older_version_uses_the_packaged_text(folder: Path) -> None:
    edit(folder, '  x_silent: "X has not been heard for more than a minute. We keep trying."\n', "")
    assert OpsAlerts.load(folder).headlines == OpsAlerts.load().headlines
    (folder / "messages" / "en.yaml").unlink()
    assert OpsAlerts.load(folder).headlines == OpsAlerts.load().headlines


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  x_silent:", "  x_silence:", r"en\.yaml:\d+: ops\.x_silence: there is no such alert"),
        (
            "({key}). Correct the rule.",
            "({kye}).",
            r"ops\.card_incomplete: may hold \{key\}, and nothing else in braces",
        ),
        ("({key}). Correct the rule.", "({key.", r"ops\.card_incomplete: may hold"),
        ("{spent} USD this", "{spent.real} USD this", r"ops\.budget_soft: may hold \{source\}, \{spent\}"),
        ('"The disk is full: new posts are not taken in. Make room."', "7", r"ops\.disk_full: must be text"),
    ],
)
def test_a_mistake_in_a_text_is_found_at_start_by_every_role(folder: Path, old: str, new: str, message: str) -> None:
    edit(folder, old, new)
    with pytest.raises(ConfigError, match=message):
        OpsAlerts.load(folder)
    with pytest.raises(ConfigError, match=message):
        load_messages(folder, "en")


def test_an_alert_and_its_end_are_the_same_and_another_time_is_another() -> None:
    ops, later = OpsAlerts.load(), datetime(2031, 3, 2, 3, 0, tzinfo=UTC)
    fired, over = (ops.message("disk_full", "x", AT, at, over=at is later) for at in (AT, later))
    assert fired.key == over.key == "631038bc747f9e52"
    assert ops.message("disk_full", "x", later, later).key != fired.key


def test_it_goes_to_whom_it_concerns_in_the_incident_that_it_is_about() -> None:
    ops = OpsAlerts.load()
    money = decode(ALERTS, ops.message("budget_hard", "x", AT, AT, words=MONEY).value or b"")
    assert (money.to, money.severity, money.incident) == ("duty", Severity.CRITICAL, "calm")
    assert money.headline["en"].startswith("9 has cost 9 USD.")
    about = alert(exercise=True)
    fault = decode(ALERTS, ops.message("all_failed", "duty", AT, AT, about=about, id_="a").value or b"")
    assert (fault.id, fault.to, fault.severity) == ("a", "ops", Severity.WARNING)
    assert (fault.incident, fault.incident_name, fault.exercise) == (about.incident, about.incident_name, True)
