"""From a person's answer on `decisions` to the judge, over the bus: in one order for good, whoever is restarted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts.judge.backtest import exported
from alerts.judge.dry_run import Trial
from alerts.judge.forward import Answering
from alerts.judge.jsonl import read_line, write_answered, write_finding, write_tick
from alerts.judge.worker import Judging
from alerts.rules.engine.engine import STANDS
from alerts.rules.judge import IncidentInfo
from alerts.rules.load import load_rules
from alerts.wiring import make_app
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import open_bus
from listener.bus.scan import scan
from listener.clock import ManualClock
from listener.model.answers import Answered, Standing, Verdict
from listener.model.decisions import Answer, Status
from listener.model.incidents import Action, Command
from listener.model.records import ALERTS, FINDINGS, Alert, Cue, Decision, DecisionKind, Finding, Kind, Tick
from listener.runtime.control import Control
from listener.settings.schema import Settings
from tests.unit.rules_support import START

RULES = """\
- {name: spreads, type: frequency, why: a test, filter: {kind: rumour}, query_key: story, num_events: 3,
   timeframe: 60s, realert: 0s}
- {name: asked, type: frequency, why: a test, filter: {kind: question}, num_events: 3, timeframe: 60s, realert: 0s}
"""
LATENESS = timedelta(seconds=10)


class AnswerDeployment:
    """A bus with an incident, the worker that forwards answers, and the judge."""

    def __init__(self, folder: Path) -> None:
        (folder / "rules").mkdir(parents=True)
        (folder / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
        self.rules = load_rules(folder / "rules")
        self.clock = ManualClock(START)
        self.bus = open_bus("embedded:", folder, self.clock, durable=False)
        self.app = make_app(Settings(), folder, self.bus, self.clock, "alerts")
        opened = Command(action=Action.OPEN, at=START, by="p", why="p", name="Brann")
        self.incident = Control(self.bus).append(opened).incidents[0]
        self.number = 0
        self.start()

    def start(self) -> None:
        its = {"clock": self.clock, "metrics": self.app.metrics, "part": self.app.health.part("judge")}
        self.answering = Answering(self.bus, **its)
        self.judging = Judging(self.bus, self.rules, allowed_lateness=LATENESS, **its)

    def restart(self) -> None:
        self.answering.close()
        self.judging.close()
        self.start()

    def say(self, kind: Kind, times: int = 1, theme: str = "water") -> None:
        """So many posts, a second apart."""
        for _ in range(times):
            self.number += 1
            self.clock.advance(timedelta(seconds=1))
            at = self.clock.now()
            finding = Finding(
                source="x", id=f"p{self.number}", at=at, captured_at=at, text="x", incident=self.incident, story="s1",
                author=f"a{self.number}", cues=(Cue(kind=kind),), themes=(theme,),
            )  # fmt: skip
            self.bus.publish([message(FINDINGS, finding), message(FINDINGS, self.tick(at))])

    def tick(self, until: datetime) -> Tick:
        return Tick(source="x", until=until, partition=0)

    def answer(self, theme: str = "", *, people: int = 4) -> None:
        self.clock.advance(timedelta(seconds=1))
        story = "" if theme else "s1"
        its = {"incidents": (self.incident,), "story": story, "theme": theme, "people": people, "posts": people}
        word = Answer(at=self.clock.now(), by="Kari", verdict=Verdict.FALSE, words="Vannet er trygt.", **its)
        hashchain.append(self.bus, "decisions", word)

    def turn(self, seconds: float = 0) -> None:
        """Time goes by, and both do all that there is to do."""
        if seconds:
            self.clock.advance(timedelta(seconds=seconds))
            self.bus.publish([message(FINDINGS, self.tick(self.clock.now()))])
        while self.answering.step(0.0) | self.judging.step(0.0):
            pass

    def alerts(self) -> list[tuple[str, str, str]]:
        return [(each.rule, each.event.value, each.reason) for each in self.settled()]

    def settled(self) -> list[Alert]:
        """All but what was told early, which is said again."""
        return [each for each in scan(self.bus, ALERTS) if each.settled is not False]

    def close(self) -> None:
        self.answering.close()
        self.judging.close()
        self.bus.close()


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[AnswerDeployment]:
    made = AnswerDeployment(tmp_path)
    yield made
    made.close()


FIRES, FALLS = ("spreads", "fired", "num_events"), ("spreads", "resolved", "below_num_events")
OVER, HELD = ("spreads", "resolved", "answered_over"), ("spreads", "suppressed", "answered")


def drive(deployment: AnswerDeployment, restarts: int = 0) -> list[tuple[str, str, str]]:
    """A rumour spreads, is answered, spreads again, at last many times over. `restarts`: after which of the steps."""
    steps = (
        lambda: deployment.say(Kind.RUMOUR, 3),
        lambda: deployment.turn(11),
        lambda: deployment.answer(),
        lambda: deployment.turn(),
        lambda: deployment.say(Kind.RUMOUR, 2),
        lambda: deployment.turn(100),
        lambda: deployment.say(Kind.RUMOUR, 4),
        lambda: deployment.turn(100),
        lambda: deployment.say(Kind.RUMOUR, 22),
        lambda: deployment.turn(11),
    )
    for number, step in enumerate(steps):
        step()
        if restarts >> number & 1:
            deployment.restart()
    deployment.turn()
    return deployment.alerts()


WHOLE = [FIRES, OVER, HELD, HELD, HELD, FIRES]


def test_what_was_answered_alerts_nobody_until_it_grows_many_times_over(deployment: AnswerDeployment) -> None:
    assert drive(deployment) == WHOLE
    last = list(scan(deployment.bus, ALERTS))[-1]
    assert last.answer is not None
    assert (last.answer.by, last.answer.verdict, last.answer.words) == ("Kari", Verdict.FALSE, "Vannet er trygt.")


@pytest.mark.parametrize("restarts", [0b1000, 0b100, 0b10000, 0b110100, 0b1111111111, 0b1010101010])
def test_a_restart_of_both_says_nothing_twice_and_forgets_no_answer(
    deployment: AnswerDeployment, restarts: int
) -> None:
    assert drive(deployment, restarts) == WHOLE


def test_an_answer_lies_between_the_findings_of_its_incident_once(deployment: AnswerDeployment) -> None:
    drive(deployment, 0b11111111)
    hashchain.append(
        deployment.bus, "decisions", Decision(kind=DecisionKind.NOTE, id="a", at=deployment.clock.now(), by="Ola")
    )
    deployment.turn()
    found = [each for each in scan(deployment.bus, FINDINGS) if isinstance(each, Answered)]
    assert [(each.incident, each.story, each.decision) for each in found] == [(deployment.incident, "s1", 0)]


def test_what_was_answered_before_anything_was_heard_of_it_is_known(deployment: AnswerDeployment) -> None:
    """An incident's engine begins with its first finding."""
    deployment.answer("water", people=3)
    deployment.turn()
    deployment.say(Kind.QUESTION, 4)
    deployment.turn(11)
    deployment.restart()
    deployment.say(Kind.QUESTION, 3)
    deployment.turn(11)
    assert deployment.alerts() == [("asked", "suppressed", "answered")]


def test_a_status_that_takes_it_back_lets_it_alert_again(deployment: AnswerDeployment) -> None:
    deployment.answer()
    deployment.say(Kind.RUMOUR, 3)
    deployment.turn(12)
    word = {"at": deployment.clock.now(), "by": "Ola", "incidents": (deployment.incident,), "story": "s1"}
    hashchain.append(deployment.bus, "decisions", Status(status=Standing.NEW, **word))
    deployment.turn()
    deployment.say(Kind.RUMOUR)
    deployment.turn(11)
    assert deployment.alerts() == [HELD, FIRES]


def test_what_a_live_run_said_is_what_rules_run_says_of_its_findings(deployment: AnswerDeployment) -> None:
    drive(deployment)
    lines = []
    for record in exported(deployment.bus, deployment.incident):
        if isinstance(record, Finding):
            lines.append(write_finding(record))
        elif isinstance(record, Answered):
            lines.append(write_answered(record))
        elif isinstance(record, Tick):
            lines.append(write_tick(record.until))
    assert sum("answered" in json.loads(line) for line in lines) == 1
    failed: list[object] = []
    trial = Trial(
        deployment.rules, IncidentInfo(deployment.incident, "Brann"), allowed_lateness=LATENESS,
        on_failure=failed.append, clock=STANDS,
    )  # fmt: skip
    verdicts = [v for line in lines for v in trial.take(read_line(line, deployment.incident))]
    assert [(v.rule, v.event.value, v.reason.value) for v in verdicts] == WHOLE
    assert [v.alert_id for v in verdicts] == [each.id for each in deployment.settled()]
    assert failed == []
