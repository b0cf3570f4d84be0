"""What the crisis team is told of the incidents themselves: by the dispatcher, on a real bus, with real far ends."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from alerts.notify.answers import acknowledge_all
from alerts.notify.dispatcher import LEASE_SECONDS, Dispatcher
from alerts.notify.state import Handling, read_book
from listener.clock import ManualClock
from listener.model.incidents import Action, Command
from listener.runtime.control import Control
from listener.runtime.ops_alerts import OpsAlerts
from listener.settings.files import packaged_config
from tests.ops.dispatch_support import DispatchDeployment, idle, to
from tests.unit.telling_support import T0, people

WHO = {"duty": ["kari"], "crisis_team": ["ola"], "fallback": ["reserve"]}
HOURS = 3600.0


def say(deployment: DispatchDeployment, action: Action, name: str = "", incident: str = "", **more: object) -> str:
    command = Command(
        action=action, at=deployment.clock.now(), by="Nina", why="røyk", name=name, incident=incident,
        review_after=4 * HOURS, **more,  # type: ignore[arg-type]
    )  # fmt: skip
    return Control(deployment.bus).append(command).incidents[0]


def told(deployment: DispatchDeployment, dispatcher: Dispatcher, rule: str = "") -> list[tuple[str, str]]:
    """Turn until nothing is under way: to whom each webhook went, and its headline."""
    idle(dispatcher, 2)
    deployment.clock.advance(timedelta(seconds=1))
    idle(dispatcher, 4)
    while dispatcher._senders.busy:
        idle(dispatcher, 1)
    idle(dispatcher, 6)
    seen = [call.json for call in deployment.hook.seen]
    return [(str(each["to"]), str(each["headline"])) for each in seen if not rule or each["rule"] == rule]


ASKED = "Er det fortsatt krise? Ja: lyttepost mode review --why GRUNN. Nei: lyttepost mode calm --why GRUNN"
DUE = "lyttepost.review_due"


def test_the_crisis_team_is_told_once_that_an_incident_was_opened_and_once_that_it_was_closed(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = deployment.dispatcher(people(WHO))
    say(deployment, Action.OPEN, "Brann")
    opened = ("ola", "Hendelsen er åpnet av Nina kl. 03.00")
    assert told(deployment, dispatcher) == [opened]
    to(deployment, minutes=30)
    say(deployment, Action.CLOSE)
    closed = ("ola", "Hendelsen er avsluttet av Nina kl. 03.30")
    assert told(deployment, dispatcher) == [opened, closed]
    assert "Antall" not in deployment.hook.seen[1].json["text"]  # no alert was open
    dispatcher.close()
    to(deployment, minutes=40)
    assert told(deployment, deployment.dispatcher(people(WHO))) == [opened, closed]
    assert read_book(deployment.bus).open() == []
    assert deployment.smtp.seen == []


def test_who_was_called_and_is_on_the_crisis_team_hears_once_that_it_was_closed(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"duty": ["ola", "kari"], "crisis_team": ["ola", "reserve"]}))
    brann = say(deployment, Action.OPEN, "Brann")
    deployment.fire("a1", incident=brann, incident_name="Brann")
    told(deployment, dispatcher)
    to(deployment, minutes=2)
    say(deployment, Action.CLOSE)
    closing = told(deployment, dispatcher, "lyttepost.incident_closed")
    assert sorted(to for to, _ in closing) == ["ola", "reserve"]
    assert "Antall: 1" in deployment.hook.seen[-1].json["text"]
    assert str(deployment.smtp.seen[-1].message["Subject"]).endswith("avsluttet av Nina kl. 03.02")


def test_a_notice_is_not_urgent_and_says_exercise(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people({"crisis_team": ["kari"]}))
    say(deployment, Action.OPEN, "Prøve", exercise=True)
    told(deployment, dispatcher)
    (mail,) = deployment.smtp.seen
    assert str(mail.message["Subject"]) == "ØVELSE · [Prøve] Hendelsen er åpnet av Nina kl. 03.00"
    assert "røyk" not in mail.text  # a reason is a person's own words


def test_what_was_opened_long_before_this_process_is_no_news(deployment: DispatchDeployment) -> None:
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=2)
    assert told(deployment, deployment.dispatcher(people(WHO))) == []


def test_the_review_rings_when_it_is_due_and_again_each_time_until_somebody_reviews(
    deployment: DispatchDeployment,
) -> None:
    dispatcher = deployment.dispatcher(people(WHO, repeat="7d"))
    brann = say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=3.9)
    assert told(deployment, dispatcher, DUE) == []
    to(deployment, hours=4)
    assert told(deployment, dispatcher, DUE) == [("ola", ASKED)]
    (asked,) = [call.json for call in deployment.hook.seen if call.json["rule"] == DUE]
    assert (asked["incident"], asked["incident_name"], asked["severity"]) == (brann, "Brann", "warning")
    to(deployment, hours=8)
    assert told(deployment, dispatcher, DUE) == [("ola", ASKED)] * 2
    first, second = [state for state in read_book(deployment.bus).all() if state.alert.rule == DUE]
    assert (first.handling, second.handling) == (Handling.CLOSED, Handling.OPEN)
    to(deployment, hours=9)
    say(deployment, Action.REVIEW)
    assert told(deployment, dispatcher, DUE) == [("ola", ASKED)] * 2
    state = read_book(deployment.bus).get(second.id)
    assert state is not None
    assert state.handled is not None
    assert (state.handling, state.handled.by, state.handled.why) == (Handling.CLOSED, "Nina", "it was reviewed: røyk")
    to(deployment, hours=12.9)
    assert len(told(deployment, dispatcher, DUE)) == 2
    to(deployment, hours=13)
    assert len(told(deployment, dispatcher, DUE)) == 3


def test_an_acknowledged_review_that_nobody_did_is_asked_for_again(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people(WHO, repeat="7d"))
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    told(deployment, dispatcher)
    (asked,) = read_book(deployment.bus).open()
    acknowledge_all(deployment.bus, read_book(deployment.bus), [asked.id], "Ola", "", deployment.clock.now())
    to(deployment, hours=7.9)
    assert len(told(deployment, dispatcher, DUE)) == 1
    to(deployment, hours=8)
    assert len(told(deployment, dispatcher, DUE)) == 2


def test_each_time_is_asked_for_once_whoever_sends_and_however_often_it_restarts(
    deployment: DispatchDeployment,
) -> None:
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=4)
    who = people(WHO, repeat="7d")
    for restart in range(3):
        dispatcher = deployment.dispatcher(who, holder=f"process {restart}")
        assert len(told(deployment, dispatcher, DUE)) == 1
        if restart == 1:
            deployment.clock.advance(timedelta(seconds=LEASE_SECONDS + 1))  # killed: it lets nothing go
        else:
            dispatcher.close()
    fired = [record for record in deployment.records("alerts") if b"review_due" in (record.value or b"")]
    assert len(fired) == 1


def test_after_a_long_downtime_only_the_newest_time_is_asked_for(deployment: DispatchDeployment) -> None:
    say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=17)
    dispatcher = deployment.dispatcher(people(WHO, repeat="7d"))
    assert len(told(deployment, dispatcher, DUE)) == 1
    (asked,) = read_book(deployment.bus).open()
    assert asked.alert.first_seen == T0 + timedelta(hours=16)


@pytest.mark.parametrize("word", ["change", "close"])
def test_a_change_or_the_end_of_the_incident_answers_the_review(deployment: DispatchDeployment, word: str) -> None:
    dispatcher = deployment.dispatcher(people(WHO, repeat="7d"))
    brann = say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=5)
    told(deployment, dispatcher)
    say(deployment, Action(word), incident=brann, add=("ild",))
    told(deployment, dispatcher)
    (asked,) = [state for state in read_book(deployment.bus).all() if state.alert.rule == DUE]
    assert (asked.handling, asked.handled and asked.handled.by) == (Handling.CLOSED, "Nina")
    to(deployment, hours=8.5)
    assert len(told(deployment, dispatcher, DUE)) == 1


def test_with_several_incidents_open_the_command_names_which(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people(WHO, repeat="7d"))
    brann = say(deployment, Action.OPEN, "Brann")
    to(deployment, hours=2)
    say(deployment, Action.OPEN, "Ras")
    to(deployment, hours=4)
    ((_, headline),) = told(deployment, dispatcher, DUE)
    assert headline == ASKED.replace("review", f"review --incident {brann}").replace("calm", f"calm --incident {brann}")
    say(deployment, Action.REVIEW, incident=brann)
    to(deployment, hours=6)
    assert len(told(deployment, dispatcher, DUE)) == 2


def test_an_incident_without_a_timer_never_rings(deployment: DispatchDeployment) -> None:
    dispatcher = deployment.dispatcher(people(WHO))
    command = Command(action=Action.OPEN, at=T0, by="Nina", why="røyk", name="Brann")
    Control(deployment.bus).append(command)
    to(deployment, hours=400)
    assert told(deployment, dispatcher, DUE) == []


def test_a_configuration_of_an_older_version_has_the_text_that_came_with_the_program(tmp_path: Path) -> None:
    shutil.copytree(packaged_config(), tmp_path / "config")
    for language in ("nb", "en"):
        path = tmp_path / "config" / "messages" / f"{language}.yaml"
        path.write_text(path.read_text(encoding="utf-8").partition("  review_due:")[0], encoding="utf-8")
    clock = ManualClock(T0)
    made = OpsAlerts.load(tmp_path / "config").alert("review_due", "b", T0, clock.now(), words={"which": ""})
    assert made.headline["en"].startswith("Is it still a crisis? Yes: lyttepost mode review --why REASON.")
