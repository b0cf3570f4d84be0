"""What the numbers say after a run, what nobody may find in them, and what an idle process costs."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import SAYINGS, Deployment, Recording, Running, files_with, until

IDLE_SECONDS = 8.0
IDLE_SHARE = 0.05
"""Of a core. 0.03 is what it may take; it takes 0.02, more on a busy machine. A worker that spins takes all of one."""


def test_the_counters_are_right_after_a_run(deploy: Callable[..., Deployment], recording: Recording) -> None:
    deployment = deploy(recording=recording.path, speed="max")
    running = deployment.start()
    deployment.exercise()
    deployment.wait_until_settled()
    fired = {a["id"] for a in deployment.values("alerts") if a["event"] == "fired"}
    opened = 1  # the notice to the crisis team
    told = len(fired) + opened
    until(lambda: running.metric("lyttepost_deliveries_total", outcome="sent") == told, 20, "all are told")
    matching = len(recording.matching)
    m = running.metric
    assert m("lyttepost_posts_heard_total", source="recording") == len(recording.ids) + recording.duplicates
    assert m("lyttepost_posts_heard_total") == m("lyttepost_mentions_published_total") + m(
        "lyttepost_posts_dropped_total"
    )
    assert m("lyttepost_posts_matched_total", source="recording") == matching
    assert m("lyttepost_posts_dropped_total", reason="no_match") == len(recording.ids) - matching
    assert m("lyttepost_posts_dropped_total", reason="duplicate") == recording.duplicates
    assert m("lyttepost_mentions_published_total", origin="live") == matching
    assert m("lyttepost_deadletters_total") == recording.garbage == len(deployment.values("deadletters"))
    cues = Counter(cue["kind"] for f in deployment.values("findings", "finding") for cue in f["cues"])
    for kind, count in cues.items():
        assert m("lyttepost_findings_total", kind=kind) == count
    settled = (a for a in deployment.values("alerts") if a.get("settled") is not False)  # each alarm counts once
    events = Counter((a["rule"], a["event"]) for a in settled)
    for (rule, event), count in events.items():
        assert m("lyttepost_alerts_total", rule=rule, event=event) == count
    assert m("lyttepost_alerts_open", exercise="true") == len(fired)
    assert m("lyttepost_alerts_open", exercise="false") == 0
    assert m("lyttepost_alerts_undelivered") == 0
    assert m("lyttepost_rule_failures_total") == 0
    assert m("lyttepost_stage_records_total", stage="annotate") == len(deployment.records("mentions"))
    assert m("lyttepost_stage_records_total", stage="judge") == len(deployment.records("findings"))
    assert m("lyttepost_stage_batches_total", stage="judge") > 0
    assert m("lyttepost_pipeline_delay_seconds_count") == matching
    assert m("lyttepost_source_state", state="finished") == 1
    until(lambda: m("lyttepost_consumer_lag_records") == 0, 20, "nothing is left to do")  # asked every ten seconds
    done = deployment.command("alerts", "ack", next(iter(fired)), "--by", "Vakt")
    assert done.returncode == 0, done.stderr
    until(lambda: m("lyttepost_alerts_open") == len(fired) - 1, 5, "the acknowledged one is not open")


def test_no_log_metric_or_dead_letter_holds_a_post_or_a_secret(
    deploy: Callable[..., Deployment], recording: Recording
) -> None:
    token = "hemmelig-nokkel-4711"
    deployment = deploy(recording=recording.path, speed="max", settings={"X__BEARER_TOKEN": token})
    running = deployment.start()
    deployment.exercise()
    deployment.wait_until_settled()
    until(lambda: running.metric("lyttepost_alerts_undelivered") == 0, 20, "all are told")
    public = running.get("/metrics")[1] + running.get("/readyz")[1]
    running.terminate()
    key = deployment.key.read_bytes()
    archive = b"".join(
        record.value or b""
        for topic in ("alerts", "deliveries", "decisions", "deadletters", "gaps", "volumes", "presence", "control")
        for record in deployment.records(topic)
    ).decode()
    for said in (public, running.said, archive):
        for secret in (*SAYINGS, "særord", "bruker_", "990077", token):
            assert secret not in said
    assert files_with(deployment.data, [token, "bruker_"]) == []
    assert all(key.strip() not in path.read_bytes() for path in deployment.data.iterdir())


def used(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Kilobytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def handles(running: Running) -> int:
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux")
def test_an_idle_process_costs_next_to_nothing_and_grows_by_nothing(
    deploy: Callable[..., Deployment], short: Recording
) -> None:
    deployment = deploy(recording=short.path, speed="max")
    running = deployment.start()
    pid = running.process.pid
    time.sleep(2)
    presences = len(deployment.records("presence"))
    before, opened, held = used(pid), handles(running), memory(pid)
    time.sleep(IDLE_SECONDS)
    share = (used(pid) - before) / IDLE_SECONDS
    print(f"idle: {share:.2%} of a core, {memory(pid)} kB, {handles(running)} handles")
    assert share < IDLE_SHARE
    assert len(deployment.records("presence")) == presences == 1
    assert handles(running) <= opened
    assert memory(pid) < held + 4096
    assert sum(p.stat().st_size for p in deployment.data.glob("bus.sqlite*")) < 20 << 20


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks Linux")
def test_exercises_that_come_and_go_leave_no_handle_open(deploy: Callable[..., Deployment], short: Recording) -> None:
    deployment = deploy(recording=short.path, speed="max")
    running = deployment.start()
    counts = []
    for number in range(5):
        deployment.exercise(f"Øvelse {number}")
        until(lambda: deployment.source().get("state") == "finished", 10, "it is played", every=0.3)
        assert deployment.command("mode", "calm", "--why", "ferdig", "--no-wait").returncode == 0
        until(lambda: deployment.source().get("state") == "idle", 5, "it is calm", every=0.3)
        counts.append(handles(running))
    assert counts[-1] <= counts[1]
