"""people.yaml is edited while the dispatcher runs: what is good comes into force, what is bad changes nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from alerts.notify.dispatcher import Dispatcher
from alerts.notify.duty import DutyFollower
from alerts.notify.messages import load_all_messages
from alerts.notify.recipients import load_people
from alerts.notify.state import read_book
from listener.bus import hashchain
from listener.model.decisions import DECISIONS, Stand, Swap
from listener.settings.files import packaged_config
from tests.ops.dispatch_support import DispatchDeployment, idle, turn
from tests.unit.telling_support import T0

PEOPLE = """
people:
  kari: {language: en, roles: [duty], ways: [{channel: webhook, target: kari}]}
  ola: {ways: [{channel: webhook, target: ola}]}
roster:
  duty: {zone: UTC, layers: [{days: [mon, tue, wed, thu, fri, sat, sun], from: "00:00", to: "00:00", who: kari}]}
policies: {week: {steps: [{to: [duty]}], repeat_every: 7d}}
routes: {duty: week, ops: week}
grouping: {by: [alert]}
"""


class Running:
    """A dispatcher that follows a people.yaml of its own."""

    def __init__(self, its: DispatchDeployment, folder: Path) -> None:
        self.its, self.file = its, folder / "people.yaml"
        self.file.write_text(PEOPLE, encoding="utf-8")
        duty = DutyFollower(self.file, None, lambda: (load_people(self.file), its.channels()), T0)
        languages = load_all_messages(packaged_config())
        self.dispatcher: Dispatcher = its.dispatcher(load_people(self.file), duty=duty, languages=languages)

    def edit(self, old: str, new: str) -> None:
        """A file counts once it has stood still from one look to the next, two seconds later."""
        text = self.file.read_text(encoding="utf-8")
        assert old in text
        self.file.write_text(text.replace(old, new), encoding="utf-8")
        for _ in range(3):
            self.its.clock.advance(timedelta(seconds=3))
            idle(self.dispatcher, 2)

    def told(self, id_: str) -> str:
        """Whom a new alert is sent to."""
        before = len(self.its.hook.seen)
        self.its.fire(id_)
        turn(self.dispatcher, lambda: len(self.its.hook.seen) > before)
        return str(self.its.hook.seen[-1].json["to"])


@pytest.fixture
def running(deployment: DispatchDeployment, tmp_path: Path) -> Running:
    return Running(deployment, tmp_path)


def test_an_edit_counts_without_a_restart(running: Running) -> None:
    assert running.told("a1") == "kari"
    running.edit("who: kari", "who: ola")
    assert running.told("a2") == "ola"


def test_a_bad_edit_changes_nothing_and_ops_are_told(running: Running) -> None:
    running.edit("who: kari", "who: per")
    turn(running.dispatcher, lambda: running.its.hook.seen)
    (told,) = [call.json for call in running.its.hook.seen]
    assert told["rule"] == "lyttepost.people_bad"
    assert "people.yaml:" in str(told["text"])
    assert running.told("a1") == "kari"


def about(running: Running, rule: str) -> list[tuple[str, str]]:
    """The alerts about ourselves of that rule: condition and handling."""
    states = [s for s in read_book(running.its.bus).all() if s.alert.rule == f"lyttepost.{rule}"]
    return [(state.condition.value, state.handling.value) for state in states]


def test_what_ops_were_told_of_the_file_is_over_when_it_is_good_and_told_anew_when_it_is_bad_again(
    running: Running,
) -> None:
    running.edit("who: kari", "who: per")
    assert about(running, "people_bad") == [("firing", "open")]
    running.edit("who: per", "who: kari")
    assert about(running, "people_bad") == [("resolved", "open")]
    running.edit("who: kari", "who: per")
    assert about(running, "people_bad") == [("resolved", "open"), ("firing", "open")]


def test_an_empty_step_is_over_when_somebody_stands_there(running: Running) -> None:
    running.edit(", sun]", "]")
    running.its.fire("a1", severity="critical")
    idle(running.dispatcher)
    assert about(running, "empty_step") == [("firing", "open")]
    running.edit(", sat]", ", sat, sun]")
    assert about(running, "empty_step") == [("resolved", "open")]


def test_an_unknown_route_is_over_when_people_yaml_has_it(running: Running) -> None:
    running.its.fire("a1", to="night")
    idle(running.dispatcher)
    assert about(running, "unknown_route") == [("firing", "open")]
    running.edit("routes: {", "routes: {night: week, ")
    assert about(running, "unknown_route") == [("resolved", "open")]


def test_a_contact_that_failed_is_well_when_it_takes_something_or_is_gone(running: Running) -> None:
    running.its.hook.faults.append("404")
    running.its.fire("a1")
    turn(running.dispatcher, lambda: about(running, "contact_failed"))
    # Only once it is known that the next one was taken does time pass, which ends it.
    turn(running.dispatcher, lambda: "sent" in [outcome for _, to, outcome, _ in running.its.outcomes() if to])
    assert about(running, "contact_failed") == [("firing", "open")]
    running.its.clock.advance(timedelta(seconds=3))
    turn(running.dispatcher, lambda: about(running, "contact_failed") == [("resolved", "open")])


def test_a_swap_counts_from_when_it_was_decided(running: Running) -> None:
    assert running.told("a1") == "kari"
    halves = (("kari", "ola"), ("ola", "kari"))
    first, second = (
        Stand.model_validate({"from": T0, "to": T0 + timedelta(hours=8), "remove": remove, "add": add})
        for remove, add in halves
    )
    hashchain.append(running.its.bus, DECISIONS.name, Swap(at=T0, by="kari", overrides=(first, second)))
    running.its.clock.advance(timedelta(seconds=3))
    idle(running.dispatcher)
    assert running.told("a2") == "ola"
    running.its.clock.advance(timedelta(hours=9))
    assert running.told("a3") == "kari"


def test_each_is_written_to_in_their_own_language(running: Running) -> None:
    running.told("a1")
    running.edit("who: kari", "who: ola")
    running.told("a2")
    said = [str(call.json["headline"]) for call in running.its.hook.seen]
    assert [words.split()[0] for words in said] == ["Many", "Mange"]
