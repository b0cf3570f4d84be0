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
        self.app = make_app(Settings(), folder, self.bus, self.clock, "alerts")
        said = Command(action=Action.OPEN, at=START, by="p", why="p", name="Brann")
        self.incident = Control(self.bus).append(said).incidents[0]
        self.messages = messages(self.incident)
        self.judging = self.start()

    def start(self) -> Judging:
        self.part = self.app.health.part("judge")
        book = Rulebook(self.folder)
        return Judging(
            self.bus, book.rules, rulebook=book, clock=self.clock, metrics=self.app.metrics, part=self.part
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
        """Without what was told early, which is said again when it is settled."""
        said = [json.loads(record.value or b"") for record in self.records("alerts")]
        its = (alert for alert in said if alert.get("settled", True))
        return [alert for alert in its if not rules or alert["rule"] in rules]

    def decisions(self) -> list[dict[str, Any]]:
        verify(self.records("decisions"))
        return [json.loads(record.value or b"") for record in self.records("decisions")]

    def metric(self, name: str) -> float:
        value = self.app.metrics.registry.get_sample_value(name)
        assert value is not None
        return value


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[JudgeDeployment]:
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
    deployment: JudgeDeployment, undisturbed: JudgeDeployment
) -> None:
    texts = [EDITED.format(20), "- {nonsense", EDITED.format(20), ADDED, EVERY + ADDED, EDITED.format(7)]
    step = len(deployment.messages) // (len(texts) + 1)
    for number, text in enumerate(texts):
        deployment.play(number * step, (number + 1) * step)
        deployment.edit(KEPT + text)
    deployment.play(len(texts) * step, len(deployment.messages))
    kept = undisturbed.alerts("kept", "talk")
    assert len(kept) > 10
    assert deployment.alerts("kept", "talk") == kept
    ids = [alert["id"] for alert in deployment.alerts() if alert["event"] == "fired"]
    assert len(ids) == len(set(ids))
    assert deployment.alerts("edited")
    assert deployment.alerts("every")


def test_a_new_rule_knows_its_past_and_does_not_fire_for_it(deployment: JudgeDeployment) -> None:
    deployment.play(0, 750)
    deployment.edit(KEPT + ADDED + EVERY)
    assert deployment.alerts("added", "every") == []
    deployment.play(750, len(deployment.messages))
    fired = deployment.alerts("added")[0]
    assert fired["event"] == "fired"
    assert fired["count"] >= 400, "most of these were heard before the rule was there"
    assert instant(287) < datetime.fromisoformat(fired["at"]) < instant(330), "at the first post after it was there"
    posts = [json.loads(m.value or b"") for m in deployment.messages[:750]]
    old = {post["at"] for post in posts if post["type"] == "finding"}
    assert not old & {alert["at"] for alert in deployment.alerts("every")}


def test_a_longer_window_reaches_behind_what_the_old_rules_still_needed(tmp_path: Path) -> None:
    deployment = JudgeDeployment(
        tmp_path, "- {name: short, type: frequency, why: a short window, timeframe: 5s, num_events: 900}\n"
    )
    incident = deployment.incident
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
    deployment.bus.publish(many)
    deployment.drain()
    long = "- {name: long, type: frequency, why: a long window, timeframe: 40m, num_events: 4, realert: 1h}\n"
    deployment.edit(long)
    last = Finding(
        source="x", id="last", at=instant(5001), captured_at=instant(5001), text="x", incident=incident, story="s"
    )  # fmt: skip
    deployment.bus.publish([Message("findings", last.key, encode(last))])
    deployment.bus.publish([Message("findings", "x:tick", encode(Tick(source="x", until=instant(5020), partition=0)))])
    deployment.drain()
    assert [(alert["event"], alert["count"]) for alert in deployment.alerts("long")] == [("fired", 4)]
    deployment.judging.close()
    deployment.bus.close()


def test_an_edit_is_written_down_with_who_and_what(deployment: JudgeDeployment) -> None:
    deployment.play(0, 100)
    deployment.edit(KEPT.replace("num_events: 3", "num_events: 4") + ADDED)
    first, decision = deployment.decisions()
    assert first["why"].startswith("found at the start: kept, talk, edited")
    assert decision["kind"] == "rules_changed"
    assert decision["by"] == (deployment.folder / "rules.yaml").owner()
    for word in ("added: added", "changed: talk", "removed: edited"):
        assert word in decision["why"]


def test_an_edit_that_was_made_while_nothing_was_at_work_is_written_down_at_the_start(
    deployment: JudgeDeployment,
) -> None:
    deployment.drain()
    deployment.restart()
    deployment.drain()
    assert len(deployment.decisions()) == 1, "nothing had changed"
    deployment.write(KEPT)
    deployment.restart()
    deployment.drain()
    assert deployment.decisions()[-1]["why"].startswith("found at the start: kept, talk (")


def test_an_edit_of_words_that_say_the_same_changes_nothing(deployment: JudgeDeployment) -> None:
    deployment.edit("# a remark\n" + KEPT + EDITED.format(1000))
    assert len(deployment.decisions()) == 1
    assert deployment.alerts() == []
    assert deployment.metric("lyttepost_rules_last_reload_successful") == 1


def test_bad_rules_page_ops_once_and_the_old_ones_hold(deployment: JudgeDeployment) -> None:
    deployment.play(0, 200)
    deployment.edit(KEPT + EDITED.format("'mange'"))
    deployment.edit("- {still bad")
    deployment.look()
    (paged,) = deployment.alerts("lyttepost.rules_bad")
    assert (paged["event"], paged["to"], paged["severity"]) == ("fired", "ops", "critical")
    assert deployment.metric("lyttepost_rules_last_reload_successful") == 0
    assert deployment.part.unready() is None, "it does its job, by the old rules"
    assert len(deployment.decisions()) == 1
    deployment.play(200, 600)
    assert deployment.alerts("kept")
    deployment.edit(KEPT + EDITED.format(20))
    assert [alert["event"] for alert in deployment.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]
    assert deployment.metric("lyttepost_rules_last_reload_successful") == 1
    assert "changed: edited" in deployment.decisions()[1]["why"]


def test_rules_that_break_their_own_examples_are_bad(deployment: JudgeDeployment) -> None:
    example = "{name: one post, findings: [{}], alerts: [{event: fired}]}"
    deployment.edit(KEPT + EDITED.format(20).replace("realert: 1m", f"examples: [{example}]"))
    assert [alert["event"] for alert in deployment.alerts("lyttepost.rules_bad")] == ["fired"]


def test_files_that_are_gone_are_bad(deployment: JudgeDeployment) -> None:
    (deployment.folder / "rules.yaml").unlink()
    deployment.look()
    assert len(deployment.alerts("lyttepost.rules_bad")) == 1
    deployment.write(KEPT + EDITED.format(1000))
    deployment.look()
    assert [alert["event"] for alert in deployment.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]
    assert len(deployment.decisions()) == 1


def test_a_page_about_bad_rules_ends_with_a_restart_on_good_ones(deployment: JudgeDeployment) -> None:
    deployment.edit("- {bad")
    deployment.write(KEPT)
    deployment.restart()
    deployment.drain()
    deployment.judging.step(0.0)
    assert [alert["event"] for alert in deployment.alerts("lyttepost.rules_bad")] == ["fired", "resolved"]


def test_a_file_that_is_still_being_written_is_left_until_it_stands_still(deployment: JudgeDeployment) -> None:
    whole = KEPT + EDITED.format(20)
    for length in range(0, len(whole), 60):
        deployment.write(whole[:length])
        deployment.clock.advance(timedelta(seconds=LOOK_SECONDS))
        deployment.judging.step(0.0)
    assert deployment.alerts() == []
    deployment.edit(whole)
    assert len(deployment.decisions()) == 2


def test_a_second_worker_does_not_write_the_same_edit_down_again(deployment: JudgeDeployment) -> None:
    deployment.judging.step(0.0)
    book = Rulebook(deployment.folder)
    second = Judging(
        deployment.bus,
        book.rules,
        rulebook=book,
        clock=deployment.clock,
        metrics=deployment.app.metrics,
        part=deployment.part,
        member="second",
    )
    second.step(0.0)
    deployment.edit(KEPT + EDITED.format(20))
    deployment.judging, first = second, deployment.judging
    deployment.look()
    assert len(deployment.decisions()) == 2
    assert [rule.name for rule in book.rules if rule.name == "edited" and rule.num_events == 20]  # type: ignore[attr-defined]
    first.close()


def test_an_edit_before_the_first_record_is_in_force_for_it(deployment: JudgeDeployment) -> None:
    deployment.edit(EVERY)
    deployment.play(0, 10)
    assert deployment.alerts("every")


def test_an_alert_that_has_stood_for_hours_outlives_a_restart(tmp_path: Path) -> None:
    rule = "- {name: long, type: frequency, why: stands for hours, timeframe: 60s, num_events: 3, realert: 1m}\n"
    deployment = JudgeDeployment(tmp_path, rule)

    def play(start: int, stop: int) -> None:
        for second in range(start, stop, 10):
            post = Finding(
                source="x", id=f"{second:05}", at=instant(second), captured_at=instant(second), text="x", story="s",
                incident=deployment.incident,
            )  # fmt: skip
            tick = Tick(source="x", until=instant(second), partition=0)
            deployment.bus.publish(
                [Message("findings", post.key, encode(post)), Message("findings", "x:tick", encode(tick))]
            )
        deployment.drain()

    play(0, 7200)
    deployment.restart()
    play(7200, 7400)
    assert [alert["event"] for alert in deployment.alerts()] == ["fired"]
    deployment.bus.publish([Message("findings", "x:tick", encode(Tick(source="x", until=instant(7600), partition=0)))])
    deployment.drain()
    assert [alert["event"] for alert in deployment.alerts()] == ["fired", "resolved"]
    deployment.judging.close()
    deployment.bus.close()


def test_rules_for_calm_come_into_force_once_judging_has_taken_them(deployment: JudgeDeployment) -> None:
    book = Rulebook(deployment.folder)
    app = deployment.app
    calm = Calm(
        deployment.bus, book.rules, rulebook=book, clock=deployment.clock, metrics=app.metrics,
        part=app.health.part("calm"),
    )  # fmt: skip
    calm.step(0.0)
    deployment.write(KEPT + "- {name: loud, type: burst, why: so loud for this hour}\n")
    deployment.judging.close()
    deployment.judging = Judging(
        deployment.bus, book.rules, rulebook=book, clock=deployment.clock, metrics=app.metrics, part=deployment.part
    )  # fmt: skip
    calm.step(0.0)
    failures = {"rule": "loud"}
    assert app.metrics.registry.get_sample_value("lyttepost_rule_failures_total", failures) is None
    deployment.look()
    calm.step(0.0)
    calm.close()
    assert app.metrics.registry.get_sample_value("lyttepost_rule_failures_total", failures) == 0


def test_an_incident_that_is_judged_anew_has_no_alarm_by_the_id_of_an_earlier_one(tmp_path: Path) -> None:
    """Its engine is dropped some time after it was closed; a post that comes later still is judged by another."""
    three = "- {name: three, type: frequency, why: a test wants it, timeframe: 60s, num_events: 3, realert: 0s}\n"
    deployment = JudgeDeployment(tmp_path, three)

    def play(at: int) -> None:
        for second in range(at, at + 3):
            post = Finding(
                source="x", id=f"{second:05}", at=instant(second), captured_at=instant(second), text="x", story="s",
                incident=deployment.incident,
            )  # fmt: skip
            deployment.bus.publish([Message("findings", post.key, encode(post))])
        tick(at + 20)

    def tick(at: int) -> None:
        until = Tick(source="x", until=instant(at), partition=0)
        deployment.bus.publish([Message("findings", "x:tick", encode(until))])
        deployment.drain()

    def leave() -> None:
        """So long after it was closed that nothing is kept of it."""
        deployment.clock.advance(timedelta(hours=1))
        tick(3600)

    play(10)
    Control(deployment.bus).append(
        Command(action=Action.CLOSE, at=START, by="p", why="p", incident=deployment.incident)
    )
    leave()
    play(3700)
    leave()
    deployment.restart()
    play(3900)
    fired = [alert for alert in deployment.alerts("three") if alert["event"] == "fired"]
    assert [alert["nth"] for alert in fired] == [1, 2, 3]
    assert len({alert["id"] for alert in fired}) == 3
    deployment.judging.close()
    deployment.bus.close()


THREE = "- {name: three, type: frequency, why: a test wants it, timeframe: 60s, num_events: 3, realert: 0s}\n"


WAITS = THREE.replace("frequency", "frequency, eager: false")


@pytest.mark.parametrize(
    ("edited", "last"),
    [(EVERY, ("resolved", "withdrawn", None)), (EVERY + WAITS, ("fired", "num_events", True))],
    ids=["gone", "waits"],
)
def test_what_was_told_early_is_settled_though_its_rule_waits_now_and_over_where_it_is_gone(
    tmp_path: Path, edited: str, last: tuple[str, str, bool | None]
) -> None:
    deployment = JudgeDeployment(tmp_path, THREE)

    def publish(*records: Finding | Tick) -> None:
        deployment.bus.publish(
            [Message("findings", r.key if isinstance(r, Finding) else "x:tick", encode(r)) for r in records]
        )
        deployment.drain()

    def three(at: int) -> list[Finding]:
        return [
            Finding(
                source="x", id=f"{second:05}", at=instant(second), captured_at=instant(second), text="x", story="s",
                incident=deployment.incident,
            )
            for second in range(at, at + 3)
        ]  # fmt: skip

    def ticked(at: int) -> Tick:
        return Tick(source="x", until=instant(at), partition=0)

    publish(three(0)[0], ticked(5), *three(10), ticked(40), ticked(200), *three(300))
    deployment.edit(edited)
    publish(ticked(320))
    deployment.restart()
    publish(ticked(340))
    of_three = [json.loads(record.value or b"") for record in deployment.records("alerts")]
    said = [(a["event"], a["reason"], a.get("settled")) for a in of_three if a["rule"] == "three"]
    told = [("fired", "num_events", False), ("fired", "num_events", True), ("resolved", "below_num_events", None)]
    assert said == [*told, told[0], last]
    assert [a["id"] for a in of_three if a["rule"] == "three"][3:5] == [of_three[3]["id"]] * 2
    counted = {
        state: deployment.app.metrics.registry.get_sample_value("lyttepost_alerts_early_total", {"state": state})
        for state in ("told", "settled", "withdrawn")
    }
    withdrawn = last[1] == "withdrawn"
    assert counted == {"told": 2, "settled": 2 - withdrawn, "withdrawn": int(withdrawn)}
    deployment.judging.close()
    deployment.bus.close()
