"""The metrics keep their promises to ops: names, labels, zeros from the start, and a table that is true."""

from __future__ import annotations

import re
import time
from itertools import product
from math import isnan
from pathlib import Path

import pytest
from documents_support import OPERATING, block
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from listener.model.deliveries import Outcome
from listener.model.records import Kind, Severity
from listener.runtime.metrics import BUCKETS, Metrics, SourceState, table
from listener.runtime.process import PROCESS, open_files

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "deploy" / "prometheus" / "lyttepost.rules.yml"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry(), version="1.2.3")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_operating_page_holds_the_table_of_metrics(metrics: Metrics) -> None:
    told = block(OPERATING, "metrics")
    assert told.strip() == table(metrics), (
        "paste listener.runtime.metrics.table(…) between the markers of deploy/README.md"
    )


def test_the_table_shows_name_type_labels_and_meaning(metrics: Metrics) -> None:
    rows = table(metrics).splitlines()
    assert rows[:2] == ["| Metric | Type | Labels | Meaning |", "| --- | --- | --- | --- |"]
    assert (
        "| `lyttepost_posts_dropped_total` | counter | `source`, `reason` "
        "| Posts heard and not published, by reason. |" in rows
    )
    assert all(row.count("|") == 5 for row in rows)


def test_every_metric_stands_in_the_table_under_the_name_it_is_scraped_by(metrics: Metrics) -> None:
    scraped = re.findall(r"^# TYPE (\S+) ", generate_latest(metrics.registry).decode(), re.MULTILINE)
    assert [spec.name for spec in metrics.specs] == scraped
    assert all(name.startswith("lyttepost_") for name in scraped)


def test_the_process_says_what_it_takes(metrics: Metrics) -> None:
    assert (value(metrics, "lyttepost_process_resident_memory_bytes") or 0) > 1e6
    assert (value(metrics, "lyttepost_process_cpu_seconds_total") or 0) > 0


def test_it_says_what_the_client_library_would_say_of_it(metrics: Metrics) -> None:
    wanted = {s.name: s.value for each in ProcessCollector("lyttepost", registry=None).collect() for s in each.samples}
    said = {name: value(metrics, name) or 0 for name in wanted}
    assert [name for name, _, _ in PROCESS] == [name.removeprefix("lyttepost_process_") for name in wanted]
    for name in ("start_time_seconds", "max_fds", "virtual_memory_bytes", "resident_memory_bytes", "open_fds"):
        assert said[f"lyttepost_process_{name}"] == pytest.approx(wanted[f"lyttepost_process_{name}"], rel=0.2), name
    assert said["lyttepost_process_cpu_seconds_total"] == pytest.approx(time.process_time(), abs=1.0)


def test_open_files_are_counted_where_the_system_does_not_say(tmp_path: Path) -> None:
    """Whatever the system: a folder beside it lists the same files, and none has ever said how many."""
    assert Path("/proc/self/fdinfo").stat().st_size == 0
    before = open_files(), open_files("/proc/self/fdinfo")
    assert before[0] == pytest.approx(before[1], abs=1)
    with (tmp_path / "a").open("w"), (tmp_path / "b").open("w"):
        assert (open_files(), open_files("/proc/self/fdinfo")) == (before[0] + 2, before[1] + 2)


def test_every_metric_says_what_it_means_in_a_sentence(metrics: Metrics) -> None:
    assert [s.name for s in metrics.specs if not re.fullmatch(r"[A-Z0-9].*\.", s.meaning)] == []


def test_units_are_base_units_and_stand_in_the_name(metrics: Metrics) -> None:
    for spec in metrics.specs:
        assert spec.name.endswith("_total") == (spec.type == "counter"), spec.name
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent)(_|$)", spec.name)
        if spec.type == "histogram":
            assert spec.name.endswith("_seconds")
        if "timestamp" in spec.name:
            assert spec.name.endswith("_timestamp_seconds")


def test_no_label_can_hold_what_somebody_posted(metrics: Metrics) -> None:
    """A new label is a decision: every value it can take must be named in code or configuration."""
    bounded = {
        "version", "part", "exercise", "source", "state", "reason", "origin", "kind", "cause", "stage", "rule",
        "event", "severity", "channel", "outcome", "group", "topic", "scope", "cap", "endpoint",
        "allowance", "theme", "bound", "confirmed", "role", "setting",
        "track",  # of a source the loudest 50, which the crisis team wrote
        "incident",  # ids of open incidents, which the crisis team names
    }  # fmt: skip
    assert {label for spec in metrics.specs for label in spec.labels} == bounded


def test_series_with_known_labels_start_at_zero(metrics: Metrics) -> None:
    for kind in Kind:
        assert value(metrics, "lyttepost_findings_total", kind=kind) == 0
    for severity, exercise in product(Severity, ("true", "false")):
        assert value(metrics, "lyttepost_alerts_open", severity=severity, exercise=exercise) == 0
    assert value(metrics, "lyttepost_crisis") == 0
    assert value(metrics, "lyttepost_control_epoch") == -1


@pytest.mark.parametrize("name", ["lyttepost_rules_watermark_timestamp_seconds", "lyttepost_bus_free_bytes"])
def test_what_is_not_known_yet_is_not_a_number(metrics: Metrics, name: str) -> None:
    unknown = value(metrics, name)
    assert unknown is not None
    assert isnan(unknown)


def test_a_source_is_shown_before_it_has_said_anything(metrics: Metrics) -> None:
    metrics.add_source("x")
    assert value(metrics, "lyttepost_posts_heard_total", source="x") == 0
    assert value(metrics, "lyttepost_gaps_open", source="x") == 0
    heard = value(metrics, "lyttepost_source_last_heard_timestamp_seconds", source="x")
    assert heard is not None
    assert isnan(heard)
    assert value(metrics, "lyttepost_source_state", source="x", state="idle") == 1


def test_rules_and_channels_are_shown_before_anything_goes_wrong(metrics: Metrics) -> None:
    metrics.add_rule("wishes")
    metrics.add_channel("email")
    assert value(metrics, "lyttepost_rule_failures_total", rule="wishes") == 0
    for outcome in Outcome:
        assert value(metrics, "lyttepost_deliveries_total", channel="email", outcome=outcome) == 0


def test_a_source_is_in_one_state_at_a_time(metrics: Metrics) -> None:
    for state in (SourceState.CONNECTING, SourceState.LISTENING):
        metrics.set_source_state("x", state)
    states = {state: value(metrics, "lyttepost_source_state", source="x", state=state) for state in SourceState}
    assert states == {state: float(state is SourceState.LISTENING) for state in SourceState}


def test_waits_are_distinguished_beyond_ten_seconds(metrics: Metrics) -> None:
    metrics.dispatch_latency.observe(90)
    assert value(metrics, "lyttepost_dispatch_latency_seconds_bucket", le="60.0") == 0
    assert value(metrics, "lyttepost_dispatch_latency_seconds_bucket", le="120.0") == 1
    metrics.pipeline_delay.observe(0.4)
    assert value(metrics, "lyttepost_pipeline_delay_seconds_bucket", le="0.5") == 1
    assert BUCKETS == (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
    metrics.acknowledge.labels("false").observe(1000)
    assert value(metrics, "lyttepost_acknowledge_seconds_bucket", exercise="false", le="900.0") == 0
    assert value(metrics, "lyttepost_acknowledge_seconds_bucket", exercise="false", le="1800.0") == 1


def test_no_created_series_double_the_scrape(metrics: Metrics) -> None:
    metrics.rule_failures.labels("wishes").inc()
    assert b"_created" not in generate_latest(metrics.registry)


def test_two_sets_of_metrics_do_not_meet() -> None:
    one, other = (Metrics(CollectorRegistry(), version="1") for _ in range(2))
    one.crisis.set(1)
    assert value(other, "lyttepost_crisis") == 0


def test_the_version_is_reported(metrics: Metrics) -> None:
    assert value(metrics, "lyttepost_build_info", version="1.2.3") == 1


def test_alerting_rules_name_only_metrics_that_exist(metrics: Metrics) -> None:
    named = set(re.findall(r"\blyttepost_[a-z_]+", RULES.read_text(encoding="utf-8")))
    suffixes = ("", "_bucket", "_count", "_sum")
    known = {s.name + suffix for s in metrics.specs for suffix in (suffixes if s.type == "histogram" else ("",))}
    assert named
    assert named <= known
