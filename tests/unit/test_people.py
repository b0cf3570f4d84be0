"""Who is told: never nobody; and a file that is strict about its mistakes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alerts.notify.recipients import LAST_RESORT, Why, load_people
from listener.errors import ConfigError
from listener.model.records import Severity
from listener.settings.files import packaged_config
from tests.unit.telling_support import people

REPEAT = "repeat_every: {critical: 5m, warning: 15m, info: 4h}\n"


def load(tmp_path: Path, text: str):
    (tmp_path / "people.yaml").write_text(text, encoding="utf-8")
    return load_people(tmp_path / "people.yaml")


def test_the_shipped_people_need_no_account_and_reach_the_console() -> None:
    shipped = load_people(packaged_config() / "people.yaml")
    assert shipped.channels() == {"console"}
    for route in ("duty", "crisis_team", "ops", "fallback"):
        first = shipped.tiers(route)[0]
        assert (first.why, [contact.channel for contact in first.contacts]) == (Why.ROUTE, ["console"])
    assert shipped.canary() == ()
    assert shipped.repeat_every[Severity.CRITICAL] == timedelta(minutes=5)


def test_a_route_goes_first_to_its_people_then_to_the_fallback_then_to_the_console() -> None:
    tiers = people().tiers("duty")
    assert [[contact.person for contact in tier.contacts] for tier in tiers] == [
        ["Kari", "Ola"],
        ["Reserve"],
        [LAST_RESORT.person],
    ]
    assert [tier.why for tier in tiers] == [Why.ROUTE, Why.ALL_FAILED, Why.ALL_FAILED]


@pytest.mark.parametrize("routes", [{}, {"duty": []}, {"duty": [], "fallback": []}])
def test_nobody_is_never_the_answer(routes: dict[str, list[str]]) -> None:
    (only,) = people(routes).tiers("duty")
    assert only.contacts == (LAST_RESORT,)
    assert only.why is (Why.EMPTY_ROUTE if "duty" in routes else Why.UNKNOWN_ROUTE)


def test_a_place_has_its_persons_name() -> None:
    assert people().name_of("webhook", "ola") == "Ola"
    assert people().name_of("webhook", "gone") == "webhook"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("people: {}\nroutes:\n  duty: [kari]\n" + REPEAT, r"people\.yaml:3: routes\.duty: names 'kari'"),
        ("people:\n  kari:\n    name: Kari\n    contacts: []\n" + REPEAT, r"people\.yaml:4: people\.kari\.contacts"),
        (
            "people:\n  kari:\n    name: Kari\n    contacts:\n      - {channel: pigeon}\n" + REPEAT,
            r"people\.yaml:5: .*no channel is called 'pigeon'",
        ),
        (
            "people:\n  kari: {name: Kari, contacts: [{channel: email, target: kari}]}\n" + REPEAT,
            r"people\.yaml:2: .*needs an address",
        ),
        ("routes: {}\nrepeat_every: {critical: 5m}\n", r"people\.yaml:2: repeat_every: lacks warning, info"),
        ("repeat_every: {critical: 5, warning: 15m, info: 4h}\n", r"people\.yaml:1: repeat_every\.critical"),
        ("repeat_every: {critical: 0s, warning: 15m, info: 4h}\n", r"people\.yaml:1: repeat_every\.critical"),
        ("duty: kari\n" + REPEAT, r"people\.yaml:1: duty: no such setting"),
        ("- kari\n", r"people\.yaml:1: must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)
