"""What `lyttepost alerts run` says of a night is what a real dispatcher does: with the real clock, and real far ends.

The same people and the same events, seconds long instead of hours. Whom they page, by what, why and at which step must
agree, and the times too but for what a busy machine takes.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from alerts.notify.channels.contract import Channel, channel_type
from alerts.notify.dispatcher import Dispatcher
from alerts.notify.messages import load_messages
from alerts.notify.recipients import load_people
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.decisions import DECISIONS, Silence
from listener.model.deliveries import DELIVERIES, Delivery, Outcome, Page, PageWhy
from listener.model.records import ALERTS, Decision, DecisionKind, Event, Severity, decode
from listener.model.topics import topic_specs
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.settings.files import packaged_config
from listener.units import format_instant, parse_instant
from lyttepost import app
from tests.fakes.gateway import MANNERS, FakeGateway, gateway
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.unit.telling_support import alert

UNIT = 1.5
"""Seconds that stand for five minutes of a real night."""
TOLERANCE = 0.7 * UNIT
KINDS = {"ack": DecisionKind.ACKNOWLEDGE, "close": DecisionKind.CLOSE}

# Two rules; a newcomer, a refusal, one that passes, an answer that runs out, a silence that ends, and a closing.
NIGHT: Sequence[tuple[float, Mapping[str, Any]]] = (
    (0.0, {"do": "channel", "channel": "voice", "answers": "reject"}),
    (0.0, {"do": "fire", "alert": "a1", "rule": "many", "severity": "critical", "policy": "crisis"}),
    (0.5, {"do": "fire", "alert": "a2", "rule": "many", "severity": "critical", "policy": "crisis"}),
    (0.5, {"do": "silence", "silence": "s1", "match": {"rule": "few"}, "from": 0.5, "to": 4.5, "by": "A"}),
    (0.6, {"do": "fire", "alert": "b1", "rule": "few", "severity": "critical", "policy": "crisis"}),
    (2.6, {"do": "resolve", "alert": "a2"}),
    (3.6, {"do": "ack", "alerts": ["a1", "a2"], "by": "C"}),
    (5.1, {"do": "ack", "alert": "b1", "by": "A"}),
    (6.5, {"do": "close", "alert": "b1", "by": "A"}),
    (8.2, {"do": "close", "alert": "a1", "by": "B"}),
)
END = 9.0
OURS = {"a1", "a2", "b1", "s1"}
"""Alerts of the night, and the silence that its notice names."""


def people() -> dict[str, Any]:
    def units(count: float) -> str:
        return f"{round(count * UNIT * 1000)}ms"

    return {
        "people": {
            "A": {"ways": [{"channel": "sms", "target": "+4740612345"}]},
            "B": {
                "ways": [{"channel": "voice", "target": "+4740612346"}, {"channel": "email", "target": "b@x.example"}]
            },
            "C": {"ways": [{"channel": "webhook", "target": "C"}]},
        },
        "policies": {
            "crisis": {
                "steps": [{"to": ["A"]}, {"after": units(1), "to": ["B"]}, {"after": units(2), "to": ["C"]}],
                "repeat_every": units(3),
            }
        },
        "grouping": {"by": ["rule"], "wait": "0s", "interval": units(1)},
        "ack_timeout": units(3),
    }


class Told(NamedTuple):
    """A page by one way, or a notice; `at`: seconds from the start."""

    what: tuple[Any, ...]
    at: float


class FarEnds:
    def __init__(self, stack: ExitStack) -> None:
        self.smtp: FakeSmtp = stack.enter_context(smtp_server())
        self.sms: FakeGateway = stack.enter_context(gateway(MANNERS["46elks"]))
        self.voice: FakeGateway = stack.enter_context(gateway(MANNERS["46elks"]))
        self.voice.faults.extend(["refuse"] * 100)
        self.hook: FakeWebhook = stack.enter_context(webhook_server())

    def channels(self) -> dict[str, Channel]:
        taken = {"body": {"form": {"to": "{to}", "message": "{text}"}}, "ids": ["id"]}
        mail = {"host": "127.0.0.1", "port": self.smtp.port, "encryption": "none", "from": "l@sykehus.example"}
        settings = {
            "sms": {**taken, "url": self.sms.url}, "voice": {**taken, "url": self.voice.url}, "email": mail,
            "webhook": {"url": self.hook.url}, "console": {},
        }  # fmt: skip
        return {name: channel_type(name).open(its) for name, its in settings.items()}


def simulated(folder: Path, policy: Path) -> list[Told]:
    start = datetime.fromisoformat("2031-03-02T03:00:00+00:00")

    def at(units: float) -> str:
        return format_instant(start + timedelta(seconds=units * UNIT))

    events = folder / "events.jsonl"
    lines = [{**each, "at": at(when)} for when, each in NIGHT]
    lines = [each | {name: at(each[name]) for name in ("from", "to") if name in each} for each in lines]
    events.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    words = ["alerts", "run", "--policy", str(policy), "--events", str(events), "--until", at(END), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return list(_of_lines([json.loads(line) for line in done.stdout.splitlines()], start))


def _of_lines(lines: Sequence[Mapping[str, Any]], start: datetime) -> Iterator[Told]:
    for line in lines:
        at = (parse_instant(line["at"]) - start).total_seconds()
        if line["do"] == "page":
            taken = line["outcome"] == "accept"
            alerts = tuple(sorted(line["alerts"].items()))
            yield Told((line["to"], line["by"], line["why"], line["round"], line["step"], alerts, taken), at)
        elif line["do"] == "notice":
            yield Told((line["to"], "notice", line["what"]), at)
        elif line["do"] == "unacknowledged":
            yield Told((line["alert"], "unacknowledged", line["was"]), at)


class Live:
    """A dispatcher of ours on a real bus, to which the night happens."""

    def __init__(self, folder: Path, policy: Path, ends: FarEnds) -> None:
        self.clock = SystemClock()
        self.bus: Bus = open_bus("embedded:", folder / "bus", self.clock)
        self.bus.ensure(topic_specs(1, {}))
        self.dispatcher = Dispatcher(
            self.bus, load_people(policy), load_messages(packaged_config(), "nb"), ends.channels(), clock=self.clock,
            metrics=Metrics(CollectorRegistry(), "0"), part=Health(self.clock).part("dispatch"), holder="one",
        )  # fmt: skip
        self.dispatcher.step(0.0)
        self.start = self.clock.now()

    def night(self) -> None:
        began, left = time.monotonic(), list(NIGHT)
        while (units := (time.monotonic() - began) / UNIT) < END:
            while left and left[0][0] <= units:
                self._happen(left.pop(0)[1])
            self.dispatcher.step(0.02)

    def _happen(self, each: Mapping[str, Any]) -> None:
        now = self.clock.now()
        if each["do"] in ("fire", "resolve"):
            event = Event.FIRED if each["do"] == "fire" else Event.RESOLVED
            more = {"rule": each["rule"], "to": each["policy"]} if event is Event.FIRED else {}
            made = alert(each["alert"], event, now, incident="simulation", severity=Severity.CRITICAL, **more)
            self.bus.publish([message(ALERTS, made)])
        elif each["do"] == "silence":
            start, end = (self.start + timedelta(seconds=each[name] * UNIT) for name in ("from", "to"))
            said = Silence(id=each["silence"], at=now, by=each["by"], why="", match=each["match"], start=start, end=end)
            hashchain.append(self.bus, "decisions", said)
        elif each["do"] in KINDS:
            for id_ in each.get("alerts") or [each["alert"]]:
                word = Decision(kind=KINDS[each["do"]], id=id_, at=now, by=each["by"], why="")
                hashchain.append(self.bus, "decisions", word)

    def told(self) -> Iterator[Told]:
        pages: dict[str, Page] = {}
        for record in self.bus.reader(["deliveries"]).poll(0.0, 10_000):
            each = decode(DELIVERIES, record.value or b"")
            if isinstance(each, Page):
                pages[each.id] = each
            about = each.alerts if isinstance(each, Page | Delivery) else ()
            if not OURS.issuperset(about):
                continue  # what ops are told of the refusals; the simulation pages nobody for it
            if isinstance(each, Page):
                if each.why is PageWhy.NOTICE:
                    yield Told((each.person, "notice", each.what), self._seconds(each.at))
            elif isinstance(each, Delivery) and each.outcome is not None:
                page = pages[each.page]
                why = "retry" if each.attempt > 1 else page.why.value
                alerts, taken = tuple(sorted(page.alerts.items())), each.outcome is Outcome.SENT
                if page.why is not PageWhy.NOTICE:
                    what = (page.person, each.channel, why, page.round, page.step, alerts, taken)
                    yield Told(what, self._seconds(each.at))
        by: dict[str, str] = {}
        for record in self.bus.reader(["decisions"]).poll(0.0, 10_000):
            word = decode(DECISIONS, record.value or b"")
            if isinstance(word, Decision) and word.kind is DecisionKind.ACKNOWLEDGE:
                by[word.id] = word.by
            elif isinstance(word, Decision) and word.kind is DecisionKind.REOPEN:
                yield Told((word.id, "unacknowledged", by[word.id]), self._seconds(word.at))

    def sent(self) -> Counter[str]:
        """How many each channel took, notices among them."""
        records = self.bus.reader(["deliveries"]).poll(0.0, 10_000)
        told = (decode(DELIVERIES, record.value or b"") for record in records)
        return Counter(each.channel for each in told if isinstance(each, Delivery) and each.outcome is Outcome.SENT)

    def _seconds(self, at: datetime) -> float:
        return (at - self.start).total_seconds()


@pytest.fixture
def ends() -> Iterator[FarEnds]:
    with ExitStack() as stack:
        made = FarEnds(stack)
        yield made
        made.hook.stop.set()


def test_a_real_dispatcher_does_what_the_simulation_says(tmp_path: Path, ends: FarEnds) -> None:
    policy = tmp_path / "people.json"
    policy.write_text(json.dumps(people()), encoding="utf-8")
    expected = sorted(simulated(tmp_path, policy), key=lambda told: told.at)
    live = Live(tmp_path, policy, ends)
    live.night()
    found = sorted(live.told(), key=lambda told: told.at)
    sent = live.sent()
    live.dispatcher.close()
    live.bus.close()

    assert len(expected) > 12
    times: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for told in found:
        times[told.what].append(told.at)
    assert sorted(map(repr, (told.what for told in found))) == sorted(map(repr, (told.what for told in expected)))
    pairs = [(told.at, times[told.what].pop(0)) for told in expected]
    assert [pair for pair in pairs if abs(pair[0] - pair[1]) > TOLERANCE] == []
    for (earlier, its), (later, other) in pairwise(pairs):
        assert earlier + 0.1 > later or its < other, "told in another order"
    # What the ledger says was taken is what the far ends have.
    have = {"sms": len(ends.sms.sent), "email": len(ends.smtp.seen), "webhook": len(ends.hook.seen)}
    assert have == {channel: sent[channel] for channel in have}
    assert ends.voice.sent == []
