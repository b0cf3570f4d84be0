"""Several incidents at once: one word is sent once, and nobody is sent what a person has closed."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path

import forked
import pytest

from alerts.notify.answers import acknowledge_all
from alerts.notify.dispatcher import DOUBLES_WAIT, Dispatcher
from alerts.notify.state import Handling, read_book
from listener.bus import hashchain
from listener.model.decisions import DECISIONS
from listener.model.incidents import Action, Command
from listener.model.records import Sample, decode
from listener.runtime.control import Control
from tests.ops.dispatch_support import DispatchDeployment, idle, to, turn
from tests.unit.telling_support import T0, people

WHO = {"duty": ["kari"], "fallback": ["reserve"], "ops": ["ola"]}


def say(deployment: DispatchDeployment, action: Action, name: str = "", incident: str = "", **more: bool) -> str:
    command = Command(
        action=action, at=deployment.clock.now(), by="Nina", why="slukket", name=name, incident=incident, **more
    )
    return Control(deployment.bus).append(command).incidents[0]


def open_two(deployment: DispatchDeployment) -> tuple[str, str]:
    return say(deployment, Action.OPEN, "Brann"), say(deployment, Action.OPEN, "Ras")


def posts(*numbers: int) -> tuple[Sample, ...]:
    return tuple(Sample(key=f"x:{n}", digest=f"digest {n}") for n in numbers)


def fire(deployment: DispatchDeployment, id_: str, incident: str, name: str, *numbers: int, **more: object) -> None:
    deployment.fire(id_, incident=incident, incident_name=name, samples=posts(*numbers), posts=len(numbers), **more)


def settle(deployment: DispatchDeployment, dispatcher: Dispatcher) -> list[str]:
    """Turn until nothing is under way; the alerts that were mailed so far, in order."""
    idle(dispatcher, 2)
    deployment.clock.advance(DOUBLES_WAIT)
    idle(dispatcher, 4)
    while dispatcher._senders.busy:
        idle(dispatcher, 1)
    idle(dispatcher, 8)
    return [mail.text.rpartition("varsel ")[2].split("\n")[0].strip() for mail in deployment.smtp.seen]


def test_one_word_of_two_incidents_is_mailed_once_names_both_and_is_answered_once(
    deployment: DispatchDeployment,
) -> None:
    brann, ras = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1, 2)
    fire(deployment, "b1", ras, "Ras", 1, 2)
    assert settle(deployment, dispatcher) == ["a1"]
    assert "Brann, Ras (krise)" in deployment.smtp.seen[0].text
    to(deployment, minutes=5)
    assert settle(deployment, dispatcher) == ["a1", "a1"]
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "ser på det", deployment.clock.now())
    settle(deployment, dispatcher)
    double = read_book(deployment.bus).find("b1")
    assert double.handled is not None
    assert (double.handling, double.handled.by, double.handled.why) == (
        Handling.ACKNOWLEDGED, "Kari", "acknowledged as a1",
    )  # fmt: skip
    to(deployment, hours=3)
    assert settle(deployment, dispatcher) == ["a1", "a1"]
    hashchain.verify(deployment.records("decisions"))


def test_the_list_says_as_what_a_double_is_told(deployment: DispatchDeployment) -> None:
    brann, ras = open_two(deployment)
    fire(deployment, "a1", brann, "Brann", 1, 2)
    fire(deployment, "b1", ras, "Ras", 1, 2)

    def listed(*words: str) -> str:
        done = forked.command(("alerts", "--data", str(deployment.folder), *words), os.environ, Path.cwd(), 60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert {each["id"]: each["told_as"] for each in json.loads(listed("--json"))} == {"a1": None, "b1": "a1"}
    assert "open, sent as a1" in listed()


@pytest.mark.parametrize(
    ("numbers", "more"),
    [
        ((1, 3), {}),
        ((1, 2, 3), {}),
        ((), {}),
        ((1, 2), {"count": 28}),
        ((1, 2), {"rule": "other"}),
        ((1, 2), {"key": "wish"}),
        ((1, 2), {"to": "ops"}),
        ((1, 2), {"exercise": True}),
    ],
)
def test_what_says_anything_of_its_own_is_told_by_itself(
    deployment: DispatchDeployment, numbers: tuple[int, ...], more: dict[str, object]
) -> None:
    brann, ras = open_two(deployment)
    dispatcher = deployment.dispatcher(people({"duty": ["kari"], "ops": ["kari"]}))
    fire(deployment, "a1", brann, "Brann", 1, 2)
    fire(deployment, "b1", ras, "Ras", *numbers, **more)
    assert sorted(settle(deployment, dispatcher)) == ["a1", "b1"]


def test_with_several_incidents_open_a_new_alert_waits_a_second_for_the_others_and_alone_it_does_not(
    deployment: DispatchDeployment,
) -> None:
    brann = say(deployment, Action.OPEN, "Brann")
    say(deployment, Action.OPEN, "Prøve", exercise=True)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1)
    turn(dispatcher, lambda: len(deployment.smtp.seen) == 1)
    ras = say(deployment, Action.OPEN, "Ras")
    fire(deployment, "a2", brann, "Brann", 2)
    idle(dispatcher)
    assert len(deployment.smtp.seen) == 1
    fire(deployment, "b2", ras, "Ras", 2)
    settle(deployment, dispatcher)
    assert len(deployment.smtp.seen) == 2
    assert "Brann, Ras (krise)" in deployment.smtp.seen[1].text


def test_one_incident_says_the_same_again_and_is_told(deployment: DispatchDeployment) -> None:
    brann, _ = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1, 2)
    fire(deployment, "a2", brann, "Brann", 1, 2)
    assert sorted(settle(deployment, dispatcher)) == ["a1", "a2"]  # both are sent at once


def test_what_fires_after_the_answer_is_told_also_after_a_restart(deployment: DispatchDeployment) -> None:
    brann, ras = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1, 2)
    settle(deployment, dispatcher)
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", deployment.clock.now())
    to(deployment, seconds=30)
    dispatcher.close()
    fire(deployment, "b1", ras, "Ras", 1, 2)
    assert settle(deployment, deployment.dispatcher(people(WHO))) == ["a1", "b1"]


def test_closing_one_incident_leaves_the_others_word_to_be_told_by_itself(deployment: DispatchDeployment) -> None:
    brann, ras = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1, 2)
    fire(deployment, "b1", ras, "Ras", 1, 2)
    settle(deployment, dispatcher)
    to(deployment, minutes=1)
    say(deployment, Action.CLOSE, incident=brann)
    told = settle(deployment, dispatcher)
    assert (told.count("a1"), told.count("b1")) == (1, 1)
    assert [state.id for state in read_book(deployment.bus).open()] == ["b1"]


def test_closing_an_incident_closes_its_alerts_in_the_name_of_who_did_with_one_notice_to_each(
    deployment: DispatchDeployment,
) -> None:
    brann, _ = open_two(deployment)
    who = people({"duty": ["kari", "ola"], "crisis_team": ["reserve"]})
    dispatcher = deployment.dispatcher(who)
    for number in range(3):
        fire(deployment, f"a{number}", brann, "Brann", number, rule=f"rule_{number}")
    settle(deployment, dispatcher)
    assert len([to for to in deployment.told() if to != "reserve"]) == 6
    to(deployment, minutes=1)
    before = len(deployment.hook.seen)
    say(deployment, Action.CLOSE)
    settle(deployment, dispatcher)
    assert sorted(deployment.told()[3:4] + [str(call.json["to"]) for call in deployment.hook.seen[before:]]) == [
        "kari@sykehus.example", "ola", "reserve",
    ]  # fmt: skip
    subject = deployment.smtp.seen[-1].message["Subject"]
    assert subject == "[Brann, Ras] Hendelsen er avsluttet av Nina kl. 03.01"
    assert "Antall: 3" in deployment.smtp.seen[-1].text
    assert {call.json["rule"] for call in deployment.hook.seen[before:]} == {"lyttepost.incident_closed"}
    closed = [state for state in read_book(deployment.bus).all() if state.handling is Handling.CLOSED]
    assert {(s.id, s.handled.by, s.handled.why) for s in closed if s.handled} == {
        (f"a{n}", "Nina", "the incident was closed: slukket") for n in range(3)
    }
    hashchain.verify(deployment.records("decisions"))
    before = len(deployment.told())
    for hours in (1, 9):
        to(deployment, hours=hours)
        settle(deployment, dispatcher)
    dispatcher.close()
    settle(deployment, deployment.dispatcher(who))
    assert len(deployment.told()) == before == 6 + 2 + 3
    assert len([r for r in deployment.records("decisions") if decode(DECISIONS, r.value or b"").by == "Nina"]) == 3


def test_a_person_who_answered_first_keeps_the_answer_and_hears_no_notice(deployment: DispatchDeployment) -> None:
    brann, _ = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1)
    settle(deployment, dispatcher)
    acknowledge_all(deployment.bus, read_book(deployment.bus), ["a1"], "Kari", "", deployment.clock.now())
    say(deployment, Action.CLOSE)
    assert settle(deployment, dispatcher) == ["a1"]
    state = read_book(deployment.bus).find("a1")
    assert state.handled is not None
    assert (state.handling, state.handled.by) == (Handling.ACKNOWLEDGED, "Kari")


def test_what_fires_after_the_closing_is_told_until_it_is_heard_and_no_longer(deployment: DispatchDeployment) -> None:
    brann, _ = open_two(deployment)
    dispatcher = deployment.dispatcher(people(WHO))
    say(deployment, Action.CLOSE)
    to(deployment, seconds=2)
    deployment.smtp.faults.append("451")
    fire(deployment, "a1", brann, "Brann", 1)
    assert settle(deployment, dispatcher) == []
    assert read_book(deployment.bus).find("a1").handling is Handling.OPEN
    to(deployment, seconds=8)
    assert settle(deployment, dispatcher) == ["a1"]
    assert read_book(deployment.bus).find("a1").handling is Handling.CLOSED
    to(deployment, hours=1)
    assert settle(deployment, dispatcher) == ["a1"]


def test_trouble_with_telling_outlives_the_incident_in_which_it_was_found(deployment: DispatchDeployment) -> None:
    brann, _ = open_two(deployment)
    deployment.smtp.always = "550"
    dispatcher = deployment.dispatcher(people({"duty": ["kari"], "ops": ["ola"]}))
    fire(deployment, "a1", brann, "Brann", 1)
    settle(deployment, dispatcher)
    to(deployment, seconds=20)
    say(deployment, Action.CLOSE)
    settle(deployment, dispatcher)
    open_ = {state.alert.rule for state in read_book(deployment.bus).open()}
    assert "lyttepost.contact_failed" in open_
    assert "many_questions" not in open_


def test_an_exercise_and_a_real_incident_that_one_command_closed_have_a_notice_each(
    deployment: DispatchDeployment,
) -> None:
    brann, ovelse = say(deployment, Action.OPEN, "Brann"), say(deployment, Action.OPEN, "Prøve", exercise=True)
    dispatcher = deployment.dispatcher(people(WHO))
    fire(deployment, "a1", brann, "Brann", 1)
    fire(deployment, "b1", ovelse, "Prøve", 1, exercise=True)
    settle(deployment, dispatcher)
    to(deployment, minutes=1)
    say(deployment, Action.CLOSE)
    settle(deployment, dispatcher)
    assert sorted(str(mail.message["Subject"]) for mail in deployment.smtp.seen[2:]) == [
        "[Brann] Hendelsen er avsluttet av Nina kl. 03.01",
        "ØVELSE · [Prøve] Hendelsen er avsluttet av Nina kl. 03.01",
    ]


RULES = ("questions-take-over", "story-spreads", "new-hashtag", "volume", "rumour")


def storm(deployment: DispatchDeployment, incidents: dict[str, str], since: datetime) -> None:
    """Five rules say the same of both incidents, by standing tracks; one says something of one incident alone."""
    for number, rule in enumerate(RULES):
        for incident, name in incidents.items():
            fire(deployment, f"{number}-{name}", incident, name, number, number + 10, rule=rule, first_seen=since)
    fire(deployment, "own", list(incidents)[1], "Ras", 99, rule=RULES[0])


def test_a_storm_over_two_incidents_is_few_mails_and_loses_nothing(deployment: DispatchDeployment) -> None:
    brann, ras = open_two(deployment)
    dispatcher = deployment.dispatcher(people({"duty": ["kari"]}))
    storm(deployment, {brann: "Brann", ras: "Ras"}, T0)
    for minute in range(5):
        to(deployment, minutes=minute)
        mailed = settle(deployment, dispatcher)
    # Without grouping, 11 alerts were 11 mails.
    assert sorted(mailed) == [*(f"{number}-Brann" for number in range(5)), "own"]
    assert all("Brann, Ras (krise)" in mail.text for mail in deployment.smtp.seen if "varsel own" not in mail.text)
    told, book = set(mailed), read_book(deployment.bus)
    assert len(book.open()) == 11
    for state in book.open():
        assert state.id in told or f"{state.id[0]}-Brann" in told
    for number in range(5):
        acknowledge_all(
            deployment.bus, read_book(deployment.bus), [f"{number}-Brann"], "Kari", "", deployment.clock.now()
        )
    settle(deployment, dispatcher)
    assert [state.id for state in read_book(deployment.bus).open()] == ["own"]
    dispatcher.close()
    to(deployment, minutes=12)
    assert settle(deployment, deployment.dispatcher(people({"duty": ["kari"]})))[6:] == ["own"]
