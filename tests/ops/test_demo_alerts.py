"""The alerts of the demo's night against the list of those that an officer wants: no miss, and no cry of wolf."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest
from command_support import ROOT, Machine

from alerts.annotate.themes import Themes, themes_file
from alerts.commands.demo import NAME, NAMED, TRACKS
from listener.model.records import AuthorClass
from tests.unit.documents_support import block, rows

DEMO = ROOT / "config" / "demo"
THEMES = Themes.load(themes_file(ROOT / "config")).themes
NORWAY = ZoneInfo("Europe/Oslo")


class Wanted(NamedTuple):
    """A line of the list. Times are minutes after noon in Norway."""

    begin: int
    end: int
    must: bool
    what: str
    rules: frozenset[str]
    themes: frozenset[str]

    def is_met_by(self, alert: dict[str, object]) -> bool:
        at = _minutes(datetime.fromisoformat(str(alert["at"])).astimezone(NORWAY).strftime("%H:%M"))
        fits = alert["key"] not in THEMES or alert["key"] in self.themes
        return alert["rule"] in self.rules and self.begin <= at <= self.end and fits


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return (int(hours) + 12) % 24 * 60 + int(minutes)


def wanted() -> list[Wanted]:
    return [
        Wanted(
            _minutes(begin), _minutes(end), must == "must", what,
            frozenset(re.findall(r"`([\w-]+)`", rules)), frozenset(re.findall(r"`(\w+)`", themes)),
        )
        for begin, end, must, what, rules, themes in rows(block(DEMO / "README.md", "wanted"))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def fired(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    accounts = {
        f"LYTTEPOST_PRIVACY__NAMED_ACCOUNTS__{class_.name}": json.dumps([who for who in NAMED if NAMED[who] is class_])
        for class_ in (AuthorClass.MEDIA, AuthorClass.PUBLIC_BODY)
    }
    machine = Machine(tmp_path_factory.mktemp("night"), accounts)
    tracks = [word for track in TRACKS for word in ("--track", track)]
    done = machine.run("replay", str(DEMO / "crisis.jsonl"), *tracks, "--name", NAME, "--json")
    assert done.returncode == 0, done.stderr
    return [alert for line in done.stdout.splitlines() if (alert := json.loads(line))["event"] == "fired"]


def test_whatever_an_officer_must_know_is_alerted_in_time(fired: list[dict[str, object]]) -> None:
    assert [line.what for line in wanted() if line.must and not any(map(line.is_met_by, fired))] == []


def test_no_alert_is_one_that_nobody_wanted(fired: list[dict[str, object]]) -> None:
    unwanted = [alert for alert in fired if not any(line.is_met_by(alert) for line in wanted())]
    assert [(alert["at"], alert["rule"], alert["key"]) for alert in unwanted] == []


def test_nobody_is_woken_twice_for_one_line(fired: list[dict[str, object]]) -> None:
    """More alerts than lines would be one line's twice."""
    assert len(fired) <= len(wanted())


def test_the_list_itself_is_whole() -> None:
    shipped = {path.stem for path in (ROOT / "config" / "rules").glob("*.yaml")}
    assert len([line for line in wanted() if line.must]) >= 12
    assert all(line.rules and line.rules <= shipped and line.begin <= line.end for line in wanted())
