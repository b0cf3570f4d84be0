"""Real crises, played to their ends: all that was read is accounted for, and the first alert comes when it should.

The texts stay where they are; only numbers and times are looked at.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DATA = os.environ.get("LYTTEPOST_EVALUATION_DATA", "")
pytestmark = [pytest.mark.evaluation, pytest.mark.skipif(not DATA, reason="LYTTEPOST_EVALUATION_DATA is not set")]


@dataclass(frozen=True)
class Crisis:
    """`began`: the first post of the recording that tells of it. A recording holds one post in a hundred or fewer."""

    file: str
    tracks: tuple[str, ...]
    began: str
    within: timedelta

    @property
    def path(self) -> Path:
        return Path(DATA) / "crisis-recordings" / f"{self.file}.jsonl"


CRISES = (
    Crisis("2013_Glasgow_helicopter_crash", ("glasgow", "clutha"), "2013-11-29T22:42:59Z", timedelta(minutes=25)),
    Crisis("2013_NY_train_crash", ("train", "metro-north"), "2013-12-01T12:51:01Z", timedelta(minutes=45)),
    Crisis("2013_LA_airport_shootings", ("lax", "airport"), "2013-11-01T16:29:36Z", timedelta(minutes=15)),
)
crises = pytest.mark.parametrize("crisis", CRISES, ids=lambda crisis: crisis.file)


@dataclass(frozen=True)
class Played:
    told: list[dict[str, Any]]
    out: bytes
    summary: str

    def number(self, word: str) -> int:
        found = re.search(rf"^{word} +(\d+)", self.summary, re.MULTILINE)
        assert found, self.summary
        return int(found[1])


@cache
def played(crisis: Crisis, speed: str = "max") -> Played:
    tracks = [word for track in crisis.tracks for word in ("--track", track)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LYTTEPOST_")}
    done = subprocess.run(
        [sys.executable, str(ROOT / "lyttepost.py"), "replay", str(crisis.path), *tracks, "--speed", speed, "--json"],
        capture_output=True,
        env={**environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    summary = done.stderr.decode()
    assert done.returncode == 0, summary
    return Played([json.loads(line) for line in done.stdout.splitlines()], done.stdout, summary)


@crises
def test_every_line_is_accounted_for(crisis: Crisis) -> None:
    run = played(crisis)
    lines = sum(1 for line in crisis.path.read_text(encoding="utf-8").splitlines() if line.strip())
    dropped = sum(int(count) for count in re.findall(r"(\d+) (?:no_match|duplicate)", run.summary))
    assert run.number("read") == lines
    assert run.number("matched") + dropped == lines
    assert run.number("matched") > lines / 4
    assert "bad       none" in run.summary


@crises
def test_the_first_alert_comes_soon_after_the_first_report(crisis: Crisis) -> None:
    began = datetime.fromisoformat(crisis.began)
    first = datetime.fromisoformat(played(crisis).told[0]["at"])
    assert began <= first <= began + crisis.within


@crises
def test_a_duty_officer_is_not_drowned(crisis: Crisis) -> None:
    fired = [alert for alert in played(crisis).told if alert["event"] == "fired"]
    assert 2 <= len(fired) <= 60


@crises
def test_no_authors_are_made_up(crisis: Crisis) -> None:
    run = played(crisis)
    assert all(alert["authors"] is None for alert in run.told)
    assert "names no authors" in run.summary


@crises
def test_alerts_are_told_in_order_and_the_same_each_time(crisis: Crisis) -> None:
    run = played(crisis)
    times = [datetime.fromisoformat(alert["at"]) for alert in run.told]
    assert times == sorted(times)
    assert played(crisis, "1000000").out == run.out
