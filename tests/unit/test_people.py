"""Who is told: never nobody; and a file that is strict about its mistakes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alerts.notify.recipients import CONSOLE, LEDGER, load_people
from listener.errors import ConfigError
from listener.model.records import Severity
from listener.settings.files import packaged_config
from tests.unit.telling_support import T0, alert, people

REPEAT = "repeat_every: {critical: 5m, warning: 15m, info: 4h}\n"


def load(tmp_path: Path, text: str):
    (tmp_path / "people.yaml").write_text(text, encoding="utf-8")
    return load_people(tmp_path / "people.yaml")


def test_the_shipped_people_need_no_account_and_reach_the_console() -> None:
    shipped = load_people(packaged_config() / "people.yaml")
    assert shipped.channels() == {"console"}
    for route in ("duty", "crisis_team", "ops"):
        assert shipped.on_route(route, T0) == ("console",)
    assert shipped.canary(T0) == (LEDGER.person,)


def test_a_list_of_people_is_paged_together_and_again_by_severity() -> None:
    name, policy = people().route(alert())
    assert (name, [step.to for step in policy.steps]) == ("duty", [("kari", "ola")])
    assert policy.repeat_every == timedelta(minutes=5)


def test_the_last_resort_is_the_fallback_and_then_the_console() -> None:
    who = people()
    assert who.last_resort(who.route(alert()).policy, T0) == (("reserve",), (CONSOLE,))


@pytest.mark.parametrize("which", ["fallback", "ops"])
@pytest.mark.parametrize("means", ["[ola]", "spare", "[{severity: [critical], policy: spare}, {policy: spare}]"])
def test_the_last_resort_may_be_a_list_a_policy_or_a_choice_of_policies(tmp_path: Path, which: str, means: str) -> None:
    who = load(
        tmp_path,
        "people: {kari: {ways: [{channel: console}]}, ola: {ways: [{channel: console}], roles: [reserve]}}\n"
        "policies: {spare: {steps: [{to: [reserve]}, {after: 5m, to: [ola]}], repeat_every: 1h}}\n"
        f"routes: {{duty: [kari], {which}: {means}}}\n" + REPEAT,
    )
    assert who.last_resort(who.route(alert()).policy, T0) == (("ola",), (CONSOLE,))


def test_ops_are_the_last_resort_where_nobody_stands_behind_the_fallback(tmp_path: Path) -> None:
    who = load(
        tmp_path,
        "people: {kari: {ways: [{channel: console}]}}\n"
        "roster: {reserve: {zone: UTC, layers: []}}\n"
        "policies: {spare: {steps: [{to: [reserve]}], repeat_every: 1h}}\n"
        "routes: {fallback: spare, ops: [kari]}\n" + REPEAT,
    )
    assert who.last_resort(None, T0) == (("kari",), (CONSOLE,))


@pytest.mark.parametrize("routes", [{}, {"duty": []}, {"duty": [], "fallback": []}])
def test_nobody_is_never_the_answer(routes: dict[str, list[str]]) -> None:
    assert people(routes).last_resort(None, T0) == ((CONSOLE,),)


POLICIES = """
people:
  kari: {ways: [{channel: console}], roles: [duty]}
  ola: {ways: [{channel: console}]}
policies:
  crisis: {steps: [{to: [duty]}, {after: 5m, to: [ola]}], repeat_every: 15m}
  calm: {steps: [{to: [ola]}], repeat_every: 1h}
routes:
  duty: [{mode: crisis, severity: [critical], policy: crisis}, {policy: calm}]
  crisis_team: crisis
"""


def test_severity_and_mode_choose_the_policy(tmp_path: Path) -> None:
    who = load(tmp_path, POLICIES)
    assert who.route(alert(severity="critical")).name == "crisis"
    assert who.route(alert(severity="warning")).name == "calm"
    assert who.route(alert(severity="critical", incident="calm")).name == "calm"
    assert who.route(alert(to="crisis_team")).name == "crisis"
    assert who.route(alert(to="nobody_knows")).policy is None
    assert who.on_route("duty", T0) == ("kari", "ola")


def test_a_place_has_its_persons_name() -> None:
    assert people().name_of("webhook", "ola") == "Ola"
    assert people().name_of("webhook", "gone") == "webhook"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("people: {}\nroutes:\n  duty: [kari]\n" + REPEAT, r"people\.yaml:3: routes\.duty: names 'kari'"),
        ("people:\n  kari:\n    name: Kari\n    ways: []\n" + REPEAT, r"people\.yaml:4: people\.kari\.ways"),
        ("people:\n  kari:\n    contacts: []\n" + REPEAT, r"people\.yaml:3: .*needs at least one way"),
        (
            "people:\n  kari:\n    name: Kari\n    contacts:\n      - {channel: pigeon}\n" + REPEAT,
            r"people\.yaml:5: .*no channel is called 'pigeon'",
        ),
        (
            "people:\n  kari: {name: Kari, contacts: [{channel: email, target: kari}]}\n" + REPEAT,
            r"people\.yaml:2: .*needs an address",
        ),
        (
            "people: {k: {ways: [{channel: console}]}}\nroutes: {duty: [k]}\nrepeat_every: {critical: 5m}\n",
            r"people\.yaml:3: repeat_every: lacks warning, info",
        ),
        (POLICIES.replace("to: [ola]}]", "to: [per]}]"), r"people\.yaml:\d+: policies\.(crisis|calm): names 'per'"),
        (
            POLICIES.replace("crisis_team: crisis", "crisis_team: night"),
            r"routes\.crisis_team: names the policy 'night'",
        ),
        (POLICIES.replace("after: 5m", "after: 20m"), r"repeat_every must be longer than the last step's after"),
        (POLICIES + "brake: {pages: 0}\n", r"people\.yaml:11: brake\.pages"),
        (POLICIES + "inhibit: [{source: {}, target: {rule: x}}]\n", r"people\.yaml:11: .*at least one field"),
        (POLICIES + "roster: {duty: {zone: UTC, layers: [{who: per}]}}\n", r"people\.yaml:11: roster.*per"),
        ("repeat_every: {critical: 5, warning: 15m, info: 4h}\n", r"people\.yaml:1: repeat_every\.critical"),
        ("repeat_every: {critical: 0s, warning: 15m, info: 4h}\n", r"people\.yaml:1: repeat_every\.critical"),
        ("duty: kari\n" + REPEAT, r"people\.yaml:1: duty: no such setting"),
        ("- kari\n", r"people\.yaml:1: must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_canary_s_receiver_is_nobody_who_is_called_for_other_things(tmp_path: Path) -> None:
    text = (
        "people:\n"
        "  kari: {name: Kari, ways: [{channel: webhook, target: kari}]}\n"
        "  test: {name: Test, ways: [{channel: webhook, target: test}]}\n"
        "  console: {name: Konsoll, ways: [{channel: console}]}\n"
        "routes:\n"
        "  duty: [kari, console]\n"
        "  canary: [WHO]\n" + REPEAT
    )
    with pytest.raises(ConfigError, match=r"people.yaml:7: routes.canary: names 'kari', who is on another route too"):
        load(tmp_path, text.replace("WHO", "test, kari"))
    assert load(tmp_path, text.replace("WHO", "test")).canary(T0) == ("test",)
    assert load(tmp_path, text.replace("WHO", "console")).canary(T0) == ("console",)


def test_what_the_page_on_operation_shows_can_be_read(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "deploy" / "README.md").read_text(encoding="utf-8")
    shown = text.partition("## Who is paged")[2].partition("```yaml\n")[2].partition("```")[0]
    who = load(tmp_path, shown)
    assert who.route(alert(severity="critical")).name == "crisis"
    assert who.route(alert(severity="critical", incident="calm")).name == "quiet"
    assert who.on_route("duty", T0) == ("kari", "ola")
    assert who.quiet_until("kari", Severity.WARNING, T0.replace(hour=23)) == T0.replace(day=3, hour=7)
    assert who.quiet_until("kari", Severity.CRITICAL, T0.replace(hour=23)) is None
