"""What `config check` and `doctor` say of a people.yaml that is good and would not do what somebody means by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from rules_support import rule

from alerts.notify.drill import examine_firing
from alerts.notify.people_doubts import people_doubts
from alerts.notify.recipients import load_people
from listener.errors import ConfigError
from listener.runtime.checks import Check
from listener.settings.files import load_yaml
from tests.unit.telling_support import T0

BASE = """
people:
  kari: {name: Kari, roles: [duty], ways: [{channel: sms, target: "+4740000001"}]}
  ola: {name: Ola, ways: [{channel: sms, target: "+4740000002"}]}
policies: {quick: {steps: [{to: [duty]}], repeat_every: 15m}, slow: {steps: [{to: [ola]}], repeat_every: 4h}}
"""


def doubts(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "people.yaml"
    path.write_text(BASE + text, encoding="utf-8")
    rules = [rule("frequency", name="r", timeframe="60s", num_events=4, query_key="theme")]
    return list(people_doubts(load_people(path), rules, load_yaml(path)))


def drilled(tmp_path: Path, text: str) -> dict[str, Check]:
    path = tmp_path / "people.yaml"
    path.write_text(BASE + text, encoding="utf-8")
    found = examine_firing(load_people(path), ["duty"], None, lambda channel: channel == "sms", T0)
    return {check.id: check for check in found}


def test_a_route_with_a_hole_is_told_with_what_falls_through(tmp_path: Path) -> None:
    (said,) = doubts(tmp_path, "routes: {duty: [{mode: crisis, severity: [critical, warning], policy: quick}]}\n")
    assert "people.yaml:6: routes.duty: no choice fits what is critical in calm" in said
    assert "warning in calm" in said
    assert "info in crisis, info in calm" in said
    assert doubts(tmp_path, "routes: {duty: [{mode: crisis, policy: quick}, {policy: slow}]}\n") == []
    assert doubts(tmp_path, "routes: {duty: quick}\n") == []


@pytest.mark.parametrize(
    "text",
    ["policies: {p: {steps: [{to: []}], repeat_every: 15m}}", "routes: {duty: [{severity: [], policy: quick}]}"],
)
def test_a_step_for_nobody_and_a_choice_for_nothing_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "people.yaml"
    path.write_text(BASE.partition("policies:")[0] + text + "\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"people\.yaml:5"):
        load_people(path)


def test_the_drill_is_of_both_modes_where_they_differ(tmp_path: Path) -> None:
    found = drilled(tmp_path, "routes: {duty: [{mode: crisis, policy: quick}, {policy: slow}]}\n")
    assert found["alert.duty.critical"].says.startswith("Kari at once")
    assert found["alert.duty.critical.calm"].says.startswith("Ola at once")
    hole = drilled(tmp_path, "routes: {duty: [{mode: crisis, policy: quick}]}\n")
    assert "none of the route's choices fits" in hole["alert.duty.warning.calm"].says
    assert "alert.duty.warning.calm" not in drilled(tmp_path, "routes: {duty: quick}\n")


def test_a_field_that_no_alert_has_is_named(tmp_path: Path) -> None:
    text = "grouping: {by: [rule, them]}\ninhibit: [{source: {rul: x}, target: {theme: y}, equal: [incident]}]\n"
    assert doubts(tmp_path, text) == [
        f"{tmp_path}/people.yaml:6: grouping.by: names 'them', a field that no alert of these rules has; did you mean "
        "'theme'?",
        f"{tmp_path}/people.yaml:7: inhibit.0: names 'rul', a field that no alert of these rules has; did you mean "
        "'rule'?",
    ]
