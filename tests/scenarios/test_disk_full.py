"""The disk fills up in the middle of a crisis: posts wait in a recorded gap, and people are told all the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disks import MIB, fill, free, mounted
from harness import Deployment, Outcome, Recording, outcome, until

PEOPLE = """
people:
  vakt:
    name: Vakt Vaktesen
    contacts: [{channel: console}]
routes: {duty: [vakt], ops: [vakt], fallback: [vakt]}
repeat_every: {critical: 2s, warning: 2s, info: 4h}
grouping: {by: [alert], interval: 1s}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Of which the reserve takes 32 MiB."""
    with mounted(tmp_path / "disk", 120 * MIB) as place:
        yield place


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True], ids=["it goes on", "it is killed meanwhile"])
def test_a_full_disk_is_a_gap_and_people_are_told_all_the_same(
    deploy: Callable[..., Deployment],
    recording: Recording,
    small_disk: Path,
    killed: bool,
    undisturbed: tuple[Outcome, Path],
) -> None:
    expected, key = undisturbed
    deployment = deploy("full", recording=recording.path, speed="900", data=small_disk / "data", key=key)
    deployment.configure(people=PEOPLE)
    running = deployment.start()
    deployment.exercise()
    until(lambda: running.metric("lyttepost_deliveries_total", outcome="sent") > 0, 20, "somebody is told")
    other = fill(small_disk)
    assert free(small_disk) == 0

    until(lambda: running.metric("lyttepost_gaps_open", source="recording") == 1, 15, "the gap is seen")
    until(lambda: running.get("/readyz")[0] == 503, 5, "it is not ready")
    assert "make room" in running.get("/readyz")[1]
    assert running.get("/healthz")[0] == 200
    (gap,) = deployment.values("gaps")
    assert gap["cause"] == "disk_full"
    assert "to" not in gap
    ops = [a for a in deployment.values("alerts") if a["rule"] == "lyttepost.disk_full"]
    assert [a["event"] for a in ops] == ["fired"]
    until(
        lambda: {"listener", "alerts"} <= {r for f in deployment.mode()["followers"] for r in f["roles"]},
        5,
        "it is there",
        every=0.3,
    )
    until(lambda: deployment.source().get("gap") == "disk_full", 5, "the listener says so", every=0.3)

    heard = running.metric("lyttepost_mentions_published_total")
    if killed:
        running.kill()
        running = deployment.start()
        until(lambda: running.metric("lyttepost_gaps_open", source="recording") == 1, 15, "the gap is taken over")
        heard = 0.0

    def sends() -> int:
        return sum(d.get("outcome") == "sent" for d in deployment.values("deliveries"))

    before = sends()
    until(lambda: sends() > before + 2, 15, "open alerts go on being told", every=0.3)
    assert deployment.sent() >= {ops[0]["id"]}
    first = ops[0]["id"]
    done = deployment.command("alerts", "ack", first, "--by", "Vakt")
    assert done.returncode == 0, done.stderr
    assert first not in {a["id"] for a in _open(deployment)}
    assert running.metric("lyttepost_mentions_published_total") == heard
    assert len(deployment.values("gaps")) == 1
    assert [a["event"] for a in deployment.values("alerts") if a["id"] == first] == ["fired"]

    other.unlink()
    deployment.wait_until_settled()
    until(lambda: running.get("/readyz")[0] == 200, 10, "it is ready again")
    assert running.metric("lyttepost_gaps_open") == 0
    assert 0 < running.metric("lyttepost_gap_seconds_total", cause="disk_full") < 10_800
    gaps = deployment.values("gaps")
    assert [g["id"] for g in gaps] == [gap["id"]] * 2
    assert gaps[-1]["to"] == gaps[-1]["refilled_until"]
    assert gaps[-1]["refilled"] > 0
    assert [g["id"] for g in deployment.values("mentions", "gap")] == [gap["id"]]
    assert [g["id"] for g in deployment.values("findings", "gap")] == [gap["id"]]
    assert [a["event"] for a in deployment.values("alerts") if a["id"] == first] == ["fired", "resolved"]

    found = outcome(deployment)
    assert found.mentions == expected.mentions
    assert found.findings == expected.findings
    assert found.volumes == expected.volumes
    assert found.deadletters == expected.deadletters
    assert ids(found) - {first} == ids(expected)
    running.terminate()
    verified = deployment.command("alerts", "verify")
    assert verified.returncode == 0, verified.stderr


def ids(found: Outcome) -> set[str]:
    return {json.loads(alert)["id"] for alerts in found.alerts.values() for alert in alerts}


def _open(deployment: Deployment) -> list[dict[str, str]]:
    opened: list[dict[str, str]] = json.loads(deployment.command("alerts", "--json").stdout)
    return opened
