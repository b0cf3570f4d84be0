"""From a rule's firing to the bytes at the gateway: how long the dispatcher takes, idle and in storms.

    python -m tests.bench.dispatch_latency [--idle 100] [--few 10000] [--many 1000] [--probes 20]

The clock runs from the instant at which the record on `alerts` is durable until the whole request of the SMS has been
read at a gateway on a loopback socket, which answers at once. The dispatcher is a process of its own on an embedded
bus, without `wait`. Measured are

- `idle`: one alert after another;
- `few groups`: a storm of warnings in ten groups, which is ten pages;
- `many groups`: a storm of warnings, each a group of its own, which is as many pages;

and in both storms `probes`: critical alerts that fire amid it, each a group of its own, which must not wait for the
rest. Exit code 1 when the p99 of `idle` is above one second, or that of the probes above five.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs

from listener.bus import hashchain
from listener.bus.messages import message
from listener.bus.protocol import Bus, open_bus
from listener.clock import SystemClock
from listener.model.records import ALERTS, Alert, Decision, DecisionKind, Event, Sample, Severity
from listener.model.topics import topic_specs
from tests.bench.dispatcher_process import start
from tests.bench.leftovers import nothing_left
from tests.fakes.serving import serving

GROUPS = 10
"""Of the storm in few groups."""
BATCH = 500
"""Alerts that are published at once."""
IDLE_BOUND, PROBE_BOUND = 1.0, 5.0
"""Seconds, p99."""
LATEST = 240.0
"""Seconds within which everything must have arrived."""


class Gateway:
    """When the first request that names each rule (`Q` and a number) was read."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.stop = threading.Event()
        self.port = 0


@contextmanager
def gateway() -> Iterator[Gateway]:
    fake = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            now = time.monotonic()
            found = re.search(r"Q\d+", parse_qs(body)["message"][0])
            if found:
                fake.at.setdefault(found[0], now)
            answer = b'{"id": "1", "status": "created"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with serving(Handler, fake.stop) as fake.port:
        yield fake


def settings(folder: Path, port: int) -> Path:
    people = {
        "people": {"kari": {"ways": [{"channel": "sms", "target": "+4740612345"}]}},
        "policies": {"duty": {"steps": [{"to": ["kari"]}], "repeat_every": "1h"}},
        "grouping": {"by": ["rule"], "wait": "0s", "interval": "5m"},
    }
    sms = {
        "url": f"http://127.0.0.1:{port}/send",
        "body": {"form": {"to": "{to}", "message": "{text}"}},
        "success": {"body": [{"path": "status", "matches": "created"}]},
        "ids": ["id"],
    }
    file = folder / "settings.json"
    file.write_text(json.dumps({"people": people, "channels": {"sms": sms, "console": {}}}), encoding="utf-8")
    return file


def fired(number: int, rule: int, severity: Severity, at: datetime) -> Alert:
    return Alert(
        id=f"{number:08x}", event=Event.FIRED, at=at, incident="fire", incident_name="Fire", exercise=False,
        rule=f"Q{rule}", rule_type="frequency", severity=severity, to="duty", count=9, reason="9 >= 5", first_seen=at,
        headline={"nb": f"Q{rule} spør", "en": f"Q{rule} ask"},
        samples=(Sample(key=f"x:{number}", digest=f"d{number}"),),
    )  # fmt: skip


class Bench:
    def __init__(self, bus: Bus, far: Gateway) -> None:
        self._bus, self._far, self._clock = bus, far, SystemClock()
        self._next = 0
        self.fired: dict[str, float] = {}

    def fire(self, rules: Sequence[int], severity: Severity) -> list[str]:
        """One alert for each of these rules; gives their ids."""
        numbers = range(self._next, self._next + len(rules))
        self._next += len(rules)
        now = self._clock.now()
        alerts = [fired(number, rule, severity, now) for number, rule in zip(numbers, rules, strict=True)]
        self._bus.publish([message(ALERTS, alert) for alert in alerts])
        at = time.monotonic()
        for rule in rules:
            self.fired.setdefault(f"Q{rule}", at)
        return [alert.id for alert in alerts]

    def answer(self, ids: Sequence[str]) -> None:
        for id_ in ids:
            said = Decision(kind=DecisionKind.ACKNOWLEDGE, id=id_, at=self._clock.now(), by="kari", why="")
            hashchain.append(self._bus, "decisions", said)

    def wait(self, rules: Sequence[int]) -> None:
        names, end = {f"Q{rule}" for rule in rules}, time.monotonic() + LATEST
        while not names <= self._far.at.keys():
            if time.monotonic() > end:
                raise SystemExit(f"{len(names - self._far.at.keys())} of {len(names)} pages never arrived")
            time.sleep(0.005)

    def latencies(self, rules: Sequence[int]) -> list[float]:
        """Seconds, of the first alert of each rule."""
        return sorted(self._far.at[f"Q{rule}"] - self.fired[f"Q{rule}"] for rule in rules)

    def idle(self, count: int) -> list[float]:
        for number in range(count):
            ids = self.fire([number], Severity.CRITICAL)
            self.wait([number])
            self.answer(ids)
            time.sleep(0.05)
        return self.latencies(range(count))

    def storm(self, rules: Sequence[int], probes: Sequence[int]) -> tuple[list[float], list[float], float]:
        """Latencies of the groups' first pages and of the probes, and seconds until all had arrived."""
        began, left, others = time.monotonic(), list(probes), list(dict.fromkeys(rules))
        for first in range(0, len(rules), BATCH):
            self.fire(rules[first : first + BATCH], Severity.WARNING)
            if left:
                self.fire([left.pop()], Severity.CRITICAL)
        while left:
            self.fire([left.pop()], Severity.CRITICAL)
            time.sleep(0.25)
        self.wait([*others, *probes])
        return self.latencies(others), self.latencies(probes), time.monotonic() - began


@contextmanager
def bench() -> Iterator[Bench]:
    """A dispatcher that has begun, on a bus of its own."""
    with tempfile.TemporaryDirectory() as name, gateway() as far:
        folder = Path(name)
        with closing(open_bus("embedded:", folder / "bus", SystemClock())) as bus:
            bus.ensure(topic_specs(1, {}))
            process = start(folder / "bus", settings(folder, far.port), "host")
            try:
                made = Bench(bus, far)
                made.answer(made.fire([999_999], Severity.CRITICAL))
                made.fire([999_998], Severity.CRITICAL)
                made.wait([999_998])
                yield made
            finally:
                process.kill()
                process.wait()


def shown(name: str, found: Sequence[float], more: str = "") -> float:
    """Prints them, and gives the p99."""
    at: Callable[[float], float] = lambda part: found[min(len(found) - 1, int(part * len(found)))]  # noqa: E731
    p99 = at(0.99)
    print(f"{name:<22} {len(found):>5} pages  p50 {at(0.5):.3f} s  p99 {p99:.3f} s  longest {found[-1]:.3f} s{more}")
    return p99


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--idle", type=int, default=100, help="alerts one after another")
    parser.add_argument("--few", type=int, default=10_000, help="alerts of the storm in few groups")
    parser.add_argument("--many", type=int, default=1000, help="alerts of the storm with a group for each")
    parser.add_argument("--probes", type=int, default=20, help="critical alerts amid each storm")
    given = parser.parse_args()
    probes = range(500_000, 500_000 + given.probes)
    with nothing_left():
        with bench() as one:
            held = shown("idle", one.idle(given.idle)) <= IDLE_BOUND
        for name, rules in (
            ("few groups", [number % GROUPS for number in range(given.few)]),
            ("many groups", list(range(given.many))),
        ):
            with bench() as one:
                groups, its, seconds = one.storm(rules, probes)
            shown(name, groups, f"  all after {seconds:.1f} s")
            held &= shown("  probes", its) <= PROBE_BOUND
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
