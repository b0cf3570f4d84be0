"""Each alert of Prometheus has its entry in the runbooks, whole, and no entry is of an alert that is gone."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
import typer.main
import yaml
from documents_support import ROOT, RUNBOOKS

from lyttepost import COMMANDS as COMMANDS_OF_OURS
from lyttepost import load

RULES = ROOT / "deploy" / "prometheus" / "lyttepost.rules.yml"
PARTS = ("It means", "Meanwhile", "Look", "Fix", "It is over when")

PAGE = RUNBOOKS.read_text(encoding="utf-8")
ENTRIES = dict(re.findall(r"^### (\w+)\n\n(.+?)(?=\n+^#|\Z)", PAGE, re.MULTILINE | re.DOTALL))
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
FOLLOWED = ROOT / "tests" / "scenarios" / "test_runbooks_followed.py"
COMMANDS = sorted(set(re.findall(r"`lyttepost ([^`]+)`", PAGE)))


def test_every_alert_has_an_entry_and_every_entry_an_alert() -> None:
    assert list(ENTRIES.keys() - ALERTS.keys()) == list(ALERTS.keys() - ENTRIES.keys()) == []
    assert len(re.findall(r"^### ", PAGE, re.MULTILINE)) == len(ENTRIES)


def test_every_alert_leads_to_its_entry() -> None:
    places = {name: rule["annotations"]["runbook_url"] for name, rule in ALERTS.items()}
    assert places == {name: f"deploy/runbooks.md#{name.lower()}" for name in ALERTS}


@pytest.mark.parametrize("alert", ENTRIES)
def test_an_entry_says_what_it_means_what_is_lost_how_to_look_how_to_fix_and_when_it_is_over(alert: str) -> None:
    told = re.findall(r"^- \*\*(.+?):\*\* (.+?)(?=^- \*\*|\Z)", ENTRIES[alert], re.MULTILINE | re.DOTALL)
    assert tuple(part for part, _ in told) == PARTS
    assert all(text.rstrip().endswith((".", "?")) for _, text in told)


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_the_runbooks_is_one_of_ours_with_these_options(words: str) -> None:
    name, *given = shlex.split(words)
    assert name in COMMANDS_OF_OURS, f"there is no command {words!r}"
    command: Any = typer.main.get_command(load(COMMANDS_OF_OURS[name]))
    while given and hasattr(command, "get_command"):
        under = command.get_command(typer.Context(command), given[0])
        if under is None:
            assert given[0].startswith("-"), f"there is no command {words!r}"
            break
        command, given = under, given[1:]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in given if word.startswith("--")} <= known


def test_metrics_of_the_runbooks_exist() -> None:
    from prometheus_client import CollectorRegistry

    from listener.runtime.metrics import Metrics

    known = {spec.name for spec in Metrics(CollectorRegistry(), "0").specs}
    assert set(re.findall(r"\blyttepost_[a-z_]+", PAGE)) <= known


def test_the_entries_that_are_said_to_be_followed_are_those_of_the_drill() -> None:
    text = FOLLOWED.read_text(encoding="utf-8")
    calls = re.findall(r'drill\.follow\("([\w ]+)"', text) + re.findall(
        r'\("(\w+)", drill\.(?:deadman|canaries)\)', text
    )
    # Of the dead-man it is its silence that is followed, so that nothing there waits for it to fire.
    drilled = {name for call in calls for name in call.split()} | set(re.findall(r'drill\.tell\("(\w+) \(', text))
    told = re.search(r"^\*\*Followed to the end\*\*.+?:\n(.+?)\. The others", PAGE, re.MULTILINE | re.DOTALL)
    assert told
    assert set(re.split(r",\s+", told[1])) == drilled
    assert {f"Lyttepost{name}" for name in drilled} <= ALERTS.keys()
