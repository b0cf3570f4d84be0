"""The runbooks followed to recovery: a thing broken, its alert of a real Prometheus, what its entry says, and quiet.

One real service listens to a fake X and tells people by mail and push, on loopback. The rules are ours, but for how
long they wait. What is done to repair is what `deploy/runbooks.md` says, by the commands it names. Each row is printed:
`pytest -n0 -s -m drill tests/scenarios/test_runbooks_followed.py`.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from disks import MIB, fill, free, mounted
from harness import LYTTEPOST, Deployment, Running, until
from skew import Skew

from listener.bus.protocol import Message
from tests.fakes.smtp import FakeSmtp, smtp_server
from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.fakes.x import FakeX
from tests.ops.test_alertmanager import alertmanager
from tests.ops.test_prometheus import RULES, prometheus, query, scrape

TOKEN = "a-token-of-no-account"
SECONDS = 180.0
POLL = 0.3

LESS = (
    (r"\bfor: \w+", "for: 1s"),
    (r"\[(?:5|10|15)m\]", "[15s]"),
    (r"offset 10m", "offset 15s"),
    (r"(?<=exercise=\"false\",severity!=\"info\"}\)) > 900", " > 5"),
    (r"(?<=exercise=\"false\"}\)) > 1800", " > 1"),
    (r"(?<=last_heard_timestamp_seconds\)) > 60", " > 25"),
    (r"(?<=pages_waiting_oldest_timestamp_seconds\)) > 300", " > 5"),
    (r"canary_interval_seconds\) \+ 120", "canary_interval_seconds) + 10"),
)
"""What is so in our rules → what it is here."""

PEOPLE = """
people:
  kari: {name: Kari, roles: [ops], ways: [{channel: email, target: kari@sykehus.example}%s]}
  test: {name: Test receiver, ways: [{channel: webhook, target: test}]}
roster:
  duty: {zone: Europe/Oslo, layers: [{who: kari, from: "00:00", to: "00:00"}]}
routes: {duty: [kari], crisis_team: [kari], ops: [kari], fallback: [kari], canary: [test]}
repeat_every: {critical: 1m, warning: 1m, info: 4h}
grouping: {by: [alert]}
"""
HEAD = "\n| alerts | fired after | over after the repair | others that fired meanwhile |\n|---|---|---|---|"
RULE = "name: hashtag\ntype: any\nquery_key: hashtag\nwhy: the test\nto: duty\n"


def impatient(folder: Path) -> Path:
    """Our rules, which wait seconds for what they wait minutes for."""
    text = RULES.read_text(encoding="utf-8")
    for pattern, instead in LESS:
        text, count = re.subn(pattern, instead, text)
        assert count, f"{pattern} is not in the rules any more"
    path = folder / "impatient.rules.yml"
    path.write_text(text, encoding="utf-8")
    return path


def certify(path: Path, days: int) -> None:
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kafka", "-days", str(days))
    subprocess.run([*new, "-keyout", path.with_suffix(".key"), "-out", path], check=True, capture_output=True)


@dataclass
class Drill:
    """What runs, what was followed, and how long each part of it took."""

    deployment: Deployment
    folder: Path
    x: FakeX
    smtp: FakeSmtp
    canaries: FakeWebhook
    deadman: FakeWebhook
    push: FakeWebhook
    running: Running
    port: int = 0
    number: int = 0
    watcher: ExitStack = field(default_factory=ExitStack)
    """Ends Prometheus."""

    def firing(self) -> set[str]:
        names = set(query(self.port, 'ALERTS{alertstate="firing"}'))
        return {name.removeprefix("Lyttepost") for name in names} - {"DeadMan"}

    def say(self, *words: str) -> str:
        done = self.deployment.command(*words)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def post(self, count: int = 1) -> None:
        for _ in range(count):
            self.number += 1
            self.x.post(f"Det brenner i Granvik, melding {self.number} #g{self.number}", author=f"per{self.number}")

    def follow(self, alerts: str, begin: Callable[[], object], fix: Callable[[], object]) -> None:
        """Break it, wait for these alerts (their names, without what all begin with), repair it, wait for quiet."""
        wanted, began = set(alerts.split()), time.monotonic()
        seen: set[str] = set()
        begin()
        until(lambda: seen.update(self.firing()) or wanted <= seen, SECONDS, f"{alerts}; seen: {seen}", POLL)
        fired = time.monotonic() - began
        fix()
        fixed = time.monotonic()
        until(lambda: not wanted & self.firing(), SECONDS, f"{alerts} end", POLL)
        over = time.monotonic() - fixed
        self.tell(", ".join(sorted(wanted)), fired, over, ", ".join(sorted(seen - wanted)))

    def tell(self, what: str, fired: float, over: float, others: str) -> None:
        print(f"| {what} | {fired:.0f} s | {over:.0f} s | {others} |", flush=True)

    def token(self, text: str) -> None:
        (self.folder / "x-token").write_text(text, encoding="utf-8")

    def open_alerts(self) -> list[str]:
        return [alert["id"] for alert in json.loads(self.say("alerts", "--json") or "[]")]

    def acknowledge(self) -> None:
        if ids := self.open_alerts():
            self.say("alerts", "ack", *ids, "--by", "Kari")


@contextmanager
def drilling(
    deploy: Callable[..., Deployment],
    folder: Path,
    *,
    data: Path = Path(),
    env: Mapping[str, str] | None = None,
    alertmanager: int | None = None,
) -> Iterator[Drill]:
    """`data` is where its data lies, `env` what else it is started with; an `alertmanager` is told at its port."""
    with ExitStack() as stack:
        x = stack.enter_context(FakeX(bearer=TOKEN, keep_alive=5.0))
        smtp = stack.enter_context(smtp_server())
        canaries, deadman, push = (stack.enter_context(webhook_server()) for _ in range(3))
        certify(folder / "ca.pem", 1)
        (folder / "x-token").write_text(TOKEN, encoding="utf-8")
        deployment = deploy(data=data, entry=LYTTEPOST if env else ())
        config = deployment.configure(people=PEOPLE % "", tracks="phrases: [granvik]\n")
        (config / "rules" / "any.yaml").write_text(RULE, encoding="utf-8")
        mail = {"host": "127.0.0.1", "port": smtp.port, "encryption": "none", "from": "l@sykehus.example"}
        deployment.settings |= {
            "X__BASE_URL": x.url, "X__BEARER_TOKEN_FILE": str(folder / "x-token"),
            "X__BUDGET": json.dumps({"soft": 1, "hard": 2, "ceiling": 3}),
            "CHANNELS__EMAIL": json.dumps(mail), "CHANNELS__WEBHOOK__URL": canaries.url,
            "CHANNELS__NTFY__URL": push.url.rpartition("/")[0], "CANARY__EVERY": "3s",
            "DEADMAN__URL": deadman.url, "DEADMAN__EVERY": "2s", "BUS__KAFKA__TLS__CA_FILE": str(folder / "ca.pem"),
        }  # fmt: skip
        drill = Drill(deployment, folder, x, smtp, canaries, deadman, push, deployment.start(env=env))
        (folder / "prometheus").mkdir()
        rules = impatient(folder)
        watched = prometheus(folder / "prometheus", drill.running.port, rules=rules, alertmanager=alertmanager)
        drill.watcher = stack.enter_context(ExitStack())
        drill.port = drill.watcher.enter_context(watched)
        print(HEAD)
        yield drill


def confirm(drill: Drill) -> None:
    drill.say("duty", "test", "kari", "--by", "Vakt")
    code = re.search(r"kode (\d+)", drill.smtp.seen[-1].text)
    assert code
    drill.say("duty", "confirm", code[1], "--by", "kari")


def nothing() -> None:
    """It is so already."""


def in_crisis(drill: Drill, *more: str) -> None:
    drill.say("mode", "crisis", "--name", "Brann", "--track", "granvik", "--lookback", "0s", "--why", "prøve", *more)
    listening = {"source": "x", "state": "listening"}
    until(lambda: drill.running.metric("lyttepost_source_state", **listening) == 1, 60, "it hears")


@pytest.mark.drill
def test_in_calm_each_entry_leads_to_quiet(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    with drilling(deploy, tmp_path) as drill:
        config = drill.deployment.configure()
        drill.follow("NobodyConfirmed", nothing, lambda: confirm(drill))
        with_push = PEOPLE % ", {channel: ntfy, target: kari}"
        drill.follow("RosterGap", nothing, lambda: (config / "people.yaml").write_text(with_push, encoding="utf-8"))
        drill.follow("CredentialEndsNow", nothing, lambda: certify(tmp_path / "ca.pem", 400))
        extra = config / "rules" / "extra.yaml"
        drill.follow("RulesRefused", lambda: extra.write_text("name: [broken\n"), extra.unlink)
        for alert, receiver in (("DeadManPingFailing", drill.deadman), ("CanaryMissing", drill.canaries)):
            drill.follow(alert, lambda its=receiver: setattr(its, "always", "500"),
                         lambda its=receiver: setattr(its, "always", None))  # fmt: skip

        def garble() -> None:
            with drill.deployment.bus() as bus:
                bus.publish([Message("mentions", f"x:{number}", b"{no record") for number in range(20)])

        drill.follow("DeadLettersRising", garble, lambda: drill.say("deadletters", "--json"))


@pytest.mark.drill
def test_in_a_crisis_each_entry_leads_to_quiet(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    with drilling(deploy, tmp_path) as drill:
        with_push = PEOPLE % ", {channel: ntfy, target: kari}"
        drill.deployment.configure(people=with_push)
        in_crisis(drill, "--review-after", "1m")
        drill.follow("ReviewOverdue", nothing,
                     lambda: drill.say("mode", "review", "--for", "6h", "--why", "brenner ennå"))  # fmt: skip

        def refuse_key() -> None:
            drill.token("another-key-of-no-account")
            drill.x.do("reset")

        drill.follow("NotReady NobodyListens", refuse_key, lambda: drill.token(TOKEN))

        def mute() -> None:
            drill.x.do("hang", on="stream", hold=600.0)
            drill.x.do("silence", seconds=600.0)

        def hear_again() -> None:
            drill.x.faults.heal()
            drill.x.do("reset")

        drill.follow("SourceSilent GapOpen", mute, hear_again)

        def nothing_gets_through() -> None:
            listening = {"source": "x", "state": "listening"}
            until(lambda: drill.running.metric("lyttepost_source_state", **listening) == 1, 120, "it hears again")
            drill.smtp.always, drill.push.always = "550", "500"
            drill.post()

        def it_does_again() -> None:
            drill.smtp.always = drill.push.always = None
            until(lambda: not drill.running.metric("lyttepost_pages_waiting"), 120, "it is sent")
            drill.acknowledge()

        drill.follow("ChannelDown AlertUndelivered PagesWaiting ChannelFailing", nothing_gets_through, it_does_again)
        drill.follow("AlertUnacknowledged", drill.post, drill.acknowledge)


@pytest.mark.drill
def test_what_it_costs_and_the_process_itself(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    with drilling(deploy, tmp_path) as drill:
        in_crisis(drill)
        drill.follow("SpendingHardCap", lambda: drill.post(450), lambda: drill.post(250))  # at $0.005 each
        raised = ["x", "budget", "raise", "--to", "50", "--by", "Kari", "--why", "det brenner"]
        drill.follow("SpendingCeiling", nothing, lambda: drill.say(*raised))
        folder = tmp_path / "prometheus"

        def start_again() -> None:
            drill.running = drill.deployment.start()
            scrape(folder, drill.running.port)

        drill.follow("Down", drill.running.kill, start_again)
        drill.follow("Absent", lambda: scrape(folder), lambda: scrape(folder, drill.running.port))


@pytest.mark.drill
def test_a_clock_that_is_wrong_by_a_minute(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    try:
        skew = Skew(tmp_path)
    except RuntimeError as why:
        pytest.skip(str(why))
    with drilling(deploy, tmp_path, env=skew.env) as drill:
        in_crisis(drill)
        for ahead in (60.0, -60.0):
            drill.follow("ClockSkewed", lambda off=ahead: skew.set(off), lambda: skew.set(0.0))
        drill.post()
        until(lambda: bool(drill.open_alerts()), 60, "it judges as before")


@pytest.mark.drill
def test_a_disk_that_fills_up(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    with (
        mounted(tmp_path / "disk", 1300 * MIB) as disk,
        drilling(deploy, tmp_path, data=disk / "data") as drill,
    ):
        in_crisis(drill)
        drill.follow("BusFillingUp", lambda: fill(disk, 900 * MIB), (disk / "other-program.bin").unlink)
        assert free(disk) > 1024 * MIB

        def fill_while_heard() -> None:
            fill(disk)
            drill.post(5)

        drill.follow("BusFull", fill_while_heard, (disk / "other-program.bin").unlink)
        drill.acknowledge()
        until(lambda: drill.running.get("/readyz")[0] == 200, 60, "it is ready again")
        gaps = {gap["id"]: gap for gap in drill.deployment.values("gaps") if gap["cause"] == "disk_full"}
        assert len(gaps) == 1
        assert all("to" in gap for gap in gaps.values())


PING_SECONDS = 5.0
SILENT_PINGS = 3
"""So many pings that do not come, and the service outside calls: it has a grace of its own, which is set there."""


@pytest.mark.drill
def test_a_whole_host_that_falls_silent(deploy: Callable[..., Deployment], tmp_path: Path) -> None:
    """Lyttepost, Prometheus and Alertmanager die together: only who waits for their pings outside can tell."""
    (tmp_path / "alertmanager").mkdir()
    with webhook_server() as outside, ExitStack() as host:

        def tells() -> int:
            told = alertmanager(tmp_path / "alertmanager", outside, repeat=f"{PING_SECONDS:.0f}s")
            return host.enter_context(told)

        with drilling(deploy, tmp_path, alertmanager=tells()) as drill:

            def pings() -> tuple[int, int]:
                """Of Alertmanager's dead-man, and of Lyttepost's own."""
                return sum(call.path == "/deadman" for call in list(outside.seen)), len(drill.deadman.seen)

            def come(since: tuple[int, int]) -> bool:
                return all(now > then + 1 for now, then in zip(pings(), since, strict=True))

            until(lambda: come((0, 0)), SECONDS, "both pings come")
            began = time.monotonic()
            drill.running.kill()
            drill.watcher.close()
            host.close()
            last = pings()
            time.sleep(SILENT_PINGS * PING_SECONDS)
            assert pings() == last, "nobody speaks for a dead host"
            called = time.monotonic() - began
            drill.running = drill.deployment.start()
            watched = prometheus(tmp_path / "prometheus", drill.running.port, alertmanager=tells())
            drill.port = drill.watcher.enter_context(watched)
            fixed = time.monotonic()
            until(lambda: come(last), SECONDS, "both pings come again")
            drill.say("doctor")
            drill.tell("DeadMan (the service outside calls)", called, time.monotonic() - fixed, "")
