"""Every expression of both dashboards has data, from a real Prometheus that watches the real service at work.

The service plays a recording under an exercise and listens to a fake X that breaks off, refuses and bills; its mail
server fails for a while, somebody acknowledges, canaries go round and a dead-man service takes pings. What that does
not show, such as a gateway's receipt, is asked of a second process that tells each metric once.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain
from math import isnan
from pathlib import Path
from urllib.parse import urlencode

import pytest
from harness import ROOT, Deployment, Recording
from prometheus_client import CollectorRegistry

from listener.clock import SystemClock
from listener.runtime.health import Health
from listener.runtime.metrics import Metrics
from listener.runtime.web import Web
from tests.fakes.smtp import smtp_server
from tests.fakes.webhook import webhook_server
from tests.fakes.x import FakeX
from tests.ops.test_prometheus import fetch, give_every_metric_a_sample, prometheus, scrape

TOKEN = "a-token-of-no-account"
PATIENCE = 150.0
VARIABLES = {"$__rate_interval": "10s", "$__range": "10m", "$track": ".+"}

PEOPLE = """
people:
  kari: {name: Kari, ways: [{channel: email, target: kari@sykehus.example}]}
  test: {name: Test receiver, ways: [{channel: webhook, target: test}]}
roster:
  duty: {zone: Europe/Oslo, layers: [{who: kari, from: "00:00", to: "00:00"}]}
routes: {duty: [duty], crisis_team: [kari], ops: [kari], fallback: [kari], canary: [test]}
repeat_every: {critical: 1m, warning: 1m, info: 4h}
grouping: {by: [alert]}
"""
RULE = """
name: hashtag
type: any
why: the test
to: duty
"""

ELSEWHERE = {
    "lyttepost_receipts_total": "no gateway tells later what became of a message",
    "lyttepost_callbacks_total": "no gateway calls",
    "lyttepost_webhook_calls_total": "no source here is called by its platform",
    "lyttepost_webhook_last_call_timestamp_seconds": "no source here is called by its platform",
    "lyttepost_highlights": "no feeds are set up",
    "lyttepost_highlight_sends_total": "no account is set up",
    "lyttepost_highlights_feeds_read_timestamp_seconds": "no feeds are set up",
    "lyttepost_credential_ends_timestamp_seconds": "no certificate is in use",
    "lyttepost_retention_oldest_content_timestamp_seconds": "no source here has a limit of its own",
    "lyttepost_quota_used_units": "no source here has a day's quota",
    "lyttepost_source_allowance_used": "no source here has an allowance for longer than a day",
    "lyttepost_source_deletions_checked_timestamp_seconds": "nothing is held for so long that it is asked about",
    "lyttepost_bus_producer_errors_total": "no write to this bus fails",
    "lyttepost_spool_oldest_timestamp_seconds": "an embedded bus is never away",
    "lyttepost_spool_limit_bytes": "an embedded bus is never away",
    "lyttepost_ready": "every part is ready, in the end",
}
"""Metric → why the service of this test does not tell it; an expression that has it is asked of the second process."""


def questions() -> dict[str, str]:
    """What each panel asks, with its variables filled in → its dashboard and title."""
    found = {}
    for name in ("crisis", "pipeline"):
        board = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / f"{name}.json").read_text(encoding="utf-8"))
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                expression = target["expr"]
                for variable, value in VARIABLES.items():
                    expression = expression.replace(variable, value)
                assert "$" not in expression, expression
                found[expression] = f"{name}: {panel['title']}"
    return found


def has_data(port: int, expression: str) -> bool:
    """Whether Prometheus has at least one number. Raises AssertionError for what it does not understand."""
    try:
        answer = json.loads(fetch(port, f"/api/v1/query?{urlencode({'query': expression})}"))
    except (OSError, ValueError):
        return False
    assert answer["status"] == "success", f"{expression}: {answer.get('error')}"
    return any(not isnan(float(sample["value"][1])) for sample in answer["data"]["result"])


def ask(port: int, wanted: dict[str, str], meanwhile: Callable[[], object] = lambda: None) -> dict[str, str]:
    """Ask each until it has data or time is over; what never had any."""
    missing, end = dict(wanted), time.monotonic() + PATIENCE
    while missing and time.monotonic() < end:
        missing = {expression: title for expression, title in missing.items() if not has_data(port, expression)}
        meanwhile()
        time.sleep(0.5)
    return missing


def elsewhere(expression: str) -> bool:
    return bool(ELSEWHERE.keys() & set(re.findall(r"\blyttepost_[a-z_]+", expression)))


@pytest.fixture
def other() -> Iterator[Web]:
    """A process that tells every metric once."""
    metrics, health = Metrics(CollectorRegistry(), "0"), Health(SystemClock())
    give_every_metric_a_sample(metrics)
    metrics.highlights_read.set(1)  # not a number at first
    health.part("stuck", turns_within=None).problem("for the test")
    web = Web(metrics, health)
    yield web
    web.stop()


@pytest.mark.slow
def test_every_panel_of_both_dashboards_has_data(
    deploy: Callable[..., Deployment], short: Recording, other: Web, tmp_path: Path
) -> None:
    (tmp_path / "prometheus").mkdir()
    with FakeX(bearer=TOKEN, keep_alive=2.0) as x, smtp_server() as smtp, webhook_server() as hook:
        deployment = deploy(recording=short.path, speed="60")
        (deployment.configure(people=PEOPLE, tracks="phrases: [granvik]\n") / "rules" / "any.yaml").write_text(RULE)
        deployment.settings |= {
            "X__BASE_URL": x.url, "X__BEARER_TOKEN": TOKEN, "X__COUNTS__EVERY": "1m", "CANARY__EVERY": "3s",
            "DEADMAN__URL": hook.url, "DEADMAN__EVERY": "10s", "CHANNELS__WEBHOOK__URL": hook.url,
            "CHANNELS__EMAIL": json.dumps(
                {"host": "127.0.0.1", "port": smtp.port, "encryption": "none", "from": "l@sykehus.example"}
            ),
        }  # fmt: skip
        running = deployment.start()
        rounds = iter(range(10_000))
        with prometheus(tmp_path / "prometheus", running.port) as port:
            calm = {text: title for text, title in questions().items() if "lyttepost_source_counted" in text}
            assert ask(port, calm) == {}, "in calm posts are counted"
            smtp.always = "451"
            deployment.exercise()
            deployment.command("mode", "crisis", "--name", "Brann", "--track", "granvik", "--lookback", "0s",
                               "--why", "prøve", "--no-wait")  # fmt: skip

            def goes_on() -> None:
                number = next(rounds)
                x.post(f"Det brenner i Granvik, melding {number} #granvikbrann, ring 91234567", author=f"per{number}")
                if number == 8:
                    x.do("reset")
                if number == 16:
                    smtp.always = None
                if number >= 16 and number % 8 == 0:
                    open_ones = json.loads(deployment.command("alerts", "--json").stdout or "[]")
                    deployment.command("alerts", "ack", *[alert["id"] for alert in open_ones[:3]], "--by", "Kari")

            here = {text: title for text, title in questions().items() if text not in calm and not elsewhere(text)}
            assert ask(port, here, goes_on) == {}
            drawn(port, tmp_path)
            scrape(tmp_path / "prometheus", running.port, other.port)
            there = {text: title for text, title in questions().items() if elsewhere(text)}
            assert ask(port, there) == {}


def drawn(port: int, folder: Path) -> None:
    """The dashboards as pictures, for whoever has no Grafana at hand. What draws them comes with the extra `deploy`."""
    if find_spec("matplotlib") is None:
        return
    kept = Path(os.environ.get("LYTTEPOST_DRAWN", folder))
    sys.path.insert(0, str(ROOT / "deploy" / "grafana"))
    from draw import draw_all

    filled = draw_all(f"http://127.0.0.1:{port}", kept, minutes=0.5, rate="10s")
    assert filled["crisis"] > 20
    assert filled["pipeline"] > 35
    assert all((kept / f"{name}.png").read_bytes().startswith(b"\x89PNG") for name in filled)


def test_what_is_asked_elsewhere_is_a_metric_of_a_panel() -> None:
    named = set(chain.from_iterable(re.findall(r"\blyttepost_[a-z_]+", text) for text in questions()))
    assert ELSEWHERE.keys() <= named
