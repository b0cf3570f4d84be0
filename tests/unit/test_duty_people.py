"""People and rosters as people.yaml has them: quiet hours, and mistakes with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from duty_support import OSLO, at, people

from alerts.duty.load import load_duty
from alerts.duty.people import quiet_until
from listener.errors import ConfigError
from listener.model.records import Severity
from listener.settings.files import packaged_config
from listener.settings.zone import find_zone

KARI = "people:\n  kari: {ways: [{channel: sms, target: A}]}\n"
QUIET = people(
    kari={"ways": [{"channel": "console"}], "quiet": {"warning": {"from": "22:00", "to": "07:00"}}},
)["kari"]


def load(tmp_path: Path, text: str):
    (tmp_path / "people.yaml").write_text(text, encoding="utf-8")
    return load_duty(tmp_path / "people.yaml")


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-02-03T20:59:59Z", None),
        ("2026-02-03T21:00:00Z", "2026-02-04T06:00:00Z"),
        ("2026-02-04T05:59:59Z", "2026-02-04T06:00:00Z"),
        ("2026-02-04T06:00:00Z", None),
        ("2026-03-29T00:30:00Z", "2026-03-29T05:00:00Z"),
    ],
)
def test_quiet_hours_end_on_the_wall_of_the_zone(when: str, until: str | None) -> None:
    found = quiet_until(QUIET, Severity.WARNING, at(when), find_zone(OSLO))
    assert found == (at(until) if until else None)


@pytest.mark.parametrize("severity", [Severity.CRITICAL, Severity.INFO])
def test_quiet_hours_hold_back_only_what_they_name_and_never_what_is_critical(severity: Severity) -> None:
    assert quiet_until(QUIET, severity, at("2026-02-04T02:00:00Z"), find_zone(OSLO)) is None


def test_a_person_needs_no_name_and_a_way_no_target_that_a_channel_takes(tmp_path: Path) -> None:
    found = load(tmp_path, KARI).people["kari"]
    assert (found.name, found.language, found.roles, found.ways[0].target) == ("kari", None, (), "A")


def test_what_others_read_and_the_old_word_for_ways_may_stand_in_the_file(tmp_path: Path) -> None:
    text = "people:\n  kari: {name: Kari, contacts: [{channel: console}]}\nroutes: {}\npolicies: 7\nbrake: []\n"
    assert load(tmp_path, text).people["kari"].ways[0].channel == "console"
    assert load_duty(packaged_config() / "people.yaml").people


def test_the_roster_that_is_shown_in_the_pages_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "deploy" / "README.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(roster:\n.*?)^```$", page, re.MULTILINE | re.DOTALL)
    everybody = "".join(f"  {name}: {{ways: [{{channel: console}}]}}\n" for name in ("kari", "ola", "per"))
    found = load(tmp_path, f"people:\n{everybody}{shown}").rosters["duty"]
    assert sorted(found.at(at("2026-02-03T12:00:00Z"))) == ["ola"]
    assert found.calendar is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- kari\n", r"people\.yaml:1: must be a mapping"),
        ("staff: {}\n", r"people\.yaml:1: staff: no such setting"),
        ("people:\n  kari:\n    ways: []\n", r"people\.yaml:3: people\.kari\.ways: needs at least one way"),
        ("people:\n  kari:\n    name: Kari\n", r"people\.yaml:2: people\.kari\.ways: must be set"),
        (
            "people:\n  kari:\n    ways: [{channel: sms}]\n    quiet:\n      critical: {from: '22:00', to: '07:00'}\n",
            r"people\.yaml:4: people\.kari\.quiet: what is critical is never held back",
        ),
        (
            "people:\n  kari:\n    ways: [{channel: sms}]\n    quiet:\n      info: {from: '22:00', to: '22:00'}\n",
            r"people\.yaml:5: people\.kari\.quiet\.info: .*never end",
        ),
        (
            KARI + "roster:\n  duty:\n    zone: Europe/Bergen\n",
            r"people\.yaml:5: roster\.duty\.zone: no time zone is called",
        ),
        (
            KARI + "roster:\n  duty:\n    zone: UTC\n    layers:\n      - {who: ola}\n",
            r"people\.yaml:7: roster\.duty\.layers\.0\.who: names 'ola', who is not among people",
        ),
        (
            KARI + "roster:\n  duty:\n    zone: UTC\n    overrides:\n      - from: 2026-02-01\n        to: 2026-01-01\n"
            "        add: kari\n",
            r"people\.yaml:7: roster\.duty\.overrides\.0: ends before it begins",
        ),
        (
            KARI + "roster:\n  duty:\n    zone: Europe/Oslo\n    overrides:\n      - from: 2026-03-29T02:15\n"
            "        to: 2026-03-29T02:45\n        add: kari\n",
            r"people\.yaml:7: roster\.duty\.overrides\.0: lies in the hour that is skipped",
        ),
        (
            KARI + "roster:\n  duty:\n    zone: UTC\n    calendar: ftp://planner.example/duty.ics\n",
            r"people\.yaml:6: roster\.duty\.calendar: must begin with https.*duty\.ics",
        ),
        (KARI + "roster:\n  duty: {}\n", r"people\.yaml:4: roster\.duty\.zone: must be set"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_all_unknown_names_are_told_at_once(tmp_path: Path) -> None:
    text = (
        KARI + "roster:\n  duty:\n    zone: UTC\n    layers:\n"
        "      - rotation: {every: 1d, start: 2026-01-05, people: [kari, ola]}\n"
        "    overrides: [{from: 2026-01-05, to: 2026-01-06, remove: per, add: kari}]\n"
        "    temporary: [{from: 2026-01-05, to: 2026-01-06, shifts: [{from: 2026-01-05, to: 2026-01-06, who: eva}]}]\n"
    )
    with pytest.raises(ConfigError) as error:
        load(tmp_path, text)
    lines = str(error.value).splitlines()
    assert [line.partition("people.yaml:")[2].partition(":")[0] for line in lines] == ["7", "8", "9"]
    assert [name in line for name, line in zip(("'ola'", "'per'", "'eva'"), lines, strict=True)] == [True] * 3
