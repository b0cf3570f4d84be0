"""Alertmanager itself with our example configuration: one cause makes one page, and the dead-man's way is its own."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.fakes.webhook import FakeWebhook, webhook_server
from tests.ops.test_prometheus import DEPLOY, fetch, free_port, program, rules

CONFIG = DEPLOY / "alertmanager.yml"
SEVERITY = {rule["alert"]: rule["labels"]["severity"] for rule in rules()}

Labels = Mapping[str, str]
X_PART = {"alertname": "LyttepostNotReady", "part": "listen-x", "instance": "a"}
JUDGE_PART = {"alertname": "LyttepostNotReady", "part": "judge", "instance": "a"}
DISPATCH_PART = {"alertname": "LyttepostNotReady", "part": "dispatch", "instance": "a"}


def of_source(name: str) -> Labels:
    return {"alertname": f"Lyttepost{name}", "source": "x"}


def of_process(name: str, instance: str = "a", **more: str) -> Labels:
    return {"alertname": f"Lyttepost{name}", "instance": instance, **more}


NOBODY: Labels = {"alertname": "LyttepostNobodyListens"}
CANARY: Labels = {"alertname": "LyttepostCanaryMissing"}
UNDELIVERED = of_process("AlertUndelivered")
WAITING: Labels = {"alertname": "LyttepostPagesWaiting"}
CHANNEL_DOWN: Labels = {"alertname": "LyttepostChannelDown", "channel": "email"}
CHANNEL_FAILING: Labels = {"alertname": "LyttepostChannelFailing", "channel": "email"}
BEHIND: Labels = {"alertname": "LyttepostFallingBehind", "group": "judge", "topic": "findings"}

CAUSES: Mapping[str, tuple[list[Labels], set[str]]] = {
    "X is deaf": (
        [of_source("SourceSilent"), X_PART, NOBODY, of_process("RulesBehind"), of_source("GapOpen")],
        {"LyttepostSourceSilent"},
    ),
    "X refuses our key, and has not been silent for long": ([X_PART, NOBODY], {"LyttepostNotReady"}),
    "X comes and goes": ([of_source("SourceUnsteady"), of_source("GapOpen")], {"LyttepostSourceUnsteady"}),
    "the bus is away": (
        [of_process("BusAway"), JUDGE_PART, of_process("RulesBehind"), BEHIND, UNDELIVERED, of_source("SourceSilent")],
        {"LyttepostBusAway"},
    ),
    "a process is down": (
        [of_process("Down"), NOBODY, of_source("SourceSilent"), of_process("RulesBehind"), BEHIND, CANARY],
        {"LyttepostDown"},
    ),
    "annotating stands still": (
        [of_process("NotReady", part="annotate"), CANARY],
        {"LyttepostNotReady"},
    ),
    "the canary is missing, and nothing says why": (
        [CANARY, {"alertname": "LyttepostCanaryBudgetBurnsFast"}, {"alertname": "LyttepostCanaryBudgetBurnsSlowly"}],
        {"LyttepostCanaryMissing"},
    ),
    "canaries are late again and again": (
        [{"alertname": "LyttepostCanaryBudgetBurnsFast"}, {"alertname": "LyttepostCanaryBudgetBurnsSlowly"}],
        {"LyttepostCanaryBudgetBurnsFast"},
    ),
    "a process is down, and another has a fault of its own": (
        [of_process("Down"), of_process("RulesBehind", instance="b")],
        {"LyttepostDown", "LyttepostRulesBehind"},
    ),
    "the disk is full": (
        [of_process("BusFull"), of_process("BusFillingUp"), of_source("GapOpen"), of_process("NotReady", part="bus")],
        {"LyttepostBusFull"},
    ),
    "the money is spent": (
        [of_source("SpendingCeiling"), of_source("SourceSilent"), X_PART, NOBODY],
        {"LyttepostSpendingCeiling"},
    ),
    "mail is dead, and an alert reached nobody": (
        [UNDELIVERED, CHANNEL_DOWN, CHANNEL_FAILING, DISPATCH_PART, WAITING],
        {"LyttepostAlertUndelivered"},
    ),
    "mail is dead, and others were told": ([CHANNEL_DOWN, CHANNEL_FAILING, WAITING], {"LyttepostChannelDown"}),
    "counting in calm is refused": ([X_PART, of_source("NotCounted")], {"LyttepostNotReady"}),
    "a roster has a hole, and a certificate ends": (
        [
            {"alertname": "LyttepostRosterGap", "role": "duty"},
            {"alertname": "LyttepostCredentialEndsNow", "setting": "board.certificate.file"},
        ],
        {"LyttepostRosterGap", "LyttepostCredentialEndsNow"},
    ),
    "two causes that have nothing to do with each other": (
        [of_source("SourceSilent"), of_process("RuleFailing", rule="wishes")],
        {"LyttepostSourceSilent", "LyttepostRuleFailing"},
    ),
}


def names(receiver: FakeWebhook, *paths: str) -> set[str]:
    """The alerts that were sent as firing to these receivers."""
    return {
        alert["labels"]["alertname"]
        for call in list(receiver.seen)
        if call.path in paths
        for alert in call.json["alerts"]
        if alert["status"] == "firing"
    }


@contextmanager
def alertmanager(folder: Path, receiver: FakeWebhook, *, wait: str = "1s", repeat: str | None = None) -> Iterator[int]:
    """A real Alertmanager with our example, but for where its receivers are and how long it waits; its port."""
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    for each in config["receivers"]:
        each["webhook_configs"][0]["url"] = f"http://127.0.0.1:{receiver.port}/{each['name']}"
    for route in [config["route"], *config["route"]["routes"]]:
        if route.get("group_wait", "") != "0s":
            route["group_wait"] = wait
        route["group_interval"] = "1s"
        route["repeat_interval"] = repeat or route["repeat_interval"]
    (folder / "alertmanager.yml").write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    with (folder / "alertmanager.log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus-alertmanager", "alertmanager"),
                f"--config.file={folder / 'alertmanager.yml'}",
                f"--storage.path={folder / 'alertmanager'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            while "OK" not in _ready(port):
                assert time.monotonic() < deadline, (folder / "alertmanager.log").read_text()[-2000:]
                time.sleep(0.1)
            yield port
        finally:
            process.kill()  # what it stored is thrown away
            process.wait(10)


def _ready(port: int) -> str:
    try:
        return fetch(port, "/-/ready")
    except OSError:
        return ""


def fire(port: int, alerts: list[Labels]) -> None:
    """As Prometheus sends them: all that fire now, with their severity."""
    now = datetime.now(UTC)
    sent = [
        {
            "labels": {**labels, "severity": SEVERITY[labels["alertname"]]},
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=5)).isoformat(),
        }
        for labels in alerts
    ]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("POST", "/api/v2/alerts", json.dumps(sent), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 200
    connection.close()


def test_amtool_accepts_the_example() -> None:
    done = subprocess.run([program("amtool"), "check-config", CONFIG], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_that_the_example_names_is_one_of_ours() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    config = yaml.safe_load(text)
    names: set[str] = set()
    for rule in config["inhibit_rules"]:
        for matcher in [*rule["source_matchers"], *rule["target_matchers"]]:
            label, _, value = matcher.partition("=")
            if label != "alertname":
                continue
            pattern = value.lstrip("~").strip('"')
            found = {name for name in SEVERITY if re.fullmatch(pattern, name)}
            assert found, f"{matcher} matches none of our alerts"
            names |= found
    assert names <= SEVERITY.keys()


@pytest.mark.slow  # Alertmanager gathers for a second before it sends
@pytest.mark.parametrize("cause", CAUSES)
def test_one_cause_makes_one_page(cause: str, tmp_path: Path) -> None:
    alerts, expected = CAUSES[cause]
    with webhook_server() as receiver, alertmanager(tmp_path, receiver) as port:
        fire(port, [*alerts, {"alertname": "LyttepostDeadMan"}])
        deadline = time.monotonic() + 20
        while not expected <= names(receiver, "/ops", "/ops-wake") and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.5)  # what else would be sent is sent by now: all were gathered for the same second
        assert names(receiver, "/ops", "/ops-wake") == expected
        assert names(receiver, "/deadman") == {"LyttepostDeadMan"}
