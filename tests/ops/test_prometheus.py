"""Prometheus itself reads what we say of ourselves: the real promtool, the real server, the real web port."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from listener.runtime.metrics import Metrics

if TYPE_CHECKING:
    from tests.ops.conftest import Served

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = DEPLOY / "lyttepost.rules.yml"
CONFIG = DEPLOY / "prometheus.yml"


def program(*names: str) -> str:
    """The path of a program of Prometheus, by the first of its names that is here. Where there is none the test is
    skipped, in CI it fails."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        packages = "prometheus prometheus-alertmanager"
        why = f"{names[0]} is not installed; on Debian and Ubuntu: apt-get install --no-install-recommends {packages}"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    return found


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    """What promtool says, when it finds nothing wrong."""
    done = subprocess.run([program("promtool"), *arguments], input=stdin, capture_output=True, text=True, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def fetch(port: int, path: str) -> str:
    """Straight from this machine, whatever proxy its environment names. Raises OSError."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


def give_every_metric_a_sample(metrics: Metrics) -> None:
    values = {"severity": "critical", "exercise": "true", "kind": "wish", "state": "listening", "version": "1.2.3"}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            spec = next(s for s in metrics.specs if s.name.removesuffix("_total") == next(iter(metric.describe())).name)
            child = metric.labels(*(values.get(name, "x") for name in spec.labels)) if spec.labels else metric
            if isinstance(child, Histogram):
                child.observe(1)
            else:
                child.inc()


def test_promtool_finds_nothing_wrong_with_a_scrape_of_every_metric(served: Served) -> None:
    give_every_metric_a_sample(served.metrics)
    served.health.part("web", turns_within=None)
    text = fetch(served.web.port, "/metrics")
    without = [family.name for family in text_string_to_metric_families(text) if not family.samples]
    assert without == []
    assert len(re.findall("^# TYPE ", text, re.MULTILINE)) == len(served.metrics.specs)
    assert promtool("check", "metrics", stdin=text) == ""


def test_promtool_accepts_the_rules_and_finds_none_twice() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@pytest.mark.parametrize("path", [CONFIG, DEPLOY / "prometheus.compose.yml"], ids=lambda path: path.name)
def test_promtool_accepts_the_example_configurations_with_their_rules(path: Path) -> None:
    assert "SUCCESS" in promtool("check", "config", path)
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["scrape_configs"]
    assert [job["job_name"] for job in jobs] == ["lyttepost"], "the rules go by it"


def rules() -> list[dict[str, Any]]:
    """The alerts."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


def test_every_alert_says_how_bad_it_is_what_happened_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "deadman"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]


HEALTHY = {
    'lyttepost_clock_timestamp_seconds{instance="a"}': "0+60x120",
    'lyttepost_rules_unheard{instance="a"}': "0+0x120",
    'lyttepost_rules_last_reload_successful{instance="a"}': "1+0x120",
    'lyttepost_alerts_oldest_open_timestamp_seconds{instance="a",severity="critical",exercise="false"}': "NaN+0x120",
    'lyttepost_alerts_oldest_open_timestamp_seconds{instance="a",severity="info",exercise="false"}': "1+0x120",
    'lyttepost_alerts_oldest_open_timestamp_seconds{instance="a",severity="critical",exercise="true"}': "1+0x120",
    'lyttepost_spool_bytes{instance="a",source="x"}': "0+0x120",
    'lyttepost_spool_limit_bytes{instance="a",source="x"}': "1000+0x120",
    'lyttepost_spool_oldest_timestamp_seconds{instance="a",source="x"}': "NaN+0x120",
    'lyttepost_deadletters_total{instance="a",stage="annotate",reason="bad_json"}': "0+0x120",
    'lyttepost_deadletters_total{instance="a",stage="listen-recording",reason="bad_json"}': "0+5x120",
    'lyttepost_reconnects_total{instance="a",source="x",cause="silence"}': "0+0x120",
    'lyttepost_gap_seconds_total{instance="a",source="x",cause="silence"}': "0+0x120",
    'lyttepost_canary_interval_seconds{instance="a"}': "600+0x120",
    'lyttepost_canary_last_arrived_timestamp_seconds{instance="a"}': "0+60x120",
    'lyttepost_deadman_pings_total{instance="a",outcome="sent"}': "0+1x120",
    'lyttepost_deadman_pings_total{instance="a",outcome="failed"}': "0+1x120",
    'lyttepost_review_due_timestamp_seconds{instance="a",exercise="false"}': "NaN+0x120",
    'lyttepost_review_due_timestamp_seconds{instance="a",exercise="true"}': "1+0x120",
    'up{job="lyttepost",instance="a"}': "1+0x120",
    'lyttepost_ready{instance="a",part="bus"}': "1+0x120",
    'lyttepost_crisis{instance="a"}': "0+0x120",
    'lyttepost_incidents_open{instance="a",exercise="true"}': "0+0x120",
    'lyttepost_incidents_open{instance="a",exercise="false"}': "0+0x120",
    'lyttepost_source_last_heard_timestamp_seconds{instance="a",source="x"}': "0+60x120",
    'lyttepost_source_last_heard_timestamp_seconds{instance="a",source="recording"}': "NaN+0x120",
    'lyttepost_source_interval_seconds{instance="a",source="x"}': "0+0x120",
    'lyttepost_source_interval_seconds{instance="a",source="recording"}': "0+0x120",
    'lyttepost_source_state{instance="a",source="x",state="listening"}': "1+0x120",
    'lyttepost_source_state{instance="a",source="recording",state="idle"}': "1+0x120",
    'lyttepost_gaps_open{instance="a",source="x"}': "0+0x120",
    'lyttepost_rules_watermark_timestamp_seconds{instance="a"}': "0+60x120",
    'lyttepost_rule_failures_total{instance="a",rule="wishes"}': "0+0x120",
    'lyttepost_alerts_undelivered{instance="a"}': "0+0x120",
    'lyttepost_deliveries_total{instance="a",channel="email",outcome="sent"}': "0+1x120",
    'lyttepost_deliveries_total{instance="a",channel="email",outcome="temporary_failure"}': "0+1x120",
    'lyttepost_deliveries_total{instance="a",channel="sms",outcome="sent"}': "0+0x120",
    'lyttepost_deliveries_total{instance="a",channel="sms",outcome="permanent_failure"}': "0+0x120",
    'lyttepost_channel_consecutive_failures{instance="a",channel="email"}': "0 1 2 0+0x117",
    'lyttepost_channel_consecutive_failures{instance="b",channel="email"}': "0+0x120",
    'lyttepost_bus_up{instance="a"}': "1+0x120",
    'lyttepost_consumer_lag_seconds{instance="a",group="judge",topic="findings"}': "0+0x120",
    'lyttepost_spent_dollars{instance="a",source="x",scope="month",incident=""}': "10+1x120",
    'lyttepost_spent_dollars{instance="a",source="x",scope="incident",incident="brann"}': "5000+1x120",
    'lyttepost_budget_dollars{instance="a",source="x",cap="soft"}': "500+0x120",
    'lyttepost_budget_dollars{instance="a",source="x",cap="hard"}': "1000+0x120",
    'lyttepost_budget_dollars{instance="a",source="x",cap="ceiling"}': "2000+0x120",
    'lyttepost_source_counted_timestamp_seconds{instance="a",source="x"}': "0+60x120",
    'lyttepost_source_counted_timestamp_seconds{instance="a",source="recording"}': "NaN+0x120",
    'lyttepost_pages_waiting_oldest_timestamp_seconds{instance="a"}': "NaN+0x120",
    'lyttepost_roster_gap_timestamp_seconds{instance="a",role="duty"}': "NaN+0x120",
    'lyttepost_roster_gap_timestamp_seconds{instance="a",role="ops"}': "300000+0x120",
    'lyttepost_people{instance="a",confirmed="true"}': "1+0x120",
    'lyttepost_people{instance="a",confirmed="false"}': "7+0x120",
    'lyttepost_credential_ends_timestamp_seconds{instance="a",setting="board.certificate.file"}': "4e6+0x120",
    'lyttepost_credential_ends_timestamp_seconds{instance="b",setting="board.certificate.file"}': "NaN+0x120",
    'lyttepost_bus_full{instance="a"}': "0+0x120",
    'lyttepost_bus_free_bytes{instance="a"}': "9e10+0x120",
    'lyttepost_retention_oldest_record_timestamp_seconds{instance="a",topic="mentions"}': "0+60x120",
    'lyttepost_retention_oldest_record_timestamp_seconds{instance="a",topic="volumes"}': "NaN+0x120",
    'lyttepost_retention_allowed_seconds{instance="a",topic="mentions"}': "2592000+0x120",
    'lyttepost_retention_allowed_seconds{instance="a",topic="volumes"}': "1+0x120",
}
"""A minute a step: two hours of a process that does well. Series are Prometheus' own notation."""

IN_CRISIS = {
    'lyttepost_crisis{instance="a"}': "1+0x120",
    'lyttepost_incidents_open{instance="a",exercise="false"}': "1+0x120",
}
EXERCISE = {
    'lyttepost_crisis{instance="a"}': "1+0x120",
    'lyttepost_incidents_open{instance="a",exercise="true"}': "1+0x120",
}
LONG_AGO = {'lyttepost_source_last_heard_timestamp_seconds{instance="a",source="x"}': "1+0x120"}
OLD_WATERMARK = {'lyttepost_rules_watermark_timestamp_seconds{instance="a"}': "1+0x120"}
UNSTEADY = {
    'lyttepost_reconnects_total{instance="a",source="x",cause="silence"}': "0+3x120",
    'lyttepost_gap_seconds_total{instance="a",source="x",cause="silence"}': "0+55x120",
}


def _spent(usd: int) -> dict[str, str | None]:
    return {'lyttepost_spent_dollars{instance="a",source="x",scope="month",incident=""}': f"{usd}+0x120"}


def _arrived(values: str | None) -> dict[str, str | None]:
    return {'lyttepost_canary_last_arrived_timestamp_seconds{instance="a"}': values}


def _counted(values: str) -> dict[str, str | None]:
    return {'lyttepost_source_counted_timestamp_seconds{instance="a",source="x"}': values}


def _asked_hourly(counted: str) -> dict[str, str | None]:
    return {
        'lyttepost_source_interval_seconds{instance="a",source="facebook"}': "3600+0x120",
        'lyttepost_source_counted_timestamp_seconds{instance="a",source="facebook"}': f"{counted}+0x120",
    }


def _linkedin(heard: str) -> dict[str, str | None]:
    return {
        'lyttepost_source_state{instance="a",source="linkedin",state="listening"}': "1+0x120",
        'lyttepost_source_interval_seconds{instance="a",source="linkedin"}': "300+0x120",
        'lyttepost_source_interval_seconds{instance="b",source="linkedin"}': "0+0x120",  # it stands by
        'lyttepost_source_last_heard_timestamp_seconds{instance="a",source="linkedin"}': f"{heard}+0x120",
    }


def _waiting(values: str) -> dict[str, str | None]:
    return {'lyttepost_pages_waiting_oldest_timestamp_seconds{instance="a"}': values}


def _gap(values: str) -> dict[str, str | None]:
    return {'lyttepost_roster_gap_timestamp_seconds{instance="a",role="duty"}': values}


def _confirmed(yes: int, no: int) -> dict[str, str | None]:
    name = 'lyttepost_people{{instance="a",confirmed="{}"}}'
    return {name.format("true"): f"{yes}+0x120", name.format("false"): f"{no}+0x120"}


def _ends(values: str) -> dict[str, str | None]:
    return {'lyttepost_credential_ends_timestamp_seconds{instance="a",setting="board.certificate.file"}': values}


TIMELINES: dict[str, tuple[dict[str, str | None], set[str]]] = {
    "all is well in calm": ({}, set()),
    "all is well in crisis": ({**IN_CRISIS}, set()),
    "a process does not answer": ({'up{job="lyttepost",instance="a"}': "0+0x120"}, {"LyttepostDown"}),
    "a scrape that fails once is no alarm": ({'up{job="lyttepost",instance="a"}': "1+0x59 0 1+0x59"}, set()),
    "nothing is scraped": ({'up{job="lyttepost",instance="a"}': None}, {"LyttepostAbsent"}),
    "the canary has not arrived for twice its interval and two minutes": (
        _arrived("0+60x66 3960+0x54"),
        {"LyttepostCanaryMissing"},
    ),
    "the canary is a little late": (_arrived("0+60x69 4140+0x51"), set()),
    "a canary that is always late is missing": (_arrived("_x40 0+60x80"), {"LyttepostCanaryMissing"}),
    "nobody is there who could send the canary on": (_arrived(None), {"LyttepostCanaryMissing"}),
    "no canary has been known from the start": (_arrived("NaN+0x120"), {"LyttepostCanaryMissing"}),
    "no canary is posted": (
        {**_arrived("NaN+0x120"), 'lyttepost_canary_interval_seconds{instance="a"}': "0+0x120"},
        set(),
    ),
    "a process without dispatch is no alarm while another one has it": (
        {'lyttepost_canary_last_arrived_timestamp_seconds{instance="b"}': "NaN+0x120"},
        set(),
    ),
    "the dead-man service takes no ping": (
        {'lyttepost_deadman_pings_total{instance="a",outcome="sent"}': "50+0x120"},
        {"LyttepostDeadManPingFailing"},
    ),
    "no dead-man service is set up": (
        {
            'lyttepost_deadman_pings_total{instance="a",outcome="sent"}': None,
            'lyttepost_deadman_pings_total{instance="a",outcome="failed"}': None,
        },
        set(),
    ),
    "a review is overdue": (
        {'lyttepost_review_due_timestamp_seconds{instance="a",exercise="false"}': "3500+0x120"},
        {"LyttepostReviewOverdue"},
    ),
    "a review is due for ten minutes": (
        {'lyttepost_review_due_timestamp_seconds{instance="a",exercise="false"}': "4800+0x120"},
        set(),
    ),
    "a part is not ready": ({'lyttepost_ready{instance="a",part="bus"}': "0+0x120"}, {"LyttepostNotReady"}),
    "silence in crisis": ({**IN_CRISIS, **LONG_AGO}, {"LyttepostSourceSilent"}),
    "a source that is asked every five minutes says nothing between": ({**IN_CRISIS, **_linkedin("5100")}, set()),
    "a source that is asked every five minutes misses a round": (
        {**IN_CRISIS, **_linkedin("4800")},
        {"LyttepostSourceSilent"},
    ),
    "silence in calm is no alarm": ({**LONG_AGO}, set()),
    "another process hears the source": (
        {**IN_CRISIS, **LONG_AGO, 'lyttepost_source_last_heard_timestamp_seconds{instance="b",source="x"}': "0+60x120"},
        set(),
    ),
    "a recording that ended is no alarm": (
        {
            **EXERCISE,
            **LONG_AGO,
            'lyttepost_source_state{instance="a",source="x",state="listening"}': "0+0x120",
            'lyttepost_source_state{instance="a",source="x",state="finished"}': "1+0x120",
        },
        set(),
    ),
    "nobody listens in crisis": (
        {**IN_CRISIS, 'lyttepost_source_state{instance="a",source="x",state="listening"}': "0+0x120"},
        {"LyttepostNobodyListens"},
    ),
    "no listener was ever started": (
        {
            **IN_CRISIS,
            'lyttepost_source_state{instance="a",source="x",state="listening"}': None,
            'lyttepost_source_state{instance="a",source="recording",state="idle"}': None,
        },
        {"LyttepostNobodyListens"},
    ),
    "an open gap": ({'lyttepost_gaps_open{instance="a",source="x"}': "1+0x120"}, {"LyttepostGapOpen"}),
    "rules behind in crisis": ({**IN_CRISIS, **OLD_WATERMARK}, {"LyttepostRulesBehind"}),
    "an old recording in an exercise is no alarm": ({**EXERCISE, **OLD_WATERMARK}, set()),
    "a rule fails now": (
        {'lyttepost_rule_failures_total{instance="a",rule="wishes"}': "0+0x58 1 2 3"},
        {"LyttepostRuleFailing"},
    ),
    "a rule failed before its first scrape": (
        {'lyttepost_rule_failures_total{instance="a",rule="wishes"}': "_x57 1+0x60"},
        {"LyttepostRuleFailing"},
    ),
    "a rule that failed long ago is no alarm": (
        {'lyttepost_rule_failures_total{instance="a",rule="wishes"}': "5+0x120"},
        set(),
    ),
    "a deaf source leaves the rules nothing to judge": (
        {**IN_CRISIS, **OLD_WATERMARK, 'lyttepost_rules_unheard{instance="a"}': "1+0x120"},
        set(),
    ),
    "a connection that breaks each 22 seconds": ({**IN_CRISIS, **UNSTEADY}, {"LyttepostSourceUnsteady"}),
    "the same in calm is no alarm": ({**UNSTEADY}, set()),
    "one long gap that is over is no unsteady source": (
        {**IN_CRISIS, 'lyttepost_gap_seconds_total{instance="a",source="x",cause="silence"}': "0+0x88 900+0x30"},
        set(),
    ),
    "rule files are refused": (
        {'lyttepost_rules_last_reload_successful{instance="a"}': "0+0x120"},
        {"LyttepostRulesRefused"},
    ),
    "nobody acknowledges": (
        {
            'lyttepost_alerts_oldest_open_timestamp_seconds{instance="a",severity="critical",exercise="false"}': (
                "_x70 4200+0x50"
            )
        },
        {"LyttepostAlertUnacknowledged"},
    ),
    "an alert of ten minutes ago may still be answered": (
        {
            'lyttepost_alerts_oldest_open_timestamp_seconds{instance="a",severity="critical",exercise="false"}': (
                "_x80 4800+0x40"
            )
        },
        set(),
    ),
    "the spool fills up": (
        {
            'lyttepost_spool_bytes{instance="a",source="x"}': "600+0x120",
            'lyttepost_spool_oldest_timestamp_seconds{instance="a",source="x"}': "1+0x120",
            'lyttepost_bus_up{instance="a"}': "0+0x120",
        },
        {"LyttepostBusAway", "LyttepostSpoolFillingUp"},
    ),
    "a spool is left over though the bus is there": (
        {
            'lyttepost_spool_bytes{instance="a",source="x"}': "10+0x120",
            'lyttepost_spool_oldest_timestamp_seconds{instance="a",source="x"}': "1+0x120",
        },
        {"LyttepostSpoolLeftOver"},
    ),
    "many dead letters come before the first scrape": (
        {'lyttepost_deadletters_total{instance="a",stage="judge",reason="bad_json"}': "_x60 20+0x60"},
        {"LyttepostDeadLettersRising"},
    ),
    "a few dead letters come before the first scrape": (
        {'lyttepost_deadletters_total{instance="a",stage="judge",reason="bad_json"}': "_x60 3+0x60"},
        set(),
    ),
    "dead letters rise": (
        {'lyttepost_deadletters_total{instance="a",stage="annotate",reason="bad_json"}': "0+5x120"},
        {"LyttepostDeadLettersRising"},
    ),
    "a clock is two minutes off": (
        {'lyttepost_clock_timestamp_seconds{instance="a"}': "120+60x120"},
        {"LyttepostClockSkewed"},
    ),
    "an alert reaches nobody": (
        {'lyttepost_alerts_undelivered{instance="a"}': "1+0x120"},
        {"LyttepostAlertUndelivered"},
    ),
    "nothing gets through on a channel": (
        {'lyttepost_deliveries_total{instance="a",channel="sms",outcome="permanent_failure"}': "0+1x120"},
        {"LyttepostChannelFailing"},
    ),
    "three attempts in a row fail on a channel": (
        {'lyttepost_channel_consecutive_failures{instance="a",channel="email"}': "3+0x120"},
        {"LyttepostChannelDown"},
    ),
    "two attempts in a row fail on a channel": (
        {'lyttepost_channel_consecutive_failures{instance="a",channel="email"}': "2+0x120"},
        set(),
    ),
    "the bus is away": ({'lyttepost_bus_up{instance="a"}': "0+0x120"}, {"LyttepostBusAway"}),
    "the bus is away for one look": ({'lyttepost_bus_up{instance="a"}': "1+0x59 0 1+0x59"}, set()),
    "a stage stands still": (
        {'lyttepost_consumer_lag_seconds{instance="a",group="judge",topic="findings"}': "0+60x120"},
        {"LyttepostFallingBehind"},
    ),
    "a stage that catches up is no alarm": (
        {'lyttepost_consumer_lag_seconds{instance="a",group="judge",topic="findings"}': "8000-60x120"},
        set(),
    ),
    "how far behind is not known while the bus is away": (
        {
            'lyttepost_consumer_lag_seconds{instance="a",group="judge",topic="findings"}': "NaN+0x120",
            'lyttepost_bus_up{instance="a"}': "0+0x120",
        },
        {"LyttepostBusAway"},
    ),
    "a month at its soft cap": (_spent(600), {"LyttepostSpendingSoftCap"}),
    "a month at its hard cap": (_spent(1000), {"LyttepostSpendingHardCap"}),
    "a month at its ceiling": (_spent(2000), {"LyttepostSpendingCeiling"}),
    "a raise lifts the caps": (
        {
            **_spent(2000),
            'lyttepost_budget_dollars{instance="a",source="x",cap="soft"}': "2500+0x120",
            'lyttepost_budget_dollars{instance="a",source="x",cap="hard"}': "3000+0x120",
            'lyttepost_budget_dollars{instance="a",source="x",cap="ceiling"}': "4000+0x120",
        },
        set(),
    ),
    "calls are refused and none is good": (
        {
            'lyttepost_webhook_calls_total{instance="a",source="facebook",outcome="refused"}': "0+1x120",
            'lyttepost_webhook_calls_total{instance="a",source="facebook",outcome="taken"}': "7+0x120",
        },
        {"LyttepostWebhookRefused"},
    ),
    "strangers knock beside the platform": (
        {
            'lyttepost_webhook_calls_total{instance="a",source="facebook",outcome="refused"}': "0+9x120",
            'lyttepost_webhook_calls_total{instance="a",source="facebook",outcome="taken"}': "0+1x120",
        },
        set(),
    ),
    "what a platform calls about cannot be kept": (
        {'lyttepost_webhook_calls_total{instance="a",source="facebook",outcome="failed"}': "0+1x120"},
        {"LyttepostWebhookFailing"},
    ),
    "a platform has not called for a week": (
        {'lyttepost_webhook_last_call_timestamp_seconds{instance="a",source="facebook"}': "-700000+0x120"},
        {"LyttepostWebhookSilent"},
    ),
    "a standby waits for no call": (
        {'lyttepost_webhook_last_call_timestamp_seconds{instance="a",source="facebook"}': "NaN+0x120"},
        set(),
    ),
    "nothing is counted in calm": (_counted("0+60x30 1800+0x90"), {"LyttepostNotCounted"}),
    "counts are half an hour old": (_counted("0+60x60 3600+0x60"), set()),
    "a source that is asked every hour was counted an hour ago": (_asked_hourly("1800"), set()),
    "a source that is asked every hour misses a round": (_asked_hourly("-100"), {"LyttepostNotCounted"}),
    "in crisis nobody counts, and the posts are heard": ({**IN_CRISIS, **_counted("1+0x120")}, set()),
    "another process counts": (
        {
            **_counted("1+0x120"),
            'lyttepost_source_counted_timestamp_seconds{instance="b",source="x"}': "0+60x120",
        },
        set(),
    ),
    "a page waits for ten minutes": (_waiting("4800+0x120"), {"LyttepostPagesWaiting"}),
    "a page waits for two minutes": (_waiting("5280+0x120"), set()),
    "a roster has a hole tomorrow": (_gap("100000+0x120"), {"LyttepostRosterGap"}),
    "nobody is on duty now": (_gap("1+0x120"), {"LyttepostRosterGap"}),
    "a roster has a hole in three days": (_gap("260000+0x120"), set()),
    "nobody ever confirmed a message": (_confirmed(0, 8), {"LyttepostNobodyConfirmed"}),
    "there is nobody but the console": (_confirmed(0, 0), set()),
    "a certificate ends in ten days": (_ends("900000+0x120"), {"LyttepostCredentialEnding"}),
    "a certificate ends tomorrow": (_ends("100000+0x120"), {"LyttepostCredentialEndsNow"}),
    "a certificate has ended": (_ends("1+0x120"), {"LyttepostCredentialEndsNow"}),
    "the disk is full": ({'lyttepost_bus_full{instance="a"}': "1+0x120"}, {"LyttepostBusFull"}),
    "the disk fills up": ({'lyttepost_bus_free_bytes{instance="a"}': "1e9+0x120"}, {"LyttepostBusFillingUp"}),
    "room not known yet is no alarm": ({'lyttepost_bus_free_bytes{instance="a"}': "NaN+0x120"}, set()),
    "records older than allowed": (
        {
            'lyttepost_retention_oldest_record_timestamp_seconds{instance="a",topic="mentions"}': "-90000+0x120",
            'lyttepost_retention_allowed_seconds{instance="a",topic="mentions"}': "1+0x120",
        },
        {"LyttepostRetentionOverdue"},
    ),
    "a platform is not asked for deletions": (
        {'lyttepost_source_deletions_checked_timestamp_seconds{instance="a",source="x"}': "-90000+0x120"},
        {"LyttepostDeletionsUnchecked"},
    ),
    "nothing is held, so that nothing need be asked": (
        {'lyttepost_source_deletions_checked_timestamp_seconds{instance="a",source="x"}': "NaN+0x120"},
        set(),
    ),
    "content of a source older than its terms allow": (
        {
            'lyttepost_retention_oldest_content_timestamp_seconds{instance="a",source="linkedin"}': "-172800+0x120",
            'lyttepost_retention_content_allowed_seconds{instance="a",source="linkedin"}': "172800+0x120",
        },
        {"LyttepostContentOverdue"},
    ),
    "content that another process looks after is no alarm": (
        {
            'lyttepost_retention_oldest_content_timestamp_seconds{instance="a",source="linkedin"}': "NaN+0x120",
            'lyttepost_retention_content_allowed_seconds{instance="a",source="linkedin"}': "172800+0x120",
        },
        set(),
    ),
}
"""What is otherwise than healthy (None: the series is missing) → the alerts that fire `AT` or after 90 minutes."""
AT = {
    "a scrape that fails once is no alarm": "60m",
    "the bus is away for one look": "60m",
    "a rule fails now": "60m",
    "a rule failed before its first scrape": "61m",
    "many dead letters come before the first scrape": "61m",
}


def timeline(name: str) -> dict[str, Any]:
    changes, expected = TIMELINES[name]
    series = {key: values for key, values in {**HEALTHY, **changes}.items() if values is not None}
    firing = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted({*expected, "LyttepostDeadMan"})]
    query = 'count by (alertname) (ALERTS{alertstate="firing"} == 1)'
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": AT.get(name, "90m"), "exp_samples": firing}],
    }


@pytest.mark.long
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    tests = [timeline(name) for name in TIMELINES]
    written = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    (tmp_path / "timelines.yml").write_text(json.dumps(written), encoding="utf-8")
    promtool("test", "rules", tmp_path / "timelines.yml")


BURN_STEP = 30
"""Minutes."""
BURN_HOURS = 96
BURN_STEPS = BURN_HOURS * 60 // BURN_STEP


def _round_trips(*late: int, every: int = BURN_HOURS, slow: float = 70.0) -> dict[str, str | None]:
    """A canary an hour; of each `every` hours those of these numbers take long."""
    hours = [slow if hour % every in late else 4.0 for hour in range(BURN_HOURS)]
    steps = [str(value) for value in hours for _ in range(60 // BURN_STEP)]
    return {'lyttepost_canary_round_trip_seconds{instance="a"}': " ".join(steps)}


def _never(known: int) -> dict[str, str | None]:
    """None has arrived, and `known` hours of that are known."""
    steps = known * 60 // BURN_STEP
    values = f"_x{BURN_STEPS - steps} 1+0x{steps}"
    return {
        'lyttepost_canary_last_arrived_timestamp_seconds{instance="a"}': values,
        'lyttepost_canary_interval_seconds{instance="a"}': values.replace("1+0x", "3600+0x"),
        'lyttepost_canary_round_trip_seconds{instance="a"}': f"NaN+0x{BURN_STEPS}",
    }


FAST, SLOWLY, MISSING = "LyttepostCanaryBudgetBurnsFast", "LyttepostCanaryBudgetBurnsSlowly", "LyttepostCanaryMissing"
BURNS: dict[str, tuple[dict[str, str | None], set[str]]] = {
    "all canaries are well": (_round_trips(), set()),
    "one canary in four days was late": (_round_trips(95), set()),
    "the last four were late": (_round_trips(92, 93, 94, 95), {FAST}),
    "four were late and it is over": (_round_trips(91, 92, 93, 94), set()),
    "every eighth is late": (_round_trips(4, every=8), {SLOWLY}),
    "every hour one is a little slow": (_round_trips(*range(96), slow=50.0), set()),
    "none arrives any more": (_never(20), {MISSING, FAST}),
    "none has arrived since a Prometheus began two hours and a half ago": (_never(3), {MISSING}),
    "no canary is posted": (
        {**_round_trips(), 'lyttepost_canary_interval_seconds{instance="a"}': f"0+0x{BURN_STEPS}"},
        set(),
    ),
}
"""What is otherwise than well over four days → what of the canaries' alerts fires at their end."""


def burn(name: str) -> dict[str, Any]:
    changes, expected = BURNS[name]
    well = {
        'lyttepost_canary_interval_seconds{instance="a"}': f"3600+0x{BURN_STEPS}",
        'lyttepost_canary_last_arrived_timestamp_seconds{instance="a"}': f"0+{BURN_STEP * 60}x{BURN_STEPS}",
    }
    series = {**well, **changes}
    query = 'count by (alertname) (ALERTS{alertstate="firing",alertname=~"LyttepostCanary.*"} == 1)'
    firing = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(expected)]
    return {
        "name": name,
        "interval": f"{BURN_STEP}m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": f"{BURN_HOURS * 60 - BURN_STEP}m", "exp_samples": firing}],
    }


def test_canaries_that_come_late_again_and_again_are_an_alert_of_their_own(tmp_path: Path) -> None:
    written = {"rule_files": [str(RULES)], "evaluation_interval": f"{BURN_STEP}m", "tests": [burn(n) for n in BURNS]}
    (tmp_path / "burns.yml").write_text(json.dumps(written), encoding="utf-8")
    promtool("test", "rules", tmp_path / "burns.yml")


def test_every_alert_has_a_timeline_that_fires_it() -> None:
    both = [*TIMELINES.values(), *BURNS.values()]
    fired = set().union(*(expected for _, expected in both), {"LyttepostDeadMan"})
    assert {rule["alert"] for rule in rules()} == fired


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def scrape(folder: Path, *targets: int) -> None:
    """What it scrapes from now on."""
    written = folder / "targets.new"
    written.write_text(json.dumps([{"targets": [f"127.0.0.1:{target}" for target in targets]}]), encoding="utf-8")
    written.rename(folder / "targets.json")


@contextmanager
def prometheus(folder: Path, *targets: int, rules: Path = RULES, alertmanager: int | None = None) -> Iterator[int]:
    """A real Prometheus with our own configuration, but for the ports it scrapes and how often; its own port.

    `rules` may be ours with less patience; `scrape` changes what is scraped. It tells an `alertmanager` at that port.
    """
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    config["global"] = {"scrape_interval": "200ms", "evaluation_interval": "200ms"}
    config["rule_files"] = [str(rules)]
    scraped = config["scrape_configs"][0]
    del scraped["static_configs"]
    scraped["file_sd_configs"] = [{"files": [str(folder / "targets.json")], "refresh_interval": "200ms"}]
    scrape(folder, *targets)
    if alertmanager is not None:
        told = [{"targets": [f"127.0.0.1:{alertmanager}"]}]
        config["alerting"] = {"alertmanagers": [{"static_configs": told}]}
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    port = free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            yield port
        finally:
            process.kill()  # what it stored is thrown away
            process.wait(10)


def query(port: int, expression: str) -> dict[str, str]:
    """Name of the alert, if it is one → value; empty while Prometheus is starting or has nothing."""
    try:
        answer = json.loads(fetch(port, f"/api/v1/query?{urlencode({'query': expression})}"))
    except (OSError, ValueError):
        return {}
    return {sample["metric"].get("alertname", ""): sample["value"][1] for sample in answer["data"]["result"]}


def eventually(look: Callable[[], object], wanted: object, folder: Path, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while (seen := look()) != wanted:
        if time.monotonic() > deadline:
            pytest.fail(f"wanted {wanted!r}, saw {seen!r}\n{(folder / 'log').read_text()[-2000:]}")
        time.sleep(0.1)


@pytest.mark.slow  # Prometheus waits five seconds before it looks at its first target
def test_prometheus_scrapes_the_mode_and_follows_a_switch(served: Served, tmp_path: Path) -> None:
    served.health.part("web", turns_within=None)
    with prometheus(tmp_path, served.web.port) as port:
        eventually(lambda: query(port, "lyttepost_crisis"), {"": "0"}, tmp_path)
        served.metrics.crisis.set(1)
        eventually(lambda: query(port, "lyttepost_crisis"), {"": "1"}, tmp_path)
        eventually(lambda: query(port, 'ALERTS{alertstate="firing"}'), {"LyttepostDeadMan": "1"}, tmp_path)
        assert query(port, 'up{job="lyttepost"}') == {"": "1"}
