"""Rules that are edited while they are at work: what stays loses nothing and says nothing twice, what is new knows its
past without firing for it, and what is bad changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rules_support import START, instant

from alerts.judge.reload import LOOK_SECONDS, Rulebook
from alerts.judge.restore import CHUNK
from alerts.judge.worker import Judging
from alerts.volumes.worker import Calm
from alerts.wiring import make_app
from listener.bus.hashchain import verify
from listener.bus.protocol import Bus, Message, Record, open_bus
from listener.bus.scan import scan_records
from listener.clock import ManualClock
from listener.model.incidents import Action, Command
from listener.model.records import Cue, Finding, Gap, Kind, Tick, encode
from listener.runtime.control import Control
from listener.settings.schema import Settings

KEPT = """\
- {name: kept, type: frequency, why: stays as it is, timeframe: 60s, num_events: 12, query_key: kind, realert: 2m}
- {name: talk, type: new_term, why: stays as it is, fields: hashtag, timeframe: 60s, num_events: 3, realert: 1m}
"""
EDITED = "- {{name: edited, type: frequency, why: is edited at work, timeframe: 60s, num_events: {0}, realert: 1m}}\n"
ADDED = "- {name: added, type: frequency, why: was not there, timeframe: 20m, num_events: 400, realert: 1h}\n"
EVERY = "- {name: every, type: any, why: was not there, realert: 0s, query_key: story}\n"
POSTS = 1200
KINDS = (Kind.WISH, Kind.QUESTION, Kind.RUMOUR)


def messages(incident: str) -> list[Message]:
    """Ten minutes and more of an incident: two posts a second in waves, some late, and ticks."""
    out = []
    for number in range(POSTS):
        at = START + timedelta(seconds=number * 0.5 - (30 if number % 97 == 0 else number % 7))
        finding = Finding(
            source="x", id=f"{number:05}", at=at, captured_at=at, text="x", incident=incident,
            author=f"a{number % 50}", story=f"s{number // 20}",
            hashtags=(f"h{number // 150}",) if number % 9 == 0 else (), cues=(Cue(kind=KINDS[number // 90 % 3]),),
        )  # fmt: skip
        out.append(Message("findings", finding.key, encode(finding)))
        if number % 4 == 3:
            tick = Tick(source="x", until=START + timedelta(seconds=number * 0.5), partition=0)
            out.append(Message("findings", "x:tick", encode(tick)))
        if number == 300:
            gap = Gap(id="g", source="x", start=instant(148), end=instant(151), cause="lost", partition=0)
            out.append(Message("findings", "x:gap", encode(gap)))
    return out


class JudgeDeployment:
    """One bus with an incident, one judging worker, one file of rules."""

    def __init__(self, folder: Path, rules: str) -> None:
        self.folder = folder / "rules"
        self.folder.mkdir(parents=True)
        self.write(rules)
        self.clock = ManualClock(START)
        self.bus: Bus = open_bus("embedded:", folder, self.clock, durable=False)
        self.house = make_app(Settings(), folder, self.bus, self.clock, "alerts")
        said = Command(action=Action.OPEN, at=START, by="p", why="p", name="Brann")
        self.incident = Control(self.bus).append(said).incidents[0]
        self.messages = messages(self.incident)
        self.judging = self.start()

    def start(self) -> Judging:
        self.part = self.house.health.part("judge")
        book = Rulebook(self.folder)
        return Judging(
            self.bus, book.rules, rulebook=book, clock=self.clock, metrics=self.house.metrics, part=self.part
        )  # fmt: skip

    def restart(self) -> None:
        self.judging.close()
        self.judging = self.start()

    def write(self, text: str, name: str = "rules.yaml") -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def edit(self, text: str) -> None:
        """A change of the file, seen when it has stood still."""
        self.write(text)
        self.look()

    def look(self) -> None:
        for _ in range(2):
            self.clock.advance(timedelta(seconds=LOOK_SECONDS))
            self.judging.step(0.0)
        self.drain()

    def play(self, start: int, stop: int) -> None:
        self.bus.publish(self.messages[start:stop])
        self.drain()

    def drain(self) -> None:
        while self.judging.step(0.0):
            pass

    def records(self, topic: str) -> list[Record]:
        return list(scan_records(self.bus, [topic]))

    def alerts(self, *rules: str) -> list[dict[str, Any]]:
        said = [json.loads(record.value or b"") for record in self.records("alerts")]
        return [alert for alert in said if not rules or alert["rule"] in rules]

    def decisions(self) -> list[dict[str, Any]]:
        verify(self.records("decisions"))
        return [json.loads(record.value or b"") for record in self.records("decisions")]

    def metric(self, name: str) -> float:
        value = self.house.metrics.registry.get_sample_value(name)
        assert value is not None
        return value


@pytest.fixture
def house(tmp_path: Path) -> Iterator[JudgeDeployment]:
    made = JudgeDeployment(tmp_path / "edited", KEPT + EDITED.format(1000))
    yield made
    made.judging.close()
    made.bus.close()


@pytest.fixture
def undisturbed(tmp_path: Path) -> Iterator[JudgeDeployment]:
    made = JudgeDeployment(tmp_path / "undisturbed", KEPT + EDITED.format(1000))
    made.play(0, len(made.messages))
    yield made
    made.judging.close()
    made.bus.close()


def test_a_rule_that_stays_as_it_was_loses_nothing_and_says_nothing_twice(
    house: JudgeDeployment, undisturbed: JudgeDeployment
) -> None:
    texts = [EDITED.format(20), "- {nonsense", EDITED.format(20), ADDED, EVERY + ADDED, EDITED.format(7)]
    step = len(house.messages) // (len(texts) + 1)
    for number, text in enumerate(texts):
        house.play(number * step, (number + 1) * step)
        house.edit(KEPT + text)
    house.play(len(texts) * step, len(house.messages))
    kept = undisturbed.alerts("kept", "talk")
    assert len(kept) > 10
    assert house.alerts("kept", "talk") == kept
    ids = [alert["id"] for alert in house.alerts() if alert["event"] == "fired"]
    assert len(ids) == len(set(ids))
    assert house.alerts("edited")
    assert house.alerts("every")


def test_a_new_rule_knows_its_past_and_does_not_fire_for_it(house: JudgeDeployment) -> None:
    house.play(0, 750)
    house.edit(KEPT + ADDED + EVERY)
    assert house.alerts("added", "every") == []
    house.play(750, len(house.messages))
    fired = house.alerts("added")[0]
    assert fired["event"] == "fired"
    assert fired["count"] >= 400, "most of these were heard before the rule was there"
    assert instant(287) < datetime.fromisoformat(fired["at"]) < instant(330), "at the first post after it was there"
    posts = [json.loads(m.value or b"") for m in house.messages[:750]]
    old = {post["at"] for post in posts if post["type"] == "finding"}
    assert not old & {alert["at"] for alert in house.alerts("every")}


def test_a_longer_window_reaches_behind_what_the_old_rules_still_needed(tmp_path: Path) -> None:
    house = JudgeDeployment(
        tmp_path, "- {name: short, type: frequency, why: a short window, timeframe: 5s, num_events: 900}\n"
    )
    incident = house.incident
    seconds = 5000
    ticks = [Tick(source="x", until=instant(second), partition=0) for second in range(seconds)]
    many = [Message("findings", "x:tick", encode(tick)) for tick in ticks]
    for second in (10, 3000, 3100, 4900):
        post = Finding(
            source="x", id=str(second), at=instant(second), captured_at=instant(second), text="x", incident=incident,
            story="s",
        )  # fmt: skip
        many.insert(second + 1, Message("findings", post.key, encode(post)))
    assert len(many) > CHUNK
    house.bus.publish(many)
    house.drain()
    long = "- {name: long, type: frequency, why: a long window, timeframe: 40m, num_events: 4, realert: 1h}\n"
    house.edit(long)
    last = Finding(
        source="x", id="last", at=instant(5001), captured_at=instant(5001), text="x", incident=incident, story="s"
    )  # fmt: skip
    house.bus.publish([Message("findings", last.key, encode(last))])
    house.bus.publish([Message("findings", "x:tick", encode(Tick(source="x", until=instant(5020), partition=0)))])
    house.drain()
    assert [(alert["event"], alert["count"]) for alert in house.alerts("long")] == [("fired", 4)]
    house.judging.close()
    house.bus.close()


def test_an_edit_is_written_down_with_who_and_what(house: JudgeDeployment) -> None:
    house.play(0, 100)
    house.edit(KEPT.replace("num_events: 3", "num_events: 4") + ADDED)
    first, decision = house.decisions()
    assert first["why"].startswith("found at the start: kept, talk, edited")
    assert decision["kind"] == "rules_changed"
    assert decision["by"] == (house.folder / "rules.yaml").owner()
    for word in ("added: added", "changed: talk", "removed: edited"):
        assert word in decision["why"]


def test_an_edit_that_was_made_while_nothing_was_at_work_is_written_down_at_the_start(house: JudgeDeployment) -> None:
    house.drain()
    house.restart()
    house.drain()
    assert len(house.decisions()) == 1, "nothing had changed"
    house.write(KEPT)
    house.restart()
    house.drain()
    assert house.decisions()[-1]["why"].startswith("found at the start: kept, talk (")


def test_an_edit_of_words_that_say_the_same_changes_nothing(house: JudgeDeployment) -> None:
    house.edit("# a remark\n" + KEPT + EDITED.format(1000))
    assert len(house.decisions()) == 1
    assert house.alerts() == []
    assert house.metric("lyttepost_rules_last_reload_successful") == 1


def test_bad_rules_page_ops_once_and_the_old_ones_hold(house: JudgeDeployment) -> None:
    house.play(0, 200)
    house.edit(KEPT + EDITED.format("'mange'"))
    house.edit("- {still bad")
    house.look()
    (paged,) = house.alerts("lyttepost.rules_bad")
    assert (paged["event"], paged["to"], paged["severity"]) == ("fired", "ops", "critical")
    assert house.metric("lyttepost_rules_last_reload_successful") == 0
    assert house.part.unready() is None, "it does its job, by the old rules"
    assert len(house.decisions()) == 1
    house.play(200, 600)
    assert house.alerts("kept")
    house.edit(KEPT + EDITED.format(20))
    assert [alert["event"] for alert in house.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]
    assert house.metric("lyttepost_rules_last_reload_successful") == 1
    assert "changed: edited" in house.decisions()[1]["why"]


def test_rules_that_break_their_own_examples_are_bad(house: JudgeDeployment) -> None:
    example = "{name: one post, findings: [{}], alerts: [{event: fired}]}"
    house.edit(KEPT + EDITED.format(20).replace("realert: 1m", f"examples: [{example}]"))
    assert [alert["event"] for alert in house.alerts("lyttepost.rules_bad")] == ["fired"]


def test_files_that_are_gone_are_bad(house: JudgeDeployment) -> None:
    (house.folder / "rules.yaml").unlink()
    house.look()
    assert len(house.alerts("lyttepost.rules_bad")) == 1
    house.write(KEPT + EDITED.format(1000))
    house.look()
    assert [alert["event"] for alert in house.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]
    assert len(house.decisions()) == 1


def test_a_page_about_bad_rules_ends_with_a_restart_on_good_ones(house: JudgeDeployment) -> None:
    house.edit("- {bad")
    house.write(KEPT)
    house.restart()
    house.drain()
    house.judging.step(0.0)
    assert [alert["event"] for alert in house.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]


def test_a_file_that_is_still_being_written_is_left_until_it_stands_still(house: JudgeDeployment) -> None:
    whole = KEPT + EDITED.format(20)
    for length in range(0, len(whole), 60):
        house.write(whole[:length])
        house.clock.advance(timedelta(seconds=LOOK_SECONDS))
        house.judging.step(0.0)
    assert house.alerts() == []
    house.edit(whole)
    assert len(house.decisions()) == 2


def test_a_second_worker_does_not_write_the_same_edit_down_again(house: JudgeDeployment) -> None:
    house.judging.step(0.0)
    book = Rulebook(house.folder)
    second = Judging(
        house.bus,
        book.rules,
        rulebook=book,
        clock=house.clock,
        metrics=house.house.metrics,
        part=house.part,
        member="second",
    )
    second.step(0.0)
    house.edit(KEPT + EDITED.format(20))
    house.judging, first = second, house.judging
    house.look()
    assert len(house.decisions()) == 2
    assert [rule.name for rule in book.rules if rule.name == "edited" and rule.num_events == 20]  # type: ignore[attr-defined]
    first.close()


def test_an_edit_before_the_first_record_is_in_force_for_it(house: JudgeDeployment) -> None:
    house.edit(EVERY)
    house.play(0, 10)
    assert house.alerts("every")


def test_an_alert_that_has_stood_for_hours_outlives_a_restart(tmp_path: Path) -> None:
    rule = "- {name: long, type: frequency, why: stands for hours, timeframe: 60s, num_events: 3, realert: 1m}\n"
    house = JudgeDeployment(tmp_path, rule)

    def play(start: int, stop: int) -> None:
        for second in range(start, stop, 10):
            post = Finding(
                source="x", id=f"{second:05}", at=instant(second), captured_at=instant(second), text="x", story="s",
                incident=house.incident,
            )  # fmt: skip
            tick = Tick(source="x", until=instant(second), partition=0)
            house.bus.publish(
                [Message("findings", post.key, encode(post)), Message("findings", "x:tick", encode(tick))]
            )
        house.drain()

    play(0, 7200)
    house.restart()
    play(7200, 7400)
    assert [alert["event"] for alert in house.alerts()] == ["fired"]
    house.bus.publish([Message("findings", "x:tick", encode(Tick(source="x", until=instant(7600), partition=0)))])
    house.drain()
    assert [alert["event"] for alert in house.alerts()] == ["fired", "resolved"]
    house.judging.close()
    house.bus.close()


def test_rules_for_calm_come_into_force_once_judging_has_taken_them(house: JudgeDeployment) -> None:
    book = Rulebook(house.folder)
    parts = house.house
    calm = Calm(
        house.bus, book.rules, rulebook=book, clock=house.clock, metrics=parts.metrics, part=parts.health.part("calm")
    )  # fmt: skip
    calm.step(0.0)
    house.write(KEPT + "- {name: loud, type: burst, why: so loud for this hour}\n")
    house.judging.close()
    house.judging = Judging(
        house.bus, book.rules, rulebook=book, clock=house.clock, metrics=parts.metrics, part=house.part
    )  # fmt: skip
    calm.step(0.0)
    failures = {"rule": "loud"}
    assert parts.metrics.registry.get_sample_value("lyttepost_rule_failures_total", failures) is None
    house.look()
    calm.step(0.0)
    calm.close()
    assert parts.metrics.registry.get_sample_value("lyttepost_rule_failures_total", failures) == 0
