"""The demo's night, as `lyttepost demo` plays it: its alerts against the list of those that an officer wants, with no
miss and no cry of wolf; and one story where several platforms tell the same."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from command_support import ROOT

from alerts.annotate.themes import Themes, themes_file
from alerts.commands.demo import NAME, NAMED, PLATFORM, TRACKS
from alerts.commands.replay import as_json
from alerts.register.ranking import Registered, RegisterRow, Whose
from alerts.replay import SentCard, Summary, replaying
from listener.clock import SystemClock
from listener.settings.files import raw_settings
from listener.settings.schema import load_settings
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


class Night(NamedTuple):
    """What came of it. `rows`: all that the register holds."""

    alerts: list[dict[str, Any]]
    summary: Summary
    widest: RegisterRow
    rows: list[Registered]


def play(speed: float | None) -> Night:
    raw, cards = raw_settings(), list[SentCard]()
    with replaying(
        raw, load_settings(raw), str(DEMO / "crisis.jsonl"), name=NAME, tracks=TRACKS,
        speed=speed, pace=SystemClock(), named=NAMED, platform=PLATFORM,
    ) as playing:  # fmt: skip
        summary = playing.play(cards.append)
        widest = playing.widest_story()
        assert widest is not None
        return Night([as_json(card) for card in cards], summary, widest, playing.register.registered())


@pytest.fixture(scope="module")
def night() -> Night:
    return play(None)


@pytest.fixture(scope="module")
def fired(night: Night) -> list[dict[str, Any]]:
    return [alert for alert in night.alerts if alert["event"] == "fired"]


def test_whatever_an_officer_must_know_is_alerted_in_time(fired: list[dict[str, object]]) -> None:
    assert [line.what for line in wanted() if line.must and not any(map(line.is_met_by, fired))] == []


def test_no_alert_is_one_that_nobody_wanted(fired: list[dict[str, object]]) -> None:
    unwanted = [alert for alert in fired if not any(line.is_met_by(alert) for line in wanted())]
    assert [(alert["at"], alert["rule"], alert["key"]) for alert in unwanted] == []


def test_nobody_is_woken_twice_for_one_line(fired: list[dict[str, object]]) -> None:
    """More alerts than lines would be one line's twice."""
    assert len(fired) <= len(wanted())


def test_all_is_the_same_at_whatever_speed(night: Night) -> None:
    """Posts of all platforms stand in one order, that of their time."""
    again = play(30_000.0)
    assert (again.alerts, again.summary) == (night.alerts, night.summary)
    assert (again.widest.story, again.widest.sources) == (night.widest.story, night.widest.sources)
    assert [row._replace(offset=0) for row in again.rows] == [row._replace(offset=0) for row in night.rows]


def test_the_same_told_on_several_platforms_is_one_story(night: Night) -> None:
    rumour = night.widest
    assert rumour.text is not None
    assert rumour.text.startswith("Fetteren min jobber på FUS.")
    assert set(rumour.sources) == {"x", "facebook", "bluesky", "mastodon"}
    assert sum(rumour.sources.values()) == rumour.posts
    denial = {row.story for row in night.rows if row.post == "feeds:https://fjordby-sykehus.example/melding/3"}
    told = {row.post.partition(":")[0] for row in night.rows if row.story in denial}
    assert told == {"x", "facebook", "bluesky", "feeds"}


def test_each_platform_is_heard_and_newsrooms_are_counted_as_nobody(night: Night) -> None:
    assert set(night.summary.sources) == {"x", "facebook", "bluesky", "mastodon", "feeds"}
    assert sum(night.summary.sources.values()) == night.summary.posts == night.summary.matched
    of_feeds = [row for row in night.rows if row.post.startswith("feeds:")]
    assert len(of_feeds) == night.summary.sources["feeds"]
    assert {row.whose for row in of_feeds} == {Whose.OFFICIAL}, "they are in no number of people"


def test_the_list_itself_is_whole() -> None:
    shipped = {path.stem for path in (ROOT / "config" / "rules").glob("*.yaml")}
    assert len([line for line in wanted() if line.must]) >= 12
    assert all(line.rules and line.rules <= shipped and line.begin <= line.end for line in wanted())
