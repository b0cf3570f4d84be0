"""Alerts over five channels that fail one time in five, by a dispatcher that is killed again and again.

    python -m tests.bench.dispatch_chaos [--alerts 1000] [--kills 10] [--faults 0.2] [--seed 1]

Mail, a signed webhook, an SMS gateway, ntfy and a chat room, all real servers on loopback sockets. Of five requests
one fails: for now, for good, without an answer, without an answer although it was taken; and some messages that the
gateway took are reported as undelivered afterwards. The dispatcher is a process of its own; `kill -9` ends it amid its
sends, and a new one takes over. Each alert has three steps over other people; some are answered as soon as they arrive.

Counted at the far ends: every alert must have arrived somewhere, every alert must be answered or be paged again in the
next round, and no person may hear the same twice unless the second message is marked. Exit code 1 when that is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from alerts.notify.channels.contract import channel_type, wakes_by
from alerts.notify.escalation import Escalation
from alerts.notify.recipients import People
from alerts.notify.state import Handling, read_book
from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.receipts import Receipt, Received
from listener.model.records import ALERTS, Alert, Decision, DecisionKind, Event, Sample, Severity
from listener.model.topics import topic_specs
from tests.bench.dispatcher_process import start
from tests.bench.leftovers import nothing_left
from tests.fakes.gateway import MANNERS, gateway
from tests.fakes.smtp import smtp_server
from tests.fakes.webhook import webhook_server

RULE = "many_ask"
MARK = "REPEATED?"
REPEAT = timedelta(hours=2)
"""Between rounds: longer than this takes, so that nobody has a reason to hear the same twice."""
ANSWERED = 0.6
"""The part of alerts that somebody answers once they have arrived."""
LATEST = 240.0
"""Seconds after the last kill within which everything must have arrived."""

PLACES = {"email": "kari@sykehus.example", "webhook": "ola", "sms": "+4740612345", "ntfy": "vakt", "slack": ""}
HTTP_FAULTS = ("503", "hang", "404", "hang after")
FAULTS = {
    "email": ("451", "hang", "550", "accept then reset"),
    "webhook": HTTP_FAULTS,
    "sms": ("temporary", "stall", "refuse", "reset after"),
    "ntfy": HTTP_FAULTS,
    "slack": HTTP_FAULTS,
}


@dataclass(frozen=True)
class Arrival:
    """A message at a far end. `notice`: that somebody has it, not a page."""

    channel: str
    to: str
    alert: str
    marked: bool
    notice: bool

    @property
    def same(self) -> tuple[str, str, str, bool]:
        return self.channel, self.to, self.alert, self.notice


@dataclass
class Outcome:
    alerts: int
    kills: int = 0
    seconds: float = 0.0
    arrived: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    undelivered: int = 0
    answered: int = 0
    escalating: int = 0
    marked: int = 0
    repeats: int = 0
    """Messages that came twice, the second marked."""
    never_arrived: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Neither answered nor to be paged again."""
    twice: list[tuple[str, str, str, bool]] = field(default_factory=list)
    """Heard twice without a mark."""

    @property
    def is_right(self) -> bool:
        return not (self.never_arrived or self.lost or self.twice)


class FarEnds:
    """The five servers, with faults for the next many requests."""

    def __init__(self, stack: ExitStack, chance: random.Random, rate: float) -> None:
        self.smtp = stack.enter_context(smtp_server())
        self.sms = stack.enter_context(gateway(MANNERS["46elks"]))
        self.hooks = {name: stack.enter_context(webhook_server()) for name in ("webhook", "ntfy", "slack")}
        self.hooks["ntfy"].answer = b'{"id": "1"}'
        self._queues = {"email": self.smtp.faults, "sms": self.sms.faults}
        self._queues |= {name: hook.faults for name, hook in self.hooks.items()}
        self._planned: dict[str, list[str]] = {}
        for name, queue in self._queues.items():
            planned = [chance.choice(FAULTS[name]) if chance.random() < rate else "" for _ in range(100_000)]
            queue.extend(planned)
            self._planned[name] = planned

    def faults(self) -> Counter[str]:
        """Those that were met with, by channel and kind."""
        used = {name: len(planned) - len(self._queues[name]) for name, planned in self._planned.items()}
        return Counter(f"{name} {each}" for name, n in used.items() for each in self._planned[name][:n] if each)

    def settings(self) -> dict[str, Mapping[str, Any]]:
        mail = {"host": "127.0.0.1", "port": self.smtp.port, "encryption": "none", "from": "l@sykehus.example"}
        sms = {
            "url": self.sms.url,
            "body": {"form": {"to": "{to}", "message": "{text}", "from": "Lyttepost"}},
            "success": {"body": [{"path": "status", "matches": "created|sent|delivered"}]},
            "ids": ["id"],
        }
        hooks = {name: {"url": f"http://127.0.0.1:{hook.port}"} for name, hook in self.hooks.items()}
        return {name: {**its, "timeout": 1} for name, its in {"email": mail, "sms": sms, **hooks}.items()} | {
            "console": {}
        }

    def arrivals(self) -> Iterator[Arrival]:
        for mail in list(self.smtp.seen):
            yield _arrival("email", mail.to, f"{mail.message['Subject']}\n{mail.text}")
        for sent in list(self.sms.sent):
            yield _arrival("sms", sent.to, sent.text)
        for name, hook in self.hooks.items():
            for call in list(hook.seen):
                yield _of_hook(name, call.json)


def _of_hook(name: str, data: Mapping[str, Any]) -> Arrival:
    if name == "ntfy":
        return _arrival(name, data["topic"], f"{data['title']}\n{data['message']}")
    if name == "slack":
        return _arrival(name, "", f"{data['text']}\n{data['blocks'][0]['text']['text']}")
    if "notice" not in data and str(data["rule"]).startswith("lyttepost."):  # what ops hear of the faults
        return Arrival(name, data["to"], data["alert_id"], bool(data["may_repeat"]), False)
    return _arrival(name, data["to"], f"{data['subject']}\n{data['text']}")


def _arrival(channel: str, to: str, text: str) -> Arrival:
    found = re.search(r"Q\d{5}", text)
    subject = text.partition("\n")[0]
    return Arrival(channel, to, found[0] if found else subject, MARK in text, "has it" in subject)


def people() -> dict[str, Any]:
    """A person for each channel and five policies, each of which begins with another one."""
    names = list(PLACES)
    steps = {
        f"p{n}": {
            "steps": [{"after": f"{2 * k}s", "to": [names[(n + k) % len(names)]]} for k in range(3)],
            "repeat_every": f"{REPEAT.seconds}s",
        }
        for n in range(len(names))
    }
    ways = {name: {"ways": [{"channel": name, "target": place}]} for name, place in PLACES.items()}
    reserve = {"reserve": {"ways": [{"channel": "webhook", "target": "reserve"}]}}
    return {
        "people": ways | reserve,
        "policies": steps,
        "routes": {"fallback": ["reserve"], "ops": ["reserve"]},
        "repeat_every": {severity.value: f"{REPEAT.seconds}s" for severity in Severity},
        "grouping": {"by": ["alert"], "wait": "0s", "interval": "5m"},
    }


def fired(number: int, at: Any) -> Alert:
    name = f"Q{number:05}"
    return Alert(
        id=f"{name}-{number:016x}", event=Event.FIRED, at=at, incident=name.lower(), incident_name=name, exercise=False,
        rule=RULE, rule_type="frequency", severity=Severity.CRITICAL, to=f"p{number % len(PLACES)}",
        headline={"nb": "Mange spør", "en": "Many ask"}, count=9, reason="9 >= 5", first_seen=at,
        samples=(Sample(key=f"x:{number}", digest=f"d{number}"),),
    )  # fmt: skip


class Chaos:
    def __init__(self, folder: Path, bus: Bus, ends: FarEnds, chance: random.Random, alerts: int) -> None:
        self._folder, self._bus, self._ends, self._chance = folder, bus, ends, chance
        self._clock = SystemClock()
        self._answers = {f"Q{n:05}": chance.random() < ANSWERED for n in range(alerts)}
        self._reported = 0
        self.outcome = Outcome(alerts)
        self._settings = folder / "settings.json"
        self._settings.write_text(json.dumps({"people": people(), "channels": ends.settings()}), encoding="utf-8")

    def run(self, kills: int) -> Outcome:
        began, total = time.monotonic(), self.outcome.alerts
        for life in range(kills + 1):
            first, last = life * total // (kills + 1), (life + 1) * total // (kills + 1)
            self._bus.publish([message(ALERTS, fired(n, self._clock.now())) for n in range(first, last)])
            process = start(self._folder / "bus", self._settings, "host")
            try:
                if life < kills:
                    self._turn(self._chance.randint(1, max(2, last - first)), 30.0)
                    self.outcome.kills += 1
                else:
                    self._turn(None, LATEST)
                assert process.poll() is None, "the dispatcher has ended by itself"
            finally:
                process.kill()
                process.wait()
        self.outcome.seconds = time.monotonic() - began
        return self._count()

    def _turn(self, more: int | None, seconds: float) -> None:
        """Until so many more have arrived; None: until all have, and what was sent has been heard of."""
        end, before = time.monotonic() + seconds, sum(1 for _ in self._ends.arrivals())
        quiet_since, seen = time.monotonic(), before
        while (now := time.monotonic()) < end:
            time.sleep(0.05)
            arrivals = list(self._ends.arrivals())
            self._report()
            self._answer(arrivals)
            if len(arrivals) != seen:
                quiet_since, seen = now, len(arrivals)
            if more is not None and seen - before >= more:
                return
            everybody = {each.alert for each in arrivals} >= set(self._answers)
            if more is None and everybody and now - quiet_since > 6.0:
                return

    def _answer(self, arrivals: list[Arrival]) -> None:
        ids = {f"Q{n:05}": f"Q{n:05}-{n:016x}" for n in range(self.outcome.alerts)}
        for name in {each.alert for each in arrivals if self._answers.get(each.alert)}:
            self._answers[name] = False
            said = Decision(kind=DecisionKind.ACKNOWLEDGE, id=ids[name], at=self._clock.now(), by="Kari", why="")
            hashchain.append(self._bus, "decisions", said)

    def _report(self) -> None:
        """The gateway says of one in twenty messages that it took that it could not deliver it."""
        taken = self._ends.sms.sent
        for sent in taken[self._reported :]:
            self._reported += 1
            if self._chance.random() < 0.05:
                self.outcome.undelivered += 1
                undelivered = Receipt(
                    channel="sms", provider_id=sent.ids[0], outcome=Received.UNDELIVERED, at=self._clock.now()
                )
                hashchain.append(self._bus, "deliveries", undelivered)

    def _count(self) -> Outcome:
        out, arrivals = self.outcome, list(self._ends.arrivals())
        for topic in ("decisions", "deliveries"):
            hashchain.verify(self._bus.reader([topic]).poll(0.0, 1_000_000))
        names = {f"Q{n:05}" for n in range(out.alerts)}
        out.arrived = Counter(each.channel for each in arrivals)
        out.faults = self._ends.faults()
        out.never_arrived = sorted(names - {each.alert for each in arrivals if not each.notice})
        same: dict[tuple[str, str, str, bool], list[Arrival]] = defaultdict(list)
        for each in arrivals:
            if each.alert in names:
                same[each.same].append(each)
        out.twice = [key for key, its in same.items() if sum(not each.marked for each in its) > 1]
        out.repeats = sum(len(its) - 1 for its in same.values())
        out.marked = sum(each.marked for each in arrivals)
        book = read_book(self._bus)
        who = People.model_validate(people(), context={"scripted": True})
        channels = {name: channel_type(name).open(its) for name, its in self._ends.settings().items()}
        later = self._clock.now() + REPEAT
        plan = Escalation(book, who, lambda name: wakes_by(channels, name)).plan(later)
        again = {id_ for page in plan.pages for id_ in page.alerts}
        ours = [state for state in book.all() if state.alert.rule == RULE]
        assert len(ours) == out.alerts
        out.answered = sum(state.handling is Handling.ACKNOWLEDGED for state in ours)
        out.escalating = sum(state.is_open and state.id in again for state in ours)
        out.lost = [state.id for state in ours if state.is_open and state.id not in again]
        return out


def run(folder: Path, alerts: int, kills: int, rate: float = 0.2, seed: int = 1) -> Outcome:
    chance = random.Random(seed)
    with ExitStack() as stack:
        ends = FarEnds(stack, chance, rate)
        bus = stack.enter_context(closing(open_bus("embedded:", folder / "bus", SystemClock())))
        bus.ensure(topic_specs(1, {}))
        outcome = Chaos(folder, bus, ends, chance, alerts).run(kills)
        for hook in ends.hooks.values():
            hook.stop.set()
        return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--faults", type=float, default=0.2, help="the part of requests that fail")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with nothing_left(), tempfile.TemporaryDirectory() as folder:
        out = run(Path(folder), given.alerts, given.kills, given.faults, given.seed)
    print(f"{out.alerts} alerts, {out.kills} kills, {out.seconds:.0f} s")
    print("arrived:", ", ".join(f"{name} {count}" for name, count in sorted(out.arrived.items())))
    print("faults:", ", ".join(f"{name} {count}" for name, count in sorted(out.faults.items())))
    print(f"reported undelivered: {out.undelivered}")
    print(f"answered: {out.answered}, still escalating: {out.escalating}, lost: {len(out.lost)}")
    print(f"never arrived anywhere: {len(out.never_arrived)}")
    print(f"came again: {out.repeats}; marked messages: {out.marked}; twice without the mark: {len(out.twice)}")
    for each in (*out.twice[:5], *out.lost[:5], *out.never_arrived[:5]):
        print("  wrong:", each)
    return 0 if out.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
