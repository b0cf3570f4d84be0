"""A switch reaches every process of a deployment that is spread over Kafka, at once, and those that start later too."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import LYTTEPOST, Deployment
from spread import Spread, ready
from topics import drop_topics

from listener.runtime.control import FOLLOW_SECONDS

ROLES = (("listener", ""), ("annotate", "1"), ("annotate", "2"), ("judge", "1"), ("judge", "2"), ("dispatch", ""))


@pytest.fixture
def spread(kafka_url: str, tmp_path: Path, deploy: Callable[..., Deployment]) -> Iterator[Spread]:
    """Its processes start as a person starts them, one slowly after the other."""
    url = f"{kafka_url}?prefix=control-{uuid.uuid4().hex[:6]}"
    made = Spread(tmp_path, url, lambda **more: deploy(entry=LYTTEPOST, **more), shipped=True)
    yield made
    made.close()
    drop_topics(made.url)


def follows(spread: Spread, offset: int) -> dict[str, int]:
    """Process → when it first said that it follows, in ms."""
    first: dict[str, int] = {}
    for record in spread.records("presence"):
        said = json.loads(record.value or b"{}")
        if said["epoch"] >= offset and not said["leaving"]:
            first.setdefault(record.key.partition("@")[0], record.time_ms)
    return first


@pytest.mark.slow
def test_a_switch_reaches_every_process_and_whoever_starts_later(
    spread: Spread, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {f"{role}-{name}".rstrip("-") for role, name in ROLES}
    ready([spread.start(role, name) for role, name in ROLES])
    began = time.monotonic()
    done = spread.deployment.command(
        "mode", "crisis", "--name", "Øvelse Granvik", "--track", "granvik", "--exercise", "--why", "prøve"
    )
    took = time.monotonic() - began
    assert done.returncode == 0, done.stdout + done.stderr
    (switch,) = spread.records("control")
    heard = follows(spread, switch.offset)
    assert heard.keys() == names
    delays = {name: (at - switch.time_ms) / 1000 for name, at in heard.items()}
    with capsys.disabled():
        print(f"\nmode: {took:.2f} s; followed after, s: {delays}")
    assert max(delays.values()) < FOLLOW_SECONDS

    ready([spread.start("judge", "late")])
    state = spread.deployment.mode()
    assert {process["process"].partition("@")[0] for process in state["followers"]} == {*names, "judge-late"}
    assert all(process["follows"] for process in state["followers"])
    history = json.loads(spread.deployment.command("mode", "history", "--json").stdout)
    assert [entry["result"] for entry in history] == ["opened"]
